/* store: what others hand in, at the limits of what is read: kinds of files, text in headers, many tensors, large and
 * turned arrays, images. */
#include "check.h"

#include <math.h>

#include "base/mem.h"
#include "store/file_kind.h"
#include "store/image_file.h"
#include "store/json_scan.h"
#include "store/matrix_file.h"
#include "store/npy.h"
#include "store/npy_header.h"
#include "store/safetensors.h"

static void put(const char *name, const void *bytes, size_t n)
{
    struct err err;
    assert_done(fs_write_atomic(in_scratch(name), bytes, n, &err), err);
}

/* ---- kinds of files ---- */

static void kinds(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *is;
    } marks[] = {
        { "version https://git-lfs", 23, "a git-lfs pointer" },
        { "<!DocType html", 14, "an HTML page" },
        { "<HTML", 5, "an HTML page" },
        { "<?xml", 5, "an XML text" },
        { "\037\213", 2, "compressed by gzip" },
        { "BZh", 3, "compressed by bzip2" },
        { "\3757zXZ", 6, "compressed by xz" },
        { "\x28\xb5\x2f\xfd", 4, "compressed by zstd" },
        { "7z\xbc\xaf\x27\x1c", 6, "a 7z archive" },
        { "\211HDF\r\n\032\n", 8, "an HDF5 file" },
        { "\223NUMPY", 6, "a NumPy .npy file" },
        { "GGUF", 4, "a GGUF file" },
        { "PK\3\4", 4, "a ZIP archive" },
        { "\200\2", 2, "a pickle" },
        { "\200\5", 2, "a pickle" },
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char bytes[32] = "";
        memcpy(bytes, marks[i].bytes, marks[i].n);
        const char *is = file_kind(bytes, marks[i].n);
        if (is == NULL || strncmp(is, marks[i].is, strlen(marks[i].is)) != 0)
            fail_msg("%s instead of %s", is != NULL ? is : "nothing", marks[i].is);
        is = file_kind(bytes, marks[i].n - 1);
        if (marks[i].n > 1 && is != NULL)
            fail_msg("%s without its last byte is %s", marks[i].is, is);
        assert_int_equal(file_mishap(bytes, marks[i].n) != NULL, i < 9);
    }
    assert_null(file_kind("\200\1", 2));
    assert_null(file_kind("\200\6", 2));
    assert_null(file_kind("\201\2", 2));
    assert_string_equal(file_mishap("", 0), "an empty file");
    unsigned char tar[262] = { 'x' };
    memcpy(tar + 257, "ustar", 5);
    assert_string_equal(file_mishap(tar, 262), "a tar archive: unpack it first");
    assert_null(file_mishap(tar, 261));
    /* the name of a ZIP's first member: 2 bytes of length, and it stands behind 30 */
    unsigned char zip[30 + 600] = "PK\3\4";
    memset(zip + 30, 'n', 600);
    for (int length = 3; length <= 600; length += 199) {
        zip[26] = (unsigned char)length;
        zip[27] = (unsigned char)(length >> 8);
        memset(zip + 30, 'n', 600);
        if (length >= 4)
            memcpy(zip + 30 + length - 4, ".npy", 4);
        assert_int_equal(strstr(file_kind(zip, 30 + (size_t)length), ".npz") != NULL, length >= 4);
        assert_null(strstr(file_kind(zip, 30 + (size_t)length - 1), ".npz"));
    }
    zip[26] = 4;
    zip[27] = 0;
    memcpy(zip + 30, ".npy", 4);
    assert_non_null(strstr(file_kind(zip, 34), ".npz"));
    assert_null(strstr(file_kind(zip, 29), ".npz"));
    /* where the text of a header follows, the marks are a length */
    assert_null(file_kind("GGUF\0\0\0\0{", 9));
    assert_non_null(file_kind("GGUF\0\0\0\0", 8));
    struct safetensors s;
    struct err err;
    put("empty", "", 0);
    assert_int_equal(safetensors_open(in_scratch("empty"), &s, &err), -1);
    assert_message(&err, "empty: an empty file");
    struct npy a;
    static const struct {
        const char *bytes;
        size_t n;
        const char *is;
    } arrays[] = { { "\211HDF\r\n\032\n\0\0\0\0", 12, "not a .npy file but an HDF5 file" },
                   { "\211HDF", 4, "not a .npy file but an HDF5 file" },
                   { "PK\3\4", 4, "not a .npy file but a ZIP archive, as numpy.savez" },
                   { "\200\2", 2, "not a .npy file but a pickle" },
                   { "\200\5xxxxxxxxxxx", 13, "not a .npy file but a pickle" },
                   { "\200\6xxxxxxxxxxx", 13, "not a .npy file" },
                   { "12345678{", 9, "not a .npy file but a safetensors file" },
                   { "12345678", 8, "not a .npy file" },
                   { "\x93NUMPY\1\0\1", 9, "not a .npy file" },
                   { "\x93NUMPY\0\0\0\0", 10, "version 0.0 of the .npy format is unknown" },
                   { "\x93NUMPY\1\1\0\0", 10, "version 1.1 of the .npy format is unknown" },
                   { "\x93NUMPY\2\0\0\0\0", 11, "truncated in the header" },
                   { "\x93NUMPY\2\0\1\0\1\0{", 13, "a header of 65537 bytes is no array's" },
                   { "\x93NUMPY\2\0\0\0\1\0{", 13, "truncated in the header" },
                   { "\x93NUMPY\1\0\1\0{", 11, "the header is not a dictionary of" },
                   { "\x93NUMPY\1\0\1\0[", 11, "the header is not a dictionary" } };
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        assert_int_equal(npy_parse(arrays[i].bytes, arrays[i].n, "x", NPY_F64, &a, &err), -1);
        assert_message(&err, arrays[i].is);
    }
    assert_int_equal(npy_parse("12345678", 8, "x", NPY_F64, &a, &err), -1);
    assert_string_equal(err.text, "x: not a .npy file");
}

