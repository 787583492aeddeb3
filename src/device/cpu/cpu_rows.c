/* Rows of losses: one thread a row, the bodies are in kernels.h. */
#include "device/cpu/cpu.h"
#include "device/kernels.h"

static int threads_for(const struct device *dev, int n, int d)
{
    return (double)n * d < CPU_WORTH_THREADS ? 1 : dev->threads;
}

int cpu_normalize_rows(struct device *dev, int n, int d, const float *x, float *y, float *inverse, struct err *err)
{
    (void)err;
    const int threads = threads_for(dev, n, d);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < n; i++)
        inverse[i] = kernel_normalize_row(d, x + (size_t)i * d, y + (size_t)i * d);
    return 0;
}

int cpu_normalize_rows_backward(struct device *dev, int n, int d, const float *y, const float *inverse, const float *dy,
                                float *dx, struct err *err)
{
    (void)err;
    const int threads = threads_for(dev, n, d);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < n; i++) {
        size_t row = (size_t)i * d;
        kernel_normalize_row_backward(d, y + row, inverse[i], dy + row, dx + row);
    }
    return 0;
}

int cpu_contrastive_rows(struct device *dev, int n, int m, float *logits, const int32_t *positive,
                         const int32_t *row_group, const int32_t *group, float scale, float *loss_rows, struct err *err)
{
    (void)err;
    const int threads = threads_for(dev, n, m);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < n; i++)
        loss_rows[i] = kernel_contrastive_row(m, logits + (size_t)i * m, positive[i], row_group[i], group, scale);
    return 0;
}

int cpu_mse_rows(struct device *dev, int n, int d, const float *z, const float *target, float scale, float *dz,
                 float *loss_rows, struct err *err)
{
    (void)err;
    const int threads = threads_for(dev, n, d);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < n; i++) {
        size_t row = (size_t)i * d;
        loss_rows[i] = kernel_mse_row(d, z + row, target + row, scale, dz + row);
    }
    return 0;
}
