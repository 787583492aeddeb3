/* Loading: text -> libconfig -> tree with origins -> overrides -> environment. */
#include "conf/conf.h"

#include <libconfig.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/internal.h"

/* libconfig's message with the line it means; its "syntax error" alone does not help anybody. */
static void parse_error(struct conf *conf, const config_t *config, const struct source *source, const char *path)
{
    int n = config_error_line(config);
    struct source_line at = source_origin(source, path, n);
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
    conf->root = conf->n_errors == 0 ? node_convert(config_root_setting(&config), &source, path, err)
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
