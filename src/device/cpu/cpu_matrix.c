/* Matrix product by OpenBLAS; bias and ReLU as an OpenMP loop. */
#include <omp.h>

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
