/* Rows before they are tested: how they are prepared, brought to a device, and which of
 * them stand more than once. */
#include "common.h"

#include "stats/device_rows.h"
#include "stats/duplicates.h"
#include "stats/rows.h"

/* Every column of both parts together: mean 0 and variance 1, in the old order. */
static void test_standardize(void **state)
{
    (void)state;
    enum { A = 30, B = 45, D = 4 };
    for (int only = 0; only < 2; only++) { /* one part, or two */
        double *x = random_matrix(A + B, D, 1), y[(A + B) * D], mean[D] = { 0 }, variance[D] = { 0 };
        for (int k = 0; k < (A + B) * D; k++)
            y[k] = x[k] = k % D == 3 ? 7.0 : 100.0 + (k % D + 1) * x[k] + (k >= A * D);
        for (int k = 0; k < (A + B) * D; k++)
            mean[k % D] += x[k] / (A + B);
        for (int k = 0; k < (A + B) * D; k++)
            variance[k % D] += (x[k] - mean[k % D]) * (x[k] - mean[k % D]) / (A + B);
        double *parts[] = { y, y + A * D };
        const int64_t n[] = { only ? A + B : A, B };
        assert_int_equal(rows_standardize(parts, n, only ? 1 : 2, D, NULL), 0);
        for (int k = 0; k < (A + B) * D; k++) {
            const int c = k % D;
            check_near(y[k], c == 3 ? 0.0 : (x[k] - mean[c]) / sqrt(variance[c]), 1e-11, 1.0);
        }
        mem_free(x);
    }
}

/* A column's spread is rounding up to 2^-22 of numbers of float32, 2^-50 of float64. */
static void test_flat_columns(void **state)
{
    (void)state;
    static const struct {
        double low, high;
        bool flat;
    } columns[] = {
        { 1.0, 1.0 + 0x1p-22, true },
        { 1.0, 1.0 + 0x1p-21, false },
        { -1.0 - 0x1p-22, -1.0, true },
        { -1.0 - 0x1p-21, -1.0, false },
        { 0.1, 0.1 * (1.0 + 0x1p-51), true },
        { 0.1, 0.1 * (1.0 + 0x1p-49), false },
        { 0.1, 0.1 + 0x1p-30, false },
        { -0.1 - 0x1p-54, -0.1, true },
        { 0.0, 1e-30, false },
        { 0.1, 0.1 * (1.0 + 0x1p-40), false },
    };
    enum { D = sizeof columns / sizeof *columns };
    double x[2][D], *parts[] = { x[0], x[1] };
    const int64_t n[] = { 1, 1 };
    for (int c = 0; c < D; c++) {
        x[0][c] = columns[c].low;
        x[1][c] = columns[c].high;
    }
    assert_int_equal(rows_standardize(parts, n, 2, D, NULL), 0);
    for (int c = 0; c < D; c++) {
        check_near(x[0][c], columns[c].flat ? 0.0 : -1.0, 0.2, 1e-9);
        check_near(x[1][c], columns[c].flat ? 0.0 : 1.0, 0.2, 1e-9);
    }
}

static void test_constant(void **state)
{
    (void)state;
    double x[6] = { 1.0, -4.0, 1.0, -4.0, 1.0, -4.0 };
    assert_true(rows_constant(x, 3, 2));
    x[5] = -4.0 * (1.0 + 0x1p-22);
    assert_true(rows_constant(x, 3, 2));
    x[5] = -4.0 * (1.0 + 0x1.1p-22);
    assert_true(!rows_constant(x, 3, 2) && rows_constant(x, 2, 2));
    x[5] = -4.0;
    x[2] = 1.0 + 0x1.1p-22;
    assert_false(rows_constant(x, 3, 2));
    const double a[2] = { 1, 2 }, b[4] = { 1, 2, 1, 2 }, c[2] = { 1, 3 };
    const double *const parts[] = { a, b, c };
    const int64_t n[] = { 1, 2, 1 };
    assert_true(rows_constant_parts(parts, n, 2, 2) && !rows_constant_parts(parts, n, 3, 2));
}

