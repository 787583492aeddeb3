/* Batch norm's three steps in a row, for one rank. */
#ifndef DINF_TESTS_DEVICE_NORM_H
#define DINF_TESTS_DEVICE_NORM_H

#include "device/device.h"

struct norm_forward {
    const void *x, *residual;
    const float *gamma, *beta;
    float *running_mean, *running_var, *save_mean, *save_invstd;
    void *y;
};

/* results: (groups, 2, c) doubles, device memory */
static inline int norm_forward(const struct device_ops *ops, struct batch_norm *bn, const struct norm_forward *f,
                               double *results, struct err *err)
{
    int rc = 0;
    for (int r = 0; rc == 0 && r < ops->batch_norm_rounds(bn); r++)
        rc = ops->batch_norm_moments(bn, r, f->x, results, err) != 0 ||
                     ops->batch_norm_finish(bn, r, 1, results, f->running_mean, f->running_var, f->save_mean,
                                            f->save_invstd, err) != 0 ||
                     ops->batch_norm_apply(bn, r, f->x, f->residual, f->gamma, f->beta, results, f->y, err) != 0
                 ? -1
                 : 0;
    return rc;
}

static inline int norm_backward(const struct device_ops *ops, struct batch_norm *bn,
                                const struct batch_norm_backward *b, double *results, struct err *err)
{
    int rc = 0;
    for (int r = 0; rc == 0 && r < ops->batch_norm_rounds(bn); r++)
        rc = ops->batch_norm_products(bn, r, b, results, err) != 0 ||
                     ops->batch_norm_finish_backward(bn, r, 1, 0, b, results, err) != 0 ||
                     ops->batch_norm_input_gradient(bn, r, b, results, err) != 0
                 ? -1
                 : 0;
    return rc;
}

#endif
