/* Linear algebra on the processor: OpenBLAS for products of matrices, OpenMP for
 * the passes over rows. A pass works on blocks of rows that stay in a core's
 * cache, one thread a block with single-threaded BLAS inside (OpenBLAS's OpenMP
 * build sees that it runs in a parallel region), so that the data matrix is read
 * from memory once. */
#include "device/linalg_tables.h"

#include <cblas.h>
#include <f77blas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"

/* Rows a thread works on at a time: a block and its squares fill about half of
 * a megabyte of second-level cache. */
enum { BLOCK_BYTES = 1 << 19, BLOCK_MIN = 32, BLOCK_MAX = 512 };

static int64_t block_rows(int64_t doubles_per_row)
{
    int64_t rows = BLOCK_BYTES / (int64_t)sizeof(double) / doubles_per_row;
    return rows < BLOCK_MIN ? BLOCK_MIN : rows > BLOCK_MAX ? BLOCK_MAX : rows;
}

/* Before every use: a parallel region of one thread does not count as parallel
 * for OpenBLAS, which would then use as many threads as it was told last. */
static void blas_threads(const struct device *dev)
{
    if (openblas_get_num_threads() != dev->threads)
        openblas_set_num_threads(dev->threads);
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
    blas_threads(dev);
    cblas_dgemm(CblasRowMajor, blas_trans(ta), blas_trans(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return 0;
}

static int cpu_dsyrk(struct device *dev, int n, int d, double alpha, const double *a, int lda, double beta, double *c,
                     int ldc, struct err *err)
{
    (void)err;
    blas_threads(dev);
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, n, alpha, a, lda, beta, c, ldc);
    return 0;
}

/* Row-major lower is LAPACK's upper. */
static int cpu_dpotrf(struct device *dev, int d, double *a, int lda, int *info, struct err *err)
{
    blasint n = d, ld = lda, status = 0;
    char upper = 'U';
    blas_threads(dev);
    BLASFUNC(dpotrf)(&upper, &n, a, &ld, &status);
    *info = (int)status;
    return status < 0 ? err_set(err, "dpotrf refused its argument %d", -(int)status) : 0;
}

static int cpu_dtrtri(struct device *dev, int d, double *a, int lda, struct err *err)
{
    blasint n = d, ld = lda, status = 0;
    char upper = 'U', non_unit = 'N';
    blas_threads(dev);
    BLASFUNC(dtrtri)(&upper, &non_unit, &n, a, &ld, &status);
    return status ? err_set(err, "a triangular matrix of order %d has a zero on its diagonal", d) : 0;
}

static int cpu_dtrsm(struct device *dev, int n, int d, const double *l, int ldl, double *x, int ldx, struct err *err)
{
    (void)err;
    blas_threads(dev);
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, n, d, 1.0, l, ldl, x, ldx);
    return 0;
}

/* x becomes exp(x - y); returns y. */
static double log_sum_exp(int k, double *x)
{
    double top = x[0], sum = 0.0;
    for (int j = 1; j < k; j++)
        top = x[j] > top ? x[j] : top;
    if (top == -INFINITY) {
        memset(x, 0, (size_t)k * sizeof *x);
        return top;
    }
    for (int j = 0; j < k; j++) {
        x[j] = exp(x[j] - top);
        sum += x[j];
    }
    for (int j = 0; j < k; j++)
        x[j] /= sum;
    return top + log(sum);
}

static int cpu_log_sum_exp_rows(struct device *dev, int64_t n, int k, double *x, double *y, struct err *err)
{
    (void)err;
#pragma omp parallel for num_threads(dev->threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        y[i] = log_sum_exp(k, x + i * k);
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
#pragma omp parallel for num_threads(dev->threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            out[i * m + j] = square_distance(d, x + i * d, c + (size_t)j * d);
    return 0;
}

/* -- nearest neighbours: tiles of the symmetric matrix of squared distances -- */

