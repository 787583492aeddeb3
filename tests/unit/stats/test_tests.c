/* t-tests against SciPy and mpmath, to probabilities that no double holds; the
 * permutation test against enumeration; rows that are told apart, against SciPy. */
#include "common.h"

#include "stats/effect.h"
#include "stats/exchangeable.h"
#include "stats/rank_test.h"
#include "stats/tests.h"

static void test_tail(void **state)
{
    (void)state;
    cJSON *root = golden("tests.json");
    const cJSON *row;
    int rows = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(root, "tail"))
    {
        double df = cJSON_GetArrayItem(row, 0)->valuedouble, t = cJSON_GetArrayItem(row, 1)->valuedouble;
        double want = cJSON_GetArrayItem(row, 2)->valuedouble, have = student_log_upper(t, df);
        /* Relative error of the probability, while it is a double; of the logarithm always. */
        if (!(fabs(have - want) <= 1e-10 + (want < -700.0 ? 1e-13 * fabs(want) : 0.0)))
            fail_msg("df %g, t %g: log P is %.17g, not %.17g", df, t, have, want);
        rows++;
    }
    assert_int_equal(rows, 221);
    cJSON_Delete(root);
    assert_true(student_log_upper(INFINITY, 3.0) == -INFINITY && student_log_upper(-INFINITY, 3.0) == 0.0);
    assert_true(isnan(student_log_upper(NAN, 3.0)));
    check_near(student_log_upper(0.0, 3.0), log(0.5), 1e-15, 0.0);
}

static void test_t(void **state)
{
    (void)state;
    cJSON *root = golden("tests.json");
    const cJSON *sample;
    cJSON_ArrayForEach(sample, cJSON_GetObjectItem(root, "samples"))
    {
        int64_t na = cJSON_GetArraySize(cJSON_GetObjectItem(sample, "a"));
        int64_t nb = cJSON_GetArraySize(cJSON_GetObjectItem(sample, "b"));
        double *a = golden_array(sample, "a", na), *b = golden_array(sample, "b", nb);
        double *welch = golden_array(sample, "welch", 2), *student = golden_array(sample, "student", 2);
        struct t_test t;
        assert_int_equal(t_test_welch(a, na, b, nb, &t, NULL), 0);
        check_near(t.t, welch[0], 1e-10, 0.0);
        check_near(t.p, welch[1], 1e-9, 0.0);
        check_near(t.log10_p, log10(welch[1]), 1e-9, 1e-9);
        check_near(t.df, golden_number(sample, "df"), 1e-10, 0.0);
        check_near(t.cohen_d, golden_number(sample, "d"), 1e-10, 0.0);
        check_near(t.gap, t.mean_a - t.mean_b, 1e-15, 0.0);
        check_near(t.deviation, t.gap / t.cohen_d, 1e-12, 0.0);
        assert_int_equal(t_test_student(a, na, b, nb, &t, NULL), 0);
        check_near(t.t, student[0], 1e-10, 0.0);
        check_near(t.p, student[1], 1e-9, 0.0);
        check_near(t.df, (double)(na + nb - 2), 1e-15, 0.0);
        mem_free(student);
        mem_free(welch);
        mem_free(b);
        mem_free(a);
    }
    cJSON_Delete(root);
}

static void test_bad_samples(void **state)
{
    (void)state;
    double flat[3] = { 2, 2, 2 }, one[1] = { 1 }, step[3] = { 1, 2, 3 }, bad[2] = { 0, NAN };
    struct t_test t;
    struct err err;
    assert_int_equal(t_test_welch(one, 1, flat, 3, &t, &err), -1);
    assert_non_null(strstr(err.text, "at least 2"));
    assert_int_equal(t_test_welch(flat, 3, flat, 3, &t, &err), -1);
    assert_non_null(strstr(err.text, "constant"));
    assert_int_equal(t_test_welch(flat, 3, one, 1, &t, &err), -1);
    assert_int_equal(t_test_welch(bad, 2, flat, 3, &t, &err), -1);
    assert_non_null(strstr(err.text, "not finite"));
    assert_int_equal(t_test_welch(step, 3, flat, 3, &t, &err), 0); /* one constant sample is no obstacle */
    check_near(t.df, 2.0, 1e-12, 0.0);
}

static void test_permutation(void **state)
{
    (void)state;
    /* 3 + 3 distinct values: 20 relabelings; the observed one has the second largest sum. */
    double a[3] = { 6, 5, 3 }, b[3] = { 4, 2, 1 }, p, again, flat[4] = { 0.1, 0.1, 0.1, 0.1 };
    assert_int_equal(permutation_test(a, 3, b, 3, 1, 200000, &p, NULL), 0);
    assert_true(fabs(p - 2.0 / 20) < 0.004);
    permutation_test(a, 3, b, 3, 1, 200000, &again, NULL);
    assert_true(p == again);
    permutation_test(b, 3, a, 3, 1, 1000, &p, NULL);
    assert_true(p > 0.9);
    permutation_test(flat, 4, flat, 4, 1, 100, &p, NULL);
    assert_true(p == 1.0);
    assert_int_equal(permutation_test(a, 3, b, 0, 1, 100, &p, NULL), -1);
    assert_int_equal(permutation_test(a, 0, b, 3, 1, 100, &p, NULL), -1);
    permutation_test(a, 1, b, 1, 1, 100000, &p, NULL); /* one of each: 6 is above 4 in every second relabeling */
    assert_true(fabs(p - 0.5) < 0.01);
}

