/* A pass of EM for diagonal mixtures that reads the data matrix from memory once:
 * a block of rows stays in a core's second-level cache while its log densities,
 * responsibilities and weighted sums are taken.
 *
 * In many dimensions nearly every row belongs to one component, so the sums skip
 * components whose responsibility is negligible; where that is not so, they are
 * products of matrices. */
#include "device/cpu/cpu_linalg.h"

#include <omp.h>

#include "base/mem.h"
#include "device/cpu/blas.h"

/* The kernel works on ROWS x COMPONENTS accumulators, which fill the registers of
 * AVX-512, over COLUMNS columns at a time, whose parameters fit the first-level
 * cache. */
enum { LANES = 8, ROWS = 4, COMPONENTS = 5, COLUMNS = 256 };
enum { BLOCK_BYTES = 1 << 19, BLOCK_MIN = 32, BLOCK_MAX = 512 };

/* Below this a responsibility adds nothing to a sum that a double can hold. */
static const double NEGLIGIBLE = 1e-20;

typedef double lanes __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));

static inline double lanes_sum(lanes v)
{
    double sum = 0.0;
    for (int l = 0; l < LANES; l++)
        sum += v[l];
    return sum;
}

/* resp[r][j] += sum over columns of x (linear + curve x); curve = -precision / 2.
 * Inlined with constant rows and components, so that acc stays in registers. */
static inline __attribute__((always_inline)) void kernel(int rows, int components, int columns, int d, int k,
                                                         const double *x, const double *linear, const double *curve,
                                                         double *resp)
{
    lanes acc[ROWS][COMPONENTS];
    int c = 0;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < components; j++)
            acc[r][j] = (lanes){ 0 };
    for (; c + LANES <= columns; c += LANES) {
        lanes v[ROWS];
        for (int r = 0; r < rows; r++)
            v[r] = *(const lanes *)(x + (size_t)r * d + c);
        for (int j = 0; j < components; j++) {
            lanes b = *(const lanes *)(linear + (size_t)j * d + c), a = *(const lanes *)(curve + (size_t)j * d + c);
            for (int r = 0; r < rows; r++)
                acc[r][j] += v[r] * (a * v[r] + b);
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int j = 0; j < components; j++) {
            double sum = lanes_sum(acc[r][j]);
            for (int t = c; t < columns; t++) {
                double v = x[(size_t)r * d + t];
                sum += v * (curve[(size_t)j * d + t] * v + linear[(size_t)j * d + t]);
            }
            resp[(size_t)r * k + j] += sum;
        }
    }
}

/* Log densities of a block without offsets into resp (rows, k). */
static void log_densities(int rows, int d, int k, const double *x, const double *linear, const double *curve,
                          double *resp)
{
    memset(resp, 0, (size_t)rows * k * sizeof *resp);
    for (int c = 0; c < d; c += COLUMNS) {
        int columns = d - c < COLUMNS ? d - c : COLUMNS;
        for (int j = 0; j < k; j += COMPONENTS) {
            const double *b = linear + (size_t)j * d + c, *a = curve + (size_t)j * d + c;
            int full = k - j >= COMPONENTS, r = 0;
            for (; full && r + ROWS <= rows; r += ROWS)
                kernel(ROWS, COMPONENTS, columns, d, k, x + (size_t)r * d + c, b, a, resp + (size_t)r * k + j);
            for (; r < rows; r++)
                for (int i = 0; i < COMPONENTS && j + i < k; i++)
                    kernel(1, 1, columns, d, k, x + (size_t)r * d + c, b + (size_t)i * d, a + (size_t)i * d,
                           resp + (size_t)r * k + j + i);
        }
    }
}

/* sums (k, 2 d): of x and of x^2. */
static void add_sparse(int rows, int d, int k, const double *x, const double *resp, double *sums)
{
    for (int j = 0; j < k; j++) {
        double *s = sums + (size_t)j * 2 * d, *s2 = s + d;
        for (int i = 0; i < rows; i++) {
            double r = resp[(size_t)i * k + j];
            if (r < NEGLIGIBLE)
                continue;
            const double *v = x + (size_t)i * d;
#pragma omp simd
            for (int c = 0; c < d; c++) {
                double rv = r * v[c];
                s[c] += rv;
                s2[c] += rv * v[c];
            }
        }
    }
}

static void add_dense(int rows, int d, int k, const double *x, const double *resp, double *square, double *sums)
{
    for (size_t i = 0; i < (size_t)rows * d; i++)
        square[i] = x[i] * x[i];
    blas.dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, d, rows, 1.0, resp, k, x, d, 1.0, sums, 2 * d);
    blas.dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, d, rows, 1.0, resp, k, square, d, 1.0, sums + d, 2 * d);
}

static void block_pass(int rows, int d, int k, const double *x, const double *linear, const double *curve,
                       const double *offset, double *square, double *resp, double *loglik, double *count, double *sums)
{
    int64_t weighty = 0;
    log_densities(rows, d, k, x, linear, curve, resp);
    for (int i = 0; i < rows; i++) {
        double *r = resp + (size_t)i * k;
        for (int j = 0; j < k; j++)
            r[j] += offset[j];
        loglik[i] = cpu_log_sum_exp(k, r);
        for (int j = 0; count != NULL && j < k; j++) {
            count[j] += r[j];
            weighty += r[j] >= NEGLIGIBLE;
        }
    }
    if (count == NULL)
        return;
    if (weighty <= 4 * (int64_t)rows)
        add_sparse(rows, d, k, x, resp, sums);
    else
        add_dense(rows, d, k, x, resp, square, sums);
}

int cpu_gmm_diag_pass(struct device *dev, int64_t n, int d, int k, const double *x, const double *precision,
                      const double *linear, const double *offset, double *loglik, double *count, double *sum,
                      double *sum_square, struct err *err)
{
    int threads = cpu_threads_for(dev, 4.0 * (double)n * d * k), rc = -1;
    size_t kd = (size_t)k * d;
    int64_t rows = BLOCK_BYTES / (int64_t)sizeof *x / d;
    rows = rows < BLOCK_MIN ? BLOCK_MIN : rows > BLOCK_MAX ? BLOCK_MAX : rows / ROWS * ROWS;
    int64_t blocks = (n + rows - 1) / rows;
    double *curve = mem_alloc(kd, sizeof *curve, err);
    double *squares = mem_alloc((size_t)threads * rows, (size_t)d * sizeof *squares, err);
    double *resps = mem_alloc((size_t)threads * rows, (size_t)k * sizeof *resps, err);
    double *counts = mem_alloc((size_t)threads, (size_t)k * sizeof *counts, err);
    double *sums = mem_alloc((size_t)threads, 2 * kd * sizeof *sums, err);
    if (curve == NULL || squares == NULL || resps == NULL || counts == NULL || sums == NULL)
        goto out;
    cpu_blas_begin(dev, 4.0 * (double)n * d * k);
    for (size_t i = 0; i < kd; i++)
        curve[i] = -0.5 * precision[i];
#pragma omp parallel num_threads(threads)
    {
        int64_t me = omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t first = b * rows;
            block_pass((int)(n - first < rows ? n - first : rows), d, k, x + first * d, linear, curve, offset,
                       squares + me * rows * d, resps + me * rows * k, loglik + first,
                       count != NULL ? counts + me * k : NULL, sums + (size_t)me * 2 * kd);
        }
    }
    cpu_blas_end(dev);
    if (count != NULL) {
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
    mem_free(squares);
    mem_free(curve);
    return rc;
}
