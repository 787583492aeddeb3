/* gpu_linalg DEVICE: the double-precision slots of a device against ref's, all
 * data in the device's own memory. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "device/linalg.h"

enum { SIDES = 2, REF = 0 };

static struct device *side[SIDES];
static int checks, failures;
static uint32_t draws;

/* The same doubles on both devices. */
struct both {
    size_t n;
    double *at[SIDES];
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static struct both from_host(const double *host, size_t n)
{
    struct both b = { .n = n };
    struct err err;
    for (int s = 0; s < SIDES; s++) {
        b.at[s] = side[s]->ops->alloc(side[s], n * sizeof *host, &err);
        if (b.at[s] == NULL || side[s]->ops->upload(side[s], b.at[s], host, n * sizeof *host, &err) != 0)
            die("memory", &err);
    }
    return b;
}

static double *host_normal(size_t n)
{
    struct rng rng = rng_at(2, RNG_TEST, ++draws, 0, 0);
    double *x = mem_alloc(n, sizeof *x, NULL);
    for (size_t i = 0; i < n; i++)
        x[i] = rng_normal(&rng);
    return x;
}

static struct both normal(size_t n)
{
    double *x = host_normal(n);
    struct both b = from_host(x, n);
    mem_free(x);
    return b;
}

static struct both result(size_t n)
{
    double *x = mem_alloc(n, sizeof *x, NULL);
    for (size_t i = 0; i < n; i++)
        x[i] = NAN;
    struct both b = from_host(x, n);
    mem_free(x);
    return b;
}

static void both_free(struct both *b)
{
    for (int s = 0; s < SIDES; s++)
        side[s]->ops->free(side[s], b->at[s]);
}

static double *fetch(int s, const void *from, size_t bytes)
{
    struct err err;
    double *x = mem_alloc(bytes, 1, NULL);
    if (side[s]->ops->download(side[s], x, from, bytes, &err) != 0)
        die("download", &err);
    return x;
}

/* Each |difference| <= tolerance (|ref| + floor); equal where both are not finite. d > 0: of
 * the lower triangle of a (d, d) matrix, the diagonal included. */
static void check_part(const char *name, const struct both *b, size_t d, double tolerance, double floor)
{
    double *ref = fetch(REF, b->at[REF], b->n * sizeof *ref), *got = fetch(1, b->at[1], b->n * sizeof *got);
    size_t bad = 0, first = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (d > 0 && i % d > i / d)
            continue;
        bool same = isfinite(ref[i]) ? fabs(got[i] - ref[i]) <= tolerance * (fabs(ref[i]) + floor)
                                     : memcmp(&got[i], &ref[i], sizeof got[i]) == 0 || (isnan(got[i]) && isnan(ref[i]));
        if (!same && bad++ == 0)
            first = i;
    }
    checks++;
    if (bad) {
        failures++;
        printf("%s: %zu of %zu differ, the first at %zu: %.17g instead of %.17g\n", name, bad, b->n, first, got[first],
               ref[first]);
    }
    mem_free(got);
    mem_free(ref);
}

static void check(const char *name, const struct both *b, double tolerance, double floor)
{
    check_part(name, b, 0, tolerance, floor);
}

static void expect(const char *name, bool holds)
{
    checks++;
    if (!holds) {
        failures++;
        printf("%s: does not hold\n", name);
    }
}

/* Both devices run the slot; `dev`, `la` and `s` are theirs. */
#define EACH(name, call)                                                                                               \
    for (int s = 0; s < SIDES; s++) {                                                                                  \
        struct device *dev = side[s];                                                                                  \
        const struct device_linalg *la = dev->ops->linalg;                                                             \
        struct err err;                                                                                                \
        if ((call) != 0)                                                                                               \
            die(name, &err);                                                                                           \
    }

static void products(void)
{
    const int m = 17, n = 23, k = 31;
    struct both a = normal(m * k), b = normal(k * n);
    for (int t = 0; t < 4; t++) {
        enum trans ta = t & 1, tb = t >> 1;
        struct both c = normal(m * n), fresh = result(m * n);
        EACH("dgemm",
             la->dgemm(dev, ta, tb, m, n, k, 0.7, a.at[s], ta ? m : k, b.at[s], tb ? k : n, -0.5, c.at[s], n, &err))
        EACH("dgemm",
             la->dgemm(dev, ta, tb, m, n, k, 1.0, a.at[s], ta ? m : k, b.at[s], tb ? k : n, 0.0, fresh.at[s], n, &err))
        check("dgemm", &c, 1e-13, 10);
        check("dgemm, beta 0", &fresh, 1e-13, 10);
        both_free(&fresh);
        both_free(&c);
    }
    both_free(&b);
    both_free(&a);
}

