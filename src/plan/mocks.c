/* The `mock` block: tasks without an engine, for testing and measuring the coordinator. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "plan/blocks.h"
#include "plan/internal.h"

struct mock_block {
    int64_t count;
};
const struct option mock_block_options[] = {
    { "count", OPTION_INT, offsetof(struct mock_block, count), "1", 1, 1e6, NULL, NULL, "number of tasks" },
    OPTION_END,
};

struct mock {
    const char *name;
    int first, count; /* its tasks */
};

/* Task i of this block needs task i (modulo their number) of each earlier block in `after`. */
static int find_after(struct builder *b, const struct conf_node *node, const struct mock *mocks, int n_mocks,
                      const struct mock **after, int *n_after)
{
    const struct conf_node *list = conf_child(node, "after");
    int n = list == NULL ? 0 : list->type == CONF_LIST ? list->n : 1;
    *n_after = 0;
    if (n > TASK_INPUTS_MAX) {
        conf_error(b->conf, list, "at most %d blocks can stand in after", (int)TASK_INPUTS_MAX);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        const struct conf_node *item = list->type == CONF_LIST ? list->children[i] : list;
        const char *names[64];
        int known = -1, k = 0;
        if (item->type != CONF_STRING) {
            conf_error(b->conf, item, "after must be the name of an earlier mock block");
            return -1;
        }
        for (; k < n_mocks && k < 64; k++) {
            names[k] = mocks[k].name;
            if (strcmp(names[k], item->value.string) == 0)
                known = k;
        }
        if (known < 0) {
            unknown_name(b, item, "earlier mock block", item->value.string, names, k);
            return -1;
        }
        after[(*n_after)++] = &mocks[known];
    }
    return 0;
}

static int add_tasks(struct builder *b, const struct expansion *e, const struct mock *mock,
                     const struct mock *const *after, int n_after)
{
    for (int i = 0; i < mock->count; i++) {
        char name[OPTION_NAME + 64];
        struct task_draft draft = { .kind = task_kind_find("mock"),
                                    .name = name,
                                    .params = cJSON_Duplicate(e->params, true),
                                    .labels = cJSON_CreateObject(),
                                    .set = -1,
                                    .node = e->group };
        snprintf(name, sizeof name, "%s%.60s/%d", mock->name, e->suffix, i);
        cJSON_DeleteItemFromObjectCaseSensitive(draft.params, "index");
        if (draft.labels == NULL || cJSON_AddNumberToObject(draft.params, "index", i) == NULL ||
            cJSON_AddStringToObject(draft.params, "block", mock->name) == NULL ||
            cJSON_AddStringToObject(draft.labels, "mock", name) == NULL) {
            cJSON_Delete(draft.params);
            cJSON_Delete(draft.labels);
            return err_set(b->err, "out of memory");
        }
        for (int k = 0; k < n_after; k++) {
            draft.inputs[draft.n_inputs].role = "after";
            draft.inputs[draft.n_inputs++].task = after[k]->first + i % after[k]->count;
        }
        int task;
        if (graph_add(b, &draft, &task, NULL) != 0)
            return -1;
    }
    return 0;
}

static int load_one(struct builder *b, const struct conf_node *node, struct mock *mocks, int *n_mocks)
{
    static const char *const extra[] = { "name", "count", "after", NULL };
    static const char *const keep[] = { "after", NULL };
    const struct mock *after[TASK_INPUTS_MAX];
    struct expansions x;
    int n_after = 0, rc;
    const char *name = group_string(b, node, "name", true);
    bool good = name != NULL && find_after(b, node, mocks, *n_mocks, after, &n_after) == 0;
    for (int i = 0; good && i < *n_mocks; i++)
        if (strcmp(mocks[i].name, name) == 0) {
            conf_error(b->conf, node, "there are two mock blocks called \"%s\"", name);
            good = false;
        }
    cJSON *own = cJSON_CreateObject();
    if (own == NULL)
        return err_set(b->err, "out of memory");
    int bound = bind_own(b, node, mock_block_options, NULL, own);
    int n = bound > 0 ? (int)json_number(own, "count", 0) : 0;
    cJSON_Delete(own);
    if (bound < 0)
        return -1;
    rc = block_expand(b, node, task_kind_find("mock"), extra, keep, NULL, &x);
    struct mock mock = { .name = name, .first = b->plan->n_tasks, .count = n };
    for (int i = 0; rc == 0 && good && i < x.n; i++)
        rc = add_tasks(b, &x.items[i], &mock, after, n_after);
    mock.count = b->plan->n_tasks - mock.first;
    if (mock.count > 0)
        mocks[(*n_mocks)++] = mock;
    expansions_fini(&x);
    return rc;
}

int mocks_load(struct builder *b, const struct conf_node *block)
{
    if (block == NULL)
        return 0;
    if (block->type != CONF_LIST) {
        conf_error(b->conf, block, "mock must be a list of groups: ( { name = ...; }, ... )");
        return 0;
    }
    int n = 0, rc = 0;
    struct mock *mocks = mem_alloc((size_t)block->n, sizeof *mocks, b->err);
    if (mocks == NULL)
        return -1;
    for (int i = 0; rc == 0 && i < block->n; i++) {
        if (block->children[i]->type != CONF_GROUP)
            conf_error(b->conf, block->children[i], "a mock block is a group { name = ...; }");
        else
            rc = load_one(b, block->children[i], mocks, &n);
    }
    mem_free(mocks);
    return rc;
}
