/* Dataset inference on simulated representations: it fires where members are
 * remembered, keeps its level where they are not, and says so where it cannot
 * judge. */
#include "common.h"

#include <stdlib.h>

#include "stats/inference.h"
#include "stats/logistic.h"
#include "stats/tests.h"

static struct inference_options usual(void)
{
    struct inference_options o;
    struct err err;
    if (options_defaults(inference_options_table, &o, &err) != 0)
        fail_msg("%s", err.text);
    o.seed = 0;
    o.components = 3;
    o.starts = 1;
    return o;
}

/* n unit vectors around three centres; `spread` widens the cloud. */
static double *images(int64_t n, int64_t d, uint32_t which, double spread)
{
    double *x = random_matrix(n, d, which), *centre = random_matrix(3, d, 99);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] = spread * x[i * d + c] + centre[i % 3 * d + c];
    rows_normalize(x, n, d);
    mem_free(centre);
    return x;
}

static void run(const char *statistic, const double *fit, const double *members, int64_t n, const double *heldout,
                int64_t n_heldout, int64_t d, int64_t seed, struct inference_result *r)
{
    struct inference_options o = usual();
    struct inference_data data = { d, n, n, n_heldout, fit, members, heldout };
    struct err err;
    o.seed = seed;
    if (statistic_find(statistic)->run(&cpu_device, &data, &o, r, &err) != 0)
        fail_msg("%s: %s", statistic, err.text);
}

static void test_logistic(void **state)
{
    (void)state;
    cJSON *root = golden("logistic.json");
    const cJSON *fit;
    int64_t n = (int64_t)golden_number(root, "n"), d = (int64_t)golden_number(root, "d");
    double *x = golden_array(root, "x", n * d), *y = golden_array(root, "label", n), have[8];
    uint8_t *label = mem_alloc((size_t)n, 1, NULL);
    for (int64_t i = 0; i < n; i++)
        label[i] = y[i] != 0.0;
    cJSON_ArrayForEach(fit, cJSON_GetObjectItem(root, "fits"))
    {
        double *want = golden_array(fit, "coefficients", d + 1);
        for (int which = 0; which < 2; which++) {
            assert_int_equal(logistic_fit(both_devices[which], x, label, n, d, golden_number(fit, "ridge"), have, NULL),
                             0);
            check_all_near(have, want, d + 1, 1e-6, 0.0);
        }
        mem_free(want);
    }
    for (int64_t i = 0; i < n; i++) /* separable: the penalty alone bounds the coefficients */
        label[i] = x[i * d] > 0.0;
    assert_int_equal(logistic_fit(&cpu_device, x, label, n, d, 1e-3, have, NULL), 0);
    assert_true(isfinite(have[0]) && have[0] > 1.0);
    memset(label, 1, (size_t)n);
    assert_int_equal(logistic_fit(&cpu_device, x, label, n, d, 1.0, have, NULL), -1);
    mem_free(label);
    mem_free(y);
    mem_free(x);
    cJSON_Delete(root);
}

static void test_split(void **state)
{
    (void)state;
    uint32_t a[100], b[100];
    bool seen[100] = { false };
    inference_split(7, 100, 30, a);
    inference_split(7, 100, 30, b);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < 100; i++) {
        assert_false(seen[a[i]]);
        seen[a[i]] = true;
        assert_true(i == 0 || i == 30 || a[i] > a[i - 1]);
    }
    inference_split(8, 100, 30, b);
    assert_true(memcmp(a, b, sizeof a) != 0);
}

/* Members closer to the centres: both fire. Members farther out (what a
 * contrastive encoder does): only the learned statistic fires. */
