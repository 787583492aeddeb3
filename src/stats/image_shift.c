/* Brightness, contrast and sharpness are what differs between images of two sources
 * before anything else does. */
#include "stats/image_shift.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/logistic.h"
#include "stats/rank_test.h"
#include "stats/rows.h"

enum { OF_CHANNEL = 5, PURPOSE = 50 };
static const double RIDGE = 1.0;

static double pixel(const struct pixels *im, int64_t i, int64_t c, int64_t y, int64_t x)
{
    const int64_t at =
        im->channels_last ? ((i * im->h + y) * im->w + x) * im->c + c : ((i * im->c + c) * im->h + y) * im->w + x;
    return im->bytes != NULL ? im->bytes[at] : (double)im->floats[at];
}

static void channel_features(const struct pixels *im, int64_t i, int64_t c, double out[OF_CHANNEL])
{
    const double n = (double)(im->h * im->w), origin = pixel(im, i, c, 0, 0);
    double sum = 0.0, square = 0.0, low = INFINITY, high = -INFINITY, edges = 0.0;
    for (int64_t y = 0; y < im->h; y++)
        for (int64_t x = 0; x < im->w; x++) {
            const double v = pixel(im, i, c, y, x);
            sum += v - origin;
            square += (v - origin) * (v - origin);
            low = fmin(low, v);
            high = fmax(high, v);
            edges += x > 0 ? fabs(v - pixel(im, i, c, y, x - 1)) : 0.0;
            edges += y > 0 ? fabs(v - pixel(im, i, c, y - 1, x)) : 0.0;
        }
    const double mean = sum / n;
    out[0] = origin + mean;
    out[1] = sqrt(fmax(square / n - mean * mean, 0.0));
    out[2] = low;
    out[3] = high;
    out[4] = edges / n;
}

/* (a->n + b->n, d), standardised. */
static double *features(const struct pixels *a, const struct pixels *b, int64_t d, struct err *err)
{
    const struct pixels *const sets[] = { a, b };
    const int64_t n = a->n + b->n;
    double *out = mem_alloc((size_t)n, (size_t)d * sizeof *out, err);
    int64_t row = 0;
    for (int s = 0; out != NULL && s < 2; s++)
        for (int64_t i = 0; i < sets[s]->n; i++, row++)
            for (int64_t c = 0; c < a->c; c++)
                channel_features(sets[s], i, c, out + row * d + c * OF_CHANNEL);
    if (out == NULL || rows_standardize(&out, &n, 1, d, err) == 0)
        return out;
    mem_free(out);
    return NULL;
}

/* half (n): 0 or 1, at random, in equal numbers of each set. */
static int halve(int64_t na, int64_t nb, uint64_t seed, uint8_t *half, struct err *err)
{
    uint32_t *order = mem_alloc((size_t)(na + nb), sizeof *order, err);
    if (order == NULL)
        return -1;
    for (int s = 0; s < 2; s++) {
        const int64_t n = s == 0 ? na : nb, first = s == 0 ? 0 : na;
        struct rng rng = rng_at(seed, RNG_SPLIT, PURPOSE + (uint32_t)s, 0, 0);
        rng_permutation(&rng, order, (uint32_t)n);
        for (int64_t i = 0; i < n; i++)
            half[first + order[i]] = i % 2 != 0;
    }
    mem_free(order);
    return 0;
}

/* Of x (n, d), the first na rows of set a, the rows of one half, set a in front; *m_a are
 * of it and *m in all. */
static void take_half(const double *x, int64_t na, int64_t n, int64_t d, const uint8_t *half, int which, double *out,
                      int64_t *m_a, int64_t *m)
{
    *m_a = *m = 0;
    for (int64_t i = 0; i < n; i++)
        if (half[i] == which) {
            memcpy(out + *m * d, x + i * d, (size_t)d * sizeof *out);
            ++*m;
            *m_a += i < na;
        }
}

/* Learns on one half and ranks the rows of the other. */
static int judge(struct device *dev, const double *x, int64_t na, int64_t n, int64_t d, const uint8_t *half, int learn,
                 struct rank_test *out, struct err *err)
{
    int rc = -1;
    int64_t m_a, m;
    double *rows = mem_alloc((size_t)n, (size_t)d * sizeof *rows, err);
    double *coefficients = rows != NULL ? mem_alloc((size_t)d + 1, sizeof *coefficients, err) : NULL;
    double *score = coefficients != NULL ? mem_alloc((size_t)n, sizeof *score, err) : NULL;
    uint8_t *label = score != NULL ? mem_alloc((size_t)n, 1, err) : NULL;
    if (label == NULL)
        goto out;
    take_half(x, na, n, d, half, learn, rows, &m_a, &m);
    memset(label, 1, (size_t)m_a);
    if (logistic_fit(dev, rows, label, m, d, RIDGE, coefficients, err) != 0)
        goto out;
    take_half(x, na, n, d, half, !learn, rows, &m_a, &m);
    logistic_score(coefficients, rows, m, d, score);
    rc = rank_test(score, m_a, score + m_a, m - m_a, out, err);
out:
    mem_free(label);
    mem_free(score);
    mem_free(coefficients);
    mem_free(rows);
    return rc;
}

int image_shift_test(struct device *dev, const struct pixels *a, const struct pixels *b, uint64_t seed,
                     struct image_shift *out, struct err *err)
{
    const int64_t n = a->n + b->n, d = a->c * OF_CHANNEL;
    struct rank_test test[2];
    int rc = -1;
    if (a->n < IMAGE_SHIFT_MINIMUM || b->n < IMAGE_SHIFT_MINIMUM)
        return err_set(err, "comparing images takes at least %d of each kind; there are %lld and %lld",
                       IMAGE_SHIFT_MINIMUM, (long long)a->n, (long long)b->n);
    double *x = features(a, b, d, err);
    uint8_t *half = x != NULL ? mem_alloc((size_t)n, 1, err) : NULL;
    if (half != NULL && halve(a->n, b->n, seed, half, err) == 0 &&
        judge(dev, x, a->n, n, d, half, 0, &test[0], err) == 0 &&
        judge(dev, x, a->n, n, d, half, 1, &test[1], err) == 0) {
        out->auc = 0.5 * (test[0].auc + test[1].auc);
        out->p = fmin(1.0, 2.0 * fmin(test[0].p, test[1].p));
        rc = 0;
    }
    mem_free(half);
    mem_free(x);
    return rc;
}
