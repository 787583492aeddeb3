/* What is known of a task before it runs: estimated seconds, extents, contradictions; and what kinds share. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/json.h"
#include "stats/inference.h"
#include "stats/similarity.h"
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
    if (!(fabs(a - b) <= 1e-9 * fabs(b)))
        fail_msg("%.12g is not %.12g", a, b);
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

/* Products of a ResNet at 32 x 32: 35 million a 3x3 convolution (27 a layer of a bottleneck), two of them a flop pair
 * at 1.2e11 a second, as long as no channel is narrower than a vector of 16. */
static void an_image_costs_its_products(void **state)
{
    (void)state;
    static const struct {
        const char *block;
        int size;
        double seconds;
    } cases[] = {
        { "{}", 32, 2 * 16 * 35e6 / 1.2e11 },
        { "{\"arch\": \"resnet18\"}", 64, 4 * 2 * 16 * 35e6 / 1.2e11 },
        { "{\"arch\": \"resnet34\", \"width\": 2}", 32, 4 * 2 * 32 * 35e6 / 1.2e11 },
        { "{\"arch\": \"resnet50\"}", 32, 2 * 48 * 27e6 / 1.2e11 },
        { "{\"arch\": \"resnet26\"}", 32, 2 * 24 * 27e6 / 1.2e11 },
        { "{\"arch\": \"resnet18\", \"stem\": \"imagenet\"}", 32, 2 * 16 * 35e6 / 14 / 1.2e11 },
        { "{\"arch\": \"resnet18\", \"stem\": \"cifar\", \"width\": 0.25}", 32, 2 * 16 * 35e6 / 16 / 1.2e11 },
        /* 8, 16, 32, 64 channels: those of the first stage cost four times as much */
        { "{\"arch\": \"resnet10\", \"width\": 0.125}", 32, 2 * 8 * 35e6 / 64 * 7 / 4 / 1.2e11 },
        { "{\"arch\": \"resnet8\", \"width\": 0.125}", 32, 2 * 6 * 35e6 / 64 * 2 / 1.2e11 },
        { "{\"arch\": \"resnet2\"}", 32, 2 * 16 * 35e6 / 1.2e11 },
        { "{\"arch\": \"resnet3\"}", 32, 2 * 1 * 35e6 / 1.2e11 },
        { "{\"arch\": \"vit\"}", 32, 2 * 16 * 35e6 / 1.2e11 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *block = cJSON_Parse(cases[i].block);
        struct task_extent extent = { 0 };
        near(task_forward_seconds(block, cases[i].size), cases[i].seconds);
        task_encoder_extent(block, cases[i].size, &extent);
        near(extent.image_seconds, cases[i].seconds);
        assert_int_equal(extent.size, cases[i].size);
        assert_int_equal(extent.dim, encoder_dim_of(block));
        cJSON_Delete(block);
    }
    near(task_array_seconds(1000, 512), 3e-8 * 512000);
    near(task_start_seconds, 0.05);
    near(seconds("{\"arch\": \"resnet18\", \"epochs\": 3, \"batch\": 32}", 1000),
         0.1 + 3 * 3000 * 2 * (2 * 16 * 35e6 / 1.2e11)); /* there and back again: three times, in two views */
    near(seconds("{\"arch\": \"resnet18\"}", 10), 0.1 + 3 * 1000 * 2 * (2 * 16 * 35e6 / 1.2e11));
    near(seconds("{\"arch\": \"resnet18\", \"max_steps\": 2}", 10000), 0.1 + 3 * 512 * 2 * (2 * 16 * 35e6 / 1.2e11));
}

#define SET "{\"format\": \"procedural\", \"count\": 120, \"size\": 16}"

/* Estimate and extent of one of a kind. */
static double cost(const char *kind, const char *params, const char *role, const struct task_extent *input,
                   const char *role2, const struct task_extent *input2, struct task_extent *out)
{
    cJSON *block = cJSON_Parse(params);
    assert_non_null(block);
    const struct task_sizing s = { .params = block,
                                   .n_inputs = role == NULL    ? 0
                                               : role2 == NULL ? 1
                                                               : 2,
                                   .roles = { role, role2 },
                                   .inputs = { input, input2 } };
    *out = (struct task_extent){ 0 };
    const double seconds = task_kind_find(kind)->cost(&s, out);
    cJSON_Delete(block);
    return seconds;
}

static void a_task_costs_what_it_reads_and_does(void **state)
{
    (void)state;
    const struct task_extent encoder = { .dim = 64, .size = 24, .image_seconds = 0.01 },
                             rows = { .rows = 500, .dim = 64 }, more = { .rows = 300, .dim = 64 };
    struct task_extent out;
    near(cost("embed", "{\"dataset\": " SET "}", "encoder", &encoder, NULL, NULL, &out), 0.05 + 1.2 + 3e-8 * 120 * 64);
    assert_true(out.rows == 120 && out.dim == 64);
    near(cost("query", "{\"dataset\": " SET ", \"budget\": 40, \"views\": 3}", "victim", &encoder, NULL, NULL, &out),
         0.05 + 1.2 + 3e-8 * 120 * 64);
    assert_true(out.rows == 120 && out.dim == 64 && out.size == 24);
    near(cost("query", "{\"budget\": 0}", "victim", &encoder, NULL, NULL, &out), 1);
    near(cost("init", "{\"arch\": \"resnet8\"}", "victim", &encoder, NULL, NULL, &out), 0.1);
    assert_true(out.dim == 256 && out.size == 24);
    near(cost("import", "{\"arch\": \"resnet8\", \"size\": 48}", NULL, NULL, NULL, NULL, &out), 0.2);
    assert_true(out.dim == 256 && out.size == 48);
    cost("import", "{\"arch\": \"resnet8\"}", NULL, NULL, NULL, NULL, &out);
    assert_int_equal(out.size, 32);
    cJSON *block = cJSON_Parse("{\"arch\": \"resnet8\", \"epochs\": 7}");
    near(cost("train", "{\"arch\": \"resnet8\", \"epochs\": 7, \"dataset\": " SET "}", NULL, NULL, NULL, NULL, &out),
         task_training_seconds(block, 120, 16, 2));
    assert_true(out.dim == 256 && out.size == 16);
    near(cost("train", "{\"arch\": \"resnet8\", \"dataset\": {\"format\": \"none\"}}", NULL, NULL, NULL, NULL, &out),
         0.1);
    assert_int_equal(out.size, 0);
    near(cost("steal", "{\"arch\": \"resnet8\", \"epochs\": 7, \"budget\": 90}", "answers", &encoder, NULL, NULL, &out),
         task_training_seconds(block, 90, 24, 1));
    assert_true(out.dim == 256 && out.size == 24);
    cJSON_Delete(block);
    near(cost("similarity", "{\"obfuscations\": [\"none\", \"pad\", \"shuffle\"], \"seed\": 1, \"sample\": 400}",
              "victim", &rows, "suspect", &encoder, &out),
         0.05 + 3e-8 * 500 * 192 + 5 * mutual_information_seconds(400, 64, 64) + 3 * 3e-8 * 400 * 64);
    near(cost("similarity", "{\"obfuscations\": [\"none\"], \"seed\": 1}", "victim", &rows, "suspect", &encoder, &out),
         0.05 + 3e-8 * 500 * 192 + 3 * mutual_information_seconds(500, 64, 64) + 3e-8 * 500 * 64);
    near(cost("similarity", "{\"sample\": 1}", "victim", &rows, "suspect", &encoder, &out), 1);
    struct inference_options o;
    assert_int_equal(options_defaults(inference_options_table, &o, NULL), 0);
    const struct inference_data data = { .d = 64, .n_fit = 125, .n_members = 375, .n_heldout = 300 };
    near(cost("dataset_inference",
              "{\"statistics\": [\"gap\", \"learned\"], \"seed\": 1, \"seeds\": 4, \"fit_fraction\": 0.25}", "members",
              &rows, "heldout", &more, &out),
         0.05 + 9 * 3e-8 * 800 * 64 +
             4 * (statistic_find("gap")->seconds(&data, &o) + statistic_find("learned")->seconds(&data, &o)));
    near(cost("dataset_inference", "{\"seeds\": 0}", "members", &rows, "heldout", &more, &out), 1);
    const double taken =
        cost("representations", "{\"dataset\": " SET ", \"file\": \"" TEST_DATA "/golden/store/f32.npy\"}", NULL, NULL,
             NULL, NULL, &out);
    assert_true(out.rows == 120 && out.dim > 0);
    near(taken, 0.05 + 2 * 3e-8 * 120 * out.dim);
    near(cost("representations", "{\"dataset\": " SET ", \"file\": \"none\"}", NULL, NULL, NULL, NULL, &out), 0.05);
    near(cost("mock", "{\"seconds\": 3}", NULL, NULL, NULL, NULL, &out), 3);
    near(cost("mock", "{\"seconds\": 0}", NULL, NULL, NULL, NULL, &out), 0.001);
}

/* What was complained about, and where. */
static struct {
    int n;
    char key[32], other[32], text[512];
} heard;

static void hear(void *arg, const char *key, const char *other, const char *text)
{
    (void)arg;
    heard.n++;
    snprintf(heard.key, sizeof heard.key, "%s", key);
    snprintf(heard.other, sizeof heard.other, "%s", other == NULL ? "" : other);
    snprintf(heard.text, sizeof heard.text, "%s", text);
}

static void complains(const char *kind, const char *params, int64_t images, const char *key, const char *says)
{
    cJSON *block = cJSON_Parse(params);
    assert_non_null(block);
    const struct task_facts f = { .params = block, .images = images };
    heard.n = 0;
    task_kind_find(kind)->check(&f, &(struct complaints){ hear, NULL });
    if (heard.n != (key != NULL) || (key != NULL && (strcmp(heard.key, key) != 0 || strstr(heard.text, says) == NULL)))
        fail_msg("%s %s: %d complaints, at %s: %s", kind, params, heard.n, heard.key, heard.text);
    cJSON_Delete(block);
}

static void contradictions_are_found(void **state)
{
    (void)state;
    complains("train", "{\"loss\": \"mse\"}", 10, "loss", "needs a victim's answers");
    complains("query", "{\"crop_min\": 0.9, \"crop_max\": 0.5}", 10, "crop_min", "larger");
    complains("steal", "{\"loss\": \"infonce\", \"batch\": 1}", 10, "batch", "too few");
    /* 21 members, of which half, rounded, fit: 11 (10.5) */
    const char *few = "{\"statistics\": [\"learned\", \"gap\"], \"components\": 11, \"seed\": 1}";
    complains("dataset_inference", few, 21, NULL, NULL);
    complains("dataset_inference", few, 20, "components",
              "a mixture of 11 components needs at least as many rows; of 20 members 10 fit it");
    assert_string_equal(heard.other, "fit_fraction");
    complains("dataset_inference", few, 0, NULL, NULL); /* not known yet */
    complains("dataset_inference", "{\"statistics\": [\"learned\"], \"components\": 11, \"seed\": 1}", 20, NULL, NULL);
    complains("dataset_inference", "{\"components\": -1}", 2, NULL, NULL);
    complains("representations", "{}", 10, NULL, NULL);
    complains("representations", "{\"file\": \"/nowhere/x.npy\"}", 10, "file", "/nowhere/x.npy");
    complains("representations", "{\"file\": \"" TEST_DATA "/golden/store/scalar.npy\"}", 0, "file", "scalar.npy");
    complains("representations", "{\"file\": \"" TEST_DATA "/golden/store/f32.npy\"}", 0, NULL, NULL);
    complains("representations", "{\"file\": \"" TEST_DATA "/golden/store/f32.npy\"}", 1000, "file",
              " rows where the set has 1000 images");
}

static void options_that_belong_elsewhere(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        { "query", "budget", "budgets = [ ... ] stands beside query" },
        { "query", "views", NULL },
        { "steal", "crop_min", "a theft sees the queries' views" },
        { "steal", "projector", "a projector is for self-supervised training" },
        { "steal", "lr", NULL },
        { "train", "head", "it is for thefts" },
        { "train", "lr", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *says = task_kind_find(rows[i][0])->elsewhere(rows[i][1]);
        assert_int_equal(says != NULL, rows[i][2] != NULL);
        assert_true(says == NULL || strstr(says, rows[i][2]) != NULL);
    }
}

/* Some images of a set, in any order. */
static void images_are_taken(void **state)
{
    (void)state;
    struct err err;
    uint8_t pixels[4 * 3 * 4];
    int32_t labels[4] = { 7, 8, 9, 10 };
    for (int i = 0; i < 48; i++)
        pixels[i] = (uint8_t)i;
    struct images all = { .n = 4, .c = 3, .h = 2, .w = 2, .pixels = pixels, .labels = labels }, some;
    const int64_t chosen[] = { 3, 0, 3 }, low[] = { 0, -1 }, high[] = { 4 };
    for (int labelled = 0; labelled < 2; labelled++) {
        all.labels = labelled ? labels : NULL;
        assert_int_equal(task_take_images(&all, chosen, 3, &some, &err), 0);
        assert_true(some.n == 3 && some.c == 3 && some.h == 2 && some.w == 2);
        for (int i = 0; i < 36; i++)
            assert_int_equal(some.pixels[i], chosen[i / 12] * 12 + i % 12);
        assert_int_equal(some.labels != NULL, labelled);
        assert_true(!labelled || (some.labels[0] == 10 && some.labels[1] == 7 && some.labels[2] == 10));
        images_fini(&some);
    }
    assert_int_equal(task_take_images(&all, low, 2, &some, &err), -1);
    assert_string_equal(err.text, "image -1 of a set of 4 was asked for");
    assert_int_equal(task_take_images(&all, high, 1, &some, &err), -1);
    int64_t v;
    cJSON *params = cJSON_Parse("{\"a\": 5, \"b\": \"5\"}");
    assert_true(task_integer(params, "a", &v, &err) == 0 && v == 5);
    assert_int_equal(task_integer(params, "b", &v, &err), -1);
    assert_string_equal(err.text, "the task's parameter 'b' is missing");
    assert_true(task_seed(0, &err) == 0 && task_seed(-1, &err) == -1);
    cJSON_Delete(params);
    cJSON *sized = cJSON_Parse("{\"dataset\": " SET "}"), *none = cJSON_Parse("{\"dataset\": 3}");
    int size;
    task_shape(sized, &v, &size);
    assert_true(v == 120 && size == 16);
    task_shape(none, &v, &size);
    assert_true(v == 0 && size == 0);
    cJSON_Delete(sized);
    cJSON_Delete(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_costs_its_images),
        cmocka_unit_test(max_steps_is_a_limit),
        cmocka_unit_test(an_image_costs_its_products),
        cmocka_unit_test(a_task_costs_what_it_reads_and_does),
        cmocka_unit_test(contradictions_are_found),
        cmocka_unit_test(options_that_belong_elsewhere),
        cmocka_unit_test(images_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