static void test_prepare(void **state)
{
    (void)state;
    enum { A = 5, B = 7, D = 3 };
    const int64_t n[] = { A, B };
    for (int h = 0; rows_preparations[h] != NULL; h++) {
        double *x = random_matrix(A + B, D, 2), *y = random_matrix(A + B, D, 2);
        double *parts[] = { y, y + A * D }, *whole[] = { x, x + A * D };
        assert_int_equal(rows_prepare(rows_preparations[h], parts, n, 2, D, NULL), 0);
        if (strcmp(rows_preparations[h], "standardize") == 0)
            rows_standardize(whole, n, 2, D, NULL);
        if (strcmp(rows_preparations[h], "none") != 0)
            for (int i = 0; i < A + B; i++) {
                const double *r = x + i * D;
                const double norm = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
                for (int c = 0; c < D; c++)
                    x[i * D + c] /= norm;
            }
        check_all_near(y, x, (A + B) * D, 1e-14, 1.0);
        mem_free(y);
        mem_free(x);
    }
}

static void test_order_and_width(void **state)
{
    (void)state;
    double x[6] = { 1, 2, 3, 4, 5, 6 };
    uint32_t order[4] = { 2, 0, 2, 1 };
    double *rows = rows_gather(x, order, 4, 2, NULL);
    assert_memory_equal(rows, ((double[]){ 5, 6, 1, 2, 5, 6, 3, 4 }), 8 * sizeof *x);
    mem_free(rows);
    rows_order_ascending(order, 3);
    assert_memory_equal(order, ((uint32_t[]){ 0, 2, 2, 1 }), sizeof order);
    rows = rows_widen(x, 3, 2, 3, NULL);
    assert_memory_equal(rows, ((double[]){ 1, 2, 0, 3, 4, 0, 5, 6, 0 }), 9 * sizeof *x);
    mem_free(rows);
    assert_int_equal(rows_check(x, 3, 2, "x", NULL), 0);
    x[5] = -INFINITY;
    struct err err;
    assert_int_equal(rows_check(x, 3, 2, "x", &err), -1);
    assert_string_equal(err.text, "x has a value that is not finite (-inf) in row 2, column 1");
    x[0] = NAN;
    assert_int_equal(rows_check(x, 3, 2, "x", &err), -1);
    assert_string_equal(err.text, "x has a value that is not finite (nan) in row 0, column 0");
}

/* In pieces: sizes around their length. */
static void test_upload(void **state)
{
    (void)state;
    enum { D = 3 };
    static const int64_t sizes[] = { 1, 1023, 1024, 1025, 2600 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int64_t n = sizes[k];
        double *x = random_matrix(n, D, 3), mean[D] = { 0 }, shift[D] = { 1, 2, 3 };
        for (int64_t i = 0; i < n * D; i++)
            mean[i % D] += x[i] / (double)n;
        for (int own = 0; own < 2; own++) {
            struct device_rows r;
            assert_int_equal(device_rows_init(&r, &cpu_device, x, n, D, own ? NULL : shift, NULL), 0);
            assert_true(r.n == n && r.d == D && r.host == x && r.dev == &cpu_device);
            check_all_near(r.shift, own ? mean : shift, D, 1e-10, 1.0);
            for (int64_t i = 0; i < n * D; i++)
                check_near(r.x[i], x[i] - (own ? mean : shift)[i % D], 1e-10, 1.0);
            device_rows_fini(&r);
        }
        mem_free(x);
    }
}

/* Unit vectors: every norm is 1, almost every distance sqrt(2); far from the origin the
 * norms are large, the distances the same. */
