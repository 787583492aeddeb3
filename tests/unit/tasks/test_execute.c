/* One task in this process: results once, no remains, and queries that count
 * unique images, and thieves that see what the victim saw. */
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
#include "data/resize.h"
#include "nn/nn.h"
#include "store/result.h"
#include "store/safetensors.h"
#include "tasks/execute.h"
#include "tasks/files.h"

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
                                        cmocka_unit_test(test_whole_array) };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
