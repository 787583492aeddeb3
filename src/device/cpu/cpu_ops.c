/* The operations of ops.def as OpenMP loops over their bodies. What a thread computes does not depend on how many
 * there are. */
#include <math.h>

#include "device/cpu/cpu.h"
#include "device/op_body.h"

#define DINF_OP_BODY
#include "device/every_op.h"

/* Columns whose sums one thread holds, and parts of a sum over everything. */
enum { COLUMNS = 64, PARTS = 64 };

/* The loops see a copy of what was given, so that no store can change it. */
#define BEGIN(name, work)                                                                                              \
    int cpu_##name(struct device *dev, const struct name *given, struct err *err)                                      \
    {                                                                                                                  \
        const struct name a = *given;                                                                                  \
        const int threads = (work) < CPU_WORTH_THREADS ? 1 : dev->threads;                                             \
        (void)err;
#define END                                                                                                            \
    return 0;                                                                                                          \
    }

#define ELEMENT(name)                                                                                                  \
    BEGIN(name, a.count)                                                                                               \
    if (a.count == 0)                                                                                                  \
        return 0;                                                                                                      \
    const struct name##_shared shared = name##_prepare(&a);                                                            \
    _Pragma("omp parallel for simd num_threads(threads) schedule(static) firstprivate(a, shared)") for (size_t i = 0;  \
                                                                                                        i < a.count;   \
                                                                                                        i++)           \
        name##_element(&a, &shared, i);                                                                                \
    END

#define ROW(name)                                                                                                      \
    BEGIN(name, (double)a.rows *a.columns)                                                                             \
    if (a.columns == 0)                                                                                                \
        return 0;                                                                                                      \
    _Pragma("omp parallel for num_threads(threads) schedule(static) firstprivate(a)") for (int i = 0; i < a.rows; i++) \
        name##_row(&a, i, NULL);                                                                                       \
    END

#define COLUMN(name)                                                                                                   \
    static void name##_columns(const struct name a, int first, int count)                                              \
    {                                                                                                                  \
        double sums[name##_sums][COLUMNS] = { { 0 } };                                                                 \
        for (int i = 0; i < a.rows; i++)                                                                               \
            for (int j = 0; j < count; j++)                                                                            \
                name##_cell(&a, (size_t)i *(size_t)a.columns + (size_t)(first + j), first + j, &sums[0][j], COLUMNS);  \
        for (int j = 0; j < count; j++)                                                                                \
            name##_finish(&a, first + j, &sums[0][j], COLUMNS);                                                        \
    }                                                                                                                  \
    BEGIN(name, (double)a.rows *a.columns)                                                                             \
    _Pragma("omp parallel for num_threads(threads) schedule(static) firstprivate(a)") for (int first = 0;              \
                                                                                           first < a.columns;          \
                                                                                           first += COLUMNS)           \
        name##_columns(a, first, a.columns - first < COLUMNS ? a.columns - first : COLUMNS);                           \
    END

#define SUM(name)                                                                                                      \
    static double name##_part(const struct name a, size_t begin, size_t end)                                           \
    {                                                                                                                  \
        double sum;                                                                                                    \
        const size_t n = end - begin;                                                                                  \
        LANES_SUM(sum, size_t, j, n, name##_value(&a, begin + j));                                                     \
        return sum;                                                                                                    \
    }                                                                                                                  \
    BEGIN(name, a.count)                                                                                               \
    double parts[PARTS], sum = 0;                                                                                      \
    const size_t size = a.count / PARTS + 1;                                                                           \
    if (a.count == 0)                                                                                                  \
        return 0;                                                                                                      \
    _Pragma("omp parallel for num_threads(threads) schedule(static) firstprivate(a)") for (int i = 0; i < PARTS; i++)  \
    {                                                                                                                  \
        const size_t begin = size * (size_t)i, end = begin + size;                                                     \
        parts[i] = begin >= a.count ? 0 : name##_part(a, begin, end < a.count ? end : a.count);                        \
    }                                                                                                                  \
    for (int i = 0; i < PARTS; i++)                                                                                    \
        sum += parts[i];                                                                                               \
    name##_finish(&a, sum);                                                                                            \
    END

#define OP(class, name) class(name)
#include "device/ops.def"
#undef OP
