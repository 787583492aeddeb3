/* HDF5 as this room uses it: quiet, one sentence an error, every dataset
 * chunked, shuffled, deflated and checksummed. Private to store/. */
#ifndef DINF_STORE_H5_H
#define DINF_STORE_H5_H

#define H5_USE_110_API
#include <hdf5.h>

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "store/result.h"

/* Formats the message, appends HDF5's innermost complaint (and what to do about
 * a refused lock), clears HDF5's error stack; returns -1. */
int h5_fail(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Files; -1 with a message. The first call silences HDF5's own printing. */
hid_t h5_create(const char *path, struct err *err);
hid_t h5_open(const char *path, struct err *err); /* read-only */

/* Transfer properties for `bytes` of data in memory: HDF5 would otherwise clear
 * 2 MiB of conversion buffers for each small table. H5Pclose. */
hid_t h5_transfer(size_t bytes);

/* A scalar string attribute. */
int h5_put_string(hid_t object, const char *name, const char *value, struct err *err);
/* (n) strings; NULL counts as "". */
int h5_put_strings(hid_t object, const char *name, const char *const *values, size_t n, struct err *err);
/* Every member of the object: strings, numbers (int64 if whole, else float64); the rest as JSON text. */
int h5_put_object(hid_t object, const cJSON *values, struct err *err);

/* A string attribute, or its element `i`; NULL without a message if there is
 * none. mem_free. */
char *h5_get_string(hid_t object, const char *name, size_t i, struct err *err);

/* Creates the dataset with the groups above it; rank 0 is a scalar. `description`,
 * and `units` if not NULL, become attributes. memory: type of `data`; type: in the file. */
int h5_write(hid_t file, const char *path, const char *description, const char *unit, hid_t type, hid_t memory,
             const void *data, int rank, const int64_t *dims, struct err *err);

/* The same without texts: the open dataset, or -1. H5Dclose. */
hid_t h5_write_dataset(hid_t file, const char *path, hid_t type, hid_t memory, const void *data, int rank,
                       const int64_t *dims, struct err *err);

/* A table, see result_table: compound, one member a column; text has the width of the
 * column's longest, at least 1. Units and help of the columns are the string arrays
 * `units` and `column_descriptions`. */
int h5_write_table(hid_t file, const char *path, const char *description, const struct column *columns,
                   const void *rows, size_t row_size, size_t n, struct err *err);

/* One cell of a row: 8 bytes, so that rows assembled of them are row structs. */
union cell {
    int64_t i;
    double f;
    const char *s;
};

/* A table in memory. */
struct h5_table {
    struct column *columns; /* (n_columns), ended by name = NULL; without units and help */
    size_t n_columns, n_rows;
    union cell *cells; /* (n_rows, n_columns) */
    char *texts;       /* what the cells of text point to */
};

/* Reads an open compound dataset: text of fixed and of variable length, numbers of any
 * width. path: for messages. h5_table_fini. */
int h5_read_table(hid_t dataset, const char *path, struct h5_table *out, struct err *err);
void h5_table_fini(struct h5_table *t);

/* Is the open file, a task's result, this task's by its attribute `task`? may_lack: it need not have any. */
int h5_check_task(hid_t file, const char *path, const char *task, bool may_lack, struct err *err);

#endif
