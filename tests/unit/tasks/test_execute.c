/* One task in this process: results once, no remains, and queries that count
 * unique images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "nn/nn.h"
#include "store/result.h"
#include "tasks/execute.h"

#define VICTIM "00000000000000000000000000000001"
#define QUERY "00000000000000000000000000000002"

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
    assert_int_equal(encoder_save(e, in_dir("tasks/" VICTIM ".safetensors"), NULL, &err), 0);
    encoder_destroy(e);
    device_close(dev);
    cJSON_Delete(block);
}

/* Asks about 5 images of a union of two stretches of a set of 12. */
static int run_query(int second_begin)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"dataset\": {\"parts\": ["
             "{\"of\": {\"format\": \"procedural\", \"count\": 12, \"size\": 8}, \"begin\": 0, \"count\": 4},"
             "{\"of\": {\"format\": \"procedural\", \"count\": 12, \"size\": 8}, \"begin\": %d, \"count\": 4}]},"
             "\"budget\": 5, \"views\": 1, \"augment\": \"none\", \"batch\": 4, \"seed\": 3}",
             second_begin);
    const struct task_input inputs[] = { { "victim", VICTIM } };
    cJSON *params = cJSON_Parse(text);
    assert_non_null(params);
    struct task_context ctx = { .dir = dir, .id = QUERY, .name = "query", .params = params, .inputs = inputs,
                                .n_inputs = 1, .attempt = 1 };
    err.text[0] = 0;
    int rc = task_execute(&ctx, task_kind_find("query"), "ref", 1, &err);
    cJSON_Delete(params);
    return rc;
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
    /* killed between the result and the end: nothing is computed again, nothing stays */
    assert_int_equal(fs_mkdirs(in_dir("work/" QUERY), &err), 0);
    assert_int_equal(run_query(2), 0);
    assert_false(fs_exists(in_dir("work/" QUERY)));
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_query) };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
