/* Result files: complete or absent, read back as written, clear when wrong. */
#include "check.h"

#include <math.h>
#include <sys/stat.h>

#include "store/result.h"

struct row {
    const char *name;
    int64_t count;
    double value;
};
static const struct column columns[] = {
    { "name", COLUMN_STRING, offsetof(struct row, name), NULL, "a name" },
    { "count", COLUMN_INT, offsetof(struct row, count), "images", "a count" },
    { "value", COLUMN_FLOAT, offsetof(struct row, value), NULL, "a value" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

static struct result *create(const char *path)
{
    struct err err;
    cJSON *provenance = cJSON_Parse("{\"revision\":\"abc\",\"seed\":7,\"alpha\":0.05,\"data\":{\"a\":1}}");
    struct result *r = result_create(path, provenance, &err);
    cJSON_Delete(provenance);
    if (r == NULL)
        fail_msg("%s", err.text);
    return r;
}

static void write_all(const char *path)
{
    struct err err;
    const struct row rows[] = { { "gr\xC3\xBC\xC3\x9F", 1, 0.5 }, { NULL, -1, NAN } };
    const float x[6] = { 0, 1, 2, 3, 4, 5 };
    const double y[3] = { 1e-300, -1, INFINITY };
    const int64_t z[2] = { INT64_MIN, INT64_MAX }, two[] = { 2, 3 }, three = 3, pair = 2, none[] = { 0, 4 };
    struct result *r = create(path);
    assert_done(result_table(r, "/scores/table", "a table", columns, rows, sizeof *rows, 2, &err), err);
    assert_done(result_table(r, "/empty", "no rows", columns, NULL, sizeof *rows, 0, &err), err);
    assert_done(result_float(r, "/representations", "x", NULL, x, 2, two, &err), err);
    assert_done(result_float(r, "/nothing", "x", NULL, x, 2, none, &err), err);
    assert_done(result_double(r, "/loglik/members", "y", "nats", y, 1, &three, &err), err);
    assert_done(result_double(r, "/scalar", "y", "nats", y, 0, NULL, &err), err);
    assert_done(result_int(r, "/indices", "z", NULL, z, 1, &pair, &err), err);
    assert_int_equal(result_int(r, "/indices", "z", NULL, z, 1, &pair, &err), -1);
    assert_message(&err, "cannot write /indices");
    assert_message(&err, path);
    assert_false(fs_exists(path));
    assert_done(result_commit(r, &err), err);
    assert_true(fs_exists(path));
}

static void test_round_trip(void **state)
{
    (void)state;
    struct err err;
    const char *path = in_scratch("a.h5");
    write_all(path);
    int64_t dims[2], *z;
    float *x;
    double *y;
    assert_done(result_read_float(path, "/representations", 2, dims, &x, &err), err);
    assert_int_equal(dims[0] * 10 + dims[1], 23);
    assert_true(x[5] == 5);
    free(x);
    assert_done(result_read_double(path, "/loglik/members", 1, dims, &y, &err), err);
    assert_true(y[0] == 1e-300 && isinf(y[2]));
    free(y);
    assert_done(result_read_double(path, "/representations", 2, dims, &y, &err), err); /* widened */
    assert_true(y[4] == 4);
    free(y);
    assert_done(result_read_int(path, "/indices", 1, dims, &z, &err), err);
    assert_true(z[0] == INT64_MIN && z[1] == INT64_MAX);
    free(z);
    assert_done(result_read_float(path, "/nothing", 2, dims, &x, &err), err);
    assert_int_equal(dims[0], 0);
    assert_int_equal(dims[1], 4);
    free(x);
    assert_done(result_read_double(path, "/scalar", 0, dims, &y, &err), err);
    free(y);
    assert_int_equal(result_read_int(path, "/representations", 2, dims, &z, &err), -1);
    assert_message(&err, "does not hold integers");
    assert_int_equal(result_read_float(path, "/representations", 1, dims, &x, &err), -1);
    assert_message(&err, "has 2 dimensions where 1 are expected");
    assert_int_equal(result_read_float(path, "/other", 1, dims, &x, &err), -1);
    assert_message(&err, "no readable array /other");
}

static void test_same_bytes(void **state)
{
    (void)state;
    struct err err;
    char *a, *b;
    size_t n, m;
    write_all(in_scratch("c.h5"));
    sleep(1); /* time stamps would differ */
    write_all(in_scratch("b.h5"));
    assert_done(fs_read(in_scratch("c.h5"), &a, &n, &err), err);
    assert_done(fs_read(in_scratch("b.h5"), &b, &m, &err), err);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

static void test_failures(void **state)
{
    (void)state;
    struct err err;
    float *x;
    int64_t dims[1];
    assert_null(result_create("/nowhere/a.h5", NULL, &err));
    assert_message(&err, "/nowhere/a.h5");
    result_abandon(NULL);
    const char *path = in_scratch("abandoned.h5");
    result_abandon(create(path));
    assert_false(fs_exists(path));
    char command[256];
    snprintf(command, sizeof command, "test -z \"$(ls %s | grep tmp)\"", scratch);
    assert_int_equal(system(command), 0);
    assert_done(fs_write_atomic(path, "not HDF5 at all", 15, &err), err);
    assert_int_equal(result_read_float(path, "/x", 1, dims, &x, &err), -1);
    assert_message(&err, "cannot open ");
    /* damage in the middle of the data is found by the checksum */
    const char *damaged = in_scratch("damaged.h5");
    struct result *r = create(damaged);
    float noise[4096];
    uint32_t v = 1;
    for (int i = 0; i < 4096; i++)
        noise[i] = (float)(v = v * 1664525 + 1013904223);
    const int64_t n = 4096;
    assert_done(result_float(r, "/x", "x", NULL, noise, 1, &n, &err), err);
    assert_done(result_commit(r, &err), err);
    char *bytes;
    size_t size;
    assert_done(fs_read(damaged, &bytes, &size, &err), err);
    bytes[size - 2000] = (char)(bytes[size - 2000] ^ 0x55);
    assert_done(fs_write_atomic(damaged, bytes, size, &err), err);
    free(bytes);
    assert_int_equal(result_read_float(damaged, "/x", 1, dims, &x, &err), -1);
    assert_message(&err, "cannot read ");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip), cmocka_unit_test(test_same_bytes),
                                        cmocka_unit_test(test_failures) };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
