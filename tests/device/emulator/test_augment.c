/* Augmentation's kernel against the CPU's loops: same draws, pixels within rounding. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/augment_host.h"
#include "device/cuda/launch.h"

static const struct augment_strength simclr = {
    .crop_min = 0.2,
    .crop_max = 1,
    .flip = 0.5,
    .jitter = 0.8,
    .brightness = 0.4,
    .contrast = 0.4,
    .saturation = 0.4,
    .hue = 0.1,
    .grey = 0.2,
    .blur = 0.5,
};

enum { IMAGES = 5 };

static void compare(int h, int w, int th, int tw, int n, const struct augment_strength *strength)
{
    struct augment_target target = {
        .h = th, .w = tw, .mean = { 0.49f, 0.48f, 0.45f }, .std = { 0.25f, 0.24f, 0.26f }
    };
    const size_t bytes = (size_t)IMAGES * 3 * h * w, floats = (size_t)n * 3 * th * tw;
    uint8_t *pixels = malloc(bytes);
    struct augment_view *views = malloc((size_t)n * sizeof *views);
    float *want = malloc(floats * sizeof *want), *got = malloc(floats * sizeof *got);
    void *workspace = NULL;
    const size_t needed = cuda_augment_workspace(&target, n);
    struct rng rng = rng_at(3, RNG_TEST, (uint32_t)h, (uint32_t)w, 0);
    struct err err;

    assert_true(pixels && views && want && got);
    if (needed)
        assert_non_null(workspace = malloc(needed));
    for (size_t i = 0; i < bytes; i++)
        pixels[i] = (uint8_t)rng_u32(&rng);
    for (int i = 0; i < n; i++) {
        views[i] = strength != NULL ? augment_draw(strength, 11, 1, (uint32_t)(i % IMAGES), (uint32_t)i, h, w)
                                    : augment_identity(i % IMAGES, h, w);
    }
    for (size_t i = 0; i < floats; i++)
        got[i] = NAN;
    assert_int_equal(augment_run_host(pixels, 3, h, w, views, n, &target, want, 3, 1, &err), 0);
    assert_int_equal(cuda_augment(NULL, pixels, h, w, views, n, &target, workspace, got, &err), 0);
    for (size_t i = 0; i < floats; i++)
        if (!(fabsf(got[i] - want[i]) < 2e-5f))
            fail_msg("%d x %d to %d x %d: value %zu of view %zu is %.7g, not %.7g", h, w, th, tw, i,
                     i / ((size_t)3 * th * tw), (double)got[i], (double)want[i]);
    uint16_t *halves = malloc(floats * sizeof *halves);
    assert_non_null(halves);
    target.precision = PRECISION_BF16;
    assert_int_equal(cuda_augment(NULL, pixels, h, w, views, n, &target, workspace, halves, &err), 0);
    for (size_t i = 0; i < floats; i++) /* the same pixels, then rounded */
        assert_int_equal(halves[i], kernel_to_bf16(got[i]));
    free(halves);
    free(pixels);
    free(views);
    free(want);
    free(got);
    free(workspace);
}

static void test_identity(void **state)
{
    (void)state;
    compare(32, 32, 32, 32, 5, NULL);
    compare(7, 5, 3, 9, 5, NULL);
}

static void test_cifar(void **state)
{
    (void)state;
    compare(32, 32, 32, 32, 64, &simclr);
}

static void test_odd_shapes(void **state)
{
    (void)state;
    compare(33, 17, 31, 29, 24, &simclr);
    compare(5, 7, 3, 2, 24, &simclr);
    compare(1, 1, 1, 1, 8, &simclr);
    compare(9, 9, 1, 13, 8, &simclr);
}

/* Views that do not fit shared memory, with blurs of several pixels. */
static void test_large(void **state)
{
    (void)state;
    compare(40, 50, 33, 32, 12, &simclr);
    compare(96, 96, 96, 96, 12, &simclr);
    compare(33, 33, 33, 33, 300, &simclr); /* more views than the workspace holds */
    compare(50, 60, 100, 121, 12, &simclr);
}

/* Every jitter alone and strong, in every order that comes up. */
static void test_strong(void **state)
{
    (void)state;
    const struct augment_strength strong = { .crop_min = 1,
                                             .crop_max = 1,
                                             .jitter = 1,
                                             .brightness = 0.9,
                                             .contrast = 0.9,
                                             .saturation = 0.9,
                                             .hue = 0.5,
                                             .blur = 1 };
    compare(16, 16, 16, 16, 64, &strong);
}

static void test_refused(void **state)
{
    (void)state;
    const struct augment_target target = { .h = 1400, .w = 1400, .std = { 1, 1, 1 } };
    struct err err = { "" };
    assert_int_equal(cuda_augment(NULL, NULL, 32, 32, NULL, 1, &target, NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, "1400 x 1400"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_cifar),  cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_large),    cmocka_unit_test(test_strong), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
