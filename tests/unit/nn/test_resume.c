/* A training that is stopped at any step and taken up again, as often as you
 * like, leaves the same file as one that was never stopped. Each part runs in a
 * child process, because a stop request lasts. */
#include "fixtures.h"

#include <sys/wait.h>

#include "base/fs.h"
#include "base/stop.h"
#include "nn/checkpoint.h"

enum { NOT_THERE = 77 };
static const char *precision = "fp32"; /* of the next training */
static double checkpoint_seconds;
static bool announced;

static int64_t saved = -1; /* steps that the next training must not do again; -1: no matter */

static void stop_at(void *arg, const struct train_progress *p)
{
    if (saved >= 0 && p->step != saved + 1)
        _exit(1); /* begun anew, it would end the same */
    saved = -1;
    if (p->step == *(const int64_t *)arg)
        stop_request();
}

/* Opens the device, in a child: a GPU that this process had asked for anything would be lost to
 * its children. NOT_THERE if it lacks the precision. */
static struct device *open_device(void)
{
    struct device *dev = device_open(device_asked() != NULL ? device_asked() : "auto", 1, &the_err);
    if (dev != NULL && !announced)
        announce(dev);
    for (int p = 0; dev != NULL && precision_names[p] != NULL; p++)
        if (strcmp(precision_names[p], precision) == 0 && !has_precision(dev, (enum precision)p))
            _exit(NOT_THERE);
    return dev;
}

/* Exit status of a child that trains until step `last` (0: to the end). */
static int train(const char *checkpoint, const char *out, int64_t last, uint64_t seed, bool theft)
{
    fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct device *dev = open_device();
        char text[512];
        snprintf(text, sizeof text,
                 "{\"arch\": \"resnet8\", \"width\": 0.0625, \"augment\": \"simclr\", \"batch\": 4, \"epochs\": 4,"
                 "\"hold\": 1, \"projector_dim\": 8, \"precision\": \"%s\", \"checkpoint_seconds\": %g}",
                 precision, checkpoint_seconds);
        cJSON *block = cJSON_Parse(text);
        struct images im = make_images(14, 8);
        float answers[14 * 2 * 16];
        int64_t keys[14];
        for (int i = 0; i < 14 * 2 * 16; i++)
            answers[i] = noise(i, "answers");
        for (int i = 0; i < 14; i++)
            keys[i] = 100 - i;
        cJSON *augment = cJSON_Parse("{\"augment\": \"weak\", \"seed\": 5}");
        struct train_request request = { .block = block,
                                         .data = &im,
                                         .target = theft ? answers : NULL,
                                         .target_dim = 16,
                                         .target_views = 2,
                                         .target_augment = theft ? augment : NULL,
                                         .target_index = theft ? keys : NULL,
                                         .seed = seed,
                                         .checkpoint = checkpoint,
                                         .out = out,
                                         .progress = stop_at,
                                         .arg = &last };
        struct train_result result;
        int rc = dev == NULL ? -1 : train_run(dev, &request, &result, &the_err);
        if (rc < 0)
            fprintf(stderr, "%s\n", the_err.text);
        if (rc == 0 && (result.epochs != 4 || result.steps != 12 || !(result.loss[0] > 0)))
            rc = -1;
        _exit(rc == 0 ? 0 : rc == STOPPED ? EXIT_STOPPED : 1);
    }
    int status;
    announced = true;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_resumed(bool theft)
{
    const char *checkpoint = scratch("checkpoint"), *whole = scratch("whole"), *parts = scratch("parts");
    int rc = train(NULL, whole, 0, 7, theft);
    if (rc == NOT_THERE)
        return;
    assert_int_equal(rc, 0);
    unlink(checkpoint);
    const int64_t stops[] = { 1, 3, 4, 8, 11 };
    saved = 0;
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        assert_int_equal(train(checkpoint, parts, stops[i], 7, theft), EXIT_STOPPED);
        saved = stops[i];
    }
    checkpoint_seconds = 1000; /* may change on the way */
    assert_int_equal(train(checkpoint, parts, 0, 7, theft), 0);
    checkpoint_seconds = 0;
    saved = -1;
    same_file(whole, parts);
    unlink(checkpoint);
    print_message("resumed in %s\n", precision);
}

static void check(bool theft)
{
    for (int p = 0; precision_names[p] != NULL; p++) {
        precision = precision_names[p];
        check_resumed(theft);
    }
    precision = "fp32";
}

static void test_self(void **state)
{
    (void)state;
    check(false);
}

static void test_theft(void **state)
{
    (void)state;
    check(true);
}

