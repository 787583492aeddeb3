/* Similarities against NumPy and SciPy; obfuscations by what they must leave alone. */
#include "common.h"

#include "stats/similarity.h"

static void check_estimate(const cJSON *root, const char *name, struct estimate e)
{
    double *want = golden_array(root, name, 2);
    check_near(e.value, want[0], 1e-12, 0.0);
    check_near(e.ci, want[1], 1e-11, 0.0);
    mem_free(want);
}

static void test_golden(void **state)
{
    (void)state;
    cJSON *root = golden("similarity.json");
    int64_t n = (int64_t)golden_number(root, "n"), da = (int64_t)golden_number(root, "da"),
            db = (int64_t)golden_number(root, "db");
    double *a = golden_array(root, "a", n * da), *b = golden_array(root, "b", n * da),
           *c = golden_array(root, "c", n * db);
    struct similarity s;
    assert_int_equal(similarity_compute(a, b, n, da, &s, NULL), 0);
    check_estimate(root, "cosine", s.cosine);
    check_estimate(root, "cosine_abs", s.cosine_abs);
    check_estimate(root, "l1", s.l1);
    check_estimate(root, "l2", s.l2);
    check_estimate(root, "linf", s.linf);
    check_estimate(root, "l2_score", s.l2_score);
    for (int which = 0; which < 2; which++) {
        double mi;
        assert_int_equal(mutual_information(both_devices[which], a, da, b, da, n, &mi, NULL), 0);
        check_near(mi, golden_number(root, "mi_ab"), 1e-11, 0.0);
        assert_int_equal(mutual_information(both_devices[which], a, da, c, db, n, &mi, NULL), 0);
        check_near(mi, golden_number(root, "mi_ac"), 1e-11, 0.0);
        assert_int_equal(mutual_information(both_devices[which], a, da, a, da, n, &mi, NULL), 0);
        check_near(mi, golden_number(root, "mi_aa"), 1e-11, 0.0);
    }
    mem_free(c);
    mem_free(b);
    mem_free(a);
    cJSON_Delete(root);
}

/* Independent sides share less than noisy copies, those less than equal sides.
 * (No closed form: the estimator is biased, and normalised rows are no Gaussian.) */
static void test_independent(void **state)
{
    (void)state;
    enum { N = 3000, D = 3 };
    double *a = random_matrix(N, D, 30), *b = random_matrix(N, D, 31), none, some, same;
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &none, NULL), 0);
    for (int i = 0; i < N * D; i++)
        b[i] = a[i] + 0.5 * b[i];
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &some, NULL), 0);
    assert_int_equal(mutual_information(&cpu_device, a, D, a, D, N, &same, NULL), 0);
    assert_true(some > none + 1.0 && same > some + 1.0);
    mem_free(b);
    mem_free(a);
}

static void test_score(void **state)
{
    (void)state;
    assert_true(mi_score(3, 1, 5) == 0.5 && mi_score(0, 1, 5) == 0.0 && mi_score(9, 1, 5) == 1.0);
    assert_true(isnan(mi_score(3, 5, 5)) && isnan(mi_score(3, NAN, 5)) && isnan(mi_score(NAN, 1, 5)));
}

static void test_obfuscations(void **state)
{
    (void)state;
    enum { N = 60, D = 9 };
    double *x = random_matrix(N, D, 32), mi_plain, mi;
    struct similarity s;
    mutual_information(&cpu_device, x, D, x, D, N, &mi_plain, NULL);
    for (int o = 0; obfuscations[o]; o++) {
        const struct obfuscation *obfuscation = obfuscations[o];
        double *y, *again, *other, *wide;
        int64_t d, d2;
        assert_ptr_equal(obfuscation_find(obfuscation->name), obfuscation);
        assert_int_equal(obfuscation->run(x, N, D, 4, &y, &d, NULL), 0);
        assert_int_equal(obfuscation->run(x, N, D, 4, &again, &d2, NULL), 0);
        assert_memory_equal(y, again, (size_t)(N * d) * sizeof *y);
        assert_int_equal(obfuscation->run(x, N, D, 5, &other, &d2, NULL), 0);
        assert_int_equal(d, strcmp(obfuscation->name, "pad") == 0 ? 2 * D : D);
        bool none = strcmp(obfuscation->name, "none") == 0;
        assert_true((memcmp(y, other, (size_t)(N * d) * sizeof *y) == 0) == none);
        for (int64_t c = 0, next = 0; d == 2 * D && c < d; c++) /* padding: what is not zero is x, in order */
            if (y[c] != 0.0)
                assert_true(y[c] == x[next++]);
        wide = rows_widen(x, N, D, d, NULL);
        assert_int_equal(similarity_compute(wide, y, N, d, &s, NULL), 0);
        if (none || strcmp(obfuscation->name, "transform") == 0)
            check_near(s.cosine_abs.value, 1.0, 1e-12, 0.0);
        else
            assert_true(s.cosine_abs.value < 0.9);
        assert_int_equal(mutual_information(&cpu_device, x, D, y, d, N, &mi, NULL), 0);
        if (strcmp(obfuscation->name, "transform_each") != 0) /* the others keep all information */
            check_near(mi, mi_plain, 1e-9, 0.0);
        mem_free(wide);
        mem_free(other);
        mem_free(again);
        mem_free(y);
    }
    assert_null(obfuscation_find("rot13"));
    mem_free(x);
}

static void test_bad(void **state)
{
    (void)state;
    double x[4] = { 1, 2, 3, 5 }, bad[4] = { 1, 2, NAN, 4 }, mi;
    struct similarity s;
    struct err err;
    assert_int_equal(similarity_compute(x, x, 1, 4, &s, &err), -1);
    assert_non_null(strstr(err.text, "at least 2 rows"));
    assert_int_equal(similarity_compute(x, bad, 2, 2, &s, &err), -1);
    assert_non_null(strstr(err.text, "second"));
    assert_int_equal(mutual_information(&cpu_device, bad, 2, x, 2, 2, &mi, &err), -1);
    assert_non_null(strstr(err.text, "row 1, column 0"));
}

static void test_rows(void **state)
{
    (void)state;
    double x[6] = { 3e200, 4e200, 0, 0, 1e-200, 0 };
    rows_normalize(x, 3, 2);
    check_near(x[0], 0.6, 1e-15, 0.0);
    check_near(x[1], 0.8, 1e-15, 0.0);
    assert_true(x[2] == 0.0 && x[3] == 0.0 && x[4] == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_independent), cmocka_unit_test(test_score),
        cmocka_unit_test(test_obfuscations), cmocka_unit_test(test_bad),         cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
