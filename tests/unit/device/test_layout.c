/* The blocked forms of activations and weights, element by element as layout.h describes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/cpu/layout.h"

static float *numbers(size_t n)
{
    float *x = test_malloc((n ? n : 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(i + 1);
    return x;
}

/* [n][blocks][area][block]; what is beyond the channels is zero. */
static void test_activations(void **state)
{
    (void)state;
    static const int channels[] = { 1, 3, 4, 8, 15, 16, 17, 40 };
    enum { N = 3, AREA = 6 };
    for (int block = 8; block <= 16; block += 8)
        for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
            const int c = channels[k], b = c <= LAYOUT_PLAIN_CHANNELS ? 1 : block, blocks = (c + b - 1) / b;
            const size_t stored = (size_t)N * blocks * b * AREA, plain_floats = (size_t)N * c * AREA;
            assert_true(layout_block(block, c) == b && layout_blocks(block, c) == blocks);
            assert_int_equal(layout_floats(block, N, c, AREA), stored);
            for (int threads = 1; threads <= 2; threads++) {
                float *plain = numbers(plain_floats), *act = numbers(stored);
                layout_pack(block, threads, N, c, AREA, plain, act);
                for (size_t i = 0; i < stored; i++) {
                    const int lane = (int)(i % b), p = (int)(i / b % AREA),
                              channel = (int)(i / b / AREA % blocks) * b + lane, image = (int)(i / b / AREA / blocks);
                    const float want = channel < c ? plain[(image * c + channel) * AREA + p] : 0.0f;
                    assert_true(act[i] == want);
                }
                test_free(plain);
                test_free(act);
            }
        }
}

/* [out / block][in / block][position][in in block][out in block]; few channels of input are not blocked. */
static void test_weights(void **state)
{
    (void)state;
    static const int shapes[][3] = { { 1, 1, 1 },   { 16, 3, 3 },  { 17, 3, 7 }, { 8, 8, 1 },
                                     { 20, 20, 3 }, { 40, 17, 1 }, { 5, 4, 3 } };
    for (int block = 8; block <= 16; block += 8)
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
            const int out = shapes[k][0], in = shapes[k][1], area = shapes[k][2] * shapes[k][2];
            const int b = in <= LAYOUT_PLAIN_CHANNELS ? in : block, in_blocks = (in + b - 1) / b,
                      out_blocks = (out + block - 1) / block;
            const size_t stored = (size_t)out_blocks * block * in_blocks * b * area, floats = (size_t)out * in * area;
            assert_int_equal(layout_weight_floats(block, out, in, shapes[k][2]), stored);
            float *oihw = numbers(floats), *packed = numbers(stored), *back = numbers(floats);
            memset(back, 0, floats * sizeof *back);
            layout_weight_pack(block, out, in, shapes[k][2], oihw, packed);
            for (size_t i = 0; i < stored; i++) {
                const int o = (int)(i % block) + (int)(i / block / b / area / in_blocks) * block,
                          channel = (int)(i / block % b) + (int)(i / block / b / area % in_blocks) * b,
                          q = (int)(i / block / b % area);
                const float want = o < out && channel < in ? oihw[(o * in + channel) * area + q] : 0.0f;
                assert_true(packed[i] == want);
            }
            layout_weight_unpack(block, out, in, shapes[k][2], packed, back);
            assert_memory_equal(back, oihw, floats * sizeof *back);
            test_free(oihw);
            test_free(packed);
            test_free(back);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_activations), cmocka_unit_test(test_weights) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
