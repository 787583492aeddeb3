/* Matrix product by OpenBLAS; bias and ReLU as an OpenMP loop. */
#include <omp.h>

#include "device/cpu/blas.h"
#include "device/cpu/cpu.h"
#include "device/host.h"
#include "device/kernels.h"

static enum CBLAS_TRANSPOSE blas_trans(enum trans t)
{
    return t == TRANS_YES ? CblasTrans : CblasNoTrans;
}

int cpu_gemm(struct device *dev, const struct gemm *g, struct err *err)
{
    (void)err;
    /* OpenBLAS takes the number of threads that OpenMP would, but only when it has more than one */
    omp_set_num_threads(dev->threads);
    if (blas.get_num_threads() != dev->threads)
        blas.set_num_threads(dev->threads);
    blas.sgemm(CblasRowMajor, blas_trans(g->a.trans), blas_trans(g->b.trans), g->m, g->n, g->k, g->alpha, g->a.at,
               g->a.ld, g->b.at, g->b.ld, g->beta, g->c, g->ldc);
    return 0;
}

int cpu_linear(struct device *dev, const struct linear *l, struct err *err)
{
    const struct gemm product = linear_product(l);
    const int n = l->n, out = l->out;
    const bool relu = l->relu;
    const float *bias = l->bias;
    float *y = l->y;
    if (cpu_gemm(dev, &product, err) != 0)
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
