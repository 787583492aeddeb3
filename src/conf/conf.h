/* Configs: libconfig text with includes, ${ENV}, overrides and sweeps, turned
 * into a tree that remembers where everything stood. libconfig stays in here. */
#ifndef DINF_CONF_CONF_H
#define DINF_CONF_CONF_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/version.h"
#include "conf/option.h"

enum conf_type { CONF_GROUP, CONF_LIST, CONF_INT, CONF_FLOAT, CONF_BOOL, CONF_STRING };

struct conf_node {
    enum conf_type type;
    char *name;       /* NULL in lists */
    const char *file; /* owned by the conf */
    int line;         /* 0: from --set */
    union {
        int64_t integer;
        double real;
        bool boolean;
        char *string;
    } value;
    struct conf_node **children;
    int n;
};

struct conf {
    struct conf_node *root;
    char *text;    /* merged, resolved config for provenance */
    char **errors; /* "file:line: sentence", in order */
    int n_errors;
    char **files; /* files read */
    int n_files;
    struct conf_mark *marks; /* characters in strings that cannot be seen for what they are */
    int n_marks;
};

/* Reads `path`, expands ${ENV} in strings (an unset variable is an error),
 * applies overrides "a.b[0].c=value". Problems are collected in conf->errors;
 * NULL only if out of memory. */
struct conf *conf_load(const char *path, const char *const *overrides, int n_overrides, struct err *err);
void conf_destroy(struct conf *conf);

/* Adds "file:line: ..." of the node to the errors. */
void conf_error(struct conf *conf, const struct conf_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct conf_node *conf_child(const struct conf_node *group, const char *name);

/* Every key of `group` must be an option of one of the tables (or one of
 * `extra`, NULL-terminated, may be NULL); types and bounds are checked; problems
 * go to the errors with the nearest valid name. Fills `object` (JSON) with every
 * option of the tables, defaults included; NULL: only what stands in the group is
 * checked, and nothing is missing. -1 if anything was wrong. */
int conf_bind(struct conf *conf, const struct conf_node *group, const struct option *const *tables, int n_tables,
              const char *const *extra, cJSON *object);

/* Cartesian product over the children of `group` that are lists: each expansion
 * is a group in which such a child is replaced by one element. Names in `keep`
 * (NULL-terminated) and empty lists (conf_bind reports them) do not sweep. Freed by
 * conf_sweep_free. */
struct conf_sweep {
    struct conf_node **groups;
    int n;
};
int conf_sweep(struct conf *conf, const struct conf_node *group, const char *const *keep, struct conf_sweep *out,
               struct err *err);
void conf_sweep_free(struct conf_sweep *s);

void conf_library(struct library *out);

#endif
