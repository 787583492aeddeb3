/* Rows of doubles, for mixtures and neighbours: what cuBLAS and cuSOLVER do not
 * do. One block a row, or one thread an element. */
#include "device/cuda/kernels_grid.h"

static constexpr int COLUMN_BLOCKS = 64, COLUMN_ROWS = 64; /* of column sums */

static __global__ void square(size_t n, const double *x, double *y)
{
    GRID_LOOP (i, n)
        y[i] = x[i] * x[i];
}

int cuda_square(cudaStream_t stream, size_t n, const double *x, double *y, struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH(square, grid_elements(n), dim3(THREADS), stream, n, x, y);
}

/* One thread a row: components are few, and the rows of a warp are neighbours. */
static __global__ void log_sum_exp(size_t n, int k, const double *offset, double *x, double *y)
{
    GRID_LOOP (i, n) {
        double *row = x + i * k;
        for (int j = 0; offset != nullptr && j < k; j++)
            row[j] += offset[j];
        y[i] = kernel_log_sum_exp_row(k, row);
    }
}

int cuda_log_sum_exp_rows(cudaStream_t stream, int64_t n, int k, const double *offset, double *x, double *y,
                          struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH(log_sum_exp, grid_elements((size_t)n), dim3(THREADS), stream, (size_t)n, k, offset, x, y);
}

/* |a - b|^2 by the threads of a block (b NULL: |a|^2); the same to all. */
static inline __device__ double block_distance(int d, const double *a, const double *b, double *scratch)
{
    double sum = 0;
    for (int c = (int)threadIdx.x; c < d; c += ROW_THREADS) {
        const double difference = b != nullptr ? a[c] - b[c] : a[c];
        sum += difference * difference;
    }
    return block_sum(sum, scratch);
}

static __global__ void square_distances(int64_t n, int d, const double *x, int m, const double *centres, double *out)
{
    __shared__ double scratch[ROW_THREADS];
    for (int64_t i = blockIdx.x; i < n; i += gridDim.x)
        for (int j = 0; j < m; j++) {
            const double sum =
                block_distance(d, x + i * d, centres != nullptr ? centres + (size_t)j * d : nullptr, scratch);
            if (threadIdx.x == 0)
                out[i * m + j] = sum;
        }
}

int cuda_square_distances(cudaStream_t stream, int64_t n, int d, const double *x, int m, const double *c, double *out,
                          struct err *err)
{
    if (n == 0 || m == 0)
        return 0;
    return LAUNCH_SYNC(square_distances, grid_rows(n), dim3(ROW_THREADS), stream, n, d, x, m, c, out);
}

int cuda_square_norms(cudaStream_t stream, int64_t n, int d, const double *x, double *out, struct err *err)
{
    return cuda_square_distances(stream, n, d, x, 1, nullptr, out, err);
}

/* Ties go to the lower index. */
static inline __device__ void nearer(double distance, int64_t index, double *best_distance, int64_t *best_index)
{
    if (distance < *best_distance || (distance == *best_distance && index < *best_index)) {
        *best_distance = distance;
        *best_index = index;
    }
}

/* Where the sum of squares and products cancels, the distance is computed from
 * differences (see linalg.h): by one thread, as this is rare. */
static inline __device__ double pair_distance(int d, const double *x, int64_t i, int64_t j, double size, double product)
{
    double s = size - 2 * product;
    if (s < 1e-10 * size) {
        s = 0.0;
        for (int c = 0; c < d; c++) {
            const double apart = x[i * d + c] - x[j * d + c];
            s += apart * apart;
        }
    }
    return s;
}

static __global__ void nearest_tile(int d, const double *x, int64_t i0, int64_t j0, int nj, const double *product,
                                    int ld, const double *squares, bool first, double *best_distance,
                                    int64_t *best_index)
{
    __shared__ double distances[ROW_THREADS];
    __shared__ int64_t indices[ROW_THREADS];
    const int64_t i = i0 + blockIdx.x;
    const double *row = product + (size_t)blockIdx.x * ld;
    const unsigned me = threadIdx.x;
    double distance = INFINITY;
    int64_t index = INT64_MAX;

    for (int j = (int)me; j < nj; j += ROW_THREADS)
        if (j0 + j != i)
            nearer(pair_distance(d, x, i, j0 + j, squares[i] + squares[j0 + j], row[j]), j0 + j, &distance, &index);
    distances[me] = distance;
    indices[me] = index;
    for (unsigned half = ROW_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (me < half)
            nearer(distances[me + half], indices[me + half], &distances[me], &indices[me]);
    }
    if (me != 0)
        return;
    if (!first)
        nearer(best_distance[i], best_index[i], &distances[0], &indices[0]);
    best_distance[i] = distances[0];
    best_index[i] = indices[0];
}

int cuda_nearest_tile(cudaStream_t stream, int d, const double *x, int64_t i0, int ni, int64_t j0, int nj,
                      const double *product, int ld, const double *square, bool first, double *best_distance,
                      int64_t *best_index, struct err *err)
{
    if (ni == 0)
        return 0;
    return LAUNCH_SYNC(nearest_tile, dim3(ni), dim3(ROW_THREADS), stream, d, x, i0, j0, nj, product, ld, square, first,
                       best_distance, best_index);
}

static __global__ void indexed_distances(int64_t n, int d, const double *x, const int64_t *index, double *distance)
{
    __shared__ double scratch[ROW_THREADS];
    for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
        const bool found = index[i] >= 0 && index[i] < n; /* not where all distances are NaN */
        const double sum = found ? block_distance(d, x + i * d, x + index[i] * d, scratch) : NAN;
        if (threadIdx.x == 0)
            distance[i] = sum;
    }
}

