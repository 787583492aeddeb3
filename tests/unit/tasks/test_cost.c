/* Estimated seconds: only their ratios matter. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/json.h"
#include "tasks/common.h"

static double seconds(const char *params, int64_t images)
{
    cJSON *block = cJSON_Parse(params);
    assert_non_null(block);
    double s = task_training_seconds(block, images, 32, 2);
    cJSON_Delete(block);
    return s;
}

static void near(double a, double b)
{
    assert_true(fabs(a - b) <= 1e-9 * fabs(b));
}

static void a_training_costs_its_images(void **state)
{
    (void)state;
    const double none = seconds("{\"arch\": \"resnet18\", \"epochs\": 0, \"batch\": 32}", 1000);
    const double one = seconds("{\"arch\": \"resnet18\", \"epochs\": 1, \"batch\": 32}", 1000) - none;
    assert_true(one > 0);
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 20, \"batch\": 32}", 1000) - none, 20 * one);
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 1, \"batch\": 32}", 3000) - none, 3 * one);
}

/* 7 steps of 32 images are 224 of 1000, however many epochs there might be. */
static void max_steps_is_a_limit(void **state)
{
    (void)state;
    const double none = seconds("{\"arch\": \"resnet18\", \"epochs\": 0, \"batch\": 32}", 1000);
    const double one = seconds("{\"arch\": \"resnet18\", \"epochs\": 1, \"batch\": 32}", 1000) - none;
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 1, \"batch\": 32, \"max_steps\": 7}", 1000) - none, 0.224 * one);
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 100, \"batch\": 32, \"max_steps\": 7}", 1000) - none,
         0.224 * one);
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 2, \"batch\": 32, \"max_steps\": 700}", 1000) - none, 2 * one);
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 2, \"batch\": 32, \"max_steps\": 0}", 1000) - none, 2 * one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_costs_its_images),
        cmocka_unit_test(max_steps_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
