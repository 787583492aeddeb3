/* collect: tables are joined, arrays are found under their encoder's name. */
#include "check.h"

#include <math.h>

#include "store/collect.h"
#include "store/matrix_file.h"
#include "store/result.h"

struct score {
    const char *statistic;
    double t;
    int64_t n;
};
static const struct column old_columns[] = {
    { "statistic", COLUMN_STRING, offsetof(struct score, statistic), NULL, "s" },
    { "t", COLUMN_FLOAT, offsetof(struct score, t), NULL, "Welch's t" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};
static const struct column new_columns[] = {
    { "n", COLUMN_INT, offsetof(struct score, n), "images", "tested" },
    { "statistic", COLUMN_STRING, offsetof(struct score, statistic), NULL, "s" },
    { "t", COLUMN_FLOAT, offsetof(struct score, t), NULL, "Welch's t" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};
static const struct column odd_columns[] = {
    { "t", COLUMN_STRING, offsetof(struct score, statistic), NULL, "text!" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

/* device: of the provenance, NULL if it has none. */
static struct result *begin(const char *path, const char *device)
{
    struct err err;
    cJSON *provenance = cJSON_CreateObject();
    if (device != NULL)
        cJSON_AddStringToObject(provenance, "device", device);
    struct result *r = result_create(path, provenance, &err);
    cJSON_Delete(provenance);
    if (r == NULL)
        fail_msg("%s", err.text);
    return r;
}

static void end(struct result *r)
{
    struct err err;
    assert_done(result_commit(r, &err), err);
}

static const char *score_file(const char *name, const struct column *columns, double t)
{
    struct err err;
    const char *path = in_scratch(name);
    const struct score rows[] = { { "gap", t, 100 }, { "learned", t + 1, 200 } };
    const double x[] = { t, t + 0.5 };
    const int64_t n = 2;
    struct result *r = begin(path, NULL);
    assert_done(result_table(r, "/scores/dataset_inference", "scores", columns, rows, sizeof *rows, 2, &err), err);
    assert_done(result_double(r, "/loglik/members", "l", "nats", x, 1, &n, &err), err);
    end(r);
    return path;
}

static const char *embed_file(const char *name)
{
    struct err err;
    const char *path = in_scratch(name);
    const float x[] = { 1, 2, 3, 4 };
    const int64_t dims[] = { 2, 2 };
    struct result *r = begin(path, NULL);
    assert_done(result_float(r, "/representations", "r", NULL, x, 2, dims, &err), err);
    end(r);
    return path;
}

static const char *train_file(const char *name)
{
    struct err err;
    const char *path = in_scratch(name);
    const struct score rows[] = { { "x", 3, 0 } };
    const int64_t one = 1, secret = 42;
    struct result *r = begin(path, "a CPU, 2 threads");
    assert_done(result_table(r, "/encoders", "encoders", new_columns, rows, sizeof *rows, 1, &err), err);
    assert_done(result_table(r, "/curves", "curve", old_columns, rows, sizeof *rows, 1, &err), err);
    assert_done(result_int(r, "/indices", "stay where they are", NULL, &secret, 1, &one, &err), err);
    end(r);
    return path;
}

static struct collect_task done(const char *name, const char *file, const char *labels)
{
    return (struct collect_task){ .id = "0123",
                                  .kind = "kind",
                                  .name = name,
                                  .state = "done",
                                  .device = "cpu",
                                  .error = NULL,
                                  .attempt = 1,
                                  .rank = 1,
                                  .start = 1e9,
                                  .seconds = 2.5,
                                  .file = file,
                                  .labels = cJSON_Parse(labels) };
}

static void labels_free(struct collect_task *tasks, int n)
{
    for (int i = 0; i < n; i++)
        cJSON_Delete((cJSON *)(uintptr_t)tasks[i].labels);
}

static void refused(const struct collect_task *tasks, int n, const char *message)
{
    struct err err;
    const char *out = in_scratch("refused.h5");
    assert_int_equal(collect_write(out, out, tasks, n, NULL, false, NULL, &err), -1);
    assert_message(&err, message);
    assert_false(fs_exists(out));
}

/* `python` gets the file as argument; it must exit 0. Python is the independent reader. */
static void check(const char *file, const char *python)
{
    char command[4096];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c '\nimport h5py, sys, math, pandas, numpy as np\n"
             "f = h5py.File(sys.argv[1])\n%s' %s",
             python, file);
    if (system("/usr/bin/python3 -c 'import h5py, pandas' 2>/dev/null") != 0)
        skip();
    assert_int_equal(system(command), 0);
}

static void campaign(const char *out, bool pack)
{
    struct err err;
    struct collect_task tasks[] = {
        done("train", train_file("train.h5"), "{\"name\":\"victim\",\"role\":\"victim\",\"overlap\":-1}"),
        done("theft", train_file("theft.h5"), "{\"name\":\"a/b\",\"role\":\"thief\",\"overlap\":0.5}"),
        done("embed", embed_file("embed.h5"), "{\"encoder\":\"victim\",\"set\":\"members\"}"),
        done("di 1", score_file("di1.h5", old_columns, 1), /* the file's own t stands */
             "{\"encoder\":\"victim\",\"victim\":\"victim\",\"t\":\"no\"}"),
        done("di 2", score_file("di2.h5", new_columns, 2), "{\"encoder\":\"victim\",\"victim\":\"other\",\"more\":1}"),
        done("di 3", score_file("di3.h5", new_columns, 3), "{\"encoder\":\"victim\",\"victim\":\"victim\"}"),
        done("di 4", score_file("di4.h5", new_columns, 4), "{\"encoder\":\"victim\",\"victim\":\"other\"}"),
        { .id = "ff",
          .kind = "steal",
          .name = "late",
          .state = "failed",
          .error = "it broke",
          .attempt = 2,
          .rank = -1,
          .start = NAN,
          .seconds = NAN },
    };
    enum { N = sizeof tasks / sizeof tasks[0] };
    cJSON *root = cJSON_Parse("{\"schema_version\":1,\"config\":\"campaign = {};\"}");
    assert_done(collect_write(out, out, tasks, N, root, pack, NULL, &err), err);
    cJSON_Delete(root);
    labels_free(tasks, N);
}

static const char contents[] =
    "assert f.attrs[\"schema_version\"] == 1 and f.attrs[\"config\"] == \"campaign = {};\"\n"
    "t = pandas.DataFrame(f[\"tasks\"][:])\n"
    "assert list(t) == \"id kind name state attempt rank device start seconds error\".split(), list(t)\n"
    "assert list(t.device[:3]) == [b\"a CPU, 2 threads\"] * 2 + [b\"cpu\"] and t.device[7] == b\"\", t\n"
    "assert t.state[7] == b\"failed\" and t.error[7] == b\"it broke\" and t.error[0] == b\"\", t\n"
    "s = pandas.DataFrame(f[\"scores/dataset_inference\"][:])\n"
    "assert list(s) == [\"encoder\", \"victim\", \"statistic\", \"t\", \"more\", \"n\"], list(s)\n"
    "assert list(s.t) == [1, 2, 2, 3, 3, 4, 4, 5] and list(s.n) == [-1, -1] + [100, 200] * 3, s\n"
    "assert list(s.more) == [-1, -1, 1, 1] + [-1] * 4 and list(s.statistic) == [b\"gap\", b\"learned\"] * 4, s\n"
    "a = f[\"scores/dataset_inference\"].attrs\n"
    "assert a[\"description\"] == \"scores\" and list(a[\"units\"]) == [\"\"] * 5 + [\"images\"], list(a[\"units\"])\n"
    "assert a[\"column_descriptions\"][3] == \"Welch\" + chr(39) + \"s t\"\n"
    "e = pandas.DataFrame(f[\"encoders\"][:])\n"
    "assert list(e.overlap) == [-1, .5] and e.overlap.dtype == float and list(e.name) == [b\"victim\", b\"a/b\"], e\n"
    "assert sorted(f[\"curves\"]) == [\"a_b\", \"victim\"] and f[\"curves/a_b\"][\"t\"][0] == 3\n"
    "assert f[\"representations/victim/members\"][:].tolist() == [[1, 2], [3, 4]]\n"
    "assert sorted(f[\"loglik\"]) == [\"victim\", \"victim#2\", \"victim@other\", \"victim@other#2\"], "
    "sorted(f[\"loglik\"])\n"
    "l = [f[\"loglik\"][g][\"members\"][0] for g in (\"victim\", \"victim@other\", \"victim#2\", \"victim@other#2\")]\n"
    "assert l == [1, 2, 3, 4] and f[\"loglik/victim@other\"].attrs[\"victim\"] == \"other\"\n"
    "assert sorted(f) == \"curves encoders loglik representations scores tasks\".split(), sorted(f)\n"
    "d = f[\"scores/dataset_inference\"]\n"
    "assert d.chunks and d.compression == \"gzip\" and d.shuffle and d.fletcher32\n";

static void test_contents(void **state)
{
    (void)state;
    char command[512];
    const char *out = in_scratch("results.h5");
    campaign(out, false);
    check(out, contents);
    /* links are relative: the folder may move */
    snprintf(command, sizeof command, "mkdir %s/moved && mv %s/*.h5 %s/moved", scratch, scratch, scratch);
    assert_int_equal(system(command), 0);
    check(in_scratch("moved/results.h5"), contents);
    struct err err;
    int64_t n, d;
    double *x;
    char spec[256];
    snprintf(spec, sizeof spec, "%s/moved/results.h5:/representations/victim/members", scratch);
    assert_done(matrix_read(spec, &n, &d, &x, &err), err);
    assert_true(n == 2 && d == 2 && x[3] == 4);
    free(x);
}

static void test_pack(void **state)
{
    (void)state;
    char command[256];
    const char *out = in_scratch("packed.h5");
    campaign(out, true);
    snprintf(command, sizeof command, "cd %s && mkdir away && mv packed.h5 away && rm *.h5", scratch);
    assert_int_equal(system(command), 0);
    check(in_scratch("away/packed.h5"), contents);
}

static void test_other_folders(void **state)
{
    (void)state;
    struct err err;
    char command[256];
    snprintf(command, sizeof command, "mkdir -p %s/run/tasks %s/elsewhere/deep", scratch, scratch);
    assert_int_equal(system(command), 0);
    struct collect_task t = done("embed", embed_file("run/tasks/e.h5"), "{\"encoder\":\"v\",\"set\":\"m\"}");
    const char *outs[] = { "run/r.h5", "r.h5", "elsewhere/r.h5", "elsewhere/deep/r.h5", "run/tasks/r.h5" };
    for (size_t i = 0; i < sizeof outs / sizeof outs[0]; i++) {
        assert_done(collect_write(in_scratch(outs[i]), in_scratch(outs[i]), &t, 1, NULL, false, NULL, &err), err);
        check(in_scratch(outs[i]), "assert f[\"representations/v/m\"][1, 1] == 4\n");
    }
    labels_free(&t, 1);
}

static void test_refused(void **state)
{
    (void)state;
    struct err err;
    struct collect_task missing = done("gone", "/nowhere/x.h5", "{}");
    refused(&missing, 1, "task gone: cannot open /nowhere/x.h5");
    struct collect_task twice[] = { done("one", embed_file("e1.h5"), "{\"encoder\":\"a/b\",\"set\":\"m\"}"),
                                    done("two", embed_file("e2.h5"), "{\"encoder\":\"a_b\",\"set\":\"m\"}") };
    refused(twice, 2, "task two: ");
    refused(twice, 2, "/representations/a_b/m is taken by another task's array");
    struct collect_task nameless = done("embed", embed_file("e3.h5"), "{\"encoder\":\"v\"}");
    refused(&nameless, 1, "do not say which set");
    struct collect_task stranger = done("train", train_file("t.h5"), "{}");
    refused(&stranger, 1, "do not say which encoder");
    const char *odd = in_scratch("odd.h5");
    const struct score row = { "text", 0, 0 };
    struct result *r = begin(odd, NULL);
    assert_done(result_table(r, "/scores/dataset_inference", "s", odd_columns, &row, sizeof row, 1, &err), err);
    end(r);
    struct collect_task types[] = { done("a", score_file("s.h5", old_columns, 1), "{\"encoder\":\"v\"}"),
                                    done("b", odd, "{\"encoder\":\"v\"}") };
    refused(types, 2, "column t of /scores/dataset_inference holds text here");
    assert_done(fs_write_atomic(in_scratch("junk.h5"), "junk", 4, &err), err);
    struct collect_task junk = done("junk", in_scratch("junk.h5"), "{}");
    refused(&junk, 1, "task junk: cannot open");
    assert_int_equal(collect_write("/nowhere/r.h5", "/nowhere/r.h5", NULL, 0, NULL, false, NULL, &err), -1);
    assert_message(&err, "cannot write /nowhere/r.h5");
    labels_free(&missing, 1);
    labels_free(twice, 2);
    labels_free(&nameless, 1);
    labels_free(&stranger, 1);
    labels_free(types, 2);
    labels_free(&junk, 1);
}

/* Text is UTF-8 of the longest one's width, and a type is the label's, whatever its values. */
static const char types[] =
    "e = f[\"encoders\"]\n"
    "i = {n: h5py.check_string_dtype(e.dtype[n]) for n in (\"name\", \"role\", \"statistic\")}\n"
    "assert [(v.encoding, v.length) for v in i.values()] == [(\"utf-8\", 6), (\"utf-8\", 6), "
    "(\"utf-8\", 1)], i\n"
    "assert e[\"name\"][1].decode() == chr(252), e[\"name\"]\n"
    "assert e.dtype[\"overlap\"] == float and e.dtype[\"budget\"] == np.int64, e.dtype\n"
    "assert list(e[\"overlap\"]) == [-1, -1] and list(e[\"budget\"]) == [0, 0]\n"
    "t = f[\"tasks\"].dtype\n"
    "assert not any(t[n] == object for n in t.names), t\n";

static void test_types(void **state)
{
    (void)state;
    struct err err;
    const char *out = in_scratch("types.h5");
    struct collect_task tasks[] = {
        done("a", train_file("ta.h5"), "{\"name\":\"victim\",\"role\":\"victim\",\"overlap\":-1,\"budget\":0}"),
        done("b", train_file("tb.h5"), "{\"name\":\"\xC3\xBC\",\"role\":\"\",\"overlap\":-1,\"budget\":0}"),
    };
    assert_done(collect_write(out, out, tasks, 2, NULL, false, NULL, &err), err);
    check(out, types);
    labels_free(tasks, 2);
    struct collect_task wrong[] = { done("a", train_file("tw.h5"), "{\"name\":\"v\",\"budget\":\"many\"}") };
    refused(wrong, 1, "label budget is not a whole number");
    labels_free(wrong, 1);
}

/* Files of earlier versions hold text of any length, and foreign ones ASCII padded with spaces. */
static void test_other_texts(void **state)
{
    (void)state;
    struct err err;
    char command[2048];
    const char *out = in_scratch("mixed.h5"), *old = in_scratch("old.h5");
    if (system("/usr/bin/python3 -c 'import h5py, pandas' 2>/dev/null") != 0)
        skip();
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c '\nimport h5py, numpy as np, sys\n"
             "f = h5py.File(sys.argv[1], \"w\")\n"
             "t = [(\"statistic\", h5py.string_dtype()), (\"t\", \"<f4\"), (\"n\", \"<i2\")]\n"
             "f[\"scores/dataset_inference\"] = np.array([(\"gr\" + chr(252) + \"n\", 1.5, 7), (\"\", 2, 8)], t)\n"
             "t[0] = (\"statistic\", h5py.string_dtype(\"ascii\", 4))\n"
             "f[\"scores/other\"] = np.array([(b\"full\", 1.5, 7), (b\"x\", 2, 8)], t)\n' %s",
             old);
    assert_int_equal(system(command), 0);
    struct collect_task tasks[] = { done("old", old, "{\"encoder\":\"v\"}"),
                                    done("new", score_file("new.h5", new_columns, 3), "{\"encoder\":\"v\"}") };
    assert_done(collect_write(out, out, tasks, 2, NULL, false, NULL, &err), err);
    check(out,
          "s = f[\"scores/dataset_inference\"]\n"
          "assert [v.decode() for v in s[\"statistic\"]] == [\"gr\" + chr(252) + \"n\", \"\", \"gap\", \"learned\"]\n"
          "assert list(s[\"t\"]) == [1.5, 2, 3, 4] and list(s[\"n\"]) == [7, 8, 100, 200], s[:]\n"
          "assert list(f[\"scores/other\"][\"statistic\"]) == [b\"full\", b\"x\"]\n");
    labels_free(tasks, 2);
}

/* PyTables reads no text of any length: it is the reader that would complain. */
static void test_pytables(void **state)
{
    (void)state;
    char command[1024];
    const char *out = in_scratch("tables.h5");
    if (system("/usr/bin/python3 -c 'import tables' 2>/dev/null") != 0)
        skip();
    campaign(out, true);
    snprintf(command, sizeof command,
             "/usr/bin/python3 -W error -c '\nimport tables, sys\n"
             "f = tables.open_file(sys.argv[1])\n"
             "t = f.root.tasks\n"
             "assert isinstance(t, tables.Table), t\n"
             "assert [r[\"name\"] for r in t.where(\"state == b\\\"failed\\\"\")] == [b\"late\"]\n"
             "s = f.root.scores.dataset_inference.read()\n"
             "assert list(s[\"statistic\"]) == [b\"gap\", b\"learned\"] * 4 and list(s[\"t\"][:2]) == [1, 2]\n"
             "assert list(f.root.encoders.read()[\"name\"]) == [b\"victim\", b\"a/b\"]\n' %s",
             out);
    assert_int_equal(system(command), 0);
}

static void test_nothing_done(void **state)
{
    (void)state;
    struct err err;
    const char *out = in_scratch("empty.h5");
    assert_done(collect_write(out, out, NULL, 0, NULL, false, NULL, &err), err);
    check(out, "assert len(pandas.DataFrame(f[\"tasks\"][:])) == 0 and list(f) == [\"tasks\"]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_contents),      cmocka_unit_test(test_pack),
                                        cmocka_unit_test(test_other_folders), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_types),         cmocka_unit_test(test_other_texts),
                                        cmocka_unit_test(test_pytables),      cmocka_unit_test(test_nothing_done) };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
