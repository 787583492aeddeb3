/* Batch norm with every combination of ReLU, residual and second gradient. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/compare.h"
#include "device/norm.h"

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

static void one(struct compare *cmp, const int *s, int groups, bool relu, bool add, bool second, bool in_place)
{
    const int n = s[0], c = s[1], h = s[2], w = s[3];
    struct batch_norm_desc d = {
        .n = n, .c = c, .h = h, .w = w, .groups = groups, .relu = relu, .add = add, .epsilon = 1e-5, .momentum = 0.1
    };
    struct err err;

    snprintf(cmp->what, sizeof cmp->what, "batch norm %d x %d x %d x %d, %d groups%s%s%s%s", n, c, h, w, groups,
             relu ? ", relu" : "", add ? ", add" : "", second ? ", dy2" : "", in_place ? ", in place" : "");
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
                 save_mean = array_result(cmp, groups * c, 0, 1, 1),
                 save_invstd = array_result(cmp, groups * c, 0, 1, 1), dgamma = array_result(cmp, c, 0, 1, 1),
                 dbeta = array_result(cmp, c, 0, 1, 1);
    struct batch_norm *bn[2];
    void *results[2];
    bytes_both(cmp, (size_t)groups * 2 * (size_t)c * sizeof(double), NULL, results);
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
             norm_forward(dev->ops, bn[i],
                          &(struct norm_forward){ x.data[i], extra, gamma.data[i], beta.data[i], mean.data[i],
                                                  var.data[i], save_mean.data[i], save_invstd.data[i], y.data[i] },
                          results[i], &err),
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
             norm_backward(dev->ops, bn[i],
                           &(struct batch_norm_backward){
                               x.data[i], y.data[i], dy.data[i], second ? dy2.data[i] : NULL, gamma.data[i],
                               beta.data[i], save_mean.data[i], save_invstd.data[i], in_place ? dy.data[i] : dx.data[i],
                               add ? dresidual.data[i] : NULL, dgamma.data[i], dbeta.data[i] },
                           results[i], &err),
             &err);
        dev->ops->batch_norm_destroy(bn[i]);
    }
    bytes_free(cmp, results);
    if (n * h * w == 2 * groups) /* the gradient is a difference of nearly equal numbers of this size */
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

/* Ranks that have a part of the images each compute what one does that has them all (ref). Their results are put
 * behind one another between the steps. */
