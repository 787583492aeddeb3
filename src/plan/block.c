/* What all blocks of a campaign share: sweeping, binding, paths, messages. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "conf/number.h"
#include "plan/internal.h"

enum { TABLES_MAX = 16, KEEP_MAX = 128 };

void unknown_name(struct builder *b, const struct conf_node *node, const char *what, const char *name,
                  const char *const *names, int n)
{
    char hint[NAMES_HINT];
    conf_error(b->conf, node, "there is no %s \"%s\"%s", what, name, names_suggest(name, names, (size_t)n, hint));
}

const char *group_string(struct builder *b, const struct conf_node *group, const char *key, bool required)
{
    const struct conf_node *node = conf_child(group, key);
    if (node == NULL) {
        if (required)
            conf_error(b->conf, group, "%s is missing", key);
        return NULL;
    }
    if (node->type != CONF_STRING) {
        conf_error(b->conf, node, "%s must be a string", key);
        return NULL;
    }
    if (node->value.string[0] == 0 || strlen(node->value.string) >= OPTION_NAME) {
        conf_error(b->conf, node, "%s must have 1 to %d characters", key, (int)OPTION_NAME - 1);
        return NULL;
    }
    return node->value.string;
}

void scalar_text(const struct conf_node *node, char *out, size_t size)
{
    char number[NUMBER_TEXT];
    switch (node->type) {
    case CONF_STRING:
        snprintf(out, size, "%s", node->value.string);
        break;
    case CONF_BOOL:
        snprintf(out, size, "%s", node->value.boolean ? "true" : "false");
        break;
    case CONF_INT:
        snprintf(out, size, "%lld", (long long)node->value.integer);
        break;
    case CONF_FLOAT:
        number_print(node->value.real, number);
        snprintf(out, size, "%s", number);
        break;
    case CONF_LIST:
    case CONF_GROUP:
        snprintf(out, size, "%d", node->n);
    }
}

int resolve_path(struct builder *b, const struct conf_node *group, const char *key, cJSON *params)
{
    const struct conf_node *node = conf_child(group, key);
    cJSON *value = cJSON_GetObjectItemCaseSensitive(params, key);
    if (node == NULL || !cJSON_IsString(value) || value->valuestring[0] == 0 || value->valuestring[0] == '/')
        return 0;
    const char *slash = node->line > 0 ? strrchr(node->file, '/') : NULL;
    if (slash == NULL)
        return 0;
    char *full = mem_printf(b->err, "%.*s/%s", (int)(slash - node->file), node->file, value->valuestring);
    if (full == NULL)
        return -1;
    if (strlen(full) >= OPTION_TEXT)
        conf_error(b->conf, node, "the path is longer than %d characters", (int)OPTION_TEXT - 1);
    bool set = cJSON_SetValuestring(value, full) != NULL;
    mem_free(full);
    return set ? 0 : err_set(b->err, "out of memory");
}

cJSON *kind_params(const struct task_kind *kind, const cJSON *from, struct err *err)
{
    const struct option *tables[TABLES_MAX];
    cJSON *params = cJSON_CreateObject(), *empty = cJSON_CreateObject();
    int n = params == NULL || empty == NULL
                ? err_set(err, "out of memory")
                : task_kind_tables(kind, from == NULL ? empty : from, tables, TABLES_MAX, err);
    for (int i = 0; i < n; i++) {
        void *options = mem_alloc(1, options_bytes(tables[i]), err);
        if (options == NULL || options_from_json(tables[i], from, options, err) != 0 ||
            options_to_json(tables[i], options, params, err) != 0)
            n = -1;
        mem_free(options);
    }
    cJSON_Delete(empty);
    if (n >= 0)
        return params;
    cJSON_Delete(params);
    return NULL;
}

/* JSON of the scalars of a group: a list is represented by its first element. */
static cJSON *preview(const struct conf_node *group)
{
    cJSON *o = cJSON_CreateObject();
    for (int i = 0; o != NULL && i < group->n; i++) {
        const struct conf_node *child = group->children[i];
        const struct conf_node *v = child->type == CONF_LIST && child->n > 0 ? child->children[0] : child;
        if (v->type == CONF_STRING && cJSON_AddStringToObject(o, child->name, v->value.string) == NULL) {
            cJSON_Delete(o);
            return NULL;
        }
    }
    return o;
}