enum { TILE = 512 };

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
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, ni, nj, d, -2.0, x + i0 * d, d, x + j0 * d, d, 0.0, product,
                TILE);
    for (int i = 0; i < ni; i++) {
        double *row = product + (size_t)i * TILE;
        struct nearest mine = best[i0 + i];
        for (int j = 0; j < nj; j++) {
            double s = row[j] + square[i0 + i] + square[j0 + j];
            if (i0 + i == j0 + j)
                continue;
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
    int threads = dev->threads, rc = -1;
    int64_t tiles = (n + TILE - 1) / TILE;
    double *square = mem_alloc((size_t)n, sizeof *square, err);
    double *products = mem_alloc((size_t)threads * TILE * TILE, sizeof *products, err);
    struct nearest *best = mem_alloc((size_t)threads * (size_t)n, sizeof *best, err);
    if (!square || !products || !best)
        goto out;
    for (int64_t i = 0; i < threads * n; i++)
        best[i] = (struct nearest){ INFINITY, INT64_MAX };
    blas_threads(dev);
#pragma omp parallel num_threads(threads)
    {
        int me = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++)
            square[i] = cblas_ddot(d, x + i * d, 1, x + i * d, 1);
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
            distance[i] = square_distance(d, x + i * d, x + best[i].index * d);
            if (index)
                index[i] = best[i].index;
        }
    }
    rc = 0;
out:
    mem_free(best);
    mem_free(products);
    mem_free(square);
    return rc;
}

/* -- mixtures -- */

/* A block of rows: log densities, log-sum-exp, sums. `pair` (rows, 2 d) holds x and
 * x^2 side by side, `weight` (k, 2 d) linear and -precision / 2, so that E and M
 * step are one product each; `sums` is (k, 2 d). */
static void diag_block(int rows, int d, int k, const double *x, const double *weight, const double *offset,
                       double *pair, double *resp, double *loglik, double *count, double *sums)
{
    for (int i = 0; i < rows; i++) {
        const double *v = x + (size_t)i * d;
        double *p = pair + (size_t)i * 2 * d;
        for (int c = 0; c < d; c++) {
            p[c] = v[c];
            p[d + c] = v[c] * v[c];
        }
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, k, 2 * d, 1.0, pair, 2 * d, weight, 2 * d, 0.0, resp,
                k);
    for (int i = 0; i < rows; i++) {
        double *r = resp + (size_t)i * k;
        for (int j = 0; j < k; j++)
            r[j] += offset[j];
        loglik[i] = log_sum_exp(k, r);
        for (int j = 0; count && j < k; j++)
            count[j] += r[j];
    }
    if (count)
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, 2 * d, rows, 1.0, resp, k, pair, 2 * d, 1.0, sums,
                    2 * d);
}

static int cpu_gmm_diag_pass(struct device *dev, int64_t n, int d, int k, const double *x, const double *precision,
                             const double *linear, const double *offset, double *loglik, double *count, double *sum,
                             double *sum_square, struct err *err)
{
    int threads = dev->threads, rc = -1;
    int64_t rows = block_rows(2 * d), blocks = (n + rows - 1) / rows;
    size_t kd = (size_t)k * d;
    double *weight = mem_alloc(2 * kd, sizeof *weight, err);
    double *pairs = mem_alloc((size_t)threads * rows, 2 * (size_t)d * sizeof *pairs, err);
    double *resps = mem_alloc((size_t)threads * rows, (size_t)k * sizeof *resps, err);
    double *counts = mem_alloc((size_t)threads, (size_t)k * sizeof *counts, err);
    double *sums = mem_alloc((size_t)threads, 2 * kd * sizeof *sums, err);
    if (!weight || !pairs || !resps || !counts || !sums)
        goto out;
    blas_threads(dev);
    for (int j = 0; j < k; j++) {
        for (int c = 0; c < d; c++) {
            weight[(size_t)j * 2 * d + c] = linear[(size_t)j * d + c];
            weight[(size_t)j * 2 * d + d + c] = -0.5 * precision[(size_t)j * d + c];
        }
    }
#pragma omp parallel num_threads(threads)
    {
        int me = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t first = b * rows;
            diag_block((int)(n - first < rows ? n - first : rows), d, k, x + first * d, weight, offset,
                       pairs + me * rows * 2 * d, resps + me * rows * k, loglik + first,
                       count ? counts + (size_t)me * k : NULL, sums + (size_t)me * 2 * kd);
        }
    }
    if (count) {
        memset(count, 0, (size_t)k * sizeof *count);
        memset(sum, 0, kd * sizeof *sum);
        memset(sum_square, 0, kd * sizeof *sum_square);
        for (int t = 0; t < threads; t++) {
            for (int j = 0; j < k; j++) {
                const double *s = sums + (size_t)t * 2 * kd + (size_t)j * 2 * d;
                count[j] += counts[(size_t)t * k + j];
                for (int c = 0; c < d; c++) {
                    sum[(size_t)j * d + c] += s[c];
                    sum_square[(size_t)j * d + c] += s[d + c];
                }
            }
        }
    }
    rc = 0;