static void ranks(struct compare *cmp, const int *s, int ranks, int groups)
{
    const int part = s[0], n = part * ranks, c = s[1], h = s[2], w = s[3];
    const size_t block = (size_t)groups * 2 * (size_t)c;
    struct batch_norm_desc d = {
        .n = n, .c = c, .h = h, .w = w, .groups = groups, .relu = true, .epsilon = 1e-5, .momentum = 0.1
    };
    struct err err;
    snprintf(cmp->what, sizeof cmp->what, "batch norm %d x %d x %d x %d on %d ranks, %d groups", n, c, h, w, ranks,
             groups);
    /* a rank's images: its share of every group */
    const size_t image = (size_t)c * (size_t)h * (size_t)w, share = (size_t)(part / groups) * image;
    float *all_x = malloc((size_t)n * image * sizeof *all_x), *all_dy = malloc((size_t)n * image * sizeof *all_dy);
    float *own = malloc((size_t)part * image * sizeof *own), *gammas = malloc((size_t)c * sizeof *gammas);
    if (all_x == NULL || all_dy == NULL || own == NULL || gammas == NULL)
        exit(1);
    for (size_t i = 0; i < (size_t)n * image; i++) {
        all_x[i] = drawn(cmp, 3 + sin(0.37 * (double)i) + 0.002 * (double)(i % 1013));
        all_dy[i] = drawn(cmp, cos(0.11 * (double)i));
    }
    for (int i = 0; i < c; i++)
        gammas[i] = 0.5f + (float)(i % 3);
    struct array gamma = array_values(cmp, c, gammas), beta = array_values(cmp, c, gammas);
    struct array whole[] = { array_plain(cmp, n, c, h, w, all_x), array_plain(cmp, n, c, h, w, all_dy),
                             array_result(cmp, n, c, h, w), array_result(cmp, n, c, h, w) }; /* x, dy, y, dx */
    struct array vectors[4], dgamma = array_result(cmp, c, 0, 1, 1), dbeta = array_result(cmp, c, 0, 1, 1);
    for (int v = 0; v < 4; v++)
        vectors[v] = array_values(cmp, groups * c, NULL);
    void *results[2];
    bytes_both(cmp, (size_t)ranks * block * sizeof(double), NULL, results);
    struct device *ref = cmp->side[0], *dev = cmp->side[1];
    struct batch_norm *bn = ref->ops->batch_norm_create(ref, &d, &err);
    must(cmp, bn != NULL ? 0 : -1, &err);
    const struct norm_forward f = { whole[0].data[0],   NULL,
                                    gamma.data[0],      beta.data[0],
                                    vectors[0].data[0], vectors[1].data[0],
                                    vectors[2].data[0], vectors[3].data[0],
                                    whole[2].data[0] };
    const struct batch_norm_backward b = {
        whole[0].data[0],   whole[2].data[0],   whole[1].data[0], NULL, gamma.data[0],  beta.data[0],
        vectors[2].data[0], vectors[3].data[0], whole[3].data[0], NULL, dgamma.data[0], dbeta.data[0]
    };
    must(cmp, norm_forward(ref->ops, bn, &f, results[0], &err), &err);
    must(cmp, norm_backward(ref->ops, bn, &b, results[0], &err), &err);
    ref->ops->batch_norm_destroy(bn);

    /* each rank on the device under test, step by step */
    enum { MOST = 4 };
    struct batch_norm *of[MOST];
    struct array x[MOST], dy[MOST], y[MOST], dx[MOST], v[MOST][4], dg[MOST], db[MOST];
    struct batch_norm_backward back[MOST];
    void *rows[MOST];
    d.n = part;
    d.precision = cmp->precision[1];
    for (int r = 0; r < ranks; r++) {
        void *both[2];
        for (int g = 0; g < groups; g++)
            memcpy(own + (size_t)g * share, all_x + ((size_t)g * (size_t)ranks + (size_t)r) * share,
                   share * sizeof *own);
        x[r] = array_plain(cmp, part, c, h, w, own);
        for (int g = 0; g < groups; g++)
            memcpy(own + (size_t)g * share, all_dy + ((size_t)g * (size_t)ranks + (size_t)r) * share,
                   share * sizeof *own);
        dy[r] = array_plain(cmp, part, c, h, w, own);
        y[r] = array_result(cmp, part, c, h, w);
        dx[r] = array_result(cmp, part, c, h, w);
        for (int k = 0; k < 4; k++)
            v[r][k] = array_values(cmp, groups * c, NULL);
        dg[r] = array_result(cmp, c, 0, 1, 1);
        db[r] = array_result(cmp, c, 0, 1, 1);
        bytes_both(cmp, (size_t)ranks * block * sizeof(double), NULL, both);
        rows[r] = both[1];
        ref->ops->free(ref, both[0]);
        of[r] = dev->ops->batch_norm_create(dev, &d, &err);
        must(cmp, of[r] != NULL ? 0 : -1, &err);
        back[r] = (struct batch_norm_backward){ x[r].data[1],  y[r].data[1], dy[r].data[1],   NULL,
                                                gamma.data[1], beta.data[1], v[r][2].data[1], v[r][3].data[1],
                                                dx[r].data[1], NULL,         dg[r].data[1],   db[r].data[1] };
    }
    const size_t bytes = block * sizeof(double);
#define EACH(call)                                                                                                     \
    for (int r = 0; r < ranks; r++)                                                                                    \
        for (int round = 0; round < dev->ops->batch_norm_rounds(of[r]); round++)                                       \
            must(cmp, dev->ops->call, &err);
#define GATHER                                                                                                         \
    for (int r = 0; r < ranks; r++)                                                                                    \
        for (int to = 0; to < ranks; to++)                                                                             \
            must(cmp,                                                                                                  \
                 to == r ? 0                                                                                           \
                         : dev->ops->copy(dev, (char *)rows[to] + (size_t)r * bytes,                                   \
                                          (char *)rows[r] + (size_t)r * bytes, bytes, &err),                           \
                 &err);
    EACH(batch_norm_moments(of[r], round, x[r].data[1], (double *)rows[r] + (size_t)r * block, &err))
    GATHER
    EACH(batch_norm_finish(of[r], round, ranks, rows[r], v[r][0].data[1], v[r][1].data[1], v[r][2].data[1],
                           v[r][3].data[1], &err))
    EACH(batch_norm_apply(of[r], round, x[r].data[1], NULL, gamma.data[1], beta.data[1], rows[r], y[r].data[1], &err))
    EACH(batch_norm_products(of[r], round, &back[r], (double *)rows[r] + (size_t)r * block, &err))
    GATHER
    EACH(batch_norm_finish_backward(of[r], round, ranks, r, &back[r], rows[r], &err))
    EACH(batch_norm_input_gradient(of[r], round, &back[r], rows[r], &err))
#undef EACH
#undef GATHER
    for (int r = 0; r < ranks; r++) {
        compare_share(&whole[2], &y[r], "y", groups, ranks, r, tolerance);
        compare_share(&whole[3], &dx[r], "dx", groups, ranks, r, 4 * tolerance);
        for (int k = 0; k < 4; k++) { /* the same on every rank */
            must(cmp, ref->ops->copy(ref, v[r][k].data[0], vectors[k].data[0], v[r][k].count * sizeof(float), &err),
                 &err);
            compare_arrays(&v[r][k], "statistics", tolerance);
        }
    }
    compare_sum(&dgamma, dg, ranks, "dgamma", sqrt((double)n * h * w), 4 * tolerance);
    compare_sum(&dbeta, db, ranks, "dbeta", sqrt((double)n * h * w), 4 * tolerance);
    for (int r = 0; r < ranks; r++) {
        struct array *mine[] = { &x[r], &dy[r], &y[r], &dx[r], &v[r][0], &v[r][1], &v[r][2], &v[r][3], &dg[r], &db[r] };
        for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
            array_free(mine[i]);
        dev->ops->batch_norm_destroy(of[r]);
        dev->ops->free(dev, rows[r]);
    }
    struct array *all[] = { &whole[0],   &whole[1],   &whole[2], &whole[3], &vectors[0], &vectors[1],
                            &vectors[2], &vectors[3], &gamma,    &beta,     &dgamma,     &dbeta };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        array_free(all[i]);
    bytes_free(cmp, results);
    free(all_x), free(all_dy), free(own), free(gammas);
}

