/* The processor's linear algebra against the naive one, over sizes around the
 * blocks, tiles and stripes of the fast one. */
#include "common.h"

static const struct device_linalg *const fast = &cpu_linalg;

static double *copy(const double *x, int64_t n)
{
    double *y = mem_alloc((size_t)n, sizeof *y, NULL);
    assert_non_null(y);
    memcpy(y, x, (size_t)n * sizeof *x);
    return y;
}

static void test_products(void **state)
{
    (void)state;
    int m = 17, n = 23, k = 31;
    double *a = random_matrix(m, k, 1), *b = random_matrix(k, n, 2);
    for (int ta = 0; ta < 2; ta++) {
        for (int tb = 0; tb < 2; tb++) {
            double *c = random_matrix(m, n, 3), *r = copy(c, m * n);
            int lda = ta ? m : k, ldb = tb ? k : n;
            assert_int_equal(fast->dgemm(&cpu_device, ta, tb, m, n, k, 0.7, a, lda, b, ldb, -0.5, c, n, NULL), 0);
            ref_linalg.dgemm(&ref_device, ta, tb, m, n, k, 0.7, a, lda, b, ldb, -0.5, r, n, NULL);
            check_all_near(c, r, m * n, 1e-13, 1.0);
            mem_free(r);
            mem_free(c);
        }
    }
    mem_free(b);
    mem_free(a);
}

static void test_triangles(void **state)
{
    (void)state;
    enum { D = 40, N = 9 };
    double *a = random_matrix(2 * D, D, 5), *c = mem_alloc(D * D, sizeof *c, NULL);
    ref_linalg.dgemm(&ref_device, TRANS_YES, TRANS_NO, D, D, 2 * D, 1.0, a, D, a, D, 0.0, c, D, NULL);
    for (int which = 0; which < 2; which++) {
        struct device *dev = both_devices[which];
        const struct device_linalg *la = dev->ops->linalg;
        double *l = copy(c, D * D), *x = random_matrix(N, D, 6), *x0 = copy(x, N * D), *w, *y;
        int info = -1;
        assert_int_equal(la->dpotrf(dev, D, l, D, &info, NULL), 0);
        assert_int_equal(info, 0);
        for (int i = 0; i < D; i++) {
            for (int j = 0; j <= i; j++) {
                double sum = 0.0;
                for (int s = 0; s <= j; s++)
                    sum += l[i * D + s] * l[j * D + s];
                check_near(sum, c[i * D + j], 1e-12, 1.0);
            }
            for (int j = i + 1; j < D; j++)
                assert_true(l[i * D + j] == c[i * D + j]);
        }
        w = copy(l, D * D);
        assert_int_equal(la->dtrsm(dev, N, D, l, D, x, D, NULL), 0);
        assert_int_equal(la->dtrtri(dev, D, w, D, NULL), 0);
        y = mem_alloc(N * D, sizeof *y, NULL);
        for (int r = 0; r < N; r++)
            for (int i = 0; i < D; i++)
                for (int j = 0; j <= i; j++)
                    y[r * D + i] += w[i * D + j] * x0[r * D + j];
        check_all_near(x, y, N * D, 1e-10, 1.0);
        double *two = random_matrix(2, D * D, 6); /* the second is not positive definite */
        int infos[2];
        memcpy(two, c, D * D * sizeof *c);
        memcpy(two + D * D, c, D * D * sizeof *c);
        two[D * D + 5 * D + 5] = -1.0;
        assert_int_equal(la->whitening_factors(dev, 2, D, two, infos, NULL), 0);
        assert_true(infos[0] == 0 && infos[1] == 6);
        check_all_near(two, w, D * D, 1e-12, 1.0);
        mem_free(two);
        mem_free(y);
        mem_free(w);
        mem_free(x0);
        mem_free(x);
        memcpy(l, c, D * D * sizeof *l);
        l[3 * D + 3] = -1.0;
        la->dpotrf(dev, D, l, D, &info, NULL);
        assert_int_equal(info, 4);
        mem_free(l);
    }
    mem_free(c);
    mem_free(a);
}