int cuda_indexed_distances(cudaStream_t stream, int64_t n, int d, const double *x, const int64_t *index,
                           double *distance, struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH_SYNC(indexed_distances, grid_rows(n), dim3(ROW_THREADS), stream, n, d, x, index, distance);
}

static __global__ void quadratic(int64_t n, int d, const double *y, const double *centre, const double *offset,
                                 double *out, int stride)
{
    __shared__ double scratch[ROW_THREADS];
    for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
        const double sum = block_distance(d, y + i * d, centre, scratch);
        if (threadIdx.x == 0)
            out[i * stride] = *offset - 0.5 * sum;
    }
}

int cuda_quadratic_rows(cudaStream_t stream, int64_t n, int d, const double *y, const double *centre,
                        const double *offset, double *out, int stride, struct err *err)
{
    if (n == 0)
        return 0;
    return LAUNCH_SYNC(quadratic, grid_rows(n), dim3(ROW_THREADS), stream, n, d, y, centre, offset, out, stride);
}

static __global__ void weighted(int64_t n, int d, const double *x, const double *weight, int stride,
                                const double *centre, double *out)
{
    for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
        const double root = sqrt(weight[i * stride]);
        for (int c = (int)threadIdx.x; c < d; c += ROW_THREADS)
            out[i * d + c] = root * (x[i * d + c] - centre[c]);
    }
}

int cuda_weighted_rows(cudaStream_t stream, int64_t n, int d, const double *x, const double *weight, int stride,
                       const double *centre, double *out, struct err *err)
{
    if (n == 0 || d == 0)
        return 0;
    return LAUNCH(weighted, grid_rows(n), dim3(ROW_THREADS), stream, n, d, x, weight, stride, centre, out);
}

/* Blocks along the rows of a column sum. */
static int column_blocks(int64_t n)
{
    const int64_t blocks = (n + COLUMN_ROWS - 1) / COLUMN_ROWS;
    return blocks < COLUMN_BLOCKS ? (int)blocks : COLUMN_BLOCKS;
}

size_t cuda_column_sums_workspace(int64_t n, int d)
{
    return ((size_t)column_blocks(n) * d + 1) * sizeof(double);
}

static __global__ void column_partials(int64_t n, int d, const double *x, double *partials)
{
    __shared__ double scratch[THREADS];
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    double sum = 0;

    if (column < d)
        for (int64_t row = blockIdx.y * blockDim.y + threadIdx.y; row < n; row += (int64_t)gridDim.y * blockDim.y)
            sum += x[row * d + column];
    scratch[threadIdx.y * blockDim.x + threadIdx.x] = sum;
    block_fold(1, scratch);
    if (threadIdx.y == 0 && column < d)
        partials[(size_t)blockIdx.y * d + column] = scratch[threadIdx.x];
}

static __global__ void column_finish(int blocks, int d, const double *partials, bool add, double *sums)
{
    GRID_LOOP (i, d) {
        double sum = add ? sums[i] : 0;
        for (int b = 0; b < blocks; b++)
            sum += partials[(size_t)b * d + i];
        sums[i] = sum;
    }
}

int cuda_column_sums(cudaStream_t stream, int64_t n, int d, const double *x, bool add, void *workspace, double *sums,
                     struct err *err)
{
    const int blocks = column_blocks(n);
    double *partials = (double *)workspace;

    if (d == 0)
        return 0;
    const dim3 block = columns_block(d, 1), grid((d + block.x - 1) / block.x, (unsigned)blocks);
    if (blocks > 0 && LAUNCH_SYNC(column_partials, grid, block, stream, n, d, x, partials) != 0)
        return -1;
    return LAUNCH(column_finish, grid_elements((size_t)d), dim3(THREADS), stream, blocks, d, partials, add, sums);
}

static __global__ void lower_copy(size_t count, size_t d, const double *src, size_t ld_src, size_t step_src,
                                  double *dst, size_t ld_dst, size_t step_dst)
{
    GRID_LOOP (i, count) {
        const size_t column = i % d, row = i / d % d, matrix = i / d / d;
        if (column <= row)
            dst[matrix * step_dst + row * ld_dst + column] = src[matrix * step_src + row * ld_src + column];
    }
}

int cuda_lower_copy(cudaStream_t stream, int count, int d, const double *src, int ld_src, size_t step_src, double *dst,
                    int ld_dst, size_t step_dst, struct err *err)
{
    const size_t elements = (size_t)count * d * d;
    if (elements == 0)
        return 0;
    return LAUNCH(lower_copy, grid_elements(elements), dim3(THREADS), stream, elements, (size_t)d, src, (size_t)ld_src,
                  step_src, dst, (size_t)ld_dst, step_dst);
}

static __global__ void identity(size_t count, size_t d, double *a, size_t lda, size_t step)
{
    GRID_LOOP (i, count) {
        const size_t column = i % d, row = i / d % d;
        a[i / d / d * step + row * lda + column] = row == column ? 1 : 0;
    }
}

int cuda_identity(cudaStream_t stream, int count, int d, double *a, int lda, size_t step, struct err *err)
{
    const size_t elements = (size_t)count * d * d;
    if (elements == 0)
        return 0;
    return LAUNCH(identity, grid_elements(elements), dim3(THREADS), stream, elements, (size_t)d, a, (size_t)lda, step);
}
