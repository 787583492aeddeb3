/* Similarity of two encoders as published (Dziedzic et al., NeurIPS 2022), with
 * what its scripts got wrong put right: columns are centred instead of rows, the
 * absolute cosine has its own interval, constants of the entropy are exact. */
#include "stats/similarity.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "device/linalg.h"

static double *prepared(const double *x, int64_t n, int64_t d, const char *what, struct err *err)
{
    if (n < 2 || d < 1) {
        err_set(err, "a comparison needs at least 2 rows and 1 column; there are %lld and %lld", (long long)n,
                (long long)d);
        return NULL;
    }
    if (rows_check(x, n, d, what, err) != 0)
        return NULL;
    double *out = mem_alloc((size_t)n, (size_t)d * sizeof *out, err);
    if (out == NULL)
        return NULL;
    memcpy(out, x, (size_t)(n * d) * sizeof *x);
    if (rows_centre_normalize(out, n, d, err) == 0)
        return out;
    mem_free(out);
    return NULL;
}

/* Mean and half-width of its normal 99% interval. */
static struct estimate estimate(const double *x, int64_t n)
{
    double mean = 0.0, square = 0.0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - mean) * (x[i] - mean);
    struct estimate e = { mean, 2.576 * sqrt(square / (double)(n - 1) / (double)n) };
    return e;
}

static const struct estimate undefined = { NAN, NAN };

/* True, and why, if the rows of one side are all the same. */
static bool collapsed(const double *a, int64_t da, const double *b, int64_t db, int64_t n,
                      char reason[SIMILARITY_REASON])
{
    bool first = rows_constant(a, n, da), second = rows_constant(b, n, db);
    reason[0] = '\0';
    if (first || second)
        snprintf(reason, SIMILARITY_REASON, "the %s representations are the same for all %lld images",
                 first && second ? "first and the second"
                 : first         ? "first"
                                 : "second",
                 (long long)n);
    return first || second;
}

int similarity_compute(const double *a, const double *b, int64_t n, int64_t d, struct similarity *out, struct err *err)
{
    enum { COSINE, COSINE_ABS, L1, L2, LINF, L2_SCORE, MEASURES };
    double *pa = prepared(a, n, d, "the first representations", err);
    double *pb = pa != NULL ? prepared(b, n, d, "the second representations", err) : NULL;
    double *rows = pb != NULL ? mem_alloc((size_t)n, MEASURES * sizeof *rows, err) : NULL;
    int rc = -1;
    if (rows == NULL)
        goto out;
    if (collapsed(a, d, b, d, n, out->reason)) {
        out->cosine = out->cosine_abs = out->l1 = out->l2 = out->linf = out->l2_score = undefined;
        rc = 0;
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        double dot = 0.0, l1 = 0.0, square = 0.0, linf = 0.0;
        for (int64_t c = 0; c < d; c++) {
            double x = pa[i * d + c], y = pb[i * d + c], apart = fabs(x - y);
            dot += x * y;
            l1 += apart;
            square += apart * apart;
            linf = fmax(linf, apart);
        }
        rows[COSINE * n + i] = dot;
        rows[COSINE_ABS * n + i] = fabs(dot);
        rows[L1 * n + i] = l1;
        rows[L2 * n + i] = sqrt(square);
        rows[LINF * n + i] = linf;
        rows[L2_SCORE * n + i] = 1.0 - 0.5 * sqrt(square);
    }
    struct estimate *to[MEASURES] = { &out->cosine, &out->cosine_abs, &out->l1, &out->l2, &out->linf, &out->l2_score };
    for (int m = 0; m < MEASURES; m++)
        *to[m] = estimate(rows + m * n, n);
    rc = 0;
out:
    mem_free(rows);
    mem_free(pb);
    mem_free(pa);
    return rc;
}

/* -- mutual information -- */

#define EULER_GAMMA 0.57721566490153286061
#define LN_PI 1.1447298858494001741

