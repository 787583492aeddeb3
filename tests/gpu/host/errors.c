/* What the cuda device says when something is wrong, what it keeps of measured
 * algorithms, and that it gives everything back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "device/augment_body.h"
#include "device/device.h"
#include "device/plain.h"
#include "host.h"

static struct err err;

static struct device *opened(void)
{
    struct device *dev = device_open("cuda", 1, &err);
    if (dev == NULL)
        fail_msg("%s", err.text);
    return dev;
}

static void closed(struct device *dev)
{
    device_close(dev);
    assert_int_equal(host_gpu_used(), 0);
    assert_int_equal(host_cudnn_open(), 0);
}

static void says(const char *text)
{
    if (strstr(err.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void test_rank(void **state)
{
    (void)state;
    setenv("DINF_LOCAL_RANK", "5", 1); /* modulo one GPU */
    closed(opened());
    setenv("DINF_LOCAL_RANK", "first", 1);
    assert_null(device_open("cuda", 1, &err));
    says("DINF_LOCAL_RANK=first");
    unsetenv("DINF_LOCAL_RANK");
    struct device *dev = opened();
    assert_non_null(strstr(dev->description, "PCI 0000:00:00.0"));
    closed(dev);
}

static void refused(const char *fault, const char *sentence)
{
    setenv("HOST_GPU_FAULT", fault, 1);
    assert_null(device_open("cuda", 1, &err));
    says(sentence);
    unsetenv("HOST_GPU_FAULT");
}

static struct conv *small_conv(struct device *dev, int n)
{
    struct conv_desc d = { .n = n,
                           .c_in = 3,
                           .h = 8,
                           .w = 8,
                           .c_out = 4,
                           .kernel = 3,
                           .stride = 1,
                           .padding = 1,
                           .training = true,
                           .input_gradient = true };
    return dev->ops->conv_create(dev, &d, &err);
}

/* What is wrong with a GPU is said in a sentence, before or after it was opened. */
static void test_faults(void **state)
{
    (void)state;
    refused("none", "no GPU is visible here");
    refused("old", "architecture 7.0 is not supported; 8.0 (A100) is the oldest");
    refused("old driver", "the GPU driver is too old: it serves CUDA 11.4, and this binary was built with CUDA ");
    refused("taken", "taken by another process");
    struct device *dev = opened();
    struct conv *conv = small_conv(dev, 1);
    assert_non_null(conv);
    void *in = dev->ops->alloc(dev, 3 * 8 * 8 * sizeof(float), &err);
    void *w = dev->ops->alloc(dev, 4 * 3 * 9 * sizeof(float), &err);
    void *y = dev->ops->alloc(dev, 4 * 8 * 8 * sizeof(float), &err);
    setenv("HOST_GPU_FAULT", "lost", 1);
    assert_int_equal(dev->ops->conv_forward(conv, in, w, NULL, NULL, y, &err), -1);
    says("convolution: the GPU is lost to this process: "); /* not cuDNN's word for it */
    dev->ops->conv_destroy(conv);
    dev->ops->free(dev, in);
    dev->ops->free(dev, w);
    dev->ops->free(dev, y);
    assert_int_equal(dev->ops->sync(dev, &err), -1);
    says("computing on the GPU: the GPU is lost to this process: ");
    float x;
    void *p = dev->ops->alloc(dev, sizeof x, &err);
    assert_int_equal(dev->ops->download(dev, &x, p, sizeof x, &err), -1);
    says("lost to this process");
    dev->ops->free(dev, p);
    closed(dev);
    unsetenv("HOST_GPU_FAULT");
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct device *dev = opened();
    assert_null(dev->ops->alloc(dev, (size_t)4 << 30, &err));
    says("allocating 4097 MiB");
    says("out of memory");
    says("1024 MiB are free");
    struct conv_desc d = { .n = 512,
                           .c_in = 64,
                           .h = 128,
                           .w = 128,
                           .c_out = 64,
                           .kernel = 3,
                           .stride = 1,
                           .padding = 1,
                           .training = true,
                           .input_gradient = true };
    assert_null(dev->ops->conv_create(dev, &d, &err));
    says("convolution of 512 x 64 x 128 x 128 to 64 channels");
    void *p = dev->ops->alloc(dev, 100, &err); /* the device goes on */
    assert_non_null(p);
    dev->ops->free(dev, p);
    void *nothing = dev->ops->alloc(dev, 0, &err);
    assert_non_null(nothing);
    dev->ops->free(dev, nothing);
    dev->ops->free(dev, NULL);
    closed(dev);
}