/* k symmetric positive definite matrices whose strict upper triangles are out of place;
 * `spoil`: the one that is made indefinite, or -1. */
static struct both definite(int k, int d, int spoil)
{
    double *a = host_normal((size_t)k * d * d), *out = mem_alloc((size_t)k * d * d, sizeof *out, NULL);
    for (int j = 0; j < k; j++)
        for (int r = 0; r < d; r++)
            for (int c = 0; c < d; c++) {
                double sum = r == c ? 1.0 : 0.0;
                for (int i = 0; i < d; i++)
                    sum += a[((size_t)j * d + i) * d + r] * a[((size_t)j * d + i) * d + c] / d;
                out[((size_t)j * d + r) * d + c] = c > r ? 1e300 : j == spoil && r == d / 2 && r == c ? -1.0 : sum;
            }
    struct both b = from_host(out, (size_t)k * d * d);
    mem_free(out);
    mem_free(a);
    return b;
}

static void triangles(int d)
{
    const int n = 9;
    int info[SIDES] = { -1, -1 };
    struct both l = definite(1, d, -1), x = normal((size_t)n * d);
    EACH("dpotrf", la->dpotrf(dev, d, l.at[s], d, &info[s], &err))
    expect("dpotrf accepts", info[0] == 0 && info[1] == 0);
    check("dpotrf", &l, 1e-12, 1);
    EACH("dtrsm", la->dtrsm(dev, n, d, l.at[s], d, x.at[s], d, &err))
    check("dtrsm", &x, 1e-11, 1);
    EACH("dtrtri", la->dtrtri(dev, d, l.at[s], d, &err))
    check("dtrtri", &l, 1e-11, 1);
    both_free(&x);
    both_free(&l);

    struct both bad = definite(1, d, 0);
    EACH("dpotrf", la->dpotrf(dev, d, bad.at[s], d, &info[s], &err))
    expect("dpotrf names the minor", info[0] == d / 2 + 1 && info[1] == info[0]);
    both_free(&bad);

    struct both many = definite(3, d, 1);
    int infos[SIDES][3];
    EACH("whitening_factors", la->whitening_factors(dev, 3, d, many.at[s], infos[s], &err))
    expect("whitening_factors tells which", memcmp(infos[0], infos[1], sizeof infos[0]) == 0 && infos[0][1] != 0);
    /* the second is undefined */
    for (int j = 0; j < 3; j += 2) {
        const size_t dd = (size_t)d * d;
        struct both one = { .n = dd, .at = { many.at[0] + j * dd, many.at[1] + j * dd } };
        check("whitening_factors", &one, 1e-11, 1);
    }
    both_free(&many);
}

static void rows(void)
{
    struct both data = normal(1000 * 33), centre = normal(5 * 33), out = result(1000 * 5);
    EACH("square_distances", la->square_distances(dev, 1000, 33, data.at[s], 5, centre.at[s], out.at[s], &err))
    check("square_distances", &out, 1e-13, 0);
    both_free(&out);
    both_free(&centre);
    both_free(&data);
}

static void neighbours(int64_t n, int d)
{
    double *host = host_normal((size_t)n * d);
    if (n > 100) /* duplicates: distance exactly zero */
        memcpy(host + 5 * d, host + (n - 1) * d, (size_t)d * sizeof *host);
    struct both x = from_host(host, (size_t)n * d), distance = result((size_t)n), again = result((size_t)n);
    struct both index = result((size_t)n); /* int64 has the size of a double */
    EACH("nearest_rows", la->nearest_rows(dev, n, d, x.at[s], (int64_t *)index.at[s], distance.at[s], &err))
    EACH("nearest_rows", la->nearest_rows(dev, n, d, x.at[s], NULL, again.at[s], &err))
    check("distances of neighbours", &distance, 1e-13, 0);
    check("distances without indices", &again, 1e-13, 0);
    double *ref = fetch(0, index.at[0], (size_t)n * sizeof *ref), *got = fetch(1, index.at[1], (size_t)n * sizeof *got);
    bool same = true;
    for (int64_t i = 0; i < n; i++) { /* of equal rows either may be the nearest: products of matrices round */
        int64_t a, b;
        memcpy(&a, &ref[i], sizeof a);
        memcpy(&b, &got[i], sizeof b);
        same = same && b >= 0 && b < n && b != i &&
               (a == b || memcmp(host + a * d, host + b * d, (size_t)d * sizeof *host) == 0);
    }
    expect("indices of neighbours", same);
    mem_free(got);
    mem_free(ref);
    both_free(&index);
    both_free(&again);
    both_free(&distance);
    both_free(&x);
    mem_free(host);
}

