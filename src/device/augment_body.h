/* SimCLR augmentation: the draws and the per-pixel mathematics, once, for the
 * OpenMP loop of the CPU (augment_host.c) and for CUDA kernels.
 *
 * The pipeline of one view, as torchvision 0.14 does it on float tensors of the
 * 0..1 scale: crop, bilinear resize (half-pixel centres), flip, colour jitter in
 * random order, greyscale, Gaussian blur, normalise. There is no antialiasing:
 * images come in the target's size (data/resize.h), so that a crop only grows.
 *
 * A kernel over pixels does, for output pixel (y, x):
 *   augment_tap for both axes, augment_sample for each channel, then the four
 *   jitter bodies in the view's order (contrast needs the mean of augment_grey
 *   over the view at that point), augment_luma, and after the neighbours are
 *   done augment_reflect and augment_blur_weight, at last augment_normalise. */
#ifndef DINF_DEVICE_AUGMENT_BODY_H
#define DINF_DEVICE_AUGMENT_BODY_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h" /* DINF_HD */
#include "device/device.h"

/* Strengths: what a pipeline may do. All zero (crop_min = crop_max = 1): none. */
struct augment_strength {
    double crop_min, crop_max;               /* area fraction of the resized crop, 0 < min <= max <= 1;
                                                aspect 3/4 .. 4/3 unless min = max = 1 (whole image) */
    double flip;                             /* probability */
    double jitter;                           /* probability of colour jitter */
    double brightness, contrast, saturation; /* factor U(max(0, 1 - s), 1 + s) */
    double hue;                              /* turns U(-hue, hue), at most 0.5 */
    double grey;                             /* probability */
    double blur;                             /* probability; radius: augment_blur_radius; sigma U(0.1, 2) */
};

enum augment_jitter { AUGMENT_BRIGHTNESS, AUGMENT_CONTRAST, AUGMENT_SATURATION, AUGMENT_HUE };

/* One view's draws: all that is random. */
struct augment_view {
    int32_t image;                        /* index into the pixels */
    float crop_x, crop_y, crop_w, crop_h; /* in source pixels, whole numbers */
    bool flip, jitter, grey, blur;
    uint8_t order[4]; /* enum augment_jitter, first applied first */
    float factor[4];  /* by enum augment_jitter; hue in turns */
    float sigma;
};

/* What comes out. */
struct augment_target {
    int h, w;
    float mean[3], std[3];    /* on the 0..1 scale */
    enum precision precision; /* of what is written */
};

/* ---- draws ---- */

/* The view that shows all of `image`, untouched but for the resize to the target. */
static inline DINF_HD struct augment_view augment_identity(int32_t image, int h, int w)
{
    struct augment_view v = { 0 };
    v.image = image;
    v.crop_w = (float)w;
    v.crop_h = (float)h;
    for (int k = 0; k < 4; k++) {
        v.order[k] = (uint8_t)k;
        v.factor[k] = k == AUGMENT_HUE ? 0.0f : 1.0f;
    }
    v.sigma = 1.0f;
    return v;
}

/* torchvision.transforms.RandomResizedCrop.get_params: ten attempts at an area
 * and an aspect, then the largest central crop of allowed aspect. */
static inline DINF_HD void augment_draw_crop(struct rng *r, double min, double max, int h, int w,
                                             struct augment_view *v)
{
    const double log_aspect = 0.28768207245178092744; /* log(4/3) */
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = (double)h * w * (min + (max - min) * rng_double(r));
        double aspect = exp(log_aspect * (2.0 * rng_double(r) - 1.0));
        uint32_t y = rng_u32(r), x = rng_u32(r);
        int cw = (int)(sqrt(area * aspect) + 0.5), ch = (int)(sqrt(area / aspect) + 0.5);
        if (cw < 1 || cw > w || ch < 1 || ch > h)
            continue;
        v->crop_w = (float)cw;
        v->crop_h = (float)ch;
        v->crop_y = (float)((uint64_t)y * (uint32_t)(h - ch + 1) >> 32);
        v->crop_x = (float)((uint64_t)x * (uint32_t)(w - cw + 1) >> 32);
        return;
    }
    int cw = w, ch = h;
    if (3 * w < 2.25 * h)
        ch = (int)(w / 0.75 + 0.5);
    else if (0.75 * w > h)
        cw = (int)(h / 0.75 + 0.5);
    v->crop_w = (float)cw;
    v->crop_h = (float)ch;
    v->crop_y = (float)((h - ch) / 2);
    v->crop_x = (float)((w - cw) / 2);
}

/* View `view` of image `sample` (h, w) in `epoch`: a pure function of its
 * arguments. The draws before the crop are always the same number, so that a
 * strength changes nothing but what it names. */
