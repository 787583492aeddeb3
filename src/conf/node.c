/* Nodes of the config tree: made, joined, destroyed, told apart. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/internal.h"

struct conf_node *node_create(enum conf_type type, const char *name, const char *file, int line, struct err *err)
{
    struct conf_node *n = mem_alloc(1, sizeof *n, err);
    if (n == NULL)
        return NULL;
    n->type = type;
    n->file = file;
    n->line = line;
    if (name != NULL && (n->name = mem_strdup(name, err)) == NULL) {
        mem_free(n);
        return NULL;
    }
    return n;
}

void node_destroy(struct conf_node *node)
{
    if (node == NULL)
        return;
    for (int i = 0; i < node->n; i++)
        node_destroy(node->children[i]);
    mem_free(node->children);
    if (node->type == CONF_STRING)
        mem_free(node->value.string);
    mem_free(node->name);
    mem_free(node);
}

/* Grows by doubling; the capacity is the power of two at or above n. */
int node_append(struct conf_node *parent, struct conf_node *child, struct err *err)
{
    size_t n = (size_t)parent->n;
    if ((n & (n - 1)) == 0) {
        struct conf_node **grown = mem_grow(parent->children, n, n == 0 ? 1 : 2 * n, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        parent->children = grown;
    }
    parent->children[parent->n++] = child;
    return 0;
}

struct conf_node *conf_child(const struct conf_node *group, const char *name)
{
    for (int i = 0; group != NULL && i < group->n; i++)
        if (group->children[i]->name != NULL && strcmp(group->children[i]->name, name) == 0)
            return group->children[i];
    return NULL;
}

const char *conf_type_name(const struct conf_node *node)
{
    switch (node->type) {
    case CONF_GROUP:
        return "a group { }";
    case CONF_LIST:
        return "a list";
    case CONF_INT:
        return "an integer";
    case CONF_FLOAT:
        return "a number";
    case CONF_BOOL:
        return "a boolean";
    case CONF_STRING:
        return "a string";
    }
    return "a value";
}

cJSON *node_json(const struct conf_node *node)
{
    cJSON *v = NULL;
    switch (node->type) {
    case CONF_INT:
        return cJSON_CreateNumber((double)node->value.integer);
    case CONF_FLOAT:
        return cJSON_CreateNumber(node->value.real);
    case CONF_BOOL:
        return cJSON_CreateBool(node->value.boolean);
    case CONF_STRING:
        return cJSON_CreateString(node->value.string);
    case CONF_LIST:
    case CONF_GROUP:
        v = node->type == CONF_LIST ? cJSON_CreateArray() : cJSON_CreateObject();
        for (int i = 0; v != NULL && i < node->n; i++) {
            cJSON *e = node_json(node->children[i]);
            bool added = e != NULL && (node->type == CONF_LIST ? cJSON_AddItemToArray(v, e)
                                                               : cJSON_AddItemToObject(v, node->children[i]->name, e));
            if (!added) {
                cJSON_Delete(e);
                cJSON_Delete(v);
                return NULL;
            }
        }
    }
    return v;
}