/* ---- text in headers ---- */

/* A safetensors file in memory: header and zeros. */
static size_t compose(unsigned char *out, const char *header, size_t data_bytes)
{
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(n >> (8 * i));
    memcpy(out + 8, header, n);
    memset(out + 8 + n, 0, data_bytes);
    return 8 + n + data_bytes;
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } rows[] = { { "A", true },
                 { "\x7F", true },
                 { "\x80", false },
                 { "\xBF", false },
                 { "\xC1\xBF", false },
                 { "\xC2\x80", true },
                 { "\xDF\xBF", true },
                 { "\xDF\x7F", false },
                 { "\xDF\xC0", false },
                 { "\xDF", false },
                 { "\xE0\x9F\xBF", false },
                 { "\xE0\xA0\x80", true },
                 { "\xE2\x82\xAC", true },
                 { "\xE2\x82\x7F", false },
                 { "\xE2\x82\xC0", false },
                 { "\xED\x9F\xBF", true },
                 { "\xED\xA0\x80", false },
                 { "\xEE\x80\x80", true },
                 { "\xEF\xBF\xBF", true },
                 { "\xEF\xBF", false },
                 { "\xF0\x8F\xBF\xBF", false },
                 { "\xF0\x90\x80\x80", true },
                 { "\xF4\x8F\xBF\xBF", true },
                 { "\xF4\x90\x80\x80", false },
                 { "\xF5\x80\x80\x80", false },
                 { "\xF0\x90\x80", false },
                 { "\xFF", false } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        if (utf8_valid(rows[i].text, strlen(rows[i].text)) != rows[i].valid)
            fail_msg("row %zu", i);
        snprintf(text, sizeof text, "\xC3\xA9%sx", rows[i].text); /* between others */
        assert_int_equal(utf8_valid(text, strlen(text)), rows[i].valid);
    }
    assert_true(utf8_valid("", 0));
}

