/* t-tests against SciPy and mpmath, to probabilities that no double holds; the
 * permutation test against enumeration. */
#include "common.h"

#include "stats/effect.h"
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
    assert_int_equal(t_test_welch(bad, 2, flat, 3, &t, &err), -1);
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
    assert_true(isinf(normal_quantile(0.0)) && isinf(normal_quantile(1.0)));
    const double same[3] = { 1, 1, 1 };
    struct rank_test r;
    assert_int_equal(rank_test(same, 3, same, 3, &r, NULL), 0);
    assert_true(r.auc == 0.5 && r.p == 1.0);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks),       cmocka_unit_test(test_tail),        cmocka_unit_test(test_t),
        cmocka_unit_test(test_bad_samples), cmocka_unit_test(test_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
