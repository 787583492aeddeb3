/* Extents at which index arithmetic breaks: nothing at all, more than the grid
 * holds at once, more than a thread sums in one stretch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "device/cuda/launch.h"
#include "device/ref/ref.h"

static struct device host = { .threads = 1 };
static struct err err;

#define OK(call) assert_int_equal((call), 0)

static float *floats(size_t n, uint32_t which)
{
    struct rng rng = rng_at(9, RNG_TEST, which, 0, 0);
    float *p = malloc((n ? n : 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = which ? (float)(rng_double(&rng) * 4 - 2) : NAN;
    return p;
}

static void close_to(const char *what, size_t n, const float *want, const float *got, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)want[i] - got[i]) <= tolerance))
            fail_msg("%s: value %zu of %zu is %.9g, not %.9g", what, i, n, (double)got[i], (double)want[i]);
}

/* NULL everywhere: an access would crash, and a launch of no blocks be refused. */
static void test_empty(void **state)
{
    (void)state;
    const struct augment_target target = { .h = 8, .w = 8, .std = { 1, 1, 1 } };
    const long before = emulator_launches();

    for (int zero = 0; zero < 4; zero++) {
        const struct act_desc d = { zero != 0, zero != 1, zero != 2, zero != 3, PRECISION_FP32 };
        OK(cuda_pack(NULL, &d, NULL, NULL, &err));
        OK(cuda_max_pool_forward(NULL, &d, NULL, NULL, NULL, &err));
        OK(cuda_max_pool_backward(NULL, &d, NULL, NULL, NULL, NULL, &err));
        OK(cuda_avg_pool_forward(NULL, &d, NULL, NULL, &err));
        OK(cuda_avg_pool_backward(NULL, &d, NULL, NULL, &err));
    }
    for (int zero = 0; zero < 2; zero++) {
        const int n = zero, d = !zero;
        OK(cuda_conv_epilogue(NULL, PRECISION_FP32, (size_t)n, d, NULL, NULL, true, NULL, &err));
#define NOTHING_ROW(name) OK(cuda_##name(NULL, &(const struct name){ .rows = n, .columns = d }, NULL, &err));
#define NOTHING_COLUMN(name) OK(cuda_##name(NULL, &(const struct name){ .rows = 1, .columns = 0 }, NULL, &err));
#define NOTHING_ELEMENT(name) OK(cuda_##name(NULL, &(const struct name){ .count = 0 }, NULL, &err));
#define NOTHING_SUM(name) NOTHING_ELEMENT(name)
#define OP(class, name) NOTHING_##class(name)
#include "device/ops.def"
#undef OP
        OK(cuda_square_distances(NULL, n, 4, NULL, d, NULL, NULL, &err));
        OK(cuda_weighted_rows(NULL, n, d, NULL, NULL, 1, NULL, NULL, &err));
        OK(cuda_lower_copy(NULL, n, d, NULL, 1, 1, NULL, 1, 1, &err));
        OK(cuda_identity(NULL, n, d, NULL, 1, 1, &err));
    }
    OK(cuda_copy_columns(NULL, 0, PRECISION_FP32, 3, NULL, PRECISION_BF16, 8, NULL, &err));
    OK(cuda_augment(NULL, NULL, 8, 8, NULL, 0, &target, NULL, NULL, &err));
    OK(cuda_square(NULL, 0, NULL, NULL, &err));
    OK(cuda_log_sum_exp_rows(NULL, 0, 3, NULL, NULL, NULL, &err));
    OK(cuda_square_norms(NULL, 0, 3, NULL, NULL, &err));
    OK(cuda_nearest_tile(NULL, 3, NULL, 0, 0, 0, 3, NULL, 3, NULL, true, NULL, NULL, &err));
    OK(cuda_indexed_distances(NULL, 0, 3, NULL, NULL, NULL, &err));
    OK(cuda_quadratic_rows(NULL, 0, 3, NULL, NULL, NULL, NULL, 1, &err));
    OK(cuda_column_sums(NULL, 3, 0, NULL, false, NULL, NULL, &err));
    assert_int_equal(emulator_launches(), before);
}

