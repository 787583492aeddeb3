/* Similarities against NumPy and SciPy; obfuscations by what they must leave alone. */
#include "common.h"

#include "stats/image_shift.h"
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
    const cJSON *few;
    struct similarity s;
    assert_int_equal(similarity_compute(a, b, n, da, &s, NULL), 0);
    check_estimate(root, "cosine", s.cosine);
    check_estimate(root, "cosine_abs", s.cosine_abs);
    check_estimate(root, "l1", s.l1);
    check_estimate(root, "l2", s.l2);
    check_estimate(root, "linf", s.linf);
    check_estimate(root, "l2_score", s.l2_score);
    for (int which = 0; which < 2; which++) {
        struct information mi;
        assert_int_equal(mutual_information(both_devices[which], a, da, b, da, n, &mi, NULL), 0);
        check_estimate(root, "mi_ab", mi.nats);
        assert_int_equal(mi.duplicates, 0);
        assert_int_equal(mutual_information(both_devices[which], a, da, c, db, n, &mi, NULL), 0);
        check_estimate(root, "mi_ac", mi.nats);
        assert_int_equal(mi.duplicates, 2); /* c has one row twice */
        assert_int_equal(mutual_information(both_devices[which], a, da, a, da, n, &mi, NULL), 0);
        check_near(mi.nats.value, golden_number(root, "mi_aa"), 1e-11, 0.0);
        assert_true(mi.nats.ci < 1e-8); /* eps alone */
        cJSON_ArrayForEach(few, cJSON_GetObjectItem(root, "few"))
        {
            assert_int_equal(
                mutual_information(both_devices[which], a, da, b, da, (int64_t)golden_number(few, "n"), &mi, NULL), 0);
            double *want = golden_array(few, "mi", 2);
            check_near(mi.nats.value, want[0], 1e-11, 0.1);
            check_near(mi.nats.ci, want[1], 1e-9, 1e-6);
            mem_free(want);
        }
    }
    mem_free(c);
    mem_free(b);
    mem_free(a);
    cJSON_Delete(root);
}

/* (n, c, h, w) of the golden file as bytes or floats, channels first or last. */
static struct pixels golden_pixels(const cJSON *root, const char *name, int64_t n, bool floats, bool last)
{
    struct pixels im = { .n = n,
                         .c = (int64_t)golden_number(root, "c"),
                         .h = (int64_t)golden_number(root, "h"),
                         .w = (int64_t)golden_number(root, "w"),
                         .channels_last = last };
    const int64_t area = im.h * im.w, all = n * im.c * area;
    double *x = golden_array(root, name, all);
    uint8_t *bytes = mem_alloc((size_t)all, 1, NULL);
    float *values = mem_alloc((size_t)all, sizeof *values, NULL);
    for (int64_t i = 0; i < all; i++) {
        const int64_t image = i / (im.c * area), c = i / area % im.c, at = i % area;
        const int64_t to = last ? (image * area + at) * im.c + c : i;
        bytes[to] = (uint8_t)x[i];
        values[to] = (float)x[i];
    }
    mem_free(x);
    mem_free(floats ? (void *)bytes : (void *)values);
    im.bytes = floats ? NULL : bytes;
    im.floats = floats ? values : NULL;
    return im;
}

static void test_images_are_told_apart(void **state)
{
    (void)state;
    cJSON *root = golden("images.json");
    for (int way = 0; way < 4; way++) {
        const bool floats = way % 2 != 0, last = way / 2 != 0;
        struct pixels a = golden_pixels(root, "a", (int64_t)golden_number(root, "n_a"), floats, last),
                      b = golden_pixels(root, "b", (int64_t)golden_number(root, "n_b"), floats, last);
        struct image_shift shift;
        assert_int_equal(
            image_shift_test(both_devices[way % 2], &a, &b, (uint64_t)golden_number(root, "seed"), &shift, NULL), 0);
        check_near(shift.auc, golden_number(root, "auc"), 1e-12, 0.0);
        check_near(shift.p, golden_number(root, "p"), 1e-9, 0.0);
        mem_free((void *)(uintptr_t)a.bytes);
        mem_free((void *)(uintptr_t)a.floats);
        mem_free((void *)(uintptr_t)b.bytes);
        mem_free((void *)(uintptr_t)b.floats);
    }
    cJSON_Delete(root);
}

/* Independent sides share less than noisy copies, those less than equal sides.
 * (No closed form: the estimator is biased, and normalised rows are no Gaussian.) */
