/* One task in this process: results once, no remains, and queries that count
 * unique images, and thieves that see what the victim saw. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/resize.h"
#include "nn/nn.h"
#include "stats/inference.h"
#include "stats/similarity.h"
#include "store/h5.h"
#include "store/result.h"
#include "store/safetensors.h"
#include "tasks/execute.h"
#include "tasks/files.h"
#include "tasks/gpu_share.h"

#define VICTIM "00000000000000000000000000000001"
#define QUERY "00000000000000000000000000000002"
#define THEFT "00000000000000000000000000000003"

static char dir[] = "/tmp/dinf-test-execute-XXXXXX";
static struct err err;

static const char *in_dir(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void make_victim(void)
{
    const float mean[3] = { 0.5f, 0.5f, 0.5f }, std[3] = { 0.25f, 0.25f, 0.25f };
    struct device *dev = device_open("ref", 1, &err);
    cJSON *block = cJSON_Parse("{\"arch\": \"resnet8\", \"width\": 0.0625}");
    struct encoder *e = encoder_random(dev, block, 1, 8, mean, std, &err);
    assert_non_null(e);
    assert_int_equal(fs_mkdirs(in_dir("tasks"), &err), 0);
    cJSON *provenance = cJSON_Parse("{\"task\": \"" VICTIM "\"}");
    assert_int_equal(encoder_save(e, in_dir("tasks/" VICTIM ".safetensors"), provenance, &err), 0);
    cJSON_Delete(provenance);
    encoder_destroy(e);
    device_close(dev);
    cJSON_Delete(block);
}

static cJSON *contents;

/* One of the kind on device ref; `rest` are parameters besides the data set, the
 * union of two stretches of 4 images of a set of 12. */
static int run_task(const char *kind, const char *id, const struct task_input *input, int second_begin,
                    const char *rest)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"dataset\": {\"parts\": ["
             "{\"of\": {\"format\": \"procedural\", \"count\": 12, \"size\": 16}, \"begin\": 0, \"count\": 4},"
             "{\"of\": {\"format\": \"procedural\", \"count\": 12, \"size\": 16}, \"begin\": %d, \"count\": 4}]},"
             "%s}",
             second_begin, rest);
    cJSON *params = cJSON_Parse(text);
    assert_non_null(params);
    struct task_context ctx = { .contents = contents,
                                .dir = dir,
                                .id = id,
                                .name = kind,
                                .params = params,
                                .inputs = input,
                                .n_inputs = 1,
                                .attempt = 1 };
    err.text[0] = 0;
    int rc = task_execute(&ctx, task_kind_find(kind), "ref", 1, &err);
    cJSON_Delete(params);
    return rc;
}

static int run_query(int second_begin)
{
    const struct task_input victim = { .role = "victim", .id = VICTIM };
    return run_task("query", QUERY, &victim, second_begin,
                    "\"budget\": 5, \"views\": 1, \"augment\": \"none\", \"batch\": 4, \"seed\": 3");
}

static void test_query(void **state)
{
    (void)state;
    make_victim();
    assert_int_equal(run_query(2), -1);
    if (strstr(err.text, "8 images, but only 6 different ones") == NULL)
        fail_msg("%s", err.text);
    assert_false(fs_exists(in_dir("tasks/" QUERY ".h5")));
    assert_int_equal(run_query(4), 0);
    assert_true(fs_exists(in_dir("tasks/" QUERY ".h5")));
    assert_false(fs_exists(in_dir("work/" QUERY)));
    /* a file that nobody has a digest of is made anew */
    assert_int_equal(fs_write_atomic(in_dir("tasks/" QUERY ".h5"), "x", 1, &err), 0);
    assert_int_equal(run_query(4), 0);
    assert_false(fs_exists(in_dir("work/" QUERY)));
    assert_true(fs_exists(in_dir("tasks/" QUERY ".h5.damaged")));
    assert_int_equal(task_files_whole(dir, QUERY, &err), 0);
}

/* Weights that are not those that were recorded are not used, nor other images than those planned. */
static void test_contents(void **state)
{
    (void)state;
    struct task_input victim = { .role = "victim", .id = VICTIM };
    const char *rest = "\"budget\": 5, \"views\": 1, \"augment\": \"none\", \"batch\": 4, \"seed\": 3";
    assert_int_equal(hash_file(in_dir("tasks/" VICTIM ".safetensors"), victim.weights, &err), 0);
    assert_int_equal(run_task("query", QUERY, &victim, 4, rest), 0);
    victim.weights[0] = victim.weights[0] == '0' ? '1' : '0';
    assert_int_equal(run_task("query", QUERY, &victim, 4, rest), -1);
    assert_non_null(strstr(err.text, "is damaged or another task's"));
    assert_false(fs_exists(in_dir("tasks/" QUERY ".h5")));
    victim.weights[0] = '\0';
    contents = cJSON_Parse("{\"dataset\": \"0123\"}");
    assert_int_equal(run_task("query", QUERY, &victim, 4, rest), -1);
    assert_non_null(strstr(err.text, "the images have changed since the run began"));
    cJSON_Delete(contents);
    contents = NULL;
    assert_int_equal(run_task("query", QUERY, &victim, 4, rest), 0);
}

static void copy(const char *from, const char *to)
{
    char *data;
    size_t bytes;
    assert_int_equal(fs_read(in_dir(from), &data, &bytes, &err), 0);
    assert_int_equal(fs_write_atomic(in_dir(to), data, bytes, &err), 0);
    mem_free(data);
}

/* Files say whose they are, also where nobody recorded a digest. */
static void test_others(void **state)
{
    (void)state;
    struct task_input victim = { .role = "victim", .id = THEFT };
    const char *rest = "\"budget\": 5, \"views\": 1, \"augment\": \"none\", \"batch\": 4, \"seed\": 3";
    copy("tasks/" VICTIM ".safetensors", "tasks/" THEFT ".safetensors");
    assert_int_equal(run_task("query", QUERY, &victim, 4, rest), -1);
    assert_non_null(strstr(err.text, THEFT ".safetensors has the weights of another task, " VICTIM));
    assert_int_equal(remove(in_dir("tasks/" THEFT ".safetensors")), 0);
    assert_int_equal(run_query(4), 0);
    copy("tasks/" QUERY ".h5", "tasks/" VICTIM ".h5");
    assert_int_equal(run_query(4), -1);
    assert_non_null(strstr(err.text, VICTIM ".h5 is the result of another task, " QUERY));
    assert_int_equal(task_files_whole(dir, VICTIM, &err), -1);
    assert_int_equal(remove(in_dir("tasks/" VICTIM ".h5")), 0);
    assert_int_equal(run_query(4), 0);
}

