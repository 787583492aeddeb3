/* A device made of our CUDA kernels under the grid emulator, so that the tables
 * of operations that every device is compared with ref by run over them. What
 * cuDNN and cuBLAS do on the real device, ref does here, on unpacked copies. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "device/cuda/launch.h"
#include "device/host.h"
#include "device/linalg_tables.h"
#include "device/ref/ref.h"

static cudaStream_t const stream = NULL;

static int channel_block(const struct device *dev, int c)
{
    (void)dev;
    return c;
}

static int set_precision(struct device *dev, enum precision precision, struct err *err)
{
    (void)err;
    dev->precision = precision;
    return 0;
}

static size_t activation_bytes(const struct device *dev)
{
    return dev->precision == PRECISION_BF16 ? 2 : sizeof(float);
}

static int pack(struct device *dev, int n, int c, int h, int w, const float *plain, void *act, struct err *err)
{
    return cuda_pack(stream, dev->precision, n, c, h, w, plain, act, err);
}

/* NHWC of the precision -> plain NCHW */
static void unpack(enum precision precision, int n, int c, int h, int w, const void *act, float *plain)
{
    const size_t area = (size_t)h * (size_t)w, count = (size_t)n * (size_t)c * area;
    for (size_t i = 0; i < count; i++) {
        const size_t pixel = i / (size_t)c, channel = i % (size_t)c;
        plain[(pixel / area * (size_t)c + channel) * area + pixel % area] =
            precision == PRECISION_BF16 ? kernel_from_bf16(((const uint16_t *)act)[i]) : ((const float *)act)[i];
    }
}

/* -- convolution: ref's, with our layout and epilogue around it -- */

struct conv {
    enum precision precision;
    struct conv_desc d;
    int oh, ow;
    struct conv *plain; /* ref's */
    float *x, *y;       /* NCHW */
};

static void emulated_conv_destroy(struct conv *conv)
{
    if (conv == NULL)
        return;
    ref_conv_destroy(conv->plain);
    mem_free(conv->x);
    mem_free(conv->y);
    mem_free(conv);
}

static struct conv *emulated_conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    struct conv_desc without = *d;
    if (host_check_conv(d, err) != 0)
        return NULL;
    struct conv *conv = mem_alloc(1, sizeof *conv, err);
    if (conv == NULL)
        return NULL;
    without.epilogue = CONV_PLAIN;
    conv->precision = dev->precision;
    conv->d = *d;
    conv->oh = host_conv_out(d, d->h);
    conv->ow = host_conv_out(d, d->w);
    conv->plain = ref_conv_create(dev, &without, err);
    conv->x = mem_alloc((size_t)d->n * d->c_in * d->h * d->w, sizeof *conv->x, err);
    conv->y = mem_alloc((size_t)d->n * d->c_out * conv->oh * conv->ow, sizeof *conv->y, err);
    if (conv->plain == NULL || conv->x == NULL || conv->y == NULL) {
        emulated_conv_destroy(conv);
        return NULL;
    }
    return conv;
}

static int emulated_conv_forward(struct conv *conv, const void *x, const float *weight, const float *bias,
                                 const void *residual, void *y, struct err *err)
{
    const struct conv_desc *d = &conv->d;
    const bool relu = d->epilogue == CONV_BIAS_RELU || d->epilogue == CONV_BIAS_ADD_RELU;

    unpack(conv->precision, d->n, d->c_in, d->h, d->w, x, conv->x);
    if (ref_conv_forward(conv->plain, conv->x, weight, NULL, NULL, conv->y, err) != 0 ||
        cuda_pack(stream, conv->precision, d->n, d->c_out, conv->oh, conv->ow, conv->y, y, err) != 0)
        return -1;
    return cuda_conv_epilogue(stream, conv->precision, (size_t)d->n * conv->oh * conv->ow, d->c_out, bias, residual,
                              relu, y, err);
}

static int emulated_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx,
                                       struct err *err)
{
    const struct conv_desc *d = &conv->d;

    unpack(conv->precision, d->n, d->c_out, conv->oh, conv->ow, dy, conv->y);
    if (ref_conv_backward_data(conv->plain, conv->y, weight, conv->x, err) != 0)
        return -1;
    return cuda_pack(stream, conv->precision, d->n, d->c_in, d->h, d->w, conv->x, dx, err);
}

static int emulated_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight,
                                         struct err *err)
{
    const struct conv_desc *d = &conv->d;

    unpack(conv->precision, d->n, d->c_in, d->h, d->w, x, conv->x);
    unpack(conv->precision, d->n, d->c_out, conv->oh, conv->ow, dy, conv->y);
    return ref_conv_backward_weight(conv->plain, conv->x, conv->y, dweight, err);
}

/* -- batch norm -- */

struct batch_norm {
    enum precision precision;
    struct batch_norm_desc d;
    void *workspace;
};

static struct batch_norm *emulated_batch_norm_create(struct device *dev, const struct batch_norm_desc *d,
                                                     struct err *err)
{
    if (host_check_batch_norm(d, err) != 0)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    bn->precision = dev->precision;
    bn->d = *d;
    bn->workspace = mem_alloc(cuda_batch_norm_workspace(dev->precision, d), 1, err);
    if (bn->workspace == NULL) {
        mem_free(bn);
        return NULL;
    }
    memset(bn->workspace, 0xff, cuda_batch_norm_workspace(dev->precision, d)); /* NaN: kernels must not need zeros */
    return bn;
}

static void emulated_batch_norm_destroy(struct batch_norm *bn)
{
    if (bn == NULL)
        return;
    mem_free(bn->workspace);
    mem_free(bn);
}

