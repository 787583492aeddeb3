/* The ref device against PyTorch (tests/golden/device) and its gradients against
 * finite differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "device/device.h"
#include "device/norm.h"

static struct device *dev;
static const struct device_ops *ops;
static double norm_results[64]; /* of one batch norm between its steps */

enum { SIZE = 4096 }; /* floats of every buffer */

/* A zeroed buffer. */
static float *buffer(void)
{
    float *p = test_calloc(SIZE, sizeof *p);
    assert_non_null(p);
    return p;
}

/* The values under `name` in the golden file. */
static float *golden(const char *name, int count)
{
    FILE *f = fopen(TEST_DATA "/golden/device/device.txt", "r");
    char found[64];
    int n;
    float *values = buffer();

    assert_non_null(f);
    while (fscanf(f, "%63s %d", found, &n) == 2) {
        assert_in_range(n, 1, SIZE);
        for (int i = 0; i < n; i++)
            assert_int_equal(fscanf(f, "%f", &values[i]), 1);
        if (strcmp(found, name) == 0) {
            assert_int_equal(n, count);
            fclose(f);
            return values;
        }
    }
    fail_msg("no golden values \"%s\"", name);
    return NULL;
}

static void near(const float *got, const float *expected, int n, double tolerance)
{
    for (int i = 0; i < n; i++)
        if (!(fabs((double)got[i] - expected[i]) <= tolerance * (1 + fabs((double)expected[i]))))
            fail_msg("value %d is %.9g, expected %.9g", i, (double)got[i], (double)expected[i]);
}

static void near_golden(float *got, const char *name, int n)
{
    float *expected = golden(name, n);
    near(got, expected, n, 1e-6);
    test_free(expected);
}

static void free_all(float **p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        test_free(p[i]);
}

#define FREE(...)                                                                                                      \
    do {                                                                                                               \
        float *gone[] = { __VA_ARGS__ };                                                                               \
        free_all(gone, sizeof gone / sizeof *gone);                                                                    \
    } while (0)

static void test_conv_golden(void **state)
{
    (void)state;
    const struct conv_desc d = { .n = 2,
                                 .c_in = 3,
                                 .h = 7,
                                 .w = 6,
                                 .c_out = 4,
                                 .kernel = 3,
                                 .stride = 2,
                                 .padding = 1,
                                 .training = true,
                                 .input_gradient = true };
    float *x = golden("conv.x", 252), *w = golden("conv.weight", 108), *dy = golden("conv.dy", 96), *y = buffer(),
          *dx = buffer(), *dw = buffer();
    struct err err;
    struct conv *conv = ops->conv_create(dev, &d, &err);

    assert_non_null(conv);
    assert_int_equal(ops->conv_forward(conv, x, w, NULL, NULL, y, &err), 0);
    assert_int_equal(ops->conv_backward_data(conv, dy, w, dx, &err), 0);
    assert_int_equal(ops->conv_backward_weight(conv, x, dy, dw, &err), 0);
    near_golden(y, "conv.y", 96);
    near_golden(dx, "conv.dx", 252);
    near_golden(dw, "conv.dweight", 108);
    ops->conv_destroy(conv);
    FREE(x, w, dy, y, dx, dw);
}

static void test_batch_norm_golden(void **state)
{
    (void)state;
    const struct batch_norm_desc d = {
        .n = 3, .c = 2, .h = 4, .w = 3, .relu = true, .add = true, .epsilon = 1e-5, .momentum = 0.1
    };
    float *x = golden("bn.x", 72), *residual = golden("bn.residual", 72), *dy = golden("bn.dy", 72),
          *gamma = golden("bn.gamma", 2), *beta = golden("bn.beta", 2), *mean = golden("bn.running_mean", 2),
          *var = golden("bn.running_var", 2), *y = buffer(), *saved = buffer(), *invstd = buffer(), *dx = buffer(),
          *dresidual = buffer(), *dgamma = buffer(), *dbeta = buffer();
    struct err err;
    struct batch_norm *bn = ops->batch_norm_create(dev, &d, &err);

    assert_non_null(bn);
    assert_int_equal(ops->batch_norm_infer(bn, x, residual, gamma, beta, mean, var, y, &err), 0);
    near_golden(y, "bn.inferred", 72);
    assert_int_equal(norm_forward(ops, bn,
                                  &(struct norm_forward){ x, residual, gamma, beta, mean, var, saved, invstd, y },
                                  norm_results, &err),
                     0);
    assert_int_equal(norm_backward(ops, bn,
                                   &(struct batch_norm_backward){ x, y, dy, NULL, gamma, beta, saved, invstd, dx,
                                                                  dresidual, dgamma, dbeta },
                                   norm_results, &err),
                     0);
    near_golden(y, "bn.y", 72);
    near_golden(mean, "bn.new_mean", 2);
    near_golden(var, "bn.new_var", 2);
    near_golden(dx, "bn.dx", 72);
    near_golden(dresidual, "bn.dresidual", 72);
    near_golden(dgamma, "bn.dgamma", 2);
    near_golden(dbeta, "bn.dbeta", 2);
    ops->batch_norm_destroy(bn);
    FREE(x, residual, dy, gamma, beta, mean, var, y, saved, invstd, dx, dresidual, dgamma, dbeta);
}

