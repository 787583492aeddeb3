/* Max pooling (kernel 3, stride 2, padding 1) and global average pooling, NCHW. */
#include "device/ref/ref.h"

#include <math.h>
#include <string.h>

#include "device/host.h"

int ref_max_pool_forward(struct device *dev, const struct act_desc *d, const void *x_act, void *y_act, int32_t *where,
                         struct err *err)
{
    const float *x = x_act;
    float *y = y_act;
    (void)dev;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int oh = host_pool_out(h), ow = host_pool_out(w);

    for (size_t plane = 0; plane < (size_t)n * c; plane++)
        for (int py = 0; py < oh; py++)
            for (int px = 0; px < ow; px++) {
                const float *in = x + plane * h * w;
                int best = -1;
                for (int iy = py * 2 - 1; iy <= py * 2 + 1; iy++)
                    for (int ix = px * 2 - 1; ix <= px * 2 + 1; ix++) {
                        if (iy < 0 || iy >= h || ix < 0 || ix >= w)
                            continue;
                        int p = iy * w + ix;
                        /* the first of equals; a NaN wins, so that it is seen */
                        if (best < 0 || in[p] > in[best] || isnan(in[p]))
                            best = p;
                    }
                size_t out = plane * oh * ow + (size_t)py * ow + px;
                y[out] = in[best];
                where[out] = best;
            }
    return 0;
}

int ref_max_pool_backward(struct device *dev, const struct act_desc *d, const void *dy_act, const void *dy2_act,
                          const int32_t *where, void *dx_act, struct err *err)
{
    const float *dy = dy_act;
    const float *dy2 = dy2_act;
    float *dx = dx_act;
    (void)dev;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int outputs = host_pool_out(h) * host_pool_out(w);

    memset(dx, 0, (size_t)n * c * h * w * sizeof *dx);
    for (size_t plane = 0; plane < (size_t)n * c; plane++)
        for (int p = 0; p < outputs; p++) {
            size_t out = plane * outputs + p;
            dx[plane * h * w + where[out]] += dy[out] + (dy2 != NULL ? dy2[out] : 0);
        }
    return 0;
}

int ref_avg_pool_forward(struct device *dev, const struct act_desc *d, const void *x_act, float *y, struct err *err)
{
    const float *x = x_act;
    (void)dev;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    for (size_t plane = 0; plane < (size_t)n * c; plane++) {
        double sum = 0;
        for (int p = 0; p < h * w; p++)
            sum += x[plane * h * w + p];
        y[plane] = (float)(sum / ((double)h * w));
    }
    return 0;
}

int ref_avg_pool_backward(struct device *dev, const struct act_desc *d, const float *dy, void *dx_act, struct err *err)
{
    float *dx = dx_act;
    (void)dev;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    for (size_t plane = 0; plane < (size_t)n * c; plane++)
        for (int p = 0; p < h * w; p++)
            dx[plane * h * w + p] = (float)(dy[plane] / ((double)h * w));
    return 0;
}
