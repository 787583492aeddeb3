/* What devices on the host have in common: memory, shapes that cannot be, views outside their images; the table of
 * devices. On every device that is here and has the host's memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device/augment_body.h"
#include "device/device.h"
#include "device/plain.h"
#include "device/host.h"

static struct device *both[2];

static void test_memory(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct device *dev = both[k];
        const struct device_ops *ops = dev->ops;
        struct err err;
        size_t free, total;
        char text[8] = "1234567", back[8] = "";
        char *a = ops->alloc(dev, 8, &err), *b = ops->alloc(dev, 8, &err);
        assert_true((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0);
        for (int i = 0; i < 8; i++)
            assert_int_equal(a[i], 0);
        assert_int_equal(ops->upload(dev, a, text, 8, &err), 0);
        assert_int_equal(ops->copy(dev, b, a, 8, &err), 0);
        assert_int_equal(ops->upload(dev, a, "\0\0", 3, &err), 0);
        assert_int_equal(ops->sync(dev, &err), 0);
        assert_int_equal(ops->download(dev, back, b, 8, &err), 0);
        assert_string_equal(back, text);
        assert_int_equal(ops->download(dev, back, a, 8, &err), 0);
        assert_memory_equal(back, "\0\0\0004567", 8);
        assert_int_equal(ops->upload(dev, a, NULL, 0, &err), 0);
        assert_int_equal(ops->memory(dev, &free, &total, &err), 0);
        assert_true(free == SIZE_MAX && total == SIZE_MAX && precision_bytes(PRECISION_TF32) == 4);
        double *looked = ops->alloc(dev, sizeof *looked, &err), value = 2.5;
        assert_int_equal(ops->upload(dev, looked, &value, sizeof value, &err), 0);
        assert_int_equal(ops->look(dev, looked, &err), 0);
        value = 7;
        assert_int_equal(ops->upload(dev, looked, &value, sizeof value, &err), 0); /* after the look */
        assert_int_equal(ops->seen(dev, true, &value, &err), 1);
        assert_true(value == 2.5);
        ops->free(dev, looked);
        ops->free(dev, a);
        ops->free(dev, b);
        ops->free(dev, NULL);
        struct device_needs needs = { 3, 5 };
        const struct conv_desc conv = {
            .n = 1, .c_in = 1, .h = 8, .w = 8, .c_out = 1, .kernel = 3, .stride = 1, .padding = 1
        };
        const struct augment_target target = { .h = 8, .w = 8 };
        ops->conv_needs(dev, &conv, &needs);
        ops->augment_needs(dev, &target, 100, &needs);
        assert_true(needs.workspace == 3 && needs.scratch == 5);
        assert_int_equal(device_supports(dev, PRECISION_FP32, &err), 0);
        for (int p = PRECISION_TF32; p <= PRECISION_BF16; p++) {
            char want[80];
            snprintf(want, sizeof want, "the device %s computes in fp32 only, not in %s", ops->name,
                     precision_names[p]);
            assert_int_equal(device_supports(dev, (enum precision)p, &err), -1);
            assert_string_equal(err.text, want);
        }
        const float table[6] = { 1, 2, 3, 4, 5, 6 };
        const int32_t index[4] = { 2, 0, 2, 1 };
        float out[9] = { 0 };
        assert_int_equal(ops->gather_rows(dev, &(struct gather_rows){ 4, 2, table, index, out }, &err), 0);
        assert_memory_equal(out, ((float[]){ 5, 6, 1, 2, 5, 6, 3, 4, 0 }), sizeof out);
        float mean[3] = { 1, 2, 6 };
        double sum = 10;
        assert_int_equal(ops->add_mean(dev, &(struct add_mean){ 3, mean, &sum }, &err), 0);
        assert_true(sum == 13);
    }
}

