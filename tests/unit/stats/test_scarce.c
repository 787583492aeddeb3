/* Statistics for which there is not enough memory, or whose device fails, have no result, wherever it happens. */
#include "common.h"

#include "stats/exchangeable.h"
#include "stats/image_shift.h"
#include "stats/similarity.h"
#include "stats/splits.h"
#include "stats/tests.h"
#include "unit/scarce_device.h"

enum { N = 60, D = 8, ALL = 4 * N };
static double *x;

static int fit(void *arg, struct err *err)
{
    struct gmm_options o = { 3, *(enum covariance *)arg, 1, 2, 5, 1e-3, 1e-6 };
    struct gmm g, iterated = { 0 };
    struct gmm_bench_result bench;
    double scores[N], loglik[3];
    scarce_begin();
    int rc = gmm_fit(&ref_device, x, N, D, &o, &g, err);
    assert_true(rc == 0 || g.mean == NULL);
    rc = rc != 0 ? rc : gmm_score(&ref_device, &g, x, N, D, scores, err);
    rc = rc != 0 ? rc : gmm_init_means(&ref_device, x, N, D, x, 3, o.covariance, 1e-6, &iterated, err);
    rc = rc != 0 ? rc : gmm_iterate(&ref_device, x, N, D, &iterated, 3, 1e-6, loglik, err);
    rc = rc != 0 ? rc : gmm_bench(&ref_device, x, N, D, 3, o.covariance, 2, 1, NULL, &bench, err);
    scarce_end();
    gmm_fini(&g);
    gmm_fini(&iterated);
    return rc;
}

static int infer(void *arg, struct err *err)
{
    const struct inference_data data = { D, N, N, 2 * N, x, x + N * D, x + 2 * N * D };
    struct inference_options o;
    struct inference_result r;
    struct splits splits;
    assert_int_equal(options_defaults(inference_options_table, &o, err), 0);
    o.components = 2;
    o.starts = 1;
    o.max_iterations = 3;
    scarce_begin();
    const int rc = splits_run(&ref_device, statistic_find(arg), &data, &o, 2, &r, &splits, err);
    scarce_end();
    if (rc == 0) /* Welch's test alone says what it lacks as a reason */
        inference_result_fini(&r);
    else
        assert_true(r.scores_members == NULL && r.scores_heldout == NULL);
    return rc;
}

static int untested(void *arg, struct err *err)
{
    const struct inference_data data = { D, 10, N, 2 * N, x, x + N * D, x + 2 * N * D };
    struct inference_options o;
    struct inference_result r;
    (void)arg;
    assert_int_equal(options_defaults(inference_options_table, &o, err), 0);
    scarce_begin();
    const int rc = statistic_find("learned")->run(&ref_device, &data, &o, &r, err);
    scarce_end();
    if (rc == 0)
        inference_result_fini(&r);
    return rc;
}

static int compare(void *arg, struct err *err)
{
    struct similarity s;
    struct information mi;
    double *y = NULL, *wide = NULL;
    int64_t d;
    (void)arg;
    scarce_begin();
    int rc = similarity_compute(x, x + N * D, N, D, &s, err);
    rc = rc != 0 ? rc : mutual_information(&ref_device, x, D, x + N * D, D, N, &mi, err);
    rc = rc != 0 ? rc : mutual_information(&ref_device, x, D / 2, x + N * D, D, N, &mi, err);
    for (int i = 0; rc == 0 && obfuscations[i] != NULL; i++) {
        y = NULL;
        rc = obfuscations[i]->run(x, N, D, 3, &y, &d, err);
        wide = rc == 0 ? rows_widen(x, N, D, 2 * D, err) : NULL;
        rc = rc == 0 && wide == NULL ? -1 : rc;
        mem_free(wide);
        mem_free(y);
    }
    scarce_end();
    return rc;
}

static int tell_apart(void *arg, struct err *err)
{
    static uint8_t pixels[2 * N * 3 * 4];
    struct exchangeable e;
    struct image_shift shift;
    double p, *parts[] = { x, x + N * D };
    const int64_t n[] = { N, N };
    (void)arg;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i * 7 + i / 11);
    const struct pixels a = { .bytes = pixels, .n = N, .c = 3, .h = 2, .w = 2 },
                        b = { .bytes = pixels + N * 12, .n = N, .c = 3, .h = 2, .w = 2 };
    scarce_begin();
    int rc = exchangeable_test(x, N, x + N * D, N, D, 1, &e, err);
    rc = rc != 0 ? rc : image_shift_test(&ref_device, &a, &b, 1, &shift, err);
    rc = rc != 0 ? rc : permutation_test(x, 5, x + 9, 5, 1, 3, &p, err);
    rc = rc != 0 ? rc : rows_prepare("standardize", parts, n, 2, D, err);
    scarce_end();
    return rc;
}

static void test_all(void **state)
{
    (void)state;
    scarce_thinned = 300;
    enum covariance diag = COVARIANCE_DIAG, full = COVARIANCE_FULL;
    char gap[] = "gap", learned[] = "learned";
    scarce_check("diagonal mixtures", fit, &diag);
    scarce_check("full mixtures", fit, &full);
    scarce_check("the gap", infer, gap);
    scarce_check("the learned score", infer, learned);
    scarce_check("too few rows", untested, NULL);
    scarce_check("similarities", compare, NULL);
    scarce_check("telling apart", tell_apart, NULL);
}

static int set_up(void **state)
{
    (void)state;
    x = random_matrix(ALL, D, 95);
    scarce_device(&ref_device);
    return x == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    scarce_device_mended(&ref_device);
    mem_free(x);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