/* Digamma of n >= 2 (recurrence, then the asymptotic series). */
static double digamma(double n)
{
    double shift = 0.0;
    for (; n < 10.0; n += 1.0)
        shift -= 1.0 / n;
    double r2 = 1.0 / (n * n);
    return shift + log(n) - 0.5 / n - r2 * (1.0 / 12 - r2 * (1.0 / 120 - r2 * (1.0 / 252 - r2 / 240)));
}

/* H is the mean over rows of  d log(r + eps) + log V_d + digamma(n) - digamma(1),  r
 * the distance to the nearest other row, V_d the volume of the unit ball
 * (Kozachenko and Leonenko 1987; Kraskov, Stoegbauer and Grassberger 2004, eq. 20
 * with k = 1). This is one row's term. */
static double entropy_term(double square_distance, int64_t n, int64_t d)
{
    double log_ball = 0.5 * (double)d * LN_PI - lgamma(0.5 * (double)d + 1.0);
    return (double)d * log(sqrt(square_distance) + 1e-10) + log_ball + digamma((double)n) + EULER_GAMMA;
}

/* square (n): squared distance of each row to the nearest other one. */
static int nearest_squares(struct device *dev, const double *x, int64_t n, int64_t d, double *square, struct err *err)
{
    const struct device_ops *ops = dev->ops;
    size_t bytes = (size_t)(n * d) * sizeof *x, row_bytes = (size_t)n * sizeof *x;
    int rc = -1;
    double *on_device = ops->alloc(dev, bytes, err);
    double *nearest = on_device != NULL ? ops->alloc(dev, row_bytes, err) : NULL;
    if (nearest != NULL && ops->upload(dev, on_device, x, bytes, err) == 0 &&
        ops->linalg->nearest_rows(dev, n, (int)d, on_device, NULL, nearest, err) == 0 &&
        ops->download(dev, square, nearest, row_bytes, err) == 0)
        rc = 0;
    if (nearest != NULL)
        ops->free(dev, nearest);
    if (on_device != NULL)
        ops->free(dev, on_device);
    return rc;
}

/* x (n, *d) without its last constant columns, as many as it takes to come down
 * to `least` of them; *d is what is left. What is constant tells nothing, but it
 * would count as a dimension, and every dimension has its share of the bias. */
static double *without_constants(const double *x, int64_t n, int64_t least, int64_t *d, struct err *err)
{
    int64_t wide = *d, left = wide, narrow = 0;
    bool *keep = mem_alloc((size_t)wide, sizeof *keep, err);
    double *out = NULL;
    if (keep == NULL)
        return NULL;
    for (int64_t c = wide - 1; c >= 0; c--) {
        for (int64_t i = 1; i < n && !keep[c]; i++)
            keep[c] = x[i * wide + c] != x[c];
        keep[c] = keep[c] || left <= least;
        left -= !keep[c];
    }
    out = mem_alloc((size_t)n, (size_t)left * sizeof *out, err);
    for (int64_t c = 0; out != NULL && c < wide; c++) {
        for (int64_t i = 0; keep[c] && i < n; i++)
            out[i * left + narrow] = x[i * wide + c];
        narrow += keep[c];
    }
    mem_free(keep);
    *d = left;
    return out;
}

/* As prepared(), of a side that may be padded beyond the other side's `least` columns. */
static double *prepared_narrow(const double *x, int64_t n, int64_t *d, int64_t least, const char *what, struct err *err)
{
    if (n < 2 || *d <= least)
        return prepared(x, n, *d, what, err);
    if (rows_check(x, n, *d, what, err) != 0)
        return NULL;
    double *narrow = without_constants(x, n, least, d, err);
    double *out = narrow != NULL ? prepared(narrow, n, *d, what, err) : NULL;
    mem_free(narrow);
    return out;
}

