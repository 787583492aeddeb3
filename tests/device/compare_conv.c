/* Convolutions: forward with every epilogue, both gradients, packed weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/compare.h"

struct shape {
    int n, c_in, h, w, c_out, kernel, stride;
};

static const struct shape shapes[] = {
    { 2, 3, 8, 8, 16, 3, 1 },   { 5, 3, 33, 33, 64, 7, 2 },   { 1, 3, 7, 7, 5, 3, 1 },      { 2, 3, 16, 16, 24, 1, 1 },
    { 2, 5, 7, 7, 24, 3, 1 },   { 1, 16, 1, 1, 16, 3, 1 },    { 2, 16, 2, 2, 48, 3, 2 },    { 33, 16, 8, 8, 16, 3, 1 },
    { 2, 24, 7, 7, 48, 3, 2 },  { 2, 48, 16, 16, 24, 1, 2 },  { 5, 64, 8, 8, 64, 3, 1 },    { 1, 64, 33, 33, 64, 3, 1 },
    { 3, 64, 7, 9, 128, 3, 1 }, { 2, 128, 4, 4, 128, 3, 1 },  { 2, 64, 16, 16, 128, 3, 2 }, { 2, 64, 8, 8, 256, 1, 1 },
    { 2, 256, 8, 8, 64, 1, 1 }, { 5, 64, 16, 16, 128, 1, 2 }, { 2, 32, 5, 5, 3, 3, 1 },     { 2, 3, 5, 5, 3, 3, 1 },
    { 1, 1, 9, 9, 16, 3, 1 },   { 1, 512, 2, 2, 512, 3, 1 },  { 2, 17, 15, 13, 19, 3, 2 },
};

static const struct shape narrow[] = {
    /* narrower than a block of channels, where libraries take layers for images */
    { 3, 4, 8, 8, 4, 3, 1 },
    { 2, 4, 9, 7, 8, 3, 2 },
    { 5, 8, 8, 8, 8, 3, 1 },
    { 2, 8, 16, 16, 16, 3, 2 },
    { 2, 8, 8, 8, 20, 1, 2 },
    { 3, 12, 7, 9, 12, 3, 1 },
    { 2, 13, 8, 8, 26, 3, 2 },
    { 2, 14, 4, 4, 14, 3, 1 },
    { 4, 10, 8, 8, 40, 1, 1 },
    { 2, 40, 8, 8, 10, 1, 1 },
    { 3, 20, 8, 8, 20, 3, 1 },
    { 2, 9, 6, 6, 24, 3, 1 },
    { 2, 24, 8, 8, 24, 3, 1 },
    { 1, 15, 5, 5, 1, 3, 1 },
    { 2, 40, 8, 8, 36, 3, 1 },
    { 2, 8, 2, 2, 8, 3, 1 },
    { 3, 12, 2, 2, 24, 3, 2 },
    { 3, 64, 1, 1, 64, 3, 1 },
    { 2, 4, 32, 32, 12, 7, 2 },
    /* images of one and two channels, layers of at most three, kernels wider than the image */
    { 3, 1, 28, 28, 8, 3, 1 },
    { 2, 1, 28, 28, 64, 7, 2 },
    { 2, 2, 8, 8, 12, 3, 1 },
    { 2, 3, 8, 8, 8, 3, 1 },
    { 4, 2, 8, 8, 2, 3, 1 },
    { 2, 1, 6, 6, 1, 3, 1 },
    { 2, 2, 8, 8, 4, 1, 2 },
    { 2, 12, 8, 8, 3, 3, 2 },
    { 5, 2, 1, 1, 1, 3, 1 },
    { 5, 1, 1, 1, 2, 3, 1 },
    { 2, 3, 4, 4, 20, 7, 2 },
    { 2, 3, 2, 2, 64, 7, 2 },
};

/* Winograd's transform, see the cpu device, costs digits of the training pass. */
static const double inference_tolerance = 5e-6, training_tolerance = 1e-5;

