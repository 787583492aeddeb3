/* The `evaluate` block: every encoder against every victim, by every method. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "plan/internal.h"

cJSON *embed_labels(const char *encoder, const char *set)
{
    cJSON *labels = cJSON_CreateObject();
    if (labels != NULL && cJSON_AddStringToObject(labels, "encoder", encoder) != NULL &&
        cJSON_AddStringToObject(labels, "set", set) != NULL)
        return labels;
    cJSON_Delete(labels);
    return NULL;
}

static int add_embed(struct builder *b, int encoder_task, const char *encoder, int set, int *task)
{
    const struct task_kind *kind = task_kind_find("embed");
    check_square(b, set);
    char *name = mem_printf(b->err, "%s/%s", encoder, b->sets[set].name);
    cJSON *labels = embed_labels(encoder, b->sets[set].name);
    if (name == NULL || labels == NULL) {
        cJSON_Delete(labels);
        mem_free(name);
        return err_set(b->err, "out of memory");
    }
    struct task_draft draft = { .kind = kind,
                                .name = name,
                                .params = kind_params(kind, NULL, b->err),
                                .labels = labels,
                                .set = set,
                                .n_inputs = 1,
                                .inputs = { { "encoder", encoder_task } } };
    int rc = graph_add(b, &draft, task, NULL);
    mem_free(name);
    return rc;
}

static bool replace_label(cJSON *labels, const char *label, const char *text)
{
    cJSON *value = cJSON_CreateString(text);
    if (value == NULL || !cJSON_ReplaceItemInObjectCaseSensitive(labels, label, value)) {
        cJSON_Delete(value);
        return false;
    }
    return cJSON_GetObjectItemCaseSensitive(labels, label) == value; /* not where the copy of its key failed */
}

/* The victim's architecture with fresh weights; one for each victim. */
static int random_task(struct builder *b, int victim, int *task)
{
    struct encoder_entry *v = &b->encoders[victim];
    *task = v->random;
    if (v->random >= 0)
        return 0;
    const struct task_kind *kind = task_kind_find("init");
    const struct plan_task *t = &b->plan->tasks[v->task];
    char *name = mem_printf(b->err, "%s.random", v->name);
    cJSON *labels = cJSON_Duplicate(t->labels, true);
    bool labelled = name != NULL && labels != NULL && replace_label(labels, "name", name) &&
                    replace_label(labels, "role", "random") && replace_label(labels, "dataset", "") &&
                    replace_label(labels, "loss", "");
    struct task_draft draft = { .kind = kind,
                                .name = name,
                                .params = kind_params(kind, t->params, b->err),
                                .labels = labels,
                                .set = -1,
                                .trial = v->trial < 0 ? 0 : v->trial,
                                .seeded = true,
                                .n_inputs = 1,
                                .inputs = { { "victim", v->task } } };
    if (!labelled || draft.params == NULL) {
        cJSON_Delete(draft.params);
        cJSON_Delete(labels);
        mem_free(name);
        return err_set(b->err, "out of memory");
    }
    int rc = graph_add(b, &draft, task, NULL);
    if (rc == 0) {
        b->encoders[victim].random = *task;
        label_seed(b, *task);
    }
    mem_free(name);
    return rc;
}

/* What the suspect is to this victim: another victim, or a thief of another, is independent of it. */
static const char *role_against(const struct builder *b, int suspect, int victim)
{
    const struct encoder_entry *s = &b->encoders[suspect];
    if (suspect == victim)
        return "victim";
    if (strcmp(s->role, "victim") == 0 || (s->victim >= 0 && s->victim != victim))
        return "independent";
    return s->role;
}

static int trial_of(const struct builder *b, int suspect, int victim)
{
    int s = b->encoders[suspect].trial, v = b->encoders[victim].trial;
    return v >= 0 ? v : s >= 0 ? s : 0;
}

static cJSON *evaluation_labels(struct builder *b, int suspect, int victim)
{
    const struct encoder_entry *s = &b->encoders[suspect], *v = &b->encoders[victim];
    const cJSON *from = s->task < 0 ? NULL : b->plan->tasks[s->task].labels;
    cJSON *o = cJSON_CreateObject();
    if (o != NULL && cJSON_AddStringToObject(o, "encoder", s->name) != NULL &&
        cJSON_AddStringToObject(o, "victim", v->name) != NULL &&
        cJSON_AddStringToObject(o, "role", role_against(b, suspect, victim)) != NULL &&
        cJSON_AddStringToObject(o, "queries", json_text(from, "queries", "")) != NULL &&
        cJSON_AddNumberToObject(o, "budget", json_number(from, "budget", 0)) != NULL &&
        cJSON_AddStringToObject(o, "loss", json_text(from, "loss", "")) != NULL &&
        cJSON_AddNumberToObject(o, "overlap", json_number(from, "overlap", -1)) != NULL &&
        cJSON_AddNumberToObject(o, "set_overlap", json_number(from, "set_overlap", -1)) != NULL &&
        cJSON_AddNumberToObject(o, "trial", trial_of(b, suspect, victim)) != NULL)
        return o;
    cJSON_Delete(o);
    return NULL;
}