static void refuses_conv(const struct conv_desc *d, const char *says)
{
    for (int k = 0; k < 2; k++) {
        struct err err = { "" };
        struct conv *conv = both[k]->ops->conv_create(both[k], d, &err);
        assert_int_equal(conv == NULL, says != NULL);
        if (says != NULL && strstr(err.text, says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, says);
        both[k]->ops->conv_destroy(conv);
    }
}

static void test_convolutions(void **state)
{
    (void)state;
    const struct conv_desc good = {
        .n = 2, .c_in = 16, .h = 8, .w = 6, .c_out = 16, .kernel = 3, .stride = 2, .padding = 1
    };
    refuses_conv(&good, NULL);
    for (int member = 0; member < 8; member++) {
        struct conv_desc d = good;
        int *const of[] = { &d.n, &d.c_in, &d.h, &d.w, &d.c_out, &d.kernel, &d.stride, &d.padding };
        *of[member] = member == 7 ? -1 : 0;
        refuses_conv(&d, "impossible shape");
        *of[member] = 1;
        if (member == 2 || member == 3 || member == 4) /* one pixel, one channel out: small, but possible */
            assert_int_equal(host_check_conv(&d, NULL), 0);
    }
    struct conv_desc d = good;
    d.padding = 3;
    refuses_conv(&d, "input 2 x 16 x 8 x 6, 16 outputs, kernel 3, stride 2, padding 3");
    d.padding = 2;
    assert_int_equal(host_check_conv(&d, NULL), 0);
    d = good;
    d.kernel = 7;
    d.padding = 0;
    refuses_conv(&d, "an image of 8 x 6 with padding 0 is smaller than the kernel of 7 x 7");
    d.h = 6;
    d.w = 8;
    refuses_conv(&d, "an image of 6 x 8 with padding 0");
    d.h = d.w = 7;
    assert_int_equal(host_check_conv(&d, NULL), 0);
    d = good;
    d.training = true;
    refuses_conv(&d, NULL);
    d.epilogue = CONV_BIAS;
    refuses_conv(&d, "exist for inference only");
    assert_true(host_conv_out(&good, 8) == 4 && host_conv_out(&good, 7) == 4 && host_conv_out(&good, 1) == 1);
    assert_true(host_pool_out(1) == 1 && host_pool_out(2) == 1 && host_pool_out(3) == 2 && host_pool_out(8) == 4);
}

static void test_batch_norms(void **state)
{
    (void)state;
    const struct batch_norm_desc good = { .n = 1, .c = 2, .h = 1, .w = 2, .epsilon = 1e-5, .momentum = 0.1 };
    struct err err;
    for (int member = 0; member < 4; member++) {
        struct batch_norm_desc d = good;
        *(int *[]){ &d.n, &d.c, &d.h, &d.w }[member] = 0;
        assert_int_equal(host_check_batch_norm(&d, &err), -1);
        assert_non_null(strstr(err.text, "impossible shape"));
    }
    static const double numbers[][3] = { { 1e-5, 0, 0 },     { 1e-5, 1, 0 },  { 0, 0.1, -1 },   { -1, 0.1, -1 },
                                         { 1e-5, -0.1, -1 }, { 1, 1.01, -1 }, { NAN, 0.1, -1 }, { 1, NAN, -1 } };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct batch_norm_desc d = good;
        d.epsilon = numbers[i][0];
        d.momentum = numbers[i][1];
        assert_int_equal(host_check_batch_norm(&d, &err), (int)numbers[i][2]);
    }
    struct batch_norm_desc d = good;
    assert_int_equal(host_check_statistics(&d, &err), 0); /* two values a channel */
    d.w = 1;
    assert_int_equal(host_check_statistics(&d, &err), -1);
    d.n = 2;
    assert_int_equal(host_check_statistics(&d, &err), 0);
    for (int k = 0; k < 2; k++) {
        d.c = 0;
        assert_null(both[k]->ops->batch_norm_create(both[k], &d, &err));
        both[k]->ops->batch_norm_destroy(NULL);
        both[k]->ops->conv_destroy(NULL);
    }
}

