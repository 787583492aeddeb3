/* SimCLR augmentation: the draws and the per-pixel mathematics, once, for the
 * OpenMP loop of the CPU and for CUDA kernels. Owned by the data room's tests. */
#ifndef DINF_DEVICE_AUGMENT_BODY_H
#define DINF_DEVICE_AUGMENT_BODY_H

#include <stdbool.h>
#include <stdint.h>

/* Strengths: what a pipeline may do. All zero (crop_min 1): none. */
struct augment_strength {
    double crop_min, crop_max;         /* area fraction of the resized crop, 0 < min <= max <= 1; aspect 3/4 .. 4/3 unless min = max = 1 */
    double flip;                       /* probability */
    double jitter;                     /* probability of colour jitter */
    double brightness, contrast, saturation, hue;
    double grey;                       /* probability */
    double blur;                       /* probability; kernel about 0.1 of the size, odd; sigma U(0.1, 2) */
};

/* One view's draws: all that is random. */
struct augment_view {
    int32_t image;                     /* index into the pixels */
    float crop_x, crop_y, crop_w, crop_h; /* in source pixels */
    bool flip, jitter, grey, blur;
    uint8_t order[4];                  /* order of brightness 0, contrast 1, saturation 2, hue 3 */
    float factor[4];                   /* their factors; hue in turns */
    float sigma;
};

/* What comes out. */
struct augment_target {
    int h, w;
    float mean[3], std[3];             /* on the 0..1 scale */
};

#endif
