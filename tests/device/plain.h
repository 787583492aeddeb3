/* An activation in plain order: by the layout that device/device.h promises, not by the device. */
#ifndef DINF_TESTS_DEVICE_PLAIN_H
#define DINF_TESTS_DEVICE_PLAIN_H

#include <stdlib.h>
#include <string.h>

#include "device/device.h"

/* plain (n, c, h, w), host, of what is in `act`, device memory, as `d` describes it. */
static inline int plain_contents(struct device *dev, const struct act_desc *d, const void *act, float *plain,
                                 struct err *err)
{
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const size_t block = (size_t)dev->ops->channel_block(dev, c), blocks = ((size_t)c + block - 1) / block,
                 area = (size_t)h * (size_t)w, bytes = precision_bytes(d->precision),
                 stored = (size_t)n * blocks * area * block;
    char *raw = malloc(stored * bytes + 1);
    if (raw == NULL)
        return err_set(err, "out of memory");
    int rc = dev->ops->download(dev, raw, act, stored * bytes, err);
    for (size_t i = 0; rc == 0 && i < (size_t)n * (size_t)c * area; i++) {
        const size_t image = i / area / (size_t)c, channel = i / area % (size_t)c;
        const size_t at = ((image * blocks + channel / block) * area + i % area) * block + channel % block;
        uint32_t bits = 0; /* a bfloat16 is the upper half of a float */
        memcpy((char *)&bits + sizeof bits - bytes, raw + at * bytes, bytes);
        memcpy(&plain[i], &bits, sizeof bits);
    }
    free(raw);
    return rc;
}

#endif
