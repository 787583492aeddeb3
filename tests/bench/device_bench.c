/* Measures a device's convolutions (GFLOP/s) and batch norm (GB/s) on the shapes
 * of ResNet-18 with a CIFAR stem and of narrow nets on small images. No test.
 * Usage: device_bench [DEVICE [THREADS]] */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "device/device.h"
#include "device/norm.h"

static const struct conv_desc shapes[] = {
    { .n = 128, .c_in = 3, .h = 32, .w = 32, .c_out = 64, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 128, .c_in = 64, .h = 32, .w = 32, .c_out = 64, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 128, .c_in = 64, .h = 32, .w = 32, .c_out = 128, .kernel = 3, .stride = 2, .padding = 1 },
    { .n = 128, .c_in = 64, .h = 32, .w = 32, .c_out = 128, .kernel = 1, .stride = 2, .padding = 0 },
    { .n = 128, .c_in = 128, .h = 16, .w = 16, .c_out = 128, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 128, .c_in = 256, .h = 8, .w = 8, .c_out = 256, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 128, .c_in = 512, .h = 4, .w = 4, .c_out = 512, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 512, .c_in = 3, .h = 16, .w = 16, .c_out = 32, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 512, .c_in = 16, .h = 16, .w = 16, .c_out = 16, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 512, .c_in = 32, .h = 16, .w = 16, .c_out = 32, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 512, .c_in = 32, .h = 16, .w = 16, .c_out = 64, .kernel = 3, .stride = 2, .padding = 1 },
    { .n = 512, .c_in = 64, .h = 8, .w = 8, .c_out = 64, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 512, .c_in = 128, .h = 4, .w = 4, .c_out = 128, .kernel = 3, .stride = 1, .padding = 1 },
    { .n = 512, .c_in = 256, .h = 2, .w = 2, .c_out = 256, .kernel = 3, .stride = 1, .padding = 1 },
};

enum { REPEATS = 5 };

