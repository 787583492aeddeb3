/* Double-precision matrices for statistics; part of the device interface.
 * Row-major; pointers are device memory; the rules of device.h apply.
 *
 * The last group are whole passes over the rows of a data matrix (n, d), coarse
 * on purpose: a device blocks them for its own caches, and an EM iteration or a
 * neighbour search is then memory-bound or BLAS-bound and nothing else. Sums
 * over rows are in an order that depends on n, d, k and dev->threads alone. */
#ifndef DINF_DEVICE_LINALG_H
#define DINF_DEVICE_LINALG_H

#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"

/* A component whose log density at a row is this much below the best one's may
 * be dropped by gmm_full_logprob: its responsibility is below 4.3e-18, and two
 * dozen of them together are less than the rounding of the sum (1.1e-16). */
#define LINALG_HOPELESS 40.0

struct device_linalg {
    /* C (m, n) = alpha op(A) op(B) + beta C */
    int (*dgemm)(struct device *, enum trans ta, enum trans tb, int m, int n, int k, double alpha, const double *a,
                 int lda, const double *b, int ldb, double beta, double *c, int ldc, struct err *);
    /* Lower Cholesky factor in place of the lower triangle of A (d, d); *info = 0,
     * or the order of the first minor that is not positive definite. The strict
     * upper triangle is neither read nor written. */
    int (*dpotrf)(struct device *, int d, double *a, int lda, int *info, struct err *);
    /* Inverse in place of a lower triangular A (d, d) without zeros on its
     * diagonal. The strict upper triangle is neither read nor written. */
    int (*dtrtri)(struct device *, int d, double *a, int lda, struct err *);
    /* X (n, d) = X L^-T for lower L (d, d): rows become L^-1 x */
    int (*dtrsm)(struct device *, int n, int d, const double *l, int ldl, double *x, int ldx, struct err *);

    /* For each of the k matrices a (k, d, d), symmetric, lower triangle given: the
     * inverse L^-1 of its Cholesky factor into the lower triangle. info (k, host)
     * as in dpotrf; where it is not 0 the matrix is undefined. The strict upper
     * triangles are neither read nor written. */
    int (*whitening_factors)(struct device *, int k, int d, double *a, int *info, struct err *);

    /* -- passes over rows -- */

    /* out (n, m) = |x_i - c_j|^2 from differences (no cancellation), for few
     * centres c (m, d) */
    int (*square_distances)(struct device *, int64_t n, int d, const double *x, int m, const double *c, double *out,
                            struct err *);

    /* Nearest other row of every row of x (n, d), n >= 2: its index (NULL: not
     * wanted) and squared Euclidean distance. The search may use products of
     * rows where they do not cancel (a squared distance of 1e-10 of the rows' squares and
     * more, hence a relative error below 1e-4: centre the data first); all below is
     * computed from differences, and the distance of the winner always. A row with no finite
     * distance to another gets NaN, and an index that means nothing. */
    int (*nearest_rows)(struct device *, int64_t n, int d, const double *x, int64_t *index, double *distance,
                        struct err *);

    /* One pass of EM for k diagonal Gaussians. The log density of component j,
     * with its weight, is
     *     offset[j] + sum_c linear[j][c] x[c] - precision[j][c] x[c]^2 / 2,
     * linear = mean * precision. loglik (n) gets the log-sum-exp over components.
     * If count is not NULL: count (k), sum (k, d), sum_square (k, d) get the
     * responsibilities' sums of 1, x and x^2 over the rows. */
    int (*gmm_diag_pass)(struct device *, int64_t n, int d, int k, const double *x, const double *precision,
                         const double *linear, const double *offset, double *loglik, double *count, double *sum,
                         double *sum_square, struct err *);

    /* E step of k full Gaussians: whiten (k, d, d) holds W_j = L_j^-1, lower
     * triangular with zeros above, for the covariance L_j L_j^T; centre (k, d)
     * holds W_j mean_j. Log densities offset[j] - |W_j x - centre_j|^2 / 2;
     * loglik (n) their log-sum-exp, resp (n, k) the responsibilities, exact to
     * exp(-LINALG_HOPELESS). */
    int (*gmm_full_logprob)(struct device *, int64_t n, int d, int k, const double *x, const double *whiten,
                            const double *centre, const double *offset, double *loglik, double *resp, struct err *);

    /* Lower triangle of scatter (d, d) = sum_i w_i (x_i - centre)(x_i - centre)^T
     * for weights w_i = weight[i * stride] >= 0; rows whose weight is below 1e-20
     * of the sum of weights may be left out. */
    int (*weighted_scatter)(struct device *, int64_t n, int d, const double *x, const double *weight, int stride,
                            const double *centre, double *scatter, struct err *);
};

#endif
