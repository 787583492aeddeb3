/* The operations of ops.def as kernels around their bodies. */
#include "device/cuda/kernels_grid.h"

#define DINF_GRID
#include "device/op_body.h"

#define DINF_OP_BODY
#include "device/every_op.h"

static constexpr int SUM_PARTIALS = CUDA_OP_WORKSPACE / (int)sizeof(double);

#define LAUNCHER(name) int cuda_##name(cudaStream_t stream, const struct name *a, void *workspace, struct err *err)

#define ELEMENT(name)                                                                                                  \
    static __global__ void name##_kernel(const struct name a)                                                          \
    {                                                                                                                  \
        __shared__ struct name##_shared shared;                                                                        \
        if (threadIdx.x == 0)                                                                                          \
            shared = name##_prepare(&a);                                                                               \
        __syncthreads();                                                                                               \
        GRID_LOOP (i, a.count)                                                                                         \
            name##_element(&a, &shared, i);                                                                            \
    }                                                                                                                  \
    LAUNCHER(name)                                                                                                     \
    {                                                                                                                  \
        (void)workspace;                                                                                               \
        if (a->count == 0)                                                                                             \
            return 0;                                                                                                  \
        return LAUNCH_SYNC(name##_kernel, grid_elements(a->count), dim3(THREADS), stream, *a);                         \
    }

/* One block a row. */
#define ROW(name)                                                                                                      \
    static __global__ void name##_kernel(const struct name a)                                                          \
    {                                                                                                                  \
        __shared__ struct row_team team;                                                                               \
        name##_row(&a, (int)blockIdx.x, &team);                                                                        \
    }                                                                                                                  \
    LAUNCHER(name)                                                                                                     \
    {                                                                                                                  \
        (void)workspace;                                                                                               \
        if (a->rows == 0 || a->columns == 0)                                                                           \
            return 0;                                                                                                  \
        return LAUNCH_SYNC(name##_kernel, dim3((unsigned)a->rows), dim3(ROW_THREADS), stream, *a);                     \
    }

/* One block holds all rows of its columns, so that its sums are final. */
#define COLUMN(name)                                                                                                   \
    static __global__ void name##_kernel(const struct name a)                                                          \
    {                                                                                                                  \
        __shared__ double scratch[name##_sums * THREADS];                                                              \
        const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);                                               \
        double sums[name##_sums] = {};                                                                                 \
        if (column < a.columns)                                                                                        \
            for (int row = (int)threadIdx.y; row < a.rows; row += (int)blockDim.y)                                     \
                name##_cell(&a, (size_t)row *a.columns + column, column, sums, 1);                                     \
        for (int s = 0; s < name##_sums; s++)                                                                          \
            scratch[s * THREADS + threadIdx.y * blockDim.x + threadIdx.x] = sums[s];                                   \
        block_fold(name##_sums, scratch);                                                                              \
        if (threadIdx.y == 0 && column < a.columns)                                                                    \
            name##_finish(&a, column, scratch + threadIdx.x, THREADS);                                                 \
    }                                                                                                                  \
    LAUNCHER(name)                                                                                                     \
    {                                                                                                                  \
        (void)workspace;                                                                                               \
        if (a->columns == 0)                                                                                           \
            return 0;                                                                                                  \
        const dim3 block = columns_block(a->columns, 1);                                                               \
        return LAUNCH_SYNC(name##_kernel, dim3((a->columns + block.x - 1) / block.x), block, stream, *a);              \
    }

#define SUM(name)                                                                                                      \
    static __global__ void name##_partials(const struct name a, double *partials)                                      \
    {                                                                                                                  \
        __shared__ double scratch[THREADS];                                                                            \
        double sum = 0;                                                                                                \
        GRID_LOOP (i, a.count)                                                                                         \
            sum += name##_value(&a, i);                                                                                \
        sum = block_sum(sum, scratch);                                                                                 \
        if (threadIdx.x == 0)                                                                                          \
            partials[blockIdx.x] = sum;                                                                                \
    }                                                                                                                  \
    static __global__ void name##_total(int count, const struct name a, const double *partials)                        \
    {                                                                                                                  \
        __shared__ double scratch[THREADS];                                                                            \
        double sum = 0;                                                                                                \
        for (int i = (int)threadIdx.x; i < count; i += THREADS)                                                        \
            sum += partials[i];                                                                                        \
        sum = block_sum(sum, scratch);                                                                                 \
        if (threadIdx.x == 0)                                                                                          \
            name##_finish(&a, sum);                                                                                    \
    }                                                                                                                  \
    LAUNCHER(name)                                                                                                     \
    {                                                                                                                  \
        double *partials = (double *)workspace;                                                                        \
        const size_t wanted = (a->count + 4 * THREADS - 1) / (4 * THREADS); /* at least 4 values a thread */           \
        const int blocks = wanted < SUM_PARTIALS ? (int)wanted : SUM_PARTIALS;                                         \
        if (a->count == 0)                                                                                             \
            return 0;                                                                                                  \
        if (LAUNCH_SYNC(name##_partials, dim3(blocks), dim3(THREADS), stream, *a, partials) != 0)                      \
            return -1;                                                                                                 \
        return LAUNCH_SYNC(name##_total, dim3(1), dim3(THREADS), stream, blocks, *a, partials);                        \
    }

#define OP(class, name) class(name)
#include "device/ops.def"
#undef OP
