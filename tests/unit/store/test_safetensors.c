/* safetensors: foreign files are read, hostile ones refused, own ones round-trip. */
#include "check.h"

#include <malloc.h>
#include <math.h>

#include "store/file_kind.h"
#include "store/safetensors.h"

/* Length prefix, header text, `data_bytes` bytes of zeros. */
static size_t compose(unsigned char *out, const char *header, size_t data_bytes)
{
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(n >> (8 * i));
    memcpy(out + 8, header, n);
    memset(out + 8 + n, 0, data_bytes);
    return 8 + n + data_bytes;
}

static void refused(const char *header, size_t data_bytes, const char *message)
{
    unsigned char *bytes = malloc(8 + strlen(header) + data_bytes);
    size_t n = compose(bytes, header, data_bytes);
    struct safetensors s;
    struct err err = { "" };
    int rc = safetensors_parse(bytes, n, "hostile", &s, &err);
    if (rc == 0)
        fail_msg("accepted: %s", header);
    assert_message(&err, "hostile: ");
    assert_message(&err, message);
    safetensors_close(&s);
    free(bytes);
}

#define T(shape, begin, end) "{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end "]}"

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *is; /* NULL: could be safetensors */
    } files[] = {
        { "", 0, "empty" },
        { "version https://git-lfs.github.com/spec/v1\noid", 45, "git-lfs" },
        { "version https://git-", 20, NULL },
        { "<!DOCTYPE HTML><html>", 21, "HTML" },
        { "<html lang=\"en\">", 16, "HTML" },
        { "\200\002}q\000.", 6, "pickle" },
        { "\211HDF\r\n\032\n\0\0", 10, "HDF5" },
        { "\037\213\010\0\0\0\0\0\0\003", 10, "gzip" },
        /* headers of 35615 and of 640 bytes */
        { "\037\213\0\0\0\0\0\0{\"", 10, NULL },
        { "\200\002\0\0\0\0\0\0{\"", 10, NULL },
        { "PK\003\004\024\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\005\0\0\0a.npy", 35, ".npz" },
        { "PK\003\004\024\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\005\0\0\0a/dat", 35, "torch.save" },
        { "PK\003\004\024\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377\0\0.npy", 34, "torch.save" },
        { "PK\003\004", 4, "torch.save" },
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *is = file_kind(files[i].bytes, files[i].n);
        if (files[i].is == NULL ? is != NULL : is == NULL || strstr(is, files[i].is) == NULL)
            fail_msg("file %zu is \"%s\"", i, is == NULL ? "NULL" : is);
    }
}

static void test_hostile(void **state)
{
    (void)state;
    refused("", 0, "does not begin with '{'");
    refused("[]", 0, "does not begin");
    refused(" {}", 0, "does not begin");
    refused("{", 0, "expected a string");
    refused("{}x", 0, "text behind");
    refused("{\"a\":" T("2", "0", "8") ",}", 8, "expected a string");
    refused("{\"a\":" T("2", "0", "8") "}", 4, "not within the file's 4 bytes");
    refused("{\"a\":" T("2", "0", "8") "}", 12, "4 bytes behind the last tensor");
    refused("{\"a\":" T("2", "0", "8") ",\"b\":" T("1", "12", "16") "}", 16, "a hole of 4 bytes before tensor \"b\"");
    refused("{\"a\":" T("1", "4", "8") "}", 8, "a hole of 4 bytes");
    refused("{\"a\":" T("2", "0", "8") ",\"b\":" T("2", "4", "12") "}", 12, "overlaps");
    refused("{\"a\":" T("2", "0", "8") ",\"a\":" T("2", "8", "16") "}", 16, "two tensors are called \"a\"");
    refused("{\"a\":" T("2", "0", "8") ",\"\\u0061\":" T("2", "8", "16") "}", 16, "two tensors are called \"a\"");
    refused("{\"a\":" T("3", "0", "8") "}", 8, "the shape needs 12");
    refused("{\"a\":" T("2", "8", "0") "}", 8, "not within");
    refused("{\"a\":" T("-2", "0", "8") "}", 8, "not negative");
    refused("{\"a\":" T("2.0", "0", "8") "}", 8, "expected ']'");
    refused("{\"a\":" T("2e0", "0", "8") "}", 8, "expected ']'");
    refused("{\"a\":" T("02", "0", "8") "}", 8, "whole number");
    refused("{\"a\":" T("9223372036854775808", "0", "8") "}", 8, "too large");
    refused("{\"a\":" T("4294967296,4294967296,1", "0", "8") "}", 8, "shape is too large");
    refused("{\"a\":" T("4611686018427387904,4", "0", "0") "}", 0, "shape is too large");
    refused("{\"a\":" T("1,1,1,1,1,1,1,1,1", "0", "4") "}", 4, "more than 8 dimensions");
    refused("{\"a\":" T("2", "0", "18446744073709551624") "}", 8, "too large");
    refused("{\"a\":{\"dtype\":\"F8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "type \"F8\" is not supported");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "must all be given");
    refused("{\"a\":{}}", 0, "expected a string");
    refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "repeated key \"dtype\"");
    refused("{\"a\":{\"color\":\"red\"}}", 0, "unknown key \"color\"");
    refused("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 0, "expected '{'");
    refused("{\"a\":{\"shape\":[[[[[[[[[[[[[[[[", 0, "whole number");
    refused("{\"\\u0000\":" T("", "0", "4") "}", 4, "NUL character");
    refused("{\"\\ud800\":" T("", "0", "4") "}", 4, "surrogate");
    refused("{\"\\ud800\\u0041\":" T("", "0", "4") "}", 4, "surrogate");
    refused("{\"\\x\":" T("", "0", "4") "}", 4, "unknown escape");
    refused("{\"\\u12g4\":" T("", "0", "4") "}", 4, "four hexadecimal");
    refused("{\"\\u12", 0, "four hexadecimal");
    refused("{\"a\n\":" T("", "0", "4") "}", 4, "control character");
    refused("{\"a", 0, "ends inside a string");
    refused("{\"a\\", 0, "ends inside a string");
    refused("{\"\xC0\xAF\":" T("", "0", "4") "}", 4, "UTF-8");     /* overlong */
    refused("{\"\xED\xA0\x80\":" T("", "0", "4") "}", 4, "UTF-8"); /* surrogate */
    refused("{\"\xF4\x90\x80\x80\":" T("", "0", "4") "}", 4, "UTF-8");
    refused("{\"\xE2\x82", 0, "UTF-8");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__");
    refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "two entries \"a\"");
    refused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "two __metadata__");
}

