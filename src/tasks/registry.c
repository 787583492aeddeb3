/* The table of task kinds, and what every kind needs of its context. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "tasks/task.h"

#define TASK(name) extern const struct task_kind task_kind_##name;
#include "tasks/tasks.def"
#undef TASK

#define TASK(name) &task_kind_##name,
const struct task_kind *const task_kinds[] = {
#include "tasks/tasks.def"
    NULL,
};
#undef TASK

const struct task_kind *task_kind_find(const char *name)
{
    for (int i = 0; task_kinds[i] != NULL; i++)
        if (strcmp(task_kinds[i]->name, name) == 0)
            return task_kinds[i];
    return NULL;
}

int task_kind_tables(const struct task_kind *kind, const cJSON *block, const struct option **tables, int max,
                     struct err *err)
{
    if (kind->tables != NULL)
        return kind->tables(block, tables, max, err);
    tables[0] = kind->options;
    return kind->options == NULL ? 0 : 1;
}

const struct task_input *task_input(const struct task_context *ctx, const char *role)
{
    for (int i = 0; i < ctx->n_inputs; i++)
        if (strcmp(ctx->inputs[i].role, role) == 0)
            return &ctx->inputs[i];
    return NULL;
}

const struct task_extent *task_sizing_input(const struct task_sizing *s, const char *role)
{
    static const struct task_extent none;
    for (int i = 0; i < s->n_inputs; i++)
        if (strcmp(s->roles[i], role) == 0)
            return s->inputs[i];
    return &none;
}

int task_path(const char *dir, const char *id, const char *suffix, char out[PATH_MAX], struct err *err)
{
    return fs_path(out, PATH_MAX, err, "%s/tasks/%s%s", dir, id, suffix);
}
