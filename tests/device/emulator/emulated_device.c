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

static int pack(struct device *dev, const struct act_desc *d, const float *plain, void *act, struct err *err)
{
    (void)dev;
    return cuda_pack(stream, d, plain, act, err);
}

/* NHWC of the precision -> plain NCHW */
static void unpack(const struct act_desc *d, const void *act, float *plain)
{
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const size_t area = (size_t)h * (size_t)w, count = (size_t)n * (size_t)c * area;
    for (size_t i = 0; i < count; i++) {
        const size_t pixel = i / (size_t)c, channel = i % (size_t)c;
        plain[(pixel / area * (size_t)c + channel) * area + pixel % area] =
            d->precision == PRECISION_BF16 ? kernel_from_bf16(((const uint16_t *)act)[i]) : ((const float *)act)[i];
    }
}

/* -- convolution: ref's, with our layout and epilogue around it -- */

struct conv {
    struct conv_desc d;
    struct act_desc in, out;
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
    conv->d = *d;
    conv->in = (struct act_desc){ d->n, d->c_in, d->h, d->w, d->precision };
    conv->out = (struct act_desc){ d->n, d->c_out, host_conv_out(d, d->h), host_conv_out(d, d->w), d->precision };
    conv->plain = ref_conv_create(dev, &without, err);
    conv->x = mem_alloc((size_t)d->n * d->c_in * d->h * d->w, sizeof *conv->x, err);
    conv->y = mem_alloc((size_t)d->n * d->c_out * conv->out.h * conv->out.w, sizeof *conv->y, err);
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

    unpack(&conv->in, x, conv->x);
    if (ref_conv_forward(conv->plain, conv->x, weight, NULL, NULL, conv->y, err) != 0 ||
        cuda_pack(stream, &conv->out, conv->y, y, err) != 0)
        return -1;
    return cuda_conv_epilogue(stream, d->precision, (size_t)d->n * conv->out.h * conv->out.w, d->c_out, bias, residual,
                              relu, y, err);
}

static int emulated_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx,
                                       struct err *err)
{
    unpack(&conv->out, dy, conv->y);
    if (ref_conv_backward_data(conv->plain, conv->y, weight, conv->x, err) != 0)
        return -1;
    return cuda_pack(stream, &conv->in, conv->x, dx, err);
}

static int emulated_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight,
                                         struct err *err)
{
    unpack(&conv->in, x, conv->x);
    unpack(&conv->out, dy, conv->y);
    return ref_conv_backward_weight(conv->plain, conv->x, conv->y, dweight, err);
}

/* -- batch norm -- */

struct batch_norm {
    struct batch_norm_desc d;
    void *workspace;
};

static struct batch_norm *emulated_batch_norm_create(struct device *dev, const struct batch_norm_desc *d,
                                                     struct err *err)
{
    (void)dev;
    if (host_check_batch_norm(d, err) != 0)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    bn->d = *d;
    bn->workspace = mem_alloc(cuda_batch_norm_workspace(d), 1, err);
    if (bn->workspace == NULL) {
        mem_free(bn);
        return NULL;
    }
    memset(bn->workspace, 0xff, cuda_batch_norm_workspace(d)); /* NaN: kernels must not need zeros */
    return bn;
}

static void emulated_batch_norm_destroy(struct batch_norm *bn)
{
    if (bn == NULL)
        return;
    mem_free(bn->workspace);
    mem_free(bn);
}

static void *batch_norm_workspace(struct batch_norm *bn, struct err *err)
{
    (void)err;
    return bn->workspace;
}

static cudaStream_t batch_norm_stream(const struct batch_norm *bn)
{
    (void)bn;
    return stream;
}

#include "device/cuda/batch_norm_slots.h"

/* -- pooling, matrices, rows -- */

static int max_pool_forward(struct device *dev, const struct act_desc *d, const void *x, void *y, int32_t *where,
                            struct err *err)
{
    (void)dev;
    return cuda_max_pool_forward(stream, d, x, y, where, err);
}

static int max_pool_backward(struct device *dev, const struct act_desc *d, const void *dy, const void *dy2,
                             const int32_t *where, void *dx, struct err *err)
{
    (void)dev;
    return cuda_max_pool_backward(stream, d, dy, dy2, where, dx, err);
}

static int avg_pool_forward(struct device *dev, const struct act_desc *d, const void *x, float *y, struct err *err)
{
    (void)dev;
    return cuda_avg_pool_forward(stream, d, x, y, err);
}

static int avg_pool_backward(struct device *dev, const struct act_desc *d, const float *dy, void *dx, struct err *err)
{
    (void)dev;
    return cuda_avg_pool_backward(stream, d, dy, dx, err);
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
    (void)dev;
    (void)c;
    void *workspace = mem_alloc(cuda_augment_workspace(target, n) + 1, 1, err);
    if (workspace == NULL)
        return -1;
    int rc = cuda_augment(stream, pixels, h, w, views, n, target, workspace, out, err);
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
    .batch_norm_rounds = batch_norm_rounds,
    .batch_norm_moments = batch_norm_moments,
    .batch_norm_finish = batch_norm_finish,
    .batch_norm_apply = batch_norm_apply,
    .batch_norm_infer = batch_norm_infer,
    .batch_norm_products = batch_norm_products,
    .batch_norm_finish_backward = batch_norm_finish_backward,
    .batch_norm_input_gradient = batch_norm_input_gradient,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .avg_pool_forward = avg_pool_forward,
    .avg_pool_backward = avg_pool_backward,
    .gemm = ref_gemm,
    .linear = ref_linear, /* cuBLASLt on the real device */
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

static struct device *open_emulator(const struct device_options *options, struct err *err)
{
    const int threads = options->threads;
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
    .precisions = 1 << PRECISION_FP32 | 1 << PRECISION_TF32 | 1 << PRECISION_BF16,
};