static void pack_weights(struct compare *cmp, const struct shape *s, const float *oihw, float *packed[2])
{
    struct err err;
    for (int i = 0; i < 2; i++) {
        struct device *dev = cmp->side[i];
        packed[i] = dev->ops->alloc(dev, dev->ops->conv_weight_bytes(dev, s->c_out, s->c_in, s->kernel), &err);
        must(cmp, packed[i] != NULL ? 0 : -1, &err);
        must(cmp, dev->ops->conv_weight_pack(dev, s->c_out, s->c_in, s->kernel, oihw, packed[i], &err), &err);
    }
}

/* Unpacks both sides' weights (or their gradients) and compares; what is behind
 * the channels must be zero: packing again must give the same bytes. */
static void compare_weights(struct compare *cmp, const struct shape *s, float *packed[2], const char *name,
                            double tolerance)
{
    const size_t count = (size_t)s->c_out * s->c_in * s->kernel * s->kernel;
    float *plain[2];
    struct err err;

    for (int i = 0; i < 2; i++) {
        struct device *dev = cmp->side[i];
        const size_t bytes = dev->ops->conv_weight_bytes(dev, s->c_out, s->c_in, s->kernel);
        plain[i] = malloc(count * sizeof(float));
        float *raw = malloc(bytes), *again = malloc(bytes), *second = dev->ops->alloc(dev, bytes, &err);
        if (plain[i] == NULL || raw == NULL || again == NULL || second == NULL)
            exit(1);
        must(cmp, dev->ops->conv_weight_unpack(dev, s->c_out, s->c_in, s->kernel, packed[i], plain[i], &err), &err);
        must(cmp, dev->ops->conv_weight_pack(dev, s->c_out, s->c_in, s->kernel, plain[i], second, &err), &err);
        must(cmp, dev->ops->download(dev, raw, packed[i], bytes, &err), &err);
        must(cmp, dev->ops->download(dev, again, second, bytes, &err), &err);
        compare_floats(cmp, "padding of weights", bytes / sizeof(float), again, raw, 0);
        dev->ops->free(dev, second);
        free(raw);
        free(again);
    }
    compare_floats(cmp, name, count, plain[0], plain[1], tolerance);
    free(plain[0]);
    free(plain[1]);
}

/* NaN everywhere. */
static void fill(struct compare *cmp, int side, float *packed, size_t bytes)
{
    float *host = malloc(bytes);
    struct err err;

    if (host == NULL)
        exit(1);
    for (size_t i = 0; i < bytes / sizeof *host; i++)
        host[i] = NAN;
    must(cmp, cmp->side[side]->ops->upload(cmp->side[side], packed, host, bytes, &err), &err);
    must(cmp, cmp->side[side]->ops->sync(cmp->side[side], &err), &err);
    free(host);
}