/* The bytes of `name`, changed: one bit at `at`; at < 0: the last -at bytes cut off. */
static void damage(const char *name, long at)
{
    char *data;
    size_t bytes;
    assert_int_equal(fs_read(in_dir(name), &data, &bytes, &err), 0);
    if (at >= 0)
        data[at] ^= 16;
    assert_int_equal(fs_write_atomic(in_dir(name), data, at < 0 ? bytes - (size_t)-at : bytes, &err), 0);
    mem_free(data);
}

/* What a result without a recorded digest must have to be taken over. */
static void test_whole(void **state)
{
    (void)state;
    static const char *const files[] = { "tasks/" THEFT ".h5", "tasks/" THEFT ".safetensors" };
    char kept[64];
    assert_int_equal(task_files_whole(dir, THEFT, &err), 0);
    for (int k = 0; k < 2; k++) {
        snprintf(kept, sizeof kept, "%s.kept", files[k]);
        copy(files[k], kept);
        damage(files[k], -100);
        assert_int_equal(task_files_whole(dir, THEFT, &err), -1);
        assert_int_equal(remove(in_dir(files[k])), 0);
        assert_int_equal(task_files_whole(dir, THEFT, &err), -1);
        copy(kept, files[k]);
        assert_int_equal(task_files_whole(dir, THEFT, &err), 0);
    }
    damage(files[1], 20000); /* one bit of a weight */
    assert_int_equal(task_files_whole(dir, THEFT, &err), -1);
    assert_non_null(strstr(err.text, "has not the weights that"));
    copy(kept, files[1]);
    copy("tasks/" VICTIM ".safetensors", files[1]);
    assert_int_equal(task_files_whole(dir, THEFT, &err), -1);
    assert_non_null(strstr(err.text, "has the weights of another task"));
    copy(kept, files[1]);
    assert_int_equal(task_files_whole(dir, THEFT, &err), 0);
}

/* Zeros in an array: its checksum says so. */
static void test_whole_array(void **state)
{
    (void)state;
    char *data;
    size_t bytes, at = 0;
    assert_int_equal(fs_read(in_dir("tasks/" QUERY ".h5"), &data, &bytes, &err), 0);
    for (size_t i = 0; i + 1 < bytes && at == 0; i++)
        if ((unsigned char)data[i] == 0x78 && (unsigned char)data[i + 1] == 0x5e) /* zlib at level 4 */
            at = i + 10;
    mem_free(data);
    assert_true(at > 0);
    damage("tasks/" QUERY ".h5", (long)at);
    assert_int_equal(task_files_whole(dir, QUERY, &err), -1);
    assert_non_null(strstr(err.text, " cannot be read"));
}

/* The query set has images of 16 x 16 pixels, the victim takes 8 x 8: so does the thief, of all that was asked. */
static void test_theft_size(void **state)
{
    (void)state;
    const struct task_input answers = { .role = "answers", .id = QUERY };
    if (run_task("steal", THEFT, &answers, 4,
                 "\"budget\": 5, \"seed\": 1, \"query\": {\"augment\": \"none\", \"views\": 1, \"seed\": 3},"
                 "\"arch\": \"resnet8\", \"width\": 0.0625, \"loss\": \"mse\", \"epochs\": 1, \"batch\": 4") != 0)
        fail_msg("%s", err.text);
    struct device *dev = device_open("ref", 1, &err);
    struct encoder *thief = encoder_load(dev, in_dir("tasks/" THEFT ".safetensors"), &err);
    assert_non_null(thief);
    assert_int_equal(encoder_size(thief), 8);
    encoder_destroy(thief);
    device_close(dev);
}

/* The task hands on all that it knows of the victim's answers: which views of which images they are about. */
static void test_theft_is_of_the_queries(void **state)
{
    (void)state;
    const struct task_input victim = { .role = "victim", .id = VICTIM }, answers = { .role = "answers", .id = QUERY };
    const char *training = "\"arch\": \"resnet8\", \"width\": 0.0625, \"loss\": \"mse\", \"epochs\": 3, \"batch\": 3";
    const char *set =
        "{\"parts\": [{\"of\": {\"format\": \"procedural\", \"count\": 12, \"size\": 16}, \"begin\": 0, "
        "\"count\": 4}, {\"of\": {\"format\": \"procedural\", \"count\": 12, \"size\": 16}, \"begin\": 4, "
        "\"count\": 4}]}";
    char rest[512], block_text[512];
    snprintf(rest, sizeof rest,
             "\"budget\": 6, \"seed\": 1, \"query\": {\"augment\": \"weak\", \"views\": 2, \"seed\": 3}, %s", training);
    snprintf(block_text, sizeof block_text, "{%s}", training);
    if (run_task("query", QUERY, &victim, 4,
                 "\"budget\": 7, \"views\": 2, \"augment\": \"weak\", \"batch\": 4, \"seed\": 3") != 0 ||
        run_task("steal", THEFT, &answers, 4, rest) != 0)
        fail_msg("%s", err.text);
    int64_t n, dims[2], *indices = NULL;
    float *targets = NULL;
    assert_int_equal(result_read_int(in_dir("tasks/" QUERY ".h5"), "/indices", 1, &n, &indices, &err), 0);
    assert_int_equal(result_read_float(in_dir("tasks/" QUERY ".h5"), "/answers", 2, dims, &targets, &err), 0);
    assert_true(n == 7 && dims[0] == 14);
    struct images all, stolen = { .n = 6, .c = 3, .h = 16, .w = 16 };
    cJSON *spec = cJSON_Parse(set), *block = cJSON_Parse(block_text),
          *query = cJSON_Parse("{\"augment\": \"weak\", \"seed\": 3}");
    assert_int_equal(dataset_read(spec, &all, &err), 0);
    stolen.pixels = mem_alloc(6, 3 * 16 * 16, &err);
    for (int i = 0; i < 6; i++)
        memcpy(stolen.pixels + i * 3 * 16 * 16, all.pixels + indices[i] * 3 * 16 * 16, 3 * 16 * 16);
    const struct resize_to small = resize_square(8);
    assert_int_equal(images_resize(&stolen, &small, &err), 0);
    char out[PATH_MAX];
    snprintf(out, sizeof out, "%s", in_dir("thief.safetensors"));
    const struct train_request request = { .block = block,
                                           .data = &stolen,
                                           .target = targets,
                                           .target_dim = (int)dims[1],
                                           .target_views = 2,
                                           .target_augment = query,
                                           .target_index = indices,
                                           .seed = 1,
                                           .out = out };
    struct train_result result;
    struct device *dev = device_open("ref", 1, &err);
    assert_int_equal(train_run(dev, &request, &result, &err), 0);
    struct safetensors have, want;
    assert_int_equal(safetensors_open(in_dir("tasks/" THEFT ".safetensors"), &have, &err), 0);
    assert_int_equal(safetensors_open(out, &want, &err), 0);
    assert_int_equal(have.n, want.n);
    for (int i = 0; i < want.n; i++) {
        const struct tensor_view *t = safetensors_find(&have, want.tensors[i].name);
        assert_non_null(t);
        assert_int_equal(t->bytes, want.tensors[i].bytes);
        assert_memory_equal(t->data, want.tensors[i].data, t->bytes);
    }
    safetensors_close(&have);
    safetensors_close(&want);
    train_result_fini(&result);
    device_close(dev);
    images_fini(&all);
    images_fini(&stolen);
    mem_free(indices);
    mem_free(targets);
    cJSON_Delete(spec);
    cJSON_Delete(block);
    cJSON_Delete(query);
}