static void test_independent(void **state)
{
    (void)state;
    enum { N = 3000, D = 3 };
    double *a = random_matrix(N, D, 30), *b = random_matrix(N, D, 31);
    struct information none, some, same;
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &none, NULL), 0);
    for (int i = 0; i < N * D; i++)
        b[i] = a[i] + 0.5 * b[i];
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &some, NULL), 0);
    assert_int_equal(mutual_information(&cpu_device, a, D, a, D, N, &same, NULL), 0);
    assert_true(some.nats.value > none.nats.value + 1.0 && same.nats.value > some.nats.value + 1.0);
    mem_free(b);
    mem_free(a);
}

static void test_score(void **state)
{
    (void)state;
    const struct estimate three = { 3, 0.5 }, low = { 0, 0.5 }, high = { 9, 0.5 }, none = { NAN, NAN };
    struct estimate half = mi_score(three, 1, 5);
    assert_true(half.value == 0.5 && half.ci == 0.125);
    assert_true(mi_score(low, 1, 5).value == 0.0 && mi_score(high, 1, 5).value == 1.0);
    assert_true(isnan(mi_score(three, 5, 5).value) && isnan(mi_score(three, NAN, 5).value));
    assert_true(isnan(mi_score(none, 1, 5).value) && isnan(mi_score(three, 5, 5).ci));
}

static void test_obfuscations(void **state)
{
    (void)state;
    enum { N = 60, D = 9 };
    double *x = random_matrix(N, D, 32);
    struct information mi_plain, mi;
    struct similarity s;
    mutual_information(&cpu_device, x, D, x, D, N, &mi_plain, NULL);
    for (int o = 0; obfuscations[o] != NULL; o++) {
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
            check_near(mi.nats.value, mi_plain.nats.value, 1e-9, 0.0);
        mem_free(wide);
        mem_free(other);
        mem_free(again);
        mem_free(y);
    }
    assert_null(obfuscation_find("rot13"));
    mem_free(x);
}

/* Which column goes where, and by what it is scaled, as NumPy draws it. */
static void test_obfuscation_draws(void **state)
{
    (void)state;
    cJSON *root = golden("similarity.json");
    int64_t n = (int64_t)golden_number(root, "n"), d = (int64_t)golden_number(root, "da"), wide;
    double *x = golden_array(root, "a", n * d), *to = golden_array(root, "shuffle", d), *y;
    assert_int_equal(obfuscation_find("shuffle")->run(x, n, d, 4, &y, &wide, NULL), 0);
    for (int64_t k = 0; k < n * d; k++)
        assert_true(y[k / d * d + (int64_t)to[k % d]] == x[k]);
    mem_free(y);
    mem_free(to);
    to = golden_array(root, "pad", d);
    assert_int_equal(obfuscation_find("pad")->run(x, n, d, 4, &y, &wide, NULL), 0);
    for (int64_t k = 0; k < n * d; k++)
        assert_true(y[k / d * wide + (int64_t)to[k % d]] == x[k]);
    mem_free(y);
    mem_free(to);
    for (int each = 0; each < 2; each++) {
        const char *name = each ? "transform_each" : "transform";
        to = golden_array(root, name, each ? 2 * d : 2);
        assert_int_equal(obfuscation_find(name)->run(x, n, d, 4, &y, &wide, NULL), 0);
        for (int64_t k = 0; k < n * d; k++) {
            const double *by = to + (each ? k % d * 2 : 0);
            check_near(y[k], by[0] * x[k] + by[1], 1e-14, 1.0);
        }
        mem_free(y);
        mem_free(to);
    }
    mem_free(x);
    cJSON_Delete(root);
}

/* Constant columns of the wider side go, from the last, until both are equally wide; the
 * narrower side keeps its own. */