static void test_pool_golden(void **state)
{
    (void)state;
    float *x = golden("pool.x", 120), *dy = golden("pool.dy", 36), *y = buffer(), *dx = buffer();
    int32_t where[36];
    const struct act_desc in = { .n = 2, .c = 2, .h = 5, .w = 6 };
    struct err err;

    assert_int_equal(ops->max_pool_forward(dev, &in, x, y, where, &err), 0);
    assert_int_equal(ops->max_pool_backward(dev, &in, dy, NULL, where, dx, &err), 0);
    near_golden(y, "pool.y", 36);
    near_golden(dx, "pool.dx", 120);
    FREE(x, dy, y, dx);
}

static void test_adam_golden(void **state)
{
    (void)state;
    float *w = golden("adam.w", 11), *g = golden("adam.g", 11), *m = buffer(), *v = buffer(), *scaled = buffer();
    struct err err;

    for (int step = 1; step <= 5; step++) {
        for (int i = 0; i < 11; i++)
            scaled[i] = g[i] * (float)step;
        const struct adam_step at = { 0.01, 0.9, 0.999, 1e-8, 0.1, step };
        assert_int_equal(ops->adam(dev, &(struct adam){ 11, w, scaled, m, v, &at }, &err), 0);
    }
    near_golden(w, "adam.after", 11);
    FREE(w, g, m, v, scaled);
}

static void test_rows_golden(void **state)
{
    (void)state;
    float *x = golden("normalize.x", 24), *dy = golden("normalize.dy", 24), *y = buffer(), *inverse = buffer(),
          *dx = buffer(), *logits = golden("contrastive.logits", 24), *loss = buffer();
    const int32_t positive[] = { 2, 3, 0, 1 }, row_group[] = { 0, 1, 2, 3 }, group[] = { 0, 1, 2, 3, 4, 5 };
    struct err err;

    assert_int_equal(ops->normalize_rows(dev, &(struct normalize_rows){ 4, 6, x, y, inverse }, &err), 0);
    assert_int_equal(
        ops->normalize_rows_backward(dev, &(struct normalize_rows_backward){ 4, 6, y, inverse, dy, dx }, &err), 0);
    near_golden(y, "normalize.y", 24);
    near_golden(dx, "normalize.dx", 24);
    assert_int_equal(ops->contrastive_rows(
                         dev, &(struct contrastive_rows){ 4, 6, logits, positive, row_group, group, 1, loss }, &err),
                     0);
    near_golden(loss, "contrastive.loss", 4);
    near_golden(logits, "contrastive.gradient", 24);
    FREE(x, dy, y, inverse, dx, logits, loss);
}

/* A row's own column does not count, however large it is: not for what is taken out of the exponentials either. */
static void test_own_column(void **state)
{
    (void)state;
    float logits[] = { 1000, -1000, -1000, 1e30f, 3, 3 }, loss[2];
    const float want[] = { 0, -0.5f, 0.5f, 0, -0.5f, 0.5f };
    const int32_t positive[] = { 1, 1 }, row_group[] = { 0, 0 }, group[] = { 0, 1, 2 };
    struct err err;
    assert_int_equal(ops->contrastive_rows(
                         dev, &(struct contrastive_rows){ 2, 3, logits, positive, row_group, group, 1, loss }, &err),
                     0);
    for (int i = 0; i < 6; i++)
        assert_true(logits[i] == want[i]);
    assert_true(fabs((double)loss[0] - log(2)) < 1e-6 && fabs((double)loss[1] - log(2)) < 1e-6);
}

/* -- finite differences: a scalar f(x) = r . y(x), and its claimed gradient -- */

typedef double scalar_fn(const float *x);