static inline DINF_HD struct augment_view augment_draw(const struct augment_strength *s, uint64_t seed, uint32_t epoch,
                                                       uint32_t sample, uint32_t view, int h, int w)
{
    struct rng r = rng_at(seed, RNG_AUGMENT, epoch, sample, view);
    struct augment_view v = augment_identity((int32_t)sample, h, w);
    double strength[3] = { s->brightness, s->contrast, s->saturation };
    v.flip = rng_float(&r) < s->flip;
    v.jitter = rng_float(&r) < s->jitter;
    v.grey = rng_float(&r) < s->grey;
    v.blur = rng_float(&r) < s->blur;
    for (int k = 0; k < 3; k++) {
        double low = strength[k] < 1.0 ? 1.0 - strength[k] : 0.0;
        v.factor[k] = (float)(low + (1.0 + strength[k] - low) * rng_float(&r));
    }
    v.factor[AUGMENT_HUE] = (float)(s->hue * (2.0 * rng_float(&r) - 1.0));
    v.sigma = (float)(0.1 + 1.9 * rng_float(&r));
    uint32_t rank = (uint32_t)((uint64_t)rng_u32(&r) * 24 >> 32); /* which of the 4! orders */
    for (uint32_t k = 4; k > 1; k--) {
        uint32_t j = rank % k;
        rank /= k;
        uint8_t t = v.order[k - 1];
        v.order[k - 1] = v.order[j];
        v.order[j] = t;
    }
    if (s->crop_min < 1.0)
        augment_draw_crop(&r, s->crop_min, s->crop_max, h, w, &v);
    return v;
}

/* ---- geometry ---- */

/* Output position i of `size` reads source positions a and b with weights 1 - t and t. */
struct augment_tap {
    int a, b;
    float t;
};

/* Half-pixel centres, clamped at the crop's border (align_corners = False). */
static inline DINF_HD struct augment_tap augment_tap(float begin, float extent, int size, int i, bool mirror)
{
    struct augment_tap tap;
    float at = ((float)(mirror ? size - 1 - i : i) + 0.5f) * (extent / (float)size) - 0.5f;
    int last = (int)extent - 1;
    if (at < 0.0f)
        at = 0.0f;
    int a = (int)at;
    if (a > last)
        a = last;
    tap.a = (int)begin + a;
    tap.b = (int)begin + (a < last ? a + 1 : a);
    tap.t = at - (float)a;
    return tap;
}

static inline DINF_HD float augment_lerp(float a, float b, float t)
{
    return a + t * (b - a);
}

/* 0..255 to the 0..1 scale. */
static inline DINF_HD float augment_unit(float v)
{
    return v * (1.0f / 255.0f);
}

/* One channel at one output pixel; plane (h, w) with w pixels a row. */
static inline DINF_HD float augment_sample(const uint8_t *plane, int w, struct augment_tap y, struct augment_tap x)
{
    const uint8_t *ra = plane + (int64_t)y.a * w, *rb = plane + (int64_t)y.b * w;
    float left = augment_lerp(ra[x.a], rb[x.a], y.t), right = augment_lerp(ra[x.b], rb[x.b], y.t);
    return augment_unit(augment_lerp(left, right, x.t));
}

/* ---- colour, on the 0..1 scale ---- */

static inline DINF_HD float augment_clamp(float v)
{
    v = v < 0.0f ? 0.0f : v;
    return v > 1.0f ? 1.0f : v;
}

static inline DINF_HD float augment_grey(float r, float g, float b)
{
    return 0.2989f * r + 0.587f * g + 0.114f * b;
}

/* factor * v + (1 - factor) * other: brightness (other 0), contrast (other: the
 * mean of augment_grey over the view), saturation (other: the pixel's grey). */
static inline DINF_HD float augment_blend(float v, float other, float factor)
{
    return augment_clamp(factor * v + (1.0f - factor) * other);
}

/* Turns the hue by `turns` (-0.5 .. 0.5) keeping the HSV value and saturation.
 * Same map as RGB -> HSV -> RGB, written without the division by the value. */
static inline DINF_HD void augment_hue(float *r, float *g, float *b, float turns)
{
    float cr = *r, cg = *g, cb = *b;
    float max = cr > cg ? cr : cg, min = cr < cg ? cr : cg;
    max = max > cb ? max : cb;
    min = min < cb ? min : cb;
    float chroma = max - min;
    float inverse = 1.0f / (chroma > 0.0f ? chroma : 1.0f);
    float blue_most = 4.0f + (cr - cg) * inverse, green_most = 2.0f + (cb - cr) * inverse;
    float red_most = (cg - cb) * inverse;
    float sixths = max == cr ? red_most : max == cg ? green_most : blue_most;
    sixths += 6.0f * turns + 6.0f; /* in 2 .. 14 */
    /* the channel n sixths away is max - chroma * clamp(min(k, 4 - k)), k = (n + hue) mod 6 */
    float out[3];
    for (int c = 0; c < 3; c++) {
        float k = sixths + (float)(5 - 2 * c);
        k -= 6.0f * (float)(int)(k * (1.0f / 6.0f));
        float low = k < 4.0f - k ? k : 4.0f - k;
        out[c] = max - chroma * augment_clamp(low);
    }
    *r = out[0];
    *g = out[1];
    *b = out[2];
}

/* ---- blur ---- */

/* Kernel size 2 radius + 1, about a tenth of the smaller side. */
static inline DINF_HD int augment_blur_radius(int h, int w)
{
    int size = h < w ? h : w;
    if (size < 2)
        return 0;
    return size < 40 ? 1 : size / 20;
}

/* Not normalised: divide by the sum over -radius .. radius. */
static inline DINF_HD float augment_blur_weight(int offset, float sigma)
{
    float z = (float)offset / sigma;
    return expf(-0.5f * z * z);
}

/* Index into 0 .. n-1 of position i that may lie up to n - 1 outside; edges not repeated. */
static inline DINF_HD int augment_reflect(int i, int n)
{
    if (i < 0)
        i = -i;
    return i < n ? i : 2 * (n - 1) - i;
}

static inline DINF_HD float augment_normalise(float v, float mean, float inverse_std)
{
    return (v - mean) * inverse_std;
}

#endif