/* To the border, and not beyond it. */
static void test_views(void **state)
{
    (void)state;
    static const struct {
        int image;
        float x, y, w, h;
        bool good;
    } crops[] = {
        { 0, 0, 0, 6, 4, true },   { 7, 5, 3, 1, 1, true },    { 0, 1, 0, 5, 4, true },    { 0, 0, 1, 6, 3, true },
        { -1, 0, 0, 6, 4, false }, { 0, -1, 0, 6, 4, false },  { 0, 0, -1, 6, 4, false },  { 0, 0, 0, 0, 4, false },
        { 0, 0, 0, 6, 0, false },  { 0, 1, 0, 6, 4, false },   { 0, 0, 1, 6, 4, false },   { 0, 0, 0, 7, 4, false },
        { 0, 0, 0, 6, 5, false },  { 0, NAN, 0, 6, 4, false }, { 0, 0, 0, 6, NAN, false },
    };
    struct err err;
    for (size_t i = 0; i < sizeof crops / sizeof *crops; i++) {
        struct augment_view v[2] = { augment_identity(0, 4, 6), augment_identity(crops[i].image, 4, 6) };
        v[1].crop_x = crops[i].x;
        v[1].crop_y = crops[i].y;
        v[1].crop_w = crops[i].w;
        v[1].crop_h = crops[i].h;
        assert_int_equal(augment_check(3, 4, 6, v, 2, &err), crops[i].good ? 0 : -1);
        assert_int_equal(augment_check(3, 4, 6, v, 1, &err), 0);
    }
    assert_int_equal(augment_check(3, 1, 1, NULL, 0, &err), 0);
    assert_int_equal(augment_check(4, 1, 1, NULL, 0, &err), -1);
    assert_int_equal(augment_check(3, 0, 1, NULL, 0, &err), -1);
    assert_string_equal(err.text, "augmentation of 0 images of 0 x 1 pixels is not possible");
    assert_int_equal(augment_check(3, 1, 0, NULL, 0, &err), -1);
    assert_int_equal(augment_check(3, 1, 1, NULL, -1, &err), -1);
}

/* The first of equals, and what is no number, wherever it stands; every window of a 5 x 4 plane. */
static void test_max_pool(void **state)
{
    (void)state;
    enum { H = 5, W = 4, OH = 3, OW = 2 };
    for (int k = 0; k < 2; k++)
        for (int c = 1; c <= 16; c += 15) { /* a channel alone, and a block */
            struct device *dev = both[k];
            const struct device_ops *ops = dev->ops;
            struct err err;
            float plain[16 * H * W], out[16 * OH * OW];
            const struct act_desc in = { .n = 1, .c = c, .h = H, .w = W },
                                  pooled = { .n = 1, .c = c, .h = OH, .w = OW };
            int32_t where[16 * OH * OW];
            for (int kind = 0; kind < 3; kind++) {
                for (int i = 0; i < c * H * W; i++) {
                    const int p = i % (H * W);
                    plain[i] = kind == 0 ? -1.0f : kind == 1 ? (float)(p * 7 % 11) : p == 9 ? NAN : (float)p;
                }
                float *x = ops->alloc(dev, sizeof plain, &err), *y = ops->alloc(dev, sizeof out, &err);
                assert_int_equal(ops->pack(dev, &in, plain, x, &err), 0);
                assert_int_equal(ops->max_pool_forward(dev, &in, x, y, where, &err), 0);
                assert_int_equal(plain_contents(dev, &pooled, y, out, &err), 0);
                for (int i = 0; i < c * OH * OW; i++) {
                    const int channel = i / (OH * OW), py = i / OW % OH, px = i % OW, b = ops->channel_block(dev, c);
                    int best = -1;
                    for (int iy = 2 * py - 1; iy <= 2 * py + 1; iy++)
                        for (int ix = 2 * px - 1; ix <= 2 * px + 1; ix++) {
                            const int p = iy * W + ix;
                            if (iy < 0 || iy >= H || ix < 0 || ix >= W)
                                continue;
                            if (best < 0 || plain[p] > plain[best] || isnan(plain[p]))
                                best = p;
                        }
                    const int at = (channel / b * OH * OW + i % (OH * OW)) * b + channel % b;
                    assert_int_equal(where[at], best);
                    assert_true(out[i] == plain[best] || (isnan(out[i]) && isnan(plain[best])));
                }
                ops->free(dev, y);
                ops->free(dev, x);
            }
        }
}