static void test_ranks(void **state)
{
    (void)state;
    cJSON *root = golden("ranks.json");
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "cases"))
    {
        int64_t na = cJSON_GetArraySize(cJSON_GetObjectItem(item, "a"));
        int64_t nb = cJSON_GetArraySize(cJSON_GetObjectItem(item, "b"));
        double *a = golden_array(item, "a", na), *b = golden_array(item, "b", nb);
        struct rank_test r;
        assert_int_equal(rank_test(a, na, b, nb, &r, NULL), 0);
        check_near(r.auc, golden_number(item, "auc"), 1e-14, 0.0);
        check_near(r.p, golden_number(item, "p"), 1e-12, 0.0);
        mem_free(b);
        mem_free(a);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "quantiles"))
        check_near(normal_quantile(cJSON_GetArrayItem(item, 0)->valuedouble), cJSON_GetArrayItem(item, 1)->valuedouble,
                   1e-7, 1e-9);
    assert_true(normal_quantile(0.0) == -INFINITY && normal_quantile(1.0) == INFINITY);
    assert_true(normal_quantile(-0.5) == -INFINITY && normal_quantile(1.5) == INFINITY && isnan(normal_quantile(NAN)));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "intervals"))
    {
        double v[5];
        for (int i = 0; i < 5; i++)
            v[i] = cJSON_GetArrayItem(item, i)->valuedouble;
        const struct interval have = effect_interval(v[0], (int64_t)v[1], (int64_t)v[2]);
        check_near(have.low, v[3], 1e-9, 1e-9);
        check_near(have.high, v[4], 1e-9, 1e-9);
    }
    assert_true(isnan(effect_interval(NAN, 10, 10).low) && isnan(effect_interval(NAN, 10, 10).high));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "detectable"))
    {
        double v[4];
        for (int i = 0; i < 4; i++)
            v[i] = cJSON_GetArrayItem(item, i)->valuedouble;
        check_near(effect_detectable((int64_t)v[0], (int64_t)v[1], v[2]), v[3], 1e-9, 0.0);
    }
    assert_true(isnan(effect_detectable(0, 10, 0.05)) && isnan(effect_detectable(10, 0, 0.05)));
    const double same[3] = { 1, 1, 1 };
    struct rank_test r;
    assert_int_equal(rank_test(same, 3, same, 3, &r, NULL), 0);
    assert_true(r.auc == 0.5 && r.p == 1.0);
    cJSON_Delete(root);
}

/* Uniform numbers that make_golden.py makes as well. */
static double *hashed(int64_t n, int64_t d, uint64_t which)
{
    double *x = mem_alloc((size_t)n, (size_t)d * sizeof *x, NULL);
    assert_non_null(x);
    for (int64_t k = 0; k < n * d; k++) {
        const uint64_t i = (uint64_t)(k + 1) * (which + 1);
        x[k] = ldexp((double)(i * i * 2654435761u % ((uint64_t)1 << 32)) / 0x1p32, (int)(k % d));
    }
    return x;
}

/* Both classifiers, either half in front, few rows and so many that some are left out. */
static void test_exchangeable(void **state)
{
    (void)state;
    cJSON *root = golden("exchangeable.json");
    const cJSON *item;
    struct exchangeable have;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(root, "cases"))
    {
        const int64_t na = (int64_t)golden_number(item, "na"), nb = (int64_t)golden_number(item, "nb"),
                      d = (int64_t)golden_number(item, "d");
        const uint64_t seed = (uint64_t)golden_number(item, "seed");
        const char *kind = cJSON_GetObjectItem(item, "kind")->valuestring;
        double *a = hashed(na, d, 2 * seed), *b = hashed(nb, d, 2 * seed + 1);
        for (int64_t i = 0; i < na; i++) {
            a[i * d + 1] = strcmp(kind, "order") == 0 ? 2.0 * a[i * d] + 0.5 * a[i * d + 1] : a[i * d + 1];
            a[i * d + d - 1] = d > 2 ? 3.0 : a[i * d + d - 1];
        }
        for (int64_t i = 0; i < nb; i++) {
            b[i * d + 1] += strcmp(kind, "shift") == 0 ? 0.4 : 0.0;
            b[i * d + 1] =
                strcmp(kind, "order") == 0 ? fmod(2.0 * b[i * d] * 7.0, 2.0) + 0.5 * b[i * d + 1] : b[i * d + 1];
            b[i * d + d - 1] = d > 2 ? 3.0 : b[i * d + d - 1];
        }
        assert_int_equal(exchangeable_test(a, na, b, nb, d, seed, &have, NULL), 0);
        check_near(have.auc, golden_number(item, "auc"), 1e-12, 0.0);
        check_near(have.p, golden_number(item, "p"), 1e-9, 0.0);
        mem_free(b);
        mem_free(a);
    }
    double *x = random_matrix(60, 3, 90);
    for (int few = 0; few < 2; few++) {
        assert_int_equal(exchangeable_test(x, few ? 19 : 20, x + 120, few ? 20 : 19, 3, 1, &have, NULL), 0);
        assert_true(isnan(have.p) && isnan(have.auc));
    }
    for (int i = 0; i < 60; i++) /* squares that overflow, and no column that says anything */
        x[i] *= 1e200;
    assert_int_equal(exchangeable_test(x, 20, x + 60, 20, 3, 1, &have, NULL), 0);
    assert_true(have.p >= 0.0 && have.p <= 1.0);
    memset(x, 0, 180 * sizeof *x);
    assert_int_equal(exchangeable_test(x, 20, x + 60, 20, 3, 1, &have, NULL), 0);
    assert_true(have.p == 1.0 && have.auc == 0.5);
    mem_free(x);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),       cmocka_unit_test(test_tail),        cmocka_unit_test(test_t),
        cmocka_unit_test(test_bad_samples), cmocka_unit_test(test_permutation), cmocka_unit_test(test_exchangeable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
