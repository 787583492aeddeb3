/* Adding tasks: identity, derived seeds, one task for equal experiments. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "plan/internal.h"

/* Not replaced in place: cJSON forgets that its copy of the key may have failed. */
static int replace_string(cJSON *object, const char *key, const char *value, struct err *err)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddStringToObject(object, key, value) == NULL ? err_set(err, "out of memory") : 0;
}

int set_number(cJSON *object, const char *key, double value, struct err *err)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    return cJSON_AddNumberToObject(object, key, value) == NULL ? err_set(err, "out of memory") : 0;
}

/* Parameters that change nothing about a result. */
static const char *const run_settings[] = { "checkpoint_seconds", NULL };

/* params with data by fingerprint, files by contents, without run settings */
static cJSON *identity_params(struct builder *b, struct task_draft *draft)
{
    cJSON *p = cJSON_Duplicate(draft->params, true);
    if (p == NULL) {
        err_set(b->err, "out of memory");
        return NULL;
    }
    for (int i = 0; run_settings[i] != NULL; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(p, run_settings[i]);
    if (draft->set >= 0 && replace_string(p, "dataset", b->sets[draft->set].fingerprint, b->err) != 0)
        goto failed;
    const cJSON *file = draft->file_key == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(p, draft->file_key);
    if (cJSON_IsString(file) && file->valuestring[0] != 0) {
        char hex[HASH_HEX];
        struct err why;
        if (hash_file(file->valuestring, hex, &why) != 0) {
            conf_error(b->conf, draft->node, "%s: %s", draft->file_key, why.text);
            snprintf(hex, sizeof hex, "unreadable");
        }
        snprintf(draft->file_hash, sizeof draft->file_hash, "%s", hex);
        if (replace_string(p, draft->file_key, hex, b->err) != 0)
            goto failed;
    }
    return p;
failed:
    cJSON_Delete(p);
    return NULL;
}

static int add_canonical(struct hash *h, const cJSON *v, struct err *err)
{
    char *text = json_canonical(v, err);
    if (text == NULL)
        return -1;
    hash_add_string(h, text);
    mem_free(text);
    return 0;
}

/* Has the set another size than the encoder that looks at it? */
static bool resizes(const struct builder *b, const struct task_draft *draft)
{
    for (int i = 0; draft->set >= 0 && i < draft->n_inputs; i++) {
        const struct images *shape = &b->sets[draft->set].shape;
        int size = b->extents[draft->inputs[i].task].size;
        if (size > 0 && (shape->h != size || shape->w != size))
            return true;
    }
    return false;
}

static void add_inputs(struct builder *b, struct hash *h, const struct task_draft *draft, bool full)
{
    for (int i = 0; i < draft->n_inputs; i++) {
        const struct identity *input = &b->identities[draft->inputs[i].task];
        hash_add_string(h, draft->inputs[i].role);
        hash_add_string(h, full ? input->full : input->seed);
    }
    if (full && resizes(b, draft))
        hash_add_string(h, "antialiased bilinear");
}

static int digest(struct builder *b, const struct task_draft *draft, const char *salt, const cJSON *params, bool full,
                  char hex[HASH_HEX])
{
    struct hash *h = hash_create(b->err);
    if (h == NULL)
        return -1;
    hash_add_string(h, salt);
    hash_add_string(h, draft->kind->name);
    if (add_canonical(h, params, b->err) != 0) {
        hash_destroy(h);
        return -1;
    }
    add_inputs(b, h, draft, full);
    return hash_finish(h, hex, b->err);
}

/* The first 31 bits of a hash. */
static double seed_of(const char hex[HASH_HEX])
{
    unsigned value = 0;
    char head[9];
    snprintf(head, sizeof head, "%.8s", hex);
    sscanf(head, "%x", &value);
    return value >> 1;
}

/* Hash of campaign seed, trial and everything that the task is besides its seed: no
 * two different encoders share an initialisation. */
static int derive_seed(struct builder *b, struct task_draft *draft, cJSON *identity)
{
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(draft->params, "seed");
    if (cJSON_IsNumber(seed) && seed->valuedouble >= 0)
        return 0;
    char salt[96], hex[HASH_HEX];
    snprintf(salt, sizeof salt, "seed %lld trial %d", (long long)b->plan->campaign.seed, draft->trial);
    cJSON_DeleteItemFromObjectCaseSensitive(identity, "seed");
    if (digest(b, draft, salt, identity, false, hex) != 0)
        return -1;
    return set_number(draft->params, "seed", seed_of(hex), b->err) != 0 ||
                   set_number(identity, "seed", seed_of(hex), b->err) != 0
               ? -1
               : 0;
}

int graph_trial_seed(struct builder *b, int trial, cJSON *params)
{
    char text[96], hex[HASH_HEX];
    if (json_number(params, "seed", 0) >= 0)
        return 0;
    int n = snprintf(text, sizeof text, "evaluation seed %lld trial %d", (long long)b->plan->campaign.seed, trial);
    return hash_bytes(text, (size_t)n, hex, b->err) != 0 ? -1 : set_number(params, "seed", seed_of(hex), b->err);
}

int graph_identity(struct builder *b, struct task_draft *draft, struct identity *identity, char id[TASK_ID])
{
    char full[HASH_HEX];
    int rc = -1;
    cJSON *free_part = NULL;
    if (draft->set >= 0) {
        cJSON_DeleteItemFromObjectCaseSensitive(draft->params, "dataset");
        cJSON *copy = cJSON_Duplicate(b->sets[draft->set].spec, true);
        if (copy == NULL || !cJSON_AddItemToObject(draft->params, "dataset", copy)) {
            cJSON_Delete(copy);
            return err_set(b->err, "out of memory");
        }
    }
    cJSON *params = identity_params(b, draft);
    if (params == NULL)
        return -1;
    if (draft->budget_free != NULL)
        free_part = cJSON_DetachItemFromObjectCaseSensitive(params, draft->budget_free);
    if ((draft->seeded && derive_seed(b, draft, params) != 0) ||
        digest(b, draft, "task", params, false, identity->seed) != 0 ||
        digest(b, draft, "task", params, true, identity->full) != 0)
        goto out;
    snprintf(full, sizeof full, "%s", identity->full);
    if (free_part != NULL) {
        if (!cJSON_AddItemToObject(params, draft->budget_free, free_part)) {
            err_set(b->err, "out of memory");
            goto out;
        }
        free_part = NULL;
        if (digest(b, draft, "task", params, true, full) != 0)
            goto out;
    }
    snprintf(id, TASK_ID, "%.32s", full);
    rc = 0;
out:
    cJSON_Delete(free_part);
    cJSON_Delete(params);
    return rc;
}

static int grow(struct builder *b)
{
    struct plan *p = b->plan;
    if (p->n_tasks < b->max_tasks)
        return 0;
    size_t old = (size_t)p->n_tasks, max = old == 0 ? 64 : 2 * old;
    struct plan_task *tasks = mem_grow(p->tasks, old, max, sizeof *tasks, b->err);
    if (tasks == NULL)
        return -1;
    p->tasks = tasks;
    struct identity *identities = mem_grow(b->identities, old, max, sizeof *identities, b->err);
    if (identities == NULL)
        return -1;
    b->identities = identities;
    struct task_extent *extents = mem_grow(b->extents, old, max, sizeof *extents, b->err);
    if (extents == NULL)
        return -1;
    b->extents = extents;
    b->max_tasks = (int)max;
    return 0;
}

/* kind:name, with ~2, ~3, ... where that is taken */
static char *unique_name(struct builder *b, const struct task_draft *draft)
{
    char *name = mem_printf(b->err, "%s:%s", draft->kind->name, draft->name);
    for (int k = 2; name != NULL && table_find(&b->names, name) >= 0; k++) {
        mem_free(name);
        name = mem_printf(b->err, "%s:%s~%d", draft->kind->name, draft->name, k);
    }
    return name;
}

static double cost_of(const struct builder *b, const struct task_kind *kind, const cJSON *params,
                      const struct task_draft *draft, struct task_extent *extent)
{
    struct task_sizing sizing = { .params = params, .n_inputs = draft->n_inputs };
    for (int i = 0; i < draft->n_inputs; i++) {
        sizing.roles[i] = draft->inputs[i].role;
        sizing.inputs[i] = &b->extents[draft->inputs[i].task];
    }
    *extent = (struct task_extent){ 0 };
    double cost = kind->cost == NULL ? 1 : kind->cost(&sizing, extent);
    return isfinite(cost) && cost > 0 ? cost : 1e-3;
}

static int add_inputs_to_task(struct builder *b, struct plan_task *t, const struct task_draft *draft)
{
    t->n_inputs = draft->n_inputs;
    t->inputs = mem_alloc((size_t)draft->n_inputs, sizeof *t->inputs, b->err);
    t->input_tasks = mem_alloc((size_t)draft->n_inputs, sizeof *t->input_tasks, b->err);
    if (t->inputs == NULL || t->input_tasks == NULL)
        return -1;
    for (int i = 0; i < draft->n_inputs; i++) {
        t->input_tasks[i] = draft->inputs[i].task;
        snprintf(t->inputs[i].role, sizeof t->inputs[i].role, "%s", draft->inputs[i].role);
        snprintf(t->inputs[i].id, sizeof t->inputs[i].id, "%s", b->plan->tasks[draft->inputs[i].task].id);
    }
    return 0;
}

/* What a task must find when it reads its data and files. */
static int add_contents(struct builder *b, struct plan_task *t, const struct task_draft *draft)
{
    t->contents = cJSON_CreateObject();
    if (t->contents == NULL ||
        (draft->set >= 0 && cJSON_AddStringToObject(t->contents, "dataset", b->sets[draft->set].fingerprint) == NULL) ||
        (draft->file_hash[0] != '\0' &&
         cJSON_AddStringToObject(t->contents, draft->file_key, draft->file_hash) == NULL))
        return err_set(b->err, "out of memory");
    return 0;
}

int graph_add(struct builder *b, struct task_draft *draft, int *task, bool *fresh)
{
    struct identity identity;
    char id[TASK_ID];
    int rc = -1;
    *task = -1;
    if (fresh != NULL)
        *fresh = false;
    if (draft->params == NULL || draft->labels == NULL) {
        err_set(b->err, "out of memory");
        goto out;
    }
    if (graph_identity(b, draft, &identity, id) != 0)
        goto out;
    int known = table_find(&b->ids, id);
    if (known >= 0) {
        *task = known;
        rc = 0;
        goto out;
    }
    if (grow(b) != 0)
        goto out;
    struct plan_task *t = &b->plan->tasks[b->plan->n_tasks];
    *t = (struct plan_task){ .kind = draft->kind, .ranks = 1, .rank = -1 };
    int index = b->plan->n_tasks++;
    snprintf(t->id, sizeof t->id, "%s", id);
    b->identities[index] = identity;
    t->params = draft->params;
    t->labels = draft->labels;
    draft->params = draft->labels = NULL;
    t->cost = cost_of(b, t->kind, t->params, draft, &b->extents[index]);
    t->state = draft->n_inputs == 0 ? TASK_READY : TASK_WAITING;
    t->name = unique_name(b, draft);
    if (t->name == NULL || add_contents(b, t, draft) != 0 || add_inputs_to_task(b, t, draft) != 0 ||
        table_add(&b->names, t->name, index, b->err) != 0 || table_add(&b->ids, id, index, b->err) != 0)
        goto out;
    if (fresh != NULL)
        *fresh = true;
    *task = index;
    rc = 0;
out:
    cJSON_Delete(draft->params);
    cJSON_Delete(draft->labels);
    draft->params = draft->labels = NULL;
    return rc;
}
