/* Representations: .npy files and FILE.h5:/path, written by NumPy and h5py (tests/golden/store/make.py). */
#include "check.h"

#include "store/matrix_file.h"

#define GOLDEN TEST_DATA "/golden/store/"

static void test_matrix(void **state)
{
    (void)state;
    const char *good[] = { GOLDEN "f32.npy", GOLDEN "big_endian.npy", GOLDEN "fortran.npy", GOLDEN "matrix.h5:/deep/x",
                           GOLDEN "matrix.h5:/single" };
    struct err err;
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        int64_t n, d;
        double *x;
        assert_done(matrix_read(good[k], &n, &d, &x, &err), err);
        assert_int_equal(n, 2);
        assert_int_equal(d, 3);
        for (int i = 0; i < 6; i++)
            assert_true(x[i] == i / 4.0 - 0.5);
        free(x);
    }
}

static void test_refused(void **state)
{
    (void)state;
    const char *bad[][2] = {
        { GOLDEN "nan.npy", "row 1, column 2 (from 0) is not a number" },
        { GOLDEN "images.npy", "(n, d), one row an image; this has the shape (2, 3, 4, 5)" },
        { GOLDEN "scalar.npy", "this has the shape ()" },
        { GOLDEN "version2.npy", "this has the shape (3,)" },
        { GOLDEN "matrix.h5", "say which array" },
        { GOLDEN "matrix.h5:/cube", "has 3 dimensions where 2 are expected" },
        { GOLDEN "matrix.h5:/whole", "does not hold floating-point" },
        { GOLDEN "matrix.h5:/absent", "no readable array /absent" },
        { GOLDEN "matrix.h5:/deep", "no readable array /deep" },
        { GOLDEN "f32.npy:/x", "cannot open" },
        { GOLDEN "foreign.safetensors", "not a .npy file but a safetensors file" },
        { GOLDEN "matrix.h5:", "not a file, and not FILE.h5:/path" },
        { GOLDEN, "not a regular file" },
        { "/nowhere.npy", "not a file, and not FILE.h5:/path" },
        { "/nowhere.h5:/x", "cannot open /nowhere.h5" },
    };
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        int64_t n, d;
        double *x;
        struct err err;
        assert_int_equal(matrix_read(bad[k][0], &n, &d, &x, &err), -1);
        assert_null(x);
        assert_message(&err, bad[k][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_matrix), cmocka_unit_test(test_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
