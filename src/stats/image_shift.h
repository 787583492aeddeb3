/* Do two sets of images differ in what every encoder sees? A test of members against
 * held-out images takes any difference between them for memory. */
#ifndef DINF_STATS_IMAGE_SHIFT_H
#define DINF_STATS_IMAGE_SHIFT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

/* Below this p the images differ. */
#define IMAGE_SHIFT_LEVEL 0.01

/* n images of c channels and h x w pixels; channels first (n, c, h, w) or last. */
struct pixels {
    const uint8_t *bytes; /* one of the two is NULL */
    const float *floats;
    int64_t n, c, h, w;
    bool channels_last;
};

struct image_shift {
    double auc; /* of the classifier on images that it has not seen */
    double p;   /* of images that are exchangeable */
};
enum { IMAGE_SHIFT_MINIMUM = 10 };

/* A logistic regression on five numbers a channel: mean, standard deviation, least,
 * largest, mean absolute difference of neighbours. It learns on a random half of both
 * sets and must rank the other half, then the other way round; p is twice the smaller of
 * the two. (Scores of many folds put together are no independent sample: their p is too
 * small.) Both sets have the same c and the same kind of pixels, and at least
 * IMAGE_SHIFT_MINIMUM images; sizes may differ. */
int image_shift_test(struct device *dev, const struct pixels *a, const struct pixels *b, uint64_t seed,
                     struct image_shift *out, struct err *err);

#endif