/* Files differ if anything does: the comparison above can fail. */
static void test_seed_matters(void **state)
{
    (void)state;
    const char *a = scratch("seed7"), *b = scratch("seed8");
    char *x, *y;
    size_t n, m;
    assert_int_equal(train(NULL, a, 0, 7, false), 0);
    assert_int_equal(train(NULL, b, 0, 8, false), 0);
    ok(fs_read(a, &x, &n, &the_err));
    ok(fs_read(b, &y, &m, &the_err));
    assert_true(n == m && memcmp(x, y, n) != 0);
    mem_free(x);
    mem_free(y);
}

static void test_foreign_checkpoint(void **state)
{
    (void)state;
    const char *checkpoint = scratch("foreign"), *out = scratch("out"), *whole = scratch("whole8");
    assert_int_equal(train(NULL, whole, 0, 8, false), 0);
    assert_int_equal(train(checkpoint, out, 2, 7, false), EXIT_STOPPED);
    assert_int_equal(train(checkpoint, out, 0, 8, false), 0);
    same_file(whole, out);
}

static bool same_identity(const struct train_request *a, const struct train_request *b)
{
    char x[HASH_HEX], y[HASH_HEX];
    ok(checkpoint_identity(a, x, &the_err));
    ok(checkpoint_identity(b, y, &the_err));
    return strcmp(x, y) == 0;
}

/* Whatever a training depends on is part of it, to the last byte; and nothing else is. */
static void test_identity(void **state)
{
    (void)state;
    enum { IMAGES = 5, VIEWS = 2, DIM = 3 };
    struct images im = make_images(IMAGES, 8), other_im = make_images(IMAGES, 8);
    float answers[IMAGES * VIEWS * DIM] = { 1 }, other_answers[IMAGES * VIEWS * DIM] = { 1 };
    int64_t keys[IMAGES] = { 9, 8 }, other_keys[IMAGES] = { 9, 8 };
    cJSON *block = json("{\"arch\": \"resnet8\", \"checkpoint_seconds\": 5}"),
          *sooner = json("{\"checkpoint_seconds\": 1, \"arch\": \"resnet8\"}"),
          *other_block = json("{\"arch\": \"resnet8\", \"lr\": 0.5, \"checkpoint_seconds\": 5}"),
          *query = json("{\"augment\": \"weak\", \"seed\": 5}"),
          *other_query = json("{\"augment\": \"weak\", \"seed\": 6}");
    other_im.pixels[IMAGES * 3 * 64 - 1] ^= 1;
    other_answers[IMAGES * VIEWS * DIM - 1] = 1;
    other_keys[IMAGES - 1] = 1;
    const struct train_request theft = { .block = block,
                                         .data = &im,
                                         .target = answers,
                                         .target_dim = DIM,
                                         .target_views = VIEWS,
                                         .target_augment = query,
                                         .target_index = keys,
                                         .seed = 7 };
    struct train_request other[10];
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        other[i] = theft;
    other[0].block = other_block;
    other[1].data = &other_im;
    other[2].target = other_answers;
    other[3].target = NULL;
    other[4].target_dim = VIEWS;
    other[4].target_views = DIM;
    other[5].target_augment = other_query;
    other[6].target_augment = NULL;
    other[7].target_index = other_keys;
    other[8].target_index = NULL;
    other[9].seed = 8;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        for (size_t j = 0; j < i; j++)
            if (same_identity(&other[i], &theft) || same_identity(&other[i], &other[j]))
                fail_msg("training %zu is taken for another", i);
    struct train_request same = theft;
    same.block = sooner;
    same.out = same.checkpoint = "elsewhere";
    same.provenance = query;
    assert_true(same_identity(&same, &theft));
    mem_free(im.pixels);
    mem_free(other_im.pixels);
    cJSON *all[] = { block, sooner, other_block, query, other_query };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cJSON_Delete(all[i]);
}

/* One bit of the tensors' bytes, wherever: the training begins again and ends the same. */
static void test_damaged_checkpoint(void **state)
{
    (void)state;
    const char *checkpoint = scratch("damaged"), *out = scratch("anew"), *whole = scratch("whole7");
    assert_int_equal(train(NULL, whole, 0, 7, false), 0);
    for (int part = 1; part <= 3; part++) {
        char *bytes;
        size_t n;
        unlink(checkpoint);
        assert_int_equal(train(checkpoint, out, 3, 7, false), EXIT_STOPPED);
        ok(fs_read(checkpoint, &bytes, &n, &the_err));
        bytes[n - 1 - (size_t)part * 97] ^= 4;
        ok(fs_write_atomic(checkpoint, bytes, part == 3 ? n / 2 : n, &the_err));
        mem_free(bytes);
        assert_int_equal(train(checkpoint, out, 0, 7, false), 0);
        same_file(whole, out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self),         cmocka_unit_test(test_theft),
        cmocka_unit_test(test_seed_matters), cmocka_unit_test(test_foreign_checkpoint),
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_damaged_checkpoint)
    };
    /* as in a run: all children take the algorithms that the first one measured */
    if (setenv("DINF_CUDA_CHOICES", scratch("cuda-choices"), 0) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
