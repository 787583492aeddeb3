/* How kernels are put on a grid, and the few things that several of them share.
 * For .cu files only. The same sources are compiled for the host, against a grid
 * emulator whose <cuda_runtime.h> defines LAUNCH and LAUNCH_SYNC. */
#ifndef DINF_DEVICE_CUDA_KERNELS_GRID_H
#define DINF_DEVICE_CUDA_KERNELS_GRID_H

#include "device/cuda/launch.h"

/* 0, or -1 with a sentence; `err` is the caller's. LAUNCH_SYNC is for kernels
 * that call __syncthreads. */
#ifndef LAUNCH
#define LAUNCH(kernel, grid, block, stream, ...) \
    (kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__), grid_launched(#kernel, err))
#define LAUNCH_SYNC LAUNCH
#endif

static inline int grid_launched(const char *kernel, struct err *err)
{
    cudaError_t status = cudaGetLastError();
    return status == cudaSuccess ? 0 : err_set(err, "CUDA kernel %s: %s", kernel, cudaGetErrorString(status));
}

/* Threads of a block; kernels that reduce rely on a power of two. */
static constexpr int THREADS = 256, ROW_THREADS = 128, BLOCKS_MAX = 4096, LANES_MAX = 32;

/* -- elements: GRID_LOOP(i, n) visits the elements of this thread -- */

#define GRID_LOOP(i, n)                                                                 \
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (size_t)(n);     \
         i += (size_t)gridDim.x * blockDim.x)

static inline dim3 grid_elements(size_t n)
{
    size_t blocks = (n + THREADS - 1) / THREADS;
    return dim3(blocks < BLOCKS_MAX ? (unsigned)blocks : BLOCKS_MAX);
}

/* -- rows: one block a row, several rows where there are many -- */

static inline dim3 grid_rows(int64_t n)
{
    return dim3((unsigned)(n < 1 << 20 ? n : 1 << 20));
}

/* -- columns: x is a group of V neighbouring columns, y a row. A division a
 *    thread instead of a division an element. -- */

/* V floats that are loaded and stored at once. */
template <int V> struct alignas(V * sizeof(float)) group {
    float v[V];
};

template <int V> static inline __device__ group<V> load(const float *p)
{
    return *(const group<V> *)p;
}

template <int V> static inline __device__ void store(float *p, group<V> value)
{
    *(group<V> *)p = value;
}

/* A power of two of lanes along the columns, the rest of the threads along the rows. */
static inline dim3 columns_block(int columns, int v)
{
    int groups = (columns + v - 1) / v, lanes = 1;
    while (lanes < LANES_MAX && lanes < groups)
        lanes *= 2;
    return dim3((unsigned)lanes, (unsigned)(THREADS / lanes));
}

/* `blocks` blocks or so, each thread at least `least` rows (if there are that many). */
static inline dim3 columns_grid(size_t rows, int columns, int v, dim3 block, size_t blocks, size_t least)
{
    size_t groups = ((size_t)columns + v - 1) / v, across = (groups + block.x - 1) / block.x;
    size_t down = (rows + block.y * least - 1) / (block.y * least), most = blocks / across;
    most = most < 1 ? 1 : most < 65535 ? most : 65535;
    return dim3((unsigned)across, (unsigned)(down < most ? down : most));
}

/* -- sums over the threads of a block -- */

/* Sum over a block of one dimension, the same to all its threads; `scratch` has
 * blockDim.x elements. */
static inline __device__ double block_sum(double value, double *scratch)
{
    scratch[threadIdx.x] = value;
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            scratch[threadIdx.x] += scratch[threadIdx.x + half];
    }
    __syncthreads();
    double sum = scratch[0];
    __syncthreads(); /* before scratch is used again */
    return sum;
}

/* For each of `arrays` arrays, a block's threads apart: sums scratch[lane + lanes * y]
 * over y into scratch[lane], lane = threadIdx.x, y = threadIdx.y; all threads call
 * it, and the first row may read its sums. */
static inline __device__ void block_fold(int arrays, double *scratch)
{
    const unsigned threads = blockDim.x * blockDim.y, at = threadIdx.y * blockDim.x + threadIdx.x;
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        for (int i = 0; threadIdx.y < half && i < arrays; i++)
            scratch[i * threads + at] += scratch[i * threads + at + half * blockDim.x];
    }
}

#endif