static void test_neighbours(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 2, 1 }, { 100, 7 }, { 512, 3 }, { 513, 20 }, { 1100, 33 } };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int n = sizes[s][0], d = sizes[s][1];
        double *x = random_matrix(n, d, 7), *fast_distance = random_matrix(n, 1, 8),
               *ref_distance = random_matrix(n, 1, 9);
        int64_t *fast_index = mem_alloc((size_t)n, sizeof *fast_index, NULL),
                *ref_index = mem_alloc((size_t)n, sizeof *ref_index, NULL);
        if (n > 100) /* duplicates: distance exactly zero */
            memcpy(x + 5 * d, x + (n - 1) * d, (size_t)d * sizeof *x);
        assert_int_equal(fast->nearest_rows(&cpu_device, n, d, x, fast_index, fast_distance, NULL), 0);
        ref_linalg.nearest_rows(&ref_device, n, d, x, ref_index, ref_distance, NULL);
        check_all_near(fast_distance, ref_distance, n, 1e-13, 0.0);
        assert_memory_equal(fast_index, ref_index, (size_t)n * sizeof *fast_index);
        if (n > 100)
            assert_true(fast_distance[5] == 0.0 && fast_index[5] == n - 1);
        mem_free(ref_index);
        mem_free(fast_index);
        mem_free(ref_distance);
        mem_free(fast_distance);
        mem_free(x);
    }
    double x[6] = { 0, 0, 3, 4, 1, 0 }, out[6];
    for (int which = 0; which < 2; which++) {
        struct device *dev = both_devices[which];
        dev->ops->linalg->square_distances(dev, 3, 2, x, 2, x + 2, out, NULL);
        assert_true(out[0] == 25.0 && out[1] == 1.0 && out[2] == 0.0 && out[3] == 20.0 && out[5] == 0.0);
    }
    double far[3] = { NAN, NAN, NAN }, none[3]; /* nothing is near what is no number */
    for (int which = 0; which < 2; which++) {
        int64_t index[3];
        struct device *dev = both_devices[which];
        assert_int_equal(dev->ops->linalg->nearest_rows(dev, 3, 1, far, index, none, NULL), 0);
        for (int i = 0; i < 3; i++)
            assert_true(isnan(none[i]) && index[i] >= 0 && index[i] < 3);
    }
}

/* Neighbours closer than products of rows can tell: of five triples, two rows are equal
 * and the third is 1e-9 away. */
static void test_close_neighbours(void **state)
{
    (void)state;
    enum { N = 700, D = 64, TRIPLES = 5 };
    double *x = random_matrix(N, D, 17), distance[N];
    int64_t index[N];
    for (int t = 0; t < TRIPLES; t++) {
        double *row = x + 130 * t * D;
        memcpy(row + 7 * D, row, D * sizeof *row);
        for (int c = 0; c < D; c++)
            row[3 * D + c] = row[c] + (c == 5 ? 1e-9 : 0.0);
    }
    for (int which = 0; which < 2; which++) {
        struct device *dev = both_devices[which];
        assert_int_equal(dev->ops->linalg->nearest_rows(dev, N, D, x, index, distance, NULL), 0);
        for (int t = 0; t < TRIPLES; t++) {
            const int64_t a = 130 * t;
            assert_true(distance[a] == 0.0 && distance[a + 7] == 0.0 && index[a] == a + 7 && index[a + 7] == a);
            check_near(distance[a + 3], 1e-18, 1e-6, 0.0);
        }
    }
    mem_free(x);
}

