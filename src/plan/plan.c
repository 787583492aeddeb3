/* The plan as an object: kept, written, read back, searched. */
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "conf/json.h"
#include "base/names.h"

enum { SCHEMA = 1 };

const char *task_state_name(enum task_state state)
{
    static const char *const names[] = { "waiting", "ready", "running", "done", "failed", "skipped" };
    return names[state];
}

void plan_destroy(struct plan *plan)
{
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->n_tasks; i++) {
        struct plan_task *t = &plan->tasks[i];
        mem_free(t->name);
        cJSON_Delete(t->params);
        cJSON_Delete(t->labels);
        cJSON_Delete(t->contents);
        mem_free(t->inputs);
        mem_free(t->input_tasks);
        mem_free(t->error);
    }
    mem_free(plan->tasks);
    mem_free(plan->by_id);
    mem_free(plan->config);
    mem_free(plan);
}

struct id_index {
    const char *id;
    int index;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct id_index *)a)->id, ((const struct id_index *)b)->id);
}

static int index_tasks(struct plan *plan)
{
    struct id_index *sorted = mem_alloc((size_t)plan->n_tasks, sizeof *sorted, NULL);
    plan->by_id = mem_alloc((size_t)plan->n_tasks, sizeof *plan->by_id, NULL);
    if (sorted == NULL || plan->by_id == NULL) {
        mem_free(sorted);
        mem_free(plan->by_id);
        plan->by_id = NULL;
        return -1;
    }
    for (int i = 0; i < plan->n_tasks; i++)
        sorted[i] = (struct id_index){ plan->tasks[i].id, i };
    qsort(sorted, (size_t)plan->n_tasks, sizeof *sorted, by_id);
    for (int i = 0; i < plan->n_tasks; i++)
        plan->by_id[i] = sorted[i].index;
    mem_free(sorted);
    return 0;
}

