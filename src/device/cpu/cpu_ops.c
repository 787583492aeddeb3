/* The operations of ops.def as OpenMP loops over their bodies. What a thread computes does not depend on how many
 * there are. */
#include <math.h>

#include "device/cpu/cpu.h"
#include "device/op_body.h"

#define DINF_OP_BODY
#include "device/every_op.h"

/* Columns whose sums one thread holds, and parts of a sum over everything. */
enum { COLUMNS = 64, PARTS = 64 };

static int threads_for(const struct device *dev, double floats)
{
    return floats < CPU_WORTH_THREADS ? 1 : dev->threads;
}

/* The loops see a copy of what was given, so that no store can change it. */
#define FUNCTION(name) int cpu_##name(struct device *dev, const struct name *given, struct err *err)
#define PRAGMA(text) _Pragma(#text)

#define ELEMENT(name)                                                                                                  \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        const struct name a = *given;                                                                                  \
        const int threads = threads_for(dev, (double)a.count);                                                         \
        (void)err;                                                                                                     \
        if (a.count == 0)                                                                                              \
            return 0;                                                                                                  \
        const struct name##_shared shared = name##_prepare(&a);                                                        \
        PRAGMA(omp parallel for simd num_threads(threads) schedule(static) firstprivate(a, shared))                    \
        for (size_t i = 0; i < a.count; i++)                                                                           \
            name##_element(&a, &shared, i);                                                                            \
        return 0;                                                                                                      \
    }

#define ROW(name)                                                                                                      \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        const struct name a = *given;                                                                                  \
        const int threads = threads_for(dev, 1.0 * a.rows * a.columns), rows = a.columns == 0 ? 0 : a.rows;            \
        (void)err;                                                                                                     \
        PRAGMA(omp parallel for num_threads(threads) schedule(static) firstprivate(a))                                 \
        for (int i = 0; i < rows; i++)                                                                                 \
            name##_row(&a, i, NULL);                                                                                   \
        return 0;                                                                                                      \
    }

#define COLUMN(name)                                                                                                   \
    static void name##_columns(const struct name a, int first, int count)                                              \
    {                                                                                                                  \
        double sums[name##_sums][COLUMNS] = { { 0 } };                                                                 \
        for (int i = 0; i < a.rows; i++) {                                                                             \
            const size_t at = (size_t)i * (size_t)a.columns + (size_t)first;                                           \
            for (int j = 0; j < count; j++)                                                                            \
                name##_cell(&a, at + (size_t)j, first + j, &sums[0][j], COLUMNS);                                      \
        }                                                                                                              \
        for (int j = 0; j < count; j++)                                                                                \
            name##_finish(&a, first + j, &sums[0][j], COLUMNS);                                                        \
    }                                                                                                                  \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        const struct name a = *given;                                                                                  \
        const int threads = threads_for(dev, 1.0 * a.rows * a.columns);                                                \
        (void)err;                                                                                                     \
        PRAGMA(omp parallel for num_threads(threads) schedule(static) firstprivate(a))                                 \
        for (int first = 0; first < a.columns; first += COLUMNS)                                                       \
            name##_columns(a, first, a.columns - first < COLUMNS ? a.columns - first : COLUMNS);                       \
        return 0;                                                                                                      \
    }

#define SUM(name)                                                                                                      \
    static double name##_part(const struct name a, size_t begin, size_t n)                                             \
    {                                                                                                                  \
        double sum;                                                                                                    \
        LANES_SUM(sum, size_t, j, n, name##_value(&a, begin + j));                                                     \
        return sum;                                                                                                    \
    }                                                                                                                  \
    FUNCTION(name)                                                                                                     \
    {                                                                                                                  \
        const struct name a = *given;                                                                                  \
        const int threads = threads_for(dev, (double)a.count);                                                         \
        const size_t size = a.count / PARTS + 1;                                                                       \
        double parts[PARTS], sum = 0;                                                                                  \
        (void)err;                                                                                                     \
        if (a.count == 0)                                                                                              \
            return 0;                                                                                                  \
        PRAGMA(omp parallel for num_threads(threads) schedule(static) firstprivate(a))                                 \
        for (int i = 0; i < PARTS; i++) {                                                                              \
            const size_t begin = size * (size_t)i, left = begin < a.count ? a.count - begin : 0;                       \
            parts[i] = name##_part(a, begin, left < size ? left : size);                                               \
        }                                                                                                              \
        for (int i = 0; i < PARTS; i++)                                                                                \
            sum += parts[i];                                                                                           \
        name##_finish(&a, sum);                                                                                        \
        return 0;                                                                                                      \
    }

#define OP(class, name) class(name)
#include "device/ops.def"
#undef OP
