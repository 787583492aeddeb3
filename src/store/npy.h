/* .npy is how NumPy and PyTorch users hand arrays over: numpy.lib.format,
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#ifndef DINF_STORE_NPY_H
#define DINF_STORE_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum npy_kind { NPY_BOOL, NPY_INTEGER, NPY_FLOAT };

/* What a caller wants in memory. */
enum npy_type { NPY_U8, NPY_I64, NPY_F32, NPY_F64 };

enum { NPY_RANK_MAX = 8, NPY_SHAPE = 256 };

struct npy {
    int stored; /* the row of its type in store/npy_header.c */
    enum npy_kind kind;
    const char *dtype; /* as NumPy names it: "float16"; static */
    bool swapped;      /* of the other byte order */
    bool fortran;      /* the first index runs fastest in the file */
    size_t stored_bytes;
    int rank;
    int64_t dims[NPY_RANK_MAX];
    enum npy_type type;
    void *data;   /* row-major, native byte order; mem_free */
    size_t bytes; /* of data */
};

/* Header only, and the data's size checked against the file's. Formats 1.0 to 3.0, either
 * byte order and either order of the axes; bool, integers, and floats of 16, 32 and 64
 * bits. Other types are errors, and so are files that are shorter or longer than their
 * header says (NumPy passes over what is behind the data). */
int npy_describe(const char *path, struct npy *out, struct err *err);

/* Likewise with the data, as `type`:
 *   NPY_U8    integers; one that is not in 0 .. 255 is an error that names its place
 *   NPY_I64   integers and bool; one beyond 63 bits likewise
 *   NPY_F32, NPY_F64   anything, rounded to nearest where it does not fit
 * Memory is the array's alone, whatever the file's type and order. */
int npy_read(const char *path, enum npy_type type, struct npy *out, struct err *err);

/* From memory (fuzzing); `what` names it in messages. */
int npy_parse(const void *bytes, size_t n, const char *what, enum npy_type type, struct npy *out, struct err *err);

/* "(3, 4)", as Python writes it. */
void npy_shape(const struct npy *a, char out[NPY_SHAPE]);

/* Is every value of that type a float32? */
bool npy_is_single(const struct npy *a);

/* float32, row-major, version 1.0. Atomic. */
int npy_write_float(const char *path, const float *data, int rank, const int64_t *dims, struct err *err);

#endif
