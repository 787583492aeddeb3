/* The procedural set: keyed by number, varied, and the same when written. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/procedural/pattern.h"
#include "data/procedural/procedural.h"
#include "unit/data/fixture.h"

static void same_bytes_everywhere(void **state)
{
    (void)state;
    static const char *const known[] = { "5a026567d1fdc9c9137cea19e0dfabe4b057f243a5f3eaeec3d06907be5793cf",
                                         "6f43bfc8560f4dc8ec1488bbbff38102f21548909f087bd1ad014228781b6c88",
                                         "5605f69ff0067558e583f721180ed909cf6ae3f5093f7946ea2e65cdcfae4b85",
                                         "95b00da8dfd4c0249efb61ebc5c613f5ddd308817a431994fe5c2e45a4083b31" };
    static uint8_t pixels[256][PROCEDURAL_PIXELS];
    for (int family = 0; family < 4; family++) {
        struct procedural_options o = { .classes = 40, .count = 4000, .seed = 7, .family = family };
        char hex[HASH_HEX];
        struct err err;
        for (uint32_t i = 0; i < 256; i++)
            procedural_render(&o, i * 1001, pixels[i]);
        assert_int_equal(hash_bytes(pixels, sizeof pixels, hex, &err), 0);
        assert_string_equal(hex, known[family]);
    }
}

static void keyed_by_number(void **state)
{
    (void)state;
    struct images a, b, c, d;
    read_set("{\"format\":\"procedural\",\"count\":60,\"classes\":7,\"seed\":3}", &a);
    omp_set_num_threads(1);
    read_set("{\"format\":\"procedural\",\"count\":20,\"begin\":25,\"classes\":7,\"seed\":3}", &b);
    read_set("{\"of\":{\"format\":\"procedural\",\"count\":60,\"classes\":7,\"seed\":3},\"seed\":1}", &c);
    read_set("{\"of\":{\"format\":\"procedural\",\"count\":60,\"classes\":7,\"seed\":3},\"begin\":31,\"count\":9}", &d);
    assert_int_equal(c.n, 60);
    assert_memory_equal(d.pixels, a.pixels + 31 * PROCEDURAL_PIXELS, 9 * PROCEDURAL_PIXELS);
    assert_memory_equal(d.labels, a.labels + 31, 9 * sizeof *d.labels);
    assert_memory_equal(b.pixels, a.pixels + 25 * PROCEDURAL_PIXELS, 20 * PROCEDURAL_PIXELS);
    assert_memory_equal(b.labels, a.labels + 25, 20 * sizeof *b.labels);
    int found = 0;
    for (int i = 0; i < 60; i++) {
        assert_int_equal(a.labels[i], i % 7);
        for (int j = 0; j < 60; j++)
            found +=
                memcmp(a.pixels + i * PROCEDURAL_PIXELS, c.pixels + j * PROCEDURAL_PIXELS, PROCEDURAL_PIXELS) == 0 &&
                a.labels[i] == c.labels[j];
    }
    assert_int_equal(found, 60);
    images_fini(&a);
    images_fini(&b);
    images_fini(&c);
    images_fini(&d);
}

/* No two images of a class are alike: even blurred to 8 x 8 they differ. */
static void no_near_duplicates(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        char spec[128];
        struct images im;
        int least = 1 << 30;
        snprintf(spec, sizeof spec, "{\"format\":\"procedural\",\"classes\":2,\"count\":600,\"size\":8,\"family\":%d}",
                 family);
        read_set(spec, &im);
        for (int i = 0; i < 600; i++)
            for (int j = i % 2; j < i; j += 2) {
                int sum = 0;
                for (int p = 0; p < 192; p++)
                    sum += abs(im.pixels[i * 192 + p] - im.pixels[j * 192 + p]);
                least = sum < least ? sum : least;
            }
        print_message("family %d: nearest pair differs by %.1f grey levels on average\n", family, least / 192.0);
        assert_true(least > 8 * 192);
        images_fini(&im);
    }
}

/* Families of other parity share no shape: seen by their distances at the same points. */
static void patterns_differ(void **state)
{
    (void)state;
    for (int a = 0; a < SHAPES; a++)
        for (int b = 0; b < a; b++) {
            int differ = 0, inside = 0;
            for (int i = 0; i < 400; i++) {
                float x = (float)(i % 20) / 8.0f - 1.2f, y = (float)(i / 20) / 8.0f - 1.2f;
                differ += (pattern_shape(a, x, y) < 0) != (pattern_shape(b, x, y) < 0);
                inside += pattern_shape(a, x, y) < 0;
            }
            assert_in_range(inside, 30, 320);
            if (differ < 12)
                fail_msg("shapes %d and %d differ at %d of 400 points", a, b, differ);
        }
    for (float t = -2.0f; t < 2.0f; t += 0.01f)
        assert_float_equal(pattern_sine(t), sinf(6.2831853f * t), 2e-3);
}

static void written_as_cifar10(void **state)
{
    (void)state;
    struct procedural_options o = { .classes = 12, .count = 43, .begin = 2, .seed = 9, .family = 1 };
    struct folder f;
    struct err err;
    char spec[256], sub[128];
    struct images written, direct;
    folder_open(&f);
    snprintf(sub, sizeof sub, "%s/a/b", f.path);
    if (procedural_write(&o, sub, &err) != 0)
        fail_msg("%s", err.text);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\",\"classes\":12,\"split\":\"all\"}", sub);
    read_set(spec, &written);
    read_set("{\"format\":\"procedural\",\"classes\":12,\"count\":51,\"begin\":2,\"seed\":9,\"family\":1}", &direct);
    assert_int_equal(written.n, 43 + 8);
    assert_memory_equal(written.pixels, direct.pixels, 51 * PROCEDURAL_PIXELS);
    assert_memory_equal(written.labels, direct.labels, 51 * sizeof(int32_t));
    images_fini(&written);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\",\"classes\":12}", sub);
    read_set(spec, &written);
    assert_int_equal(written.n, 43);
    images_fini(&written);
    images_fini(&direct);
    o.count = 4;
    assert_int_equal(procedural_write(&o, sub, &err), -1);
    assert_string_equal(err.text, "count = 4 images cannot fill the 5 files of CIFAR-10");
    folder_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_everywhere), cmocka_unit_test(keyed_by_number),
        cmocka_unit_test(no_near_duplicates),    cmocka_unit_test(patterns_differ),
        cmocka_unit_test(written_as_cifar10),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
