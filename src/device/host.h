/* What devices whose memory is host memory (ref, cpu) have in common: the
 * memory slots and the checks of shapes. */
#ifndef DINF_DEVICE_HOST_H
#define DINF_DEVICE_HOST_H

#include "device/device.h"

void *host_alloc(struct device *dev, size_t bytes, struct err *err);
void host_free(struct device *dev, void *p);
/* upload, download and copy are one and the same */
int host_copy(struct device *dev, void *dst, const void *src, size_t bytes, struct err *err);
int host_sync(struct device *dev, struct err *err);
int host_memory(struct device *dev, size_t *free, size_t *total, struct err *err);
int host_look(struct device *dev, const double *src, struct err *err);
int host_seen(struct device *dev, bool wait, double *value, struct err *err);
/* Host memory is not counted: these raise nothing. */
void host_conv_needs(const struct device *dev, const struct conv_desc *d, struct device_needs *needs);
void host_augment_needs(const struct device *dev, const struct augment_target *target, int n,
                        struct device_needs *needs);

/* -1 and a sentence if no convolution, or no batch norm, has this shape. */
int host_check_conv(const struct conv_desc *d, struct err *err);
int host_check_batch_norm(const struct batch_norm_desc *d, struct err *err);
/* -1 and a sentence if a batch of d's shape has no variance (one value a channel). */
int host_check_statistics(const struct batch_norm_desc *d, struct err *err);

/* The product of a linear layer, without bias and ReLU. */
static inline struct gemm linear_product(const struct linear *l)
{
    return (struct gemm){
        l->precision, l->n,  l->out, l->in, 1, { l->x, l->in, TRANS_NO }, { l->weight, l->in, TRANS_YES }, 0,
        l->y,         l->out
    };
}

static inline int host_conv_out(const struct conv_desc *d, int size)
{
    return (size + 2 * d->padding - d->kernel) / d->stride + 1;
}

/* Max pooling of device.h: kernel 3, stride 2, padding 1. */
static inline int host_pool_out(int size)
{
    return (size - 1) / 2 + 1;
}

#endif
