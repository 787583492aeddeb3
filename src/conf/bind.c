/* A group of the config against option tables: the one place where unknown keys,
 * wrong types and values out of bounds are found. */
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "conf/internal.h"

enum { NAMES_MAX = 512 };

static const struct option *find(const struct option *const *tables, int n_tables, const char *name)
{
    for (int i = 0; i < n_tables; i++) {
        const struct option *o = option_find(tables[i], name);
        if (o != NULL)
            return o;
    }
    return NULL;
}

static bool is_extra(const char *const *extra, const char *name)
{
    for (; extra != NULL && *extra != NULL; extra++)
        if (strcmp(*extra, name) == 0)
            return true;
    return false;
}

static void unknown(struct conf *conf, const struct conf_node *child, const struct option *const *tables, int n_tables,
                    const char *const *extra)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; extra != NULL && *extra != NULL && n < NAMES_MAX; extra++)
        names[n++] = *extra;
    for (int i = 0; i < n_tables; i++)
        for (const struct option *o = tables[i]; o->name != NULL && n < NAMES_MAX; o++)
            names[n++] = o->name;
    char hint[NAMES_HINT];
    conf_error(conf, child, "unknown option \"%s\"%s", child->name, names_suggest(child->name, names, n, hint));
}

/* One option from `value` (NULL: its default) into the object (NULL: nowhere), through a table of that one row. */
static int bind_one(const struct option *o, const cJSON *value, cJSON *object, struct err *err)
{
    struct option table[2] = { *o, { .name = NULL } };
    union option_any any;
    table[0].offset = 0;
    cJSON *holder = cJSON_CreateObject();
    if (holder == NULL)
        return err_set(err, "out of memory");
    int rc = value != NULL && !cJSON_AddItemReferenceToObject(holder, o->name, (cJSON *)value)
                 ? err_set(err, "out of memory") /* not its default in the place of what was given */
                 : options_from_json(table, holder, &any, err);
    if (rc == 0 && object != NULL)
        rc = options_to_json(table, &any, object, err);
    cJSON_Delete(holder);
    return rc;
}

static int bind_child(struct conf *conf, const struct option *o, const struct conf_node *child, cJSON *object)
{
    struct err err;
    if (child->type == CONF_LIST && child->n == 0 && !option_is_list(o)) {
        conf_error(conf, child, "%s is an empty list: nothing would be done", o->name);
        return -1;
    }
    if (child->type == CONF_INT && (child->value.integer > (1LL << 53) || child->value.integer < -(1LL << 53))) {
        conf_error(conf, child, "%s is too large an integer: at most 2^53", o->name);
        return -1;
    }
    cJSON *value = node_json(child);
    int rc = value == NULL ? err_set(&err, "out of memory") : bind_one(o, value, object, &err);
    if (rc != 0)
        conf_error(conf, child, "%s", err.text);
    cJSON_Delete(value);
    return rc;
}

int conf_bind(struct conf *conf, const struct conf_node *group, const struct option *const *tables, int n_tables,
              const char *const *extra, cJSON *object)
{
    int rc = 0;
    struct err err;
    if (group->type != CONF_GROUP) {
        conf_error(conf, group, "%s must be a group { }, not %s", group->name == NULL ? "this" : group->name,
                   conf_type_name(group));
        return -1;
    }
    for (int i = 0; i < group->n; i++) {
        const struct conf_node *child = group->children[i];
        const struct option *o = find(tables, n_tables, child->name);
        if (is_extra(extra, child->name))
            continue;
        if (o == NULL) {
            unknown(conf, child, tables, n_tables, extra);
            rc = -1;
        } else if (bind_child(conf, o, child, object) != 0) {
            rc = -1;
        }
    }
    for (int i = 0; object != NULL && i < n_tables; i++)
        for (const struct option *o = tables[i]; o->name != NULL; o++) {
            if (conf_child(group, o->name) != NULL || find(tables, n_tables, o->name) != o)
                continue;
            if (bind_one(o, NULL, object, &err) != 0) {
                conf_error(conf, group, "%s", err.text);
                rc = -1;
            }
        }
    return rc;
}
