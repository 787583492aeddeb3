/* store: tables with many rows and mixed types, what labels become, how arrays are cut into chunks, and that all of a
 * file is read where it is to be whole. Python is the independent reader. */
#include "check.h"

#include <fcntl.h>
#include <math.h>
#include <sys/file.h>

#include "store/collect.h"
#include "store/result.h"

static bool has_h5py(void)
{
    static int has = -1;
    if (has < 0)
        has = system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") == 0;
    return has;
}

static void python(const char *file, const char *text)
{
    char command[8192];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c '\nimport h5py, sys, math, numpy as np\nf = h5py.File(sys.argv[1])\n%s' %s", text,
             file);
    if (!has_h5py())
        skip();
    assert_int_equal(system(command), 0);
}

struct row {
    const char *text;
    int64_t whole;
    double real;
};

#define TEXT                                                                                                           \
    {                                                                                                                  \
        "text", COLUMN_STRING, offsetof(struct row, text), "u", "a text"                                               \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, COLUMN_INT, 0, NULL, NULL                                                                                \
    }
static const struct column whole[] = { TEXT, { "x", COLUMN_INT, offsetof(struct row, whole), "s", "a number" }, END };
static const struct column real[] = { { "x", COLUMN_FLOAT, offsetof(struct row, real), "s", "a number" }, TEXT, END };

static const char *file_of(const char *name, const struct column *columns, const struct row *rows, int n)
{
    struct err err;
    const char *path = in_scratch(name);
    cJSON *provenance = cJSON_Parse("{\"device\":\"d\"}");
    struct result *r = result_create(path, provenance, &err);
    cJSON_Delete(provenance);
    assert_non_null(r);
    assert_done(result_table(r, "/t/one", "a table", columns, rows, sizeof *rows, (size_t)n, &err), err);
    assert_done(result_commit(r, &err), err);
    return path;
}

static struct collect_task done(const char *name, const char *file, const char *labels)
{
    return (struct collect_task){
        .id = name, .kind = "k", .name = name, .state = "done", .file = file, .labels = cJSON_Parse(labels)
    };
}

static int collect(struct collect_task *tasks, int n, const char *out, struct err *err)
{
    int rc = collect_write(out, out, tasks, n, NULL, false, NULL, err);
    for (int i = 0; i < n; i++)
        cJSON_Delete((cJSON *)(uintptr_t)tasks[i].labels);
    return rc;
}

