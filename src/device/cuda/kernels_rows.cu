/* Rows of losses: one block a row, whose threads share out the columns. */
#include "device/cuda/kernels_grid.h"

static __global__ void normalize(int d, const float *x, float *y, float *inverse)
{
    __shared__ double scratch[ROW_THREADS];
    const size_t row = (size_t)blockIdx.x * d;
    double square = 0;

    for (int j = (int)threadIdx.x; j < d; j += ROW_THREADS)
        square += (double)x[row + j] * x[row + j];
    const float factor = kernel_inverse_norm(block_sum(square, scratch));
    for (int j = (int)threadIdx.x; j < d; j += ROW_THREADS)
        y[row + j] = x[row + j] * factor;
    if (threadIdx.x == 0)
        inverse[blockIdx.x] = factor;
}

int cuda_normalize_rows(cudaStream_t stream, int n, int d, const float *x, float *y, float *inverse, struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH_SYNC(normalize, dim3(n), dim3(ROW_THREADS), stream, d, x, y, inverse);
}

static __global__ void normalize_backward(int d, const float *y, const float *inverse, const float *dy, float *dx)
{
    __shared__ double scratch[ROW_THREADS];
    const size_t row = (size_t)blockIdx.x * d;
    double product = 0;

    for (int j = (int)threadIdx.x; j < d; j += ROW_THREADS)
        product += (double)y[row + j] * dy[row + j];
    const float dot = (float)block_sum(product, scratch);
    for (int j = (int)threadIdx.x; j < d; j += ROW_THREADS)
        dx[row + j] = kernel_normalize_backward(y[row + j], inverse[blockIdx.x], dy[row + j], dot);
}

int cuda_normalize_rows_backward(cudaStream_t stream, int n, int d, const float *y, const float *inverse,
                                 const float *dy, float *dx, struct err *err)
{
    if (n == 0 || d == 0)
        return 0;
    return LAUNCH_SYNC(normalize_backward, dim3(n), dim3(ROW_THREADS), stream, d, y, inverse, dy, dx);
}

static inline __device__ float block_largest(float value, float *scratch)
{
    scratch[threadIdx.x] = value;
    for (unsigned half = ROW_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            scratch[threadIdx.x] = kernel_contrastive_largest(scratch[threadIdx.x], scratch[threadIdx.x + half], false);
    }
    __syncthreads();
    return scratch[0];
}

static __global__ void contrastive(int m, float *logits, const int32_t *positive, const int32_t *row_group,
                                   const int32_t *group, float scale, float *loss_rows)
{
    __shared__ double scratch[ROW_THREADS];
    __shared__ float maxima[ROW_THREADS];
    float *row = logits + (size_t)blockIdx.x * m;
    const int32_t at = positive[blockIdx.x], mine = row_group[blockIdx.x];
    const float chosen = row[at];
    float largest = chosen;
    double sum = 0;

    for (int j = (int)threadIdx.x; j < m; j += ROW_THREADS)
        largest = kernel_contrastive_largest(largest, row[j], group[j] == mine);
    largest = block_largest(largest, maxima); /* all have read the positive when this returns */
    for (int j = (int)threadIdx.x; j < m; j += ROW_THREADS) {
        row[j] = kernel_contrastive_exp(row[j], largest, j != at && group[j] == mine);
        sum += row[j];
    }
    sum = block_sum(sum, scratch);
    const float factor = (float)(scale / sum);
    for (int j = (int)threadIdx.x; j < m; j += ROW_THREADS) {
        row[j] *= factor;
        if (j == at)
            row[j] -= scale;
    }
    if (threadIdx.x == 0)
        loss_rows[blockIdx.x] = kernel_contrastive_loss(sum, largest, chosen);
}

int cuda_contrastive_rows(cudaStream_t stream, int n, int m, float *logits, const int32_t *positive,
                          const int32_t *row_group, const int32_t *group, float scale, float *loss_rows,
                          struct err *err)
{
    if (n == 0 || m == 0)
        return 0;
    return LAUNCH_SYNC(contrastive, dim3(n), dim3(ROW_THREADS), stream, m, logits, positive, row_group, group, scale,
                       loss_rows);
}

static __global__ void mse(int d, const float *z, const float *target, float factor, float *dz, float *loss_rows)
{
    __shared__ double scratch[ROW_THREADS];
    const size_t row = (size_t)blockIdx.x * d;
    double sum = 0;

    for (int j = (int)threadIdx.x; j < d; j += ROW_THREADS)
        sum += kernel_mse(z[row + j], target[row + j], factor, &dz[row + j]);
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0)
        loss_rows[blockIdx.x] = (float)(sum / d);
}

int cuda_mse_rows(cudaStream_t stream, int n, int d, const float *z, const float *target, float scale, float *dz,
                  float *loss_rows, struct err *err)
{
    if (n == 0 || d == 0)
        return 0;
    return LAUNCH_SYNC(mse, dim3(n), dim3(ROW_THREADS), stream, d, z, target, scale * 2 / (float)d, dz, loss_rows);
}
