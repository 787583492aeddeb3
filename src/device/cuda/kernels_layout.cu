/* Layout, and what surrounds a convolution. */
#include "device/cuda/kernels_grid.h"

/* One thread a pixel and channel of the NHWC side, whose accesses are neighbours. */
template <class T> static __global__ void pack(size_t count, int c, size_t area, const float *plain, void *act)
{
    GRID_LOOP (i, count) {
        size_t pixel = i / c, image = pixel / area;
        put((T *)act + i, plain[(image * c + i % c) * area + pixel % area]);
    }
}

int cuda_pack(cudaStream_t stream, const struct act_desc *d, const float *plain, void *act, struct err *err)
{
    const int c = d->c;
    const size_t area = (size_t)d->h * d->w, count = (size_t)d->n * c * area;
    if (count == 0)
        return 0;
    return LAUNCH_ELEMENT(LAUNCH, d->precision, pack, grid_elements(count), dim3(THREADS), stream, count, c, area,
                          plain, act);
}

template <class S>
static __global__ void epilogue(size_t rows, int c, const float *bias, const void *residual, bool relu, void *y)
{
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;
    group<S::V> b = {};

    if (column >= c)
        return;
    if (bias != NULL)
        b = parameters<S::V>(bias, column);
    for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += (size_t)gridDim.y * blockDim.y) {
        const size_t at = row * c + column;
        const packet<S> in = fetch<S>(y, at);
        packet<S> beside = {};
        if (residual != NULL)
            beside = fetch<S>(residual, at);
        group<S::V> value = widen<S>(in);
        const group<S::V> more = widen<S>(beside);
        for (int l = 0; l < S::V; l++) {
            float sum = value.v[l] + b.v[l] + more.v[l];
            value.v[l] = relu ? kernel_relu(sum) : sum;
        }
        store<S>(y, at, value);
    }
}

int cuda_conv_epilogue(cudaStream_t stream, enum precision precision, size_t rows, int c, const float *bias,
                       const void *residual, bool relu, void *y, struct err *err)
{
    if (rows == 0 || c == 0 || (bias == NULL && residual == NULL && !relu))
        return 0;
    const int v = span_width(precision, c);
    const dim3 block = columns_block(c, v), grid = columns_grid(rows, c, v, block, BLOCKS_MAX, 4);
    return LAUNCH_SPAN(LAUNCH, precision, c, epilogue, grid, block, stream, rows, c, bias, residual, relu, y);
}

/* y (rows, d_y) = the first columns of x (rows, d_x), zeros beyond them; V columns of y a
 * thread, which divide d_y. */
template <class From, class To, int V>
static __global__ void copy_columns(size_t count, int d_x, int d_y, const void *x, void *y)
{
    const size_t groups = (size_t)d_y / V;
    GRID_LOOP (i, count) {
        const size_t row = i / groups, column = i % groups * V;
        group<V> value = {};
        if (d_x == d_y)
            value = load<span<From, V>>(x, i * V);
        else
            for (int l = 0; l < V; l++)
                if (column + l < (size_t)d_x)
                    value.v[l] = get(((const From *)x)[row * d_x + column + l]);
        store<span<To, V>>(y, i * V, value);
    }
}

template <class From, class To>
static int copy_columns_of(cudaStream_t stream, size_t rows, int d_x, const void *x, int d_y, void *y, struct err *err)
{
    constexpr int WIDE = 4;
    const size_t count = rows * d_y;
    const dim3 block(THREADS);
    if (d_y % WIDE == 0)
        return LAUNCH((copy_columns<From, To, WIDE>), grid_elements(count / WIDE), block, stream, count / WIDE, d_x,
                      d_y, x, y);
    return LAUNCH((copy_columns<From, To, 1>), grid_elements(count), block, stream, count, d_x, d_y, x, y);
}

int cuda_copy_columns(cudaStream_t stream, size_t rows, enum precision from, int d_x, const void *x, enum precision to,
                      int d_y, void *y, struct err *err)
{
    if (rows * d_y == 0)
        return 0;
    if (from == PRECISION_BF16)
        return to == PRECISION_BF16 ? copy_columns_of<bf16, bf16>(stream, rows, d_x, x, d_y, y, err)
                                    : copy_columns_of<bf16, float>(stream, rows, d_x, x, d_y, y, err);
    return to == PRECISION_BF16 ? copy_columns_of<float, bf16>(stream, rows, d_x, x, d_y, y, err)
                                : copy_columns_of<float, float>(stream, rows, d_x, x, d_y, y, err);
}