int plan_index(struct plan *plan, const char *id)
{
    if (plan->by_id == NULL && index_tasks(plan) != 0)
        return plan_find(plan, id, NULL); /* no memory for the table: search */
    int low = 0, high = plan->n_tasks - 1;
    while (low <= high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(plan->tasks[plan->by_id[middle]].id, id);
        if (order == 0)
            return plan->by_id[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return -1;
}

int plan_find(const struct plan *plan, const char *what, struct err *err)
{
    size_t n = strlen(what);
    int found = -1, count = 0, nearest = -1, best = 0;
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        if (strcmp(t->id, what) == 0 || strcmp(t->name, what) == 0)
            return i;
        if (n >= 4 && strncmp(t->id, what, n) == 0) {
            found = i;
            count++;
        }
    }
    if (count == 1)
        return found;
    if (count > 1)
        return err_set(err, "%d tasks have an id that begins with %s", count, what);
    for (int i = 0; i < plan->n_tasks; i++) {
        int d = names_distance(what, plan->tasks[i].name);
        if (nearest < 0 || d < best) {
            best = d;
            nearest = i;
        }
    }
    if (nearest < 0 || best > (int)n / 2)
        return err_set(err, "there is no task \"%.200s\": `dinf status DIR --all` lists them", what);
    return err_set(err, "there is no task \"%.200s\"; did you mean \"%s\"?", what, plan->tasks[nearest].name);
}

static cJSON *campaign_json(const struct campaign *c)
{
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || cJSON_AddStringToObject(o, "name", c->name) == NULL ||
        cJSON_AddNumberToObject(o, "seed", (double)c->seed) == NULL ||
        cJSON_AddNumberToObject(o, "trials", (double)c->trials) == NULL ||
        cJSON_AddNumberToObject(o, "threads", (double)c->threads) == NULL ||
        cJSON_AddNumberToObject(o, "ranks_per_gpu", (double)c->ranks_per_gpu) == NULL ||
        cJSON_AddNumberToObject(o, "retries", (double)c->retries) == NULL ||
        cJSON_AddNumberToObject(o, "retry_seconds", c->retry_seconds) == NULL ||
        cJSON_AddNumberToObject(o, "task_seconds", c->task_seconds) == NULL ||
        cJSON_AddStringToObject(o, "device", c->device) == NULL) {
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

/* params and labels are lent, not copied. */
static cJSON *task_json(const struct plan_task *t)
{
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || cJSON_AddStringToObject(o, "id", t->id) == NULL ||
        cJSON_AddStringToObject(o, "kind", t->kind->name) == NULL ||
        cJSON_AddStringToObject(o, "name", t->name) == NULL || cJSON_AddNumberToObject(o, "ranks", t->ranks) == NULL ||
        cJSON_AddNumberToObject(o, "cost", t->cost) == NULL ||
        !cJSON_AddItemReferenceToObject(o, "params", t->params) ||
        !cJSON_AddItemReferenceToObject(o, "labels", t->labels) ||
        (t->contents != NULL && !cJSON_AddItemReferenceToObject(o, "contents", t->contents)))
        goto failed;
    cJSON *inputs = cJSON_AddArrayToObject(o, "inputs");
    if (inputs == NULL)
        goto failed;
    for (int i = 0; i < t->n_inputs; i++) {
        cJSON *input = cJSON_CreateObject();
        if (input == NULL || cJSON_AddStringToObject(input, "role", t->inputs[i].role) == NULL ||
            cJSON_AddStringToObject(input, "id", t->inputs[i].id) == NULL || !cJSON_AddItemToArray(inputs, input)) {
            cJSON_Delete(input);
            goto failed;
        }
    }
    return o;
failed:
    cJSON_Delete(o);
    return NULL;
}

int plan_write(const struct plan *plan, const char *path, struct err *err)
{
    int rc = -1;
    char *text = NULL;
    cJSON *root = cJSON_CreateObject(), *campaign = campaign_json(&plan->campaign), *tasks = NULL;
    if (root == NULL || campaign == NULL || cJSON_AddNumberToObject(root, "schema", SCHEMA) == NULL ||
        !cJSON_AddItemToObject(root, "campaign", campaign)) {
        cJSON_Delete(campaign);
        err_set(err, "out of memory");
        goto out;
    }
    if (cJSON_AddStringToObject(root, "config_hash", plan->config_hash) == NULL ||
        cJSON_AddStringToObject(root, "config", plan->config) == NULL ||
        (tasks = cJSON_AddArrayToObject(root, "tasks")) == NULL) {
        err_set(err, "out of memory");
        goto out;
    }
    for (int i = 0; i < plan->n_tasks; i++) {
        cJSON *task = task_json(&plan->tasks[i]);
        if (task == NULL || !cJSON_AddItemToArray(tasks, task)) {
            cJSON_Delete(task);
            err_set(err, "out of memory");
            goto out;
        }
    }
    text = json_canonical(root, err); /* cJSON's own printing loses the last bits of doubles */
    rc = text == NULL ? -1 : fs_write_atomic(path, text, strlen(text), err);
out:
    mem_free(text);
    cJSON_Delete(root);
    return rc;
}

static int read_campaign(const cJSON *o, struct campaign *c, struct err *err)
{
    const char *name = json_text(o, "name", NULL), *device = json_text(o, "device", NULL);
    if (name == NULL || device == NULL)
        return err_set(err, "the campaign has no name or device");
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->device, sizeof c->device, "%s", device);
    c->seed = (int64_t)json_number(o, "seed", 0);
    c->trials = (int64_t)json_number(o, "trials", 0);
    c->threads = (int64_t)json_number(o, "threads", 0);
    c->ranks_per_gpu = (int64_t)json_number(o, "ranks_per_gpu", 0);
    c->retries = (int64_t)json_number(o, "retries", 0);
    c->retry_seconds = json_number(o, "retry_seconds", 1);
    c->task_seconds = json_number(o, "task_seconds", 0);
    return 0;
}