out:
    mem_free(sums);
    mem_free(counts);
    mem_free(resps);
    mem_free(pairs);
    mem_free(weight);
    return rc;
}

/* The quadratic form |W x - c|^2 grows as rows of W are added, STRIPE at a time,
 * so a component can be given up for a data row as soon as it has fallen
 * LINALG_HOPELESS below one that is known to its end. */
enum { STRIPE = 64, FULL_ROWS = 256 };

struct full_scratch {
    double *gathered; /* (FULL_ROWS, d) */
    double *y;        /* (FULL_ROWS, STRIPE) */
    int *alive;       /* (FULL_ROWS): rows of the block still in the race */
};

/* Adds the stripes [s0, s1) of component j for the rows in `alive` to their log
 * densities in resp; between stripes, drops rows that fall below
 * floor[row] (NULL: keeps all), marking them -infinity. */
static void full_stripes(int d, int k, int j, int s0, int s1, const double *x, const double *whiten,
                         const double *centre, const double *floor, int n_alive, struct full_scratch *w, double *resp)
{
    bool packed = false;
    for (int s = s0; s < s1 && n_alive > 0; s++) {
        int first = s * STRIPE, size = d - first < STRIPE ? d - first : STRIPE, columns = first + size;
        if (floor) {
            int kept = 0;
            for (int i = 0; i < n_alive; i++) {
                int row = w->alive[i];
                if (resp[(size_t)row * k + j] < floor[row])
                    resp[(size_t)row * k + j] = -INFINITY;
                else
                    w->alive[kept++] = row;
            }
            packed = packed && kept == n_alive;
            n_alive = kept;
        }
        if (!packed)
            for (int i = 0; i < n_alive; i++)
                memcpy(w->gathered + (size_t)i * d, x + (size_t)w->alive[i] * d, (size_t)d * sizeof *x);
        packed = true;
        if (n_alive == 0)
            break;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n_alive, size, columns, 1.0, w->gathered, d,
                    whiten + ((size_t)j * d + first) * d, d, 0.0, w->y, STRIPE);
        const double *c = centre + (size_t)j * d + first;
        for (int i = 0; i < n_alive; i++) {
            const double *y = w->y + (size_t)i * STRIPE;
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (int l = 0; l < size; l++)
                sum += (y[l] - c[l]) * (y[l] - c[l]);
            resp[(size_t)w->alive[i] * k + j] -= 0.5 * sum;
        }
    }
}

static void full_block(int rows, int d, int k, const double *x, const double *whiten, const double *centre,
                       const double *offset, double *loglik, double *resp, int *guess, double *floor,
                       struct full_scratch *w)
{
    int stripes = (d + STRIPE - 1) / STRIPE;
    /* The first stripe of all components, to guess the best one of each row. */
    for (int j = 0; j < k; j++) {
        for (int i = 0; i < rows; i++) {
            w->alive[i] = i;
            resp[(size_t)i * k + j] = offset[j];
        }
        full_stripes(d, k, j, 0, 1, x, whiten, centre, NULL, rows, w, resp);
    }
    for (int i = 0; i < rows; i++) {
        guess[i] = 0;
        for (int j = 1; j < k; j++)
            if (resp[(size_t)i * k + j] > resp[(size_t)i * k + guess[i]])
                guess[i] = j;
    }
    for (int j = 0; j < k; j++) {
        int n_alive = 0;
        for (int i = 0; i < rows; i++)
            if (guess[i] == j)
                w->alive[n_alive++] = i;
        full_stripes(d, k, j, 1, stripes, x, whiten, centre, NULL, n_alive, w, resp);
    }
    for (int i = 0; i < rows; i++)
        floor[i] = resp[(size_t)i * k + guess[i]] - LINALG_HOPELESS;
    for (int j = 0; j < k; j++) {
        int n_alive = 0;
        for (int i = 0; i < rows; i++)
            if (guess[i] != j)
                w->alive[n_alive++] = i;
        full_stripes(d, k, j, 1, stripes, x, whiten, centre, floor, n_alive, w, resp);
        for (int i = 0; i < rows; i++)
            floor[i] = fmax(floor[i], resp[(size_t)i * k + j] - LINALG_HOPELESS);
    }
    for (int i = 0; i < rows; i++)
        loglik[i] = log_sum_exp(k, resp + (size_t)i * k);
}

