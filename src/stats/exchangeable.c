/* Two quick classifiers of two sets of rows, judged on rows that they have not seen. */
#include "stats/exchangeable.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "stats/inference.h"
#include "stats/rank_test.h"

/* Weight, in rows, of the pooled variance in each set's: few rows say little of a column. */
static const double PRIOR_ROWS = 20.0;
/* No column is narrower than this share of the pooled variance. */
static const double NARROWEST = 1e-6;

enum { PURPOSE = 40, LEARN_MOST = 500, TEST_MOST = 1000, TESTS = 4 };

struct half {
    const double *x;
    const uint32_t *order;
    int64_t n;
};

/* mean (d) and variance (d) of the columns of one half. */
static void moments(const struct half *h, int64_t d, double *mean, double *variance)
{
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(variance, 0, (size_t)d * sizeof *variance);
    for (int64_t i = 0; i < h->n; i++)
        for (int64_t c = 0; c < d; c++)
            mean[c] += h->x[h->order[i] * d + c] / (double)h->n;
    for (int64_t i = 0; i < h->n; i++)
        for (int64_t c = 0; c < d; c++) {
            const double apart = h->x[h->order[i] * d + c] - mean[c];
            variance[c] += apart * apart / (double)h->n;
        }
}

/* Gaussians of the two sets, column by column. */
struct gaussians {
    double *mean[2], *variance[2]; /* (d) each */
    double *memory;
};

static int gaussians_fit(const struct half half[2], int64_t d, struct gaussians *g, struct err *err)
{
    const double total = (double)(half[0].n + half[1].n);
    g->memory = mem_alloc((size_t)d, 4 * sizeof *g->memory, err);
    if (g->memory == NULL)
        return -1;
    for (int s = 0; s < 2; s++) {
        g->mean[s] = g->memory + 2 * s * d;
        g->variance[s] = g->mean[s] + d;
        moments(&half[s], d, g->mean[s], g->variance[s]);
    }
    for (int64_t c = 0; c < d; c++) {
        const double apart = g->mean[0][c] - g->mean[1][c], share = (double)half[0].n / total;
        const double pooled =
            share * g->variance[0][c] + (1.0 - share) * g->variance[1][c] + share * (1.0 - share) * apart * apart;
        for (int s = 0; s < 2; s++) {
            const double n = (double)half[s].n, own = g->variance[s][c];
            g->variance[s][c] = fmax((n * own + PRIOR_ROWS * pooled) / (n + PRIOR_ROWS), NARROWEST * pooled);
        }
    }
    return 0;
}

/* log N(x; set 0) - log N(x; set 1), but for a constant. Constant columns say nothing. */
static double log_ratio(const struct gaussians *g, const double *x, int64_t d)
{
    double sum = 0.0;
    for (int64_t c = 0; c < d; c++) {
        const double v0 = g->variance[0][c], v1 = g->variance[1][c];
        const double a = x[c] - g->mean[0][c], b = x[c] - g->mean[1][c];
        if (v0 > 0.0 && v1 > 0.0)
            sum += b * b / v1 - a * a / v0 + log(v1 / v0);
    }
    return isfinite(sum) ? sum : 0.0; /* squares that overflow say nothing */
}

/* Row i of `most` rows that are spread over the half. */
static const double *spread(const struct half *h, int64_t i, int64_t most, int64_t d)
{
    return h->x + h->order[h->n <= most ? i : i * h->n / most] * d;
}

/* Squared distance to the nearest row that was learned from, columns in units of the
 * Gaussians' pooled width. */
static double nearest(const struct half *learn, const double *x, int64_t d, const double *weight)
{
    const int64_t n = learn->n < LEARN_MOST ? learn->n : LEARN_MOST;
    double best = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const double *row = spread(learn, i, LEARN_MOST, d);
        double sum = 0.0;
        for (int64_t c = 0; c < d; c++)
            sum += weight[c] * (x[c] - row[c]) * (x[c] - row[c]);
        best = fmin(best, sum);
    }
    return best;
}

/* Which set is nearer: sees what columns one by one do not tell, such as another order
 * of the columns. Of many rows some are enough. */
static int judge_neighbours(const struct half learn[2], const struct half test[2], int64_t d, const struct gaussians *g,
                            struct rank_test *out, struct err *err)
{
    int64_t n[2];
    for (int s = 0; s < 2; s++)
        n[s] = test[s].n < TEST_MOST ? test[s].n : TEST_MOST;
    int rc = -1;
    double *score = mem_alloc((size_t)(n[0] + n[1]), sizeof *score, err);
    double *weight = score != NULL ? mem_alloc((size_t)d, sizeof *weight, err) : NULL;
    if (weight == NULL)
        goto out;
    for (int64_t c = 0; c < d; c++) {
        const double width = g->variance[0][c] + g->variance[1][c];
        weight[c] = width > 0.0 ? 1.0 / width : 0.0;
    }
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < n[s]; i++) {
            const double *x = spread(&test[s], i, TEST_MOST, d);
            const double nearer = nearest(&learn[1], x, d, weight) - nearest(&learn[0], x, d, weight);
            score[s * n[0] + i] = isfinite(nearer) ? nearer : 0.0;
        }
    rc = rank_test(score, n[0], score + n[0], n[1], out, err);
out:
    mem_free(weight);
    mem_free(score);
    return rc;
}

/* out[0] by the Gaussians, out[1] by neighbours. */
static int judge(const struct half learn[2], const struct half test[2], int64_t d, struct rank_test out[2],
                 struct err *err)
{
    struct gaussians g = { .memory = NULL };
    int rc = -1;
    double *score = mem_alloc((size_t)(test[0].n + test[1].n), sizeof *score, err);
    if (score != NULL && gaussians_fit(learn, d, &g, err) == 0) {
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < test[s].n; i++)
                score[s * test[0].n + i] = log_ratio(&g, test[s].x + test[s].order[i] * d, d);
        if (rank_test(score, test[0].n, score + test[0].n, test[1].n, &out[0], err) == 0)
            rc = judge_neighbours(learn, test, d, &g, &out[1], err);
    }
    mem_free(g.memory);
    mem_free(score);
    return rc;
}

int exchangeable_test(const double *a, int64_t na, const double *b, int64_t nb, int64_t d, uint64_t seed,
                      struct exchangeable *out, struct err *err)
{
    const double *const x[2] = { a, b };
    const int64_t n[2] = { na, nb };
    struct half half[2][2]; /* [half][set] */
    struct rank_test test[TESTS];
    int rc = -1;
    *out = (struct exchangeable){ NAN, NAN };
    if (na < EXCHANGEABLE_MINIMUM || nb < EXCHANGEABLE_MINIMUM)
        return 0;
    uint32_t *order = mem_alloc((size_t)(na + nb), sizeof *order, err);
    if (order == NULL)
        return -1;
    for (int s = 0; s < 2; s++) {
        uint32_t *own = order + s * na;
        const int64_t first = n[s] / 2;
        inference_cut(seed, PURPOSE + (uint32_t)s, n[s], first, own);
        half[0][s] = (struct half){ x[s], own, first };
        half[1][s] = (struct half){ x[s], own + first, n[s] - first };
    }
    if (judge(half[0], half[1], d, &test[0], err) != 0 || judge(half[1], half[0], d, &test[2], err) != 0)
        goto out;
    struct rank_test best = test[0];
    for (int i = 1; i < TESTS; i++)
        best = test[i].p < best.p ? test[i] : best;
    *out = (struct exchangeable){ best.auc, fmin(1.0, TESTS * best.p) };
    rc = 0;
out:
    mem_free(order);
    return rc;
}