/* beta 0 overwrites what is no number; a row shorter than 1e-12 is divided by that. */
static void test_edges(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct device *dev = both[k];
        struct err err;
        const float a[2] = { 1, 2 }, b[2] = { 3, 4 };
        float c = NAN, y[4], inverse[2];
        const struct factor left = { a, 2, TRANS_NO }, right = { b, 1, TRANS_NO };
        const struct gemm twice = { PRECISION_FP32, 1, 1, 2, 2, left, right, 0, &c, 1 },
                          added = { PRECISION_FP32, 1, 1, 2, 1, left, right, 0.5f, &c, 1 };
        assert_int_equal(dev->ops->gemm(dev, &twice, &err), 0);
        assert_true(c == 22);
        assert_int_equal(dev->ops->gemm(dev, &added, &err), 0);
        assert_true(c == 22);
        const float rows[4] = { 3e-13f, 4e-13f, 3e-12f, 4e-12f };
        assert_int_equal(dev->ops->normalize_rows(dev, &(struct normalize_rows){ 2, 2, rows, y, inverse }, &err), 0);
        assert_float_equal(y[0], 0.3, 1e-6);
        assert_float_equal(y[1], 0.4, 1e-6);
        assert_float_equal(y[2], 0.6, 1e-6);
        assert_float_equal(inverse[0] * 1e-12f, 1, 1e-6);
        assert_float_equal(inverse[1] * 1e-12f, 0.2, 1e-6);
        const float weight[4] = { 1, 1, -1, -1 }, bias[2] = { -3, 3 };
        float linear[2];
        assert_int_equal(
            dev->ops->linear(dev, &(struct linear){ PRECISION_FP32, 1, 2, 2, a, weight, bias, false, linear }, &err),
            0);
        assert_true(linear[0] == 0 && linear[1] == 0);
        assert_int_equal(
            dev->ops->linear(dev, &(struct linear){ PRECISION_FP32, 1, 2, 2, b, weight, bias, true, linear }, &err), 0);
        assert_true(linear[0] == 4 && linear[1] == 0);
        float dy[4] = { 1, 2, 3, 4 };
        const float kept[4] = { 1, 0, -1, 1e-30f };
        float sums[2];
        assert_int_equal(
            dev->ops->bias_relu_backward(dev, &(struct bias_relu_backward){ 2, 2, true, kept, dy, sums }, &err), 0);
        assert_true(dy[0] == 1 && dy[1] == 0 && dy[2] == 0 && dy[3] == 4 && sums[0] == 1 && sums[1] == 4);
        float plain[4] = { 1, 2, 3, 4 };
        assert_int_equal(
            dev->ops->bias_relu_backward(dev, &(struct bias_relu_backward){ 2, 2, false, kept, plain, sums }, &err), 0);
        assert_true(plain[1] == 2 && sums[0] == 4 && sums[1] == 6);
    }
}

