/* Gradients of bias and ReLU, sums, and flat vectors: axpy and the optimiser. */
#include "device/cuda/kernels_grid.h"

static constexpr int SUM_PARTIALS = CUDA_SUM_WORKSPACE / (int)sizeof(double);

static __global__ void relu_backward(size_t n, const float *y, float *dy)
{
    GRID_LOOP (i, n)
        dy[i] = kernel_relu_backward(y[i], dy[i]);
}

/* y NULL: no ReLU. One block holds all rows of its columns, so that its sums are final. */
static __global__ void bias_backward(int n, int d, const float *y, float *dy, float *dbias)
{
    __shared__ double scratch[THREADS];
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    double sum = 0;

    if (column < d)
        for (int row = (int)threadIdx.y; row < n; row += (int)blockDim.y) {
            const size_t at = (size_t)row * d + column;
            float g = dy[at];
            if (y != NULL)
                dy[at] = g = kernel_relu_backward(y[at], g);
            sum += g;
        }
    scratch[threadIdx.y * blockDim.x + threadIdx.x] = sum;
    block_fold(1, scratch);
    if (threadIdx.y == 0 && column < d)
        dbias[column] = (float)scratch[threadIdx.x];
}

int cuda_bias_relu_backward(cudaStream_t stream, int n, int d, const float *y, float *dy, float *dbias, bool relu,
                            struct err *err)
{
    const size_t count = (size_t)n * d;

    if (dbias != nullptr && d > 0) { /* no rows: zeros */
        const dim3 block = columns_block(d, 1);
        return LAUNCH_SYNC(bias_backward, dim3((d + block.x - 1) / block.x), block, stream, n, d, relu ? y : nullptr,
                           dy, dbias);
    }
    if (!relu || count == 0)
        return 0;
    return LAUNCH(relu_backward, grid_elements(count), dim3(THREADS), stream, count, y, dy);
}

static __global__ void sum_blocks(size_t n, const float *x, double *partials)
{
    __shared__ double scratch[THREADS];
    double sum = 0;

    GRID_LOOP (i, n)
        sum += x[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0)
        partials[blockIdx.x] = sum;
}

static __global__ void add_partials(int count, size_t n, const double *partials, double *total)
{
    __shared__ double scratch[THREADS];
    double sum = 0;

    for (int i = (int)threadIdx.x; i < count; i += THREADS)
        sum += partials[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0)
        *total += sum / (double)n;
}

int cuda_add_mean(cudaStream_t stream, size_t n, const float *x, void *workspace, double *total, struct err *err)
{
    const size_t wanted = (n + 4 * THREADS - 1) / (4 * THREADS); /* at least 4 values a thread */
    const int blocks = wanted < SUM_PARTIALS ? (int)wanted : SUM_PARTIALS;
    double *partials = (double *)workspace;

    if (n == 0)
        return 0;
    if (LAUNCH_SYNC(sum_blocks, dim3(blocks), dim3(THREADS), stream, n, x, partials) != 0)
        return -1;
    return LAUNCH_SYNC(add_partials, dim3(1), dim3(THREADS), stream, blocks, n, partials, total);
}

static __global__ void axpy(size_t n, float alpha, const float *x, float *y)
{
    GRID_LOOP (i, n)
        y[i] += alpha * x[i];
}

int cuda_axpy(cudaStream_t stream, size_t n, float alpha, const float *x, float *y, struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH(axpy, grid_elements(n), dim3(THREADS), stream, n, alpha, x, y);
}

/* One thread of a block works out what the others need of the step. */
static __global__ void adam(size_t n, const struct adam_step *at, float *w, const float *g, float *m, float *v)
{
    __shared__ struct kernel_adam k;
    if (threadIdx.x == 0)
        k = kernel_adam_constants(at);
    __syncthreads();
    GRID_LOOP (i, n)
        kernel_adam(&k, &w[i], g[i], &m[i], &v[i]);
}

int cuda_adam(cudaStream_t stream, size_t n, float *w, const float *g, float *m, float *v, const struct adam_step *at,
              struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH_SYNC(adam, grid_elements(n), dim3(THREADS), stream, n, at, w, g, m, v);
}
