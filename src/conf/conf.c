/* Loading: text -> libconfig -> tree with origins -> overrides -> environment. */
#include "conf/conf.h"

#include <libconfig.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/character.h"
#include "conf/internal.h"

static int append_string(char ***list, int *n, char *s, struct err *err)
{
    if (s == NULL)
        return -1;
    size_t used = (size_t)*n;
    if ((used & (used - 1)) == 0) {
        char **grown = mem_grow(*list, used, used == 0 ? 1 : 2 * used, sizeof *grown, err);
        if (grown == NULL) {
            mem_free(s);
            return -1;
        }
        *list = grown;
    }
    (*list)[(*n)++] = s;
    return 0;
}

const char *conf_keep_name(struct conf *conf, const char *name, struct err *err)
{
    return append_string(&conf->files, &conf->n_files, mem_strdup(name, err), err) != 0
               ? NULL
               : conf->files[conf->n_files - 1];
}

struct conf_mark {
    const char *file; /* one of conf->files */
    int line, column;
    uint32_t code;
};

int conf_mark(struct conf *conf, const char *file, int line, int column, uint32_t code, struct err *err)
{
    size_t n = (size_t)conf->n_marks;
    struct conf_mark *grown = mem_grow(conf->marks, n, n + 1, sizeof *grown, err);
    if (grown == NULL)
        return -1;
    conf->marks = grown;
    conf->marks[conf->n_marks++] = (struct conf_mark){ file, line, column, code };
    return 0;
}

/* "; column 7 of the line has a ..." if a name that looks right is not. */
static void add_mark(const struct conf *conf, const char *file, int line, char *out, size_t size)
{
    char name[CHARACTER_TEXT];
    for (int i = 0; i < conf->n_marks; i++) {
        const struct conf_mark *m = &conf->marks[i];
        if (m->line != line || strcmp(m->file, file) != 0)
            continue;
        character_text(m->code, name);
        snprintf(out, size, "; column %d has a %s", m->column, name);
        return;
    }
}

static void add_error(struct conf *conf, const char *file, int line, const char *format, va_list ap)
{
    char text[2048];
    int n = line > 0 ? snprintf(text, sizeof text, "%.1000s:%d: ", file, line)
                     : snprintf(text, sizeof text, "%.1000s: ", file);
    vsnprintf(text + n, sizeof text - (size_t)n, format, ap);
    add_mark(conf, file, line, text + strlen(text), sizeof text - strlen(text));
    for (int i = 0; i < conf->n_errors; i++)
        if (strcmp(conf->errors[i], text) == 0)
            return; /* a sweep meets the same mistake in every combination */
    append_string(&conf->errors, &conf->n_errors, mem_strdup(text, NULL), NULL);
}

void conf_error_at(struct conf *conf, const char *file, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add_error(conf, file, line, format, ap);
    va_end(ap);
}

void conf_error(struct conf *conf, const struct conf_node *node, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add_error(conf, node->file, node->line, format, ap);
    va_end(ap);
}

/* Where line `n` of the expanded text came from. */
static struct source_line origin(const struct source *source, const char *file, int n)
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

