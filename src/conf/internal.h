/* Shared by the files of this room. */
#ifndef DINF_CONF_INTERNAL_H
#define DINF_CONF_INTERNAL_H

#include "conf/conf.h"

/* The text of a config with its includes in place, and where each line came from. */
struct source {
    char *text;
    size_t used, size;
    struct source_line {
        const char *file; /* owned by the conf */
        int line;
    } * lines; /* lines[i]: line i + 1 of the text */
    int n_lines, max_lines;
};

/* Reads `path` and what it includes into `out`. Problems (missing files, include
 * cycles, integers that libconfig would wrap, too deep nesting) go to the errors;
 * -1 only if out of memory. */
int source_read(struct conf *conf, const char *path, struct source *out, struct err *err);
void source_fini(struct source *s);
/* Where line `n` of the text came from; without a source, `file` and no line. */
struct source_line source_origin(const struct source *source, const char *file, int n);

/* Finds integer literals that do not fit (libconfig 1.5 wraps them silently) in
 * one value given by --set; problems go to the errors at `node`. */
void source_check_value(struct conf *conf, const struct conf_node *node, const char *text);

/* Remembers a copy of `name` for as long as the conf lives. */
const char *conf_keep_name(struct conf *conf, const char *name, struct err *err);
/* "file:line: " + printf, or without line if it is 0. */
void conf_error_at(struct conf *conf, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Errors of this line will say that the string in it has this character at this column (from 1). */
int conf_mark(struct conf *conf, const char *file, int line, int column, uint32_t code, struct err *err);

struct conf_node *node_create(enum conf_type type, const char *name, const char *file, int line, struct err *err);
void node_destroy(struct conf_node *node);
int node_append(struct conf_node *parent, struct conf_node *child, struct err *err);
/* Deep copy of a setting of libconfig; NULL: out of memory. */
struct config_setting_t;
struct conf_node *node_convert(const struct config_setting_t *s, const struct source *source, const char *file,
                               struct err *err);
/* Deep copy of what parsing `text` as the value of a setting gives; a string of
 * `text` itself if it is no libconfig value. NULL: out of memory. */
struct conf_node *node_parse_value(const char *name, const char *text, const char *file, struct err *err);

/* Applies one "a.b[0].c=value". */
int override_apply(struct conf *conf, const char *text, struct err *err);

/* libconfig text that reads back to the same tree. */
char *conf_write(const struct conf_node *root, struct err *err);

/* JSON of a node; NULL: out of memory. */
cJSON *node_json(const struct conf_node *node);
const char *conf_type_name(const struct conf_node *node);

#endif
