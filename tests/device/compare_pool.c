/* Max and average pooling. */
#include <stdio.h>

#include "device/compare.h"

static const int shapes[][4] = {
    /* n, c, h, w */
    { 2, 16, 8, 8 },   { 3, 3, 7, 7 },     { 5, 5, 2, 2 },  { 2, 24, 1, 1 },
    { 2, 64, 33, 31 }, { 33, 48, 16, 16 }, { 1, 64, 1, 5 },
};

void compare_pool(struct compare *cmp)
{
    struct err err;

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int second = 0; second < 2; second++) {
            const int n = shapes[i][0], c = shapes[i][1], h = shapes[i][2], w = shapes[i][3], oh = (h - 1) / 2 + 1,
                      ow = (w - 1) / 2 + 1;
            snprintf(cmp->what, sizeof cmp->what, "pooling %d x %d x %d x %d", n, c, h, w);
            struct array x = array_rectified(cmp, n, c, h, w), y = array_result(cmp, n, c, oh, ow),
                         dy = array_normal(cmp, n, c, oh, ow), dy2 = array_normal(cmp, n, c, oh, ow),
                         dx = array_result(cmp, n, c, h, w), mean = array_result(cmp, n * c, 0, 1, 1),
                         dmean = array_normal(cmp, n * c, 0, 1, 1), spread = array_result(cmp, n, c, h, w);
            void *where[2];
            bytes_both(cmp, (size_t)n * (c + 64) * oh * ow * sizeof(int32_t), NULL, where);
            for (int s = 0; s < 2; s++) {
                struct device *dev = cmp->side[s];
                const struct act_desc in = array_act(&x, s);
                must(cmp, dev->ops->max_pool_forward(dev, &in, x.data[s], y.data[s], where[s], &err), &err);
                must(cmp,
                     dev->ops->max_pool_backward(dev, &in, dy.data[s], second ? dy2.data[s] : NULL, where[s],
                                                 dx.data[s], &err),
                     &err);
                must(cmp, dev->ops->avg_pool_forward(dev, &in, x.data[s], mean.data[s], &err), &err);
                must(cmp, dev->ops->avg_pool_backward(dev, &in, dmean.data[s], spread.data[s], &err), &err);
            }
            compare_arrays(&y, "max pool y", 0);
            compare_arrays(&dx, "max pool dx", 1e-6);
            compare_arrays(&mean, "average y", 1e-6);
            compare_arrays(&spread, "average dx", 1e-6);
            struct array *all[] = { &x, &y, &dy, &dy2, &dx, &mean, &dmean, &spread };
            for (size_t a = 0; a < sizeof all / sizeof *all; a++)
                array_free(all[a]);
            bytes_free(cmp, where);
        }
}