static struct conf_node *convert(const config_setting_t *s, const struct source *source, const char *file,
                                 struct err *err)
{
    struct source_line at = origin(source, file, (int)config_setting_source_line(s));
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
        struct conf_node *child = convert(config_setting_get_elem(s, (unsigned)i), source, file, err);
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
        node = convert(config_setting_get_elem(root, 0), NULL, file, err);
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

/* libconfig's message with the line it means; its "syntax error" alone does not help anybody. */
static void parse_error(struct conf *conf, const config_t *config, const struct source *source, const char *path)
{
    int n = config_error_line(config);
    struct source_line at = origin(source, path, n);
    const char *what = config_error_text(config), *line = source->text;
    for (int i = 1; i < n && line != NULL; i++)
        line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1;
    if (strcmp(what, "syntax error") == 0 && (line == NULL || line[strspn(line, " \t\r\n")] == 0)) {
        conf_error_at(conf, at.file, at.line,
                      "syntax error: the file ends where a bracket, a value or \";\" is missing");
    } else if (strcmp(what, "syntax error") == 0) {
        line += strspn(line, " \t");
        conf_error_at(conf, at.file, at.line, "syntax error at or just before: %.*s",
                      (int)(strcspn(line, "\r\n") > 60 ? 60 : strcspn(line, "\r\n")), line);
    } else if (strncmp(what, "mismatched element type", 23) == 0) {
        conf_error_at(conf, at.file, at.line,
                      "the elements of [ ] must all be of one type: write 1.0 for 1, or use ( )");
    } else if (strncmp(what, "duplicate setting", 17) == 0) {
        conf_error_at(conf, at.file, at.line, "this setting stands twice in its group");
    } else {
        conf_error_at(conf, at.file, at.line, "%s", what);
    }
}

static int expand_string(struct conf *conf, struct conf_node *node, struct err *err)
{
    const char *start = strstr(node->value.string, "${");
    while (start != NULL) {
        const char *end = strchr(start, '}');
        char name[256];
        if (end == NULL || end == start + 2 || (size_t)(end - start) >= sizeof name) {
            conf_error(conf, node, "\"%.200s\" has \"${\" without a variable's name and \"}\"", node->value.string);
            return 0;
        }
        snprintf(name, sizeof name, "%.*s", (int)(end - start - 2), start + 2);
        const char *value = getenv(name);
        if (value == NULL) {
            conf_error(conf, node, "the environment variable %s of \"%.200s\" is not set", name, node->value.string);
            return 0;
        }
        size_t head = (size_t)(start - node->value.string), skip = head + strlen(value);
        char *grown = mem_printf(err, "%.*s%s%s", (int)head, node->value.string, value, end + 1);
        if (grown == NULL)
            return -1;
        mem_free(node->value.string);
        node->value.string = grown;
        start = strstr(grown + skip, "${"); /* a value is not expanded again */
    }
    return 0;
}

/* ${ENV} in strings, and numbers that overflowed. */
static int finish_values(struct conf *conf, struct conf_node *node, struct err *err)
{
    if (node->type == CONF_STRING && expand_string(conf, node, err) != 0)
        return -1;
    if (node->type == CONF_FLOAT && !isfinite(node->value.real))
        conf_error(conf, node, "%s is too large a number", node->name == NULL ? "this" : node->name);
    for (int i = 0; i < node->n; i++)
        if (finish_values(conf, node->children[i], err) != 0)
            return -1;
    return 0;
}

struct conf *conf_load(const char *path, const char *const *overrides, int n_overrides, struct err *err)
{
    struct conf *conf = mem_alloc(1, sizeof *conf, err);
    struct source source = { 0 };
    config_t config;
    int rc = -1;
    if (conf == NULL)
        return NULL;
    config_init(&config);
    if (source_read(conf, path, &source, err) != 0)
        goto out;
    if (conf->n_errors == 0 && !config_read_string(&config, source.text))
        parse_error(conf, &config, &source, path);
    conf->root = conf->n_errors == 0 ? convert(config_root_setting(&config), &source, path, err)
                                     : node_create(CONF_GROUP, NULL, path, 1, err);
    if (conf->root == NULL)
        goto out;
    conf->root->file = conf->n_files > 0 ? conf->files[0] : conf_keep_name(conf, path, err);
    if (conf->root->file == NULL)
        goto out;
    conf->root->line = 1;
    for (int i = 0; i < n_overrides && conf->n_errors == 0; i++)
        if (override_apply(conf, overrides[i], err) != 0)
            goto out;
    if (finish_values(conf, conf->root, err) != 0 || (conf->text = conf_write(conf->root, err)) == NULL)
        goto out;
    rc = 0;
out:
    config_destroy(&config);
    source_fini(&source);
    if (rc == 0)
        return conf;
    conf_destroy(conf);
    return NULL;
}

void conf_destroy(struct conf *conf)
{
    if (conf == NULL)
        return;
    node_destroy(conf->root);
    for (int i = 0; i < conf->n_errors; i++)
        mem_free(conf->errors[i]);
    for (int i = 0; i < conf->n_files; i++)
        mem_free(conf->files[i]);
    mem_free(conf->errors);
    mem_free(conf->files);
    mem_free(conf->marks);
    mem_free(conf->text);
    mem_free(conf);
}

void conf_library(struct library *out)
{
    out->name = "libconfig"; /* which does not tell its version at run time */
    snprintf(out->version, sizeof out->version, "%d.%d.%d", LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR,
             LIBCONFIG_VER_REVISION);
}
