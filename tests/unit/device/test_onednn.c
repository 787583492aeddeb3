/* No convolution that a network could want runs on oneDNN's reference
 * implementation. Run once as the processor is and once held down to AVX2. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "device/cpu/onednn.h"

static struct onednn *dnn;
static int planned, batch;

/* Plans the convolution for training and with every epilogue for inference. */
static void has_kernels(int c_in, int size, int c_out, int kernel, int stride, bool input_gradient)
{
    struct conv_desc d = { .n = batch,
                           .c_in = c_in,
                           .h = size,
                           .w = size,
                           .c_out = c_out,
                           .kernel = kernel,
                           .stride = stride,
                           .padding = kernel / 2 };
    struct err err;

    for (int epilogue = CONV_PLAIN - 1; epilogue <= CONV_BIAS_ADD_RELU; epilogue++) {
        d.training = epilogue < CONV_PLAIN;
        d.epilogue = d.training ? CONV_PLAIN : (enum conv_epilogue)epilogue;
        d.input_gradient = d.training && input_gradient;
        struct conv *conv = onednn_conv_create(dnn, &d, &err);
        if (conv == NULL)
            fail_msg("%s", err.text);
        for (int pass = 0; pass < ONEDNN_PASSES; pass++) {
            const char *name = onednn_conv_implementation(conv, (enum onednn_pass)pass);
            const bool wanted =
                pass == ONEDNN_FORWARD || (d.training && pass == ONEDNN_BACKWARD_WEIGHT) || d.input_gradient;
            assert_int_equal(name != NULL, wanted);
            if (name != NULL && (strncmp(name, "ref", 3) == 0 || name[0] == '?'))
                fail_msg("pass %d of %d x %d^2 -> %d, kernel %d, stride %d, epilogue %d is %s", pass, c_in, size, c_out,
                         kernel, stride, epilogue, name);
            planned += wanted;
        }
        onednn_conv_destroy(conv);
    }
}

/* All convolutions of residual networks of this width on images of this size. */
static void network(double width, int size, bool bottleneck)
{
    int c = (int)lround(64 * width);

    for (int stage = 0; stage < 4; stage++) {
        const int planes = (int)lround((64 << stage) * width), out = bottleneck ? 4 * planes : planes,
                  stride = stage ? 2 : 1, smaller = (size - 1) / stride + 1;
        if (bottleneck) {
            has_kernels(c, size, planes, 1, 1, true);
            has_kernels(planes, size, planes, 3, stride, true);
            has_kernels(planes, smaller, out, 1, 1, true);
            has_kernels(out, smaller, planes, 1, 1, true);
        } else {
            has_kernels(c, size, planes, 3, stride, true);
        }
        has_kernels(planes, smaller, planes, 3, 1, true);
        has_kernels(c, size, out, 1, stride, true);
        c = out;
        size = smaller;
    }
}

static void test_networks(void **state)
{
    static const double widths[] = { 0.015625, 0.03125, 0.05, 0.0625, 0.1, 0.125, 0.15, 0.2, 0.22, 0.25, 0.3, 0.5, 1 };
    static const int sizes[] = { 1, 2, 8, 9, 28 };
    (void)state;

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            network(widths[i], sizes[j], j == 2 && widths[i] < 0.5);
    print_message("%d passes\n", planned);
}

/* The first convolution, of images. */
static void test_stems(void **state)
{
    static const int sizes[] = { 1, 2, 4, 8, 16, 28, 64 }, widths[] = { 1, 3, 4, 8, 13, 16, 64 };
    (void)state;

    for (int c = 1; c <= 4; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
                has_kernels(c, sizes[i], widths[j], 3, 1, false);
                has_kernels(c, sizes[i], widths[j], 7, 2, c % 2);
            }
    print_message("%d passes\n", planned);
}

static bool winograd(struct conv_desc d, enum onednn_pass pass)
{
    struct err err;
    struct conv *conv = onednn_conv_create(dnn, &d, &err);
    assert_non_null(conv);
    const char *name = onednn_conv_implementation(conv, pass);
    const bool is = name != NULL && strstr(name, "wino") != NULL;
    onednn_conv_destroy(conv);
    return is;
}

/* Winograd's convolution is for training alone, and where it pays. */
static void test_winograd(void **state)
{
    const struct conv_desc good = { .n = batch,
                                    .c_in = 64,
                                    .h = 16,
                                    .w = 16,
                                    .c_out = 64,
                                    .kernel = 3,
                                    .stride = 1,
                                    .padding = 1,
                                    .training = true,
                                    .input_gradient = true };
    (void)state;

    if (!winograd(good, ONEDNN_FORWARD)) { /* this processor has none */
        print_message("no kernel of Winograd's here\n");
        return;
    }
    for (int pass = 0; pass < ONEDNN_PASSES; pass++) {
        struct conv_desc d = good;
        d.c_in = d.c_out = 32;
        d.h = d.w = 4;
        if (pass == ONEDNN_FORWARD)
            assert_true(winograd(d, pass)); /* just enough */
        for (int member = 0; member < 8; member++) {
            d = good;
            switch (member) {
            case 0:
                d.training = d.input_gradient = false;
                break;
            case 1:
                d.kernel = 1;
                d.padding = 0;
                break;
            case 2:
                d.stride = 2;
                break;
            case 3:
                d.padding = 0;
                break;
            case 4:
                d.c_in = 31;
                break;
            case 5:
                d.c_out = 31;
                break;
            case 6:
                d.h = 3;
                break;
            default:
                d.w = 3;
            }
            assert_false(winograd(d, pass));
        }
    }
}

/* No network has this one, and no kernel fits it in 2.6.3. */
static void test_refused(void **state)
{
    const struct conv_desc d = {
        .n = 1, .c_in = 2, .h = 8, .w = 8, .c_out = 1, .kernel = 7, .stride = 1, .padding = 3
    };
    struct err err = { "" };
    struct conv *conv = onednn_conv_create(dnn, &d, &err);
    (void)state;

    if (conv != NULL)
        assert_int_not_equal(strncmp(onednn_conv_implementation(conv, ONEDNN_FORWARD), "ref", 3), 0);
    else
        assert_non_null(strstr(err.text, "no fast kernel"));
    onednn_conv_destroy(conv);
}

/* State: threads and batch size. */
static int start(void **state)
{
    const int *as = *state;
    struct err err;
    planned = 0;
    batch = as[1];
    dnn = onednn_create(as[0], &err);
    return dnn != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    onednn_destroy(dnn);
    return 0;
}

int main(void)
{
    static int alone[] = { 1, 6 }, together[] = { 2, 6 }, single[] = { 2, 1 };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(test_networks, start, stop, alone),
        cmocka_unit_test_prestate_setup_teardown(test_networks, start, stop, together),
        cmocka_unit_test_prestate_setup_teardown(test_networks, start, stop, single),
        cmocka_unit_test_prestate_setup_teardown(test_stems, start, stop, alone),
        cmocka_unit_test_prestate_setup_teardown(test_stems, start, stop, together),
        cmocka_unit_test_prestate_setup_teardown(test_stems, start, stop, single),
        cmocka_unit_test_prestate_setup_teardown(test_refused, start, stop, alone),
        cmocka_unit_test_prestate_setup_teardown(test_winograd, start, stop, alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
