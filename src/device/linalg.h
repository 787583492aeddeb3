/* Double-precision matrices for statistics; part of the device interface.
 * Row-major; pointers are device memory; the rules of device.h apply. */
#ifndef DINF_DEVICE_LINALG_H
#define DINF_DEVICE_LINALG_H

#include <stdbool.h>

#include "device/device.h"

struct device_linalg {
    /* C (m, n) = alpha op(A) op(B) + beta C */
    int (*dgemm)(struct device *, enum trans ta, enum trans tb, int m, int n, int k, double alpha, const double *a,
                 int lda, const double *b, int ldb, double beta, double *c, int ldc, struct err *);
    /* C (d, d), lower triangle = alpha A^T A + beta C, A (n, d) */
    int (*dsyrk)(struct device *, int n, int d, double alpha, const double *a, int lda, double beta, double *c,
                 int ldc, struct err *);
    /* Lower Cholesky factor in place of the lower triangle of A (d, d); *info = 0,
     * or the order of the first minor that is not positive definite. */
    int (*dpotrf)(struct device *, int d, double *a, int lda, int *info, struct err *);
    /* X (n, d) = X L^-T for lower L (d, d): rows become L^-1 x */
    int (*dtrsm)(struct device *, int n, int d, const double *l, int ldl, double *x, int ldx, struct err *);
    /* More slots (weighted sums, row-wise log-sum-exp, ...) belong here as stats needs them. */
};

#endif