static bool listed(const char *const *names, const char *name)
{
    for (; names != NULL && *names != NULL; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

/* The tables that `group`'s names (of losses, ...) select; their number, or -1. */
static int select_tables(struct builder *b, const struct conf_node *group, const struct task_kind *kind,
                         const struct option **tables)
{
    cJSON *block = preview(group);
    if (block == NULL)
        return err_set(b->err, "out of memory");
    int n = task_kind_tables(kind, block, tables, TABLES_MAX, b->err);
    cJSON_Delete(block);
    return n;
}

/* Beyond the limit, options would sweep or pass that must not: no block may have so many. */
static int too_many(struct builder *b)
{
    return err_set(b->err, "a block has %d lists or more", (int)KEEP_MAX);
}

/* Names that do not sweep: `keep` and list-typed options of the selected tables, into out. */
static int collect_keep(struct builder *b, const struct conf_node *group, const struct task_kind *kind,
                        const char *const *keep, const char *out[KEEP_MAX + 1])
{
    const struct option *tables[TABLES_MAX];
    int n = 0, n_tables = select_tables(b, group, kind, tables);
    if (n_tables < 0)
        return -1;
    for (; keep != NULL && *keep != NULL && n < KEEP_MAX; keep++)
        out[n++] = *keep;
    for (int i = 0; i < n_tables; i++)
        for (const struct option *o = tables[i]; o->name != NULL && n < KEEP_MAX; o++)
            if (option_is_list(o))
                out[n++] = o->name;
    out[n] = NULL;
    return n == KEEP_MAX ? too_many(b) : 0;
}

/* A list of strings chooses (a loss, an architecture, a set): those are expanded
 * first, since the other options' tables depend on them. The rest is kept. */
static int keep_others(struct builder *b, const struct conf_node *group, const char *keep[KEEP_MAX + 1])
{
    int n = 0;
    while (keep[n] != NULL)
        n++;
    for (int i = 0; i < group->n && n < KEEP_MAX; i++) {
        const struct conf_node *child = group->children[i];
        bool strings = child->type == CONF_LIST;
        for (int k = 0; strings && k < child->n; k++)
            strings = child->children[k]->type == CONF_STRING;
        if (child->type == CONF_LIST && !strings)
            keep[n++] = child->name;
    }
    keep[n] = NULL;
    return n == KEEP_MAX ? too_many(b) : 0;
}

static void add_suffix(const struct conf_node *original, const struct conf_node *expanded, const char *const *quiet,
                       char *out, size_t size)
{
    for (int i = 0; i < original->n; i++) {
        const struct conf_node *child = original->children[i];
        if (child->type != CONF_LIST || expanded->children[i]->type == CONF_LIST || listed(quiet, child->name))
            continue;
        char value[OPTION_NAME];
        size_t used = strlen(out);
        scalar_text(expanded->children[i], value, sizeof value);
        snprintf(out + used, size - used, ".%s", value);
    }
}

struct complaint_place {
    struct builder *b;
    const struct conf_node *group, *budget;
};

static void complain_at(void *arg, const char *key, const char *other, const char *text)
{
    const struct complaint_place *at = arg;
    const struct conf_node *node = conf_child(at->group, key);
    if (at->budget != NULL && strcmp(key, "budgets") == 0)
        node = at->budget;
    if (node == NULL && other != NULL)
        node = conf_child(at->group, other);
    conf_error(at->b->conf, node != NULL ? node : at->group, "%s", text);
}

void kind_check(struct builder *b, const struct task_kind *kind, const struct conf_node *group,
                const struct conf_node *budget, const struct task_facts *facts)
{
    struct complaint_place at = { b, group, budget };
    const struct complaints to = { complain_at, &at };
    if (kind->check != NULL)
        kind->check(facts, &to);
}

/* What belongs elsewhere is said here, and left out of the binding by the names in
 * `skip`: `extra` and those. Their number, or -1. */
static int find_misplaced(struct builder *b, const struct conf_node *group, const struct task_kind *kind,
                          const struct option *const *tables, int n_tables, const char *const *extra,
                          const char *skip[KEEP_MAX + 1])
{
    int n = 0, n_misplaced = 0;
    for (; extra != NULL && *extra != NULL && n < KEEP_MAX; extra++)
        skip[n++] = *extra;
    skip[n] = NULL;
    for (int i = 0; kind->elsewhere != NULL && i < group->n && n < KEEP_MAX; i++) {
        const struct conf_node *child = group->children[i];
        bool own = listed(skip, child->name);
        for (int k = 0; k < n_tables; k++)
            own = own || option_find(tables[k], child->name) != NULL;
        const char *where = own ? NULL : kind->elsewhere(child->name);
        if (where == NULL)
            continue;
        conf_error(b->conf, child, "%s does not belong here: %s", child->name, where);
        skip[n++] = child->name;
        skip[n] = NULL;
        n_misplaced++;
    }
    return n == KEEP_MAX ? too_many(b) : n_misplaced;
}

static int bind_expansion(struct builder *b, const struct conf_node *original, const struct conf_node *group,
                          const struct task_kind *kind, const char *const *extra, const char *const *quiet,
                          struct expansions *out)
{
    const char *skip[KEEP_MAX + 1];
    const struct option *tables[TABLES_MAX];
    int n_tables = select_tables(b, group, kind, tables);
    if (n_tables < 0)
        return -1;
    struct expansion *e = &out->items[out->n];
    *e = (struct expansion){ .group = group, .params = cJSON_CreateObject() };
    if (e->params == NULL)
        return err_set(b->err, "out of memory");
    add_suffix(original, group, quiet, e->suffix, sizeof e->suffix);
    int misplaced = find_misplaced(b, group, kind, tables, n_tables, extra, skip);
    if (misplaced < 0) {
        cJSON_Delete(e->params);
        return -1;
    }
    bool bound = conf_bind(b->conf, group, tables, n_tables, skip, e->params) == 0;
    const struct task_facts facts = { .params = e->params };
    kind_check(b, kind, group, NULL, &facts);
    if (bound && misplaced == 0)
        out->n++;
    else
        cJSON_Delete(e->params);
    return 0;
}

/* Keeps the sweep (it owns groups) in `out`; NULL: no memory. Too long lists have been reported. */
static struct conf_sweep *sweep_into(struct builder *b, const struct conf_node *group, const char *const *keep,
                                     struct expansions *out)
{
    struct conf_sweep *grown =
        mem_grow(out->sweeps, (size_t)out->n_sweeps, (size_t)out->n_sweeps + 1, sizeof *grown, b->err);
    if (grown == NULL)
        return NULL;
    out->sweeps = grown;
    struct conf_sweep *s = &out->sweeps[out->n_sweeps];
    int before = b->conf->n_errors;
    if (conf_sweep(b->conf, group, keep, s, b->err) != 0 && b->conf->n_errors == before)
        return NULL;
    out->n_sweeps++;
    return s;
}

static int expand_second(struct builder *b, const struct conf_node *original, const struct conf_node *group,
                         const struct task_kind *kind, const char *const *extra, const char *const *keep,
                         const char *const *quiet, struct expansions *out)
{
    const char *names[KEEP_MAX + 1];
    if (collect_keep(b, group, kind, keep, names) != 0)
        return -1;
    struct conf_sweep *s = sweep_into(b, group, names, out);
    if (s == NULL)
        return -1;
    int n = s->n;
    struct conf_node **groups = s->groups;
    struct expansion *items = mem_grow(out->items, (size_t)out->n, (size_t)out->n + (size_t)n, sizeof *items, b->err);
    if (items == NULL)
        return -1;
    out->items = items;
    for (int i = 0; i < n; i++)
        if (bind_expansion(b, original, groups[i], kind, extra, quiet, out) != 0)
            return -1;
    return 0;
}

int block_expand(struct builder *b, const struct conf_node *group, const struct task_kind *kind,
                 const char *const *extra, const char *const *keep, const char *const *quiet, struct expansions *out)
{
    const char *names[KEEP_MAX + 1];
    *out = (struct expansions){ 0 };
    if (group->type != CONF_GROUP) {
        conf_error(b->conf, group, "%s must be a group { }", group->name == NULL ? "this" : group->name);
        return 0;
    }
    if (collect_keep(b, group, kind, keep, names) != 0 || keep_others(b, group, names) != 0)
        return -1;
    struct conf_sweep *s = sweep_into(b, group, names, out);
    if (s == NULL)
        return -1;
    int n = s->n;
    struct conf_node **groups = s->groups; /* stay where they are when `sweeps` grows */
    for (int i = 0; i < n; i++)
        if (expand_second(b, group, groups[i], kind, extra, keep, quiet, out) != 0)
            return -1;
    return 0;
}

int bind_own(struct builder *b, const struct conf_node *group, const struct option *table, const char *const *extra,
             cJSON *object)
{
    int n = 0, rc;
    struct conf_node **children = mem_alloc((size_t)group->n, sizeof *children, b->err);
    if (children == NULL)
        return -1;
    for (int i = 0; i < group->n; i++)
        if (option_find(table, group->children[i]->name) != NULL)
            children[n++] = group->children[i];
    struct conf_node own = *group;
    own.children = children;
    own.n = n;
    rc = conf_bind(b->conf, &own, &table, 1, extra, object) == 0 ? 1 : 0;
    mem_free(children);
    return rc;
}

void expansions_fini(struct expansions *e)
{
    for (int i = 0; i < e->n; i++)
        cJSON_Delete(e->items[i].params);
    for (int i = e->n_sweeps - 1; i >= 0; i--)
        conf_sweep_free(&e->sweeps[i]);
    mem_free(e->items);
    mem_free(e->sweeps);
    *e = (struct expansions){ 0 };
}