/* Rows in the order of their tasks; whole numbers become floats where another file has floats. */
static void many_rows(void **state)
{
    (void)state;
    enum { N = 700 };
    static struct row rows[N];
    static char texts[N][160];
    struct err err;
    for (int i = 0; i < N; i++) {
        memset(texts[i], 'a' + i % 26, sizeof texts[i] - 1);
        texts[i][i % 159] = '\0';
        rows[i] = (struct row){ texts[i], i * 1000000007LL, i + 0.5 };
    }
    struct collect_task tasks[] = { done("a", file_of("a.h5", whole, rows, 3), "{\"n\":1}"),
                                    done("b", file_of("b.h5", whole, rows, N), "{\"n\":2,\"m\":0.25}"),
                                    done("c", file_of("c.h5", real, rows, 40), "{\"m\":3}"),
                                    done("d", file_of("d.h5", whole, rows, 17), "{\"word\":\"w\"}"),
                                    done("e", file_of("e.h5", whole, rows, 0), "{}") };
    assert_done(collect(tasks, 5, in_scratch("all.h5"), &err), err);
    python(in_scratch("all.h5"),
           "t = f[\"t/one\"]\n"
           "assert list(t.dtype.names) == [\"n\", \"text\", \"x\", \"m\", \"word\"], t.dtype.names\n"
           "r = lambda n: [(chr(97 + i % 26) * (i % 159)).encode() for i in range(n)]\n"
           "assert list(t[\"text\"]) == r(3) + r(700) + r(40) + r(17)\n"
           "w = lambda n: [float(i * 1000000007) for i in range(n)]\n"
           "assert t.dtype[\"x\"] == float and list(t[\"x\"]) == w(3) + w(700) + [i + 0.5 for i in range(40)] + w(17)\n"
           "assert t.dtype[\"n\"] == np.int64 and list(t[\"n\"]) == [1] * 3 + [2] * 700 + [-1] * 57\n"
           "m = list(t[\"m\"])\n"
           "assert all(map(math.isnan, m[:3] + m[743:])) and m[3:743] == [0.25] * 700 + [3] * 40\n"
           "assert list(t[\"word\"]) == [b\"\"] * 743 + [b\"w\"] * 17\n"
           "assert t.attrs[\"description\"] == \"a table\"\n"
           "assert list(t.attrs[\"units\"]) == [\"\", \"u\", \"s\", \"\", \"\"], list(t.attrs[\"units\"])\n"
           "assert list(t.attrs[\"column_descriptions\"]) == [\"\", \"a text\", \"a number\", \"\", \"\"]\n"
           "assert t.dtype[\"text\"].itemsize == 158 and t.dtype[\"word\"].itemsize == 1\n");
    /* a column that is text in one file and a number in the other, either way round */
    static const struct column odd[] = { { "x", COLUMN_STRING, offsetof(struct row, text), NULL, NULL }, END };
    for (int i = 0; i < 2; i++) {
        struct collect_task mixed[] = { done("a", file_of("a.h5", i ? odd : whole, rows, 3), "{}"),
                                        done("b", file_of("b.h5", i ? whole : odd, rows, 3), "{}") };
        assert_int_equal(collect(mixed, 2, in_scratch("bad.h5"), &err), -1);
        assert_message(&err, "column x of /t/one holds text here and numbers in another task's file");
    }
}

static void labels(void **state)
{
    (void)state;
    struct err err;
    const struct row rows[] = { { "a", 1, 2 }, { "b", 3, 4 } };
    struct collect_task tasks[] = { done(
        "a", file_of("a.h5", whole, rows, 2),
        "{\"encoder\":\"e\",\"name\":\"n\",\"victim\":\"v\",\"role\":\"thief\",\"arch\":\"r\",\"dataset\":\"d\","
        "\"loss\":\"l\","
        "\"queries\":\"q\",\"budget\":500,\"overlap\":1,\"set_overlap\":0,\"seed\":7,\"trial\":2,\"set\":\"s\",\"yes\":"
        "true,"
        "\"no\":false,\"huge\":1e300,\"most\":9007199254740992,\"text\":\"the table's own counts\"}") };
    assert_done(collect(tasks, 1, in_scratch("labels.h5"), &err), err);
    python(in_scratch("labels.h5"),
           "t = f[\"t/one\"]\n"
           "i = [n for n in t.dtype.names if t.dtype[n] == np.int64]\n"
           "assert i == [\"budget\", \"seed\", \"trial\", \"yes\", \"no\", \"most\", \"x\"], i\n"
           "d = [n for n in t.dtype.names if t.dtype[n] == float]\n"
           "assert d == [\"overlap\", \"set_overlap\", \"huge\"], d\n"
           "assert list(t[\"yes\"]) == [1, 1] and list(t[\"no\"]) == [0, 0] and t[\"most\"][0] == 2 ** 53\n"
           "assert list(t[\"text\"]) == [b\"a\", b\"b\"] and list(t[\"budget\"]) == [500, 500]\n"
           "h = dict(zip(t.dtype.names, t.attrs[\"column_descriptions\"]))\n"
           "u = dict(zip(t.dtype.names, t.attrs[\"units\"]))\n"
           "assert u[\"budget\"] == \"images\" and all(u[n] == \"\" for n in u if n not in (\"budget\", \"x\", "
           "\"text\")), u\n"
           "assert all(h[n] for n in t.dtype.names[:14]) and not h[\"yes\"], h\n");
    static const struct {
        const char *labels, *says;
    } bad[] = { { "{\"budget\":1.5}", "label budget is not a whole number" },
                { "{\"budget\":1e300}", "label budget is not a whole number" },
                { "{\"overlap\":\"x\"}", "label overlap is not a number" },
                { "{\"victim\":1}", "label victim is not text" },
                { "{\"odd\":null}", "label odd is neither text nor a number" },
                { "{\"odd\":[1]}", "label odd is neither text nor a number" } };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct collect_task one[] = { done("a", file_of("a.h5", whole, rows, 2), bad[i].labels) };
        assert_int_equal(collect(one, 1, in_scratch("bad.h5"), &err), -1);
        assert_message(&err, bad[i].says);
    }
}

