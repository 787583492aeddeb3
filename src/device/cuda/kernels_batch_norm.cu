/* Batch norm with residual and ReLU on NHWC, a matrix of n h w rows and c
 * columns. Bound by memory: a pass that sums (block by block, in float for a
 * stretch, then in double), a small one that adds the blocks' sums in their
 * order, and a pass over the elements. The first row is the centre of the sums,
 * so that no digits are lost where a mean is far from zero. */
#include "device/cuda/kernels_grid.h"

enum {
    STRETCH = 16,      /* rows summed in float at a time */
    SUM_BLOCKS = 1024, /* blocks of a summing pass, about */
    SUM_ROWS = 8,      /* rows a thread at least */
    FINAL_COLUMNS = 4,
    FINAL_LANES = 64, /* the small pass: threads across and down */
};

/* What a summing pass leaves: partials[block][which][channel], and for backward
 * slope (c) and offset (c). */
struct sums {
    dim3 block, grid;
    double *partials;
    float *slope, *offset;
};

static size_t rows_of(const struct batch_norm_desc *d)
{
    return (size_t)d->n * d->h * d->w;
}

static struct sums plan_sums(const struct batch_norm_desc *d, void *workspace)
{
    struct sums s;
    const int v = span_width(d->precision, d->c);
    s.block = columns_block(d->c, v);
    s.grid = columns_grid(rows_of(d), d->c, v, s.block, SUM_BLOCKS, SUM_ROWS);
    s.partials = (double *)workspace;
    s.slope = (float *)(s.partials + (size_t)s.grid.y * 2 * d->c);
    s.offset = s.slope + d->c;
    return s;
}

static dim3 plan_apply(const struct batch_norm_desc *d, dim3 block)
{
    return columns_grid(rows_of(d), d->c, span_width(d->precision, d->c), block, BLOCKS_MAX, 4);
}

size_t cuda_batch_norm_workspace(const struct batch_norm_desc *d)
{
    struct sums s = plan_sums(d, nullptr);
    return ((size_t)s.grid.y * 2 * sizeof(double) + 2 * sizeof(float)) * d->c + 1;
}

/* A thread's sums of both kinds in double: where they are folded, in shared memory, so
 * that they take no registers. */
template <int V> struct totals {
    double sum[2][V][THREADS];
};

static inline __device__ unsigned thread_number()
{
    return threadIdx.y * blockDim.x + threadIdx.x;
}

template <int V> static inline __device__ void clear(totals<V> *t)
{
    for (int l = 0; l < V; l++)
        t->sum[0][l][thread_number()] = t->sum[1][l][thread_number()] = 0;
}

/* volatile: or the compiler keeps them in registers after all. */
template <int V> static inline __device__ void add(volatile totals<V> *t, const float *first, const float *second)
{
    for (int l = 0; l < V; l++) {
        t->sum[0][l][thread_number()] += first[l];
        t->sum[1][l][thread_number()] += second[l];
    }
}

/* A block's sums to its place among the partials. */
template <int V> static inline __device__ void leave(int c, int column, totals<V> *t, double *partials)
{
    block_fold(2 * V, t->sum[0][0]);
    if (threadIdx.y != 0 || column >= c)
        return;
    for (int l = 0; l < V; l++) {
        partials[(size_t)blockIdx.y * 2 * c + column + l] = t->sum[0][l][threadIdx.x];
        partials[((size_t)blockIdx.y * 2 + 1) * c + column + l] = t->sum[1][l][threadIdx.x];
    }
}

/* A row to be fetched before it is known whether it will be used. */
static inline __device__ size_t ahead(size_t row, size_t distance, size_t rows)
{
    return row + distance < rows ? row + distance : row;
}

/* Of x - centre: sums and sums of squares. */
template <class S> static __global__ void add_moments(size_t rows, int c, const void *x, double *partials)
{
    constexpr int AHEAD = 4;
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;
    const size_t step = (size_t)gridDim.y * blockDim.y;
    __shared__ totals<S::V> all;

    clear(&all);
    if (column < c) {
        const group<S::V> centre = load<S>(x, column);
        for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows;) {
            float sum[S::V] = {}, squares[S::V] = {};
            for (int i = 0; i < STRETCH && row < rows; i += AHEAD, row += AHEAD * step) {
                packet<S> in[AHEAD];
                UNROLL for (int k = 0; k < AHEAD; k++) in[k] = fetch<S>(x, ahead(row, k * step, rows) * c + column);
                UNROLL for (int k = 0; k < AHEAD; k++)
                {
                    if (row + k * step >= rows)
                        break;
                    const group<S::V> value = widen<S>(in[k]);
                    for (int l = 0; l < S::V; l++) {
                        const float deviation = value.v[l] - centre.v[l];
                        sum[l] += deviation;
                        squares[l] += deviation * deviation;
                    }
                }
            }
            add(&all, sum, squares);
        }
    }
    leave(c, column, &all, partials);
}

