/* Linear algebra on the processor: OpenBLAS for products of matrices, OpenMP for
 * the passes over rows, with single-threaded BLAS inside (OpenBLAS's OpenMP build
 * sees that it runs in a parallel region). The passes of mixtures are in
 * cpu_mixture_diag.c and cpu_mixture_full.c. */
#include "device/cpu/cpu_linalg.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "device/cpu/blas.h"
#include "device/linalg_tables.h"

void cpu_blas_begin(const struct device *dev, double work)
{
    omp_set_num_threads(cpu_threads_for(dev, work));
}

void cpu_blas_end(const struct device *dev)
{
    omp_set_num_threads(dev->threads);
}

static enum CBLAS_TRANSPOSE blas_trans(enum trans t)
{
    return t == TRANS_YES ? CblasTrans : CblasNoTrans;
}

static int cpu_dgemm(struct device *dev, enum trans ta, enum trans tb, int m, int n, int k, double alpha,
                     const double *a, int lda, const double *b, int ldb, double beta, double *c, int ldc,
                     struct err *err)
{
    (void)err;
    cpu_blas_begin(dev, (double)m * n * k);
    blas.dgemm(CblasRowMajor, blas_trans(ta), blas_trans(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    cpu_blas_end(dev);
    return 0;
}

/* Row-major lower is LAPACK's upper. */
static int cpu_dpotrf(struct device *dev, int d, double *a, int lda, int *info, struct err *err)
{
    blasint n = d, ld = lda, status = 0;
    char upper = 'U';
    cpu_blas_begin(dev, (double)d * d * d / 6.0);
    blas.dpotrf(&upper, &n, a, &ld, &status);
    cpu_blas_end(dev);
    *info = (int)status;
    return status < 0 ? err_set(err, "dpotrf refused its argument %d", -(int)status) : 0;
}

static int cpu_dtrtri(struct device *dev, int d, double *a, int lda, struct err *err)
{
    blasint n = d, ld = lda, status = 0;
    char upper = 'U', non_unit = 'N';
    cpu_blas_begin(dev, (double)d * d * d / 6.0);
    blas.dtrtri(&upper, &non_unit, &n, a, &ld, &status);
    cpu_blas_end(dev);
    return status ? err_set(err, "a triangular matrix of order %d has a zero on its diagonal", d) : 0;
}

/* A matrix a thread: one of a few hundred columns is too small to share. */
static int cpu_whitening_factors(struct device *dev, int k, int d, double *a, int *info, struct err *err)
{
    double work = (double)k * d * d * d / 3.0;
    int threads = cpu_threads_for(dev, work), refused = 0;
    cpu_blas_begin(dev, work);
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(| : refused)
    for (int j = 0; j < k; j++) {
        double *matrix = a + (size_t)j * d * d;
        blasint n = d, status = 0;
        char upper = 'U', non_unit = 'N';
        blas.dpotrf(&upper, &n, matrix, &n, &status);
        info[j] = (int)status;
        if (status == 0)
            blas.dtrtri(&upper, &non_unit, &n, matrix, &n, &status);
        refused |= status < 0;
    }
    cpu_blas_end(dev);
    return refused ? err_set(err, "LAPACK refused a matrix of order %d", d) : 0;
}

static int cpu_dtrsm(struct device *dev, int n, int d, const double *l, int ldl, double *x, int ldx, struct err *err)
{
    (void)err;
    cpu_blas_begin(dev, 0.5 * n * d * (double)d);
    blas.dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, n, d, 1.0, l, ldl, x, ldx);
    cpu_blas_end(dev);
    return 0;
}

static double square_distance(int d, const double *a, const double *b)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int c = 0; c < d; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

static int cpu_square_distances(struct device *dev, int64_t n, int d, const double *x, int m, const double *c,
                                double *out, struct err *err)
{
    (void)err;
    int threads = cpu_threads_for(dev, (double)n * m * d);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            out[i * m + j] = square_distance(d, x + i * d, c + (size_t)j * d);
    return 0;
}

/* -- nearest neighbours: tiles of the symmetric matrix of squared distances -- */

enum { TILE = 512 };

/* The sum |x|^2 + |y|^2 - 2 xy carries the rounding of its terms. Below this share of
 * |x|^2 + |y|^2 it has fewer than four digits left. */
static const double CANCELLED = 1e-10;

struct nearest {
    double distance;
    int64_t index;
};

/* Ties go to the lower index, whatever the order of the tiles. */
static inline void nearest_update(struct nearest *best, double distance, int64_t index)
{
    if (distance < best->distance || (distance == best->distance && index < best->index)) {
        best->distance = distance;
        best->index = index;
    }
}

static void nearest_tile(int d, const double *x, const double *square, int64_t i0, int ni, int64_t j0, int nj,
                         double *product, struct nearest *best)
{
    blas.dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, ni, nj, d, -2.0, x + i0 * d, d, x + j0 * d, d, 0.0, product,
               TILE);
    for (int i = 0; i < ni; i++) {
        double *row = product + (size_t)i * TILE;
        struct nearest mine = best[i0 + i];
        for (int j = 0; j < nj; j++) {
            double size = square[i0 + i] + square[j0 + j], s = row[j] + size;
            if (i0 + i == j0 + j)
                continue;
            if (s < CANCELLED * size)
                s = square_distance(d, x + (i0 + i) * d, x + (j0 + j) * d);
            nearest_update(&mine, s, j0 + j);
            if (i0 != j0)
                nearest_update(&best[j0 + j], s, i0 + i);
        }
        best[i0 + i] = mine;
    }
}