static void test_constant_columns(void **state)
{
    (void)state;
    enum { N = 50, WIDE = 7 };
    double *a = random_matrix(N, 3, 38), *b = random_matrix(N, WIDE, 39);
    static const struct {
        bool constant[WIDE];
        int kept[WIDE], n_kept;
    } cases[] = {
        { { 0, 1, 0, 0, 1, 1, 1 }, { 0, 2, 3 }, 3 },             /* as many as it takes */
        { { 0, 1, 0, 1, 1, 1, 1 }, { 0, 1, 2 }, 3 },             /* one more: the first stays */
        { { 1, 1, 1, 0, 1, 0, 1 }, { 0, 3, 5 }, 3 },             /* of more, too */
        { { 1, 0, 0, 0, 0, 1, 0 }, { 1, 2, 3, 4, 6 }, 5 },       /* too few */
        { { 0, 0, 0, 0, 0, 0, 0 }, { 0, 1, 2, 3, 4, 5, 6 }, 7 }, /* none */
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct information wide, narrow;
        double x[N * WIDE], y[N * WIDE];
        const int left = cases[k].n_kept;
        for (int i = 0; i < N; i++) {
            for (int c = 0; c < WIDE; c++)
                x[i * WIDE + c] = cases[k].constant[c] ? 2.5 : b[i * WIDE + c];
            for (int c = 0; c < left; c++)
                y[i * left + c] = x[i * WIDE + cases[k].kept[c]];
        }
        for (int swap = 0; swap < 2; swap++) {
            assert_int_equal(mutual_information(&cpu_device, swap ? x : a, swap ? WIDE : 3, swap ? a : x,
                                                swap ? 3 : WIDE, N, &wide, NULL),
                             0);
            assert_int_equal(mutual_information(&cpu_device, swap ? y : a, swap ? left : 3, swap ? a : y,
                                                swap ? 3 : left, N, &narrow, NULL),
                             0);
            assert_true(wide.nats.value == narrow.nats.value && wide.nats.ci == narrow.nats.ci);
        }
    }
    for (int i = 0; i < N; i++)
        a[i * 3 + 2] = 1.0;
    struct information plain, same;
    assert_int_equal(mutual_information(&cpu_device, a, 3, b, 3, N, &plain, NULL), 0);
    assert_int_equal(mutual_information(&cpu_device, b, 3, a, 3, N, &same, NULL), 0);
    check_near(plain.nats.value, same.nats.value, 1e-12, 0.0);
    double two[N * 2];
    for (int i = 0; i < N; i++)
        memcpy(two + 2 * i, a + 3 * i, 2 * sizeof *a);
    assert_int_equal(mutual_information(&cpu_device, two, 2, b, 3, N, &same, NULL), 0);
    assert_true(fabs(same.nats.value - plain.nats.value) > 0.1); /* the third column has counted */
    mem_free(b);
    mem_free(a);
}

/* One column has a sign alone; a negative value has a warning; what it costs. */
static void test_information_words(void **state)
{
    (void)state;
    enum { N = 30, D = 40 };
    double *a = random_matrix(N, D, 40), *b = random_matrix(N, D, 41);
    struct information mi;
    static const char *const says[] = { "the first and the second rep", "the first rep", "the second rep" };
    for (int k = 0; k < 3; k++) {
        assert_int_equal(mutual_information(&cpu_device, a, k < 2 ? 1 : 2, b, k == 1 ? 2 : 1, N, &mi, NULL), 0);
        assert_true(isnan(mi.nats.value) && mi.duplicates == N && strstr(mi.reason, says[k]) != NULL);
    }
    assert_int_equal(mutual_information(&cpu_device, a, 2, b, 2, N, &mi, NULL), 0);
    assert_true(isfinite(mi.nats.value) && mi.reason[0] == '\0');
    for (int shared = 0; shared < 2; shared++) {
        for (int k = 0; shared && k < N * D; k++)
            b[k] = a[k] + 0.01 * b[k];
        assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &mi, NULL), 0);
        assert_true((mi.warning[0] != '\0') == (mi.nats.value + mi.nats.ci < 0.0));
        assert_true((mi.warning[0] != '\0') == !shared);
        assert_true(shared || (strstr(mi.warning, "30 images are too few for 40 and 40 dimensions;") != NULL));
    }
    check_near(mutual_information_seconds(1000, 100, 28), 2.7e-11 * 1e6 * 256, 1e-12, 0.0);
    assert_int_equal(mutual_information_memory(1000, 100, 28), (1000 * 100 + 1000 * 28 + 1000) * 8);
    mem_free(b);
    mem_free(a);
}

static void test_bad(void **state)
{
    (void)state;
    double x[4] = { 1, 2, 3, 5 }, bad[4] = { 1, 2, NAN, 4 };
    struct similarity s;
    struct information mi;
    struct err err;
    assert_int_equal(similarity_compute(x, x, 1, 4, &s, &err), -1);
    assert_non_null(strstr(err.text, "at least 2 rows"));
    assert_int_equal(similarity_compute(x, bad, 2, 2, &s, &err), -1);
    assert_non_null(strstr(err.text, "second"));
    assert_int_equal(mutual_information(&cpu_device, bad, 2, x, 2, 2, &mi, &err), -1);
    assert_non_null(strstr(err.text, "row 1, column 0"));
    assert_int_equal(mutual_information(&cpu_device, x, 1, bad, 2, 2, &mi, &err), -1); /* a side that may be padded */
    assert_non_null(strstr(err.text, "the second representations has a value that is not finite (nan) in row 1, col"));
    assert_int_equal(mutual_information(&cpu_device, x, 2, x, 4, 1, &mi, &err), -1);
    assert_int_equal(mutual_information(&cpu_device, x, 4, x, 2, 1, &mi, &err), -1);
    assert_int_equal(similarity_compute(x, x, 4, 0, &s, &err), -1);
    assert_int_equal(similarity_compute(x, bad, 2, 1, &s, &err), 0);
    struct pixels few = { .bytes = (const uint8_t *)"0123456789", .n = 9, .c = 1, .h = 1, .w = 1 }, enough = few;
    struct image_shift shift;
    enough.n = 10;
    assert_int_equal(image_shift_test(&cpu_device, &few, &enough, 1, &shift, &err), -1);
    assert_non_null(strstr(err.text, "at least 10 of each kind; there are 9 and 10"));
    assert_int_equal(image_shift_test(&cpu_device, &enough, &few, 1, &shift, &err), -1);
    assert_int_equal(image_shift_test(&cpu_device, &enough, &enough, 1, &shift, &err), 0);
}