static int emulated_batch_norm_forward(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                                       const float *beta, float *running_mean, float *running_var, float *save_mean,
                                       float *save_invstd, void *y, struct err *err)
{
    if (host_check_statistics(&bn->d, err) != 0)
        return -1;
    return cuda_batch_norm_forward(stream, bn->precision, &bn->d, bn->workspace, x, residual, gamma, beta, running_mean,
                                   running_var, save_mean, save_invstd, y, err);
}

static int emulated_batch_norm_infer(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                                     const float *beta, const float *running_mean, const float *running_var, void *y,
                                     struct err *err)
{
    return cuda_batch_norm_infer(stream, bn->precision, &bn->d, x, residual, gamma, beta, running_mean, running_var, y,
                                 err);
}

static int emulated_batch_norm_backward(struct batch_norm *bn, const void *x, const void *y, const void *dy,
                                        const void *dy2, const float *gamma, const float *beta, const float *save_mean,
                                        const float *save_invstd, void *dx, void *dresidual, float *dgamma,
                                        float *dbeta, struct err *err)
{
    return cuda_batch_norm_backward(stream, bn->precision, &bn->d, bn->workspace, x, y, dy, dy2, gamma, beta, save_mean,
                                    save_invstd, dx, dresidual, dgamma, dbeta, err);
}

/* -- pooling, matrices, rows -- */

static int max_pool_forward(struct device *dev, int n, int c, int h, int w, const void *x, void *y, int32_t *where,
                            struct err *err)
{
    return cuda_max_pool_forward(stream, dev->precision, n, c, h, w, x, y, where, err);
}

static int max_pool_backward(struct device *dev, int n, int c, int h, int w, const void *dy, const void *dy2,
                             const int32_t *where, void *dx, struct err *err)
{
    return cuda_max_pool_backward(stream, dev->precision, n, c, h, w, dy, dy2, where, dx, err);
}

static int avg_pool_forward(struct device *dev, int n, int c, int h, int w, const void *x, float *y, struct err *err)
{
    return cuda_avg_pool_forward(stream, dev->precision, n, c, h, w, x, y, err);
}

static int avg_pool_backward(struct device *dev, int n, int c, int h, int w, const float *dy, void *dx, struct err *err)
{
    return cuda_avg_pool_backward(stream, dev->precision, n, c, h, w, dy, dx, err);
}

/* cuBLASLt's on the real device */
static int linear(struct device *dev, int n, int out, int in, const float *x, const float *weight, const float *bias,
                  bool relu, float *y, struct err *err)
{
    return ref_linear(dev, n, out, in, x, weight, bias, relu, y, err);
}

#define OP(class, name)                                                                                                \
    static int name(struct device *dev, const struct name *given, struct err *err)                                     \
    {                                                                                                                  \
        char workspace[CUDA_OP_WORKSPACE] __attribute__((aligned(8)));                                                 \
        (void)dev;                                                                                                     \
        return cuda_##name(stream, given, workspace, err);                                                             \
    }
#include "device/ops.def"
#undef OP

static int augment(struct device *dev, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views,
                   int n, const struct augment_target *target, void *out, struct err *err)
{
    (void)c;
    void *workspace = mem_alloc(cuda_augment_workspace(target, n) + 1, 1, err);
    if (workspace == NULL)
        return -1;
    int rc = cuda_augment(stream, dev->precision, pixels, h, w, views, n, target, workspace, out, err);
    mem_free(workspace);
    return rc;
}

static void close_emulator(struct device *dev)
{
    mem_free(dev);
}

static const struct device_ops ops = {
    .name = "emulator",
    .alloc = host_alloc,
    .free = host_free,
    .upload = host_copy,
    .download = host_copy,
    .copy = host_copy,
    .sync = host_sync,
    .memory = host_memory,
    .conv_needs = host_conv_needs,
    .augment_needs = host_augment_needs,
    .look = host_look,
    .seen = host_seen,
    .set_precision = set_precision,
    .activation_bytes = activation_bytes,
    .channel_block = channel_block,
    .pack = pack,
    .conv_create = emulated_conv_create,
    .conv_destroy = emulated_conv_destroy,
    .conv_weight_bytes = ref_conv_weight_bytes,
    .conv_weight_pack = ref_conv_weight_copy,
    .conv_weight_unpack = ref_conv_weight_copy,
    .conv_forward = emulated_conv_forward,
    .conv_backward_data = emulated_conv_backward_data,
    .conv_backward_weight = emulated_conv_backward_weight,
    .batch_norm_create = emulated_batch_norm_create,
    .batch_norm_destroy = emulated_batch_norm_destroy,
    .batch_norm_forward = emulated_batch_norm_forward,
    .batch_norm_infer = emulated_batch_norm_infer,
    .batch_norm_backward = emulated_batch_norm_backward,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .avg_pool_forward = avg_pool_forward,
    .avg_pool_backward = avg_pool_backward,
    .gemm = ref_gemm,
    .linear = linear,
#define OP(class, name) .name = name,
#include "device/ops.def"
#undef OP
    .augment = augment,
    .linalg = &ref_linalg,
    .close = close_emulator,
};

static int available(struct err *err)
{
    (void)err;
    return 0;
}

static struct device *open_emulator(int threads, struct err *err)
{
    struct device *dev = mem_alloc(1, sizeof *dev, err);
    if (dev == NULL)
        return NULL;
    dev->ops = &ops;
    dev->threads = threads;
    snprintf(dev->description, sizeof dev->description, "our CUDA kernels on a grid emulator");
    return dev;
}

const struct device_kind device_kind_emulator = {
    .name = "emulator",
    .help = "our CUDA kernels on a grid emulator",
    .available = available,
    .open = open_emulator,
};
