/* How much device memory a training takes, before it takes any: the training is set
 * up as always, on a device that counts instead of allocating. */
#include <stdint.h>

#include "base/mem.h"
#include "nn/trainer.h"

/* What a device needs besides what is asked of it: its context, code and the working
 * memory of its libraries. Measured on none yet: a guess on the safe side. */
static const size_t overhead = (size_t)768 << 20;

enum { GRAIN = 512 }; /* allocations come in pieces of this size */

struct counter {
    struct device base;
    struct device *real; /* lays things out */
    size_t bytes;
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

static int count_set_precision(struct device *dev, enum precision precision, struct err *err)
{
    return real(dev)->ops->set_precision(real(dev), precision, err);
}

static size_t count_activation_bytes(const struct device *dev)
{
    return real(dev)->ops->activation_bytes(real(dev));
}

static int count_channel_block(const struct device *dev, int c)
{
    return real(dev)->ops->channel_block(real(dev), c);
}

static size_t count_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel)
{
    return real(dev)->ops->conv_weight_bytes(real(dev), c_out, c_in, kernel);
}

static int count_weight_pack(struct device *dev, int c_out, int c_in, int kernel, const float *oihw, float *packed,
                             struct err *err)
{
    (void)c_out;
    (void)c_in;
    (void)kernel;
    return count_upload(dev, packed, oihw, 0, err);
}

static struct conv *count_conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    (void)dev;
    (void)d;
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

/* What setting up a training calls, and nothing else. */
static const struct device_ops counting = {
    .name = "counting",
    .alloc = count_alloc,
    .free = count_free,
    .upload = count_upload,
    .memory = count_memory,
    .set_precision = count_set_precision,
    .activation_bytes = count_activation_bytes,
    .channel_block = count_channel_block,
    .conv_create = count_conv_create,
    .conv_destroy = count_conv_destroy,
    .conv_weight_bytes = count_weight_bytes,
    .conv_weight_pack = count_weight_pack,
    .batch_norm_create = count_batch_norm_create,
    .batch_norm_destroy = count_batch_norm_destroy,
};

int train_memory(struct device *dev, const struct train_request *request, size_t *bytes, struct err *err)
{
    struct counter counter = { .base = { .ops = &counting, .threads = dev->threads }, .real = dev };
    size_t free, total;
    *bytes = 0;
    if (dev->ops->memory(dev, &free, &total, err) != 0)
        return -1;
    if (total == SIZE_MAX) /* the host's: nobody counts it here */
        return 0;
    struct trainer *t = trainer_create(&counter.base, request, err);
    if (t == NULL)
        return -1;
    trainer_destroy(t);
    *bytes = counter.bytes + overhead;
    return 0;
}
