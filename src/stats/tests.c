/* t-tests whose p-value is known as a logarithm: published values reach 1e-125,
 * larger sets go far below what a double can hold. */
#include "stats/tests.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define LN_10 2.3025850929940456840

/* log(Gamma(a + 1/2) / Gamma(a)); the asymptotic series (Tricomi and Erdelyi
 * 1951, with ratio 1/2) where the difference of two lgamma would cancel. */
static double log_gamma_half_step(double a)
{
    if (a < 20.0)
        return lgamma(a + 0.5) - lgamma(a);
    double r = 1.0 / a, r2 = r * r;
    return 0.5 * log(a) + r * (-1.0 / 8 + r2 * (1.0 / 192 + r2 * (-1.0 / 640 + r2 * (17.0 / 14336))));
}

/* The continued fraction of the incomplete beta function by the modified method
 * of Lentz (DLMF 8.17.22): I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) * it, quick
 * for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m <= 200000; m++) {
        double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 + even * d;
        c = 1.0 + even / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 + odd * d;
        c = 1.0 + odd / c;
        d = 1.0 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        double step = d * c;
        h *= step;
        if (fabs(step - 1.0) < 1e-16)
            break;
    }
    return h;
}

double student_log_upper(double t, double df)
{
    assert(df > 0.0);
    if (isnan(t))
        return NAN;
    if (t == 0.0)
        return log(0.5);
    if (isinf(t))
        return t > 0 ? -INFINITY : 0.0;
    /* P(|T| > |t|) = I_x(a, 1/2), x = df / (df + t^2), a = df / 2 */
    double ratio = t / sqrt(df), ratio2 = ratio * ratio, a = 0.5 * df;
    double x = 1.0 / (1.0 + ratio2), y = ratio2 / (1.0 + ratio2);
    double log_x = -log1p(ratio2), log_y = isinf(ratio2) ? 0.0 : -log1p(1.0 / ratio2);
    double log_beta = 0.5 * log(3.14159265358979323846) - log_gamma_half_step(a); /* log B(a, 1/2) */
    double log_tails;
    if (x < (a + 1.0) / (a + 2.5))
        log_tails = a * log_x + 0.5 * log_y - log_beta - log(a) + log(beta_fraction(a, 0.5, x));
    else
        log_tails = log1p(-exp(a * log_x + 0.5 * log_y - log_beta + log(2.0)) * beta_fraction(0.5, a, y));
    double log_upper = log_tails - log(2.0);
    return t > 0 ? log_upper : log1p(-exp(log_upper));
}

struct moments {
    double mean, square; /* sum of squared deviations */
};

static struct moments moments(const double *x, int64_t n)
{
    struct moments m = { 0.0, 0.0 };
    double rest = 0.0;
    for (int64_t i = 0; i < n; i++)
        m.mean += x[i];
    m.mean /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        m.square += (x[i] - m.mean) * (x[i] - m.mean);
        rest += x[i] - m.mean;
    }
    m.square -= rest * rest / (double)n;
    m.mean += rest / (double)n;
    return m;
}

static int t_test(bool equal_variances, const double *a, int64_t na, const double *b, int64_t nb, struct t_test *out,
                  struct err *err)
{
    if (na < 2 || nb < 2)
        return err_set(err, "a t-test needs at least 2 values in each sample; there are %lld and %lld", (long long)na,
                       (long long)nb);
    struct moments ma = moments(a, na), mb = moments(b, nb);
    double n1 = (double)na, n2 = (double)nb, pooled = (ma.square + mb.square) / (n1 + n2 - 2.0);
    if (!isfinite(pooled))
        return err_set(err, "a t-test was given values that are not finite");
    if (!(pooled > 0.0))
        return err_set(err, "a t-test needs values that differ: both samples are constant");
    double va = ma.square / (n1 - 1.0) / n1, vb = mb.square / (n2 - 1.0) / n2;
    double variance = equal_variances ? pooled * (1.0 / n1 + 1.0 / n2) : va + vb;
    double fa = va / (va + vb), fb = vb / (va + vb);
    memset(out, 0, sizeof *out);
    out->mean_a = ma.mean;
    out->mean_b = mb.mean;
    out->gap = ma.mean - mb.mean;
    out->t = out->gap / sqrt(variance);
    out->df = equal_variances ? n1 + n2 - 2.0 : 1.0 / (fa * fa / (n1 - 1.0) + fb * fb / (n2 - 1.0));
    double log_p = student_log_upper(out->t, out->df);
    out->p = exp(log_p);
    out->log10_p = log_p / LN_10;
    out->deviation = sqrt(pooled);
    out->cohen_d = out->gap / out->deviation;
    return 0;
}

int t_test_welch(const double *a, int64_t na, const double *b, int64_t nb, struct t_test *out, struct err *err)
{
    return t_test(false, a, na, b, nb, out, err);
}

int t_test_student(const double *a, int64_t na, const double *b, int64_t nb, struct t_test *out, struct err *err)
{
    return t_test(true, a, na, b, nb, out, err);
}

int permutation_test(const double *a, int64_t na, const double *b, int64_t nb, uint64_t seed, int64_t permutations,
                     double *p, struct err *err)
{
    int64_t n = na + nb, above = 0;
    assert(permutations >= 1);
    if (na < 1 || nb < 1)
        return err_set(err, "a permutation test needs values in both samples");
    double *pool = mem_alloc((size_t)n, sizeof *pool, err);
    if (pool == NULL)
        return -1;
    memcpy(pool, a, (size_t)na * sizeof *a);
    memcpy(pool + na, b, (size_t)nb * sizeof *b);
    double centre = 0.0, observed = 0.0, scale = 0.0;
    for (int64_t i = 0; i < n; i++)
        centre += pool[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        pool[i] -= centre;
        scale += fabs(pool[i]);
    }
    for (int64_t i = 0; i < na; i++)
        observed += pool[i];
    /* With sizes fixed the gap grows with the sum of the first sample. Sums of the
     * same values in another order differ by rounding: count those as equal. */
    double slack = 1e-14 * scale;
    struct rng rng = rng_at(seed, RNG_PERMUTE, 0, 0, 0);
    for (int64_t s = 0; s < permutations; s++) {
        double sum = 0.0;
        for (int64_t i = 0; i < na; i++) {
            int64_t j = i + rng_below(&rng, (uint32_t)(n - i));
            double t = pool[i];
            pool[i] = pool[j];
            pool[j] = t;
            sum += pool[i];
        }
        above += sum >= observed - slack;
    }
    *p = (1.0 + (double)above) / (1.0 + (double)permutations);
    mem_free(pool);
    return 0;
}
