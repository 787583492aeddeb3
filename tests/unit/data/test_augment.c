/* The augmentation against torchvision (tests/golden/data/make_augment.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "device/augment_host.h"

#define GOLDEN TEST_DATA "/golden/data/"

static const struct augment_strength simclr = { .crop_min = 0.08,
                                                .crop_max = 1.0,
                                                .flip = 0.5,
                                                .jitter = 0.8,
                                                .brightness = 0.8,
                                                .contrast = 0.8,
                                                .saturation = 0.8,
                                                .hue = 0.2,
                                                .grey = 0.2,
                                                .blur = 0.5 };

static const char *take(const char *at, void *out, size_t bytes)
{
    memcpy(out, at, bytes);
    return at + bytes;
}

static int32_t take_int(const char **at)
{
    int32_t v;
    *at = take(*at, &v, sizeof v);
    return v;
}

static void random_pixels(uint8_t *p, size_t n)
{
    struct rng r = rng_at(1, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rng_u32(&r);
}

static void equals_torchvision(void **state)
{
    (void)state;
    struct err err;
    char *file = NULL;
    size_t bytes;
    assert_int_equal(fs_read(GOLDEN "augment.bin", &file, &bytes, &err), 0);
    const char *at = file;
    int h = take_int(&at), w = take_int(&at), cases = take_int(&at);
    const uint8_t *pixels = (const uint8_t *)at;
    at += 3 * h * w;
    double worst = 0.0;
    assert_true(cases > 30);
    for (int k = 0; k < cases; k++) {
        struct augment_view v = { 0 };
        struct augment_target t = { .precision = PRECISION_FP32 };
        t.h = take_int(&at);
        t.w = take_int(&at);
        at = take(at, &v.crop_x, 4);
        at = take(at, &v.crop_y, 4);
        at = take(at, &v.crop_w, 4);
        at = take(at, &v.crop_h, 4);
        v.flip = take_int(&at);
        v.jitter = take_int(&at);
        v.grey = take_int(&at);
        v.blur = take_int(&at);
        for (int j = 0; j < 4; j++)
            v.order[j] = (uint8_t)take_int(&at);
        at = take(at, v.factor, sizeof v.factor);
        at = take(at, &v.sigma, sizeof v.sigma);
        at = take(at, t.mean, sizeof t.mean);
        at = take(at, t.std, sizeof t.std);
        size_t n = 3 * (size_t)t.h * (size_t)t.w;
        float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
        at = take(at, want, n * sizeof *want);
        assert_int_equal(augment_run_host(pixels, 3, h, w, &v, 1, &t, got, 1, 1, &err), 0);
        for (size_t i = 0; i < n; i++) {
            double d = fabs((double)got[i] - want[i]) * t.std[0];
            if (d > worst)
                worst = d;
            if (!(d <= 5e-6))
                fail_msg("case %d, element %zu: %.8g, torchvision %.8g", k, i, got[i], want[i]);
        }
        free(want);
        free(got);
    }
    assert_ptr_equal(at, file + bytes);
    print_message("%d cases, largest difference on the 0..1 scale %.2g\n", cases, worst);
    mem_free(file);
}

/* One view pixel by pixel from augment_body.h, as a GPU kernel would do it. */
static void by_bodies(const uint8_t *image, int h, int w, const struct augment_view *v, const struct augment_target *t,
                      float *out)
{
    int n = t->h * t->w, radius = augment_blur_radius(t->h, t->w);
    float *p[3] = { out, out + n, out + 2 * n };
    for (int y = 0; y < t->h; y++)
        for (int x = 0; x < t->w; x++)
            for (int c = 0; c < 3; c++)
                p[c][y * t->w + x] =
                    augment_sample(image + c * h * w, w, augment_tap(v->crop_y, v->crop_h, t->h, y, false),
                                   augment_tap(v->crop_x, v->crop_w, t->w, x, v->flip));
    for (int s = 0; v->jitter && s < 4; s++) {
        int kind = v->order[s];
        float f = v->factor[kind];
        double mean = 0.0;
        for (int i = 0; i < n; i++)
            mean += augment_grey(p[0][i], p[1][i], p[2][i]) / n;
        for (int i = 0; i < n; i++) {
            float grey = augment_grey(p[0][i], p[1][i], p[2][i]);
            float other = kind == AUGMENT_BRIGHTNESS ? 0.0f : kind == AUGMENT_CONTRAST ? (float)mean : grey;
            if (kind == AUGMENT_HUE)
                augment_hue(&p[0][i], &p[1][i], &p[2][i], f);
            else
                for (int c = 0; c < 3; c++)
                    p[c][i] = augment_blend(p[c][i], other, f);
        }
    }
    for (int i = 0; v->grey && i < n; i++)
        p[0][i] = p[1][i] = p[2][i] = augment_grey(p[0][i], p[1][i], p[2][i]);
    float *copy = malloc((size_t)n * sizeof *copy);
    for (int c = 0; v->blur && c < 3; c++) {
        memcpy(copy, p[c], (size_t)n * sizeof *copy);
        float sum = 0.0f;
        for (int j = -radius; j <= radius; j++)
            sum += augment_blur_weight(j, v->sigma);
        for (int y = 0; y < t->h; y++)
            for (int x = 0; x < t->w; x++) {
                float all = 0.0f;
                for (int dy = -radius; dy <= radius; dy++)
                    for (int dx = -radius; dx <= radius; dx++)
                        all += augment_blur_weight(dy, v->sigma) * augment_blur_weight(dx, v->sigma) *
                               copy[augment_reflect(y + dy, t->h) * t->w + augment_reflect(x + dx, t->w)];
                p[c][y * t->w + x] = all / (sum * sum);
            }
    }
    free(copy);
    for (int i = 0; i < 3 * n; i++)
        out[i] = augment_normalise(out[i], t->mean[i / n], 1.0f / t->std[i / n]);
}