/* Both sums of a channel over the blocks, to the threads of the first row. */
static inline __device__ bool add_partials(int blocks, int c, int channel, const double *partials, double *first,
                                           double *second)
{
    __shared__ double scratch[2][FINAL_COLUMNS * FINAL_LANES];
    const unsigned me = threadIdx.y * blockDim.x + threadIdx.x;
    double sum[2] = { 0, 0 };

    if (channel < c)
        for (int b = (int)threadIdx.y; b < blocks; b += FINAL_LANES) {
            sum[0] += partials[(size_t)b * 2 * c + channel];
            sum[1] += partials[((size_t)b * 2 + 1) * c + channel];
        }
    scratch[0][me] = sum[0];
    scratch[1][me] = sum[1];
    block_fold(2, scratch[0]);
    *first = scratch[0][me];
    *second = scratch[1][me];
    return threadIdx.y == 0 && channel < c;
}

template <class T>
static __global__ void finish_moments(int blocks, int c, double count, double epsilon, double momentum, const void *x,
                                      const double *partials, float *running_mean, float *running_var, float *save_mean,
                                      float *save_invstd)
{
    const int channel = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    double first, second;

    if (!add_partials(blocks, c, channel, partials, &first, &second))
        return;
    const double offset = first / count, mean = get(((const T *)x)[channel]) + offset;
    const double variance = fmax(second / count - offset * offset, 0.0);
    save_mean[channel] = (float)mean;
    save_invstd[channel] = (float)(1 / sqrt(variance + epsilon));
    running_mean[channel] = (float)((1 - momentum) * running_mean[channel] + momentum * mean);
    running_var[channel] = (float)((1 - momentum) * running_var[channel] + momentum * (variance * count / (count - 1)));
}

/* invstd, or NULL and a variance to take it from. */
template <class S>
static __global__ void apply(size_t rows, int c, const void *x, const void *residual, const float *gamma,
                             const float *beta, const float *mean, const float *invstd, const float *variance,
                             double epsilon, bool relu, void *y)
{
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;

    if (column >= c)
        return;
    const group<S::V> m = parameters<S::V>(mean, column), shift = parameters<S::V>(beta, column);
    const group<S::V> deviation = parameters<S::V>(invstd != nullptr ? invstd : variance, column);
    group<S::V> scale = parameters<S::V>(gamma, column);
    for (int l = 0; l < S::V; l++)
        scale.v[l] =
            invstd != nullptr ? scale.v[l] * deviation.v[l] : (float)(scale.v[l] / sqrt(deviation.v[l] + epsilon));
    for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += (size_t)gridDim.y * blockDim.y) {
        const size_t at = row * c + column;
        const packet<S> in = fetch<S>(x, at);
        packet<S> beside = {};
        if (residual != NULL)
            beside = fetch<S>(residual, at);
        group<S::V> value = widen<S>(in);
        const group<S::V> more = widen<S>(beside);
        for (int l = 0; l < S::V; l++) {
            const float sum = kernel_batch_norm(value.v[l], m.v[l], scale.v[l], shift.v[l]) + more.v[l];
            value.v[l] = relu ? kernel_relu(sum) : sum;
        }
        store<S>(y, at, value);
    }
}

/* Where a ReLU's side is read from. */
enum side {
    NO_RELU,
    OUTPUT, /* y */
    INPUT,  /* x, normalised again: what was cheaper to compute than y is to read */
};

/* What backward reads of an element. */
struct operands {
    const void *x, *y, *dy, *dy2; /* y: with OUTPUT; dy2 NULL: none */
    const float *gamma, *beta, *mean, *invstd;
    enum side side;
};

template <class S> struct row_packets {
    packet<S> x, y, dy, dy2;
};