static void escapes(void **state)
{
    (void)state;
    static const char header[] =
        " {\t\"a\\b\\f\\n\\r\\t\\/\\\\\\\"\\u0041\\u00e9\\u07FF\\u0800\\u20aC\\uFFFF\\ud800\\uDC00\\uDBFF\\uDFFF\" : "
        "\n{"
        "\r\"dtype\" :\t\"U8\" , \"shape\":[ 1 , 2 ],\"data_offsets\":[ 0 , 2 ] } , \"__metadata__\" : { \"k\" : "
        "\"v\\n\", \"l\":"
        "\"\" } } \n\t\r ";
    static const char name[] =
        "a\b\f\n\r\t/\\\"A\xC3\xA9\xDF\xBF\xE0\xA0\x80\xE2\x82\xAC\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F"
        "\xBF\xBF";
    unsigned char bytes[1024];
    struct safetensors s;
    struct err err;
    size_t n = compose(bytes, header + 1, 2);
    assert_done(safetensors_parse(bytes, n, "x", &s, &err), err);
    assert_string_equal(s.tensors[0].name, name);
    assert_true(s.tensors[0].rank == 2 && s.tensors[0].dims[0] == 1 && s.tensors[0].dims[1] == 2 &&
                s.tensors[0].bytes == 2);
    assert_string_equal(cJSON_GetObjectItem(s.metadata, "k")->valuestring, "v\n");
    assert_string_equal(cJSON_GetObjectItem(s.metadata, "l")->valuestring, "");
    safetensors_close(&s);
    static const struct {
        const char *header, *says;
    } bad[] = { { "{\"\\ud800\\udbff\":1}", "surrogate" },
                { "{\"\\ud800\\ue000\":1}", "surrogate" },
                { "{\"\\udc00\\udc00\":1}", "surrogate" },
                { "{\"\\ud800x\":1}", "surrogate" },
                { "{\"\\ud800\\n123456\":1}", "surrogate" },
                { "{\"\\u00G0\":1}", "four hexadecimal" },
                { "{\"\\u00/0\":1}", "four hexadecimal" },
                { "{\"\\u00:0\":1}", "four hexadecimal" },
                { "{\"\\u00`0\":1}", "four hexadecimal" },
                { "{\"\\u00@0\":1}", "four hexadecimal" },
                { "{\"\x1F\":1}", "control character" },
                { "{\"a\" 1}", "at byte 5: expected ':'" },
                { "{\"a\":1}", "at byte 5: expected '{'" },
                { "{\"a\":{\"dtype\":1}}", "at byte 14: expected a string" },
                { "{\"__metadata__\":{\"a\" \"b\"}}", "__metadata__: the header is not as it should be at byte 21" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        n = compose(bytes, bad[i].header, 0);
        assert_int_equal(safetensors_parse(bytes, n, "x", &s, &err), -1);
        assert_message(&err, bad[i].says);
    }
    struct json_scan scan; /* the largest number */
    int64_t v;
    assert_done(json_scan_init(&scan, "9223372036854775807 0 10", 24, &err), err);
    assert_done(json_count(&scan, &v, &err), err);
    assert_true(v == INT64_MAX);
    assert_done(json_count(&scan, &v, &err), err);
    assert_true(v == 0);
    assert_int_equal(json_end(&scan, &err), -1);
    assert_done(json_count(&scan, &v, &err), err);
    assert_true(v == 10);
    assert_done(json_end(&scan, &err), err);
    assert_false(json_take(&scan, 'x'));
    json_scan_fini(&scan);
}

/* ---- safetensors ---- */

static void header_lengths(void **state)
{
    (void)state;
    struct safetensors s;
    struct err err;
    unsigned char bytes[16] = { 0 };
    const uint64_t cap = 100000000;
    for (uint64_t length = cap; length <= cap + 1; length++) {
        for (int i = 0; i < 8; i++)
            bytes[i] = (unsigned char)(length >> (8 * i));
        assert_int_equal(safetensors_parse(bytes, 16, "x", &s, &err), -1);
        assert_message(&err, length == cap ? "truncated: the header should have 100000000 bytes, the file has 8 behind"
                                           : "or the header is longer than 100000000 bytes");
    }
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(safetensors_parse(bytes, 8, "x", &s, &err), -1);
    assert_message(&err, "does not begin with '{'");
}

static void many_tensors(void **state)
{
    (void)state;
    enum { N = 300 };
    static struct tensor_view t[N];
    static char names[N][16];
    static unsigned char data[N * 8];
    static const size_t sizes[] = { 4, 8, 2, 2, 8, 4, 1, 1, 1, 2, 2, 4, 8, 1, 1 };
    static const char *const types[] = { "F32", "F64", "F16", "BF16", "I64", "I32",     "U8",     "BOOL",
                                         "I8",  "I16", "U16", "U32",  "U64", "F8_E4M3", "F8_E5M2" };
    struct safetensors s;
    struct err err;
    for (int i = 0; i < N; i++) {
        const enum tensor_type type = (enum tensor_type)(i % 15);
        snprintf(names[i], sizeof names[i], "t%d", i * 7 % N);
        t[i] = (struct tensor_view){ .name = names[i], .type = type, .rank = 1, .dims = { i % 16 == 3 ? 0 : 1 } };
        t[i].bytes = i % 16 == 3 ? 0 : sizes[i % 15];
        t[i].data = data + 8 * i;
        memset(data + 8 * i, i % 251, 8);
        assert_int_equal(tensor_type_size(type), sizes[i % 15]);
        assert_string_equal(tensor_type_name(type), types[i % 15]);
    }
    assert_done(safetensors_write(in_scratch("many"), t, N, NULL, &err), err);
    assert_done(safetensors_open(in_scratch("many"), &s, &err), err);
    assert_int_equal(s.n, N);
    assert_null(s.metadata);
    for (int i = 0; i < N; i++) {
        const struct tensor_view *u = safetensors_find(&s, names[i]);
        assert_ptr_equal(u, &s.tensors[i]);
        assert_true(u->type == t[i].type && u->bytes == t[i].bytes && tensor_elements(u) == t[i].dims[0]);
        if (u->bytes > 0)
            assert_memory_equal(u->data, t[i].data, u->bytes);
        assert_int_equal((uintptr_t)u->data % sizes[i % 15], 0);
    }
    assert_null(safetensors_find(&s, "t300"));
    assert_null(safetensors_find(&s, ""));
    assert_null(safetensors_find(&s, "u"));
    safetensors_close(&s);
}

/* The bytes of the file, as the description of the format has them. */
static void written_bytes(void **state)
{
    (void)state;
    struct err err;
    const uint8_t u = 7;
    const double d[2] = { 1, 2 };
    const uint16_t h = 0x1234;
    const struct tensor_view t[] = { { "u", TENSOR_U8, 0, { 0 }, &u, 1 },
                                     { "d", TENSOR_F64, 2, { 1, 2 }, d, 16 },
                                     { "h", TENSOR_F16, 1, { 1 }, &h, 2 } };
    static const char header[] =
        "{\"u\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[18,19]},\"d\":{\"dtype\":\"F64\","
        "\"shape\":[1,2],\"data_offsets\":[0,16]},\"h\":{\"dtype\":\"F16\",\"shape\":[1],"
        "\"data_offsets\":[16,18]}}";
    char *bytes;
    size_t n, padded = (strlen(header) + 7) / 8 * 8;
    assert_done(safetensors_write(in_scratch("bytes"), t, 3, NULL, &err), err);
    assert_done(fs_read(in_scratch("bytes"), &bytes, &n, &err), err);
    assert_int_equal(n, 8 + padded + 19);
    assert_int_equal((unsigned char)bytes[0], padded);
    for (int i = 1; i < 8; i++)
        assert_int_equal(bytes[i], 0);
    assert_memory_equal(bytes + 8, header, strlen(header));
    for (size_t i = strlen(header); i < padded; i++)
        assert_int_equal(bytes[8 + i], ' ');
    assert_memory_equal(bytes + 8 + padded, d, 16);
    assert_memory_equal(bytes + 8 + padded + 16, &h, 2);
    assert_int_equal(bytes[8 + padded + 18], 7);
    mem_free(bytes);
    for (int length = 1; length <= 9; length++) { /* whatever the padding is */
        char name[16] = "nnnnnnnnn";
        name[length] = '\0';
        struct safetensors s;
        const struct tensor_view one = { name, TENSOR_U8, 0, { 0 }, &u, 1 };
        assert_done(safetensors_write(in_scratch("one"), &one, 1, NULL, &err), err);
        assert_done(safetensors_open(in_scratch("one"), &s, &err), err);
        assert_int_equal(*(const uint8_t *)s.tensors[0].data, 7);
        assert_true(((const char *)s.tensors[0].data - (const char *)s.map) % 8 == 0);
        safetensors_close(&s);
    }
    static const struct tensor_view bad[] = {
        { "__metadata__", TENSOR_U8, 0, { 0 }, "x", 1 },
        { "\xFF", TENSOR_U8, 0, { 0 }, "x", 1 },
        { "a", TENSOR_U8, 9, { 1, 1, 1, 1, 1, 1, 1, 1 }, "x", 1 },
        { "a", TENSOR_U8, -1, { 0 }, "x", 1 },
        { "a", TENSOR_U8, 2, { -1, -1 }, "x", 1 },
        { "a", TENSOR_F32, 1, { 1 }, "x", 1 },
        { "a", TENSOR_U8, 2, { 1, 0 }, "x", 1 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(safetensors_write(in_scratch("bad"), &bad[i], 1, NULL, &err), -1);
        assert_message(&err, i < 2 ? "a tensor cannot be called " : "does not fit its 1 bytes");
        assert_message(&err, "cannot write ");
    }
    const struct tensor_view eight = { "a", TENSOR_U8, 8, { 1, 1, 1, 1, 1, 1, 1, 1 }, "x", 1 };
    assert_done(safetensors_write(in_scratch("eight"), &eight, 1, NULL, &err), err);
    /* of tensors in one place, those without bytes come first */
    unsigned char file[512];
    size_t m = compose(
        file,
        "{\"full\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"none\":{\"dtype\":\"U8\","
        "\"shape\":[0],\"data_offsets\":[0,0]},\"last\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]}}",
        2);
    struct safetensors s;
    assert_done(safetensors_parse(file, m, "x", &s, &err), err);
    safetensors_close(&s);
}

/* ---- arrays ---- */

static size_t array(unsigned char *out, const char *descr, const char *order, const char *shape, size_t data_bytes)
{
    char header[256];
    int n =
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr, order, shape);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (unsigned char)n;
    out[9] = (unsigned char)(n >> 8);
    memcpy(out + 10, header, (size_t)n);
    memset(out + 10 + n, 0, data_bytes);
    return 10 + (size_t)n + data_bytes;
}

/* More than is converted at a time, in every order. */
static void large_arrays(void **state)
{
    (void)state;
    enum { A = 90, B = 7, C = 11, N = A * B * C };
    static unsigned char file[512 + 8 * N];
    struct err err;
    for (int kind = 0; kind < 8; kind++) {
        const bool fortran = kind & 1, swapped = kind & 2, wide = kind & 4;
        const size_t size = wide ? 8 : 2, begin = array(file,
                                                        swapped ? wide ? ">f8" : ">i2"
                                                        : wide  ? "<f8"
                                                                : "<i2",
                                                        fortran ? "True" : "False", "(90, 7, 11)", size * N) -
                                                  size * N;
        size_t at = begin;
        for (int i = 0; i < N; i++, at += size) {
            /* the index in C order of the i-th element of the file */
            int a = fortran ? i % A : i / (B * C), b = fortran ? i / A % B : i / C % B,
                c = fortran ? i / (A * B) : i % C;
            const double wide_value = (a * B + b) * C + c;
            const int16_t short_value = (int16_t)wide_value;
            unsigned char element[8];
            memcpy(element, wide ? (const void *)&wide_value : (const void *)&short_value, size);
            for (size_t k = 0; k < size; k++)
                file[at + k] = element[swapped ? size - 1 - k : k];
        }
        put("large.npy", file, at);
        for (int type = NPY_I64; type <= NPY_F64; type++) {
            struct npy x;
            if (wide && type == NPY_I64)
                continue;
            for (int from_file = 0; from_file < 2; from_file++) {
                assert_done(from_file ? npy_read(in_scratch("large.npy"), (enum npy_type)type, &x, &err)
                                      : npy_parse(file, at, "x", (enum npy_type)type, &x, &err),
                            err);
                for (int i = 0; i < N; i++)
                    assert_true(i == (type == NPY_I64   ? (double)((int64_t *)x.data)[i]
                                      : type == NPY_F32 ? (double)((float *)x.data)[i]
                                                        : ((double *)x.data)[i]));
                mem_free(x.data);
            }
        }
    }
    /* the last element is out of range, and named */
    size_t n = array(file, "<i2", "True", "(100, 200)", 40000);
    file[n - 1] = 1;
    struct npy x;
    assert_int_equal(npy_parse(file, n, "x", NPY_U8, &x, &err), -1);
    assert_message(&err, "x: element [99, 199] is 256, not 0 to 255");
    file[n - 1] = 0;
    file[n - 2] = 255;
    assert_done(npy_parse(file, n, "x", NPY_U8, &x, &err), err);
    assert_int_equal(((uint8_t *)x.data)[19999], 255);
    mem_free(x.data);
}

static void singles(void **state)
{
    (void)state;
    static const struct {
        const char *descr, *dtype;
        size_t size;
        bool single;
    } rows[] = { { "|b1", "bool", 1, true },    { "|i1", "int8", 1, true },    { "<i2", "int16", 2, true },
                 { "<i4", "int32", 4, false },  { "<i8", "int64", 8, false },  { "|u1", "uint8", 1, true },
                 { "<u2", "uint16", 2, true },  { "<u4", "uint32", 4, false }, { "<u8", "uint64", 8, false },
                 { "<f2", "float16", 2, true }, { "<f4", "float32", 4, true }, { "<f8", "float64", 8, false } };
    unsigned char file[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct npy a;
        struct err err;
        size_t n = array(file, rows[i].descr, "False", "(3,)", 3 * rows[i].size);
        assert_done(npy_parse(file, n, "x", NPY_F64, &a, &err), err);
        assert_int_equal(npy_is_single(&a), rows[i].single);
        assert_int_equal(npy_item(&a), rows[i].size);
        assert_string_equal(a.dtype, rows[i].dtype);
        assert_int_equal(a.kind, rows[i].descr[1] == 'b'   ? NPY_BOOL
                                 : rows[i].descr[1] == 'f' ? NPY_FLOAT
                                                           : NPY_INTEGER);
        mem_free(a.data);
        int rc = npy_parse(file, n, "x", NPY_I64, &a, &err); /* bool is a whole number, but no pixel */
        assert_int_equal(rc, rows[i].descr[1] == 'f' ? -1 : 0);
        mem_free(a.data);
        rc = npy_parse(file, n, "x", NPY_U8, &a, &err);
        assert_int_equal(rc, rows[i].descr[1] == 'f' || rows[i].descr[1] == 'b' ? -1 : 0);
        mem_free(a.data);
    }
    struct npy a = { .rank = 0 };
    char shape[NPY_SHAPE];
    npy_shape(&a, shape);
    assert_string_equal(shape, "()");
    a.rank = 1;
    a.dims[0] = 3;
    npy_shape(&a, shape);
    assert_string_equal(shape, "(3,)");
    a.rank = 3;
    npy_shape(&a, shape);
    assert_string_equal(shape, "(3, 0, 0)");
}

/* A header ends at a multiple of 64, and is no longer than that takes; NumPy reads it whatever its padding. */
static void written_headers(void **state)
{
    (void)state;
    struct err err;
    int64_t dims[8] = { 0 };
    for (int rank = 1; rank <= 8; rank++)
        for (int64_t big = 1; big < 10000000; big *= 10) {
            for (int i = 0; i < rank; i++)
                dims[i] = i == 0 ? 0 : big;
            assert_done(npy_write_float(in_scratch("h.npy"), NULL, rank, dims, &err), err);
            char *bytes;
            size_t n;
            assert_done(fs_read(in_scratch("h.npy"), &bytes, &n, &err), err);
            assert_int_equal(n % 64, 0);
            assert_int_equal((unsigned char)bytes[8] + 256 * (unsigned char)bytes[9], n - 10);
            assert_int_equal(bytes[n - 1], '\n');
            size_t text = n - 1;
            while (bytes[text - 1] == ' ')
                text--;
            assert_int_equal(bytes[text - 1], '}');
            assert_true(n - 1 - text < 64);
            struct npy a;
            assert_done(npy_describe(in_scratch("h.npy"), &a, &err), err);
            assert_true(a.rank == rank && a.dims[0] == 0 && (rank == 1 || a.dims[rank - 1] == big));
            assert_true(!a.fortran && !a.swapped && a.stored_bytes == 0);
            mem_free(bytes);
        }
}

static void matrices(void **state)
{
    (void)state;
    static const struct {
        const char *descr, *shape;
        size_t bytes, sparse;
        const char *says;
    } rows[] = { { "<f4", "(0, 3)", 0, 0, "m.npy is empty: its shape is (0, 3)" },
                 { "<f4", "(3, 0)", 0, 0, "m.npy is empty: its shape is (3, 0)" },
                 { "<f4", "(3, 2, 1)", 24, 0, "this has the shape (3, 2, 1)" },
                 { "|i1", "(2147483648, 1)", 0, 2147483648, "m.npy is too large: its shape is (2147483648, 1)" },
                 { "|i1", "(1, 2147483648)", 0, 2147483648, "at most 2147483647 rows and columns" } };
    unsigned char file[512];
    struct err err;
    int64_t n, d;
    double *x;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t m = array(file, rows[i].descr, "False", rows[i].shape, rows[i].bytes);
        put("m.npy", file, m);
        if (rows[i].sparse > 0)
            assert_int_equal(truncate(in_scratch("m.npy"), (off_t)(m + rows[i].sparse)), 0);
        assert_int_equal(matrix_read(in_scratch("m.npy"), &n, &d, &x, &err), -1);
        assert_message(&err, rows[i].says);
        assert_null(x);
    }
    const float values[6] = { 0, 1, 2, 3, -INFINITY, 5 };
    size_t m = array(file, "<f4", "False", "(3, 2)", 24);
    memcpy(file + m - 24, values, 24);
    put("m.npy", file, m);
    assert_int_equal(matrix_read(in_scratch("m.npy"), &n, &d, &x, &err), -1);
    assert_message(&err, "m.npy: row 2, column 0 (from 0) is infinite");
    put("m.hdf5", "x", 1);
    assert_int_equal(matrix_read(in_scratch("m.hdf5"), &n, &d, &x, &err), -1);
    assert_message(&err, "say which array of the file");
    assert_int_equal(matrix_read(in_scratch("m.hdf5:/a:/b"), &n, &d, &x, &err), -1); /* cut at the last */
    assert_message(&err, "m.hdf5:/a: ");
}