static void check_gradient(scalar_fn *f, float *x, const float *gradient, int n, float step, double tolerance)
{
    for (int i = 0; i < n; i++) {
        const float kept = x[i];
        x[i] = kept + step;
        double up = f(x), above = x[i];
        x[i] = kept - step;
        double down = f(x), below = x[i];
        x[i] = kept;
        double slope = (up - down) / (above - below);
        if (!(fabs(slope - gradient[i]) <= tolerance * (1 + fabs(slope))))
            fail_msg("gradient %d is %.6g, finite differences say %.6g", i, (double)gradient[i], slope);
    }
}

static void normal(float *x, int n, uint32_t draw)
{
    struct rng rng = rng_at(5, RNG_TEST, draw, 0, 0);
    for (int i = 0; i < n; i++)
        x[i] = (float)rng_normal(&rng);
}

static double dot(const float *x, const float *y, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

enum { N = 4, C = 3, H = 3, W = 4, COUNT = N * C * H * W };
static float fixed_x[COUNT], fixed_residual[COUNT], fixed_r[COUNT], fixed_gamma[C], fixed_beta[C];
static struct batch_norm *fixed_bn;

static double bn_value(const float *x, const float *residual, const float *gamma, const float *beta)
{
    float y[COUNT], mean[C] = { 0 }, var[C] = { 0 }, saved[C], invstd[C];
    struct err err;
    assert_int_equal(norm_forward(ops, fixed_bn,
                                  &(struct norm_forward){ x, residual, gamma, beta, mean, var, saved, invstd, y },
                                  norm_results, &err),
                     0);
    return dot(y, fixed_r, COUNT);
}

static double bn_of_x(const float *x)
{
    return bn_value(x, fixed_residual, fixed_gamma, fixed_beta);
}

static double bn_of_residual(const float *residual)
{
    return bn_value(fixed_x, residual, fixed_gamma, fixed_beta);
}

static double bn_of_gamma(const float *gamma)
{
    return bn_value(fixed_x, fixed_residual, gamma, fixed_beta);
}

static double bn_of_beta(const float *beta)
{
    return bn_value(fixed_x, fixed_residual, fixed_gamma, beta);
}

static void test_batch_norm_gradient(void **state)
{
    (void)state;
    const struct batch_norm_desc d = {
        .n = N, .c = C, .h = H, .w = W, .relu = true, .add = true, .epsilon = 1e-5, .momentum = 0.1
    };
    float y[COUNT], mean[C] = { 0 }, var[C] = { 0 }, saved[C], invstd[C], dx[COUNT], dresidual[COUNT], dgamma[C],
                    dbeta[C], half[COUNT];
    struct err err;

    fixed_bn = ops->batch_norm_create(dev, &d, &err);
    assert_non_null(fixed_bn);
    normal(fixed_x, COUNT, 1);
    normal(fixed_residual, COUNT, 2);
    normal(fixed_r, COUNT, 3);
    normal(fixed_gamma, C, 4);
    normal(fixed_beta, C, 5);
    assert_int_equal(norm_forward(ops, fixed_bn,
                                  &(struct norm_forward){ fixed_x, fixed_residual, fixed_gamma, fixed_beta, mean, var,
                                                          saved, invstd, y },
                                  norm_results, &err),
                     0);
    for (int i = 0; i < COUNT; i++) {
        half[i] = fixed_r[i] / 2;
        /* no point near the kink of the ReLU */
        if (fabsf(y[i]) > 0 && y[i] < 0.02f)
            fixed_residual[i] += 0.1f;
    }
    assert_int_equal(norm_forward(ops, fixed_bn,
                                  &(struct norm_forward){ fixed_x, fixed_residual, fixed_gamma, fixed_beta, mean, var,
                                                          saved, invstd, y },
                                  norm_results, &err),
                     0);
    assert_int_equal(norm_backward(ops, fixed_bn,
                                   &(struct batch_norm_backward){ fixed_x, y, half, half, fixed_gamma, fixed_beta,
                                                                  saved, invstd, dx, dresidual, dgamma, dbeta },
                                   norm_results, &err),
                     0);
    check_gradient(bn_of_x, fixed_x, dx, COUNT, 1e-3f, 2e-2);
    check_gradient(bn_of_residual, fixed_residual, dresidual, COUNT, 1e-3f, 2e-2);
    check_gradient(bn_of_gamma, fixed_gamma, dgamma, C, 1e-3f, 2e-2);
    check_gradient(bn_of_beta, fixed_beta, dbeta, C, 1e-3f, 2e-2);
    ops->batch_norm_destroy(fixed_bn);
}

static float conv_weight[5 * C * 9], conv_x[COUNT], conv_r[N * 5 * 2 * 2];
static struct conv *fixed_conv;

static double conv_value(const float *x, const float *weight)
{
    float y[N * 5 * 2 * 2];
    struct err err;
    assert_int_equal(ops->conv_forward(fixed_conv, x, weight, NULL, NULL, y, &err), 0);
    return dot(y, conv_r, N * 5 * 2 * 2);
}

static double conv_of_x(const float *x)
{
    return conv_value(x, conv_weight);
}

static double conv_of_weight(const float *weight)
{
    return conv_value(conv_x, weight);
}

static void test_conv_gradient(void **state)
{
    (void)state;
    const struct conv_desc d = { .n = N,
                                 .c_in = C,
                                 .h = H,
                                 .w = W,
                                 .c_out = 5,
                                 .kernel = 3,
                                 .stride = 2,
                                 .padding = 1,
                                 .training = true,
                                 .input_gradient = true };
    float dx[COUNT], dw[5 * C * 9];
    struct err err;

    fixed_conv = ops->conv_create(dev, &d, &err);
    assert_non_null(fixed_conv);
    normal(conv_x, COUNT, 6);
    normal(conv_weight, 5 * C * 9, 7);
    normal(conv_r, N * 5 * 2 * 2, 8);
    assert_int_equal(ops->conv_backward_data(fixed_conv, conv_r, conv_weight, dx, &err), 0);
    assert_int_equal(ops->conv_backward_weight(fixed_conv, conv_x, conv_r, dw, &err), 0);
    /* linear in each: any step will do */
    check_gradient(conv_of_x, conv_x, dx, COUNT, 0.5f, 1e-5);
    check_gradient(conv_of_weight, conv_weight, dw, 5 * C * 9, 0.5f, 1e-5);
    ops->conv_destroy(fixed_conv);
}

enum { ROWS = 3, COLUMNS = 7 };
static float rows_r[ROWS * COLUMNS], rows_target[ROWS * COLUMNS], rows_weight[COLUMNS * COLUMNS];
static const int32_t rows_positive[ROWS] = { 2, 0, 6 }, rows_group[ROWS] = { 0, 1, 2 },
                     columns_group[COLUMNS] = { 0, 1, 0, 1, 2, 3, 4 };

static double normalize_value(const float *x)
{
    float y[ROWS * COLUMNS], inverse[ROWS];
    struct err err;
    assert_int_equal(ops->normalize_rows(dev, &(struct normalize_rows){ ROWS, COLUMNS, x, y, inverse }, &err), 0);
    return dot(y, rows_r, ROWS * COLUMNS);
}

static double contrastive_value(const float *x)
{
    float logits[ROWS * COLUMNS], loss[ROWS];
    struct err err;
    memcpy(logits, x, sizeof logits);
    assert_int_equal(ops->contrastive_rows(dev,
                                           &(struct contrastive_rows){ ROWS, COLUMNS, logits, rows_positive, rows_group,
                                                                       columns_group, 1, loss },
                                           &err),
                     0);
    return (double)loss[0] + loss[1] + loss[2];
}

static double mse_value(const float *x)
{
    float dz[ROWS * COLUMNS], loss[ROWS];
    struct err err;
    assert_int_equal(ops->mse_rows(dev, &(struct mse_rows){ ROWS, COLUMNS, x, rows_target, 1, dz, loss }, &err), 0);
    return (double)loss[0] + loss[1] + loss[2];
}

static const struct act_desc rows_as_map = { .n = 1, .c = ROWS, .h = 1, .w = COLUMNS };

static double average_value(const float *x)
{
    float y[ROWS];
    struct err err;
    assert_int_equal(ops->avg_pool_forward(dev, &rows_as_map, x, y, &err), 0);
    return dot(y, rows_r, ROWS);
}

static double bias_value(const float *bias)
{
    float y[ROWS * COLUMNS];
    struct err err;
    assert_int_equal(
        ops->linear(dev,
                    &(struct linear){ PRECISION_FP32, ROWS, COLUMNS, COLUMNS, rows_target, rows_weight, bias, true, y },
                    &err),
        0);
    return dot(y, rows_r, ROWS * COLUMNS);
}

static void test_row_gradients(void **state)
{
    (void)state;
    float x[ROWS * COLUMNS], y[ROWS * COLUMNS], inverse[ROWS], gradient[ROWS * COLUMNS], loss[ROWS], bias[COLUMNS];
    struct err err;

    normal(x, ROWS * COLUMNS, 9);
    normal(rows_r, ROWS * COLUMNS, 10);
    normal(rows_target, ROWS * COLUMNS, 11);
    normal(bias, COLUMNS, 12);
    assert_int_equal(ops->normalize_rows(dev, &(struct normalize_rows){ ROWS, COLUMNS, x, y, inverse }, &err), 0);
    assert_int_equal(ops->normalize_rows_backward(
                         dev, &(struct normalize_rows_backward){ ROWS, COLUMNS, y, inverse, rows_r, gradient }, &err),
                     0);
    check_gradient(normalize_value, x, gradient, ROWS * COLUMNS, 1e-2f, 1e-3);

    memcpy(gradient, x, sizeof x);
    assert_int_equal(ops->contrastive_rows(dev,
                                           &(struct contrastive_rows){ ROWS, COLUMNS, gradient, rows_positive,
                                                                       rows_group, columns_group, 1, loss },
                                           &err),
                     0);
    check_gradient(contrastive_value, x, gradient, ROWS * COLUMNS, 1e-2f, 1e-3);

    assert_int_equal(ops->mse_rows(dev, &(struct mse_rows){ ROWS, COLUMNS, x, rows_target, 1, gradient, loss }, &err),
                     0);
    check_gradient(mse_value, x, gradient, ROWS * COLUMNS, 1e-2f, 1e-3);

    assert_int_equal(ops->avg_pool_backward(dev, &rows_as_map, rows_r, gradient, &err), 0);
    check_gradient(average_value, x, gradient, ROWS * COLUMNS, 1e-2f, 1e-3);

    normal(rows_weight, COLUMNS * COLUMNS, 13);
    assert_int_equal(
        ops->linear(dev,
                    &(struct linear){ PRECISION_FP32, ROWS, COLUMNS, COLUMNS, rows_target, rows_weight, bias, true, y },
                    &err),
        0);
    memcpy(x, rows_r, sizeof x);
    assert_int_equal(
        ops->bias_relu_backward(dev, &(struct bias_relu_backward){ ROWS, COLUMNS, true, y, x, gradient }, &err), 0);
    check_gradient(bias_value, bias, gradient, COLUMNS, 1e-3f, 1e-3);
}

static void test_open(void **state)
{
    (void)state;
    struct err err;

    assert_null(device_open("cpuu", 1, &err));
    assert_non_null(strstr(err.text, "\"cpu\""));
    struct device *any = device_open("auto", 1, &err);
    assert_non_null(any);
    int first = 0;
    while (device_kinds[first]->available(NULL) != 0)
        first++;
    assert_string_equal(any->ops->name, device_kinds[first]->name);
    assert_non_null(strstr(any->description, "1 thread"));
    device_close(any);
    device_close(NULL);
}

/* A slot left out of a device's table would be a crash in the middle of a run. */
static void test_every_slot(void **state)
{
    (void)state;
    struct err err;

    for (int k = 0; device_kinds[k] != NULL; k++) {
        if (device_kinds[k]->available(&err) != 0)
            continue;
        struct device *one = device_open(device_kinds[k]->name, 1, &err);
        assert_non_null(one);
        assert_string_equal(one->ops->name, device_kinds[k]->name);
        assert_non_null(device_kinds[k]->help);
        void *const *slots = (void *const *)one->ops;
        for (size_t i = 0; i < sizeof *one->ops / sizeof *slots; i++)
            if (slots[i] == NULL && i != offsetof(struct device_ops, recording) / sizeof *slots)
                fail_msg("slot %zu of device %s is empty", i, one->ops->name);
        device_close(one);
    }
}

static int set_up(void **state)
{
    (void)state;
    struct err err;
    dev = device_open("ref", 1, &err);
    if (dev == NULL)
        return -1;
    ops = dev->ops;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    device_close(dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),          cmocka_unit_test(test_every_slot),
        cmocka_unit_test(test_conv_golden),   cmocka_unit_test(test_batch_norm_golden),
        cmocka_unit_test(test_pool_golden),   cmocka_unit_test(test_adam_golden),
        cmocka_unit_test(test_rows_golden),   cmocka_unit_test(test_batch_norm_gradient),
        cmocka_unit_test(test_conv_gradient), cmocka_unit_test(test_row_gradients),
        cmocka_unit_test(test_own_column),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
