/* .npy files and FILE.h5:/path, written by NumPy and h5py (tests/golden/store/make.py). */
#include "check.h"

#include "store/matrix_file.h"

#define GOLDEN TEST_DATA "/golden/store/"

static void test_matrix(void **state)
{
    (void)state;
    const char *good[] = { GOLDEN "f32.npy", GOLDEN "big_endian.npy", GOLDEN "matrix.h5:/deep/x",
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
        { GOLDEN "fortran.npy", "Fortran order" },
        { GOLDEN "images.npy", "this is 4-d and of integers" },
        { GOLDEN "scalar.npy", "this is 0-d" },
        { GOLDEN "version2.npy", "1-d and of integers" },
        { GOLDEN "matrix.h5", "say which array" },
        { GOLDEN "matrix.h5:/cube", "has 3 dimensions where 2 are expected" },
        { GOLDEN "matrix.h5:/whole", "does not hold floating-point" },
        { GOLDEN "matrix.h5:/absent", "no readable array /absent" },
        { GOLDEN "matrix.h5:/deep", "no readable array /deep" },
        { GOLDEN "f32.npy:/x", "cannot open" },
        { GOLDEN "foreign.safetensors", "not a .npy file" },
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

/* A .npy file of version 1.0 with this header text and that many bytes of data. */
static int parse(const char *header, size_t data_bytes, struct npy *out, struct err *err)
{
    size_t n = strlen(header), total = 10 + n + data_bytes;
    unsigned char *bytes = calloc(1, total);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)n;
    bytes[9] = (unsigned char)(n >> 8);
    memcpy(bytes + 10, header, n);
    int rc = npy_parse(bytes, total, "hostile", out, err);
    free(bytes);
    return rc;
}

#define H(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

static void test_headers(void **state)
{
    (void)state;
    struct npy a;
    struct err err;
    assert_done(parse(H("'<f4'", "False", "(2, 3)"), 24, &a, &err), err);
    free(a.data);
    assert_done(parse("{\"shape\":(2,),\"descr\":\"|u1\",\"fortran_order\":True}", 2, &a, &err), err);
    assert_int_equal(a.rank, 1);
    free(a.data);
    assert_done(parse(H("'<i8'", "False", "(0, 3)"), 0, &a, &err), err);
    free(a.data);
    const struct {
        const char *header;
        size_t bytes;
        const char *message;
    } bad[] = {
        { H("'<f4'", "False", "(2, 3)"), 23, "truncated: the shape needs 24 bytes of data, the file has 23" },
        { H("'<f4'", "False", "(2, 3)"), 25, "oversized" },
        { H("'<c8'", "False", "(2,)"), 16, "'<c8' is not supported" },
        { H("'|O'", "False", "(2,)"), 16, "'|O' is not supported" },
        { H("''", "False", "(2,)"), 16, "'' is not supported" },
        { H("[('a', '<f4')]", "False", "(2,)"), 8, "records" },
        { H("'<f4'", "Maybe", "(2,)"), 8, "neither True nor False" },
        { H("'<f4'", "True", "(2, 2)"), 16, "Fortran" },
        { H("'<f4'", "False", "(2)"), 8, "not a tuple" },
        { H("'<f4'", "False", "2"), 8, "not a tuple" },
        { H("'<f4'", "False", "(2, -3)"), 8, "no number" },
        { H("'<f4'", "False", "(2, 3"), 24, "no number" },
        { H("'<f4'", "False", "(9223372036854775808,)"), 8, "too large" },
        { H("'<f4'", "False", "(4294967296, 4294967296)"), 8, "too large" },
        { H("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"), 4, "more than 8 dimensions" },
        { "{'descr': '<f4', 'descr': '<f4'}", 4, "twice" },
        { "{'descr': '<f4', 'colour': 'red'}", 4, "unknown key 'colour'" },
        { "{'descr': '<f4'}", 4, "must all be given" },
        { "{'descr': '<f4'", 0, "no end" },
        { "{'descr", 0, "not a dictionary" },
        { "[]", 0, "not a dictionary" },
        { H("'<f4'", "False", "(1,)") "x", 4, "behind the header" },
    };
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        if (parse(bad[k].header, bad[k].bytes, &a, &err) == 0)
            fail_msg("accepted: %s", bad[k].header);
        assert_message(&err, "hostile: ");
        assert_message(&err, bad[k].message);
    }
    assert_int_equal(npy_parse("\x93NUMPY\x04\x00\x00\x00", 10, "new", &a, &err), -1);
    assert_message(&err, "version 4.0");
    assert_int_equal(npy_parse("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12, "long", &a, &err), -1);
    assert_message(&err, "is no array's");
    assert_int_equal(npy_parse("\x93NUMPY\x01\x00\x76\x00", 10, "cut", &a, &err), -1);
    assert_message(&err, "truncated in the header");
}

static void test_images_and_describe(void **state)
{
    (void)state;
    struct npy a, b;
    struct err err;
    assert_done(npy_read(GOLDEN "images.npy", &a, &err), err);
    assert_done(npy_describe(GOLDEN "images.npy", &b, &err), err);
    assert_int_equal(a.type, NPY_U8);
    assert_int_equal(a.rank, 4);
    assert_int_equal(a.dims[3], 5);
    assert_int_equal(((uint8_t *)a.data)[119], 119);
    assert_int_equal(b.bytes, 120);
    assert_null(b.data);
    free(a.data);
    assert_done(npy_read(GOLDEN "version2.npy", &a, &err), err);
    assert_int_equal(((int64_t *)a.data)[1], -2);
    free(a.data);
}

static void test_write(void **state)
{
    (void)state;
    struct err err;
    float x[24];
    for (int i = 0; i < 24; i++)
        x[i] = (float)i / 3;
    const int64_t dims[] = { 2, 3, 4 };
    struct npy a;
    for (int rank = 0; rank <= 3; rank++) {
        const char *path = in_scratch("x.npy");
        assert_done(npy_write_float(path, x, rank, dims, &err), err);
        assert_done(npy_read(path, &a, &err), err);
        assert_int_equal(a.type, NPY_F32);
        assert_int_equal(a.rank, rank);
        assert_memory_equal(a.dims, dims, (size_t)rank * sizeof dims[0]);
        assert_memory_equal(a.data, x, a.bytes);
        free(a.data);
    }
    /* byte for byte what NumPy writes */
    char *own, *numpy;
    size_t n, m;
    const float y[] = { -0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f };
    assert_done(npy_write_float(in_scratch("y.npy"), y, 2, dims, &err), err);
    assert_done(fs_read(in_scratch("y.npy"), &own, &n, &err), err);
    assert_done(fs_read(GOLDEN "f32.npy", &numpy, &m, &err), err);
    assert_int_equal(n, m);
    assert_memory_equal(own, numpy, n);
    free(own);
    free(numpy);
    assert_int_equal(npy_write_float("/nowhere/x.npy", x, 1, dims, &err), -1);
    assert_message(&err, "/nowhere/x.npy");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_matrix), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_headers), cmocka_unit_test(test_images_and_describe),
                                        cmocka_unit_test(test_write) };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
