/* libconfig's settings become nodes that know where they were written. */
#include <libconfig.h>

#include "base/mem.h"
#include "conf/internal.h"

struct source_line source_origin(const struct source *source, const char *file, int n)
{
    if (source == NULL || source->n_lines == 0)
        return (struct source_line){ file, 0 };
    return source->lines[n < 1 ? 0 : n > source->n_lines ? source->n_lines - 1 : n - 1];
}

static int convert_scalar(const config_setting_t *s, struct conf_node *node, struct err *err)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
        node->value.integer = config_setting_get_int(s);
        return 0;
    case CONFIG_TYPE_INT64:
        node->value.integer = config_setting_get_int64(s);
        return 0;
    case CONFIG_TYPE_FLOAT:
        node->value.real = config_setting_get_float(s);
        return 0;
    case CONFIG_TYPE_BOOL:
        node->value.boolean = config_setting_get_bool(s);
        return 0;
    default:
        node->value.string = mem_strdup(config_setting_get_string(s), err);
        return node->value.string == NULL ? -1 : 0;
    }
}

static enum conf_type node_type(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_GROUP:
        return CONF_GROUP;
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        return CONF_LIST;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return CONF_INT;
    case CONFIG_TYPE_FLOAT:
        return CONF_FLOAT;
    case CONFIG_TYPE_BOOL:
        return CONF_BOOL;
    default:
        return CONF_STRING;
    }
}

struct conf_node *node_convert(const struct config_setting_t *s, const struct source *source, const char *file,
                               struct err *err)
{
    struct source_line at = source_origin(source, file, (int)config_setting_source_line(s));
    struct conf_node *node = node_create(node_type(s), config_setting_name(s), at.file, at.line, err);
    if (node == NULL)
        return NULL;
    if (node->type != CONF_GROUP && node->type != CONF_LIST) {
        if (convert_scalar(s, node, err) == 0)
            return node;
        node_destroy(node);
        return NULL;
    }
    for (int i = 0; i < config_setting_length(s); i++) {
        struct conf_node *child = node_convert(config_setting_get_elem(s, (unsigned)i), source, file, err);
        if (child == NULL || node_append(node, child, err) != 0) {
            node_destroy(child);
            node_destroy(node);
            return NULL;
        }
    }
    return node;
}

struct conf_node *node_parse_value(const char *name, const char *text, const char *file, struct err *err)
{
    struct conf_node *node = NULL;
    config_t config;
    config_init(&config);
    char *wrapped = mem_printf(err, "v = %s;\n", text);
    if (wrapped == NULL)
        goto out;
    config_setting_t *root = config_read_string(&config, wrapped) ? config_root_setting(&config) : NULL;
    if (root != NULL && config_setting_length(root) == 1) {
        node = node_convert(config_setting_get_elem(root, 0), NULL, file, err);
        if (node != NULL) {
            mem_free(node->name);
            node->name = NULL;
        }
    } else {
        node = node_create(CONF_STRING, NULL, file, 0, err);
        if (node != NULL)
            node->value.string = mem_strdup(text, err);
    }
    if (node != NULL && name != NULL)
        node->name = mem_strdup(name, err);
    if (node != NULL &&
        ((name != NULL && node->name == NULL) || (node->type == CONF_STRING && node->value.string == NULL))) {
        node_destroy(node);
        node = NULL;
    }
out:
    mem_free(wrapped);
    config_destroy(&config);
    return node;
}
