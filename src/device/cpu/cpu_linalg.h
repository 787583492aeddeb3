/* Shared by the files of the processor's linear algebra. */
#ifndef DINF_DEVICE_CPU_LINALG_H
#define DINF_DEVICE_CPU_LINALG_H

#include <math.h>
#include <string.h>

#include "device/linalg.h"

/* Threads for a pass over rows: one where `work` (multiplications, about) would be
 * done before the others have started. Depends on shapes and dev->threads alone. */
static inline int cpu_threads_for(const struct device *dev, double work)
{
    return work < 2e6 ? 1 : dev->threads;
}

/* Around every use of BLAS. OpenBLAS takes as many threads as OpenMP's default, one
 * inside a parallel region; a region of one thread does not count as parallel. */
void cpu_blas_begin(const struct device *dev, double work);
void cpu_blas_end(const struct device *dev);

/* Returns y = log sum_j exp(x[j]); x becomes exp(x - y). */
static inline double cpu_log_sum_exp(int k, double *x)
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

/* Slots of linalg.h, cpu_mixture_diag.c and cpu_mixture_full.c. */
int cpu_gmm_diag_pass(struct device *dev, int64_t n, int d, int k, const double *x, const double *precision,
                      const double *linear, const double *offset, double *loglik, double *count, double *sum,
                      double *sum_square, struct err *err);
int cpu_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                         const double *centre, const double *offset, double *loglik, double *resp, struct err *err);
int cpu_weighted_scatter(struct device *dev, int64_t n, int d, const double *x, const double *weight, int stride,
                         const double *centre, double *scatter, struct err *err);

#endif