static void one(struct compare *cmp, const struct shape *s, enum conv_epilogue epilogue, bool training)
{
    struct conv_desc d = { .n = s->n,
                           .c_in = s->c_in,
                           .h = s->h,
                           .w = s->w,
                           .c_out = s->c_out,
                           .kernel = s->kernel,
                           .stride = s->stride,
                           .padding = s->kernel / 2,
                           .epilogue = epilogue,
                           .training = training,
                           .input_gradient = training };
    const int oh = (s->h + 2 * d.padding - s->kernel) / s->stride + 1,
              ow = (s->w + 2 * d.padding - s->kernel) / s->stride + 1;
    const size_t count = (size_t)s->c_out * s->c_in * s->kernel * s->kernel;
    const double tolerance = training ? training_tolerance : inference_tolerance;
    float *oihw = malloc(count * sizeof *oihw), *weight[2], *dweight[2];
    struct err err;

    if (oihw == NULL)
        exit(1);
    snprintf(cmp->what, sizeof cmp->what, "conv %d x %d x %d x %d -> %d, kernel %d, stride %d, epilogue %d, %s", s->n,
             s->c_in, s->h, s->w, s->c_out, s->kernel, s->stride, (int)epilogue, training ? "training" : "inference");
    for (size_t i = 0; i < count; i++)
        oihw[i] = drawn(cmp, sin(0.7 * (double)i + 0.1 * (double)(i % 11)));
    pack_weights(cmp, s, oihw, weight);
    compare_weights(cmp, s, weight, "packed weights", 0);

    struct array x = array_normal(cmp, s->n, s->c_in, s->h, s->w), y = array_result(cmp, s->n, s->c_out, oh, ow),
                 residual = array_normal(cmp, s->n, s->c_out, oh, ow), bias = array_normal(cmp, s->c_out, 0, 1, 1),
                 dy = array_normal(cmp, s->n, s->c_out, oh, ow), dx = array_result(cmp, s->n, s->c_in, s->h, s->w);
    pack_weights(cmp, s, oihw, dweight);
    for (int i = 0; i < 2; i++) /* the gradient is to overwrite this, padding too */
        fill(cmp, i, dweight[i], cmp->side[i]->ops->conv_weight_bytes(cmp->side[i], s->c_out, s->c_in, s->kernel));
    for (int i = 0; i < 2; i++) {
        struct device *dev = cmp->side[i];
        d.precision = cmp->precision[i];
        struct conv *conv = dev->ops->conv_create(dev, &d, &err);
        must(cmp, conv != NULL ? 0 : -1, &err);
        must(cmp,
             dev->ops->conv_forward(conv, x.data[i], weight[i], epilogue != CONV_PLAIN ? bias.data[i] : NULL,
                                    epilogue == CONV_BIAS_ADD_RELU ? residual.data[i] : NULL, y.data[i], &err),
             &err);
        if (training) {
            must(cmp, dev->ops->conv_backward_data(conv, dy.data[i], weight[i], dx.data[i], &err), &err);
            must(cmp, dev->ops->conv_backward_weight(conv, x.data[i], dy.data[i], dweight[i], &err), &err);
        }
        dev->ops->conv_destroy(conv);
    }
    compare_arrays(&y, "y", tolerance);
    if (training) {
        compare_arrays(&dx, "dx", tolerance);
        compare_weights(cmp, s, dweight, "dweight", of_rounded(cmp, tolerance));
    }
    for (int i = 0; i < 2; i++) {
        cmp->side[i]->ops->free(cmp->side[i], weight[i]);
        cmp->side[i]->ops->free(cmp->side[i], dweight[i]);
    }
    struct array *all[] = { &x, &y, &residual, &bias, &dy, &dx };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        array_free(all[i]);
    free(oihw);
}

/* Impossible shapes are refused with a sentence. */
static void refused(struct compare *cmp)
{
    static const struct conv_desc bad[] = {
        { .n = 0, .c_in = 3, .h = 8, .w = 8, .c_out = 4, .kernel = 3, .stride = 1, .padding = 1 },
        { .n = 1, .c_in = 3, .h = 8, .w = 8, .c_out = 4, .kernel = 3, .stride = 0, .padding = 1 },
        { .n = 1, .c_in = 3, .h = 2, .w = 2, .c_out = 4, .kernel = 3, .stride = 1, .padding = 0 },
        { .n = 1,
          .c_in = 3,
          .h = 8,
          .w = 8,
          .c_out = 4,
          .kernel = 3,
          .stride = 1,
          .padding = 1,
          .epilogue = CONV_BIAS,
          .training = true },
    };
    struct device *dev = cmp->side[1];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = { "" };
        struct conv *conv = dev->ops->conv_create(dev, &bad[i], &err);
        cmp->checks++;
        if (conv != NULL || !err.text[0]) {
            cmp->failures++;
            fprintf(stderr, "FAIL impossible convolution %d was not refused\n", (int)i);
            dev->ops->conv_destroy(conv);
        }
    }
}

static void all_passes(struct compare *cmp, const struct shape *s)
{
    one(cmp, s, CONV_PLAIN, true);
    for (int epilogue = CONV_PLAIN; epilogue <= CONV_BIAS_ADD_RELU; epilogue++)
        one(cmp, s, (enum conv_epilogue)epilogue, false);
}

void compare_conv(struct compare *cmp)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        all_passes(cmp, &shapes[i]);
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        all_passes(cmp, &narrow[i]);
    refused(cmp);
}