/* Detaches params and labels from `o`. Inputs refer to tasks by id only yet. */
static int read_task(cJSON *o, struct plan_task *t, struct err *err)
{
    const char *id = json_text(o, "id", NULL), *kind = json_text(o, "kind", NULL), *name = json_text(o, "name", NULL);
    const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(o, "inputs"), *input;
    if (id == NULL || strlen(id) != TASK_ID - 1 || kind == NULL || name == NULL || !cJSON_IsArray(inputs))
        return err_set(err, "a task lacks id, kind, name or inputs");
    t->kind = task_kind_find(kind);
    if (t->kind == NULL)
        return err_set(err, "task %s is of the unknown kind \"%s\": written by another version?", id, kind);
    snprintf(t->id, sizeof t->id, "%s", id);
    t->name = mem_strdup(name, err);
    t->params = cJSON_DetachItemFromObjectCaseSensitive(o, "params");
    t->labels = cJSON_DetachItemFromObjectCaseSensitive(o, "labels");
    t->contents = cJSON_DetachItemFromObjectCaseSensitive(o, "contents");
    t->cost = json_number(o, "cost", 0);
    t->ranks = (int)json_number(o, "ranks", 0);
    t->rank = -1;
    int n = cJSON_GetArraySize(inputs);
    if (n > TASK_INPUTS_MAX || t->params == NULL || t->labels == NULL)
        return err_set(err, "task %s lacks params or labels or has too many inputs", id);
    t->inputs = mem_alloc((size_t)n, sizeof *t->inputs, err);
    t->input_tasks = mem_alloc((size_t)n, sizeof *t->input_tasks, err);
    if (t->name == NULL || t->inputs == NULL || t->input_tasks == NULL)
        return -1;
    cJSON_ArrayForEach(input, inputs)
    {
        const char *role = json_text(input, "role", NULL), *from = json_text(input, "id", NULL);
        if (role == NULL || from == NULL)
            return err_set(err, "an input of task %s lacks role or id", id);
        snprintf(t->inputs[t->n_inputs].role, sizeof t->inputs->role, "%s", role);
        snprintf(t->inputs[t->n_inputs++].id, sizeof t->inputs->id, "%s", from);
    }
    return 0;
}

static int read_tasks(cJSON *list, struct plan *plan, struct err *err)
{
    plan->tasks = mem_alloc((size_t)cJSON_GetArraySize(list), sizeof *plan->tasks, err);
    if (plan->tasks == NULL)
        return -1;
    for (cJSON *o = list->child; o != NULL; o = o->next)
        if (read_task(o, &plan->tasks[plan->n_tasks++], err) != 0)
            return -1;
    for (int i = 0; i < plan->n_tasks; i++) {
        struct plan_task *t = &plan->tasks[i];
        t->state = t->n_inputs == 0 ? TASK_READY : TASK_WAITING;
        for (int k = 0; k < t->n_inputs; k++) {
            t->input_tasks[k] = plan_index(plan, t->inputs[k].id);
            if (t->input_tasks[k] < 0 || t->input_tasks[k] >= i)
                return err_set(err, "input %s of task %s does not stand before it", t->inputs[k].id, t->id);
        }
    }
    return 0;
}

int plan_read(const char *path, struct plan **out, struct err *err)
{
    int rc = -1;
    char *text = NULL;
    size_t bytes;
    cJSON *root = NULL;
    struct plan *plan = mem_alloc(1, sizeof *plan, err);
    *out = NULL;
    if (plan == NULL || fs_read(path, &text, &bytes, err) != 0)
        goto out;
    root = cJSON_ParseWithLength(text, bytes);
    cJSON *tasks = cJSON_GetObjectItemCaseSensitive(root, "tasks");
    const char *config = json_text(root, "config", NULL), *hash = json_text(root, "config_hash", NULL);
    if (json_number(root, "schema", 0) != SCHEMA || !cJSON_IsArray(tasks) || config == NULL || hash == NULL) {
        err_set(err, "%s is no plan of this version", path);
        goto out;
    }
    snprintf(plan->config_hash, sizeof plan->config_hash, "%s", hash);
    plan->config = mem_strdup(config, err);
    if (plan->config == NULL)
        goto out;
    if (read_campaign(cJSON_GetObjectItemCaseSensitive(root, "campaign"), &plan->campaign, err) != 0 ||
        read_tasks(tasks, plan, err) != 0) {
        err_prefix(err, "%s", path);
        goto out;
    }
    *out = plan;
    plan = NULL;
    rc = 0;
out:
    plan_destroy(plan);
    cJSON_Delete(root);
    mem_free(text);
    return rc;
}
