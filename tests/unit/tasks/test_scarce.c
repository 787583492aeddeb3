/* Tasks for which there is not enough memory fail and leave no result, wherever it runs out. */
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
#include "device/device.h"
#include "nn/nn.h"
#include "store/result.h"
#include "tasks/execute.h"
#include "tasks/files.h"
#include "unit/scarce.h"

#define VICTIM "00000000000000000000000000000001"
#define QUERY "00000000000000000000000000000002"
#define OTHER "00000000000000000000000000000003"
#define ROWS "00000000000000000000000000000004"
#define SET "{\"format\": \"procedural\", \"count\": 24, \"size\": 8}"

static char dir[] = "/tmp/dinf-scarce-XXXXXX";

struct one {
    const char *kind, *id, *params, *role, *input, *role2, *input2, *role3, *input3;
};

static int run(void *arg, struct err *err)
{
    const struct one *one = arg;
    char result[PATH_MAX];
    const char *const roles[] = { one->role, one->role2, one->role3 }, *const ids[] = { one->input, one->input2,
                                                                                        one->input3 };
    struct task_input inputs[3];
    int n = 0;
    for (; n < 3 && roles[n] != NULL; n++) {
        inputs[n] = (struct task_input){ .result = "" };
        snprintf(inputs[n].role, sizeof inputs[n].role, "%s", roles[n]);
        snprintf(inputs[n].id, sizeof inputs[n].id, "%s", ids[n]);
    }
    cJSON *params = cJSON_Parse(one->params);
    assert_non_null(params);
    assert_int_equal(task_path(dir, one->id, ".h5", result, err), 0);
    remove(result);
    struct task_context ctx = {
        .dir = dir, .id = one->id, .name = one->kind, .params = params, .inputs = inputs, .n_inputs = n, .attempt = 1
    };
    scarce_begin();
    const int rc = task_execute(&ctx, task_kind_find(one->kind), "ref", 1, err);
    scarce_end();
    cJSON_Delete(params);
    assert_int_equal(fs_exists(result), rc == 0);
    if (rc == 0 && task_files_whole(dir, one->id, err) == 0)
        scarce_forgive();
    return rc;
}

static void test_all(void **state)
{
    (void)state;
#define TRAINING "\"arch\": \"resnet8\", \"width\": 0.0625, \"epochs\": 1, \"batch\": 12, \"seed\": 1"
    static const struct one all[] = {
        { .kind = "train", .id = VICTIM, .params = "{\"dataset\": " SET ", \"projector_dim\": 4, " TRAINING "}" },
        { .kind = "query",
          .id = QUERY,
          .params = "{\"dataset\": " SET ", \"budget\": 12, \"views\": 2, \"augment\": \"weak\", \"seed\": 3}",
          .role = "victim",
          .input = VICTIM },
        { .kind = "steal",
          .id = OTHER,
          .params =
              "{\"dataset\": " SET
              ", \"budget\": 12, \"query\": {\"augment\": \"weak\", \"seed\": 3}, \"loss\": \"mse\", " TRAINING "}",
          .role = "answers",
          .input = QUERY },
        { .kind = "init", .id = OTHER, .params = "{" TRAINING "}", .role = "victim", .input = VICTIM },
        { .kind = "embed",
          .id = ROWS,
          .params = "{\"dataset\": " SET ", \"batch\": 9}",
          .role = "encoder",
          .input = VICTIM },
        { .kind = "dataset_inference",
          .id = OTHER,
          .params = "{\"seed\": 1, \"components\": 1, \"statistics\": [\"gap\"], \"starts\": 1}",
          .role = "members",
          .input = ROWS,
          .role2 = "heldout",
          .input2 = ROWS },
        { .kind = "similarity",
          .id = OTHER,
          .params = "{\"seed\": 1, \"sample\": 20, \"obfuscations\": [\"pad\"]}",
          .role = "victim",
          .input = ROWS,
          .role2 = "suspect",
          .input2 = ROWS,
          .role3 = "random",
          .input3 = ROWS },
        { .kind = "representations",
          .id = OTHER,
          .params = "{\"dataset\": {\"format\": \"procedural\", \"count\": 2, \"size\": 8}, \"file\": \"" TEST_DATA
                    "/golden/store/f32.npy\"}" },
        { .kind = "mock", .id = OTHER, .params = "{\"steps\": 2, \"seconds\": 0.0}", .role = "after", .input = ROWS },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        scarce_check(all[i].kind, run, (void *)&all[i]);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    struct err err;
    (void)state;
    return fs_remove_tree(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