template <class S> static inline __device__ row_packets<S> fetch_row(const struct operands &o, size_t at)
{
    row_packets<S> in = {};
    in.x = fetch<S>(o.x, at);
    in.dy = fetch<S>(o.dy, at);
    if (o.side == OUTPUT)
        in.y = fetch<S>(o.y, at);
    if (o.dy2 != nullptr)
        in.dy2 = fetch<S>(o.dy2, at);
    return in;
}

/* The channels' parameters. */
template <int V> struct channels {
    group<V> mean, scale, beta; /* beta: with INPUT */
};

template <int V> static inline __device__ channels<V> load_channels(const struct operands &o, int column)
{
    channels<V> p = {};
    p.mean = parameters<V>(o.mean, column);
    p.scale = parameters<V>(o.gamma, column);
    const group<V> invstd = parameters<V>(o.invstd, column);
    for (int l = 0; l < V; l++)
        p.scale.v[l] *= invstd.v[l];
    if (o.side == INPUT)
        p.beta = parameters<V>(o.beta, column);
    return p;
}

/* dy + dy2 through the ReLU. */
template <class S>
static inline __device__ group<S::V> gradient(const struct operands &o, const channels<S::V> &p,
                                              const row_packets<S> &in, const group<S::V> &x)
{
    group<S::V> g = widen<S>(in.dy);
    if (o.dy2 != nullptr) {
        const group<S::V> more = widen<S>(in.dy2);
        for (int l = 0; l < S::V; l++)
            g.v[l] += more.v[l];
    }
    if (o.side == NO_RELU)
        return g;
    const group<S::V> y = widen<S>(in.y);
    for (int l = 0; l < S::V; l++)
        g.v[l] = kernel_relu_backward(
            o.side == OUTPUT ? y.v[l] : kernel_batch_norm(x.v[l], p.mean.v[l], p.scale.v[l], p.beta.v[l]), g.v[l]);
    return g;
}

/* Sums of the gradient and of gradient times deviation; keeps the gradient (keep NULL: not). */
template <class S>
static __global__ void __launch_bounds__(THREADS, 2)
    add_products(size_t rows, int c, struct operands o, void *keep, double *partials)
{
    constexpr int AHEAD = 2;
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;
    const size_t step = (size_t)gridDim.y * blockDim.y;
    __shared__ totals<S::V> all;

    clear(&all);
    if (column < c) {
        const channels<S::V> p = load_channels<S::V>(o, column);
        for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows;) {
            float sum[S::V] = {}, product[S::V] = {};
            for (int i = 0; i < STRETCH && row < rows; i += AHEAD, row += AHEAD * step) {
                row_packets<S> in[AHEAD];
                UNROLL for (int k = 0; k < AHEAD; k++) in[k] = fetch_row<S>(o, ahead(row, k * step, rows) * c + column);
                UNROLL for (int k = 0; k < AHEAD; k++)
                {
                    if (row + k * step >= rows)
                        break;
                    const group<S::V> x = widen<S>(in[k].x);
                    group<S::V> g = gradient<S>(o, p, in[k], x);
                    if (keep != NULL) {
                        store<S>(keep, (row + k * step) * c + column, g);
                        for (int l = 0; l < S::V; l++) /* sums of what the next pass will read */
                            g.v[l] = rounded<typename S::T>(g.v[l]);
                    }
                    for (int l = 0; l < S::V; l++) {
                        sum[l] += g.v[l];
                        product[l] += g.v[l] * (x.v[l] - p.mean.v[l]);
                    }
                }
            }
            add(&all, sum, product);
        }
    }
    leave(c, column, &all, partials);
}

static __global__ void finish_products(int blocks, int c, double count, const double *partials, const float *gamma,
                                       const float *invstd, float *dgamma, float *dbeta, float *slope, float *offset)
{
    const int channel = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    double first, second;

    if (!add_partials(blocks, c, channel, partials, &first, &second))
        return;
    const double inverse = invstd[channel], scale = gamma[channel] * inverse;
    dgamma[channel] = (float)(second * inverse);
    dbeta[channel] = (float)first;
    slope[channel] = (float)(-scale * inverse * inverse * second / count);
    offset[channel] = (float)(-scale * first / count);
}