/* More uploads than page-locked pieces, one larger than a piece. */
static void test_uploads(void **state)
{
    (void)state;
    enum { N = 300000, TIMES = 9 };
    struct device *dev = opened();
    int32_t *host = mem_alloc(N, sizeof *host, NULL), *back = mem_alloc(N, sizeof *back, NULL);
    int32_t *p = dev->ops->alloc(dev, N * sizeof *p, &err);
    for (int t = 0; t < TIMES; t++) {
        size_t n = t == 4 ? N : 1000 + (size_t)t;
        for (size_t i = 0; i < n; i++)
            host[i] = (int32_t)i * (t + 1);
        assert_int_equal(dev->ops->upload(dev, p, host, n * sizeof *p, &err), 0);
        assert_int_equal(dev->ops->download(dev, back, p, n * sizeof *p, &err), 0);
        assert_memory_equal(host, back, n * sizeof *p);
    }
    dev->ops->free(dev, p);
    mem_free(back);
    mem_free(host);
    closed(dev);
}

/* The slot against ref's: views travel, rows are in place; too large for shared memory. */
static void test_augment(void **state)
{
    (void)state;
    enum { IMAGES = 3, H = 9, W = 11, OH = 90, OW = 77, VIEWS = 5, IN = 3 * H * W, OUT = VIEWS * 3 * OH * OW };
    const struct augment_strength strong = { .crop_min = 0.2,
                                             .crop_max = 1,
                                             .flip = 0.5,
                                             .jitter = 1,
                                             .brightness = 0.8,
                                             .contrast = 0.8,
                                             .saturation = 0.8,
                                             .hue = 0.2,
                                             .grey = 0.3,
                                             .blur = 1 };
    const struct augment_target target = {
        .h = OH, .w = OW, .mean = { 0.4f, 0.5f, 0.6f }, .std = { 0.2f, 0.3f, 0.4f }
    };
    struct augment_view views[VIEWS];
    uint8_t host[IMAGES * IN];
    static float result[2][OUT];
    const struct act_desc act = { .n = VIEWS, .c = 3, .h = OH, .w = OW };

    for (uint32_t i = 0; i < VIEWS; i++)
        views[i] = augment_draw(&strong, 1, 2, i % IMAGES, i, H, W);
    for (int i = 0; i < IMAGES * IN; i++)
        host[i] = (uint8_t)(i * 37 % 251);
    for (int s = 0; s < 2; s++) {
        struct device *dev = s ? opened() : device_open("ref", 1, &err);
        const struct device_ops *ops = dev->ops;
        uint8_t *pixels = ops->alloc(dev, sizeof host, &err);
        float *out = ops->alloc(dev, sizeof result[s], &err);
        struct augment_view *there = ops->alloc(dev, sizeof views, &err);
        ops->upload(dev, pixels, host, sizeof host, &err);
        ops->upload(dev, there, views, sizeof views, &err);
        assert_int_equal(ops->augment(dev, pixels, 3, H, W, there, VIEWS, &target, out, &err), 0);
        assert_int_equal(plain_contents(dev, &act, out, result[s], &err), 0);
        ops->free(dev, out);
        ops->free(dev, there);
        ops->free(dev, pixels);
        device_close(dev);
    }
    for (int i = 0; i < OUT; i++)
        if (!(fabsf(result[0][i] - result[1][i]) < 1e-4f))
            fail_msg("value %d: %g instead of %g", i, result[1][i], result[0][i]);
}

/* What is recorded does not run, then runs at every replay; what may not be
 * recorded is refused, and the device goes on. */