static void test_empty_sums(void **state)
{
    (void)state;
    double sums[3] = { NAN, NAN, NAN }, workspace[CUDA_OP_WORKSPACE / sizeof(double)];
    float dbias[3] = { NAN, NAN, NAN };

    OK(cuda_column_sums(NULL, 0, 3, NULL, false, workspace, sums, &err));
    OK(cuda_bias_relu_backward(NULL, &(struct bias_relu_backward){ .rows = 0, .columns = 3, .dbias = dbias }, NULL,
                               &err));
    for (int i = 0; i < 3; i++)
        assert_true(sums[i] == 0 && dbias[i] == 0);
    sums[1] = 7;
    OK(cuda_column_sums(NULL, 0, 3, NULL, true, workspace, sums, &err));
    assert_true(sums[1] == 7);
}

/* More elements than threads of the largest grid. */
static void test_more_than_the_grid(void **state)
{
    (void)state;
    const size_t n = 4096 * 256 + 1234567;
    float *x = floats(n, 1), *y = floats(n, 2), *z = malloc(n * sizeof *z);
    float *m[] = { calloc(n, sizeof *m[0]), calloc(n, sizeof *m[1]) };
    double want = 0.25, got = 0.25, workspace[CUDA_OP_WORKSPACE / sizeof(double)];

    assert_true(z != NULL && m[0] != NULL && m[1] != NULL);
    memcpy(z, y, n * sizeof *z);
    const struct adam_step at = { .lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .step = 1 };
    OK(ref_adam(&host, &(struct adam){ n, y, x, m[0], m[1], &at }, &err));
    memset(m[0], 0, n * sizeof *m[0]);
    memset(m[1], 0, n * sizeof *m[1]);
    OK(cuda_adam(NULL, &(struct adam){ n, z, x, m[0], m[1], &at }, NULL, &err));
    close_to("adam", n, y, z, 1e-6);
    OK(ref_add_mean(&host, &(struct add_mean){ n, y, &want }, &err));
    OK(cuda_add_mean(NULL, &(struct add_mean){ n, z, &got }, workspace, &err));
    assert_true(fabs(want - got) < 1e-7);
    free(x), free(y), free(z), free(m[0]), free(m[1]);
}

/* Rounding to bfloat16, with the width of the rows changing on the way. */
static void test_copied_columns(void **state)
{
    (void)state;
    enum { ROWS = 37, NARROW = 3, WIDE = 8 };
    /* ties to even, halves of the last digit, a number that rounds up to infinity, NaN */
    const float special[] = { 1, 1.00390625f, 1.01171875f, -1.0039064f, 3.4e38f, NAN, 1e-40f, -0.0f, 0.1f };
    float *x = floats(ROWS * NARROW, 1), back[ROWS * NARROW];
    uint16_t wide[ROWS * WIDE], narrow[ROWS * NARROW];

    memcpy(x, special, sizeof special);
    OK(cuda_copy_columns(NULL, ROWS, PRECISION_FP32, NARROW, x, PRECISION_BF16, WIDE, wide, &err));
    OK(cuda_copy_columns(NULL, ROWS, PRECISION_BF16, WIDE, wide, PRECISION_BF16, NARROW, narrow, &err));
    OK(cuda_copy_columns(NULL, ROWS, PRECISION_BF16, NARROW, narrow, PRECISION_FP32, NARROW, back, &err));
    for (int i = 0; i < ROWS * WIDE; i++)
        assert_true(i % WIDE < NARROW || wide[i] == 0);
    for (int i = 0; i < ROWS * NARROW; i++)
        assert_true(i == 5   ? isnan(back[i])
                    : i == 4 ? isinf(back[i])
                             : fabsf(back[i] - x[i]) <= fabsf(x[i]) / 256 || fabsf(x[i]) < 1e-38f);
    const uint16_t want[] = { 0x3f80, 0x3f80, 0x3f82, 0xbf81, 0x7f80 };
    for (int i = 0; i < 5; i++)
        assert_int_equal(narrow[i], want[i]);
    assert_int_equal(narrow[7], 0x8000);
    free(x);
}

static void test_gathered_rows(void **state)
{
    (void)state;
    enum { TABLE = 11, ROWS = 300, D = 5 };
    float *table = floats(TABLE * D, 1), out[ROWS * D];
    int32_t index[ROWS];

    for (int i = 0; i < ROWS; i++)
        index[i] = i * 7 % TABLE;
    OK(cuda_gather_rows(NULL, &(struct gather_rows){ ROWS, D, table, index, out }, NULL, &err));
    for (int i = 0; i < ROWS * D; i++)
        assert_true(out[i] == table[index[i / D] * D + i % D]);
    free(table);
}