static void test_tolerance(void **state)
{
    (void)state;
    enum { D = 60 };
    for (int far = 0; far < 2; far++) {
        const double limit = far ? 1e-4 * sqrt(2.0) : 1e-6;
        for (int within = 0; within < 2; within++) {
            double x[3][D * D];
            int64_t count[DUPLICATE_SETS][DUPLICATE_SETS];
            for (int s = 0; s < 3; s++)
                for (int k = 0; k < D * D; k++)
                    x[s][k] = (k / D == k % D) * (s == 1 ? -1.0 : 1.0) + (far ? 1000.0 : 0.0) + (s == 2 && k % D == 0);
            memcpy(x[2], x[0], D * sizeof **x);
            x[2][7] += limit * (within ? 0.98 : 1.02);
            const struct row_set sets[] = { { x[0], D }, { x[1], D }, { x[2], D } };
            assert_int_equal(duplicates_count(sets, D, count, NULL), 0);
            assert_true(count[0][2] == within && count[2][0] == within && count[0][1] == 0 && count[2][2] == 0);
        }
    }
    for (int64_t d = 3; d <= 4; d++) { /* of few columns equal ones alone */
        double *x = random_matrix(30, d, 4);
        int64_t count[DUPLICATE_SETS][DUPLICATE_SETS];
        const struct row_set sets[] = { { x, 10 }, { x + 10 * d, 10 }, { x + 20 * d, 10 } };
        memcpy(x + 3 * d, x + 8 * d, (size_t)d * sizeof *x);
        memcpy(x + 15 * d, x + 8 * d, (size_t)d * sizeof *x);
        x[3 * d] += 1e-9;
        assert_int_equal(duplicates_count(sets, d, count, NULL), 0);
        assert_int_equal(count[0][0], d == 4);
        assert_true(count[1][0] == 1 && count[0][1] == (d == 4 ? 2 : 1));
        for (int64_t i = 0; i < 30 * d; i++) /* squares that overflow */
            x[i] *= 1e300;
        assert_int_equal(duplicates_count(sets, d, count, NULL), 0);
        assert_true(count[0][0] == 0 && count[1][0] == 1);
        mem_free(x);
    }
}

/* Against a comparison of all pairs. */
static void test_pairs(void **state)
{
    (void)state;
    enum { D = 5, KINDS = 40 };
    const int64_t n[] = { 90, 130, 60 };
    double *kind = random_matrix(KINDS, D, 5), *noise = random_matrix(280, D, 6);
    double *x = mem_alloc(280 * D, sizeof *x, NULL);
    int of[280], first[] = { 0, 90, 220 };
    struct rng rng = rng_at(2, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < 280; i++) {
        of[i] = (int)rng_below(&rng, 400);
        for (int c = 0; c < D; c++)
            x[i * D + c] = of[i] < KINDS ? kind[of[i] * D + c] + 1e-9 * noise[i * D + c] : noise[i * D + c];
    }
    int64_t count[DUPLICATE_SETS][DUPLICATE_SETS];
    const struct row_set sets[] = { { x, n[0] }, { x + 90 * D, n[1] }, { x + 220 * D, n[2] } };
    assert_int_equal(duplicates_count(sets, D, count, NULL), 0);
    for (int s = 0; s < 3; s++)
        for (int t = 0; t < 3; t++) {
            int64_t found = 0;
            for (int i = first[s]; i < first[s] + n[s]; i++) {
                bool hit = false;
                for (int j = first[t]; j < (s == t ? i : first[t] + n[t]); j++)
                    hit = hit || (of[i] < KINDS && of[i] == of[j]);
                found += hit;
            }
            assert_int_equal(count[s][t], found);
        }
    mem_free(x);
    mem_free(noise);
    mem_free(kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standardize), cmocka_unit_test(test_flat_columns),    cmocka_unit_test(test_constant),
        cmocka_unit_test(test_prepare),     cmocka_unit_test(test_order_and_width), cmocka_unit_test(test_upload),
        cmocka_unit_test(test_tolerance),   cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