static void test_directions(void **state)
{
    (void)state;
    enum { N = 300, D = 16 };
    for (int wide = 0; wide < 2; wide++) {
        double spread = wide ? 0.45 : 0.35;
        double *fit = images(N, D, 40, spread), *members = images(N, D, 41, spread);
        double *heldout = images(2 * N, D, 42, 0.4);
        struct inference_result gap, learned;
        run("gap", fit, members, N, heldout, 2 * N, D, 0, &gap);
        run("learned", fit, members, N, heldout, 2 * N, D, 0, &learned);
        assert_string_equal(gap.verdict, wide ? "inconclusive" : "stolen");
        assert_true(wide ? gap.t < -4.0 && gap.p_value > 0.999 : gap.t > 4.0 && gap.p_value < 1e-4);
        assert_string_equal(learned.verdict, "stolen");
        assert_true(learned.t > 4.0 && learned.gap > 0.0 && learned.cohen_d > 0.3);
        assert_true(gap.n_members == N && gap.n_heldout == 2 * N && gap.dim == D);
        assert_true(learned.n_members == N && learned.n_heldout == N);
        struct t_test t;
        t_test_welch(learned.scores_members, N, learned.scores_heldout, N, &t, NULL);
        assert_true(t.t == learned.t && t.mean_a == learned.loglik_members);
        inference_result_fini(&learned);
        inference_result_fini(&gap);
        mem_free(heldout);
        mem_free(members);
        mem_free(fit);
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* No difference: labels are permuted over many seeds; t has mean 0 and standard
 * deviation 1, p is uniform. Splits of one pool are not quite independent, so the
 * pool is drawn anew each time. The limits are four standard errors; the seeds
 * are fixed, so this cannot flicker. */
static void null_check(const char *statistic)
{
    enum { N = 120, D = 8, RUNS = 150 };
    double sum = 0.0, square = 0.0, p[RUNS], apart = 0.0;
    for (int s = 0; s < RUNS; s++) {
        double *pool = images(4 * N, D, 1000 + (uint32_t)s, 0.4);
        uint32_t order[4 * N];
        inference_split((uint64_t)s, 4 * N, 2 * N, order);
        double *x = rows_gather(pool, order, 4 * N, D, NULL);
        struct inference_result r;
        run(statistic, x, x + N * D, N, x + 2 * N * D, 2 * N, D, s, &r);
        sum += r.t;
        square += r.t * r.t;
        p[s] = r.p_value;
        inference_result_fini(&r);
        mem_free(x);
        mem_free(pool);
    }
    double mean = sum / RUNS, sd = sqrt(square / RUNS - mean * mean);
    qsort(p, RUNS, sizeof *p, ascending);
    for (int s = 0; s < RUNS; s++)
        apart = fmax(apart, fmax(fabs(p[s] - (double)s / RUNS), fabs(p[s] - (s + 1.0) / RUNS)));
    print_message("%s: t has mean %.3f, standard deviation %.3f; Kolmogorov-Smirnov distance of p %.3f\n", statistic,
                  mean, sd, apart);
    assert_true(fabs(mean) < 4.0 / sqrt(RUNS));
    assert_true(fabs(sd - 1.0) < 4.0 / sqrt(2.0 * RUNS));
    assert_true(apart < 1.63 / sqrt(RUNS)); /* 1% level */
}

static void test_null(void **state)
{
    (void)state;
    null_check("gap");
    null_check("learned");
}

static void violated(const char *statistic, const double *fit, const double *members, int64_t n, const double *heldout,
                     int64_t n_heldout, int64_t d, const char *says)
{
    struct inference_result r;
    run(statistic, fit, members, n, heldout, n_heldout, d, 0, &r);
    assert_string_equal(r.verdict, "assumptions violated");
    if (strstr(r.reason, says) == NULL)
        fail_msg("%s: \"%s\" does not say \"%s\"", statistic, r.reason, says);
    assert_non_null(r.scores_members);
    inference_result_fini(&r);
}

static void test_violated(void **state)
{
    (void)state;
    enum { N = 60, D = 5 };
    double *fit = images(N, D, 50, 0.4), *members = images(N, D, 51, 0.4), *heldout = images(2 * N, D, 52, 0.4);
    double *flat = mem_alloc(2 * N * D, sizeof *flat, NULL);
    violated("gap", fit, members, 9, heldout, 2 * N, D, "at least 10");
    violated("gap", fit, members, N, heldout, 9, D, "at least 10");
    violated("learned", fit, members, 19, heldout, 2 * N, D, "19");
    violated("learned", fit, members, N, heldout, 30, D, "15");
    memcpy(heldout + 4 * D, members, 3 * D * sizeof *fit);
    for (int i = 0; statistics[i] != NULL; i++)
        violated(statistics[i]->name, fit, members, N, heldout, 2 * N, D, "3 of the 120 held-out rows");
    for (int i = 0; statistics[i] != NULL; i++)
        violated(statistics[i]->name, fit, fit, N, heldout + 10 * D, N, D, "60 of the 60 members");
    for (int i = 0; statistics[i] != NULL; i++) /* a collapsed encoder */
        violated(statistics[i]->name, flat, flat, N, flat, 2 * N, D, "also in");
    mem_free(flat);
    mem_free(heldout);
    mem_free(members);
    mem_free(fit);
}

/* EM that may not go on says so, the learned statistic for each of its 15 mixtures. */
static void test_convergence(void **state)
{
    (void)state;
    enum { N = 200, D = 6 };
    double *x = images(4 * N, D, 61, 0.4);
    struct inference_data data = { D, N, N, 2 * N, x, x + N * D, x + 2 * N * D };
    for (int i = 0; statistics[i] != NULL; i++) {
        bool gap = strcmp(statistics[i]->name, "gap") == 0;
        for (int enough = 0; enough < 2; enough++) {
            struct inference_options o = usual();
            struct inference_result r;
            o.max_iterations = enough ? 10000 : 1;
            assert_int_equal(statistics[i]->run(&cpu_device, &data, &o, &r, NULL), 0);
            assert_int_equal(r.mixtures, gap ? 1 : 15);
            assert_int_equal(r.unconverged, enough ? 0 : r.mixtures);
            assert_int_equal(inference_converged(&r), enough);
            assert_int_equal(r.components, gap ? 3 : -1);
            inference_result_fini(&r);
        }
        struct inference_options o = usual();
        struct inference_data few = data;
        struct inference_result r;
        few.n_fit = 10; /* the learned statistic fits nothing on so few */
        assert_int_equal(statistics[i]->run(&cpu_device, &few, &o, &r, NULL), 0);
        assert_true(gap ? inference_converged(&r) >= 0 : inference_converged(&r) == -1);
        inference_result_fini(&r);
    }
    mem_free(x);
}

static void test_bad(void **state)
{
    (void)state;
    enum { N = 40, D = 5 };
    double *x = random_matrix(4 * N, D, 60);
    struct inference_options o = usual();
    struct inference_result r;
    struct err err;
    struct inference_data data = { D, N, N, 2 * N, x, x + N * D, x + 2 * N * D };
    for (int i = 0; statistics[i] != NULL; i++) {
        struct inference_data empty = data;
        empty.n_heldout = 0;
        assert_int_equal(statistics[i]->run(&cpu_device, &empty, &o, &r, &err), -1);
        assert_non_null(strstr(err.text, "there are 40, 40 and 0"));
        x[2 * N * D + 11] = NAN;
        assert_int_equal(statistics[i]->run(&cpu_device, &data, &o, &r, &err), -1);
        assert_non_null(strstr(err.text, "held-out set has a value that is not finite (nan) in row 2, column 1"));
        x[2 * N * D + 11] = 0.0;
    }
    o.components = N + 1;
    assert_int_equal(statistic_find("gap")->run(&cpu_device, &data, &o, &r, &err), -1);
    assert_non_null(strstr(err.text, "41 components"));
    assert_null(statistic_find("gapp"));
    mem_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logistic),    cmocka_unit_test(test_split),    cmocka_unit_test(test_directions),
        cmocka_unit_test(test_null),        cmocka_unit_test(test_violated), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_convergence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