/* Rows and columns of pixels 1 x 1, which have one layout on both sides. */
static void batch_norm(int n, int c)
{
    const struct batch_norm_desc d = {
        .n = n, .c = c, .h = 1, .w = 1, .relu = true, .add = true, .epsilon = 1e-5, .momentum = 0.1
    };
    const size_t nc = (size_t)n * c;
    float *x = floats(nc, 1), *residual = floats(nc, 2), *gamma = floats((size_t)c, 3), *beta = floats((size_t)c, 4),
          *dy = floats(nc, 5), *dy2 = floats(nc, 6), *y[2], *dx[2], *dresidual[2], *vectors[2][6];
    void *workspace = malloc(cuda_batch_norm_workspace(&d));
    double *results = calloc(2 * (size_t)c, sizeof *results);
    struct batch_norm *bn = ref_batch_norm_create(&host, &d, &err);

    assert_true(workspace && results && bn);
    for (size_t i = 0; i < nc; i++)
        x[i] += 50; /* means far from zero */
    for (int s = 0; s < 2; s++) {
        y[s] = floats(nc, 0), dx[s] = floats(nc, 0), dresidual[s] = floats(nc, 0);
        for (int v = 0; v < 6; v++) /* running mean, running variance, mean, 1 / deviation, dgamma, dbeta */
            vectors[s][v] = floats((size_t)c, v < 2 ? 7 : 0);
    }
    for (int side = 0; side < 2; side++) {
        float **v = vectors[side];
        const struct batch_norm_backward b = { x,    y[0], dy, dy2, gamma, beta, v[2], v[3], dx[side], dresidual[side],
                                               v[4], v[5] };
        if (side == 0) {
            OK(ref_batch_norm_moments(bn, 0, x, results, &err));
            OK(ref_batch_norm_finish(bn, 0, 1, results, v[0], v[1], v[2], v[3], &err));
            OK(ref_batch_norm_apply(bn, 0, x, residual, gamma, beta, results, y[0], &err));
            OK(ref_batch_norm_products(bn, 0, &b, results, &err));
            OK(ref_batch_norm_finish_backward(bn, 0, 1, 0, &b, results, &err));
            OK(ref_batch_norm_input_gradient(bn, 0, &b, results, &err));
        } else {
            OK(cuda_batch_norm_moments(NULL, &d, workspace, x, results, &err));
            OK(cuda_batch_norm_finish(NULL, &d, 1, results, v[0], v[1], v[2], v[3], &err));
            OK(cuda_batch_norm_apply(NULL, &d, x, residual, gamma, beta, results, y[1], &err));
            OK(cuda_batch_norm_products(NULL, &d, workspace, &b, results, &err));
            OK(cuda_batch_norm_finish_backward(NULL, &d, 1, 0, &b, results, &err));
            OK(cuda_batch_norm_input_gradient(NULL, &d, &b, results, &err));
        }
    }
    close_to("y", nc, y[0], y[1], 1e-4);
    close_to("dx", nc, dx[0], dx[1], 1e-4);
    close_to("dresidual", nc, dresidual[0], dresidual[1], 1e-6);
    for (int v = 0; v < 6; v++)
        close_to("vector", (size_t)c, vectors[0][v], vectors[1][v], v < 4 ? 1e-5 : 1e-3);
    for (int s = 0; s < 2; s++) {
        free(y[s]), free(dx[s]), free(dresidual[s]);
        for (int v = 0; v < 6; v++)
            free(vectors[s][v]);
    }
    free(x), free(residual), free(gamma), free(beta), free(dy), free(dy2), free(workspace), free(results);
    ref_batch_norm_destroy(bn);
}

static void test_many_columns(void **state)
{
    (void)state;
    batch_norm(3, 4100);    /* several blocks across, four channels at once */
    batch_norm(140, 16417); /* so many across that there is one block down, and threads sum several stretches */
}

static void test_many_rows(void **state)
{
    (void)state;
    batch_norm(70001, 3);
    batch_norm(40000, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_empty_sums),
        cmocka_unit_test(test_many_columns),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_more_than_the_grid),
        cmocka_unit_test(test_copied_columns),
        cmocka_unit_test(test_gathered_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