/* A task of a kind without a set and with any inputs, for what its parameters say; progress is kept. */
static struct task_progress last;
static int reports;
static double fractions[64];

static void keep_progress(const struct task_context *ctx, const struct task_progress *p)
{
    (void)ctx;
    last = *p;
    if (reports < 64)
        fractions[reports] = p->fraction;
    reports++;
}

static int run_any(const char *kind, const char *id, const struct task_input *inputs, int n, const char *text,
                   int attempt, const char *digest)
{
    cJSON *params = cJSON_Parse(text);
    assert_non_null(params);
    struct task_context ctx = { .contents = contents,
                                .dir = dir,
                                .id = id,
                                .name = "any",
                                .params = params,
                                .inputs = inputs,
                                .n_inputs = n,
                                .result = digest,
                                .attempt = attempt,
                                .progress = keep_progress };
    err.text[0] = 0;
    reports = 0;
    int rc = task_execute(&ctx, task_kind_find(kind), "ref", 1, &err);
    assert_true(ctx.device == NULL && ctx.gpu_share == NULL && ctx.provenance == NULL);
    cJSON_Delete(params);
    return rc;
}

/* A table of a result; h5_table_fini. */
static struct h5_table read_table(const char *id, const char *path)
{
    char file[PATH_MAX];
    struct h5_table t;
    assert_int_equal(task_path(dir, id, ".h5", file, &err), 0);
    hid_t f = h5_open(file, &err);
    assert_true(f >= 0);
    hid_t d = H5Dopen2(f, path, H5P_DEFAULT);
    assert_true(d >= 0);
    assert_int_equal(h5_read_table(d, path, &t, &err), 0);
    H5Dclose(d);
    H5Fclose(f);
    return t;
}

static const union cell *cell(const struct h5_table *t, size_t row, const char *name)
{
    for (size_t c = 0; c < t->n_columns; c++)
        if (strcmp(t->columns[c].name, name) == 0)
            return &t->cells[row * t->n_columns + c];
    fail_msg("no column %s", name);
    return NULL;
}

/* Equal, or no number both. */
static void same(const struct h5_table *t, size_t row, const char *name, double want)
{
    const double have = cell(t, row, name)->f;
    if (!(have == want || (isnan(have) && isnan(want))))
        fail_msg("%s of row %zu is %.17g, not %.17g", name, row, have, want);
}

#define OTHER "00000000000000000000000000000004"
#define SUSPECT "00000000000000000000000000000005"
#define SET "{\"format\": \"procedural\", \"count\": 30, \"size\": 8}"

/* A result of the recorded digest is not made again; of another it is, and the old one is set aside. */
static void test_done(void **state)
{
    (void)state;
    char digest[HASH_HEX];
    const char *mock = "{\"steps\": 2, \"seconds\": 0.0, \"value\": 5}";
    assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, 1, NULL), 0);
    assert_int_equal(reports, 2);
    assert_int_equal(hash_file(in_dir("tasks/" OTHER ".h5"), digest, &err), 0);
    assert_int_equal(fs_mkdirs(in_dir("work/" OTHER), &err), 0);
    assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, 1, digest), 0);
    assert_int_equal(reports, 0);
    assert_false(fs_exists(in_dir("work/" OTHER)));
    digest[5] = digest[5] == '0' ? '1' : '0';
    assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, 1, digest), 0);
    assert_int_equal(reports, 2);
    assert_true(fs_exists(in_dir("tasks/" OTHER ".h5.damaged")));
    assert_int_equal(remove(in_dir("tasks/" OTHER ".h5")), 0);
    assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, 1, digest), 0); /* it is gone */
    assert_int_equal(reports, 2);
    /* a file that a parameter names has changed */
    char hex[HASH_HEX], params[PATH_MAX + 512];
    assert_int_equal(fs_write_atomic(in_dir("file"), "x", 1, &err), 0);
    assert_int_equal(hash_file(in_dir("file"), hex, &err), 0);
    snprintf(params, sizeof params, "{\"seconds\": 0.0, \"init\": \"%s\"}", in_dir("file"));
    contents = cJSON_CreateObject();
    cJSON_AddStringToObject(contents, "init", hex);
    assert_int_equal(run_any("mock", OTHER, NULL, 0, params, 1, NULL), 0);
    assert_int_equal(fs_write_atomic(in_dir("file"), "y", 1, &err), 0);
    assert_int_equal(run_any("mock", OTHER, NULL, 0, params, 1, NULL), -1);
    assert_non_null(strstr(err.text, "file has changed since the run began: its SHA-256 is not the recorded one"));
    cJSON_Delete(contents);
    contents = NULL;
}