/* The task that makes the representations of one need; -1 after a user's error. */
static int need_task(struct builder *b, const struct task_need *need, int suspect, int victim, int *task)
{
    const struct encoder_entry *v = &b->encoders[victim], *s = &b->encoders[suspect];
    int set = need->set == NEED_MEMBERS ? v->members : v->heldout, encoder = -1;
    *task = -1;
    if (set < 0)
        return 0; /* said by check_victims, or with the broken set */
    if (need->encoder == NEED_RANDOM) {
        if (random_task(b, victim, &encoder) != 0)
            return -1;
        return add_embed(b, encoder, json_text(b->plan->tasks[encoder].labels, "name", ""), set, task);
    }
    if (need->encoder == NEED_SUSPECT && s->files != NULL)
        return black_box_task(b, suspect, need->set, set, task);
    const struct encoder_entry *e = need->encoder == NEED_SUSPECT ? s : v;
    return add_embed(b, e->task, e->name, set, task);
}

static int evaluate_pair(struct builder *b, const struct task_kind *kind, const struct expansion *e, int suspect,
                         int victim)
{
    bool complete = true;
    struct task_draft draft = { .kind = kind, .set = -1, .node = e->group };
    for (const struct task_need *need = kind->needs; need->role != NULL; need++) {
        int task;
        if (need_task(b, need, suspect, victim, &task) != 0)
            return -1;
        complete = complete && task >= 0;
        draft.inputs[draft.n_inputs].role = need->role;
        draft.inputs[draft.n_inputs++].task = task;
    }
    if (!complete) /* said, and the plan will not be */
        return 0;
    char *name = mem_printf(b->err, "%s@%s%s", b->encoders[suspect].name, b->encoders[victim].name, e->suffix);
    if (name == NULL)
        return -1;
    draft.name = name;
    draft.params = cJSON_Duplicate(e->params, true);
    draft.labels = evaluation_labels(b, suspect, victim);
    /* Against two victims with the same training set a test is the same computation,
     * but each pair has a row of its own. */
    if (draft.params != NULL &&
        (graph_trial_seed(b, trial_of(b, suspect, victim), draft.params) != 0 ||
         cJSON_AddStringToObject(draft.params, "victim", b->plan->tasks[b->encoders[victim].task].id) == NULL)) {
        cJSON_Delete(draft.params);
        draft.params = NULL; /* graph_add reports it */
    }
    int task, rc = graph_add(b, &draft, &task, NULL);
    mem_free(name);
    return rc;
}

static int evaluate_all(struct builder *b, const struct task_kind *kind, const struct expansion *e)
{
    for (int v = 0; v < b->n_encoders; v++) {
        if (strcmp(b->encoders[v].role, "victim") != 0)
            continue;
        const struct task_facts facts = {
            .params = e->params,
            .images = b->encoders[v].members < 0 ? 0 : b->sets[b->encoders[v].members].shape.n,
        };
        kind_check(b, kind, e->group, NULL, &facts);
        for (int s = 0; s < b->n_encoders; s++) {
            int ts = b->encoders[s].trial, tv = b->encoders[v].trial;
            if ((ts < 0 || tv < 0 || ts == tv) && evaluate_pair(b, kind, e, s, v) != 0)
                return -1;
        }
    }
    return 0;
}

/* Every victim has the sets that the kind needs. */
static void check_victims(struct builder *b, const struct task_kind *kind)
{
    for (const struct task_need *need = kind->needs; need->role != NULL; need++)
        for (int v = 0; v < b->n_encoders && need->set == NEED_HELDOUT; v++) {
            const struct encoder_entry *e = &b->encoders[v];
            if (strcmp(e->role, "victim") == 0 && conf_child(e->node, "heldout") == NULL)
                conf_error(b->conf, e->node, "victim \"%s\" needs heldout = \"SET\" for %s", e->base, kind->name);
        }
}

static int evaluate_kind(struct builder *b, const struct conf_node *node)
{
    const char *names[64];
    int n = 0;
    const struct task_kind *kind = NULL;
    for (int i = 0; task_kinds[i] != NULL && n < 64; i++) {
        if (task_kinds[i]->needs == NULL)
            continue;
        names[n++] = task_kinds[i]->name;
        if (strcmp(node->name, task_kinds[i]->name) == 0)
            kind = task_kinds[i];
    }
    if (kind == NULL) {
        unknown_name(b, node, "evaluation", node->name, names, n);
        return 0;
    }
    struct expansions x;
    int rc = block_expand(b, node, kind, NULL, NULL, NULL, &x);
    if (rc == 0)
        check_victims(b, kind);
    for (int i = 0; rc == 0 && i < x.n; i++)
        rc = evaluate_all(b, kind, &x.items[i]);
    expansions_fini(&x);
    return rc;
}

int evaluate_load(struct builder *b, const struct conf_node *block)
{
    if (block == NULL)
        return 0;
    if (block->type != CONF_GROUP) {
        conf_error(b->conf, block, "evaluate must be a group: { dataset_inference = { }; ... }");
        return 0;
    }
    for (int i = 0; i < block->n; i++)
        if (evaluate_kind(b, block->children[i]) != 0)
            return -1;
    return 0;
}
