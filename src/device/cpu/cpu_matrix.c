/* Matrix product by OpenBLAS; bias, ReLU, sums and the optimiser as OpenMP loops. */
#include <omp.h>
#include <string.h>

#include "device/cpu/blas.h"
#include "device/cpu/cpu.h"
#include "device/kernels.h"

int cpu_gemm(struct device *dev, enum trans ta, enum trans tb, int m, int n, int k, float alpha, const float *a,
             int lda, const float *b, int ldb, float beta, float *c, int ldc, struct err *err)
{
    (void)err;
    /* OpenBLAS takes the number of threads that OpenMP would, but only when it has more than one */
    omp_set_num_threads(dev->threads);
    if (blas.get_num_threads() != dev->threads)
        blas.set_num_threads(dev->threads);
    blas.sgemm(CblasRowMajor, ta == TRANS_YES ? CblasTrans : CblasNoTrans, tb == TRANS_YES ? CblasTrans : CblasNoTrans,
               m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return 0;
}

int cpu_linear(struct device *dev, int n, int out, int in, const float *x, const float *weight, const float *bias,
               bool relu, float *y, struct err *err)
{
    if (cpu_gemm(dev, TRANS_NO, TRANS_YES, n, out, in, 1, x, in, weight, in, 0, y, out, err) != 0)
        return -1;
#pragma omp parallel for num_threads(dev->threads) schedule(static) if ((double)n * out >= CPU_WORTH_THREADS)
    for (int i = 0; i < n; i++) {
        float *row = y + (size_t)i * out;
        for (int j = 0; j < out; j++)
            row[j] += bias[j];
        if (relu)
            for (int j = 0; j < out; j++)
                row[j] = kernel_relu(row[j]);
    }
    return 0;
}

/* Columns [first, first + count), count <= COLUMNS, of all rows: one thread
 * holds the sums of its columns, so they do not depend on the number of threads. */
enum { COLUMNS = 64 };

static void backward_columns(int n, int d, int first, int count, const float *y, float *dy, float *dbias, bool relu)
{
    double sums[COLUMNS] = { 0 };

    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)i * d + first;
        if (relu)
            for (int j = 0; j < count; j++)
                dy[at + j] = kernel_relu_backward(y[at + j], dy[at + j]);
        for (int j = 0; j < count; j++)
            sums[j] += dy[at + j];
    }
    if (dbias != NULL)
        for (int j = 0; j < count; j++)
            dbias[first + j] = (float)sums[j];
}

int cpu_bias_relu_backward(struct device *dev, int n, int d, const float *y, float *dy, float *dbias, bool relu,
                           struct err *err)
{
    (void)err;
#pragma omp parallel for num_threads(dev->threads) schedule(static) if ((double)n * d >= CPU_WORTH_THREADS)
    for (int first = 0; first < d; first += COLUMNS)
        backward_columns(n, d, first, d - first < COLUMNS ? d - first : COLUMNS, y, dy, dbias, relu);
    return 0;
}

int cpu_add_mean(struct device *dev, size_t n, const float *x, double *total, struct err *err)
{
    (void)err;
    enum { PARTS = 64 };
    /* always the same parts: the sum does not depend on the number of threads */
    double parts[PARTS], sum = 0;
    const size_t size = n / PARTS + 1;

#pragma omp parallel for num_threads(dev->threads) schedule(static) if (n >= CPU_WORTH_THREADS)
    for (int i = 0; i < PARTS; i++) {
        size_t first = size * (size_t)i, left = first < n ? n - first : 0;
        parts[i] = kernel_sum(left < size ? left : size, x + (left ? first : 0));
    }
    for (int i = 0; i < PARTS; i++)
        sum += parts[i];
    *total += sum / (double)n;
    return 0;
}

int cpu_axpy(struct device *dev, size_t n, float alpha, const float *x, float *y, struct err *err)
{
    (void)err;
#pragma omp parallel for simd num_threads(dev->threads) schedule(static) if (n >= CPU_WORTH_THREADS)
    for (size_t i = 0; i < n; i++)
        y[i] += alpha * x[i];
    return 0;
}

int cpu_adam(struct device *dev, size_t n, float *w, const float *g, float *m, float *v, const struct adam_step *at,
             struct err *err)
{
    (void)err;
    const struct kernel_adam k = kernel_adam_constants(at);

#pragma omp parallel for simd num_threads(dev->threads) schedule(static) if (n >= CPU_WORTH_THREADS)
    for (size_t i = 0; i < n; i++)
        kernel_adam(&k, &w[i], g[i], &m[i], &v[i]);
    return 0;
}
