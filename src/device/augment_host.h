/* Augmentation on the CPU: what the ref and cpu devices put in their slot. */
#ifndef DINF_DEVICE_AUGMENT_HOST_H
#define DINF_DEVICE_AUGMENT_HOST_H

#include <stdint.h>

#include "base/err.h"
#include "device/augment_body.h"

/* View i of `views` (n) reads image views[i].image of `pixels` (uint8, plain
 * (count, c, h, w), c = 3) and writes row i of `out`, float
 * [n][ceil(c / B)][target->h][target->w][B] with B = channel_block, normalised
 * by the target's mean and std; channels beyond c are set to zero. Equal bits
 * for any number of threads. Errors: c not 3, empty shapes, a crop outside the
 * image, out of memory. */
int augment_run_host(const uint8_t *pixels, int c, int h, int w, const struct augment_view *views, int n,
                     const struct augment_target *target, float *out, int channel_block, int threads, struct err *err);

#endif
