/* .npy files by NumPy (tests/golden/store/make.py) and by hand. */
#include "check.h"

#include "base/mem.h"
#include "store/npy.h"

#define GOLDEN TEST_DATA "/golden/store/"

/* A .npy file of version 1.0 with this header text and that many bytes of data. */
static int parse(const char *header, size_t data_bytes, enum npy_type type, struct npy *out, struct err *err)
{
    size_t n = strlen(header), total = 10 + n + data_bytes;
    unsigned char *bytes = calloc(1, total);
    memcpy(bytes, "\x93NUMPY\x01\x00", 8);
    bytes[8] = (unsigned char)n;
    bytes[9] = (unsigned char)(n >> 8);
    memcpy(bytes + 10, header, n);
    int rc = npy_parse(bytes, total, "hostile", type, out, err);
    free(bytes);
    return rc;
}

#define H(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"

static void test_headers(void **state)
{
    (void)state;
    struct npy a;
    struct err err;
    /* as other writers and older versions put it */
    const char *good[] = {
        H("'<f4'", "False", "(2, 3)"),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }          \n", /* Python 2 */
        "{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}",
        "{ 'shape' : ( 2 , 3 , ) ,\t'fortran_order' : False\n, 'descr' : '=f4' , } \n",
        "{'fortran_order': True, 'descr': '>f4', 'shape': (2, 3)}",
    };
    for (size_t k = 0; k < sizeof good / sizeof good[0]; k++) {
        assert_done(parse(good[k], 24, NPY_F32, &a, &err), err);
        assert_true(a.rank == 2 && a.dims[0] == 2 && a.dims[1] == 3 && a.bytes == 24);
        free(a.data);
    }
    assert_done(parse(H("'|u1'", "True", "(2,)"), 2, NPY_I64, &a, &err), err);
    assert_int_equal(a.rank, 1);
    free(a.data);
    assert_done(parse(H("'<i2'", "True", "(0, 9223372036854775807)"), 0, NPY_F64, &a, &err), err);
    assert_int_equal(a.bytes, 0);
    free(a.data);
    const struct {
        const char *header;
        size_t bytes;
        const char *message;
    } bad[] = {
        { H("'<f4'", "False", "(2, 3)"), 23, "truncated: the shape needs 24 bytes of data, the file has 23" },
        { H("'<f4'", "False", "(2, 3)"), 25,
          "oversized: the shape needs 24 bytes of data, the file has 25: one array a file" },
        { H("'<c8'", "False", "(2,)"), 16, "'<c8' (complex numbers) is not supported" },
        { H("'|O'", "False", "(2,)"), 16, "'|O' (Python objects) is not supported" },
        { H("''", "False", "(2,)"), 16, "'' (unknown) is not supported" },
        { H("'<'", "False", "(2,)"), 16, "'<' (unknown) is not supported" },
        { H("[('a', '<f4')]", "False", "(2,)"), 8, "records" },
        { H("'<f4'", "Maybe", "(2,)"), 8, "neither True nor False" },
        { H("'|V2'", "False", "(2,)"), 4, "'|V2' (raw bytes, as bfloat16 is saved)" },
        { H("'<f16'", "False", "(2,)"), 32, "'<f16' (long floats)" },
        { H("'<U3'", "False", "(2,)"), 24, "'<U3' (text)" },
        { H("'<M8[ns]'", "False", "(2,)"), 16, "'<M8[ns]' (times)" },
        { H("'<q9'", "False", "(2,)"), 16, "'<q9' (unknown)" },
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
        if (parse(bad[k].header, bad[k].bytes, NPY_F64, &a, &err) == 0)
            fail_msg("accepted: %s", bad[k].header);
        assert_message(&err, "hostile: ");
        assert_message(&err, bad[k].message);
    }
    assert_int_equal(npy_parse("\x93NUMPY\x04\x00\x00\x00", 10, "new", NPY_F64, &a, &err), -1);
    assert_message(&err, "version 4.0");
    assert_int_equal(npy_parse("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF", 12, "long", NPY_F64, &a, &err), -1);
    assert_message(&err, "is no array's");
    assert_int_equal(npy_parse("\x93NUMPY\x01\x00\x76\x00", 10, "cut", NPY_F64, &a, &err), -1);
    assert_message(&err, "truncated in the header");
}