/* A mock adds a random number a step, fails as often as it is told, and goes on where it stopped. */
static void test_mock(void **state)
{
    (void)state;
    const char *mock = "{\"steps\": 5, \"seconds\": 0.0, \"value\": 2, \"index\": 3, \"fail\": 2}";
    double value = 2;
    for (int attempt = 1; attempt <= 2; attempt++) {
        char says[32];
        assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, attempt, NULL), -1);
        snprintf(says, sizeof says, "mock failure %d of 2", attempt);
        assert_string_equal(err.text, says);
        assert_int_equal(reports, attempt == 1 ? 3 : 1); /* half of the steps, then each further one */
        assert_true(fs_exists(in_dir("work/" OTHER "/state")));
    }
    assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, 3, NULL), 0);
    assert_int_equal(reports, 1);
    for (int step = 0; step < 5; step++) {
        struct rng r = rng_at(3, RNG_MOCK, (uint32_t)step, 0, 0);
        value += rng_double(&r);
    }
    assert_true(last.loss == value / 5 && last.fraction == 1.0 && isnan(last.rate));
    assert_string_equal(last.what, "step 5/5");
    assert_string_equal(last.unit, "steps");
    assert_int_equal(run_any("mock", OTHER, NULL, 0, "{\"steps\": 0}", 1, NULL), -1);
    assert_int_equal(fs_mkdirs(in_dir("work/" OTHER), &err), 0);
    assert_int_equal(fs_write_atomic(in_dir("work/" OTHER "/state"), "1 x\n", 4, &err), 0);
    assert_int_equal(run_any("mock", OTHER, NULL, 0, mock, 3, NULL), -1);
    assert_non_null(strstr(err.text, "state is not a mock checkpoint"));
    assert_int_equal(run_any("mock", OTHER, NULL, 0, "{\"seconds\": 0.0}", 1, NULL), 0); /* of one step there is none */
    const struct task_input missing = { .role = "after", .id = "00000000000000000000000000000009" };
    assert_int_equal(run_any("mock", OTHER, &missing, 1, "{}", 1, NULL), -1);
    assert_non_null(strstr(err.text, "the input 'after' is missing"));
}

/* An encoder's row and representations: of a random one like the victim, of imported weights, of an embedding. */
static void test_encoders(void **state)
{
    (void)state;
    const struct task_input victim = { .role = "victim", .id = VICTIM }, encoder = { .role = "encoder", .id = SUSPECT };
    const float mean[3] = { 0.5f, 0.5f, 0.5f }, std[3] = { 0.25f, 0.25f, 0.25f };
    struct device *dev = device_open("ref", 1, &err);
    cJSON *block = cJSON_Parse("{\"arch\": \"resnet8\", \"width\": 0.0625}");
    assert_int_equal(
        run_any("init", SUSPECT, &victim, 1, "{\"arch\": \"resnet8\", \"width\": 0.0625, \"seed\": 77}", 1, NULL), 0);
    struct encoder *want = encoder_random(dev, block, 77, 8, mean, std, &err);
    struct encoder *have = encoder_load(dev, in_dir("tasks/" SUSPECT ".safetensors"), &err);
    assert_true(want != NULL && have != NULL);
    struct images im = { 0 };
    cJSON *set = cJSON_Parse(SET);
    assert_int_equal(dataset_read(set, &im, &err), 0);
    static float a[30 * 16], b[30 * 16];
    assert_int_equal(encoder_embed(want, &im, 7, a, NULL, NULL, &err), 0);
    assert_int_equal(encoder_embed(have, &im, 7, b, NULL, NULL, &err), 0);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(task_files_whole(dir, SUSPECT, &err), 0);
    struct h5_table t = read_table(SUSPECT, "/encoders");
    assert_true(t.n_rows == 1 && cell(&t, 0, "dim")->i == 16 && cell(&t, 0, "images")->i == 0);
    assert_true(cell(&t, 0, "parameters")->i == encoder_parameters(want) && cell(&t, 0, "epochs")->i == 0);
    assert_true(isnan(cell(&t, 0, "final_loss")->f));
    h5_table_fini(&t);
    assert_int_equal(run_any("embed", OTHER, &encoder, 1, "{\"batch\": 7, \"dataset\": " SET "}", 1, NULL), 0);
    float *x;
    int64_t dims[2];
    assert_int_equal(result_read_float(in_dir("tasks/" OTHER ".h5"), "/representations", 2, dims, &x, &err), 0);
    assert_true(dims[0] == 30 && dims[1] == 16);
    assert_memory_equal(x, a, sizeof a);
    assert_true(reports == 5 && fractions[0] == 0.2 && fractions[4] == 1.0); /* five times six images */
    assert_string_equal(last.unit, "images");
    assert_true(isnan(last.loss) && isnan(last.rate));
    mem_free(x);
    assert_int_equal(run_any("embed", OTHER, &victim, 1, "{\"dataset\": " SET "}", 1, NULL), -1);
    assert_string_equal(err.text, "the task any has no input 'encoder'");
    assert_int_equal(run_any("embed", OTHER, &encoder, 1, "{\"batch\": 7}", 1, NULL), -1);
    assert_string_equal(err.text, "the task any has no data set");
    char params[PATH_MAX + 512];
    snprintf(params, sizeof params,
             "{\"weights\": \"%s\", \"arch\": \"resnet8\", \"stem\": \"cifar\", \"width\": 0.0625, \"size\": 9, "
             "\"mean\": [0.1, 0.2, 0.3], \"std\": [0.4, 0.5, 0.6]}",
             in_dir("tasks/" SUSPECT ".safetensors"));
    assert_int_equal(run_any("import", OTHER, NULL, 0, params, 1, NULL), 0);
    struct encoder *imported = encoder_load(dev, in_dir("tasks/" OTHER ".safetensors"), &err);
    assert_non_null(imported);
    float m[3], s[3];
    encoder_moments(imported, m, s);
    assert_true(m[0] == 0.1f && m[1] == 0.2f && m[2] == 0.3f && s[0] == 0.4f && s[1] == 0.5f && s[2] == 0.6f);
    assert_true(encoder_size(imported) == 9 && encoder_parameters(imported) == encoder_parameters(have));
    assert_int_equal(remove(in_dir("tasks/" OTHER ".safetensors")), 0);
    encoder_destroy(imported);
    encoder_destroy(have);
    encoder_destroy(want);
    images_fini(&im);
    cJSON_Delete(set);
    cJSON_Delete(block);
    device_close(dev);
}

