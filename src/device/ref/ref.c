/* The ref device: the oracle. Slow, always available, NCHW. */
#include "device/ref/ref.h"

#include <stdio.h>

#include "base/mem.h"
#include "device/augment_host.h"
#include "device/host.h"
#include "device/linalg_tables.h"

static int channel_block(const struct device *dev, int c)
{
    (void)dev;
    (void)c;
    return 1;
}

static int pack(struct device *dev, const struct act_desc *d, const float *plain, void *act, struct err *err)
{
    return host_copy(dev, act, plain, (size_t)d->n * d->c * d->h * d->w * sizeof *plain, err);
}

static int augment(struct device *dev, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views,
                   int n, const struct augment_target *target, void *out, struct err *err)
{
    return augment_run_host(pixels, c, h, w, views, n, target, out, 1, dev->threads, err);
}

static void close_ref(struct device *dev)
{
    mem_free(dev);
}

static const struct device_ops ops = {
    .name = "ref",
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
    .conv_create = ref_conv_create,
    .conv_destroy = ref_conv_destroy,
    .conv_weight_bytes = ref_conv_weight_bytes,
    .conv_weight_pack = ref_conv_weight_copy,
    .conv_weight_unpack = ref_conv_weight_copy,
    .conv_forward = ref_conv_forward,
    .conv_backward_data = ref_conv_backward_data,
    .conv_backward_weight = ref_conv_backward_weight,
    .batch_norm_create = ref_batch_norm_create,
    .batch_norm_destroy = ref_batch_norm_destroy,
    .batch_norm_rounds = ref_batch_norm_rounds,
    .batch_norm_moments = ref_batch_norm_moments,
    .batch_norm_finish = ref_batch_norm_finish,
    .batch_norm_apply = ref_batch_norm_apply,
    .batch_norm_infer = ref_batch_norm_infer,
    .batch_norm_products = ref_batch_norm_products,
    .batch_norm_finish_backward = ref_batch_norm_finish_backward,
    .batch_norm_input_gradient = ref_batch_norm_input_gradient,
    .max_pool_forward = ref_max_pool_forward,
    .max_pool_backward = ref_max_pool_backward,
    .avg_pool_forward = ref_avg_pool_forward,
    .avg_pool_backward = ref_avg_pool_backward,
    .gemm = ref_gemm,
    .linear = ref_linear,
#define OP(class, name) .name = ref_##name,
#include "device/ops.def"
#undef OP
    .augment = augment,
    .linalg = &ref_linalg,
    .close = close_ref,
};

static int available(struct err *err)
{
    (void)err;
    return 0;
}

static struct device *open_ref(const struct device_options *options, struct err *err)
{
    const int threads = options->threads;
    struct device *dev = mem_alloc(1, sizeof *dev, err);
    if (dev == NULL)
        return NULL;
    dev->ops = &ops;
    dev->threads = threads;
    snprintf(dev->description, sizeof dev->description, "reference loops in C, %d thread%s", threads,
             threads == 1 ? "" : "s");
    return dev;
}

const struct device_kind device_kind_ref = {
    .name = "ref",
    .help = "plain loops with sums in double: slow, the oracle of the tests",
    .available = available,
    .open = open_ref,
    .precisions = 1 << PRECISION_FP32,
};