static void test_images_and_describe(void **state)
{
    (void)state;
    struct npy a, b;
    struct err err;
    assert_done(npy_read(GOLDEN "images.npy", NPY_U8, &a, &err), err);
    assert_done(npy_describe(GOLDEN "images.npy", &b, &err), err);
    assert_int_equal(a.rank, 4);
    assert_int_equal(a.dims[3], 5);
    assert_int_equal(((uint8_t *)a.data)[119], 119);
    assert_int_equal(b.stored_bytes, 120);
    assert_string_equal(b.dtype, "uint8");
    assert_null(b.data);
    free(a.data);
    assert_done(npy_read(GOLDEN "version2.npy", NPY_I64, &a, &err), err);
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
        assert_done(npy_read(path, NPY_F32, &a, &err), err);
        assert_string_equal(a.dtype, "float32");
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

/* ---- every type x order of the axes x byte order x version, by NumPy ---- */

enum { ELEMENTS = 12 };

struct packed {
    const char *bytes;
    size_t n;
    double real[ELEMENTS];
    int64_t whole[ELEMENTS];
};

static const char *unpack(const char *at, struct packed *out)
{
    int64_t n;
    memcpy(&n, at, sizeof n);
    out->bytes = at + sizeof n;
    out->n = (size_t)n;
    at = out->bytes + n;
    memcpy(out->real, at, sizeof out->real);
    memcpy(out->whole, at + sizeof out->real, sizeof out->whole);
    return at + sizeof out->real + sizeof out->whole;
}

static void check_reals(const struct packed *p)
{
    struct npy a;
    struct err err;
    assert_done(npy_parse(p->bytes, p->n, "x", NPY_F64, &a, &err), err);
    assert_true(a.rank == 3 && a.dims[0] == 2 && a.dims[1] == 3 && a.dims[2] == 2);
    assert_memory_equal(a.data, p->real, sizeof p->real);
    free(a.data);
    assert_done(npy_parse(p->bytes, p->n, "x", NPY_F32, &a, &err), err);
    bool single = true;
    for (int i = 0; i < ELEMENTS; i++) {
        assert_true(((const float *)a.data)[i] == (float)p->real[i]);
        single = single && (double)(float)p->real[i] == p->real[i];
    }
    if (npy_is_single(&a))
        assert_true(single);
    free(a.data);
}

static void check_integers(const struct packed *p, const char *dtype)
{
    struct npy a;
    struct err err;
    int rc = npy_parse(p->bytes, p->n, "x", NPY_I64, &a, &err);
    if (strncmp(dtype, "float", 5) == 0) {
        assert_int_equal(rc, -1);
        assert_message(&err, " where integers are wanted");
    } else if (strcmp(dtype, "uint64") == 0) {
        assert_int_equal(rc, -1);
        assert_message(&err, "x: element [0, 0, 1] is 18446744073709551615, too large");
    } else {
        assert_done(rc, err);
        assert_memory_equal(a.data, p->whole, sizeof p->whole);
        free(a.data);
    }
}

static void check_bytes(const struct packed *p, const char *dtype)
{
    struct npy a;
    struct err err;
    int rc = npy_parse(p->bytes, p->n, "x", NPY_U8, &a, &err);
    if (strcmp(dtype, "uint8") == 0) {
        assert_done(rc, err);
        for (int i = 0; i < ELEMENTS; i++)
            assert_true(((const uint8_t *)a.data)[i] == p->whole[i]);
        free(a.data);
        return;
    }
    assert_int_equal(rc, -1);
    assert_null(a.data);
    if (strncmp(dtype, "int", 3) == 0)
        assert_message(&err, "x: element [0, 0, 0] is -");
    else if (strncmp(dtype, "uint", 4) == 0)
        assert_message(&err, "x: element [0, 0, 1] is ");
    else
        assert_message(&err, " where integers are wanted");
}

static void test_every_type(void **state)
{
    (void)state;
    struct err err;
    char *file;
    size_t size;
    int64_t n;
    assert_done(fs_read(GOLDEN "npy.bin", &file, &size, &err), err);
    memcpy(&n, file, sizeof n);
    assert_int_equal(n, 12 * 2 * 2 * 3);
    const char *at = file + sizeof n;
    for (int64_t i = 0; i < n; i++) {
        struct packed p;
        struct npy a;
        at = unpack(at, &p);
        assert_done(npy_parse(p.bytes, p.n, "x", NPY_F64, &a, &err), err);
        free(a.data);
        check_reals(&p);
        check_integers(&p, a.dtype);
        check_bytes(&p, a.dtype);
    }
    assert_ptr_equal(at, file + size);
    mem_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_headers), cmocka_unit_test(test_images_and_describe),
                                        cmocka_unit_test(test_write), cmocka_unit_test(test_every_type) };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
