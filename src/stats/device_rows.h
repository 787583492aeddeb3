/* A data matrix on a device, centred. */
#ifndef DINF_STATS_DEVICE_ROWS_H
#define DINF_STATS_DEVICE_ROWS_H

#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

/* Centring by the columns' means keeps expanded squares (x^2 - 2 x m + m^2) from
 * cancelling when the data lies far from the origin. */
struct device_rows {
    struct device *dev;
    int64_t n, d;
    const double *host; /* (n, d), borrowed, not centred */
    double *shift;      /* (d), host: what was subtracted */
    double *x;          /* (n, d), device memory */
};

/* shift (d) NULL: the columns' means. */
int device_rows_init(struct device_rows *r, struct device *dev, const double *x, int64_t n, int64_t d,
                     const double *shift, struct err *err);
void device_rows_fini(struct device_rows *r);

#endif
