/* Representation files that users hand in: `.npy` (2-d, any numbers) or `FILE.h5:/path`. */
#ifndef DINF_STORE_MATRIX_FILE_H
#define DINF_STORE_MATRIX_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "store/npy.h"

/* (n, d) row-major double, both at least 1 and below 2^31; NaN and infinity are errors that
 * name row and column. Integers beyond 2^53 are rounded. mem_free. */
int matrix_read(const char *spec, int64_t *n, int64_t *d, double **data, struct err *err);

/* Does the described array have the shape of representations? */
int matrix_shape(const struct npy *a, const char *path, struct err *err);

#endif