/* From the squared distances sa, sb, sab (n); sa becomes the kept images' terms. */
static void information(double *sa, int64_t da, const double *sb, int64_t db, const double *sab, int64_t n,
                        struct information *out)
{
    int64_t kept = 0, repeated[2] = { 0, 0 };
    for (int64_t i = 0; i < n; i++) {
        repeated[0] += sa[i] == 0.0;
        repeated[1] += sb[i] == 0.0;
        if (sa[i] != 0.0 && sb[i] != 0.0)
            sa[kept++] = entropy_term(sa[i], n, da) + entropy_term(sb[i], n, db) - entropy_term(sab[i], n, da + db);
    }
    out->duplicates = n - kept;
    int most = repeated[1] > repeated[0];
    if (out->duplicates * DUPLICATE_LIMIT > n || kept < 2)
        snprintf(out->reason, sizeof out->reason,
                 "%lld of %lld rows of the %s representations are repeated exactly: they have no density",
                 (long long)repeated[most], (long long)n, most ? "second" : "first");
    out->nats = out->reason[0] ? undefined : estimate(sa, kept);
    if (out->nats.value + out->nats.ci < 0.0)
        snprintf(
            out->warning, sizeof out->warning,
            "%.4g is no mutual information, as none is below 0: here the estimator's bias is larger. %lld images are "
            "too few for %lld and %lld dimensions%s; compare it only with values of as many images and dimensions",
            out->nats.value, (long long)n, (long long)da, (long long)db,
            out->duplicates > 0 ? ", or some are nearly repeated" : "");
}

/* True, and why, if one side has a single column: +-1 after normalisation. */
static bool only_signs(int64_t da, int64_t db, char reason[SIMILARITY_REASON])
{
    if (da > 1 && db > 1)
        return false;
    snprintf(reason, SIMILARITY_REASON,
             "the %s representations have one dimension, which has only a sign after normalisation",
             da == 1 && db == 1 ? "first and the second"
             : da == 1          ? "first"
                                : "second");
    return true;
}

int mutual_information(struct device *dev, const double *a, int64_t da, const double *b, int64_t db, int64_t n,
                       struct information *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    int64_t least = da < db ? da : db, wide_a = da, wide_b = db;
    double *pa = prepared_narrow(a, n, &da, least, "the first representations", err);
    double *pb = pa != NULL ? prepared_narrow(b, n, &db, least, "the second representations", err) : NULL;
    double *joint = pb != NULL ? mem_alloc((size_t)n, (size_t)(da + db) * sizeof *joint, err) : NULL;
    double *square = joint != NULL ? mem_alloc((size_t)n, 3 * sizeof *square, err) : NULL;
    int rc = -1;
    if (square == NULL)
        goto out;
    if (collapsed(a, wide_a, b, wide_b, n, out->reason) || only_signs(wide_a, wide_b, out->reason)) {
        out->nats = undefined;
        out->duplicates = n;
        rc = 0;
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        memcpy(joint + i * (da + db), pa + i * da, (size_t)da * sizeof *joint);
        memcpy(joint + i * (da + db) + da, pb + i * db, (size_t)db * sizeof *joint);
    }
    if (nearest_squares(dev, pa, n, da, square, err) == 0 && nearest_squares(dev, pb, n, db, square + n, err) == 0 &&
        nearest_squares(dev, joint, n, da + db, square + 2 * n, err) == 0) {
        information(square, da, square + n, db, square + 2 * n, n, out);
        rc = 0;
    }
out:
    mem_free(square);
    mem_free(joint);
    mem_free(pb);
    mem_free(pa);
    return rc;
}

/* Three searches over all pairs, in da, db and da + db dimensions. Calibrated by `dinf
 * bench mutual-information --threads 1` (n 600 to 6000, dim 64 to 512) on a core of an
 * AMD EPYC with AVX-512: within a factor of 2. */
double mutual_information_seconds(int64_t n, int64_t da, int64_t db)
{
    return 2.7e-11 * (double)n * (double)n * 2.0 * (double)(da + db);
}

/* Both sides next to each other, and a distance for every row. */
size_t mutual_information_memory(int64_t n, int64_t da, int64_t db)
{
    return (size_t)(n * (da + db + 1)) * sizeof(double);
}

struct estimate mi_score(struct estimate i, double random, double self)
{
    double score = self > random ? (i.value - random) / (self - random) : NAN;
    if (isnan(score))
        return undefined;
    return (struct estimate){ fmax(0.0, fmin(1.0, score)), i.ci / (self - random) };
}