static void check(int rc, const struct err *err)
{
    if (rc != 0) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static float *activation(struct device *dev, int n, int c, int h, int w)
{
    struct err err;
    const int b = dev->ops->channel_block(dev, c);
    float *p = dev->ops->alloc(dev, (size_t)n * ((c + b - 1) / b) * b * h * w * sizeof *p, &err);
    check(p != NULL ? 0 : -1, &err);
    return p;
}

/* The shortest of the repeats of CALL, in seconds. */
#define BEST(seconds, call)                                                                                            \
    do {                                                                                                               \
        (seconds) = 1e9;                                                                                               \
        for (int r = 0; r < REPEATS; r++) {                                                                            \
            double start = clock_monotonic();                                                                          \
            check((call), &err);                                                                                       \
            check(dev->ops->sync(dev, &err), &err);                                                                    \
            double took = clock_monotonic() - start;                                                                   \
            (seconds) = took < (seconds) ? took : (seconds);                                                           \
        }                                                                                                              \
    } while (0)

static void convolution(struct device *dev, struct conv_desc d)
{
    struct err err;
    const int oh = (d.h + 2 * d.padding - d.kernel) / d.stride + 1,
              ow = (d.w + 2 * d.padding - d.kernel) / d.stride + 1;
    const size_t weight_bytes = dev->ops->conv_weight_bytes(dev, d.c_out, d.c_in, d.kernel);
    float *x = activation(dev, d.n, d.c_in, d.h, d.w), *y = activation(dev, d.n, d.c_out, oh, ow);
    float *weight = dev->ops->alloc(dev, weight_bytes, &err);
    double seconds[3] = { 0 };

    check(weight != NULL ? 0 : -1, &err);
    d.training = true;
    d.input_gradient = d.c_in > 3;
    struct conv *conv = dev->ops->conv_create(dev, &d, &err);
    check(conv != NULL ? 0 : -1, &err);
    BEST(seconds[0], dev->ops->conv_forward(conv, x, weight, NULL, NULL, y, &err));
    if (d.input_gradient)
        BEST(seconds[1], dev->ops->conv_backward_data(conv, y, weight, x, &err));
    BEST(seconds[2], dev->ops->conv_backward_weight(conv, x, y, weight, &err));
    const double work = 2e-9 * d.n * d.c_out * oh * ow * d.c_in * d.kernel * d.kernel;
    printf("conv %4d x %3d x %2d x %2d -> %3d, kernel %d, stride %d:", d.n, d.c_in, d.h, d.w, d.c_out, d.kernel,
           d.stride);
    for (int i = 0; i < 3; i++)
        if (seconds[i] > 0)
            printf("  %7.2f ms %6.1f GFLOP/s", seconds[i] * 1e3, work / seconds[i]);
        else
            printf("  %25s", "");
    printf("\n");
    dev->ops->conv_destroy(conv);
    dev->ops->free(dev, x);
    dev->ops->free(dev, y);
    dev->ops->free(dev, weight);
}

/* GB/s of what has to be read and written at least. */
static void batch_norm(struct device *dev, int n, int c, int h, int w, bool add)
{
    struct err err;
    const struct batch_norm_desc d = {
        .n = n, .c = c, .h = h, .w = w, .relu = true, .add = add, .epsilon = 1e-5, .momentum = 0.1
    };
    float *t[6], *v = dev->ops->alloc(dev, (size_t)c * sizeof *v, &err);
    double seconds[2];

    check(v != NULL ? 0 : -1, &err);
    for (int i = 0; i < 6; i++)
        t[i] = activation(dev, n, c, h, w);
    struct batch_norm *bn = dev->ops->batch_norm_create(dev, &d, &err);
    double *results = dev->ops->alloc(dev, 2 * (size_t)c * sizeof *results, &err);
    check(bn != NULL && results != NULL ? 0 : -1, &err);
    BEST(seconds[0],
         norm_forward(dev->ops, bn, &(struct norm_forward){ t[0], add ? t[1] : NULL, v, v, v, v, v, v, t[2] }, results,
                      &err));
    BEST(seconds[1], norm_backward(dev->ops, bn,
                                   &(struct batch_norm_backward){ t[0], t[2], t[3], NULL, v, v, v, v, t[4],
                                                                  add ? t[5] : NULL, v, v },
                                   results, &err));
    const double bytes = 4e-9 * n * c * h * w;
    printf("batch norm %3d x %3d x %2d x %2d%s:  forward %6.2f ms %5.1f GB/s  backward %6.2f ms %5.1f GB/s\n", n, c, h,
           w, add ? " + residual" : "           ", seconds[0] * 1e3, bytes * (add ? 3 : 2) / seconds[0],
           seconds[1] * 1e3, bytes * (add ? 5 : 4) / seconds[1]);
    dev->ops->batch_norm_destroy(bn);
    dev->ops->free(dev, results);
    for (int i = 0; i < 6; i++)
        dev->ops->free(dev, t[i]);
    dev->ops->free(dev, v);
}

static void flat(struct device *dev, int n)
{
    struct err err;
    float *t[4];
    double seconds;
    const struct adam_step now = { 1e-3, 0.9, 0.999, 1e-8, 0, 1 };
    struct adam_step *at = dev->ops->alloc(dev, sizeof *at, &err);

    check(at != NULL ? dev->ops->upload(dev, at, &now, sizeof now, &err) : -1, &err);
    for (int i = 0; i < 4; i++) {
        t[i] = dev->ops->alloc(dev, (size_t)n * sizeof(float), &err);
        check(t[i] != NULL ? 0 : -1, &err);
    }
    BEST(seconds, dev->ops->adam(dev, &(struct adam){ (size_t)n, t[0], t[1], t[2], t[3], at }, &err));
    printf("adam %d: %.2f ms %.1f GB/s\n", n, seconds * 1e3, 28e-9 * n / seconds);
    dev->ops->free(dev, at);
    for (int i = 0; i < 4; i++)
        dev->ops->free(dev, t[i]);
}

static void losses(struct device *dev, int n, int d)
{
    struct err err;
    float *z = dev->ops->alloc(dev, (size_t)n * d * sizeof *z, &err),
          *logits = dev->ops->alloc(dev, (size_t)n * n * sizeof *logits, &err),
          *loss = dev->ops->alloc(dev, (size_t)n * sizeof *loss, &err);
    int32_t *index = dev->ops->alloc(dev, (size_t)n * sizeof *index, &err), *host = calloc((size_t)n, sizeof *host);
    double product, rows;
    const struct gemm similarities = {
        PRECISION_FP32, n, n, d, 5, { z, d, TRANS_NO }, { z, d, TRANS_YES }, 0, logits, n
    };

    check(z != NULL && logits != NULL && loss != NULL && index != NULL && host != NULL ? 0 : -1, &err);
    for (int i = 0; i < n; i++)
        host[i] = i;
    check(dev->ops->upload(dev, index, host, (size_t)n * sizeof *host, &err), &err);
    BEST(product, dev->ops->gemm(dev, &similarities, &err));
    BEST(rows, dev->ops->contrastive_rows(dev, &(struct contrastive_rows){ n, n, logits, index, index, index, 1, loss },
                                          &err));
    printf("contrastive loss of %d rows of %d: product %.2f ms %.1f GFLOP/s, rows %.2f ms\n", n, d, product * 1e3,
           2e-9 * n * n * d / product, rows * 1e3);
    free(host);
    dev->ops->free(dev, z);
    dev->ops->free(dev, logits);
    dev->ops->free(dev, loss);
    dev->ops->free(dev, index);
}

int main(int argc, char **argv)
{
    struct err err;
    struct device *dev = device_open(argc > 1 ? argv[1] : "auto", argc > 2 ? atoi(argv[2]) : 2, &err);

    if (dev == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s\nforward, gradient of the input, gradient of the weights\n", dev->description);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        convolution(dev, shapes[i]);
    for (int add = 0; add < 2; add++) {
        batch_norm(dev, 128, 64, 32, 32, add);
        batch_norm(dev, 128, 512, 4, 4, add);
        batch_norm(dev, 512, 16, 16, 16, add);
        batch_norm(dev, 512, 32, 16, 16, add);
        batch_norm(dev, 512, 256, 2, 2, add);
    }
    flat(dev, 11000000);
    losses(dev, 256, 128);
    losses(dev, 512, 128);
    device_close(dev);
    return 0;
}
