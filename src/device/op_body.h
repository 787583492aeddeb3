/* How the body of an operation (ops.def) is written once for loops on the host and for threads of a GPU.
 * Where DINF_GRID is defined, a block of ROW_THREADS threads shares a row; else one thread has it, and sums run in a
 * fixed number of partial sums, so that they vectorise and do not depend on alignment.
 *
 * ELEMENT  struct name_shared name_prepare(const struct name *): what all elements need, worked out once a block
 *          void name_element(const struct name *, const struct name_shared *, size_t i)
 * ROW      void name_row(const struct name *, int i, struct row_team *): made of the macros below, which all threads
 *          of the row reach. A thread sees what it wrote itself; what others wrote only after a sum or a maximum. Nor
 * may it overwrite what others still read before one. COLUMN   enum { name_sums }: how many sums a column has void
 * name_cell(const struct name *, size_t at, int column, double *sums, int stride): adds to sums[0], sums[stride], ...;
 * `at` = row * columns + column void name_finish(const struct name *, int column, const double *sums, int stride) SUM
 * double name_value(const struct name *, size_t i), void name_finish(const struct name *, double sum) */
#ifndef DINF_DEVICE_OP_BODY_H
#define DINF_DEVICE_OP_BODY_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device/device.h"
#include "device/kernels.h"

#ifdef DINF_GRID
#define OP_FUNCTION static inline __device__
#else
#define OP_FUNCTION static inline
#endif

#ifdef DINF_GRID

/* Of one block; ROW_THREADS is the grid's. */
struct row_team {
    double sums[ROW_THREADS];
    float maxima[ROW_THREADS];
};

/* Visits the columns j of this thread. */
#define ROW_EACH(j, columns) for (int j = (int)threadIdx.x; j < (columns); j += ROW_THREADS)
/* What is done once a row stands behind `if (ROW_FIRST)`. */
#define ROW_FIRST (threadIdx.x == 0)
/* sum (a double) = the sum over columns j of `value`, in double */
#define ROW_SUM(sum, j, columns, value)                                                                                \
    do {                                                                                                               \
        double part_ = 0;                                                                                              \
        ROW_EACH (j, columns)                                                                                          \
            part_ += (value);                                                                                          \
        (sum) = block_sum(part_, team->sums);                                                                          \
    } while (0)
/* largest (a float with a value to begin with) = its maximum with `value` over columns j */
#define ROW_LARGEST(largest, j, columns, value)                                                                        \
    do {                                                                                                               \
        ROW_EACH (j, columns)                                                                                          \
            (largest) = kernel_larger(largest, value);                                                                 \
        (largest) = block_largest(largest, team->maxima);                                                              \
    } while (0)

#else

struct row_team; /* nobody to share with */

#define ROW_EACH(j, columns) for (int j = 0; j < (columns); j++)
#define ROW_FIRST true
#define ROW_SUM(sum, j, columns, value)                                                                                \
    do {                                                                                                               \
        (void)team;                                                                                                    \
        LANES_SUM(sum, int, j, columns, value);                                                                        \
    } while (0)
#define ROW_LARGEST(largest, j, columns, value)                                                                        \
    do {                                                                                                               \
        (void)team;                                                                                                    \
        ROW_EACH (j, columns)                                                                                          \
            (largest) = kernel_larger(largest, value);                                                                 \
    } while (0)

enum { LANES = 16 };
#define LANES_SUM(sum, type, j, n, value)                                                                              \
    do {                                                                                                               \
        double lanes_[LANES] = { 0 }, sum_ = 0;                                                                        \
        type first_ = 0;                                                                                               \
        for (; first_ + LANES <= (n); first_ += LANES)                                                                 \
            for (int l_ = 0; l_ < LANES; l_++) {                                                                       \
                const type j = first_ + (type)l_;                                                                      \
                lanes_[l_] += (value);                                                                                 \
            }                                                                                                          \
        for (int l_ = 0; first_ + (type)l_ < (n); l_++) {                                                              \
            const type j = first_ + (type)l_;                                                                          \
            lanes_[l_] += (value);                                                                                     \
        }                                                                                                              \
        for (int l_ = 0; l_ < LANES; l_++)                                                                             \
            sum_ += lanes_[l_];                                                                                        \
        (sum) = sum_;                                                                                                  \
    } while (0)

#endif

#endif