/* A training by itself is train_run's; what is said of it on the way. */
static void test_training(void **state)
{
    (void)state;
    const char *training =
        "\"arch\": \"resnet8\", \"width\": 0.0625, \"epochs\": 3, \"batch\": 10, \"projector_dim\": 8";
    char params[512], block_text[512], out[PATH_MAX];
    snprintf(params, sizeof params, "{\"dataset\": " SET ", \"seed\": 21, %s}", training);
    snprintf(block_text, sizeof block_text, "{%s}", training);
    assert_int_equal(run_any("train", OTHER, NULL, 0, params, 1, NULL), 0);
    assert_int_equal(reports, 9);
    for (int i = 0; i < 9; i++)
        assert_true(fabs(fractions[i] - (i + 1) / 9.0) < 1e-15);
    assert_string_equal(last.what, "epoch 3/3");
    assert_true(last.loss > 0 && last.rate > 0);
    struct images im = { 0 };
    struct train_result result;
    cJSON *set = cJSON_Parse(SET), *block = cJSON_Parse(block_text);
    assert_int_equal(dataset_read(set, &im, &err), 0);
    snprintf(out, sizeof out, "%s", in_dir("alone.safetensors"));
    const struct train_request request = { .block = block, .data = &im, .seed = 21, .out = out };
    struct device *dev = device_open("ref", 1, &err);
    assert_int_equal(train_run(dev, &request, &result, &err), 0);
    assert_true(last.loss == result.loss[2]);
    struct h5_table t = read_table(OTHER, "/encoders"), curves = read_table(OTHER, "/curves");
    assert_true(t.n_rows == 1 && cell(&t, 0, "dim")->i == 16 && cell(&t, 0, "parameters")->i == result.parameters);
    assert_true(cell(&t, 0, "images")->i == 30 && cell(&t, 0, "epochs")->i == 3 && cell(&t, 0, "steps")->i == 9);
    same(&t, 0, "final_loss", result.loss[2]);
    assert_true(cell(&t, 0, "images_per_second")->f > 0);
    assert_string_equal(cell(&t, 0, "checkpoint")->s, "tasks/" OTHER ".safetensors");
    assert_int_equal(curves.n_rows, 3);
    for (size_t e = 0; e < 3; e++) {
        assert_int_equal(cell(&curves, e, "epoch")->i, e + 1);
        same(&curves, e, "loss", result.loss[e]);
        same(&curves, e, "lr", result.lr[e]);
        assert_true(cell(&curves, e, "seconds")->f > 0);
    }
    h5_table_fini(&t);
    h5_table_fini(&curves);
    struct safetensors have, want;
    assert_int_equal(safetensors_open(in_dir("tasks/" OTHER ".safetensors"), &have, &err), 0);
    assert_int_equal(safetensors_open(out, &want, &err), 0);
    for (int i = 0; i < want.n; i++)
        assert_memory_equal(safetensors_find(&have, want.tensors[i].name)->data, want.tensors[i].data,
                            want.tensors[i].bytes);
    safetensors_close(&have);
    safetensors_close(&want);
    snprintf(params, sizeof params, "{\"dataset\": " SET ", %s}", training);
    assert_int_equal(run_any("train", OTHER, NULL, 0, params, 1, NULL), -1);
    assert_string_equal(err.text, "the task's parameter 'seed' is missing");
    train_result_fini(&result);
    device_close(dev);
    images_fini(&im);
    cJSON_Delete(set);
    cJSON_Delete(block);
}

/* More images than there are, or than were asked about. */
static void test_budgets(void **state)
{
    (void)state;
    const struct task_input victim = { .role = "victim", .id = VICTIM }, answers = { .role = "answers", .id = QUERY };
    assert_int_equal(
        run_any("query", QUERY, &victim, 1, "{\"dataset\": " SET ", \"budget\": 31, \"seed\": 3}", 1, NULL), -1);
    assert_string_equal(err.text, "a budget of 31 images is more than the query set's 30");
    float *all, *few;
    int64_t dims[2], n, *indices;
    assert_int_equal(run_any("query", QUERY, &victim, 1,
                             "{\"dataset\": " SET ", \"budget\": 30, \"views\": 2, \"augment\": \"weak\", \"seed\": 3}",
                             1, NULL),
                     0);
    assert_int_equal(result_read_float(in_dir("tasks/" QUERY ".h5"), "/answers", 2, dims, &all, &err), 0);
    assert_true(dims[0] == 60 && dims[1] == 16);
    assert_int_equal(run_any("query", QUERY, &victim, 1,
                             "{\"dataset\": " SET ", \"budget\": 9, \"views\": 2, \"augment\": \"weak\", \"seed\": 3}",
                             1, NULL),
                     0);
    assert_int_equal(result_read_float(in_dir("tasks/" QUERY ".h5"), "/answers", 2, dims, &few, &err), 0);
    assert_true(dims[0] == 18);
    assert_memory_equal(all, few, 18 * 16 * sizeof *few); /* the same images first, whatever the budget */
    assert_int_equal(result_read_int(in_dir("tasks/" QUERY ".h5"), "/indices", 1, &n, &indices, &err), 0);
    uint32_t order[30];
    struct rng rng = rng_at(3, RNG_QUERY, 0, 0, 0);
    rng_permutation(&rng, order, 30);
    for (int i = 0; i < 9; i++)
        assert_int_equal(indices[i], order[i]);
    assert_int_equal(n, 9);
    const char *theft =
        "{\"dataset\": " SET ", \"budget\": %d, \"seed\": 1, \"query\": {\"augment\": \"weak\", \"seed\": 3}, "
        "\"arch\": \"resnet8\", \"width\": 0.0625, \"loss\": \"mse\", \"epochs\": 1, \"batch\": 3}";
    for (int budget = 9; budget <= 10; budget++) {
        char params[512];
        snprintf(params, sizeof params, theft, budget);
        assert_int_equal(run_any("steal", THEFT, &answers, 1, params, 1, NULL), budget == 9 ? 0 : -1);
    }
    assert_non_null(strstr(err.text, ".h5 holds answers for 9 images, 10 are wanted"));
    mem_free(indices);
    mem_free(few);
    mem_free(all);
}

/* A result with an array of random numbers; `which` 0: of ones. */
static double *write_rows(const char *id, int64_t n, int64_t d, uint32_t which)
{
    struct rng rng = rng_at(9, RNG_TEST, which, 0, 0);
    double *x = mem_alloc((size_t)n, (size_t)d * sizeof *x, &err);
    char path[PATH_MAX];
    const int64_t dims[2] = { n, d };
    cJSON *provenance = cJSON_CreateObject();
    for (int64_t i = 0; i < n * d; i++)
        x[i] = which == 0 ? 1.0 : rng_normal(&rng);
    cJSON_AddStringToObject(provenance, "task", id);
    assert_int_equal(task_path(dir, id, ".h5", path, &err), 0);
    struct result *r = result_create(path, provenance, &err);
    assert_non_null(r);
    assert_int_equal(result_double(r, "/representations", "x", NULL, x, 2, dims, &err), 0);
    assert_int_equal(result_commit(r, &err), 0);
    cJSON_Delete(provenance);
    return x;
}

