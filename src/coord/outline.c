/* What the journal knows of a plan. */
#include "coord/outline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "conf/json.h"

static const struct task_kind unknown = { .name = "unknown" };

static int by_id(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The ids of all lines, sorted, each once; mem_free. */
static char (*read_ids(const char *text, size_t bytes, int *n, struct err *err))[TASK_ID]
{
    size_t lines = 0, used = 0, kept = 0;
    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    char(*ids)[TASK_ID] = mem_alloc(lines > 0 ? lines : 1, sizeof *ids, err);
    if (ids == NULL)
        return NULL;
    for (const char *p = text, *newline; (newline = memchr(p, '\n', bytes - (size_t)(p - text))) != NULL;
         p = newline + 1) {
        cJSON *event = cJSON_ParseWithLength(p, (size_t)(newline - p));
        const char *id = json_text(event, "id", "");
        if (strlen(id) == TASK_ID - 1)
            memcpy(ids[used++], id, TASK_ID);
        cJSON_Delete(event);
    }
    qsort(ids, used, sizeof *ids, by_id);
    for (size_t i = 0; i < used; i++)
        if (kept == 0 || strcmp(ids[kept - 1], ids[i]) != 0)
            memmove(ids[kept++], ids[i], TASK_ID);
    *n = (int)kept;
    return ids;
}

int outline_read(const char *dir, struct plan **out, struct err *err)
{
    int rc = -1, n = 0;
    size_t bytes = 0;
    char path[PATH_MAX], *text = NULL, (*ids)[TASK_ID] = NULL;
    struct plan *plan = NULL;
    if (fs_path(path, sizeof path, err, "%s/journal.jsonl", dir) != 0 || fs_read(path, &text, &bytes, err) != 0)
        return -1;
    ids = read_ids(text, bytes, &n, err);
    plan = ids != NULL ? mem_alloc(1, sizeof *plan, err) : NULL;
    if (plan == NULL)
        goto out;
    plan->tasks = mem_alloc((size_t)(n > 0 ? n : 1), sizeof *plan->tasks, err);
    if (plan->tasks == NULL)
        goto out;
    for (; plan->n_tasks < n; plan->n_tasks++) {
        struct plan_task *t = &plan->tasks[plan->n_tasks];
        memcpy(t->id, ids[plan->n_tasks], sizeof t->id);
        t->kind = &unknown;
        t->cost = 1;
        t->name = mem_strdup(t->id, err);
        if (t->name == NULL)
            goto out;
        t->name[12] = '\0';
    }
    *out = plan;
    plan = NULL;
    rc = 0;
out:
    plan_destroy(plan);
    mem_free(ids);
    mem_free(text);
    return rc;
}