static int cpu_nearest_rows(struct device *dev, int64_t n, int d, const double *x, int64_t *index, double *distance,
                            struct err *err)
{
    int threads = cpu_threads_for(dev, (double)n * (double)n * d), rc = -1;
    int64_t tiles = (n + TILE - 1) / TILE;
    double *square = mem_alloc((size_t)n, sizeof *square, err);
    double *products = mem_alloc((size_t)threads * TILE * TILE, sizeof *products, err);
    struct nearest *best = mem_alloc((size_t)threads * (size_t)n, sizeof *best, err);
    if (square == NULL || products == NULL || best == NULL)
        goto out;
    for (int64_t i = 0; i < threads * n; i++)
        best[i] = (struct nearest){ INFINITY, INT64_MAX };
    cpu_blas_begin(dev, (double)n * (double)n * d);
#pragma omp parallel num_threads(threads)
    {
        int me = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++)
            square[i] = blas.ddot(d, x + i * d, 1, x + i * d, 1);
#pragma omp for schedule(dynamic)
        for (int64_t t = 0; t < tiles * tiles; t++) {
            int64_t i0 = t / tiles * TILE, j0 = t % tiles * TILE;
            if (i0 > j0)
                continue;
            int ni = (int)(n - i0 < TILE ? n - i0 : TILE), nj = (int)(n - j0 < TILE ? n - j0 : TILE);
            nearest_tile(d, x, square, i0, ni, j0, nj, products + (size_t)me * TILE * TILE, best + me * n);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            for (int t = 1; t < threads; t++)
                nearest_update(&best[i], best[t * n + i].distance, best[t * n + i].index);
            bool found = best[i].index != INT64_MAX;
            distance[i] = found ? square_distance(d, x + i * d, x + best[i].index * d) : NAN;
            if (index != NULL)
                index[i] = found ? best[i].index : i;
        }
    }
    cpu_blas_end(dev);
    rc = 0;
out:
    mem_free(best);
    mem_free(products);
    mem_free(square);
    return rc;
}

const struct device_linalg cpu_linalg = {
    .dgemm = cpu_dgemm,
    .dpotrf = cpu_dpotrf,
    .dtrtri = cpu_dtrtri,
    .dtrsm = cpu_dtrsm,
    .whitening_factors = cpu_whitening_factors,
    .square_distances = cpu_square_distances,
    .nearest_rows = cpu_nearest_rows,
    .gmm_diag_pass = cpu_gmm_diag_pass,
    .gmm_full_logprob = cpu_gmm_full_logprob,
    .weighted_scatter = cpu_weighted_scatter,
};
