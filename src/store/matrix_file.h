/* Representation files that users hand in: `.npy` (float32 or float64, C order,
 * 2-d) or `FILE.h5:/path`. And .npy output and .npy images (uint8, 4-d). */
#ifndef DINF_STORE_MATRIX_FILE_H
#define DINF_STORE_MATRIX_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* (n, d) row-major double; NaN and infinity are errors that name the row. mem_free. */
int matrix_read(const char *spec, int64_t *n, int64_t *d, double **data, struct err *err);

enum npy_type { NPY_F32, NPY_F64, NPY_U8, NPY_I64 };
enum { NPY_RANK_MAX = 8 };
struct npy {
    enum npy_type type;
    int rank;
    int64_t dims[NPY_RANK_MAX];
    void *data; /* row-major, native byte order; mem_free */
    size_t bytes;
};
/* Formats 1.0 to 3.0 of numpy.lib.format. Files of the other byte order are
 * swapped; Fortran order, other types, and files that are shorter or longer than
 * their header says are errors. */
int npy_read(const char *path, struct npy *out, struct err *err);
/* Header only: type, rank, dims, bytes, and the data's size checked against the file's. */
int npy_describe(const char *path, struct npy *out, struct err *err);
/* From memory (fuzzing); `what` names it in messages. */
int npy_parse(const void *bytes, size_t n, const char *what, struct npy *out, struct err *err);
/* Atomic. */
int npy_write_float(const char *path, const float *data, int rank, const int64_t *dims, struct err *err);

#endif
