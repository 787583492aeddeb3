/* Memory slots and shape checks shared by the devices that compute on the host. */
#include "device/host.h"

#include <string.h>

#include "base/mem.h"

void *host_alloc(struct device *dev, size_t bytes, struct err *err)
{
    (void)dev;
    return mem_alloc(bytes, 1, err);
}

void host_free(struct device *dev, void *p)
{
    (void)dev;
    mem_free(p);
}

int host_copy(struct device *dev, void *dst, const void *src, size_t bytes, struct err *err)
{
    (void)dev;
    (void)err;
    if (bytes)
        memmove(dst, src, bytes);
    return 0;
}

int host_sync(struct device *dev, struct err *err)
{
    (void)dev;
    (void)err;
    return 0;
}

int host_memory(struct device *dev, size_t *free, size_t *total, struct err *err)
{
    (void)dev;
    (void)err;
    *free = *total = SIZE_MAX;
    return 0;
}

int host_look(struct device *dev, const double *src, struct err *err)
{
    (void)err;
    dev->looked = *src;
    return 0;
}

int host_seen(struct device *dev, bool wait, double *value, struct err *err)
{
    (void)wait;
    (void)err;
    *value = dev->looked;
    return 1;
}

void host_conv_needs(const struct device *dev, const struct conv_desc *d, struct device_needs *needs)
{
    (void)dev;
    (void)d;
    (void)needs;
}

void host_augment_needs(const struct device *dev, const struct augment_target *target, int n,
                        struct device_needs *needs)
{
    (void)dev;
    (void)target;
    (void)n;
    (void)needs;
}

int host_check_conv(const struct conv_desc *d, struct err *err)
{
    if (d->n < 1 || d->c_in < 1 || d->h < 1 || d->w < 1 || d->c_out < 1 || d->kernel < 1 || d->stride < 1 ||
        d->padding < 0 || d->padding >= d->kernel)
        return err_set(err,
                       "convolution: impossible shape: input %d x %d x %d x %d, %d outputs, kernel %d, stride %d, "
                       "padding %d",
                       d->n, d->c_in, d->h, d->w, d->c_out, d->kernel, d->stride, d->padding);
    if (d->h + 2 * d->padding < d->kernel || d->w + 2 * d->padding < d->kernel)
        return err_set(err, "convolution: an image of %d x %d with padding %d is smaller than the kernel of %d x %d",
                       d->h, d->w, d->padding, d->kernel, d->kernel);
    if (d->training && d->epilogue != CONV_PLAIN)
        return err_set(err, "convolution: fused bias, residual and ReLU exist for inference only");
    return 0;
}

int host_check_batch_norm(const struct batch_norm_desc *d, struct err *err)
{
    if (d->n < 1 || d->c < 1 || d->h < 1 || d->w < 1)
        return err_set(err, "batch norm: impossible shape %d x %d x %d x %d", d->n, d->c, d->h, d->w);
    if (d->groups < 0 || d->n % batch_norm_groups(d) != 0)
        return err_set(err, "batch norm: %d images are no %d equal groups", d->n, d->groups);
    if (!(d->epsilon > 0) || !(d->momentum >= 0 && d->momentum <= 1))
        return err_set(err, "batch norm: epsilon %g must be positive and momentum %g in 0 .. 1", d->epsilon,
                       d->momentum);
    return 0;
}

int host_check_statistics(const struct batch_norm_desc *d, struct err *err)
{
    if ((double)d->n * d->h * d->w < 2 * batch_norm_groups(d))
        return err_set(err, "batch norm: one image of 1 x 1 has no variance; training needs more than one value a "
                            "channel: use larger batches or images");
    return 0;
}