static void test_recording(void **state)
{
    (void)state;
    struct device *dev = opened();
    const struct device_ops *ops = dev->ops;
    const struct device_recording *r = ops->recording;
    float ones[4] = { 1, 1, 1, 1 };
    double got;
    float *x = ops->alloc(dev, sizeof ones, &err);
    double *y = ops->alloc(dev, sizeof got, &err);
    const struct add_mean mean = { 4, x, y };
    assert_int_equal(ops->upload(dev, x, ones, sizeof ones, &err), 0);
    assert_int_equal(ops->add_mean(dev, &mean, &err), 0); /* what is recorded has run once */
    assert_int_equal(r->begin(dev, &err), 0);
    assert_int_equal(ops->add_mean(dev, &mean, &err), 0);
    struct recording *recording = r->end(dev, &err);
    assert_non_null(recording);
    assert_int_equal(ops->download(dev, &got, y, sizeof got, &err), 0);
    assert_true(got == 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(r->replay(recording, &err), 0);
    assert_int_equal(ops->download(dev, &got, y, sizeof got, &err), 0);
    assert_true(got == 4);

    assert_int_equal(r->begin(dev, &err), 0);
    assert_null(ops->alloc(dev, 100, &err));
    struct recording *empty = r->end(dev, &err);
    assert_non_null(empty);
    r->destroy(empty);

    const struct batch_norm_desc wide = { .n = 64, .c = 4096, .h = 4, .w = 4, .epsilon = 1e-5, .momentum = 0.1 };
    struct batch_norm *bn = ops->batch_norm_create(dev, &wide, &err); /* its scratch is larger: it moves */
    assert_non_null(bn);
    assert_int_equal(r->replay(recording, &err), -1);
    says("out of date");
    ops->batch_norm_destroy(bn);
    r->destroy(recording);
    assert_int_equal(host_graphs(), 0);
    ops->free(dev, x);
    ops->free(dev, y);
    closed(dev);

    setenv("DINF_CUDA_GRAPHS", "0", 1);
    dev = opened();
    assert_null(dev->ops->recording);
    closed(dev);
    unsetenv("DINF_CUDA_GRAPHS");
}

static size_t lines_of(const char *path)
{
    size_t n = 0;
    int c;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

/* Plans are measured with numbers, and the time of launching (which is longer in the host's cuDNN for what is faster
 * otherwise) is no part of it. Three passes are measured once; another process reads them; one that the file
 * forbids is refused rather than replaced; half a line is no line. */
static void test_choices(void **state)
{
    (void)state;
    char path[] = "/tmp/dinf-choices-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    setenv("DINF_CUDA_CHOICES", path, 1);
    const int unset = host_unset();
    for (int round = 0; round < 2; round++) {
        struct device *dev = opened();
        for (int again = 0; again < 2; again++) {
            struct conv *conv = small_conv(dev, 2);
            assert_non_null(conv);
            dev->ops->conv_destroy(conv);
        }
        closed(dev);
        assert_int_equal(lines_of(path), 3);
        FILE *f = fopen(path, "a");
        fputs("half a li", f);
        fclose(f);
    }
    assert_int_equal(host_unset(), unset);
    struct device *dev = opened();
    struct conv *other = small_conv(dev, 1); /* its lines do not grow onto the half one */
    assert_non_null(other);
    dev->ops->conv_destroy(other);
    closed(dev);
    dev = opened();
    dev->ops->conv_destroy(small_conv(dev, 1));
    closed(dev);
    assert_int_equal(lines_of(path), 7);
    FILE *f = fopen(path, "r");
    char line[512];
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    assert_non_null(strstr(line, "\t6 ")); /* the only engine that keeps fp32, at the faster of its settings */
    assert_non_null(strstr(line, " 2=1"));
    *strchr(line, '\t') = 0;
    static const char *const wrong[] = { "6", "6 2=5 3=7", "99 2=0 3=7", "engine", "6 2", "6 2=" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        f = fopen(path, "w");
        fprintf(f, "%s\t%s\n", line, wrong[i]);
        fclose(f);
        dev = opened();
        assert_null(small_conv(dev, 2));
        says("planning a convolution: ");
        closed(dev);
    }
    unlink(path);
    setenv("DINF_CUDA_CHOICES", "/nowhere/choices", 1);
    dev = opened();
    assert_null(small_conv(dev, 2));
    says("/nowhere/choices");
    closed(dev);
    unsetenv("DINF_CUDA_CHOICES");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank),    cmocka_unit_test(test_faults),  cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_uploads), cmocka_unit_test(test_augment), cmocka_unit_test(test_recording),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
