/* Batch norm with residual and ReLU on NHWC, a matrix of n h w rows and c
 * columns, whose groups are equal runs of rows. Bound by memory: a pass that sums
 * (block by block, in float for a stretch, then in double), small ones that add the
 * blocks' sums in their order, and a pass over the elements. A group's first row is
 * the centre of its sums, so that no digits are lost where a mean is far from zero.
 * blockIdx.z is the group. */
#include "device/cuda/kernels_grid.h"

enum {
    STRETCH = 16,      /* rows summed in float at a time */
    SUM_BLOCKS = 1024, /* blocks of a summing pass, about */
    SUM_ROWS = 8,      /* rows a thread at least */
    FINAL_COLUMNS = 4,
    FINAL_LANES = 64, /* the small pass: threads across and down */
};

/* What a summing pass leaves: partials[group][block][which][channel]. */
struct sums {
    dim3 block, grid;
    double *partials;
};

/* Of a group. */
static size_t rows_of(const struct batch_norm_desc *d)
{
    return (size_t)(d->n / batch_norm_groups(d)) * d->h * d->w;
}

static struct sums plan_sums(const struct batch_norm_desc *d, void *workspace)
{
    struct sums s;
    const int v = span_width(d->precision, d->c);
    s.block = columns_block(d->c, v);
    s.grid = columns_grid(rows_of(d), d->c, v, s.block, SUM_BLOCKS, SUM_ROWS);
    s.grid.z = (unsigned)batch_norm_groups(d);
    s.partials = (double *)workspace;
    return s;
}

static dim3 plan_apply(const struct batch_norm_desc *d, dim3 block)
{
    dim3 grid = columns_grid(rows_of(d), d->c, span_width(d->precision, d->c), block, BLOCKS_MAX, 4);
    grid.z = (unsigned)batch_norm_groups(d);
    return grid;
}

