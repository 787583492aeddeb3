/* How kernels are put on a grid, and the few things that several of them share.
 * For .cu files only. The same sources are compiled for the host, against a grid
 * emulator whose <cuda_runtime.h> defines LAUNCH and LAUNCH_SYNC. */
#ifndef DINF_DEVICE_CUDA_KERNELS_GRID_H
#define DINF_DEVICE_CUDA_KERNELS_GRID_H

#include "device/cuda/launch.h"

/* 0, or -1 with a sentence; `err` is the caller's. LAUNCH_SYNC is for kernels
 * that call __syncthreads. */
#ifndef LAUNCH
#define LAUNCH(kernel, grid, block, stream, ...)                                                                       \
    (kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__), grid_launched(#kernel, err))
#define LAUNCH_SYNC LAUNCH
#endif

static inline int grid_launched(const char *kernel, struct err *err)
{
    cudaError_t status = cudaGetLastError();
    return status == cudaSuccess ? 0 : err_set(err, "CUDA kernel %s: %s", kernel, cudaGetErrorString(status));
}

#ifdef __CUDACC__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

/* Threads of a block; kernels that reduce rely on a power of two. */
static constexpr int THREADS = 256, ROW_THREADS = 128, BLOCKS_MAX = 4096, LANES_MAX = 32;

/* -- elements: GRID_LOOP(i, n) visits the elements of this thread -- */

#define GRID_LOOP(i, n)                                                                                                \
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (size_t)(n); i += (size_t)gridDim.x * blockDim.x)

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

/* Elements of activations; computing is in float. */
struct bf16 {
    uint16_t bits;
};

static inline __device__ float get(float value)
{
    return value;
}

static inline __device__ float get(bf16 value)
{
    return kernel_from_bf16(value.bits);
}

static inline __device__ void put(float *p, float value)
{
    *p = value;
}

static inline __device__ void put(bf16 *p, float value)
{
    p->bits = kernel_to_bf16(value);
}

template <class T> static inline __device__ float rounded(float value)
{
    T element;
    put(&element, value);
    return get(element);
}

/* V neighbouring elements of type T are loaded and stored at once, 16 bytes where
 * the channels allow it. What the kernels on columns are templates of. */
template <class Element, int Width> struct span {
    typedef Element T;
    static constexpr int V = Width;
};
typedef span<float, 4> floats4;
typedef span<float, 1> floats1;
typedef span<bf16, 8> halves8;
typedef span<bf16, 1> halves1;

static inline int span_width(enum precision precision, int columns)
{
    const int widest = precision == PRECISION_BF16 ? 8 : 4;
    return columns % widest == 0 ? widest : 1;
}

/* `kernel` for the precision's elements, and for the width that `columns` allow. */
#define LAUNCH_SPAN(launch, precision, columns, kernel, ...)                                                           \
    ((precision) == PRECISION_BF16 ? (span_width(precision, columns) > 1 ? launch(kernel<halves8>, __VA_ARGS__)        \
                                                                         : launch(kernel<halves1>, __VA_ARGS__))       \
                                   : (span_width(precision, columns) > 1 ? launch(kernel<floats4>, __VA_ARGS__)        \
                                                                         : launch(kernel<floats1>, __VA_ARGS__)))
/* The same for kernels on single elements. */
#define LAUNCH_ELEMENT(launch, precision, kernel, ...)                                                                 \
    ((precision) == PRECISION_BF16 ? launch(kernel<bf16>, __VA_ARGS__) : launch(kernel<float>, __VA_ARGS__))

template <int V> struct group {
    float v[V];
};

/* As they lie in memory. A load is waited for where its value is used first: kernels
 * fetch all that they need before they widen any of it. */
template <class S> struct alignas(S::V * sizeof(typename S::T)) packet {
    typename S::T v[S::V];
};

template <class S> static inline __device__ packet<S> fetch(const void *p, size_t at)
{
    return *(const packet<S> *)((const typename S::T *)p + at);
}

template <class S> static inline __device__ group<S::V> widen(const packet<S> &in)
{
    group<S::V> out;
    for (int l = 0; l < S::V; l++)
        out.v[l] = get(in.v[l]);
    return out;
}

template <class S> static inline __device__ group<S::V> load(const void *p, size_t at)
{
    return widen<S>(fetch<S>(p, at));
}

template <class S> static inline __device__ void store(void *p, size_t at, const group<S::V> &value)
{
    packet<S> out;
    for (int l = 0; l < S::V; l++)
        put(&out.v[l], value.v[l]);
    *(packet<S> *)((typename S::T *)p + at) = out;
}

/* V floats from column on: parameters of channels. */
template <int V> static inline __device__ group<V> parameters(const float *p, int column)
{
    constexpr int W = V % 4 == 0 ? 4 : 1;
    group<V> out;
    for (int l = 0; l < V; l += W) {
        const group<W> part = load<span<float, W>>(p, column + l);
        for (int i = 0; i < W; i++)
            out.v[l + i] = part.v[i];
    }
    return out;
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

/* The same for the maximum, of a block of ROW_THREADS. */
static inline __device__ float block_largest(float value, float *scratch)
{
    scratch[threadIdx.x] = value;
    for (unsigned half = ROW_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            scratch[threadIdx.x] = kernel_larger(scratch[threadIdx.x], scratch[threadIdx.x + half]);
    }
    __syncthreads();
    const float largest = scratch[0];
    __syncthreads(); /* before scratch is used again */
    return largest;
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