static void test_diag_pass(void **state)
{
    (void)state;
    static const int sizes[][3] = {
        { 1, 1, 1 }, { 50, 3, 2 }, { 1000, 70, 5 }, { 130, 1030, 7 }, { 130, 1030, 3 },
    };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t n = sizes[s][0];
        int d = sizes[s][1], k = sizes[s][2], kd = k * d;
        double *x = random_matrix(n, d, 10), *precision = random_matrix(k, d, 11), *linear = random_matrix(k, d, 12);
        double *offset = random_matrix(k, 1, 13), *out[2];
        for (int i = 0; i < kd; i++) {
            precision[i] = s % 2 ? 1.0 + 0.01 * fabs(precision[i]) : 0.1 + precision[i] * precision[i];
            linear[i] *= s % 2 ? 0.02 : 0.2; /* all components near, or one */
        }
        for (int which = 0; which < 2; which++) {
            struct device *dev = both_devices[which];
            double *o = out[which] = mem_alloc((size_t)(n + k + 2 * kd), sizeof *o, NULL);
            assert_int_equal(dev->ops->linalg->gmm_diag_pass(dev, n, d, k, x, precision, linear, offset, o, o + n,
                                                             o + n + k, o + n + k + kd, NULL),
                             0);
        }
        check_all_near(out[1], out[0], n + k + 2 * kd, 1e-11, 1.0);
        double *only = mem_alloc((size_t)n, sizeof *only, NULL);
        fast->gmm_diag_pass(&cpu_device, n, d, k, x, precision, linear, offset, only, NULL, NULL, NULL, NULL);
        assert_memory_equal(only, out[1], (size_t)n * sizeof *only);
        mem_free(only);
        mem_free(out[0]);
        mem_free(out[1]);
        mem_free(offset);
        mem_free(linear);
        mem_free(precision);
        mem_free(x);
    }
}

/* Both near components (all stripes needed) and far ones (given up early). */
static void test_full_pass(void **state)
{
    (void)state;
    static const int sizes[][3] = {
        { 3, 1, 1 }, { 300, 10, 4 }, { 257, 64, 3 }, { 100, 65, 3 }, { 520, 150, 5 }, { 2500, 300, 4 },
    };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int64_t n = sizes[s][0];
        int d = sizes[s][1], k = sizes[s][2], dd = d * d;
        double *x = random_matrix(n, d, 14), *whiten = random_matrix((int64_t)k * d, d, 15);
        double *centre = random_matrix(k, d, 16), *offset = random_matrix(k, 1, 17), *out[2];
        for (int i = 0; i < k * dd; i++) {
            int r = i % dd / d, c = i % d;
            whiten[i] = c > r ? 0.0 : c == r ? 1.0 + 0.1 * fabs(whiten[i]) : whiten[i] * 0.3 / d;
        }
        for (int i = 0; i < k * d; i++)
            centre[i] *= i / d == 2 ? 2.0 : 0.1;
        for (int which = 0; which < 2; which++) {
            struct device *dev = both_devices[which];
            double *o = out[which] = mem_alloc((size_t)(n + n * k), sizeof *o, NULL);
            assert_int_equal(
                dev->ops->linalg->gmm_full_logprob(dev, n, d, k, x, whiten, centre, offset, o, o + n, NULL), 0);
        }
        check_all_near(out[1], out[0], n, 1e-13, 0.0);
        for (int64_t i = n; i < n + n * k; i++)
            assert_true(fabs(out[1][i] - out[0][i]) < 1e-11);
        double *weight = out[0] + n, *scatter[2], total = 0.0;
        for (int which = 0; which < 2; which++) {
            struct device *dev = both_devices[which];
            scatter[which] = mem_alloc((size_t)dd, sizeof **scatter, NULL);
            dev->ops->linalg->weighted_scatter(dev, n, d, x, weight + (k - 1), k, centre, scatter[which], NULL);
        }
        for (int64_t i = 0; i < n; i++)
            total += weight[i * k + k - 1];
        check_all_near(scatter[1], scatter[0], dd, 1e-12, 10.0 * total);
        mem_free(scatter[0]);
        mem_free(scatter[1]);
        mem_free(out[0]);
        mem_free(out[1]);
        mem_free(offset);
        mem_free(centre);
        mem_free(whiten);
        mem_free(x);
    }
}

/* Responsibilities down to what may be dropped: rows and means on a line, so that differences of log densities take
 * every value up to twice LINALG_HOPELESS. More components than a screen has directions, and chunks with few rows. */