#define A "0000000000000000000000000000000a"
#define B "0000000000000000000000000000000b"
#define C "0000000000000000000000000000000c"

/* The scores of the first seed are those of the statistic on the cut by that seed, of rows that were prepared. */
static void test_inference(void **state)
{
    (void)state;
    enum { N = 61, HELDOUT = 50, D = 6, FIT = 24 };
    double *members = write_rows(A, N, D, 1), *heldout = write_rows(B, HELDOUT, D, 2);
    struct task_input inputs[] = { { .role = "members", .id = A }, { .role = "heldout", .id = B } };
    struct device *dev = device_open("ref", 1, &err);
    double *parts[] = { members, heldout };
    const int64_t n[] = { N, HELDOUT };
    struct inference_options o;
    assert_int_equal(
        run_any("dataset_inference", OTHER, inputs, 2,
                "{\"statistics\": [\"gap\", \"learned\", \"gap\"], \"seed\": 5, \"seeds\": 2, \"components\": 2, "
                "\"fit_fraction\": 0.4, \"normalize\": \"standardize\", \"starts\": 2}",
                1, NULL),
        -1);
    assert_non_null(strstr(err.text, "twice"));
    unsetenv("DINF_CUDA_CHOICES");
    assert_int_equal(run_any("dataset_inference", OTHER, inputs, 2,
                             "{\"statistics\": [\"gap\", \"learned\"], \"seed\": 5, \"seeds\": 2, \"components\": 2, "
                             "\"fit_fraction\": 0.4, \"normalize\": \"standardize\", \"starts\": 2}",
                             1, NULL),
                     0);
    assert_true(reports == 4 && fractions[0] == 0.25 && fractions[1] == 0.5 && fractions[3] == 1.0);
    assert_int_equal(options_defaults(inference_options_table, &o, &err), 0);
    o.seed = 5;
    o.components = 2;
    o.starts = 2;
    assert_int_equal(rows_prepare("standardize", parts, n, 2, D, &err), 0);
    uint32_t order[N];
    inference_split(5, N, FIT, order); /* 0.4 of 61, rounded */
    double *cut = rows_gather(members, order, N, D, &err);
    const struct inference_data data = { D, FIT, N - FIT, HELDOUT, cut, cut + FIT * D, heldout };
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "learned" : "gap";
        static const char *const paths[2][2] = { { "/loglik/members", "/loglik/heldout" },
                                                 { "/loglik/learned/members", "/loglik/learned/heldout" } };
        struct inference_result r;
        double *scores;
        int64_t m;
        assert_int_equal(statistic_find(name)->run(dev, &data, &o, &r, &err), 0);
        assert_int_equal(result_read_double(in_dir("tasks/" OTHER ".h5"), paths[i][0], 1, &m, &scores, &err), 0);
        assert_int_equal(m, r.n_members);
        assert_memory_equal(scores, r.scores_members, (size_t)m * sizeof *scores);
        mem_free(scores);
        assert_int_equal(result_read_double(in_dir("tasks/" OTHER ".h5"), paths[i][1], 1, &m, &scores, &err), 0);
        assert_int_equal(m, r.n_heldout);
        assert_memory_equal(scores, r.scores_heldout, (size_t)m * sizeof *scores);
        mem_free(scores);
        struct h5_table t = read_table(OTHER, "/scores/dataset_inference");
        const size_t k = (size_t)i;
        assert_int_equal(t.n_rows, 4);
        assert_string_equal(cell(&t, k, "statistic")->s, name);
        assert_string_equal(cell(&t, k + 2, "statistic")->s, name);
        assert_true(cell(&t, k, "seed")->i == 5 && cell(&t, k + 2, "seed")->i == 6);
        assert_true(cell(&t, k, "t")->f != cell(&t, k + 2, "t")->f);
        assert_string_equal(cell(&t, k, "covariance")->s, "diag");
        assert_string_equal(cell(&t, k, "verdict")->s, r.verdict);
        assert_string_equal(cell(&t, k, "reason")->s, r.reason);
        const struct {
            const char *name;
            int64_t value;
        } integers[] = { { "components", r.components },
                         { "converged", inference_converged(&r) },
                         { "n_fit", FIT },
                         { "n_members", r.n_members },
                         { "n_heldout", r.n_heldout },
                         { "dim", D } };
        for (size_t c = 0; c < sizeof integers / sizeof *integers; c++)
            assert_int_equal(cell(&t, k, integers[c].name)->i, integers[c].value);
        same(&t, k, "loglik_members", r.loglik_members);
        same(&t, k, "loglik_heldout", r.loglik_heldout);
        same(&t, k, "gap", r.gap);
        same(&t, k, "t", r.t);
        same(&t, k, "df", r.df);
        same(&t, k, "p_value", r.p_value);
        same(&t, k, "log10_p", r.log10_p);
        same(&t, k, "cohen_d", r.cohen_d);
        same(&t, k, "alpha", 0.05);
        h5_table_fini(&t);
        inference_result_fini(&r);
    }
    assert_int_equal(run_any("dataset_inference", OTHER, inputs, 2, "{\"seed\": -1}", 1, NULL), -1);
    assert_string_equal(err.text, "the task's seed is -1: the plan should have derived one");
    assert_int_equal(run_any("dataset_inference", OTHER, inputs, 1, "{\"seed\": 1}", 1, NULL), -1);
    assert_string_equal(err.text, "the task any has no input 'heldout'");
    assert_int_equal(run_any("dataset_inference", OTHER, inputs, 2,
                             "{\"seed\": 1, \"components\": 40, \"statistics\": [\"gap\"]}", 1, NULL),
                     -1);
    assert_non_null(strstr(err.text, "statistic gap, seed 1: a mixture of 40 components needs"));
    mem_free(heldout);
    heldout = write_rows(B, HELDOUT, D + 1, 2);
    assert_int_equal(run_any("dataset_inference", OTHER, inputs, 2, "{\"seed\": 1}", 1, NULL), -1);
    assert_string_equal(err.text, "members have 6 dimensions, held-out images 7");
    mem_free(cut);
    mem_free(heldout);
    mem_free(members);
    device_close(dev);
}

