/* results.h5: rebuilt from the finished tasks' files and renamed into place. */
#ifndef DINF_STORE_COLLECT_H
#define DINF_STORE_COLLECT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/err.h"

/* One row of /tasks and, if done, a result file to take in. */
struct collect_task {
    const char *id, *kind, *name, *state, *error;
    const char *device; /* asked for; the file's attribute "device" beats it */
    int attempt, rank;
    double start, seconds;
    const char *file;    /* result file, NULL unless done */
    const cJSON *labels; /* strings and numbers: first columns of this task's table rows. "encoder" and "set"
                            also say where its arrays go: /curves/ENCODER, /loglik/ENCODER/..., ... */
};

/* Whoever wants to know which file is being read when it fails, or when reading it never ends. */
struct collect_watch {
    void (*at)(void *arg, int task); /* tasks[task].file is read from now on; -1: what follows is no file's fault */
    void *arg;
};

/* Tables of equal path are concatenated in the tasks' order (labels first, then
 * the file's columns; a column that some rows lack is filled with NaN, -1 or "").
 * Arrays become external links (pack: copies). Written as `tmp`, which the caller renames to
 * `out`; links are relative to that.
 * root: attributes of /. A file that is missing, unreadable or another task's is an error. watch: may be NULL. */
int collect_write(const char *tmp, const char *out, const struct collect_task *tasks, int n, const cJSON *root,
                  bool pack, const struct collect_watch *watch, struct err *err);

#endif