void compare_batch_norm(struct compare *cmp)
{
    cmp->scale = 1; /* of what goes in; means may come out near zero */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int options = 0; options < 16; options++)
            for (int groups = 1; groups <= 3; groups++)
                if (shapes[i][0] % groups == 0 && shapes[i][0] / groups * shapes[i][2] * shapes[i][3] > 1)
                    one(cmp, shapes[i], groups, options & 1, options & 2, options & 4, options & 8);

    static const int shares[][4] = { { 4, 16, 6, 6 }, { 2, 5, 3, 3 }, { 6, 40, 9, 9 }, { 16, 80, 16, 16 } };
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        for (int groups = 1; groups <= 2; groups++) {
            ranks(cmp, shares[i], 2, groups);
            ranks(cmp, shares[i], 4, groups);
        }

    const struct batch_norm_desc single = { .n = 1, .c = 4, .h = 1, .w = 1, .epsilon = 1e-5, .momentum = 0.1 };
    float v[16] = { 0 };
    double results[8];
    struct err err = { "" };
    struct device *dev = cmp->side[1];
    struct batch_norm *bn = dev->ops->batch_norm_create(dev, &single, &err);
    must(cmp, bn != NULL ? 0 : -1, &err);
    cmp->checks++;
    if (dev->ops->batch_norm_moments(bn, 0, v, results, &err) == 0) {
        cmp->failures++;
        fprintf(stderr, "FAIL batch norm of one value a channel was not refused\n");
    }
    dev->ops->batch_norm_destroy(bn);
}
