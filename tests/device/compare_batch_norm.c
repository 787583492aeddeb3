/* Batch norm with every combination of ReLU, residual and second gradient. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/compare.h"

static const int shapes[][4] = {
    /* n, c, h, w */
    { 2, 16, 8, 8 },   { 33, 3, 7, 7 }, { 5, 5, 2, 2 },   { 2, 24, 1, 1 }, { 5, 48, 16, 16 },
    { 2, 64, 33, 33 }, { 1, 64, 8, 8 }, { 33, 16, 1, 1 }, { 3, 1, 5, 5 },  { 16, 80, 16, 16 },
};

static const double tolerance = 3e-6;

/* The ReLU's mask flips where rounding decides the sign, and a flip is not an
 * error of the gradient: so backward runs on ref's own y on both sides. */
static void copy_from_ref(struct compare *cmp, const struct array *a)
{
    struct err err;
    const struct act_desc act = array_act(a, 1);
    struct device *ref = cmp->side[0], *dev = cmp->side[1];
    float *plain = malloc(a->count * sizeof *plain), *staged = dev->ops->alloc(dev, a->count * sizeof *plain, &err);

    if (plain == NULL || staged == NULL)
        exit(1);
    must(cmp, ref->ops->download(ref, plain, a->data[0], a->count * sizeof *plain, &err), &err);
    must(cmp, dev->ops->upload(dev, staged, plain, a->count * sizeof *plain, &err), &err);
    must(cmp, dev->ops->pack(dev, &act, staged, a->data[1], &err), &err);
    must(cmp, dev->ops->sync(dev, &err), &err);
    dev->ops->free(dev, staged);
    free(plain);
}

static void one(struct compare *cmp, const int *s, bool relu, bool add, bool second, bool in_place)
{
    const int n = s[0], c = s[1], h = s[2], w = s[3];
    struct batch_norm_desc d = {
        .n = n, .c = c, .h = h, .w = w, .relu = relu, .add = add, .epsilon = 1e-5, .momentum = 0.1
    };
    struct err err;

    snprintf(cmp->what, sizeof cmp->what, "batch norm %d x %d x %d x %d%s%s%s%s", n, c, h, w, relu ? ", relu" : "",
             add ? ", add" : "", second ? ", dy2" : "", in_place ? ", in place" : "");
    float *variance = malloc((size_t)c * sizeof *variance);
    if (variance == NULL)
        exit(1);
    for (int i = 0; i < c; i++)
        variance[i] = 0.5f + (float)(i % 5);
    struct array x = array_normal(cmp, n, c, h, w), residual = array_normal(cmp, n, c, h, w),
                 dy = array_normal(cmp, n, c, h, w), dy2 = array_normal(cmp, n, c, h, w),
                 gamma = array_normal(cmp, c, 0, 1, 1), beta = array_normal(cmp, c, 0, 1, 1),
                 mean = array_normal(cmp, c, 0, 1, 1), var = array_values(cmp, c, variance),
                 y = array_result(cmp, n, c, h, w), inferred = array_result(cmp, n, c, h, w),
                 dx = array_result(cmp, n, c, h, w), dresidual = array_result(cmp, n, c, h, w),
                 save_mean = array_result(cmp, c, 0, 1, 1), save_invstd = array_result(cmp, c, 0, 1, 1),
                 dgamma = array_result(cmp, c, 0, 1, 1), dbeta = array_result(cmp, c, 0, 1, 1);
    struct batch_norm *bn[2];
    for (int i = 0; i < 2; i++) {
        struct device *dev = cmp->side[i];
        const float *extra = add ? residual.data[i] : NULL;
        d.precision = cmp->precision[i];
        bn[i] = dev->ops->batch_norm_create(dev, &d, &err);
        must(cmp, bn[i] != NULL ? 0 : -1, &err);
        must(cmp,
             dev->ops->batch_norm_infer(bn[i], x.data[i], extra, gamma.data[i], beta.data[i], mean.data[i], var.data[i],
                                        inferred.data[i], &err),
             &err);
        must(cmp,
             dev->ops->batch_norm_forward(bn[i], x.data[i], extra, gamma.data[i], beta.data[i], mean.data[i],
                                          var.data[i], save_mean.data[i], save_invstd.data[i], y.data[i], &err),
             &err);
    }
    compare_arrays(&inferred, "inferred y", tolerance);
    compare_arrays(&y, "y", tolerance);
    compare_arrays(&mean, "running mean", tolerance);
    compare_arrays(&var, "running variance", tolerance);
    compare_arrays(&save_mean, "saved mean", tolerance);
    compare_arrays(&save_invstd, "saved 1 / standard deviation", tolerance);
    copy_from_ref(cmp, &y);
    for (int i = 0; i < 2; i++) {
        struct device *dev = cmp->side[i];
        must(cmp,
             dev->ops->batch_norm_backward(bn[i], x.data[i], y.data[i], dy.data[i], second ? dy2.data[i] : NULL,
                                           gamma.data[i], beta.data[i], save_mean.data[i], save_invstd.data[i],
                                           in_place ? dy.data[i] : dx.data[i], add ? dresidual.data[i] : NULL,
                                           dgamma.data[i], dbeta.data[i], &err),
             &err);
        dev->ops->batch_norm_destroy(bn[i]);
    }
    if (n * h * w == 2) /* the gradient is a difference of nearly equal numbers of this size */
        cmp->scale = fmax(1, array_largest(&save_invstd));
    compare_arrays(in_place ? &dy : &dx, "dx", 2 * tolerance);
    cmp->scale = sqrt((double)n * h * w); /* sums of so many terms, which may come out small */
    const double of_sum = second ? of_rounded(cmp, tolerance) : tolerance; /* dy + dy2 may be rounded */
    compare_arrays(&dgamma, "dgamma", of_sum);
    compare_arrays(&dbeta, "dbeta", of_sum);
    cmp->scale = 1;
    if (add)
        compare_arrays(&dresidual, "dresidual", tolerance);
    struct array *all[] = { &x, &residual, &dy, &dy2,       &gamma,     &beta,        &mean,   &var,
                            &y, &inferred, &dx, &dresidual, &save_mean, &save_invstd, &dgamma, &dbeta };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        array_free(all[i]);
    free(variance);
}

void compare_batch_norm(struct compare *cmp)
{
    cmp->scale = 1; /* of what goes in; means may come out near zero */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int options = 0; options < 16; options++)
            one(cmp, shapes[i], options & 1, options & 2, options & 4, options & 8);

    const struct batch_norm_desc single = { .n = 1, .c = 4, .h = 1, .w = 1, .epsilon = 1e-5, .momentum = 0.1 };
    float v[16] = { 0 };
    struct err err = { "" };
    struct device *dev = cmp->side[1];
    struct batch_norm *bn = dev->ops->batch_norm_create(dev, &single, &err);
    must(cmp, bn != NULL ? 0 : -1, &err);
    cmp->checks++;
    if (dev->ops->batch_norm_forward(bn, v, NULL, v, v, v, v, v, v, v, &err) == 0) {
        cmp->failures++;
        fprintf(stderr, "FAIL batch norm of one value a channel was not refused\n");
    }
    dev->ops->batch_norm_destroy(bn);
}