static int at[16], n_at;

static void note(void *arg, int task)
{
    *(int *)arg = task;
    at[n_at++] = task;
}

/* Whose file is being read is known at every moment: what ends the reading is left out. */
static void who_is_read(void **state)
{
    (void)state;
    struct err err;
    int last = 7;
    const struct row rows[] = { { "a", 1, 2 } };
    const struct collect_watch watch = { note, &last };
    struct collect_task tasks[] = { done("a", file_of("a.h5", whole, rows, 1), "{}"), done("b", NULL, "{}"),
                                    done("c", file_of("c.h5", whole, rows, 1), "{}") };
    const char *out = in_scratch("watched.h5");
    assert_done(collect_write(out, out, tasks, 3, NULL, false, &watch, &err), err);
    static const int want[] = { 0, -1, 2, -1 };
    assert_int_equal(n_at, 4);
    assert_memory_equal(at, want, sizeof want);
    assert_done(fs_write_atomic(in_scratch("c.h5"), "junk", 4, &err), err);
    assert_int_equal(collect_write(out, out, tasks, 3, NULL, false, &watch, &err), -1);
    assert_int_equal(last, 2);
    for (int i = 0; i < 3; i++)
        cJSON_Delete((cJSON *)(uintptr_t)tasks[i].labels);
}

/* About 256 KiB each, whole rows where they fit. */
static void chunks(void **state)
{
    (void)state;
    static float x[1000 * 512];
    static const int64_t shapes[][3] = { { 1000, 512, 0 }, { 5, 100000, 0 }, { 5, 0, 0 }, { 3, 7, 11 } };
    struct err err;
    const char *path = in_scratch("chunks.h5");
    struct result *r = result_create(path, NULL, &err);
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "/x%d", i);
        assert_done(result_float(r, name, "x", i == 0 ? "u" : NULL, x, i == 3 ? 3 : 2, shapes[i], &err), err);
    }
    const int64_t five = 5, much = 100000;
    static double y[100000];
    assert_done(result_double(r, "/y", "y", NULL, y, 1, &five, &err), err);
    assert_done(result_double(r, "/z", "z", NULL, y, 1, &much, &err), err);
    assert_done(result_commit(r, &err), err);
    python(path, "c = [f[\"x%d\" % i].chunks for i in range(4)] + [f[\"y\"].chunks, f[\"z\"].chunks]\n"
                 "assert c == [(128, 512), (1, 65536), (5, 1), (3, 7, 11), (5,), (32768,)], c\n"
                 "assert f[\"x0\"].compression_opts == 4 and f[\"x0\"].attrs[\"units\"] == \"u\" and \"units\" not in "
                 "f[\"x1\"].attrs\n"
                 "assert f[\"x2\"].shape == (5, 0)\n");
}

