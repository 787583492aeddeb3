/* The `steal` block: thefts, and one set of stored victim answers for all that
 * ask the same victim about the same images in the same way. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "plan/internal.h"
#include "tasks/query.h"

/* Keys of a steal block that are not options of the training. */
static const char *const own_keys[] = { "victim", "queries", "budgets", "query", "name", NULL };

/* Answers that are wanted, however many: the identity without the budget is the key. */
struct query {
    cJSON *params;         /* budget as large as any theft wants */
    int victim, set, task; /* encoder entry, set, task once it is added */
    int64_t budget;
    uint32_t *members; /* (images) entry k: of the first k + 1 queries, in the victim's training set; or NULL */
    char suffix[256];
    const struct conf_node *node;
};

struct theft {
    int query;
    int64_t budget;
    cJSON *params;
    char *name, *base;
    const struct conf_node *node;
};

struct thefts {
    struct builder *b;
    struct query *queries;
    struct theft *items;
    int n_queries, max_queries, n, max;
    struct table known; /* query identity -> index */
};

/* What one combination of a block's lists says, before sets and victims are looked up. */
struct combination {
    const struct expansion *train, *query;
    const struct conf_node *node;
    const char *name; /* of the block; NULL */
    const char *query_suffix;
};

/* The elements of a list, or the scalar itself as a list of one; a key that is missing has none. */
static int elements(const struct conf_node *node)
{
    return node == NULL ? 0 : node->type == CONF_LIST ? node->n : 1;
}

static const struct conf_node *element(const struct conf_node *node, int i)
{
    return node->type == CONF_LIST ? node->children[i] : node;
}

/* `items` with room for one more than n; NULL without memory, and `items` stays valid. */
static void *with_room(void *items, int n, int *max, size_t size, struct err *err)
{
    if (n < *max)
        return items;
    int more = 2 * *max + 16;
    void *grown = mem_grow(items, (size_t)n, (size_t)more, size, err);
    if (grown != NULL)
        *max = more;
    return grown;
}

/* Index of the query with this identity; added if it is new. `params` is taken over. */
static int want_query(struct thefts *t, const struct combination *c, cJSON *params, int victim, int set, int64_t budget,
                      int *query)
{
    struct builder *b = t->b;
    struct identity identity;
    char id[TASK_ID];
    struct task_draft draft = { .kind = task_kind_find("query"),
                                .params = params,
                                .set = set,
                                .budget_free = "budget",
                                .trial = b->encoders[victim].trial < 0 ? 0 : b->encoders[victim].trial,
                                .seeded = true,
                                .n_inputs = 1,
                                .inputs = { { "victim", b->encoders[victim].task } },
                                .node = c->node };
    struct query *queries = graph_identity(b, &draft, &identity, id) != 0
                                ? NULL
                                : with_room(t->queries, t->n_queries, &t->max_queries, sizeof *t->queries, b->err);
    if (queries == NULL) {
        cJSON_Delete(params);
        return -1;
    }
    t->queries = queries;
    *query = table_find(&t->known, identity.full);
    if (*query >= 0) {
        cJSON_Delete(params);
        if (t->queries[*query].budget < budget)
            t->queries[*query].budget = budget;
        return 0;
    }
    *query = t->n_queries++;
    struct query *q = &t->queries[*query];
    *q =
        (struct query){ .params = params, .victim = victim, .set = set, .task = -1, .budget = budget, .node = c->node };
    snprintf(q->suffix, sizeof q->suffix, "%s", c->query_suffix);
    return table_add(&t->known, identity.full, *query, b->err);
}