template <class S>
static __global__ void __launch_bounds__(THREADS, 3)
    input_gradient(size_t rows, int c, struct operands o, const float *slope, const float *offset, void *dx)
{
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;

    if (column >= c)
        return;
    const channels<S::V> p = load_channels<S::V>(o, column);
    const group<S::V> s = parameters<S::V>(slope, column), t = parameters<S::V>(offset, column);
    for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += (size_t)gridDim.y * blockDim.y) {
        const size_t at = row * c + column;
        const row_packets<S> in = fetch_row<S>(o, at);
        const group<S::V> x = widen<S>(in.x), g = gradient<S>(o, p, in, x);
        group<S::V> out;
        for (int l = 0; l < S::V; l++)
            out.v[l] = kernel_batch_norm_backward(g.v[l], x.v[l], p.mean.v[l], p.scale.v[l], s.v[l], t.v[l]);
        store<S>(dx, at, out);
    }
}

static dim3 final_grid(int c)
{
    return dim3((unsigned)((c + FINAL_COLUMNS - 1) / FINAL_COLUMNS));
}

int cuda_batch_norm_forward(cudaStream_t stream, const struct batch_norm_desc *d, void *workspace, const void *x,
                            const void *residual, const float *gamma, const float *beta, float *running_mean,
                            float *running_var, float *save_mean, float *save_invstd, void *y, struct err *err)
{
    const size_t rows = rows_of(d);
    const struct sums s = plan_sums(d, workspace);

    if (LAUNCH_SPAN(LAUNCH_SYNC, d->precision, d->c, add_moments, s.grid, s.block, stream, rows, d->c, x, s.partials) !=
            0 ||
        LAUNCH_ELEMENT(LAUNCH_SYNC, d->precision, finish_moments, final_grid(d->c), dim3(FINAL_COLUMNS, FINAL_LANES),
                       stream, (int)s.grid.y, d->c, (double)rows, d->epsilon, d->momentum, x, s.partials, running_mean,
                       running_var, save_mean, save_invstd) != 0)
        return -1;
    return LAUNCH_SPAN(LAUNCH, d->precision, d->c, apply, plan_apply(d, s.block), s.block, stream, rows, d->c, x,
                       d->add ? residual : nullptr, gamma, beta, save_mean, save_invstd, nullptr, d->epsilon, d->relu,
                       y);
}

int cuda_batch_norm_infer(cudaStream_t stream, const struct batch_norm_desc *d, const void *x, const void *residual,
                          const float *gamma, const float *beta, const float *running_mean, const float *running_var,
                          void *y, struct err *err)
{
    const dim3 block = columns_block(d->c, span_width(d->precision, d->c));

    return LAUNCH_SPAN(LAUNCH, d->precision, d->c, apply, plan_apply(d, block), block, stream, rows_of(d), d->c, x,
                       d->add ? residual : nullptr, gamma, beta, running_mean, nullptr, running_var, d->epsilon,
                       d->relu, y);
}

int cuda_batch_norm_backward(cudaStream_t stream, const struct batch_norm_desc *d, void *workspace, const void *x,
                             const void *y, const void *dy, const void *dy2, const float *gamma, const float *beta,
                             const float *save_mean, const float *save_invstd, void *dx, void *dresidual, float *dgamma,
                             float *dbeta, struct err *err)
{
    const size_t rows = rows_of(d);
    const struct sums s = plan_sums(d, workspace);
    void *keep = d->add ? dresidual : nullptr;
    struct operands o = { x,         y,           dy,
                          dy2,       gamma,       beta,
                          save_mean, save_invstd, !d->relu ? NO_RELU : d->add ? OUTPUT : INPUT };

    if (LAUNCH_SPAN(LAUNCH_SYNC, d->precision, d->c, add_products, s.grid, s.block, stream, rows, d->c, o, keep,
                    s.partials) != 0 ||
        LAUNCH_SYNC(finish_products, final_grid(d->c), dim3(FINAL_COLUMNS, FINAL_LANES), stream, (int)s.grid.y, d->c,
                    (double)rows, s.partials, gamma, save_invstd, dgamma, dbeta, s.slope, s.offset) != 0)
        return -1;
    if (keep != NULL) { /* the first pass has left the masked gradient there */
        o.dy = keep;
        o.dy2 = nullptr;
        o.side = NO_RELU;
    }
    return LAUNCH_SPAN(LAUNCH, d->precision, d->c, input_gradient, plan_apply(d, s.block), s.block, stream, rows, d->c,
                       o, s.slope, s.offset, dx);
}