enum { N = 24, H = 21, W = 27 };

static void views_of(struct augment_view *views)
{
    for (int i = 0; i < N; i++)
        views[i] = augment_draw(&simclr, 5, 2, (uint32_t)i, 1, H, W);
}

static void pipeline_equals_bodies(void **state)
{
    (void)state;
    static uint8_t pixels[N * 3 * H * W];
    struct augment_view views[N];
    struct augment_target t = { .h = 16, .w = 20, .mean = { 0.4f, 0.5f, 0.6f }, .std = { 0.2f, 0.25f, 0.3f } };
    static float got[N * 3 * 16 * 20], want[3 * 16 * 20];
    struct err err;
    random_pixels(pixels, sizeof pixels);
    views_of(views);
    assert_int_equal(augment_run_host(pixels, 3, H, W, views, N, &t, got, 1, 1, &err), 0);
    for (int i = 0; i < N; i++) {
        by_bodies(pixels + i * 3 * H * W, H, W, &views[i], &t, want);
        for (int j = 0; j < 3 * 16 * 20; j++)
            assert_float_equal(got[i * 3 * 16 * 20 + j], want[j], 2e-5f);
    }
}

static void layouts_and_threads(void **state)
{
    (void)state;
    static uint8_t pixels[N * 3 * H * W];
    struct augment_view views[N];
    struct augment_target t = { .h = 10, .w = 12, .mean = { 0.4f, 0.5f, 0.6f }, .std = { 0.2f, 0.25f, 0.3f } };
    enum { AREA = 10 * 12 };
    static float plain[N * 3 * AREA], got[N * 16 * AREA];
    struct err err;
    random_pixels(pixels, sizeof pixels);
    views_of(views);
    assert_int_equal(augment_run_host(pixels, 3, H, W, views, N, &t, plain, 1, 1, &err), 0);
    static const int blocks[] = { 1, 2, 3, 4, 8, 16 };
    for (int k = 0; k < 6; k++) {
        int b = blocks[k], channels = (3 + b - 1) / b * b;
        for (int i = 0; i < N * 16 * AREA; i++)
            got[i] = NAN;
        assert_int_equal(augment_run_host(pixels, 3, H, W, views, N, &t, got, b, 1 + k % 3, &err), 0);
        for (int i = 0; i < N; i++)
            for (int c = 0; c < channels; c++)
                for (int p = 0; p < AREA; p++) {
                    float g = got[(i * channels + c / b * b) * AREA + p * b + c % b];
                    float want = c < 3 ? plain[(i * 3 + c) * AREA + p] : 0.0f;
                    if (!(g == want))
                        fail_msg("block %d, view %d, channel %d, pixel %d: %g, not %g", b, i, c, p, g, want);
                }
    }
}