static void test_full_pass_to_its_limit(void **state)
{
    (void)state;
    static const int sizes[][3] = {
        { 300, 9, 5 }, { 600, 129, 3 }, { 200, 170, 20 }, { 150, 300, 4 }, { 1100, 260, 2 }
    };
    const double dropped = exp(-LINALG_HOPELESS);
    assert_true(dropped < 4.3e-18 && 24 * dropped < 1.1e-16);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int64_t n = sizes[s][0];
        const int d = sizes[s][1], k = sizes[s][2];
        double *x = random_matrix(n, d, 30), *whiten = mem_alloc((size_t)k * d, (size_t)d * sizeof *whiten, NULL);
        double *centre = mem_alloc((size_t)k, (size_t)d * sizeof *centre, NULL), *offset = random_matrix(k, 1, 31);
        double *loglik[2], *resp[2];
        for (int64_t i = 0; i < n * d; i++) {
            const double along = 18.0 * (double)(i / d) / (double)n;
            x[i] = i % d == d / 2 ? along : 0.3 * x[i];
        }
        for (int j = 0; j < k; j++) {
            for (int r = 0; r < d; r++) {
                whiten[((size_t)j * d + r) * d + r] = 1.0 + 0.02 * j;
                if (r > 0)
                    whiten[((size_t)j * d + r) * d + r - 1] = 0.1;
            }
            for (int r = 0; r < d; r++) /* W mean, the mean at 18 j / k along the line */
                for (int c = 0; c <= r; c++)
                    centre[j * d + r] += whiten[((size_t)j * d + r) * d + c] * (c == d / 2 ? 18.0 * j / k : 0.0);
        }
        for (int which = 0; which < 2; which++) {
            struct device *dev = both_devices[which];
            loglik[which] = mem_alloc((size_t)n, sizeof **loglik, NULL);
            resp[which] = mem_alloc((size_t)(n * k), sizeof **resp, NULL);
            assert_int_equal(dev->ops->linalg->gmm_full_logprob(dev, n, d, k, x, whiten, centre, offset, loglik[which],
                                                                resp[which], NULL),
                             0);
        }
        check_all_near(loglik[1], loglik[0], n, 1e-12, 1.0);
        int faint = 0;
        for (int64_t i = 0; i < n * k; i++) {
            const double want = resp[0][i];
            faint += want > dropped && want < 1e-15;
            if (!(fabs(resp[1][i] - want) <= 1e-10 * want + 1.0001 * dropped))
                fail_msg("%d x %d x %d: row %d, component %d: %g, not %g", (int)n, d, k, (int)(i / k), (int)(i % k),
                         resp[1][i], want);
        }
        assert_true(faint > 2);
        for (int which = 0; which < 2; which++) {
            mem_free(loglik[which]);
            mem_free(resp[which]);
        }
        mem_free(offset);
        mem_free(centre);
        mem_free(whiten);
        mem_free(x);
    }
}

/* beta 0 does not read what it replaces; rows may lie farther apart than they are long; what has a zero cannot be
 * inverted. */
static void test_products_of_parts(void **state)
{
    (void)state;
    enum { M = 5, N = 4, K = 6, WIDE = 9 };
    double *a = random_matrix(M, WIDE, 20), *b = random_matrix(K, WIDE, 21), c[M * WIDE], sum[M * N];
    for (int which = 0; which < 2; which++) {
        struct device *dev = both_devices[which];
        const struct device_linalg *la = dev->ops->linalg;
        for (int i = 0; i < M * WIDE; i++)
            c[i] = NAN;
        assert_int_equal(la->dgemm(dev, TRANS_NO, TRANS_NO, M, N, K, 2.0, a, WIDE, b, WIDE, 0.0, c, WIDE, NULL), 0);
        memset(sum, 0, sizeof sum);
        for (int i = 0; i < M * N; i++)
            for (int l = 0; l < K; l++)
                sum[i] += 2.0 * a[i / N * WIDE + l] * b[l * WIDE + i % N];
        for (int i = 0; i < M * WIDE; i++)
            if (i % WIDE < N)
                check_near(c[i], sum[i / WIDE * N + i % WIDE], 1e-13, 1.0);
            else
                assert_true(isnan(c[i]));
        double l[WIDE * WIDE] = { 0 }, x[2 * WIDE] = { 2, 7, 0, 0, 0, 0, 0, 0, 0, 4, 9, 0 };
        int info = 9;
        l[0] = 4.0;
        l[WIDE] = 2.0;
        l[WIDE + 1] = 5.0;
        assert_int_equal(la->dpotrf(dev, 2, l, WIDE, &info, NULL), 0); /* (2 0; 1 2) */
        assert_true(info == 0 && fabs(l[0] - 2) + fabs(l[WIDE] - 1) + fabs(l[WIDE + 1] - 2) < 1e-14);
        assert_int_equal(la->dtrsm(dev, 2, 2, l, WIDE, x, WIDE, NULL), 0);
        assert_true(fabs(x[0] - 1) + fabs(x[1] - 3) + fabs(x[WIDE] - 2) + fabs(x[WIDE + 1] - 3.5) < 1e-14);
        assert_int_equal(la->dtrtri(dev, 2, l, WIDE, NULL), 0);
        assert_true(fabs(l[0] - 0.5) + fabs(l[WIDE] + 0.25) + fabs(l[WIDE + 1] - 0.5) < 1e-14);
        l[0] = l[WIDE + 1] = 1.0;
        l[WIDE] = 2.0; /* not positive definite at order 2, and 0 is not positive */
        assert_int_equal(la->dpotrf(dev, 2, l, WIDE, &info, NULL), 0);
        assert_int_equal(info, 2);
        l[0] = 0.0;
        assert_int_equal(la->dpotrf(dev, 2, l, WIDE, &info, NULL), 0);
        assert_int_equal(info, 1);
    }
    double zero[4] = { 1, 0, 2, 0 };
    struct err err;
    assert_int_equal(fast->dtrtri(&cpu_device, 2, zero, 2, &err), -1);
    assert_string_equal(err.text, "a triangular matrix of order 2 has a zero on its diagonal");
    mem_free(b);
    mem_free(a);
}

