/* Rows of one source are told from rows of another by a score whose distribution nobody
 * knows: only its order is looked at. */
#include "stats/rank_test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct value {
    double x;
    bool first; /* of sample a */
};

static int ascending(const void *a, const void *b)
{
    double x = ((const struct value *)a)->x, y = ((const struct value *)b)->x;
    return (x > y) - (x < y);
}

int rank_test(const double *a, int64_t na, const double *b, int64_t nb, struct rank_test *out, struct err *err)
{
    const int64_t n = na + nb;
    const double n1 = (double)na, n2 = (double)nb, all = n1 + n2;
    double ranks = 0.0, ties = 0.0;
    struct value *v = mem_alloc((size_t)n, sizeof *v, err);
    if (v == NULL)
        return -1;
    for (int64_t i = 0; i < n; i++)
        v[i] = i < na ? (struct value){ a[i], true } : (struct value){ b[i - na], false };
    qsort(v, (size_t)n, sizeof *v, ascending);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && v[end].x == v[i].x; end++)
            ;
        const double size = (double)(end - i), middle = 0.5 * (double)(i + 1 + end);
        ties += size * (size * size - 1.0);
        for (int64_t k = i; k < end; k++)
            ranks += v[k].first ? middle : 0.0;
    }
    mem_free(v);
    const double u = ranks - 0.5 * n1 * (n1 + 1.0), variance = n1 * n2 / 12.0 * (all + 1.0 - ties / all / (all - 1.0));
    out->auc = u / n1 / n2;
    out->p = variance > 0.0 ? 0.5 * erfc((u - 0.5 * n1 * n2 - 0.5) / sqrt(2.0 * variance)) : 1.0;
    return 0;
}