static void images(void **state)
{
    (void)state;
    static const struct {
        const char *descr, *shape;
        size_t bytes;
        const char *says; /* NULL: images */
        enum npy_type type;
    } rows[] = { { "|u1", "(2, 3, 4, 5)", 120, NULL, NPY_U8 },
                 { "<i8", "(1, 3, 1, 1)", 24, NULL, NPY_U8 },
                 { "<f2", "(1, 3, 2, 2)", 24, NULL, NPY_F32 },
                 { "<f8", "(2, 1, 1, 1)", 16, NULL, NPY_F32 },
                 { "|u1", "(3, 4, 5)", 60,
                   "images have 4 dimensions, (n, 3, h, w) or (n, h, w, 3); this has the shape (3, 4, 5)", NPY_U8 },
                 { "|u1", "(1, 1, 3, 4, 5)", 60, "this has the shape (1, 1, 3, 4, 5)", NPY_U8 },
                 { "|b1", "(1, 3, 2, 2)", 12, "holds bool: images are integers of 0 to 255, or floats", NPY_U8 },
                 { "|u1", "(0, 3, 2, 2)", 0, "holds no images: its shape is (0, 3, 2, 2)", NPY_U8 },
                 { "|u1", "(2, 3, 0, 2)", 0, "holds no images: its shape is (2, 3, 0, 2)", NPY_U8 } };
    unsigned char file[512];
    struct npy a;
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put("i.npy", file, array(file, rows[i].descr, "False", rows[i].shape, rows[i].bytes));
        int rc = image_file_read(in_scratch("i.npy"), &a, &err);
        assert_int_equal(rc, rows[i].says == NULL ? 0 : -1);
        if (rc != 0) {
            assert_message(&err, rows[i].says);
            continue;
        }
        assert_int_equal(a.type, rows[i].type);
        mem_free(a.data);
    }
    size_t m = array(file, "<f4", "False", "(3, 1, 1, 2)", 24);
    for (int at = 0; at < 6; at++) {
        float values[6] = { 0 };
        values[at] = at % 2 == 0 ? NAN : INFINITY;
        memcpy(file + m - 24, values, 24);
        put("i.npy", file, m);
        assert_int_equal(image_file_read(in_scratch("i.npy"), &a, &err), -1);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "image %d (from 0) holds %s", at / 2, at % 2 == 0 ? "NaN" : "infinity");
        assert_message(&err, wanted);
        assert_null(a.data);
    }
    m = array(file, "<i2", "False", "(1, 1, 1, 2)", 4);
    file[m - 1] = 0xFF;
    put("i.npy", file, m);
    assert_int_equal(image_file_read(in_scratch("i.npy"), &a, &err), -1);
    assert_message(&err, "element [0, 0, 0, 1] is -256, not 0 to 255");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),          cmocka_unit_test(utf8),         cmocka_unit_test(escapes),
        cmocka_unit_test(header_lengths), cmocka_unit_test(many_tensors), cmocka_unit_test(written_bytes),
        cmocka_unit_test(large_arrays),   cmocka_unit_test(singles),      cmocka_unit_test(written_headers),
        cmocka_unit_test(matrices),       cmocka_unit_test(images),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
