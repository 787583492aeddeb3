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

/* Tables of equal path are concatenated in the tasks' order (labels first, then
 * the file's columns; a column that some rows lack is filled with NaN, -1 or "").
 * Arrays become external links relative to `out` (pack: copies).
 * root: attributes of /. A file that is missing or unreadable is an error. */
int collect_write(const char *out, const struct collect_task *tasks, int n, const cJSON *root, bool pack,
                  struct err *err);

#endif