static void test_similarity(void **state)
{
    (void)state;
    double *x = write_rows(A, 40, 5, 1), *y = write_rows(B, 40, 5, 2), *z = write_rows(C, 40, 5, 3);
    struct task_input inputs[] = { { .role = "victim", .id = A },
                                   { .role = "suspect", .id = B },
                                   { .role = "random", .id = C } };
    const char *params = "{\"seed\": 3, \"obfuscations\": [\"none\", \"pad\", \"shuffle\"]}";
    assert_int_equal(run_any("similarity", OTHER, inputs, 3, params, 1, NULL), 0);
    assert_true(reports == 3 && fabs(fractions[0] - 1.0 / 3) < 1e-15 && fractions[2] == 1.0);
    struct h5_table t = read_table(OTHER, "/scores/similarity");
    static const char *const names[] = { "none", "pad", "shuffle" };
    struct device *dev = device_open("ref", 1, &err);
    struct information random, self, mi;
    assert_int_equal(t.n_rows, 3);
    assert_int_equal(mutual_information(dev, x, 5, z, 5, 40, &random, &err), 0);
    assert_int_equal(mutual_information(dev, x, 5, x, 5, 40, &self, &err), 0);
    for (size_t k = 0; k < 3; k++) {
        double *other, *wide;
        int64_t d;
        struct similarity sim;
        assert_int_equal(obfuscation_find(names[k])->run(y, 40, 5, 3, &other, &d, &err), 0);
        wide = rows_widen(x, 40, 5, d, &err);
        assert_int_equal(similarity_compute(wide, other, 40, d, &sim, &err), 0);
        assert_int_equal(mutual_information(dev, x, 5, other, d, 40, &mi, &err), 0);
        const struct estimate score = mi_score(mi.nats, random.nats.value, self.nats.value);
        assert_string_equal(cell(&t, k, "obfuscation")->s, names[k]);
        assert_string_equal(cell(&t, k, "reason")->s, "");
        assert_true(cell(&t, k, "seed")->i == 3 && cell(&t, k, "n")->i == 40 && cell(&t, k, "dim")->i == d);
        assert_int_equal(cell(&t, k, "duplicates")->i, mi.duplicates);
        const struct {
            const char *value, *ci;
            struct estimate e;
        } columns[] = { { "cosine", "cosine_ci", sim.cosine },
                        { "cosine_abs", "cosine_abs_ci", sim.cosine_abs },
                        { "l1", "l1_ci", sim.l1 },
                        { "l2", "l2_ci", sim.l2 },
                        { "linf", "linf_ci", sim.linf },
                        { "l2_score", "l2_score_ci", sim.l2_score },
                        { "mutual_information", "mutual_information_ci", mi.nats },
                        { "mi_score", "mi_score_ci", score } };
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            same(&t, k, columns[c].value, columns[c].e.value);
            same(&t, k, columns[c].ci, columns[c].e.ci);
        }
        same(&t, k, "mi_random", random.nats.value);
        same(&t, k, "mi_self", self.nats.value);
        mem_free(wide);
        mem_free(other);
    }
    h5_table_fini(&t);
    /* of other lengths there is no distance, and that is the reason; a sample is the order's first */
    mem_free(y);
    y = write_rows(B, 40, 7, 4);
    assert_int_equal(
        run_any("similarity", OTHER, inputs, 3, "{\"seed\": 3, \"sample\": 30, \"obfuscations\": [\"none\"]}", 1, NULL),
        0);
    t = read_table(OTHER, "/scores/similarity");
    assert_string_equal(cell(&t, 0, "reason")->s, "lengths of 5 and 7 have no cosine and no distance");
    assert_true(isnan(cell(&t, 0, "cosine")->f) && isnan(cell(&t, 0, "l2_score_ci")->f));
    uint32_t order[40];
    struct rng rng = rng_at(3, RNG_SAMPLE, 0, 0, 0);
    rng_permutation(&rng, order, 40);
    double *a = rows_gather(x, order, 30, 5, &err), *b = rows_gather(y, order, 30, 7, &err);
    assert_int_equal(mutual_information(dev, a, 5, b, 7, 30, &mi, &err), 0);
    same(&t, 0, "mutual_information", mi.nats.value);
    assert_int_equal(cell(&t, 0, "n")->i, 30);
    h5_table_fini(&t);
    for (int which = 0; which < 2; which++) { /* a random encoder, or the victim, that says the same of all */
        mem_free(z);
        z = write_rows(which ? A : C, 40, 5, 0);
        assert_int_equal(
            run_any("similarity", OTHER, inputs, 3, "{\"seed\": 3, \"obfuscations\": [\"none\"]}", 1, NULL), 0);
        t = read_table(OTHER, "/scores/similarity");
        if (which == 0)
            assert_string_equal(cell(&t, 0, "reason")->s, "lengths of 5 and 7 have no cosine and no distance");
        assert_true(isnan(cell(&t, 0, "mi_score")->f) && isnan(cell(&t, 0, "mi_random")->f));
        h5_table_fini(&t);
    }
    mem_free(y);
    y = write_rows(B, 40, 5, 2);
    mem_free(x);
    x = write_rows(A, 40, 5, 1);
    assert_int_equal(run_any("similarity", OTHER, inputs, 3, "{\"seed\": 3, \"obfuscations\": [\"none\"]}", 1, NULL),
                     0);
    t = read_table(OTHER, "/scores/similarity");
    assert_string_equal(cell(&t, 0, "reason")->s,
                        "victim with a random encoder: the second representations are the same for "
                        "all 40 images");
    assert_true(isfinite(cell(&t, 0, "cosine")->f) && isnan(cell(&t, 0, "mi_random")->f));
    h5_table_fini(&t);
    mem_free(a);
    mem_free(b);
    device_close(dev);
    mem_free(z);
    z = write_rows(C, 39, 5, 3);
    assert_int_equal(run_any("similarity", OTHER, inputs, 3, params, 1, NULL), -1);
    assert_string_equal(err.text, "victim, suspect and random encoder represent 40, 40 and 39 images");
    mem_free(y);
    y = write_rows(B, 41, 5, 3);
    mem_free(z);
    z = write_rows(C, 40, 5, 3);
    assert_int_equal(run_any("similarity", OTHER, inputs, 3, params, 1, NULL), -1);
    assert_string_equal(err.text, "victim, suspect and random encoder represent 40, 41 and 40 images");
    assert_int_equal(run_any("similarity", OTHER, inputs, 3, "{\"seed\": -1}", 1, NULL), -1);
    mem_free(x);
    mem_free(y);
    mem_free(z);
}