/* Parameters of a theft: its own options, the budget, and how the victim was asked. */
static cJSON *theft_params(struct thefts *t, const struct combination *c, int query, int64_t budget)
{
    struct err *err = t->b->err;
    cJSON *params = cJSON_Duplicate(c->train->params, true);
    cJSON *how = cJSON_Duplicate(t->queries[query].params, true);
    if (params == NULL || how == NULL) {
        err_set(err, "out of memory");
        goto failed;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(how, "budget");
    cJSON_DeleteItemFromObjectCaseSensitive(how, "dataset");
    cJSON_DeleteItemFromObjectCaseSensitive(how, "batch");
    cJSON_DeleteItemFromObjectCaseSensitive(params, "query");
    if (set_number(params, "budget", (double)budget, err) != 0)
        goto failed;
    if (!cJSON_AddItemToObject(params, "query", how)) {
        err_set(err, "out of memory");
        goto failed;
    }
    if (resolve_path(t->b, c->train->group, "init", params) == 0)
        return params;
    cJSON_Delete(params);
    return NULL;
failed:
    cJSON_Delete(how);
    cJSON_Delete(params);
    return NULL;
}

/* What is wrong with a theft of these parameters, now that its victim and budget are known. */
static void check_theft(struct thefts *t, const struct combination *c, int victim, const struct conf_node *budget)
{
    struct builder *b = t->b;
    const struct task_facts facts = { .params = c->train->params,
                                      .images = budget->value.integer,
                                      .victim = b->plan->tasks[b->encoders[victim].task].params };
    kind_check(b, task_kind_find("steal"), c->train->group, budget, &facts);
}

static int add_theft(struct thefts *t, const struct combination *c, int victim, int set, int64_t budget)
{
    struct builder *b = t->b;
    int query;
    const struct encoder_entry *v = &b->encoders[victim];
    char trial[24] = "";
    cJSON *query_params = cJSON_Duplicate(c->query->params, true);
    if (query_params == NULL)
        return err_set(b->err, "out of memory");
    if (set_number(query_params, "budget", (double)budget, b->err) != 0) {
        cJSON_Delete(query_params);
        return -1;
    }
    struct theft *items = want_query(t, c, query_params, victim, set, budget, &query) != 0
                              ? NULL
                              : with_room(t->items, t->n, &t->max, sizeof *t->items, b->err);
    if (items == NULL)
        return -1;
    t->items = items;
    if (v->trial >= 0 && b->plan->campaign.trials > 1)
        snprintf(trial, sizeof trial, ".t%d", v->trial);
    size_t stem = strlen(v->name) - strlen(trial); /* the trial goes to the end */
    const cJSON *loss = cJSON_GetObjectItemCaseSensitive(c->train->params, "loss");
    struct theft *item = &t->items[t->n];
    *item = (struct theft){ .query = query, .budget = budget, .node = c->node };
    item->params = theft_params(t, c, query, budget);
    item->base = mem_printf(b->err, "%.*s.%s.%lld.%s%s%s%s%s", (int)stem, v->name, b->sets[set].name, (long long)budget,
                            cJSON_IsString(loss) ? loss->valuestring : "none", c->train->suffix, c->query_suffix,
                            c->name == NULL ? "" : ".", c->name == NULL ? "" : c->name);
    item->name = item->base == NULL ? NULL : mem_printf(b->err, "%s%s", item->base, trial);
    t->n++;
    return item->params == NULL || item->name == NULL ? -1 : 0;
}

/* By this name a config means the encoder: by its own in every trial, or by that of the block that a list has made
 * several encoders of. A thief is no victim. */
static bool is_called(const struct builder *b, const struct encoder_entry *e, const char *name)
{
    const char *trial = e->trial >= 0 && b->plan->campaign.trials > 1 ? strrchr(e->name, '.') : NULL;
    const size_t n = trial != NULL ? (size_t)(trial - e->name) : strlen(e->name);
    return e->victim < 0 && (strcmp(e->base, name) == 0 || (strlen(name) == n && strncmp(e->name, name, n) == 0));
}

/* Every trial's victim of this name, with this set, under every budget. */
static int add_victim(struct thefts *t, const struct combination *c, const struct conf_node *victim, int set,
                      const struct conf_node *budgets)
{
    struct builder *b = t->b;
    const char *name = victim->value.string;
    for (int v = 0; v < b->n_encoders; v++) {
        const struct encoder_entry *e = &b->encoders[v];
        if (!is_called(b, e, name))
            continue;
        const struct task_facts facts = { .params = c->query->params, .images = b->sets[set].shape.n };
        check_square(b, set);
        kind_check(b, task_kind_find("query"), c->query->group, NULL, &facts);
        if (check_disjoint(b, c->node, set, e->heldout,
                           "a thief that trains on held-out images would be told apart by them") != 0)
            return -1;
        for (int i = 0; i < elements(budgets); i++) {
            const struct conf_node *budget = element(budgets, i);
            if (budget->type != CONF_INT || budget->value.integer < 1 || budget->value.integer > b->sets[set].shape.n)
                continue; /* said by check_budgets */
            check_theft(t, c, v, budget);
            if (add_theft(t, c, v, set, budget->value.integer) != 0)
                return -1;
        }
    }
    return 0;
}

/* set -1: as far as they can be checked without it. */
static void check_budgets(struct builder *b, const struct conf_node *budgets, int set)
{
    for (int i = 0; i < elements(budgets); i++) {
        const struct conf_node *budget = element(budgets, i);
        if (budget->type != CONF_INT || budget->value.integer < 1)
            conf_error(b->conf, budget, "a budget is a number of images, an integer of at least 1");
        else if (set >= 0 && budget->value.integer > b->sets[set].shape.n)
            conf_error(b->conf, budget, "a budget of %lld images is more than query set \"%s\" has: %lld",
                       (long long)budget->value.integer, b->sets[set].name, (long long)b->sets[set].shape.n);
    }
}

static bool check_victim(struct builder *b, const struct conf_node *victim)
{
    const char *names[256];
    int n = 0;
    if (victim->type != CONF_STRING) {
        conf_error(b->conf, victim, "victim must be the name of an encoder");
        return false;
    }
    for (int i = 0; i < b->n_encoders; i++) {
        const struct encoder_entry *e = &b->encoders[i];
        if (is_called(b, e, victim->value.string)) {
            if (strcmp(e->role, "victim") == 0)
                return true;
            conf_error(b->conf, victim, "encoder \"%s\" is no victim: its role is %s", victim->value.string, e->role);
            return false;
        }
        if (n < 256 && strcmp(e->role, "victim") == 0 && e->victim < 0)
            names[n++] = e->base;
    }
    const struct conf_node *block = conf_child(b->conf->root, "encoders");
    for (int i = 0; block != NULL && i < block->n; i++) {
        const struct conf_node *name = conf_child(block->children[i], "name");
        if (name != NULL && name->type == CONF_STRING && strcmp(name->value.string, victim->value.string) == 0)
            return false; /* of a broken encoder everything is said already */
    }
    unknown_name(b, victim, "victim", victim->value.string, names, n);
    return false;
}

/* All of one block, given its expanded trainings and queries. */
static int combine(struct thefts *t, const struct conf_node *node, const struct expansions *trains,
                   const struct expansions *queries)
{
    struct builder *b = t->b;
    const struct conf_node *victims = conf_child(node, "victim"), *sets = conf_child(node, "queries"),
                           *budgets = conf_child(node, "budgets");
    const char *name = conf_child(node, "name") == NULL ? NULL : group_string(b, node, "name", true);
    for (int v = 0; v < elements(victims); v++)
        check_victim(b, element(victims, v)); /* whatever becomes of the sets */
    check_budgets(b, budgets, -1);
    for (int k = 0; k < elements(sets); k++) {
        int set = -1;
        const struct conf_node *set_node = element(sets, k);
        if (set_node->type != CONF_STRING)
            conf_error(b->conf, set_node, "queries must be names of data sets");
        else if (set_find(b, set_node, set_node->value.string, &set) != 0)
            return -1;
        if (set < 0)
            continue;
        int64_t unique;
        if (sets_common(b, set, set, &unique) != 0)
            return -1;
        if (unique < b->sets[set].shape.n)
            conf_error(b->conf, set_node, "\"%s\" repeats images, but a budget counts unique ones", b->sets[set].name);
        check_budgets(b, budgets, set);
        for (int v = 0; v < elements(victims); v++) {
            const struct conf_node *victim = element(victims, v);
            if (!check_victim(b, victim))
                continue;
            for (int i = 0; i < trains->n; i++)
                for (int q = 0; q < queries->n; q++) {
                    struct combination c = { .train = &trains->items[i],
                                             .query = &queries->items[q],
                                             .node = node,
                                             .name = name,
                                             .query_suffix = queries->items[q].suffix };
                    if (add_victim(t, &c, victim, set, budgets) != 0)
                        return -1;
                }
        }
    }
    return 0;
}

/* Victim, queries and budgets must be there. */
static void check_complete(struct builder *b, const struct conf_node *node)
{
    for (int i = 0; i < 3; i++) {
        const struct conf_node *key = conf_child(node, own_keys[i]);
        if (elements(key) == 0)
            conf_error(b->conf, key != NULL ? key : node, "%s is %s: a theft needs victim, queries and budgets",
                       own_keys[i], key != NULL ? "empty" : "missing");
    }
}

static int load_block(struct thefts *t, const struct conf_node *node)
{
    static const char *const quiet[] = { "loss", NULL };
    struct builder *b = t->b;
    if (node->type != CONF_GROUP) {
        conf_error(b->conf, node, "a theft is a group { victim = ...; queries = ...; budgets = ...; }");
        return 0;
    }
    const struct conf_node none = { .type = CONF_GROUP, .file = node->file, .line = node->line };
    const struct conf_node *query = conf_child(node, "query") != NULL ? conf_child(node, "query") : &none;
    check_complete(b, node);
    struct expansions trains, queries = { 0 };
    int rc = block_expand(b, node, task_kind_find("steal"), own_keys, own_keys, quiet, &trains);
    if (rc == 0)
        rc = block_expand(b, query, task_kind_find("query"), NULL, NULL, quiet, &queries);
    if (rc == 0)
        rc = combine(t, node, &trains, &queries);
    expansions_fini(&trains);
    expansions_fini(&queries);
    return rc;
}

static int add_query_task(struct thefts *t, struct query *q)
{
    struct builder *b = t->b;
    const struct encoder_entry *v = &b->encoders[q->victim];
    char *name = mem_printf(b->err, "%s.%s%s", v->name, b->sets[q->set].name, q->suffix);
    cJSON *labels = cJSON_CreateObject();
    if (name == NULL || labels == NULL || cJSON_AddStringToObject(labels, "victim", v->name) == NULL ||
        cJSON_AddStringToObject(labels, "queries", b->sets[q->set].name) == NULL ||
        set_number(q->params, "budget", (double)q->budget, b->err) != 0) {
        cJSON_Delete(labels);
        mem_free(name);
        return err_set(b->err, "out of memory");
    }
    struct task_draft draft = { .kind = task_kind_find("query"),
                                .name = name,
                                .params = q->params,
                                .labels = labels,
                                .set = q->set,
                                .budget_free = "budget",
                                .n_inputs = 1,
                                .inputs = { { "victim", v->task } },
                                .node = q->node };
    q->params = NULL;
    int rc = graph_add(b, &draft, &q->task, NULL);
    mem_free(name);
    return rc;
}

/* How many of the first so many queries are the victim's training images. */
static int count_members(struct builder *b, struct query *q, int members)
{
    int64_t n = b->sets[q->set].shape.n;
    uint32_t *order = mem_alloc((size_t)n, sizeof *order, b->err);
    uint8_t *in = mem_alloc((size_t)n, sizeof *in, b->err);
    int rc = -1;
    q->members = mem_alloc((size_t)n, sizeof *q->members, b->err);
    if (order == NULL || in == NULL || q->members == NULL || sets_shared(b, q->set, members, in) != 0)
        goto out;
    query_order((uint64_t)json_number(b->plan->tasks[q->task].params, "seed", 0), n, order);
    for (int64_t k = 0; k < n; k++)
        q->members[k] = (k > 0 ? q->members[k - 1] : 0) + in[order[k]];
    rc = 0;
out:
    mem_free(order);
    mem_free(in);
    return rc;
}

static cJSON *theft_labels(struct thefts *t, const struct theft *item)
{
    struct builder *b = t->b;
    struct query *q = &t->queries[item->query];
    const struct encoder_entry *v = &b->encoders[q->victim];
    double overlap = 0, set_overlap = 0;
    if (v->members >= 0) {
        int64_t n = b->sets[q->set].shape.n;
        if (q->members == NULL && count_members(b, q, v->members) != 0)
            return NULL;
        overlap = (double)q->members[item->budget - 1] / (double)item->budget;
        set_overlap = (double)q->members[n - 1] / (double)n;
    }
    cJSON *o = cJSON_CreateObject();
    if (o != NULL && cJSON_AddStringToObject(o, "name", item->name) != NULL &&
        cJSON_AddStringToObject(o, "role", "thief") != NULL &&
        cJSON_AddStringToObject(o, "arch", json_text(item->params, "arch", "")) != NULL &&
        cJSON_AddStringToObject(o, "dataset", b->sets[q->set].name) != NULL &&
        cJSON_AddStringToObject(o, "loss", json_text(item->params, "loss", "")) != NULL &&
        cJSON_AddStringToObject(o, "queries", b->sets[q->set].name) != NULL &&
        cJSON_AddNumberToObject(o, "budget", (double)item->budget) != NULL &&
        cJSON_AddNumberToObject(o, "overlap", overlap) != NULL &&
        cJSON_AddNumberToObject(o, "set_overlap", set_overlap) != NULL &&
        cJSON_AddNumberToObject(o, "seed", -1) != NULL &&
        cJSON_AddNumberToObject(o, "trial", v->trial < 0 ? 0 : v->trial) != NULL)
        return o;
    err_set(b->err, "out of memory");
    cJSON_Delete(o);
    return NULL;
}

static int add_theft_task(struct thefts *t, struct theft *item, struct table *names)
{
    struct builder *b = t->b;
    const struct query *q = &t->queries[item->query];
    int task;
    bool fresh;
    cJSON *labels = theft_labels(t, item);
    if (labels == NULL)
        return -1;
    struct task_draft draft = { .kind = task_kind_find("steal"),
                                .name = item->name,
                                .params = item->params,
                                .labels = labels,
                                .set = q->set,
                                .file_key = "init",
                                .trial = b->encoders[q->victim].trial < 0 ? 0 : b->encoders[q->victim].trial,
                                .seeded = true,
                                .n_inputs = 1,
                                .inputs = { { "answers", q->task } },
                                .node = item->node };
    item->params = NULL;
    if (graph_add(b, &draft, &task, &fresh) != 0)
        return -1;
    if (!fresh)
        return 0; /* two blocks ask for the same theft */
    if (table_find(names, item->name) >= 0)
        conf_error(b->conf, item->node, "two different thefts are called \"%s\"; give this block a name = \"...\"",
                   item->name);
    label_seed(b, task);
    struct encoder_entry *e = encoder_append(b);
    if (e == NULL || table_add(names, item->name, task, b->err) != 0)
        return -1;
    e->name = item->name;
    e->base = item->name;
    e->role = "thief";
    e->node = item->node;
    e->trial = b->encoders[q->victim].trial;
    e->task = task;
    e->victim = q->victim;
    item->name = NULL;
    return 0;
}

int thefts_load(struct builder *b, const struct conf_node *block)
{
    struct thefts t = { .b = b };
    struct table names = { 0 };
    int rc = 0;
    if (block == NULL)
        return 0;
    if (block->type != CONF_LIST) {
        conf_error(b->conf, block, "steal must be a list of groups: ( { victim = ...; }, ... )");
        return 0;
    }
    for (int i = 0; rc == 0 && i < b->n_encoders; i++)
        rc = table_add(&names, b->encoders[i].name, i, b->err);
    for (int i = 0; rc == 0 && i < block->n; i++)
        rc = load_block(&t, block->children[i]);
    for (int i = 0; rc == 0 && i < t.n_queries; i++)
        rc = add_query_task(&t, &t.queries[i]);
    for (int i = 0; rc == 0 && i < t.n; i++)
        rc = add_theft_task(&t, &t.items[i], &names);
    for (int i = 0; i < t.n; i++) {
        cJSON_Delete(t.items[i].params);
        mem_free(t.items[i].name);
        mem_free(t.items[i].base);
    }
    for (int i = 0; i < t.n_queries; i++) {
        cJSON_Delete(t.queries[i].params);
        mem_free(t.queries[i].members);
    }
    mem_free(t.items);
    mem_free(t.queries);
    table_fini(&t.known);
    table_fini(&names);
    return rc;
}