static void test_lengths(void **state)
{
    (void)state;
    struct safetensors s;
    struct err err;
    unsigned char bytes[16] = { 0 };
    assert_int_equal(safetensors_parse(bytes, 7, "short", &s, &err), -1);
    assert_message(&err, "too short");
    memset(bytes, 0xFF, 8);
    assert_int_equal(safetensors_parse(bytes, 16, "huge", &s, &err), -1);
    assert_message(&err, "longer than 100000000 bytes");
    memset(bytes, 0, 8);
    bytes[0] = 9;
    assert_int_equal(safetensors_parse(bytes, 16, "cut", &s, &err), -1);
    assert_message(&err, "truncated");
    size_t n = compose(bytes, "{}", 0);
    assert_done(safetensors_parse(bytes, n, "empty", &s, &err), err);
    assert_int_equal(s.n, 0);
    assert_null(s.metadata);
    assert_null(safetensors_find(&s, "a"));
    safetensors_close(&s);
    safetensors_close(NULL);
}

static void test_foreign(void **state)
{
    (void)state;
    struct safetensors s;
    struct err err;
    assert_done(safetensors_open(TEST_DATA "/golden/store/foreign.safetensors", &s, &err), err);
    assert_int_equal(s.n, 8);
    assert_string_equal(s.tensors[0].name, "bytes"); /* the header's order */
    assert_string_equal(cJSON_GetObjectItem(s.metadata, "note")->valuestring, "tab\tand \xC3\xBC");
    const char *types[] = { "f32", "f64" };
    for (int k = 0; k < 2; k++) {
        const struct tensor_view *t = safetensors_find(&s, types[k]);
        float x[6];
        assert_non_null(t);
        assert_int_equal(t->rank, 2);
        assert_int_equal(t->dims[1], 3);
        assert_int_equal((uintptr_t)t->data % tensor_type_size(t->type), 0); /* the file is misaligned by 3 */
        assert_done(tensor_to_float(t, x, &err), err);
        for (int i = 0; i < 6; i++)
            assert_true(x[i] == (float)i / 4 - 0.5f);
    }
    float h[8], b[4];
    assert_done(tensor_to_float(safetensors_find(&s, "f16"), h, &err), err);
    assert_true(h[0] == 0 && !signbit(h[0]) && h[1] == 0 && signbit(h[1]) && h[2] == 1.5f);
    assert_float_equal(h[3], 6.1e-5, 1e-7); /* the smallest normal's neighbourhood */
    assert_true(h[4] == 0x1p-24f && h[5] == 65504.0f && isinf(h[6]) && h[7] == -INFINITY);
    assert_done(tensor_to_float(safetensors_find(&s, "bf16"), b, &err), err);
    assert_true(b[0] == 1 && b[1] == -2.5f && fabsf(b[2] / 3e38f - 1) < 0.01f && b[3] > 0 && b[3] < 1e-39f);
    const struct tensor_view *scalar = safetensors_find(&s, "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80 \"q\"");
    assert_non_null(scalar);
    assert_int_equal(scalar->rank, 0);
    assert_int_equal(*(const int64_t *)scalar->data, -7);
    assert_int_equal(tensor_to_float(scalar, b, &err), -1);
    assert_message(&err, "has type I64");
    assert_int_equal(safetensors_find(&s, "empty")->bytes, 0);
    assert_int_equal(((const int32_t *)safetensors_find(&s, "i32")->data)[1], -5);
    assert_null(safetensors_find(&s, "f3"));
    size_t room = 64; /* what is copied takes no more memory than it must */
    for (int i = 0; i < s.n; i++)
        room += (s.tensors[i].bytes + 7) / 8 * 8;
    assert_non_null(s.copies);
    assert_true(malloc_usable_size(s.copies) <= room + 64);
    safetensors_close(&s);
    assert_int_equal(safetensors_open("/nowhere/x.safetensors", &s, &err), -1);
    assert_message(&err, "/nowhere/x.safetensors");
    safetensors_close(&s);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct err err;
    struct safetensors s;
    const uint8_t odd[3] = { 7, 8, 9 };
    const float f[4] = { 1, -2, 3.5f, NAN };
    const int64_t step = 1234567890123;
    const struct tensor_view t[] = {
        { "odd", TENSOR_U8, 1, { 3 }, odd, 3 },
        { "layer1.0.weight", TENSOR_F32, 2, { 2, 2 }, f, sizeof f },
        { "none", TENSOR_F32, 2, { 0, 3 }, NULL, 0 },
        { "step \"\xC3\xA9\"", TENSOR_I64, 0, { 0 }, &step, 8 },
    };
    cJSON *metadata = cJSON_CreateObject();
    cJSON_AddStringToObject(metadata, "pipeline", "{\"size\": 16}");
    const char *path = in_scratch("x.safetensors");
    assert_done(safetensors_write(path, t, 4, metadata, &err), err);
    assert_done(safetensors_open(path, &s, &err), err);
    assert_null(s.copies); /* own files are aligned as they are */
    assert_int_equal(s.n, 4);
    for (int i = 0; i < 4; i++) {
        const struct tensor_view *u = safetensors_find(&s, t[i].name);
        assert_ptr_equal(u, &s.tensors[i]);
        assert_int_equal(u->type, t[i].type);
        assert_int_equal(u->rank, t[i].rank);
        assert_memory_equal(u->dims, t[i].dims, sizeof u->dims[0] * (size_t)u->rank);
        assert_int_equal(u->bytes, t[i].bytes);
        if (u->bytes > 0)
            assert_memory_equal(u->data, t[i].data, u->bytes);
    }
    assert_string_equal(cJSON_GetObjectItem(s.metadata, "pipeline")->valuestring, "{\"size\": 16}");
    safetensors_close(&s);
    char *bytes;
    size_t n;
    assert_done(fs_read(path, &bytes, &n, &err), err);
    uint64_t header;
    memcpy(&header, bytes, 8);
    assert_int_equal(header % 8, 0);
    free(bytes);

    struct tensor_view bad = t[1];
    bad.bytes = 12;
    assert_int_equal(safetensors_write(in_scratch("bad.safetensors"), &bad, 1, NULL, &err), -1);
    assert_message(&err, "does not fit its 12 bytes");
    const struct tensor_view twice[] = { t[1], t[1] };
    assert_int_equal(safetensors_write(in_scratch("bad.safetensors"), twice, 2, NULL, &err), -1);
    assert_message(&err, "two tensors are called");
    cJSON_AddNumberToObject(metadata, "count", 1);
    assert_int_equal(safetensors_write(in_scratch("bad.safetensors"), t, 1, metadata, &err), -1);
    assert_message(&err, "\"count\" is not a string");
    assert_false(fs_exists(in_scratch("bad.safetensors")));
    assert_int_equal(safetensors_write("/nowhere/x.safetensors", t, 1, NULL, &err), -1);
    assert_message(&err, "/nowhere/x.safetensors");
    cJSON_Delete(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_kinds), cmocka_unit_test(test_hostile),
                                        cmocka_unit_test(test_lengths), cmocka_unit_test(test_foreign),
                                        cmocka_unit_test(test_round_trip) };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