size_t cuda_batch_norm_workspace(const struct batch_norm_desc *d)
{
    struct sums s = plan_sums(d, nullptr);
    return (size_t)s.grid.z * s.grid.y * 2 * sizeof(double) * d->c + 1;
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

/* The first element of this block's group. */
static inline __device__ size_t group_begin(size_t rows, int c)
{
    return (size_t)blockIdx.z * rows * c;
}

/* Partials of one block of a group. */
static inline __device__ size_t partial_at(unsigned group_number, unsigned blocks, unsigned block, int c)
{
    return ((size_t)group_number * blocks + block) * 2 * c;
}

/* A block's sums to its place among the partials. */
template <int V> static inline __device__ void leave(int c, int column, totals<V> *t, double *partials)
{
    block_fold(2 * V, t->sum[0][0]);
    if (threadIdx.y != 0 || column >= c)
        return;
    double *mine = partials + partial_at(blockIdx.z, gridDim.y, blockIdx.y, c) + column;
    for (int l = 0; l < V; l++) {
        mine[l] = t->sum[0][l][threadIdx.x];
        mine[c + l] = t->sum[1][l][threadIdx.x];
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
    const size_t step = (size_t)gridDim.y * blockDim.y, begin = group_begin(rows, c) + column;
    __shared__ totals<S::V> all;

    clear(&all);
    if (column < c) {
        const group<S::V> centre = load<S>(x, begin);
        for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows;) {
            float sum[S::V] = {}, squares[S::V] = {};
            for (int i = 0; i < STRETCH && row < rows; i += AHEAD, row += AHEAD * step) {
                packet<S> in[AHEAD];
                UNROLL for (int k = 0; k < AHEAD; k++) in[k] = fetch<S>(x, begin + ahead(row, k * step, rows) * c);
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

/* Both sums of a channel of group blockIdx.z over the blocks, to the threads of the first row. */
static inline __device__ bool add_partials(int blocks, int c, int channel, const double *partials, double *first,
                                           double *second)
{
    __shared__ double scratch[2][FINAL_COLUMNS * FINAL_LANES];
    const unsigned me = threadIdx.y * blockDim.x + threadIdx.x;
    double sum[2] = { 0, 0 };

    if (channel < c)
        for (int b = (int)threadIdx.y; b < blocks; b += FINAL_LANES) {
            const double *part = partials + partial_at(blockIdx.z, blocks, b, c);
            sum[0] += part[channel];
            sum[1] += part[c + channel];
        }
    scratch[0][me] = sum[0];
    scratch[1][me] = sum[1];
    block_fold(2, scratch[0]);
    *first = scratch[0][me];
    *second = scratch[1][me];
    return threadIdx.y == 0 && channel < c;
}

/* own (groups, 2, c): mean and variance */
template <class T>
static __global__ void leave_moments(int blocks, int c, size_t rows, const void *x, const double *partials, double *own)
{
    const int channel = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    double first, second;

    if (!add_partials(blocks, c, channel, partials, &first, &second))
        return;
    const double offset = first / (double)rows;
    double *out = own + (size_t)blockIdx.z * 2 * c + channel;
    out[0] = get(((const T *)x)[group_begin(rows, c) + channel]) + offset;
    out[c] = fmax(second / (double)rows - offset * offset, 0.0);
}

static __global__ void finish_moments(int c, int groups, int ranks, double count, double epsilon, double momentum,
                                      double *results, float *running_mean, float *running_var, float *save_mean,
                                      float *save_invstd)
{
    GRID_LOOP (channel, c)
        for (int g = 0; g < groups; g++) {
            double *own = results + (size_t)g * 2 * c + channel;
            const size_t stride = (size_t)groups * 2 * c;
            double mean = 0, variance = 0;
            for (int r = 0; r < ranks; r++)
                mean += own[r * stride] / ranks;
            for (int r = 0; r < ranks; r++) {
                const double deviation = own[r * stride] - mean;
                variance += (own[r * stride + c] + deviation * deviation) / ranks;
            }
            own[0] = mean;
            own[c] = 1 / sqrt(variance + epsilon);
            save_mean[(size_t)g * c + channel] = (float)mean;
            save_invstd[(size_t)g * c + channel] = (float)own[c];
            running_mean[channel] = (float)((1 - momentum) * running_mean[channel] + momentum * mean);
            running_var[channel] =
                (float)((1 - momentum) * running_var[channel] + momentum * (variance * count / (count - 1)));
        }
}

/* V of them, rounded to float. */
template <int V> static inline __device__ group<V> rounded_parameters(const double *p, int column)
{
    group<V> out;
    for (int l = 0; l < V; l++)
        out.v[l] = (float)p[column + l];
    return out;
}

/* results (groups, 2, c): mean and 1 / standard deviation; or NULL, and mean (c) and variance (c). */
template <class S>
static __global__ void apply(size_t rows, int c, const void *x, const void *residual, const float *gamma,
                             const float *beta, const double *results, const float *mean, const float *variance,
                             double epsilon, bool relu, void *y)
{
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;

    if (column >= c)
        return;
    const double *mine = results != nullptr ? results + (size_t)blockIdx.z * 2 * c : nullptr;
    const group<S::V> m = results != nullptr ? rounded_parameters<S::V>(mine, column) : parameters<S::V>(mean, column);
    const group<S::V> deviation =
        results != nullptr ? rounded_parameters<S::V>(mine + c, column) : parameters<S::V>(variance, column);
    const group<S::V> shift = parameters<S::V>(beta, column);
    group<S::V> scale = parameters<S::V>(gamma, column);
    for (int l = 0; l < S::V; l++)
        scale.v[l] =
            results != nullptr ? scale.v[l] * deviation.v[l] : (float)(scale.v[l] / sqrt(deviation.v[l] + epsilon));
    const size_t begin = group_begin(rows, c) + column;
    for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += (size_t)gridDim.y * blockDim.y) {
        const size_t at = begin + row * c;
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
    const void *x, *y, *dy, *dy2;              /* y: with OUTPUT; dy2 NULL: none */
    const float *gamma, *beta, *mean, *invstd; /* the latter two (groups, c) */
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

template <int V> static inline __device__ channels<V> load_channels(const struct operands &o, int c, int column)
{
    channels<V> p = {};
    p.mean = parameters<V>(o.mean + (size_t)blockIdx.z * c, column);
    p.scale = parameters<V>(o.gamma, column);
    const group<V> invstd = parameters<V>(o.invstd + (size_t)blockIdx.z * c, column);
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
    const size_t step = (size_t)gridDim.y * blockDim.y, begin = group_begin(rows, c) + column;
    __shared__ totals<S::V> all;

    clear(&all);
    if (column < c) {
        const channels<S::V> p = load_channels<S::V>(o, c, column);
        for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows;) {
            float sum[S::V] = {}, product[S::V] = {};
            for (int i = 0; i < STRETCH && row < rows; i += AHEAD, row += AHEAD * step) {
                row_packets<S> in[AHEAD];
                UNROLL for (int k = 0; k < AHEAD; k++) in[k] = fetch_row<S>(o, begin + ahead(row, k * step, rows) * c);
                UNROLL for (int k = 0; k < AHEAD; k++)
                {
                    if (row + k * step >= rows)
                        break;
                    const group<S::V> x = widen<S>(in[k].x);
                    group<S::V> g = gradient<S>(o, p, in[k], x);
                    if (keep != NULL) {
                        store<S>(keep, begin + (row + k * step) * c, g);
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

/* own (groups, 2, c): both sums */
static __global__ void leave_products(int blocks, int c, const double *partials, double *own)
{
    const int channel = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    double first, second;

    if (!add_partials(blocks, c, channel, partials, &first, &second))
        return;
    own[(size_t)blockIdx.z * 2 * c + channel] = first;
    own[(size_t)blockIdx.z * 2 * c + c + channel] = second;
}

/* results: the first block becomes offset and slope, see kernels.h */
static __global__ void finish_products(int c, int groups, int ranks, int rank, double count, double *results,
                                       const float *gamma, const float *invstd, float *dgamma, float *dbeta)
{
    GRID_LOOP (channel, c) {
        double of_gamma = 0, of_beta = 0;
        for (int g = 0; g < groups; g++) {
            double *own = results + (size_t)g * 2 * c + channel;
            const size_t stride = (size_t)groups * 2 * c;
            const double inverse = invstd[(size_t)g * c + channel], scale = gamma[channel] * inverse;
            double sum = 0, product = 0;
            for (int r = 0; r < ranks; r++) {
                sum += own[r * stride];
                product += own[r * stride + c];
            }
            of_gamma += own[rank * stride + c] * inverse;
            of_beta += own[rank * stride];
            own[0] = -scale * sum / count;
            own[c] = -scale * inverse * inverse * product / count;
        }
        dgamma[channel] = (float)of_gamma;
        dbeta[channel] = (float)of_beta;
    }
}

template <class S>
static __global__ void __launch_bounds__(THREADS, 3)
    input_gradient(size_t rows, int c, struct operands o, const double *results, void *dx)
{
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x) * S::V;

    if (column >= c)
        return;
    const channels<S::V> p = load_channels<S::V>(o, c, column);
    const double *mine = results + (size_t)blockIdx.z * 2 * c;
    const group<S::V> t = rounded_parameters<S::V>(mine, column), s = rounded_parameters<S::V>(mine + c, column);
    const size_t begin = group_begin(rows, c) + column;
    for (size_t row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += (size_t)gridDim.y * blockDim.y) {
        const size_t at = begin + row * c;
        const row_packets<S> in = fetch_row<S>(o, at);
        const group<S::V> x = widen<S>(in.x), g = gradient<S>(o, p, in, x);
        group<S::V> out;
        for (int l = 0; l < S::V; l++)
            out.v[l] = kernel_batch_norm_backward(g.v[l], x.v[l], p.mean.v[l], p.scale.v[l], s.v[l], t.v[l]);
        store<S>(dx, at, out);
    }
}

static dim3 final_grid(const struct batch_norm_desc *d)
{
    return dim3((unsigned)((d->c + FINAL_COLUMNS - 1) / FINAL_COLUMNS), 1, (unsigned)batch_norm_groups(d));
}

int cuda_batch_norm_moments(cudaStream_t stream, const struct batch_norm_desc *d, void *workspace, const void *x,
                            double *own, struct err *err)
{
    const size_t rows = rows_of(d);
    const struct sums s = plan_sums(d, workspace);

    if (LAUNCH_SPAN(LAUNCH_SYNC, d->precision, d->c, add_moments, s.grid, s.block, stream, rows, d->c, x, s.partials) !=
        0)
        return -1;
    return LAUNCH_ELEMENT(LAUNCH_SYNC, d->precision, leave_moments, final_grid(d), dim3(FINAL_COLUMNS, FINAL_LANES),
                          stream, (int)s.grid.y, d->c, rows, x, s.partials, own);
}

int cuda_batch_norm_finish(cudaStream_t stream, const struct batch_norm_desc *d, int ranks, double *results,
                           float *running_mean, float *running_var, float *save_mean, float *save_invstd,
                           struct err *err)
{
    return LAUNCH(finish_moments, grid_elements((size_t)d->c), dim3(THREADS), stream, d->c, batch_norm_groups(d), ranks,
                  (double)rows_of(d) * ranks, d->epsilon, d->momentum, results, running_mean, running_var, save_mean,
                  save_invstd);
}

int cuda_batch_norm_apply(cudaStream_t stream, const struct batch_norm_desc *d, const void *x, const void *residual,
                          const float *gamma, const float *beta, const double *results, void *y, struct err *err)
{
    const dim3 block = columns_block(d->c, span_width(d->precision, d->c));

    return LAUNCH_SPAN(LAUNCH, d->precision, d->c, apply, plan_apply(d, block), block, stream, rows_of(d), d->c, x,
                       d->add ? residual : nullptr, gamma, beta, results, nullptr, nullptr, d->epsilon, d->relu, y);
}

int cuda_batch_norm_infer(cudaStream_t stream, const struct batch_norm_desc *d, const void *x, const void *residual,
                          const float *gamma, const float *beta, const float *running_mean, const float *running_var,
                          void *y, struct err *err)
{
    const dim3 block = columns_block(d->c, span_width(d->precision, d->c));

    return LAUNCH_SPAN(LAUNCH, d->precision, d->c, apply, plan_apply(d, block), block, stream, rows_of(d), d->c, x,
                       d->add ? residual : nullptr, gamma, beta, nullptr, running_mean, running_var, d->epsilon,
                       d->relu, y);
}

static struct operands operands_of(const struct batch_norm_desc *d, const struct batch_norm_backward *b)
{
    return { b->x,         b->y,           b->dy,
             b->dy2,       b->gamma,       b->beta,
             b->save_mean, b->save_invstd, !d->relu ? NO_RELU : d->add ? OUTPUT : INPUT };
}

int cuda_batch_norm_products(cudaStream_t stream, const struct batch_norm_desc *d, void *workspace,
                             const struct batch_norm_backward *b, double *own, struct err *err)
{
    const struct sums s = plan_sums(d, workspace);
    void *keep = d->add ? b->dresidual : nullptr;

    if (LAUNCH_SPAN(LAUNCH_SYNC, d->precision, d->c, add_products, s.grid, s.block, stream, rows_of(d), d->c,
                    operands_of(d, b), keep, s.partials) != 0)
        return -1;
    return LAUNCH_SYNC(leave_products, final_grid(d), dim3(FINAL_COLUMNS, FINAL_LANES), stream, (int)s.grid.y, d->c,
                       s.partials, own);
}

int cuda_batch_norm_finish_backward(cudaStream_t stream, const struct batch_norm_desc *d, int ranks, int rank,
                                    const struct batch_norm_backward *b, double *results, struct err *err)
{
    return LAUNCH(finish_products, grid_elements((size_t)d->c), dim3(THREADS), stream, d->c, batch_norm_groups(d),
                  ranks, rank, (double)rows_of(d) * ranks, results, b->gamma, b->save_invstd, b->dgamma, b->dbeta);
}

int cuda_batch_norm_input_gradient(cudaStream_t stream, const struct batch_norm_desc *d,
                                   const struct batch_norm_backward *b, const double *results, struct err *err)
{
    const dim3 block = columns_block(d->c, span_width(d->precision, d->c));
    struct operands o = operands_of(d, b);

    if (d->add) { /* `products` has left the masked gradient there */
        o.dy = b->dresidual;
        o.dy2 = nullptr;
        o.side = NO_RELU;
    }
    return LAUNCH_SPAN(LAUNCH, d->precision, d->c, input_gradient, plan_apply(d, block), block, stream, rows_of(d),
                       d->c, o, results, b->dx);
}
