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
    for (int which = 0; which < 2; which++) { /* what is far out: no step overshoots; log-odds of hundreds */
        double *far = mem_alloc((size_t)(n * d), sizeof *far, NULL), near[8], logit[1];
        for (int64_t i = 0; i < n * d; i++)
            far[i] = 1000.0 * x[i];
        assert_int_equal(logistic_fit(both_devices[which], x, label, n, d, 1e-3, near, NULL), 0);
        assert_int_equal(logistic_fit(both_devices[which], far, label, n, d, 1e3, have, NULL), 0);
        for (int64_t c = 0; c < d; c++)
            check_near(have[c] * 1000.0, near[c], 1e-4, 1e-3);
        logistic_score(near, x, 1, d, logit);
        double sum = near[d];
        for (int64_t c = 0; c < d; c++)
            sum += near[c] * x[c];
        check_near(logit[0], sum, 1e-14, 1.0);
        mem_free(far);
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

/* Scores of the learned statistic as NumPy and scikit-learn compute them from the same
 * draws; also where one tested image of each kind is far from all others. */
static void test_learned(void **state)
{
    (void)state;
    cJSON *root = golden("learned.json");
    struct inference_options o = usual();
    struct inference_result r;
    o.seed = (int64_t)golden_number(root, "seed");
    o.starts = (int64_t)golden_number(root, "starts");
    struct inference_data data = { .d = (int64_t)golden_number(root, "d"),
                                   .n_fit = (int64_t)golden_number(root, "n_fit"),
                                   .n_members = (int64_t)golden_number(root, "n_members"),
                                   .n_heldout = (int64_t)golden_number(root, "n_heldout") };
    double *fit = golden_array(root, "fit", data.n_fit * data.d);
    double *members = golden_array(root, "members", data.n_members * data.d);
    double *heldout = golden_array(root, "heldout", data.n_heldout * data.d);
    data.fit = fit;
    data.members = members;
    data.heldout = heldout;
    for (int which = 0; which < 2; which++) {
        assert_int_equal(statistic_find("learned")->run(both_devices[which], &data, &o, &r, NULL), 0);
        double *a = golden_array(root, "scores_members", r.n_members);
        double *b = golden_array(root, "scores_heldout", r.n_heldout);
        check_all_near(r.scores_members, a, r.n_members, 1e-6, 1e-2);
        check_all_near(r.scores_heldout, b, r.n_heldout, 1e-6, 1e-2);
        check_near(r.t, golden_number(root, "t"), 1e-6, 0.0);
        check_near(r.p_value, golden_number(root, "p"), 1e-5, 0.0);
        inference_result_fini(&r);
        mem_free(b);
        mem_free(a);
    }
    mem_free(heldout);
    mem_free(members);
    mem_free(fit);
    cJSON_Delete(root);
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
    for (int i = 0; statistics[i] != NULL; i++) { /* just enough: 10 to test, 20 to learn from */
        const bool gap = strcmp(statistics[i]->name, "gap") == 0;
        struct inference_result r;
        run(statistics[i]->name, fit, members, gap ? 10 : 20, heldout, gap ? 10 : 40, D, 0, &r);
        assert_string_equal(r.reason, "");
        assert_true(isfinite(r.p_value) && r.n_members == (gap ? 10 : 20) && r.n_heldout == (gap ? 10 : 20));
        inference_result_fini(&r);
    }
    struct inference_options o = usual();
    struct inference_data few = { D, 19, N, 2 * N, fit, members, heldout };
    struct inference_result r;
    o.alpha = 0.125;
    assert_int_equal(statistic_find("learned")->run(&cpu_device, &few, &o, &r, NULL), 0);
    assert_string_equal(r.reason,
                        "the score needs at least 20 members and 20 held-out rows to learn from; there are 19 "
                        "and 29"); /* 120 * 19 / 79 = 28.9 */
    assert_true(isnan(r.loglik_members) && isnan(r.loglik_heldout) && isnan(r.gap) && isnan(r.t) && isnan(r.df));
    assert_true(isnan(r.p_value) && isnan(r.log10_p) && isnan(r.cohen_d) && r.alpha == 0.125 && r.dim == D);
    assert_true(r.n_members == 0 && r.n_heldout == 0 && r.components == -1 && r.mixtures == 0);
    inference_result_fini(&r);
    memcpy(heldout + 4 * D, members, 3 * D * sizeof *fit);
    for (int i = 0; statistics[i] != NULL; i++)
        violated(statistics[i]->name, fit, members, N, heldout, 2 * N, D,
                 "3 of 120 held-out rows are also in the members");
    for (int i = 0; statistics[i] != NULL; i++)
        violated(statistics[i]->name, fit, fit, N, heldout + 10 * D, N, D, "60 of 60 rows of the members");
    for (int i = 0; statistics[i] != NULL; i++) /* a collapsed encoder */
        violated(statistics[i]->name, flat, flat, N, flat, 2 * N, D, "also in");
    mem_free(flat);
    mem_free(heldout);
    mem_free(members);
    mem_free(fit);
}

/* Repeated rows are no further observations; equal to rounding is equal, also where a
 * zero has another sign; what happens by accident is counted and allowed. */
static void test_repeated(void **state)
{
    (void)state;
    enum { N = 200, D = 6 };
    for (int i = 0; statistics[i] != NULL; i++) {
        const char *name = statistics[i]->name;
        double *fit = images(N, D, 70, 0.4), *members = images(N, D, 71, 0.4), *heldout = images(2 * N, D, 72, 0.4);
        struct inference_result r;
        memcpy(members + 7 * D, members, D * sizeof *members);
        memcpy(members + 9 * D, members, D * sizeof *members);
        run(name, fit, members, N, heldout, 2 * N, D, 0, &r); /* 2 of 200 */
        assert_string_equal(r.reason, "");
        assert_true(r.repeated[0] == 0 && r.repeated[1] == 2 && r.repeated[2] == 0);
        inference_result_fini(&r);
        memcpy(members + 8 * D, members, D * sizeof *members);
        violated(name, fit, members, N, heldout, 2 * N, D, "3 of 200 rows of the members repeat other rows");
        for (int c = 0; c < D; c++) /* to rounding */
            members[8 * D + c] *= 1.0 + 1e-7 * (c % 3 - 1);
        violated(name, fit, members, N, heldout, 2 * N, D, "3 of 200 rows of the members repeat other rows");
        members[8 * D] += 1e-3;
        for (int row = 0; row < 5; row++)
            memcpy(heldout + (10 + row) * D, heldout, D * sizeof *heldout);
        violated(name, fit, members, N, heldout, 2 * N, D, "5 of 400 held-out rows repeat other rows");
        for (int row = 0; row < 3; row++)
            memcpy(fit + (10 + row) * D, fit, D * sizeof *fit);
        for (int row = 0; row < 5; row++)
            heldout[(10 + row) * D] += 0.1 + row;
        violated(name, fit, members, N, heldout, 2 * N, D, "3 of 200 rows to fit repeat other rows");
        for (int k = 0; k < N * D; k++) { /* what ReLU leaves, with the other zero */
            fit[k] = fmax(fit[k], 0.0);
            members[k] = fit[k] == 0.0 ? -0.0 : fit[k];
        }
        violated(name, fit, members, N, heldout, 2 * N, D,
                 "200 of 200 rows of the members are also in the rows to fit");
        mem_free(heldout);
        mem_free(members);
        mem_free(fit);
    }
}

/* Rows to fit that are almost equal, or all rows: what is left is rounding. Rows far from
 * the origin that do differ are none of it. */
static void test_rounding(void **state)
{
    (void)state;
    enum { N = 100, D = 6 };
    for (int i = 0; statistics[i] != NULL; i++) {
        for (int close = 0; close < 3; close++) {
            const double apart = (const double[]){ 1e-12, 1e-9, 1e-3 }[close];
            double *x = random_matrix(4 * N, D, 80);
            for (int k = 0; k < 4 * N * D; k++)
                x[k] = 1.0 + k % D + (k / D >= 2 * N ? 1.5 : 1.0) * apart * x[k];
            struct inference_result r;
            run(statistics[i]->name, x, x + N * D, N, x + 2 * N * D, 2 * N, D, 0, &r);
            assert_string_equal(r.verdict, close < 2          ? "assumptions violated"
                                           : r.p_value < 0.05 ? "stolen"
                                                              : "inconclusive");
            assert_true((r.reason[0] == '\0') == (close == 2));
            inference_result_fini(&r);
            mem_free(x);
        }
    }
    double flat[N], spread[N];
    struct inference_options o = usual();
    for (int digits = 0; digits < 2; digits++) { /* the scores alone */
        double *x = random_matrix(3 * N, D, 81);
        struct inference_data data = { D, N, N, N, x, x + N * D, x + 2 * N * D };
        struct inference_result r = { 0 };
        double *a = mem_alloc(N, sizeof *a, NULL), *b = mem_alloc(N, sizeof *b, NULL);
        for (int k = 0; k < N; k++) {
            flat[k] = -40.0 + (digits ? 1e-6 : 1e-12) * (x[k] + 1.0);
            spread[k] = -40.0 + (digits ? 1e-6 : 1e-12) * x[N + k];
        }
        memcpy(a, flat, sizeof flat);
        memcpy(b, spread, sizeof spread);
        assert_int_equal(inference_decide(&data, &o, a, N, b, N, &r, NULL), 0);
        assert_true(r.p_value < 1e-4);
        assert_string_equal(r.verdict, digits ? "stolen" : "assumptions violated");
        assert_true(digits || strstr(r.reason, "the scores differ by rounding only") != NULL);
        inference_result_fini(&r);
        mem_free(x);
    }
}

/* Stolen is a p below alpha, not at it; a spread is rounding up to 1e-10 of the scores' size. */
static void test_limits(void **state)
{
    (void)state;
    enum { N = 40, D = 6 };
    double *x = random_matrix(3 * N, D, 82);
    struct inference_data data = { D, N, N, N, x, x + N * D, x + 2 * N * D };
    struct inference_options o = usual();
    struct inference_result r = { 0 };
    for (int side = 0; side < 2; side++) {
        double *a = mem_alloc(N, sizeof *a, NULL), *b = mem_alloc(N, sizeof *b, NULL);
        for (int k = 0; k < N; k++) {
            a[k] = x[k] + 0.4;
            b[k] = x[N + k];
        }
        struct t_test t;
        t_test_welch(a, N, b, N, &t, NULL);
        o.alpha = side ? t.p : nextafter(t.p, 1.0);
        assert_int_equal(inference_decide(&data, &o, a, N, b, N, &r, NULL), 0);
        assert_string_equal(r.verdict, side ? "inconclusive" : "stolen");
        assert_true(r.t == t.t && r.df == t.df && r.gap == t.gap && r.cohen_d == t.cohen_d && r.log10_p == t.log10_p);
        assert_true(r.loglik_members == t.mean_a && r.loglik_heldout == t.mean_b && r.alpha == o.alpha);
        inference_result_fini(&r);
    }
    for (int side = 0; side < 2; side++) { /* means 30 and -20, six columns: 56e-10 */
        double *a = mem_alloc(N, sizeof *a, NULL), *b = mem_alloc(N, sizeof *b, NULL);
        const double apart =
            (side ? 1.02 : 0.98) * 56e-10 * sqrt((2.0 * N - 2) / (2.0 * N)); /* the sample's deviation */
        for (int k = 0; k < N; k++) {
            a[k] = 30.0 + (k % 2 ? apart : -apart);
            b[k] = -20.0 + (k % 2 ? apart : -apart);
        }
        assert_int_equal(inference_decide(&data, &o, a, N, b, N, &r, NULL), 0);
        assert_string_equal(r.verdict, side ? "stolen" : "assumptions violated");
        inference_result_fini(&r);
    }
    double *a = mem_alloc(N, sizeof *a, NULL), *b = mem_alloc(N, sizeof *b, NULL); /* no test at all */
    assert_int_equal(inference_decide(&data, &o, a, N, b, N, &r, NULL), 0);
    assert_string_equal(r.verdict, "assumptions violated");
    assert_non_null(strstr(r.reason, "both samples are constant"));
    assert_true(isnan(r.t) && isnan(r.p_value) && isnan(r.loglik_members) && isnan(r.cohen_d) && isnan(r.log10_p));
    inference_result_fini(&r);
    mem_free(x);
}

/* Estimates are those of the mixtures: the gap fits one, the learned statistic 1 to 5
 * components on half of the members, of what held-out rows it learns from, and of both. */
static void test_costs(void **state)
{
    (void)state;
    struct inference_options o = usual();
    struct inference_data data = { .d = 20, .n_fit = 200, .n_members = 100, .n_heldout = 90 };
    struct gmm_options one;
    const struct statistic *gap = statistic_find("gap"), *learned = statistic_find("learned");
    double want = 0.0;
    for (int full = 0; full < 2; full++) {
        strcpy(o.covariance, full ? "full" : "diag");
        o.components = 9;
        o.starts = 4;
        o.max_iterations = 6;
        inference_gmm_options(&o, 9, &one);
        assert_true(one.components == 9 && one.starts == 4 && one.max_iterations == 6 && one.tolerance == o.tolerance);
        assert_true(one.regularization == o.regularization);
        assert_int_equal(one.covariance, full ? COVARIANCE_FULL : COVARIANCE_DIAG);
        check_near(gap->seconds(&data, &o), gmm_fit_seconds(200, 20, &one), 1e-12, 0.0);
        want = 0.0;
        for (int k = 1; k <= 5; k++) { /* 60 of 90 held-out rows to learn from */
            one.components = k;
            want += gmm_fit_seconds(100, 20, &one) + gmm_fit_seconds(30, 20, &one) + gmm_fit_seconds(130, 20, &one);
        }
        check_near(learned->seconds(&data, &o), want, 1e-12, 0.0);
        for (int largest = 0; largest < 3; largest++) {
            struct inference_data d = { .d = 20, .n_fit = 50, .n_members = 50, .n_heldout = 50 };
            *(int64_t *[]){ &d.n_fit, &d.n_members, &d.n_heldout }[largest] = 400;
            assert_int_equal(gap->memory(&d, &o), gmm_memory(400, 20, 9, one.covariance));
            assert_int_equal(learned->memory(&d, &o), gmm_memory(400, 20, 5, one.covariance));
        }
    }
    data.n_fit = data.n_members = 0; /* not known yet */
    assert_true(isfinite(learned->seconds(&data, &o)));
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
        for (int set = 0; set < 4; set++) {
            empty = data;
            *(int64_t *[]){ &empty.n_fit, &empty.n_members, &empty.n_heldout, &empty.d }[set] = 0;
            assert_int_equal(statistics[i]->run(&cpu_device, &empty, &o, &r, &err), -1);
            assert_non_null(strstr(err.text, "dataset inference needs rows"));
            empty = data;
            *(int64_t *[]){ &empty.n_fit, &empty.n_members, &empty.n_heldout, &empty.d }[set] = (int64_t)INT32_MAX + 1;
            if (set < 3) {
                assert_int_equal(statistics[i]->run(&cpu_device, &empty, &o, &r, &err), -1);
                assert_non_null(strstr(err.text, "at most 2147483647 rows in a set"));
            }
        }
        static const char *const sets[] = { "the set to fit", "the members' set", "the held-out set" };
        for (int set = 0; set < 3; set++) {
            x[set * N * D + 3] = INFINITY;
            assert_int_equal(statistics[i]->run(&cpu_device, &data, &o, &r, &err), -1);
            assert_non_null(strstr(err.text, sets[set]));
            x[set * N * D + 3] = 0.5;
        }
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
        cmocka_unit_test(test_convergence), cmocka_unit_test(test_repeated), cmocka_unit_test(test_learned),
        cmocka_unit_test(test_rounding),    cmocka_unit_test(test_limits),   cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