/* What an encoder that maps all images, or some of them, to one point gets. */
static void test_collapsed(void **state)
{
    (void)state;
    enum { N = 400, D = 8 };
    double *a = random_matrix(N, D, 33), *b = random_matrix(N, D, 34), *flat = mem_alloc(N * D, sizeof *flat, NULL);
    struct similarity s;
    struct information mi, plain;
    for (int rounding = 0; rounding < 2; rounding++) { /* the same row, and the same to the last bits of float32 */
        for (int i = 0; i < N * D; i++)
            flat[i] = 0.1 * (1 + i % D) * (1.0 + rounding * 1e-8 * a[i]);
        assert_true(rows_constant(flat, N, D) && !rows_constant(a, N, D));
        for (int side = 0; side < 3; side++) {
            const double *x = side == 0 ? a : flat, *y = side == 1 ? a : flat;
            const char *says = side == 0   ? "the second repr"
                               : side == 1 ? "the first repr"
                                           : "the first and the second";
            assert_int_equal(similarity_compute(x, y, N, D, &s, NULL), 0);
            assert_true(isnan(s.cosine.value) && isnan(s.cosine_abs.ci) && isnan(s.l1.value) && isnan(s.l2.value));
            assert_true(isnan(s.linf.value) && isnan(s.l2_score.value) && strstr(s.reason, says) != NULL);
            assert_int_equal(mutual_information(&cpu_device, x, D, y, D, N, &mi, NULL), 0);
            assert_true(isnan(mi.nats.value) && isnan(mi.nats.ci) && strstr(mi.reason, says) != NULL);
        }
    }
    for (int c = 0; c < N * D; c++) /* far from the origin is not collapsed */
        flat[c] = a[c] + 1e5;
    assert_false(rows_constant(flat, N, D));
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &plain, NULL), 0);
    assert_true(plain.duplicates == 0 && plain.reason[0] == 0 && plain.nats.ci > 0);
    memcpy(b + 7 * D, b + 9 * D, D * sizeof *b);
    memcpy(b + 8 * D, b + 9 * D, D * sizeof *b);
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &mi, NULL), 0);
    assert_true(mi.duplicates == 3 && fabs(mi.nats.value - plain.nats.value) < plain.nats.ci);
    for (int i = 0; i < N / 2; i++) /* half of the images have become one */
        memcpy(b + i * D, b + 9 * D, D * sizeof *b);
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &mi, NULL), 0);
    assert_true(isnan(mi.nats.value) && mi.duplicates == N / 2);
    assert_non_null(strstr(mi.reason, "200 of 400 rows of the second representations are repeated exactly"));
    assert_int_equal(similarity_compute(a, b, N, D, &s, NULL), 0);
    assert_true(isfinite(s.cosine.value) && s.reason[0] == 0);
    mem_free(flat);
    mem_free(b);
    mem_free(a);
}

/* One image in a hundred may be repeated, not more. */
static void test_duplicate_limit(void **state)
{
    (void)state;
    enum { N = 400, D = 8 };
    double *a = random_matrix(N, D, 36), *b = random_matrix(N, D, 37);
    struct information mi;
    memcpy(a + 8 * D, a, D * sizeof *a);
    memcpy(a + 30 * D, a + 3 * D, D * sizeof *a);
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &mi, NULL), 0);
    assert_true(mi.duplicates == 4 && isfinite(mi.nats.value) && mi.reason[0] == '\0');
    memcpy(a + 9 * D, a, D * sizeof *a);
    assert_int_equal(mutual_information(&cpu_device, a, D, b, D, N, &mi, NULL), 0);
    assert_true(mi.duplicates == 5 && isnan(mi.nats.value));
    assert_non_null(strstr(mi.reason, "5 of 400 rows of the first"));
    mem_free(b);
    mem_free(a);
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
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_images_are_told_apart),
        cmocka_unit_test(test_independent),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_obfuscations),
        cmocka_unit_test(test_obfuscation_draws),
        cmocka_unit_test(test_constant_columns),
        cmocka_unit_test(test_information_words),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_collapsed),
        cmocka_unit_test(test_duplicate_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
