/* Mixtures against scikit-learn, iteration by iteration, and what degenerate
 * data gets. */
#include "common.h"

#include "stats/gmm.h"
#include "stats/kmeans.h"

struct golden_gmm {
    cJSON *root;
    int64_t n, d, k, iterations;
    double *x, *held, *means;
};

static void load(struct golden_gmm *g)
{
    g->root = golden("gmm.json");
    g->n = (int64_t)golden_number(g->root, "n");
    g->d = (int64_t)golden_number(g->root, "d");
    g->k = (int64_t)golden_number(g->root, "k");
    g->iterations = (int64_t)golden_number(g->root, "iterations");
    g->x = golden_array(g->root, "x", g->n * g->d);
    g->held = golden_array(g->root, "held", 20 * g->d);
    g->means = golden_array(g->root, "means", g->k * g->d);
}

static void unload(struct golden_gmm *g)
{
    mem_free(g->x);
    mem_free(g->held);
    mem_free(g->means);
    cJSON_Delete(g->root);
}

static void against_sklearn(struct device *dev, const struct golden_gmm *data, enum covariance covariance)
{
    const cJSON *want = cJSON_GetObjectItem(data->root, covariance == COVARIANCE_FULL ? "full" : "diag");
    int64_t n = data->n, d = data->d, k = data->k, cov = covariance == COVARIANCE_FULL ? d * d : d;
    double *loglik = golden_array(want, "loglik", data->iterations), *weight = golden_array(want, "weight", k);
    double *mean = golden_array(want, "mean", k * d), *covs = golden_array(want, "cov", k * cov);
    double *score = golden_array(want, "score", 20), *mine = mem_alloc(64, sizeof *mine, NULL);
    struct gmm g, again;
    struct err err;
    if (gmm_init_means(dev, data->x, n, d, data->means, k, covariance, 1e-6, &g, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(gmm_iterate(dev, data->x, n, d, &g, data->iterations, 1e-6, mine, &err), 0);
    /* scikit-learn does not centre, and loses digits to the column at 100. */
    check_all_near(mine, loglik, data->iterations, 1e-8, 1.0);
    check_all_near(g.weight, weight, k, 1e-7, 0.0);
    check_all_near(g.mean, mean, k * d, 1e-7, 1e-3);
    check_all_near(g.cov, covs, k * cov, 1e-6, 1e-3);
    /* The reported density, from given parameters: sklearn's own. */
    assert_int_equal(gmm_init(&again, k, d, covariance, weight, mean, covs, &err), 0);
    assert_int_equal(gmm_score(dev, &again, data->held, 20, d, mine, &err), 0);
    check_all_near(mine, score, 20, 1e-8, 1.0);
    assert_int_equal(gmm_parameters(k, d, covariance), (int64_t)golden_number(want, "parameters"));
    gmm_fini(&again);
    gmm_fini(&g);
    mem_free(mine);
    mem_free(score);
    mem_free(covs);
    mem_free(mean);
    mem_free(weight);
    mem_free(loglik);
}

static void test_sklearn(void **state)
{
    (void)state;
    struct golden_gmm data;
    load(&data);
    for (int which = 0; which < 2; which++) {
        against_sklearn(both_devices[which], &data, COVARIANCE_DIAG);
        against_sklearn(both_devices[which], &data, COVARIANCE_FULL);
    }
    unload(&data);
}

static const struct gmm_options usual = { .components = 3,
                                          .covariance = COVARIANCE_DIAG,
                                          .seed = 5,
                                          .starts = 4,
                                          .max_iterations = 100,
                                          .tolerance = 1e-3,
                                          .regularization = 1e-6 };

/* Three far clusters must be found; the same seed gives the same bits; more
 * starts are never worse. */
static void test_fit(void **state)
{
    (void)state;
    enum { N = 300, D = 4 };
    double *x = random_matrix(N, D, 20);
    for (int i = 0; i < N; i++)
        x[i * D + 1] += 50.0 * (i % 3);
    for (int full = 0; full < 2; full++) {
        struct gmm_options options = usual;
        struct gmm a, b;
        options.covariance = full ? COVARIANCE_FULL : COVARIANCE_DIAG;
        assert_int_equal(gmm_fit(&cpu_device, x, N, D, &options, &a, NULL), 0);
        assert_int_equal(gmm_fit(&cpu_device, x, N, D, &options, &b, NULL), 0);
        assert_true(a.converged && a.iterations < 20);
        for (int j = 0; j < 3; j++)
            check_near(a.weight[j], 1.0 / 3, 1e-9, 0.0);
        assert_memory_equal(a.mean, b.mean, 3 * D * sizeof *a.mean);
        assert_true(a.loglik == b.loglik);
        gmm_fini(&b);
        options.starts = 1;
        for (options.seed = 0; options.seed < 5; options.seed++) {
            assert_int_equal(gmm_fit(&ref_device, x, N, D, &options, &b, NULL), 0);
            assert_true(b.loglik <= a.loglik + 1e-9);
            gmm_fini(&b);
        }
        gmm_fini(&a);
    }
    mem_free(x);
}

/* Starts end in different optima, and the best of them wins: every start is that of an
 * implementation in NumPy. */
static void test_starts(void **state)
{
    (void)state;
    cJSON *root = golden("starts.json");
    const cJSON *fit;
    int64_t n = (int64_t)golden_number(root, "n"), d = (int64_t)golden_number(root, "d");
    int64_t starts = (int64_t)golden_number(root, "starts");
    double *x = golden_array(root, "x", n * d);
    cJSON_ArrayForEach(fit, cJSON_GetObjectItem(root, "fits"))
    {
        double *loglik = golden_array(fit, "loglik", starts), best = -INFINITY;
        double *iterations = golden_array(fit, "iterations", starts);
        int64_t winner = 0;
        struct gmm_options options = usual;
        options.components = (int64_t)golden_number(root, "k");
        options.seed = (uint64_t)golden_number(fit, "seed");
        for (options.starts = 1; options.starts <= starts; options.starts++) {
            struct gmm g;
            winner = loglik[options.starts - 1] > best ? options.starts - 1 : winner;
            best = fmax(best, loglik[options.starts - 1]);
            assert_int_equal(gmm_fit(&cpu_device, x, n, d, &options, &g, NULL), 0);
            check_near(g.loglik, best, 1e-9, 0.0);
            assert_true(g.converged && g.iterations == (int64_t)iterations[winner]);
            gmm_fini(&g);
        }
        mem_free(iterations);
        mem_free(loglik);
    }
    for (int64_t most = 1; most <= 3; most++) { /* no further than max_iterations, and not converged then */
        struct gmm_options options = usual;
        struct gmm g;
        options.components = 8;
        options.max_iterations = most;
        options.tolerance = 0.0;
        assert_int_equal(gmm_fit(&cpu_device, x, n, d, &options, &g, NULL), 0);
        assert_true(g.iterations == most && !g.converged);
        gmm_fini(&g);
    }
    mem_free(x);
    cJSON_Delete(root);
}

/* The rows that NumPy chooses from the same draws, of clusters far apart. */
static void test_plus_plus(void **state)
{
    (void)state;
    enum { K = 20, D = 2, SEEDS = 20 };
    cJSON *root = golden("starts.json");
    int64_t n = (int64_t)golden_number(root, "far_n");
    double *x = golden_array(root, "far", n * D), *chosen = golden_array(root, "chosen", SEEDS * K), centre[K * D];
    for (int which = 0; which < 2; which++) {
        struct device_rows rows;
        assert_int_equal(device_rows_init(&rows, both_devices[which], x, n, D, NULL, NULL), 0);
        for (int seed = 0; seed < SEEDS; seed++) {
            assert_int_equal(kmeans_plus_plus(&rows, K, rng_at((uint64_t)seed, RNG_GMM, 0, 0, 0), centre, NULL), 0);
            for (int j = 0; j < K; j++)
                assert_memory_equal(centre + j * D, x + (int64_t)chosen[seed * K + j] * D, D * sizeof *x);
        }
        device_rows_fini(&rows);
    }
    mem_free(chosen);
    mem_free(x);
    cJSON_Delete(root);
}

/* Ties go to the centre in front; a centre without rows stays where it was. */
static void test_lloyd(void **state)
{
    (void)state;
    const double x[6] = { 0, 2, 4, 10, 11, 3 };
    for (int which = 0; which < 2; which++) {
        struct device_rows rows;
        double centre[4] = { 2, 4, 100, 10.5 };
        int32_t label[6];
        int64_t count[4];
        assert_int_equal(device_rows_init(&rows, both_devices[which], x, 6, 1, NULL, NULL), 0);
        assert_int_equal(kmeans_assign(&rows, centre, 4, label, NULL), 0);
        assert_memory_equal(label, ((int32_t[]){ 0, 0, 1, 3, 3, 0 }), sizeof label);
        kmeans_update(&rows, label, 4, count, centre);
        assert_memory_equal(count, ((int64_t[]){ 3, 1, 0, 2 }), sizeof count);
        check_all_near(centre, ((double[]){ 5.0 / 3, 4, 100, 10.5 }), 4, 1e-15, 0.0);
        device_rows_fini(&rows);
    }
}

/* EM may never lower the likelihood; a fit stops within max_iterations. */
static void test_monotone(void **state)
{
    (void)state;
    enum { N = 400, D = 70, K = 4, ITERATIONS = 15 };
    double *x = random_matrix(N, D, 21), loglik[ITERATIONS];
    for (int full = 0; full < 2; full++) {
        struct gmm g;
        assert_int_equal(
            gmm_init_means(&cpu_device, x, N, D, x, K, full ? COVARIANCE_FULL : COVARIANCE_DIAG, 1e-6, &g, NULL), 0);
        assert_int_equal(gmm_iterate(&cpu_device, x, N, D, &g, ITERATIONS, 1e-6, loglik, NULL), 0);
        for (int i = 1; i < ITERATIONS; i++)
            assert_true(loglik[i] >= loglik[i - 1] - 1e-6 * fabs(loglik[i]));
        gmm_fini(&g);
    }
    mem_free(x);
}

static void refused(const double *x, int64_t n, int64_t d, const struct gmm_options *options, const char *says)
{
    struct gmm g;
    struct err err = { "" };
    for (int which = 0; which < 2; which++) {
        assert_int_equal(gmm_fit(both_devices[which], x, n, d, options, &g, &err), -1);
        if (strstr(err.text, says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, says);
        assert_null(g.mean);
    }
}

static void test_degenerate(void **state)
{
    (void)state;
    enum { N = 30, D = 3 };
    double *x = random_matrix(N, D, 22), scores[N];
    struct gmm_options options = usual;
    struct gmm g;
    options.components = 31;
    refused(x, N, D, &options, "at least as many rows; there are 30");
    options = usual;
    x[7] = NAN;
    refused(x, N, D, &options, "row 2, column 1");
    x[7] = INFINITY;
    refused(x, N, D, &options, "not finite");
    for (int i = 0; i < N; i++)
        x[i * D + 1] = 2.0; /* a constant column */
    for (int full = 0; full < 2; full++) {
        options.covariance = full ? COVARIANCE_FULL : COVARIANCE_DIAG;
        options.regularization = 1e-6;
        assert_int_equal(gmm_fit(&cpu_device, x, N, D, &options, &g, NULL), 0);
        assert_int_equal(gmm_score(&cpu_device, &g, x, N, D, scores, NULL), 0);
        for (int i = 0; i < N; i++)
            assert_true(isfinite(scores[i]));
        assert_int_equal(gmm_score(&cpu_device, &g, x, N, D - 1, scores, NULL), -1);
        gmm_fini(&g);
        options.regularization = 0.0;
        refused(x, N, D, &options, "singular");
    }
    for (int i = 0; i < N * D; i++)
        x[i] = 0.25; /* all rows the same */
    options = usual;
    assert_int_equal(gmm_fit(&cpu_device, x, N, D, &options, &g, NULL), 0);
    assert_true(isfinite(g.loglik));
    gmm_fini(&g);
    mem_free(x);
}

/* What is said before a row is looked at. */
static void test_sizes(void **state)
{
    (void)state;
    double x[4] = { 1, 2, 3, 4 }, scores[2] = { 7, 7 };
    struct gmm_options options = usual;
    struct gmm g;
    options.components = 0;
    refused(x, 4, 1, &options, "at least one component and one dimension (0, 1)");
    options.components = 1;
    refused(x, 4, 0, &options, "at least one component and one dimension (1, 0)");
    refused(x, (int64_t)INT32_MAX + 1, 1, &options, "2147483648 rows of 1 columns are too many");
    refused(x, 4, INT32_MAX / 2 + 1, &options, "4 rows of 1073741824 columns are too many");
    options.components = INT32_MAX / 2 + 1;
    refused(x, INT32_MAX, 1, &options, "2147483647 rows of 1 columns are too many");
    options.components = 4; /* as many as rows */
    for (int which = 0; which < 2; which++) {
        assert_int_equal(gmm_fit(both_devices[which], x, 4, 1, &options, &g, NULL), 0);
        check_near(g.mean[0] + g.mean[1] + g.mean[2] + g.mean[3], 10.0, 1e-6, 0.0);
        assert_int_equal(gmm_score(both_devices[which], &g, x, 0, 1, scores, NULL), 0);
        assert_true(scores[0] == 7.0);
        gmm_fini(&g);
    }
}

/* Bytes that a device holds, now and at most. */
static size_t held, most_held;

static void *counted_alloc(struct device *dev, size_t bytes, struct err *err)
{
    size_t *p = plain_alloc(dev, bytes + 64, err);
    assert_non_null(p);
    *p = bytes;
    held += bytes;
    most_held = held > most_held ? held : most_held;
    return p + 8;
}

static void counted_free(struct device *dev, void *p)
{
    held -= ((size_t *)p)[-8];
    plain_free(dev, (size_t *)p - 8);
}

/* What a fit is said to take is what it takes. */
static void test_memory(void **state)
{
    (void)state;
    static const struct {
        int64_t n, d, k;
    } sizes[] = { { 300, 4, 3 }, { 50, 40, 2 }, { 200, 3, 40 }, { 60, 2, 2 } };
    struct device_ops ops = ref_ops;
    ops.alloc = counted_alloc;
    ops.free = counted_free;
    struct device counting = { .ops = &ops, .threads = 1 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double *x = random_matrix(sizes[i].n, sizes[i].d, 23);
        for (int full = 0; full < 2; full++) {
            const enum covariance covariance = full ? COVARIANCE_FULL : COVARIANCE_DIAG;
            const int64_t k = sizes[i].k;
            const size_t said = gmm_memory(sizes[i].n, sizes[i].d, k, covariance);
            struct gmm_options options = usual;
            struct gmm g;
            options.covariance = covariance;
            options.components = k;
            most_held = 0;
            options.max_iterations = 2;
            assert_int_equal(gmm_fit(&counting, x, sizes[i].n, sizes[i].d, &options, &g, NULL), 0);
            assert_true(held == 0 && most_held == said);
            gmm_fini(&g);
        }
        mem_free(x);
    }
}

/* The estimate is its calibration's: seconds for one thing to do each, and how often it is done. */
static void test_seconds(void **state)
{
    (void)state;
    struct gmm_options o = usual;
    o.components = 10;
    o.starts = 1;
    const double distance = 2e-10 * 1000 * 10 * 64; /* of all rows to all centres; 10 rounds of Lloyd, both ways */
    check_near(gmm_fit_seconds(1000, 64, &o), (24 + 12) * distance, 1e-12, 0.0);
    o.max_iterations = 5;
    check_near(gmm_fit_seconds(1000, 64, &o), (24 + 5) * distance, 1e-12, 0.0);
    o.covariance = COVARIANCE_FULL;
    check_near(gmm_fit_seconds(1000, 64, &o),
               24 * distance + 5 * (2.5e-11 * 1000 * 10 * 64 * 64 + 6e-11 * 10 * 64 * 64 * 64), 1e-12, 0.0);
    const double one = gmm_fit_seconds(1000, 64, &o);
    o.starts = 7;
    check_near(gmm_fit_seconds(1000, 64, &o), 7 * one, 1e-12, 0.0);
}

static void test_bench(void **state)
{
    (void)state;
    struct golden_gmm data;
    struct gmm_bench_result result;
    struct err err;
    load(&data);
    assert_int_equal(gmm_bench(&cpu_device, data.x, data.n, data.d, 2, COVARIANCE_DIAG, 0, 0, NULL, &result, &err), -1);
    assert_non_null(strstr(err.text, "at least 1, not 0"));
    assert_int_equal(gmm_bench(&cpu_device, data.x, data.n, data.d, 2, COVARIANCE_DIAG, 1, 0, NULL, &result, &err), 0);
    for (int full = 0; full < 2; full++) {
        struct gmm g;
        double *loglik = mem_alloc(6, sizeof *loglik, NULL);
        enum covariance covariance = full ? COVARIANCE_FULL : COVARIANCE_DIAG;
        gmm_init_means(&cpu_device, data.x, data.n, data.d, data.means, data.k, covariance, 1e-6, &g, NULL);
        gmm_iterate(&cpu_device, data.x, data.n, data.d, &g, 6, 1e-6, loglik, NULL);
        assert_int_equal(
            gmm_bench(&cpu_device, data.x, data.n, data.d, data.k, covariance, 5, 0, data.means, &result, NULL), 0);
        check_near(result.loglik, loglik[5], 1e-12, 0.0);
        assert_true(result.iterations == 5 && result.seconds_per_iteration > 0.0);
        assert_int_equal(gmm_bench(&cpu_device, data.x, data.n, data.d, data.k, covariance, 2, 3, NULL, &result, NULL),
                         0);
        gmm_fini(&g);
        mem_free(loglik);
    }
    unload(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sklearn), cmocka_unit_test(test_starts),   cmocka_unit_test(test_plus_plus),
        cmocka_unit_test(test_fit),     cmocka_unit_test(test_monotone), cmocka_unit_test(test_degenerate),
        cmocka_unit_test(test_bench),   cmocka_unit_test(test_sizes),    cmocka_unit_test(test_memory),
        cmocka_unit_test(test_seconds), cmocka_unit_test(test_lloyd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
