/* What a training says it needs against what it takes, and how tasks share a GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stop.h"
#include "host.h"
#include "nn/trainer.h"
#include "stats/gmm.h"
#include "stats/similarity.h"
#include "tasks/gpu_share.h"

static struct err err;

/* `largest`: the convolution with the largest operands. */
static void counted(const char *options, int n, int size, int target_dim, const struct conv_desc *largest)
{
    struct device *dev = device_open("cuda", 1, &err);
    assert_non_null(dev);
    cJSON *block = cJSON_Parse(options);
    struct images im = { .n = n, .c = 3, .h = size, .w = size };
    im.pixels = calloc((size_t)n * 3, (size_t)size * (size_t)size);
    float *target = target_dim ? calloc((size_t)n, (size_t)target_dim * sizeof *target) : NULL;
    const struct train_request request = {
        .block = block, .data = &im, .target = target, .target_dim = target_dim, .target_views = 1
    };
    size_t bytes;
    if (train_memory(dev, &request, &bytes, &err) != 0)
        fail_msg("%s", err.text);
    struct device_needs needs = { 0 };
    dev->ops->conv_needs(dev, largest, &needs);
    bytes -= needs.workspace;
    const size_t before = host_gpu_used();
    struct trainer *t = trainer_create(dev, &request, &err);
    if (t == NULL)
        fail_msg("%s", err.text);
    const size_t taken = host_gpu_used() - before;
    print_message("%s: counted %zu KiB, taken %zu KiB\n", options, bytes >> 10, taken >> 10);
    /* page-locked buffers of the host and small buffers of the device are not counted; not
     * all that is counted has been asked for before the first step */
    assert_true(bytes <= taken + ((size_t)4 << 20) && taken < bytes + ((size_t)64 << 20));
    assert_true(bytes > taken / 2);
    trainer_destroy(t);
    free(target);
    free(im.pixels);
    cJSON_Delete(block);
    device_close(dev);
}

static void test_memory(void **state)
{
    (void)state;
    const struct conv_desc block = {
        .n = 32, .c_in = 64, .h = 16, .w = 16, .c_out = 64, .kernel = 3, .stride = 1, .padding = 1
    };
    const struct conv_desc stem = {
        .n = 8, .c_in = 3, .h = 64, .w = 64, .c_out = 64, .kernel = 7, .stride = 2, .padding = 3
    };
    counted("{\"arch\": \"resnet10\", \"batch\": 16}", 600, 16, 0, &block);
    counted("{\"arch\": \"resnet10\", \"batch\": 16, \"precision\": \"bf16\"}", 600, 16, 0, &block);
    counted("{\"arch\": \"resnet18\", \"batch\": 8, \"stem\": \"imagenet\", \"loss\": \"mse\"}", 20, 64, 512, &stem);
}

static void test_embedding(void **state)
{
    (void)state;
    struct device *dev = device_open("cuda", 1, &err);
    cJSON *block = cJSON_Parse("{\"arch\": \"resnet10\"}");
    const float mean[3] = { 0 }, std[3] = { 1, 1, 1 };
    struct images im = { .n = 100, .c = 3, .h = 24, .w = 24 };
    im.pixels = calloc((size_t)im.n * 3, (size_t)(im.h * im.w));
    struct encoder *e = encoder_random(dev, block, 1, 16, mean, std, &err);
    assert_non_null(e);
    float *out = calloc((size_t)im.n, (size_t)encoder_dim(e) * sizeof *out);
    size_t bytes;
    assert_int_equal(encoder_memory(e, &im, 1, 40, &bytes, &err), 0);
    struct device_needs needs = { 0 };
    const struct conv_desc block_conv = {
        .n = 34, .c_in = 64, .h = 16, .w = 16, .c_out = 64, .kernel = 3, .stride = 1, .padding = 1
    };
    dev->ops->conv_needs(dev, &block_conv, &needs);
    bytes -= needs.workspace;
    const size_t before = host_gpu_used();
    assert_int_equal(encoder_embed(e, &im, 40, out, NULL, NULL, &err), 0);
    const size_t taken = host_gpu_used() - before;
    print_message("embedding: counted %zu KiB, taken %zu KiB\n", bytes >> 10, taken >> 10);
    assert_true(taken <= bytes + 65536 && bytes <= taken + ((size_t)4 << 20));
    encoder_destroy(e);
    device_close(dev);
    cJSON_Delete(block);
    free(out);
    free(im.pixels);
}