/* Of two that are equally near the one in front, in its own tile and in others. */
static void test_ties(void **state)
{
    (void)state;
    enum { N = 1300 };
    double x[N], distance[N];
    int64_t index[N];
    for (int i = 0; i < N; i++) /* every number stands 100 apart, three times */
        x[i] = i * 7 % 433 * 100.0;
    for (int which = 0; which < 2; which++) {
        struct device *dev = both_devices[which];
        assert_int_equal(dev->ops->linalg->nearest_rows(dev, N, 1, x, index, distance, NULL), 0);
        for (int i = 0; i < N; i++) {
            int first = i % 433;
            first = first == i ? first + 433 : first;
            assert_true(distance[i] == 0.0 && index[i] == first);
        }
        double even[4] = { 0, 1, 2, 3 };
        assert_int_equal(dev->ops->linalg->nearest_rows(dev, 4, 1, even, index, distance, NULL), 0);
        assert_true(index[0] == 1 && index[1] == 0 && index[2] == 1 && index[3] == 2 && distance[2] == 1.0);
        assert_int_equal(dev->ops->linalg->nearest_rows(dev, 4, 1, even, NULL, distance, NULL), 0);
    }
}

/* Rows of no weight count nothing, wherever they lie; weights stand `stride` apart. */
static void test_scatter(void **state)
{
    (void)state;
    enum { N = 1200, D = 7, STRIDE = 3 };
    double *x = random_matrix(N, D, 22), *weight = random_matrix(N, STRIDE, 23), *centre = random_matrix(1, D, 24);
    double want[D * D] = { 0 }, have[D * D];
    for (int i = 0; i < N; i++) {
        double *w = weight + i * STRIDE;
        *w = i % 5 == 0 ? 0.0 : fabs(*w);
        w[1] = w[2] = NAN;
        if (i % 5 == 0)
            x[i * D + 2] = 1e200;
        for (int k = 0; i % 5 != 0 && k < D * D; k++)
            want[k] += *w * (x[i * D + k / D] - centre[k / D]) * (x[i * D + k % D] - centre[k % D]);
    }
    for (int which = 1; which < 2; which++) { /* ref multiplies by zero */
        struct device *dev = both_devices[which];
        assert_int_equal(dev->ops->linalg->weighted_scatter(dev, N, D, x, weight, STRIDE, centre, have, NULL), 0);
        for (int r = 0; r < D; r++)
            for (int c = 0; c <= r; c++)
                check_near(have[r * D + c], want[r * D + c], 1e-11, 100.0);
    }
    mem_free(centre);
    mem_free(weight);
    mem_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_triangles),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_close_neighbours),
        cmocka_unit_test(test_diag_pass),
        cmocka_unit_test(test_full_pass),
        cmocka_unit_test(test_full_pass_to_its_limit),
        cmocka_unit_test(test_products_of_parts),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_scatter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