static void diagonal(int64_t n, int d, int k)
{
    size_t kd = (size_t)k * d;
    double *p = host_normal(kd), *l = host_normal(kd);
    for (size_t i = 0; i < kd; i++) {
        p[i] = 0.1 + p[i] * p[i];
        l[i] *= 0.2;
    }
    struct both x = normal((size_t)n * d), precision = from_host(p, kd), linear = from_host(l, kd), offset = normal(k);
    struct both loglik = result((size_t)n), only = result((size_t)n), count = result((size_t)k);
    struct both sum = result(kd), square = result(kd);
    EACH("gmm_diag_pass", la->gmm_diag_pass(dev, n, d, k, x.at[s], precision.at[s], linear.at[s], offset.at[s],
                                            loglik.at[s], count.at[s], sum.at[s], square.at[s], &err))
    EACH("gmm_diag_pass", la->gmm_diag_pass(dev, n, d, k, x.at[s], precision.at[s], linear.at[s], offset.at[s],
                                            only.at[s], NULL, NULL, NULL, &err))
    check("log-likelihoods, diagonal", &loglik, 1e-12, 1);
    check("log-likelihoods without sums", &only, 1e-12, 1);
    check("counts", &count, 1e-11, 1);
    check("sums", &sum, 1e-11, 1);
    check("sums of squares", &square, 1e-11, 1);
    struct both *all[] = { &x, &precision, &linear, &offset, &loglik, &only, &count, &sum, &square };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        both_free(all[i]);
    mem_free(l);
    mem_free(p);
}

static void full(int64_t n, int d, int k)
{
    size_t dd = (size_t)d * d;
    double *w = host_normal(k * dd), *c = host_normal((size_t)k * d);
    for (size_t i = 0; i < k * dd; i++) {
        size_t r = i % dd / (size_t)d, col = i % (size_t)d;
        w[i] = col > r ? 0.0 : col == r ? 1.0 + 0.1 * fabs(w[i]) : w[i] * 0.3 / d;
    }
    for (int i = 0; i < k * d; i++)
        c[i] *= i / d == 2 ? 2.0 : 0.1;
    struct both x = normal((size_t)n * d), whiten = from_host(w, k * dd), centre = from_host(c, (size_t)k * d);
    struct both offset = normal(k), loglik = result((size_t)n), resp = result((size_t)n * k), scatter = result(dd);
    EACH("gmm_full_logprob", la->gmm_full_logprob(dev, n, d, k, x.at[s], whiten.at[s], centre.at[s], offset.at[s],
                                                  loglik.at[s], resp.at[s], &err))
    check("log-likelihoods, full", &loglik, 1e-12, 1);
    check("responsibilities, full", &resp, 1e-10, 1e-2);
    double *positive = host_normal((size_t)n * 3);
    for (int64_t i = 0; i < 3 * n; i++)
        positive[i] = fabs(positive[i]);
    struct both weight = from_host(positive, (size_t)n * 3);
    EACH("weighted_scatter",
         la->weighted_scatter(dev, n, d, x.at[s], weight.at[s] + 2, 3, centre.at[s], scatter.at[s], &err))
    check_part("weighted_scatter", &scatter, (size_t)d, 1e-12, (double)n); /* above it anything may be */
    struct both *all[] = { &x, &whiten, &centre, &offset, &loglik, &resp, &scatter, &weight };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        both_free(all[i]);
    mem_free(positive);
    mem_free(c);
    mem_free(w);
}

int main(int argc, char **argv)
{
    struct err err;
    if (argc != 2) {
        fprintf(stderr, "usage: gpu_linalg DEVICE\n");
        return 2;
    }
    side[REF] = device_open("ref", 2, &err);
    side[1] = side[REF] != NULL ? device_open(argv[1], 1, &err) : NULL;
    if (side[1] == NULL)
        die("opening", &err);
    printf("%s\n", side[1]->description);
    products();
    triangles(1);
    triangles(40);
    triangles(130);
    rows();
    static const int pairs[][2] = { { 2, 1 }, { 100, 7 }, { 513, 20 }, { 1100, 33 }, { 4100, 2 } };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        neighbours(pairs[i][0], pairs[i][1]);
    static const int sizes[][3] = {
        { 1, 1, 1 }, { 50, 3, 2 }, { 1000, 70, 5 }, { 130, 1030, 7 }, { 8300, 1030, 2 },
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        diagonal(sizes[i][0], sizes[i][1], sizes[i][2]);
    static const int fulls[][3] = { { 3, 1, 1 }, { 300, 10, 4 }, { 257, 64, 3 }, { 520, 150, 5 }, { 56000, 150, 1 } };
    for (size_t i = 0; i < sizeof fulls / sizeof *fulls; i++)
        full(fulls[i][0], fulls[i][1], fulls[i][2]);
    printf("%d checks, %d failed\n", checks, failures);
    device_close(side[1]);
    device_close(side[REF]);
    return failures != 0;
}
