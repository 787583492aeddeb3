/* Every table of the program: what a config may say, for `dinf list`. */
#ifndef DINF_CLI_CATALOGUE_H
#define DINF_CLI_CATALOGUE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/version.h"
#include "conf/option.h"

enum { CATALOGUE_TABLES = 16, CATALOGUE_LIBRARIES = 8 };

/* One row of a table. */
struct catalogue_entry {
    const char *name, *help;
    const struct option *options[CATALOGUE_TABLES]; /* tables of what it takes, ended by NULL */
    bool missing;                                   /* it cannot be used here */
    const char *why;                                /* not */
    const struct library *libraries;                /* that it computes with, as they are here */
    int n_libraries;
};

/* Receives the rows of a table one by one. */
struct catalogue_sink {
    void (*entry)(void *arg, const struct catalogue_entry *entry);
    void (*common)(void *arg, const char *of, const struct option *options); /* what every row takes */
    void *arg;
};

struct catalogue {
    const char *name;
    void (*walk)(const struct catalogue_sink *sink);
};
extern const struct catalogue catalogues[]; /* ended by name = NULL */

/* {"entries": [...], "options": what every row takes}; an option has name, type, default
 * (absent: required), min, max, choices, unit, help. A device that
 * can be used has libraries, too, {name: version}. NULL: out of memory. */
cJSON *catalogue_json(const struct catalogue *catalogue);

#endif