/* Answers that are not as many as the images times something; weights that do not say whose they are. */
static void test_odd_files(void **state)
{
    (void)state;
    const struct task_input answers = { .role = "answers", .id = A };
    cJSON *provenance = cJSON_Parse("{\"task\": \"" A "\"}");
    for (int kind = 0; kind < 4; kind++) {
        static float targets[9 * 16];
        const int64_t size[2] = { 8, 8 }, n_size = kind == 1 ? 2 : 1, indices[4] = { 3, 0, 1, 2 },
                      n = kind == 2 ? 0 : 4, dims[2] = { kind == 0 ? 9 : 8, 16 };
        struct result *r = result_create(in_dir("tasks/" A ".h5"), provenance, &err);
        assert_non_null(r);
        assert_int_equal(result_int(r, "/size", "s", NULL, size, 1, &n_size, &err), 0);
        assert_int_equal(result_int(r, "/indices", "i", NULL, indices, 1, &n, &err), 0);
        assert_int_equal(result_float(r, "/answers", "a", NULL, targets, 2, dims, &err), 0);
        assert_int_equal(result_commit(r, &err), 0);
        char params[512];
        snprintf(params, sizeof params,
                 "{\"dataset\": " SET
                 ", \"budget\": %d, \"seed\": 1, \"arch\": \"resnet8\", \"width\": 0.0625, \"loss\": "
                 "\"mse\", \"epochs\": 1, \"batch\": 3}",
                 kind == 2 ? 0 : 4);
        assert_int_equal(run_any("steal", THEFT, &answers, 1, params, 1, NULL), kind == 3 ? 0 : -1);
        if (kind < 3)
            assert_non_null(strstr(err.text, kind == 0   ? ".h5: 9 answers do not belong to 4 images"
                                             : kind == 1 ? ".h5: 8 answers do not belong to 4 images"
                                                         : ".h5: 8 answers do not belong to 0 images"));
    }
    cJSON_Delete(provenance);
    struct device *dev = device_open("ref", 1, &err);
    struct encoder *e = encoder_load(dev, in_dir("tasks/" VICTIM ".safetensors"), &err);
    assert_non_null(e);
    assert_int_equal(encoder_save(e, in_dir("tasks/" A ".safetensors"), NULL, &err), 0);
    assert_int_equal(task_files_check(dir, A, &err), -1);
    assert_non_null(strstr(err.text, ".safetensors does not say which task made it"));
    assert_int_equal(remove(in_dir("tasks/" A ".safetensors")), 0);
    assert_int_equal(task_files_check(dir, A, &err), 0);
    encoder_destroy(e);
    device_close(dev);
}

static int no_memory(struct device *d, size_t *free, size_t *total, struct err *e)
{
    (void)d;
    (void)free;
    (void)total;
    return err_set(e, "the GPU is gone");
}

/* A kind does nothing on a device that does not say whether there is room. */
static void test_room(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *params, *roles[3], *ids[3];
    } all[] = {
        { "train",
          "{\"dataset\": " SET ", \"arch\": \"resnet8\", \"width\": 0.0625, \"seed\": 1}",
          { NULL },
          { NULL } },
        { "query", "{\"dataset\": " SET ", \"budget\": 5, \"seed\": 1}", { "victim" }, { VICTIM } },
        { "embed", "{\"dataset\": " SET "}", { "encoder" }, { VICTIM } },
        { "dataset_inference", "{\"seed\": 1, \"components\": 1}", { "members", "heldout" }, { A, B } },
        { "similarity", "{\"seed\": 1}", { "victim", "suspect", "random" }, { A, A, A } },
    };
    mem_free(write_rows(A, 40, 5, 1));
    mem_free(write_rows(B, 40, 5, 2));
    struct device *dev = device_open("ref", 1, &err);
    const struct device_ops *kept = dev->ops;
    struct device_ops ops = *kept;
    ops.memory = no_memory;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct task_input inputs[3];
        struct gpu_share share = { -1, -1, -1 };
        cJSON *params = cJSON_Parse(all[i].params), *provenance = cJSON_CreateObject();
        struct task_context ctx = { .dir = dir,
                                    .id = OTHER,
                                    .name = "any",
                                    .params = params,
                                    .inputs = inputs,
                                    .device = dev,
                                    .gpu_share = &share,
                                    .provenance = provenance,
                                    .attempt = 1 };
        for (int k = 0; k < 3 && all[i].roles[k] != NULL; k++) {
            memset(&inputs[k], 0, sizeof inputs[k]);
            snprintf(inputs[k].role, sizeof inputs[k].role, "%s", all[i].roles[k]);
            snprintf(inputs[k].id, sizeof inputs[k].id, "%s", all[i].ids[k]);
            ctx.n_inputs++;
        }
        snprintf(ctx.work, sizeof ctx.work, "%s", dir);
        remove(in_dir("tasks/" OTHER ".h5"));
        for (int gone = 1; gone >= 0; gone--) {
            dev->ops = gone ? &ops : kept;
            err.text[0] = '\0';
            assert_int_equal(task_kind_find(all[i].kind)->run(&ctx, &err), gone ? -1 : 0);
            assert_int_equal(strstr(err.text, "the GPU is gone") != NULL, gone);
            assert_int_equal(fs_exists(in_dir("tasks/" OTHER ".h5")), !gone);
        }
        cJSON_Delete(params);
        cJSON_Delete(provenance);
    }
    device_close(dev);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_query),
                                        cmocka_unit_test(test_contents),
                                        cmocka_unit_test(test_others),
                                        cmocka_unit_test(test_theft_size),
                                        cmocka_unit_test(test_theft_is_of_the_queries),
                                        cmocka_unit_test(test_whole),
                                        cmocka_unit_test(test_whole_array),
                                        cmocka_unit_test(test_done),
                                        cmocka_unit_test(test_mock),
                                        cmocka_unit_test(test_encoders),
                                        cmocka_unit_test(test_training),
                                        cmocka_unit_test(test_budgets),
                                        cmocka_unit_test(test_inference),
                                        cmocka_unit_test(test_similarity),
                                        cmocka_unit_test(test_odd_files),
                                        cmocka_unit_test(test_room) };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
