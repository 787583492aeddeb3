/* Products, linear layers, means, the optimiser. */
#include <math.h>
#include <stdio.h>

#include "device/compare.h"

static void gemm(struct compare *cmp, int m, int n, int k)
{
    struct err err;

    for (int t = 0; t < 4; t++)
        for (int with_beta = 0; with_beta < 2; with_beta++) {
            enum trans ta = t & 1 ? TRANS_YES : TRANS_NO, tb = t & 2 ? TRANS_YES : TRANS_NO;
            int lda = (ta == TRANS_YES ? m : k) + 3, ldb = (tb == TRANS_YES ? k : n) + 1, ldc = n + 2;
            snprintf(cmp->what, sizeof cmp->what, "gemm %d x %d x %d, trans %d, beta %d", m, n, k, t, with_beta);
            struct array a = array_normal(cmp, (ta == TRANS_YES ? k : m) * lda, 0, 1, 1),
                         b = array_normal(cmp, (tb == TRANS_YES ? n : k) * ldb, 0, 1, 1),
                         c = array_normal(cmp, m * ldc, 0, 1, 1);
            for (int s = 0; s < 2; s++) {
                const struct gemm g = {
                    cmp->precision[s],    m,         n,  k, 1.25f, { a.data[s], lda, ta }, { b.data[s], ldb, tb },
                    with_beta ? 0.5f : 0, c.data[s], ldc
                };
                must(cmp, cmp->side[s]->ops->gemm(cmp->side[s], &g, &err), &err);
            }
            compare_arrays(&c, "c", 2e-6);
            array_free(&a);
            array_free(&b);
            array_free(&c);
        }
}

static void linear(struct compare *cmp, int n, int out, int in, bool relu)
{
    struct err err;

    snprintf(cmp->what, sizeof cmp->what, "linear %d x %d to %d, relu %d", n, in, out, relu);
    struct array x = array_normal(cmp, n * in, 0, 1, 1), w = array_normal(cmp, out * in, 0, 1, 1),
                 b = array_normal(cmp, out, 0, 1, 1), y = array_result(cmp, n * out, 0, 1, 1),
                 mask = array_rectified(cmp, n * out, 0, 1, 1), dy = array_normal(cmp, n * out, 0, 1, 1),
                 db = array_result(cmp, out, 0, 1, 1);
    for (int s = 0; s < 2; s++) {
        struct device *dev = cmp->side[s];
        const struct linear l = { cmp->precision[s], n, out, in, x.data[s], w.data[s], b.data[s], relu, y.data[s] };
        must(cmp, dev->ops->linear(dev, &l, &err), &err);
        must(cmp,
             dev->ops->bias_relu_backward(
                 dev, &(struct bias_relu_backward){ n, out, relu, mask.data[s], dy.data[s], db.data[s] }, &err),
             &err);
    }
    compare_arrays(&y, "y", 2e-6);
    compare_arrays(&dy, "dy", 1e-6);
    compare_arrays(&db, "dbias", 1e-6);
    struct array *all[] = { &x, &w, &b, &y, &mask, &dy, &db };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        array_free(all[i]);
}

static void flat(struct compare *cmp, int n)
{
    struct err err;
    float sums[2];
    const bool exact_inputs = cmp->exact_inputs;
    const size_t bytes = (size_t)n * sizeof(float);
    void *m[2], *v[2];

    snprintf(cmp->what, sizeof cmp->what, "flat, %d values", n);
    cmp->exact_inputs = false; /* sums of few digits can vanish, and Adam makes steps of what is left */
    struct array w = array_normal(cmp, n, 0, 1, 1), g = array_normal(cmp, n, 0, 1, 1),
                 other = array_normal(cmp, n, 0, 1, 1), copy = array_result(cmp, n, 0, 1, 1);
    bytes_both(cmp, bytes, NULL, m);
    bytes_both(cmp, bytes, NULL, v);
    for (int s = 0; s < 2; s++) {
        struct device *dev = cmp->side[s];
        double sum = 1, *total = dev->ops->alloc(dev, sizeof *total, &err);
        struct adam_step *at = dev->ops->alloc(dev, sizeof *at, &err);
        must(cmp, total != NULL && at != NULL && dev->ops->upload(dev, total, &sum, sizeof sum, &err) == 0 ? 0 : -1,
             &err);
        must(cmp, dev->ops->add_mean(dev, &(struct add_mean){ (size_t)n, w.data[s], total }, &err), &err);
        must(cmp, dev->ops->look(dev, total, &err), &err);
        must(cmp, dev->ops->seen(dev, true, &sum, &err) - 1, &err);
        sums[s] = (float)((sum - 1) * sqrt(n));
        for (int step = 1; step <= 7; step++) {
            const struct adam_step now = { 1e-2, 0.9, 0.999, 1e-8, step % 2 ? 0.1 : 0, step };
            const float *gradient = step % 3 ? g.data[s] : other.data[s];
            must(cmp, dev->ops->upload(dev, at, &now, sizeof now, &err), &err);
            must(cmp, dev->ops->adam(dev, &(struct adam){ (size_t)n, w.data[s], gradient, m[s], v[s], at }, &err),
                 &err);
        }
        must(cmp, dev->ops->copy(dev, copy.data[s], w.data[s], bytes, &err), &err);
        must(cmp, dev->ops->copy(dev, g.data[s], m[s], bytes, &err), &err);
        must(cmp, dev->ops->copy(dev, other.data[s], v[s], bytes, &err), &err);
        dev->ops->free(dev, total);
        dev->ops->free(dev, at);
    }
    cmp->exact_inputs = exact_inputs;
    compare_floats(cmp, "mean", 1, &sums[0], &sums[1], 1e-5);
    struct array *all[] = { &w, &g, &other, &copy };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        compare_arrays(all[i], "adam or copy", 2e-6);
        array_free(all[i]);
    }
    bytes_free(cmp, m);
    bytes_free(cmp, v);
}

void compare_matrix(struct compare *cmp)
{
    static const int sizes[][3] = { { 1, 1, 1 }, { 3, 5, 7 }, { 33, 65, 17 }, { 128, 64, 200 }, { 1, 300, 40 } };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        gemm(cmp, sizes[i][0], sizes[i][1], sizes[i][2]);
    for (int relu = 0; relu < 2; relu++) {
        linear(cmp, 5, 7, 3, relu);
        linear(cmp, 200, 130, 97, relu);
    }
    flat(cmp, 1);
    flat(cmp, 77);
    flat(cmp, 100003);
}