/* Larger than what is read at a time: damage is found wherever it is. */
static void all_of_it_is_read(void **state)
{
    (void)state;
    enum { ROW = 1500000 };
    static float x[3 * ROW];
    struct err err;
    const char *path = in_scratch("large.h5");
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i += 1000)
        x[i] = (float)i;
    for (int k = 0; k < 2; k++) {
        cJSON *provenance = cJSON_Parse("{\"task\":\"t\"}");
        struct result *r = result_create(path, provenance, &err);
        cJSON_Delete(provenance);
        const int64_t dims[] = { 3, ROW };
        assert_done(result_float(r, "/x", "x", NULL, x, 2, dims, &err), err);
        assert_done(result_commit(r, &err), err);
        bool encoder = true;
        char weights[HASH_HEX];
        assert_done(result_check_whole(path, "t", &encoder, weights, &err), err);
        assert_true(!encoder && weights[0] == '\0');
        assert_done(result_check_task(path, "t", &err), err);
        assert_int_equal(result_check_task(path, "u", &err), -1);
        assert_message(&err, "is the result of another task, t");
        assert_int_equal(result_check_whole(path, "u", &encoder, weights, &err), -1);
        char command[1024]; /* one byte of a chunk of the first row, or of the last */
        snprintf(command, sizeof command,
                 "/usr/bin/python3 -c '\nimport h5py, sys\nf = h5py.File(sys.argv[1])\nd = f[\"x\"].id\n"
                 "c = d.get_chunk_info([0, d.get_num_chunks() - 1][%d])\nf.close()\n"
                 "g = open(sys.argv[1], \"r+b\")\ng.seek(c.byte_offset + c.size // 2)\nb = g.read(1)\n"
                 "g.seek(c.byte_offset + c.size // 2)\ng.write(bytes([b[0] ^ 85]))\n' %s",
                 k, path);
        if (!has_h5py())
            skip();
        assert_int_equal(system(command), 0);
        assert_int_equal(result_check_whole(path, "t", &encoder, weights, &err), -1);
        assert_message(&err, "/x");
    }
    struct result *r = result_create(path, NULL, &err);
    assert_done(result_commit(r, &err), err);
    assert_int_equal(result_check_task(path, "t", &err), -1);
    assert_message(&err, "does not say which task made it");
    assert_int_equal(result_check_task(in_scratch("none.h5"), "t", &err), -1);
}

/* Attributes have the types of their values; what is no single value is JSON. */
static void attributes(void **state)
{
    (void)state;
    struct err err;
    const char *out = in_scratch("root.h5");
    cJSON *root = cJSON_Parse("{\"a\":1,\"b\":1.5,\"c\":\"\xC3\xBC\",\"d\":[1,{\"x\":null}],\"e\":9007199254740994,"
                              "\"f\":9007199254740992,\"g\":true,\"h\":-3,\"i\":\"\"}");
    assert_done(collect_write(out, out, NULL, 0, root, false, NULL, &err), err);
    cJSON_Delete(root);
    python(
        out,
        "a = f.attrs\n"
        "t = {k: type(v).__name__ for k, v in a.items()}\n"
        "assert t == dict(a=\"int64\", b=\"float64\", c=\"str\", d=\"str\", e=\"float64\", f=\"int64\", g=\"str\", "
        "h=\"int64\", i=\"str\"), t\n"
        "assert (a[\"a\"], a[\"b\"], a[\"c\"], a[\"d\"], a[\"f\"], a[\"g\"], a[\"h\"], a[\"i\"]) == (1, 1.5, chr(252), "
        "\"[1,{\\\"x\\\":null}]\", 2 ** 53, \"true\", -3, \"\")\n");
}

/* A file that another process holds: HDF5 says so, and dinf what to do about it. */
static void locked(void **state)
{
    (void)state;
    struct err err;
    int64_t dims[2];
    float *x;
    const struct row rows[] = { { "a", 1, 2 } };
    const char *path = file_of("locked.h5", whole, rows, 1);
    int fd = open(path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    int rc = result_read_float(path, "/t/one", 2, dims, &x, &err);
    close(fd);
    assert_int_equal(rc, -1);
    if (strstr(err.text, "lock file") == NULL)
        skip(); /* this HDF5 locks nothing */
    assert_message(&err, " (on a network file system without locks, set HDF5_USE_FILE_LOCKING=FALSE)");
    assert_int_equal(result_read_float(path, "/none", 2, dims, &x, &err), -1);
    assert_null(strstr(err.text, "HDF5_USE_FILE_LOCKING"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(many_rows),        cmocka_unit_test(labels),
                                        cmocka_unit_test(attributes),       cmocka_unit_test(locked),
                                        cmocka_unit_test(who_is_read),      cmocka_unit_test(chunks),
                                        cmocka_unit_test(all_of_it_is_read) };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
