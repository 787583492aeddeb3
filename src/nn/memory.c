/* How much device memory a training or an encoder at work takes, before it takes any:
 * the training is laid out as always, on a device that counts instead of allocating. */
#include <stdint.h>

#include "base/mem.h"
#include "nn/trainer.h"

enum { GRAIN = 512 }; /* allocations come in pieces of this size */

struct counter {
    struct device base;
    struct device_ops ops; /* base's */
    struct device *real;   /* lays things out */
    size_t bytes;
    struct device_needs needs;
};

struct conv {
    char nothing;
};

struct batch_norm {
    char nothing;
};

static struct device *real(const struct device *dev)
{
    return ((const struct counter *)dev)->real;
}

static void *count_alloc(struct device *dev, size_t bytes, struct err *err)
{
    static char place;
    (void)err;
    ((struct counter *)dev)->bytes += (bytes + GRAIN - 1) / GRAIN * GRAIN;
    return &place; /* nothing is read or written there */
}

static void count_free(struct device *dev, void *p)
{
    (void)dev;
    (void)p;
}

static int count_upload(struct device *dev, void *dst, const void *host, size_t bytes, struct err *err)
{
    (void)dev;
    (void)dst;
    (void)host;
    (void)bytes;
    (void)err;
    return 0;
}

static int count_memory(struct device *dev, size_t *free, size_t *total, struct err *err)
{
    const struct counter *c = (const struct counter *)dev;
    if (c->real->ops->memory(c->real, free, total, err) != 0)
        return -1;
    *free = *free > c->bytes ? *free - c->bytes : 0; /* as if it had been taken */
    return 0;
}

static int count_channel_block(const struct device *dev, int c)
{
    return real(dev)->ops->channel_block(real(dev), c);
}

static size_t count_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel)
{
    return real(dev)->ops->conv_weight_bytes(real(dev), c_out, c_in, kernel);
}

static struct conv *count_conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    struct counter *c = (struct counter *)dev;
    c->real->ops->conv_needs(c->real, d, &c->needs);
    return mem_alloc(1, sizeof(struct conv), err);
}

static void count_conv_destroy(struct conv *conv)
{
    mem_free(conv);
}

static struct batch_norm *count_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err)
{
    (void)dev;
    (void)d;
    return mem_alloc(1, sizeof(struct batch_norm), err);
}

static void count_batch_norm_destroy(struct batch_norm *bn)
{
    mem_free(bn);
}

/* What laying out a training calls, and nothing else. */
static const struct device_ops counting = {
    .name = "counting",
    .alloc = count_alloc,
    .free = count_free,
    .upload = count_upload,
    .memory = count_memory,
    .channel_block = count_channel_block,
    .conv_create = count_conv_create,
    .conv_destroy = count_conv_destroy,
    .conv_weight_bytes = count_weight_bytes,
    .batch_norm_create = count_batch_norm_create,
    .batch_norm_destroy = count_batch_norm_destroy,
};

/* False where memory is the host's: nobody counts it here. */
static int counter_init(struct counter *c, struct device *dev, bool *counted, struct err *err)
{
    size_t free, total;
    *c = (struct counter){ .base = { .ops = &c->ops, .threads = dev->threads, .precisions = dev->precisions },
                           .ops = counting,
                           .real = dev };
#define OP(class, name) c->ops.name = dev->ops->name; /* asked for, not called */
#include "device/ops.def"
#undef OP
    if (dev->ops->memory(dev, &free, &total, err) != 0)
        return -1;
    *counted = total != SIZE_MAX;
    return 0;
}

/* All that was counted, and what `views` views of the target take. */
static size_t sum_up(struct counter *c, const struct augment_target *target, int views)
{
    c->real->ops->augment_needs(c->real, target, views, &c->needs);
    return c->bytes + c->needs.workspace + c->needs.scratch;
}

int train_memory(struct device *dev, const struct train_request *request, size_t *bytes, struct err *err)
{
    struct counter counter;
    bool counted;
    *bytes = 0;
    if (counter_init(&counter, dev, &counted, err) != 0)
        return -1;
    if (!counted)
        return 0;
    struct trainer *t = trainer_lay_out(&counter.base, request, err);
    if (t == NULL)
        return -1;
    const struct augment_target target = pipeline_target(&t->pipeline, t->precision);
    *bytes = sum_up(&counter, &target, t->views * t->images);
    trainer_destroy(t);
    return 0;
}

int encoder_memory(const struct encoder *e, const struct images *im, int views, int batch, size_t *bytes,
                   struct err *err)
{
    struct counter counter;
    bool counted;
    *bytes = 0;
    if (counter_init(&counter, e->dev, &counted, err) != 0)
        return -1;
    if (!counted || im->n == 0)
        return 0;
    struct network net = *e->net; /* as it is, but for what a pass allocates */
    struct encoder copy = { .dev = &counter.base, .pipeline = e->pipeline, .net = &net };
    net.dev = &counter.base;
    int rc = encoder_prepare(&copy, im, views, batch, err);
    const struct augment_target target = pipeline_target(&e->pipeline, PRECISION_FP32);
    if (rc == 0)
        *bytes = sum_up(&counter, &target, copy.pass->n);
    pass_destroy(copy.pass);
    return rc;
}