/* What evaluations allocate at a time; the device's own temporaries stay below `slack`. */
static void test_evaluations(void **state)
{
    (void)state;
    enum { N = 3000, D = 40, K = 7 };
    const size_t slack = (size_t)280 << 20;
    struct device *dev = device_open("cuda", 1, &err);
    struct rng rng = rng_at(1, 2, 3, 4, 5);
    double *x = calloc(N * D, sizeof *x);
    for (int i = 0; i < N * D; i++)
        x[i] = rng_double(&rng);
    for (enum covariance c = COVARIANCE_DIAG; c <= COVARIANCE_FULL; c++) {
        const struct gmm_options o = { .components = K,
                                       .covariance = c,
                                       .starts = 1,
                                       .max_iterations = 3,
                                       .tolerance = 1e-3,
                                       .regularization = 1e-3 };
        struct gmm g = { 0 };
        host_gpu_peak();
        const size_t before = host_gpu_used();
        assert_int_equal(gmm_fit(dev, x, N, D, &o, &g, &err), 0);
        const size_t taken = host_gpu_peak() - before, said = gmm_memory(N, D, K, c);
        print_message("mixture: counted %zu KiB, taken %zu KiB with temporaries\n", said >> 10, taken >> 10);
        assert_true(said <= taken + slack && taken <= said + slack);
        assert_true(said > (size_t)N * D * sizeof *x);
        gmm_fini(&g);
    }
    struct information mi;
    host_gpu_peak();
    const size_t before = host_gpu_used();
    assert_int_equal(mutual_information(dev, x, D, x, D, N, &mi, &err), 0);
    const size_t taken = host_gpu_peak() - before, said = mutual_information_memory(N, D, D);
    print_message("information: counted %zu KiB, taken %zu KiB with temporaries\n", said >> 10, taken >> 10);
    assert_true(taken <= said + slack);
    free(x);
    device_close(dev);
}

static struct task_context context(struct device *dev, int sharing)
{
    return (struct task_context){ .device = dev, .sharing = sharing };
}

static int constant(void *arg, size_t *bytes, struct err *e)
{
    (void)e;
    *bytes = *(const size_t *)arg;
    return 0;
}

/* Exit status of a process that wants a place, and is told to stop after a while if `stop`. */
static int another(int sharing, bool stop, size_t bytes)
{
    int status;
    char text[32];
    snprintf(text, sizeof text, "%zu", bytes);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "sharing", stop ? "stop" : "wait", sharing == 1 ? "1" : "2", text, (char *)NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a process of its own, which shares no lock with the test's: takes a place. */
static int child(bool stop, int sharing, size_t bytes)
{
    struct device *dev = device_open("cuda", 1, &err);
    struct task_context ctx = context(dev, sharing);
    struct gpu_share share;
    if (stop)
        stop_request();
    int rc = gpu_share_enter(&ctx, &share, &err);
    if (rc == 0)
        rc = gpu_share_reserve(&ctx, &share, constant, &bytes, &err);
    device_close(dev);
    return rc == 0 ? 0 : rc == STOPPED ? EXIT_STOPPED : 1;
}

/* One place: another process waits for it (and may be stopped while it does) until
 * it is left; of two places it takes the second. */
static void test_turns(void **state)
{
    (void)state;
    struct device *dev = device_open("cuda", 1, &err);
    assert_non_null(dev);
    struct task_context ctx = context(dev, 1);
    struct gpu_share mine;
    size_t bytes = 1 << 20, all = (size_t)384 << 20; /* all: with what a process takes anyway */
    assert_int_equal(gpu_share_enter(&ctx, &mine, &err), 0);
    assert_int_equal(gpu_share_reserve(&ctx, &mine, constant, &bytes, &err), 0);
    assert_int_equal(another(2, true, bytes), EXIT_STOPPED); /* a place, but memory is being allocated */
    gpu_share_settled(&mine);
    assert_int_equal(another(1, true, bytes), EXIT_STOPPED);
    assert_int_equal(another(2, false, bytes), 0);
    assert_int_equal(another(2, true, all), EXIT_STOPPED); /* the device has so much, but never all of it free */
    gpu_share_leave(&mine);
    assert_int_equal(another(1, false, bytes), 0);
    assert_int_equal(another(1, false, all), 0); /* alone it may try */
    device_close(dev);
}

static void test_too_much(void **state)
{
    (void)state;
    struct device *dev = device_open("cuda", 1, &err);
    struct task_context ctx = context(dev, 0);
    struct gpu_share share;
    size_t bytes = (size_t)5 << 30;
    assert_int_equal(gpu_share_enter(&ctx, &share, &err), 0);
    assert_int_equal(gpu_share_reserve(&ctx, &share, constant, &bytes, &err), -1);
    gpu_share_leave(&share);
    assert_non_null(strstr(err.text, "needs about 5120 MiB of GPU memory, the GPU has 1024 MiB"));
    device_close(dev);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return child(strcmp(argv[1], "stop") == 0, strcmp(argv[2], "1") == 0 ? 1 : 2, strtoull(argv[3], NULL, 10));
    char folder[] = "/tmp/dinf-sharing-XXXXXX";
    if (mkdtemp(folder) == NULL)
        return 1;
    setenv("TMPDIR", folder, 1);
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory), cmocka_unit_test(test_embedding),
                                        cmocka_unit_test(test_evaluations), cmocka_unit_test(test_turns),
                                        cmocka_unit_test(test_too_much) };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 ? 1 : failed;
}
