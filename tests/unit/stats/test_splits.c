/* Several cuts of the members: which rows each of them tests, and what becomes of their p. */
#include "common.h"

#include "stats/splits.h"

/* A statistic that keeps what it was given; its p is in the first row to fit. */
enum { N = 13, FIT = 8, D = 2, MOST = 9 };
static struct {
    int runs, violates, fails;
    int64_t seed[MOST];
    double fit[MOST][FIT * D], members[MOST][(N - FIT) * D];
} seen;

static int keep(struct device *dev, const struct inference_data *data, const struct inference_options *options,
                struct inference_result *out, struct err *err)
{
    const int i = seen.runs++;
    (void)dev;
    *out = (struct inference_result){ .verdict = "inconclusive" };
    if (i == seen.fails)
        return err_set(err, "it fails");
    assert_true(data->n_fit == FIT && data->n_members == N - FIT && data->n_heldout == 3 && data->d == D);
    seen.seed[i] = options->seed;
    memcpy(seen.fit[i], data->fit, sizeof seen.fit[i]);
    memcpy(seen.members[i], data->members, sizeof seen.members[i]);
    out->p_value = 0.1 / (1 + i * 5 % 7);
    out->log10_p = log10(out->p_value);
    if (i == seen.violates) {
        out->verdict = "assumptions violated";
        strcpy(out->reason, "so it is");
        out->p_value = out->log10_p = NAN;
    }
    return 0;
}

static const struct statistic keeper = { .name = "keeper", .run = keep };

static struct splits *run(int64_t n, double alpha, int violates, int fails, int want)
{
    static struct splits out;
    struct inference_options o = { .seed = 40, .alpha = alpha };
    struct inference_result own;
    struct err err = { "" };
    double pool[N * D], heldout[3 * D] = { 0 };
    for (int k = 0; k < N * D; k++)
        pool[k] = k;
    struct inference_data data = { D, FIT, N - FIT, 3, pool, pool + FIT * D, heldout };
    memset(&seen, 0, sizeof seen);
    seen.violates = violates;
    seen.fails = fails;
    assert_int_equal(splits_run(NULL, &keeper, &data, &o, n, &own, &out, &err), want);
    assert_string_equal(err.text, want == 0 ? "" : "it fails");
    return &out;
}

static void test_cuts(void **state)
{
    (void)state;
    const struct splits *s = run(MOST, 0.05, -1, -1, 0);
    assert_true(seen.runs == MOST && s->n == MOST);
    for (int i = 0; i < MOST; i++) {
        uint32_t order[N];
        for (int k = 0; k < N; k++)
            order[k] = (uint32_t)k;
        if (i > 0)
            inference_split(40 + (uint64_t)i, N, FIT, order);
        assert_int_equal(seen.seed[i], 40 + i);
        assert_true(s->p[i] == 0.1 / (1 + i * 5 % 7));
        for (int k = 0; k < N; k++) {
            const double *row = k < FIT ? seen.fit[i] + k * D : seen.members[i] + (k - FIT) * D;
            assert_true(row[0] == order[k] * D && row[1] == order[k] * D + 1);
        }
    }
    /* 1 + 5 i mod 7 of 9 cuts: 1 6 4 2 7 5 3 1 6, the middle one is 4 */
    check_near(s->p_merged, 2 * 0.1 / 4, 1e-12, 0.0);
    check_near(s->log10_p_merged, log10(0.05), 1e-12, 0.0);
    assert_string_equal(run(MOST, 0.051, -1, -1, 0)->verdict, "stolen");
    assert_string_equal(run(MOST, 0.049, -1, -1, 0)->verdict, "inconclusive");
    assert_string_equal(s->reason, "");
    check_near(run(2, 0.05, -1, -1, 0)->p_merged, 0.1 + 0.1 / 6, 1e-12, 0.0);
    s = run(1, 0.1, -1, -1, 0);
    assert_true(s->n == 1 && seen.runs == 1 && s->p_merged == 0.1);
    assert_string_equal(s->verdict, "inconclusive"); /* not below alpha */
}

static void test_violated(void **state)
{
    (void)state;
    for (int first = 0; first < 3; first++) {
        const struct splits *s = run(5, 0.05, first, -1, 0);
        assert_true(seen.runs == first + 1 && s->n == first + 1 && isnan(s->p_merged) && isnan(s->log10_p_merged));
        assert_string_equal(s->verdict, "assumptions violated");
        assert_string_equal(s->reason, "so it is");
    }
    run(5, 0.05, -1, 0, -1);
    run(5, 0.05, -1, 3, -1);
}

/* Twice the median, at most 1, of probabilities that no double holds as well. */
static void test_merge(void **state)
{
    (void)state;
    static const struct {
        int n;
        double log10_p[6], want;
    } cases[] = {
        { 1, { -0.1 }, -0.1 },
        { 2, { -3, -1 }, -0.99567862621735737 }, /* 0.101 */
        { 3, { -1, -5, -2 }, -1.6989700043360188 },
        { 4, { -400, -401, -3, -9 }, -9 },
        { 4, { -400, -401, -399, -398 }, -398.95860731484177 },
        { 5, { -INFINITY, -7, -INFINITY, -INFINITY, -1 }, -INFINITY },
        { 4, { -INFINITY, -INFINITY, -2, -1 }, -2 },
        { 3, { -0.2, -0.1, 0 }, 0 },
        { 6, { -6, -5, -4, -3, -2, -1 }, -2.9586073148417749 },
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double p[6];
        memcpy(p, cases[k].log10_p, sizeof p);
        const double have = splits_merge(p, cases[k].n);
        if (isinf(cases[k].want))
            assert_true(have == -INFINITY);
        else
            check_near(have, cases[k].want, 1e-13, 1e-13);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_violated),
        cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