static int cpu_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                                const double *centre, const double *offset, double *loglik, double *resp,
                                struct err *err)
{
    int threads = dev->threads, rc = -1;
    int64_t blocks = (n + FULL_ROWS - 1) / FULL_ROWS;
    double *gathered = mem_alloc((size_t)threads * FULL_ROWS, (size_t)d * sizeof *gathered, err);
    double *y = mem_alloc((size_t)threads * FULL_ROWS, STRIPE * sizeof *y, err);
    double *floors = mem_alloc((size_t)threads, FULL_ROWS * sizeof *floors, err);
    int *rows = mem_alloc((size_t)threads * 2, FULL_ROWS * sizeof *rows, err);
    if (!gathered || !y || !floors || !rows)
        goto out;
    blas_threads(dev);
#pragma omp parallel num_threads(threads)
    {
        size_t me = (size_t)omp_get_thread_num() * FULL_ROWS;
        struct full_scratch w = { gathered + me * d, y + me * STRIPE, rows + 2 * me };
#pragma omp for schedule(dynamic)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t first = b * FULL_ROWS;
            full_block((int)(n - first < FULL_ROWS ? n - first : FULL_ROWS), d, k, x + first * d, whiten, centre,
                       offset, loglik + first, resp + first * k, rows + 2 * me + FULL_ROWS, floors + me, &w);
        }
    }
    rc = 0;
out:
    mem_free(rows);
    mem_free(floors);
    mem_free(y);
    mem_free(gathered);
    return rc;
}

static int cpu_weighted_scatter(struct device *dev, int64_t n, int d, const double *x, const double *weight,
                                int stride, const double *centre, double *scatter, struct err *err)
{
    enum { ROWS = 1024 };
    double total = 0.0;
    int64_t next = 0;
    int64_t chosen[ROWS];
    double *scaled = mem_alloc(ROWS, (size_t)d * sizeof *scaled, err);
    if (!scaled)
        return -1;
    blas_threads(dev);
    for (int64_t i = 0; i < n; i++)
        total += weight[i * stride];
    memset(scatter, 0, (size_t)d * d * sizeof *scatter);
    while (next < n) {
        int rows = 0;
        for (; next < n && rows < ROWS; next++)
            if (weight[next * stride] > 1e-20 * total)
                chosen[rows++] = next;
#pragma omp parallel for num_threads(dev->threads) schedule(static)
        for (int i = 0; i < rows; i++) {
            double root = sqrt(weight[chosen[i] * stride]);
            const double *v = x + chosen[i] * d;
            for (int c = 0; c < d; c++)
                scaled[(size_t)i * d + c] = root * (v[c] - centre[c]);
        }
        if (rows > 0)
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, rows, 1.0, scaled, d, 1.0, scatter, d);
    }
    mem_free(scaled);
    return 0;
}

const struct device_linalg cpu_linalg = {
    .dgemm = cpu_dgemm,
    .dsyrk = cpu_dsyrk,
    .dpotrf = cpu_dpotrf,
    .dtrtri = cpu_dtrtri,
    .dtrsm = cpu_dtrsm,
    .log_sum_exp_rows = cpu_log_sum_exp_rows,
    .square_distances = cpu_square_distances,
    .nearest_rows = cpu_nearest_rows,
    .gmm_diag_pass = cpu_gmm_diag_pass,
    .gmm_full_logprob = cpu_gmm_full_logprob,
    .weighted_scatter = cpu_weighted_scatter,
};
