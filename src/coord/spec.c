/* Run settings and tasks to JSON text and back. */
#include "coord/spec.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"

static const char *string_of(const cJSON *o, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

char *settings_print(const struct run_settings *s, struct err *err)
{
    char *text = NULL;
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || cJSON_AddStringToObject(o, "dir", s->dir) == NULL ||
        cJSON_AddStringToObject(o, "device", s->device) == NULL ||
        cJSON_AddNumberToObject(o, "threads", s->threads) == NULL ||
        cJSON_AddNumberToObject(o, "sharing", s->sharing) == NULL ||
        cJSON_AddNumberToObject(o, "task_seconds", s->task_seconds) == NULL ||
        cJSON_AddNumberToObject(o, "grace_seconds", s->grace_seconds) == NULL ||
        cJSON_AddNumberToObject(o, "silence_seconds", s->silence_seconds) == NULL ||
        cJSON_AddBoolToObject(o, "in_process", s->in_process) == NULL)
        err_set(err, "out of memory");
    else
        text = json_canonical(o, err);
    cJSON_Delete(o);
    return text;
}

int settings_parse(const char *text, struct run_settings *s, struct err *err)
{
    int rc = -1;
    cJSON *o = cJSON_Parse(text);
    const char *dir = string_of(o, "dir"), *device = string_of(o, "device");
    memset(s, 0, sizeof *s);
    if (dir == NULL || device == NULL) {
        err_set(err, "broken run settings: %.200s", text);
        goto out;
    }
    if ((size_t)snprintf(s->dir, sizeof s->dir, "%s", dir) >= sizeof s->dir) {
        err_set(err, "path too long: %s", dir);
        goto out;
    }
    snprintf(s->device, sizeof s->device, "%s", device);
    s->threads = (int)json_number(o, "threads", 0);
    s->sharing = (int)json_number(o, "sharing", 0);
    s->task_seconds = json_number(o, "task_seconds", 0);
    s->grace_seconds = json_number(o, "grace_seconds", 0);
    s->silence_seconds = json_number(o, "silence_seconds", 0);
    s->in_process = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "in_process"));
    rc = 0;
out:
    cJSON_Delete(o);
    return rc;
}

static int add_inputs(cJSON *o, const struct plan *plan, const struct plan_task *task)
{
    cJSON *inputs = cJSON_AddArrayToObject(o, "inputs");
    if (inputs == NULL)
        return -1;
    for (int i = 0; i < task->n_inputs; i++) {
        const struct plan_task *from = &plan->tasks[task->input_tasks[i]];
        cJSON *input = cJSON_CreateObject();
        if (input == NULL || !cJSON_AddItemToArray(inputs, input) ||
            cJSON_AddStringToObject(input, "role", task->inputs[i].role) == NULL ||
            cJSON_AddStringToObject(input, "id", task->inputs[i].id) == NULL ||
            cJSON_AddStringToObject(input, "result", from->result) == NULL ||
            cJSON_AddStringToObject(input, "weights", from->weights) == NULL)
            return -1;
    }
    return 0;
}

char *spec_print(const struct plan *plan, const struct plan_task *task, struct err *err)
{
    char *text = NULL;
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || cJSON_AddStringToObject(o, "id", task->id) == NULL ||
        cJSON_AddStringToObject(o, "name", task->name) == NULL ||
        cJSON_AddStringToObject(o, "kind", task->kind->name) == NULL ||
        cJSON_AddStringToObject(o, "result", task->state == TASK_DONE ? task->result : "") == NULL ||
        add_inputs(o, plan, task) != 0 || !cJSON_AddItemReferenceToObject(o, "params", task->params) ||
        (task->contents != NULL && !cJSON_AddItemReferenceToObject(o, "contents", task->contents)))
        err_set(err, "out of memory");
    else
        text = json_canonical(o, err);
    cJSON_Delete(o);
    return text;
}

static int parse_inputs(const cJSON *list, struct task_spec *spec, struct err *err)
{
    int n = cJSON_GetArraySize(list);
    spec->inputs = mem_alloc((size_t)n, sizeof *spec->inputs, err);
    if (spec->inputs == NULL)
        return -1;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *role = string_of(item, "role"), *id = string_of(item, "id");
        if (role == NULL || id == NULL)
            return err_set(err, "a task's input lacks its role or id");
        struct task_input *input = &spec->inputs[spec->n_inputs++];
        snprintf(input->role, sizeof input->role, "%s", role);
        snprintf(input->id, sizeof input->id, "%s", id);
        snprintf(input->result, sizeof input->result, "%s", json_text(item, "result", ""));
        snprintf(input->weights, sizeof input->weights, "%s", json_text(item, "weights", ""));
    }
    return 0;
}

int spec_parse(const char *text, struct task_spec *spec, struct err *err)
{
    memset(spec, 0, sizeof *spec);
    spec->json = cJSON_Parse(text);
    if (spec->json == NULL)
        return err_set(err, "a task's description is not JSON: %.200s", text);
    spec->id = string_of(spec->json, "id");
    spec->name = string_of(spec->json, "name");
    spec->params = cJSON_GetObjectItemCaseSensitive(spec->json, "params");
    spec->contents = cJSON_GetObjectItemCaseSensitive(spec->json, "contents");
    spec->result = json_text(spec->json, "result", "");
    const char *kind = string_of(spec->json, "kind");
    if (spec->id == NULL || strlen(spec->id) >= TASK_ID || spec->name == NULL || kind == NULL ||
        !cJSON_IsObject(spec->params)) {
        err_set(err, "a task's description lacks id, name, kind or params: %.200s", text);
        goto broken;
    }
    spec->kind = task_kind_find(kind);
    if (spec->kind == NULL) {
        err_set(err, "no kind of task is called '%s'", kind);
        goto broken;
    }
    if (parse_inputs(cJSON_GetObjectItemCaseSensitive(spec->json, "inputs"), spec, err) != 0)
        goto broken;
    return 0;
broken:
    spec_fini(spec);
    return -1;
}

void spec_fini(struct task_spec *spec)
{
    cJSON_Delete(spec->json);
    mem_free(spec->inputs);
    memset(spec, 0, sizeof *spec);
}