/* The processor is called what the kernel calls it. */
static void test_processor(void **state)
{
    (void)state;
    char line[256], *name = NULL;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && name == NULL && fgets(line, sizeof line, f) != NULL)
        name = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
    if (f != NULL)
        fclose(f);
    if (name == NULL) {
        assert_memory_equal(both[1]->description, "CPU, ", 5);
        return;
    }
    name += 1 + strspn(name + 1, " ");
    name[strcspn(name, "\n")] = '\0';
    name[strlen(name) < 63 ? strlen(name) : 63] = '\0';
    assert_memory_equal(both[1]->description, name, strlen(name));
    assert_memory_equal(both[1]->description + strlen(name), ", 2 threads, oneDNN ", 20);
    assert_non_null(strstr(both[1]->description,
                           both[1]->ops->channel_block(both[1], 64) == 16 ? " (blocks of 16)" : " (blocks of 8)"));
    assert_int_equal(both[1]->ops->channel_block(both[1], 3), 1);
}

static void test_table(void **state)
{
    (void)state;
    char why[256], tiny[4];
    struct err err;
    struct library all[8], few[8];
    assert_true(device_has_precision("ref", "fp32") && device_has_precision("cpu", "fp32"));
    assert_false(device_has_precision("ref", "tf32") || device_has_precision("cpu", "bf16"));
    assert_false(device_has_precision("cpu", "fp16") || device_has_precision("gpu", "fp32"));
    assert_true(device_has_precision("cuda", "fp32") && device_has_precision("cuda", "tf32"));
    assert_true(device_has_precision("cuda", "bf16"));
    assert_true(device_gpus("cpu") == 0 && device_gpus("nothing") == 0);
    assert_int_equal(device_check("ref", &err), 0);
    assert_int_equal(device_check("reff", &err), -1);
    assert_string_equal(err.text, "there is no device \"reff\"; did you mean \"ref\"?");
    const char *usual = device_auto(why, sizeof why);
    assert_string_equal(device_auto(tiny, sizeof tiny), usual);
    assert_true(strlen(tiny) < sizeof tiny && strncmp(tiny, why, strlen(tiny)) == 0);
    int k = 0;
    for (; strcmp(device_kinds[k]->name, usual) != 0; k++) { /* what is faster is said not to be here */
        char name[32];
        snprintf(name, sizeof name, "%s%s: ", k > 0 ? "; " : "", device_kinds[k]->name);
        assert_non_null(strstr(why, name));
        assert_int_equal(device_check(device_kinds[k]->name, &err), -1);
        snprintf(name, sizeof name, "device \"%s\" cannot be used here", device_kinds[k]->name);
        assert_non_null(strstr(err.text, name));
        assert_null(device_open(device_kinds[k]->name, 1, &err));
        assert_int_equal(device_gpus(device_kinds[k]->name), 0);
    }
    assert_int_equal(why[0] == '\0', k == 0);
    const int n = device_libraries(all, 8);
    assert_true(n >= 2 && n < 8);
    for (int max = 0; max <= n; max++) {
        memset(few, 0, sizeof few);
        assert_int_equal(device_libraries(few, max), max);
        for (int i = 0; i < 8; i++)
            assert_int_equal(few[i].name != NULL, i < max);
    }
    for (int threads = 1; threads <= 3; threads++)
        for (int i = 0; i < 2; i++) {
            struct device *dev = device_open(i ? "cpu" : "ref", threads, &err);
            char want[32];
            assert_non_null(dev);
            assert_int_equal(dev->threads, threads);
            snprintf(want, sizeof want, ", %d thread%s", threads, threads == 1 ? "" : "s");
            const char *at = strstr(dev->description, want);
            assert_true(at != NULL && (at[strlen(want)] == '\0' || at[strlen(want)] == ','));
            device_close(dev);
        }
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    both[0] = device_open("ref", 1, &err);
    both[1] = device_open("cpu", 2, &err);
    return both[0] == NULL || both[1] == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    device_close(both[0]);
    device_close(both[1]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory), cmocka_unit_test(test_convolutions), cmocka_unit_test(test_batch_norms),
        cmocka_unit_test(test_views),  cmocka_unit_test(test_max_pool),     cmocka_unit_test(test_edges),
        cmocka_unit_test(test_table),  cmocka_unit_test(test_processor),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
