/* A device whose every copy may be the first that fails, counted with the allocations (scarce.h). */
#ifndef TESTS_UNIT_SCARCE_DEVICE_H
#define TESTS_UNIT_SCARCE_DEVICE_H

#include "device/device.h"
#include "unit/scarce.h"

static const struct device_ops *sound; /* those of the device itself */

static inline int scarce_copy_fails(struct err *err)
{
    return scarce_fails() ? err_set(err, "the copy failed") : 0;
}

static inline int scarce_upload(struct device *dev, void *dst, const void *host, size_t bytes, struct err *err)
{
    return scarce_copy_fails(err) != 0 ? -1 : sound->upload(dev, dst, host, bytes, err);
}

static inline int scarce_download(struct device *dev, void *host, const void *src, size_t bytes, struct err *err)
{
    return scarce_copy_fails(err) != 0 ? -1 : sound->download(dev, host, src, bytes, err);
}

static inline int scarce_copy(struct device *dev, void *dst, const void *src, size_t bytes, struct err *err)
{
    return scarce_copy_fails(err) != 0 ? -1 : sound->copy(dev, dst, src, bytes, err);
}

static inline int scarce_sync(struct device *dev, struct err *err)
{
    return scarce_copy_fails(err) != 0 ? -1 : sound->sync(dev, err);
}

/* From now on. */
static inline void scarce_device(struct device *dev)
{
    static struct device_ops ops;
    sound = dev->ops;
    ops = *dev->ops;
    ops.upload = scarce_upload;
    ops.download = scarce_download;
    ops.copy = scarce_copy;
    ops.sync = scarce_sync;
    dev->ops = &ops;
}

static inline void scarce_device_mended(struct device *dev)
{
    dev->ops = sound;
}

#endif
