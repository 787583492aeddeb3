/* Rows that are near each other are near in any direction: sorted by their projection
 * on one random direction, each row is compared with the few in a narrow window. */
#include "stats/duplicates.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

/* The closest that rows of different images come, of the median norm and of the median distance. */
static const double OF_NORM = 1e-6, OF_DISTANCE = 1e-4;
enum { NEAR_COLUMNS = 4, PAIRS = 999, CUT_PURPOSE = 20 };

struct keyed {
    double key;
    const double *row;
};

static int by_key(const void *a, const void *b)
{
    double x = ((const struct keyed *)a)->key, y = ((const struct keyed *)b)->key;
    return (x > y) - (x < y);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double square_distance(const double *a, const double *b, int64_t d, double limit)
{
    double sum = 0.0;
    for (int64_t c = 0; c < d && sum <= limit; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

static const double *pick(struct rng *rng, const struct row_set sets[DUPLICATE_SETS], int64_t d)
{
    int64_t total = 0;
    for (int s = 0; s < DUPLICATE_SETS; s++)
        total += sets[s].n;
    int64_t at = (int64_t)(rng_double(rng) * (double)total);
    int s = 0;
    while (s < DUPLICATE_SETS - 1 && at >= sets[s].n)
        at -= sets[s++].n;
    return sets[s].x + (at < sets[s].n ? at : sets[s].n - 1) * d;
}

/* The largest distance of two rows that count as one. Medians: a row far out has no say. */
static double tolerance(const struct row_set sets[DUPLICATE_SETS], int64_t d)
{
    double norm[PAIRS], apart[PAIRS];
    struct rng rng = rng_at(0, RNG_SPLIT, CUT_PURPOSE, 0, 0);
    if (d < NEAR_COLUMNS)
        return 0.0;
    for (int i = 0; i < PAIRS; i++) {
        const double *a = pick(&rng, sets, d), *b = pick(&rng, sets, d);
        double square = 0.0;
        for (int64_t c = 0; c < d; c++)
            square += a[c] * a[c];
        norm[i] = sqrt(square);
        apart[i] = sqrt(square_distance(a, b, d, INFINITY));
    }
    qsort(norm, PAIRS, sizeof *norm, by_value);
    qsort(apart, PAIRS, sizeof *apart, by_value);
    const double limit = fmin(OF_NORM * norm[PAIRS / 2], OF_DISTANCE * apart[PAIRS / 2]);
    return isfinite(limit) ? limit : 0.0; /* squares that overflow: equal rows only */
}

static double *random_direction(int64_t d, struct err *err)
{
    struct rng rng = rng_at(0, RNG_SPLIT, CUT_PURPOSE, 1, 0);
    double square = 0.0, *u = mem_alloc((size_t)d, sizeof *u, err);
    for (int64_t c = 0; u != NULL && c < d; c++) {
        u[c] = rng_normal(&rng);
        square += u[c] * u[c];
    }
    for (int64_t c = 0; u != NULL && c < d; c++)
        u[c] /= sqrt(square);
    return u;
}

/* Keys are relative to `origin`, so that a common offset costs no digits. */
static struct keyed *sorted(const struct row_set *set, int64_t d, const double *direction, const double *origin,
                            struct err *err)
{
    struct keyed *out = mem_alloc((size_t)set->n, sizeof *out, err);
    for (int64_t i = 0; out != NULL && i < set->n; i++) {
        const double *row = set->x + i * d;
        double key = 0.0;
        for (int64_t c = 0; c < d; c++)
            key += (row[c] - origin[c]) * direction[c];
        out[i] = (struct keyed){ key, row };
    }
    if (out != NULL)
        qsort(out, (size_t)set->n, sizeof *out, by_key);
    return out;
}

/* Rows of a with a partner in b; where a is b, with a partner before them. */
static int64_t partners(const struct keyed *a, int64_t na, const struct keyed *b, int64_t nb, int64_t d, double limit)
{
    const double square = limit * limit, window = limit * (1.0 + 1e-6);
    int64_t low = 0, found = 0;
    for (int64_t i = 0; i < na; i++) {
        const int64_t end = a == b ? i : nb;
        bool hit = false;
        while (low < nb && b[low].key < a[i].key - window)
            low++;
        for (int64_t j = low; j < end && !hit && b[j].key <= a[i].key + window; j++)
            hit = square_distance(a[i].row, b[j].row, d, square) <= square;
        found += hit;
    }
    return found;
}

int duplicates_count(const struct row_set sets[DUPLICATE_SETS], int64_t d,
                     int64_t count[DUPLICATE_SETS][DUPLICATE_SETS], struct err *err)
{
    struct keyed *order[DUPLICATE_SETS] = { NULL };
    int rc = -1;
    double *direction = random_direction(d, err);
    for (int s = 0; s < DUPLICATE_SETS; s++) {
        order[s] = direction != NULL ? sorted(&sets[s], d, direction, sets[0].x, err) : NULL;
        if (order[s] == NULL)
            goto out;
    }
    const double limit = tolerance(sets, d);
    for (int i = 0; i < DUPLICATE_SETS; i++)
        for (int j = 0; j < DUPLICATE_SETS; j++)
            count[i][j] = partners(order[i], sets[i].n, order[j], sets[j].n, d, limit);
    rc = 0;
out:
    for (int s = 0; s < DUPLICATE_SETS; s++)
        mem_free(order[s]);
    mem_free(direction);
    return rc;
}
