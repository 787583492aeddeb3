/* Layout and what follows a convolution. */
#include "device/cuda/kernels_grid.h"

/* One thread a pixel and channel of the NHWC side, whose accesses are neighbours. */
static __global__ void pack(size_t count, int c, size_t area, const float *plain, float *act)
{
    GRID_LOOP(i, count) {
        size_t pixel = i / c, image = pixel / area;
        act[i] = plain[(image * c + i % c) * area + pixel % area];
    }
}

static __global__ void unpack(size_t count, int c, size_t area, const float *act, float *plain)
{
    GRID_LOOP(i, count) {
        size_t pixel = i / c, image = pixel / area;
        plain[(image * c + i % c) * area + pixel % area] = act[i];
    }
}

int cuda_pack(cudaStream_t stream, int n, int c, int h, int w, const float *plain, float *act, struct err *err)
{
    const size_t area = (size_t)h * w, count = (size_t)n * c * area;
    if (count == 0)
        return 0;
    return LAUNCH(pack, grid_elements(count), dim3(THREADS), stream, count, c, area, plain, act);
}

int cuda_unpack(cudaStream_t stream, int n, int c, int h, int w, const float *act, float *plain, struct err *err)
{
    const size_t area = (size_t)h * w, count = (size_t)n * c * area;
    if (count == 0)
        return 0;
    return LAUNCH(unpack, grid_elements(count), dim3(THREADS), stream, count, c, area, act, plain);
}

template <int V>
static __global__ void epilogue(size_t rows, int c, const float *bias, const float *residual, bool relu, float *y)
{
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * V;
    float b[V];

    if (column >= c)
        return;
    for (int l = 0; l < V; l++)
        b[l] = bias ? bias[column + l] : 0;
    for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += (size_t)gridDim.y * blockDim.y) {
        const size_t at = row * c + column;
        group<V> value = load<V>(y + at), more = {};
        if (residual)
            more = load<V>(residual + at);
        for (int l = 0; l < V; l++) {
            float sum = value.v[l] + b[l] + more.v[l];
            value.v[l] = relu ? kernel_relu(sum) : sum;
        }
        store<V>(y + at, value);
    }
}

int cuda_conv_epilogue(cudaStream_t stream, size_t rows, int c, const float *bias, const float *residual, bool relu,
                       float *y, struct err *err)
{
    if (rows == 0 || c == 0 || (!bias && !residual && !relu))
        return 0;
    const int v = c % 4 == 0 ? 4 : 1;
    const dim3 block = columns_block(c, v), grid = columns_grid(rows, c, v, block, BLOCKS_MAX, 4);
    if (v == 4)
        return LAUNCH(epilogue<4>, grid, block, stream, rows, c, bias, residual, relu, y);
    return LAUNCH(epilogue<1>, grid, block, stream, rows, c, bias, residual, relu, y);
}