static void identity(void **state)
{
    (void)state;
    static uint8_t pixels[3 * H * W];
    static float got[3 * H * W];
    struct augment_strength none = { .crop_min = 1.0, .crop_max = 1.0 };
    struct augment_view v = augment_draw(&none, 9, 9, 0, 9, H, W);
    struct augment_target t = { .h = H, .w = W, .mean = { 0, 0, 0 }, .std = { 1, 1, 1 } };
    struct err err;
    random_pixels(pixels, sizeof pixels);
    assert_int_equal(augment_run_host(pixels, 3, H, W, &v, 1, &t, got, 1, 1, &err), 0);
    for (int i = 0; i < 3 * H * W; i++)
        assert_true(got[i] == augment_unit(pixels[i]));
}

static void crops_as_torchvision(void **state)
{
    (void)state;
    struct err err;
    char *file = NULL;
    size_t bytes;
    assert_int_equal(fs_read(GOLDEN "augment_draws.txt", &file, &bytes, &err), 0);
    int lines = 0;
    for (char *line = strtok(file, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        int h, w, used;
        double low, high, sum[6] = { 0 };
        enum { DRAWS = 200000 };
        assert_int_equal(sscanf(line, "%d %d %lf %lf%n", &h, &w, &low, &high, &used), 4);
        struct augment_strength s = { .crop_min = low, .crop_max = high };
        for (uint32_t i = 0; i < DRAWS; i++) {
            struct augment_view v = augment_draw(&s, 3, 0, i, 0, h, w);
            double value[6] = {
                v.crop_h * v.crop_w / (h * w), v.crop_w / v.crop_h, v.crop_y, v.crop_x, v.crop_h, v.crop_w,
            };
            for (int k = 0; k < 6; k++)
                sum[k] += value[k] / DRAWS;
            assert_true(v.crop_x >= 0 && v.crop_y >= 0 && v.crop_x + v.crop_w <= w && v.crop_y + v.crop_h <= h);
            assert_true(v.crop_x == floorf(v.crop_x) && v.crop_w == floorf(v.crop_w));
        }
        for (int k = 0; k < 6; k++) {
            double mean, error;
            int more;
            assert_int_equal(sscanf(line + used, "%lf %lf%n", &mean, &error, &more), 2);
            used += more;
            if (!(fabs(sum[k] - mean) < 4.5 * error))
                fail_msg("%d x %d, quantity %d: mean %g, torchvision %g +- %g", h, w, k, sum[k], mean, error);
        }
    }
    assert_int_equal(lines, 3);
    mem_free(file);
}

/* Mean and bounds of a uniform variable within five standard errors. */
static void check_uniform(const char *what, double sum, double min, double max, double low, double high, int n)
{
    double error = (high - low) / sqrt(12.0 * n);
    if (min < low || max > high + 1e-6 || max - min < 0.99 * (high - low) ||
        fabs(sum / n - (low + high) / 2) > 5 * error)
        fail_msg("%s: mean %g in %g .. %g, expected uniform in %g .. %g", what, sum / n, min, max, low, high);
}

static void draws_of_colour(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct augment_strength s = simclr;
    s.brightness = 1.5; /* factors never negative */
    double sum[5] = { 0 }, min[5], max[5];
    int flips = 0, jitters = 0, greys = 0, blurs = 0, orders[256] = { 0 }, distinct = 0;
    for (int k = 0; k < 5; k++) {
        min[k] = 1e9;
        max[k] = -1e9;
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
        struct augment_view v = augment_draw(&s, 11, i % 7, i, i % 2, 32, 32);
        double value[5] = { v.factor[0], v.factor[1], v.factor[2], v.factor[3], v.sigma };
        for (int k = 0; k < 5; k++) {
            sum[k] += value[k];
            min[k] = value[k] < min[k] ? value[k] : min[k];
            max[k] = value[k] > max[k] ? value[k] : max[k];
        }
        flips += v.flip;
        jitters += v.jitter;
        greys += v.grey;
        blurs += v.blur;
        assert_int_equal((1 << v.order[0]) + (1 << v.order[1]) + (1 << v.order[2]) + (1 << v.order[3]), 15);
        orders[v.order[0] * 64 + v.order[1] * 16 + v.order[2] * 4 + v.order[3]]++;
    }
    check_uniform("brightness", sum[0], min[0], max[0], 0.0, 2.5, DRAWS);
    check_uniform("contrast", sum[1], min[1], max[1], 0.2, 1.8, DRAWS);
    check_uniform("saturation", sum[2], min[2], max[2], 0.2, 1.8, DRAWS);
    check_uniform("hue", sum[3], min[3], max[3], -0.2, 0.2, DRAWS);
    check_uniform("sigma", sum[4], min[4], max[4], 0.1, 2.0, DRAWS);
    int counts[4] = { flips, jitters, greys, blurs };
    double probabilities[4] = { s.flip, s.jitter, s.grey, s.blur };
    for (int k = 0; k < 4; k++)
        assert_true(fabs(counts[k] - DRAWS * probabilities[k]) <
                    5 * sqrt(DRAWS * probabilities[k] * (1 - probabilities[k])));
    for (int k = 0; k < 256; k++) {
        distinct += orders[k] > 0;
        assert_true(orders[k] == 0 || fabs(orders[k] - DRAWS / 24.0) < 5 * sqrt(DRAWS / 24.0));
    }
    assert_int_equal(distinct, 24);
}

static void draws_are_keyed(void **state)
{
    (void)state;
    struct augment_view a = augment_draw(&simclr, 1, 2, 3, 4, 32, 32), b = augment_draw(&simclr, 1, 2, 3, 4, 32, 32);
    assert_float_equal(a.sigma, b.sigma, 0);
    assert_float_equal(a.crop_x, b.crop_x, 0);
    assert_int_equal(a.image, 3);
    struct augment_view other[4] = { augment_draw(&simclr, 2, 2, 3, 4, 32, 32),
                                     augment_draw(&simclr, 1, 3, 3, 4, 32, 32),
                                     augment_draw(&simclr, 1, 2, 4, 4, 32, 32),
                                     augment_draw(&simclr, 1, 2, 3, 5, 32, 32) };
    for (int k = 0; k < 4; k++)
        assert_true(other[k].sigma != a.sigma && other[k].factor[0] != a.factor[0]);
    struct augment_strength calm = simclr; /* a strength changes only what it names */
    calm.grey = calm.blur = calm.hue = 0.0;
    struct augment_view c = augment_draw(&calm, 1, 2, 3, 4, 32, 32);
    assert_true(c.crop_x == a.crop_x && c.crop_w == a.crop_w && c.factor[1] == a.factor[1] && c.flip == a.flip);
    assert_true(!c.grey && !c.blur && c.factor[AUGMENT_HUE] == 0.0f);
}

static void refuses(void **state)
{
    (void)state;
    uint8_t pixels[3 * 4 * 4] = { 0 };
    float out[3 * 4 * 4];
    struct augment_target t = { .h = 4, .w = 4, .mean = { 0, 0, 0 }, .std = { 1, 1, 1 } };
    struct augment_view v = augment_identity(0, 4, 4);
    struct err err;
    assert_int_equal(augment_run_host(pixels, 1, 4, 4, &v, 1, &t, out, 1, 1, &err), -1);
    assert_string_equal(err.text, "augmentation works on 3 channels, not 1");
    v.crop_x = 1.0f;
    assert_int_equal(augment_run_host(pixels, 3, 4, 4, &v, 1, &t, out, 1, 1, &err), -1);
    assert_string_equal(err.text, "view 0 of image 0 has a crop of 4 x 4 at (0, 1) outside its 4 x 4 pixels");
    t.w = 0;
    assert_int_equal(augment_run_host(pixels, 3, 4, 4, &v, 1, &t, out, 1, 1, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_torchvision),   cmocka_unit_test(pipeline_equals_bodies),
        cmocka_unit_test(layouts_and_threads),  cmocka_unit_test(identity),
        cmocka_unit_test(crops_as_torchvision), cmocka_unit_test(draws_of_colour),
        cmocka_unit_test(draws_are_keyed),      cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
