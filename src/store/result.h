/* A task's result file: HDF5, complete or absent. hdf5.h stays in this room.
 *
 * The file mirrors results.h5: what stands at a path here is added to the same
 * path there by `collect` (see collect.h): tables are appended, with the task's
 * labels as their first columns; arrays are linked. Every dataset has a
 * `description` and, where it applies, `units`; chunked, shuffled, deflated,
 * checksummed. */
#ifndef DINF_STORE_RESULT_H
#define DINF_STORE_RESULT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/version.h"

enum column_type { COLUMN_INT, COLUMN_FLOAT, COLUMN_STRING }; /* int64, float64, UTF-8 of a fixed width */

struct column {
    const char *name; /* NULL ends a list of columns */
    enum column_type type;
    size_t offset; /* of int64_t, double or const char * in a row struct */
    const char *unit, *help;
};

/* A column for the member `name` of the struct `of`. */
/* clang-format off */
#define COLUMN_OF(of, name, type, unit, help) { #name, type, offsetof(of, name), unit, help }
/* clang-format on */

struct result; /* being written */

/* Opens PATH's temporary file and stores the provenance as root attributes
 * (strings and numbers of the object). */
struct result *result_create(const char *path, const cJSON *provenance, struct err *err);
/* rows: n structs of row_size bytes described by the columns. */
int result_table(struct result *r, const char *path, const char *description, const struct column *columns,
                 const void *rows, size_t row_size, size_t n, struct err *err);
int result_float(struct result *r, const char *path, const char *description, const char *unit, const float *data,
                 int rank, const int64_t *dims, struct err *err);
int result_double(struct result *r, const char *path, const char *description, const char *unit, const double *data,
                  int rank, const int64_t *dims, struct err *err);
int result_int(struct result *r, const char *path, const char *description, const char *unit, const int64_t *data,
               int rank, const int64_t *dims, struct err *err);
/* Closes, fsyncs, renames into place, destroys (also on failure). */
int result_commit(struct result *r, struct err *err);
/* Removes the temporary file, destroys. NULL-safe. */
void result_abandon(struct result *r);

/* A float or double array of FILE at `path` as floats; dims[rank]. mem_free. */
int result_read_float(const char *file, const char *path, int rank, int64_t *dims, float **data, struct err *err);
int result_read_double(const char *file, const char *path, int rank, int64_t *dims, double **data, struct err *err);
int result_read_int(const char *file, const char *path, int rank, int64_t *dims, int64_t **data, struct err *err);

/* Was FILE made by the task of this id, as its attribute `task` says? */
int result_check_task(const char *file, const char *task, struct err *err);
/* The same, and every array and attribute of FILE can be read. *encoder: it tells of an encoder, whose weights lie
 * beside it; weights: their digest (RESULT_WEIGHTS), "" if it is not there. Bytes that no checksum covers are taken as
 * they are; a damaged file may crash HDF5. */
int result_check_whole(const char *file, const char *task, bool *encoder, char weights[HASH_HEX], struct err *err);
/* Attribute of / where the task has weights beside its result: their file's SHA-256. */
#define RESULT_WEIGHTS "weights_sha256"

void result_library(struct library *out);

#endif
