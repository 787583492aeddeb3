/* The augmentation pipeline over whole views: planar float buffers that stay in
 * the first-level cache at CIFAR sizes, each operation one loop that the
 * compiler turns into vector code, one view a thread. The mathematics is
 * augment_body.h's, operation for operation. */
#include "device/augment_host.h"

#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "device/device.h"

enum { CHANNELS = 3, LANES = 16 };

/* One thread's buffers. */
struct work {
    float *plane[CHANNELS]; /* (h, w) of the target */
    float *scratch;         /* (h, w) */
    float *row;             /* source row, or padded target row */
    float *weight;          /* blur kernel */
    struct augment_tap *tap_y;
    int *xa, *xb; /* horizontal taps, relative to the crop */
    float *xt;
    float *memory;
};

static size_t padded(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

static int work_init(struct work *k, int source_w, const struct augment_target *target, int radius, struct err *err)
{
    size_t area = padded((size_t)target->h * (size_t)target->w), width = padded((size_t)target->w);
    size_t row = padded((size_t)(source_w > target->w + 2 * radius ? source_w : target->w + 2 * radius));
    size_t taps = padded((size_t)target->h * sizeof *k->tap_y / sizeof(float) + LANES);
    size_t kernel = padded(2 * (size_t)radius + 1);
    float *at = k->memory = mem_alloc(4 * area + row + kernel + taps + 3 * width, sizeof *at, err);
    if (at == NULL)
        return -1;
    for (int c = 0; c < CHANNELS; c++, at += area)
        k->plane[c] = at;
    k->scratch = at;
    k->row = at += area;
    k->weight = at += row;
    k->tap_y = (struct augment_tap *)(at += kernel);
    k->xt = at += taps;
    k->xa = (int *)(at += width);
    k->xb = (int *)(at += width);
    return 0;
}

static void resize(struct work *k, const uint8_t *image, int h, int w, const struct augment_view *v,
                   const struct augment_target *target)
{
    int x0 = (int)v->crop_x, cw = (int)v->crop_w, tw = target->w;
    float *restrict row = k->row;
    const int *restrict xa = k->xa, *restrict xb = k->xb;
    const float *restrict xt = k->xt;
    for (int x = 0; x < tw; x++) {
        struct augment_tap t = augment_tap(0.0f, v->crop_w, tw, x, v->flip);
        k->xa[x] = t.a;
        k->xb[x] = t.b;
        k->xt[x] = t.t;
    }
    for (int y = 0; y < target->h; y++)
        k->tap_y[y] = augment_tap(v->crop_y, v->crop_h, target->h, y, false);
    for (int c = 0; c < CHANNELS; c++) {
        const uint8_t *plane = image + (ptrdiff_t)c * h * w + x0;
        for (int y = 0; y < target->h; y++) {
            struct augment_tap ty = k->tap_y[y];
            const uint8_t *restrict ra = plane + (ptrdiff_t)ty.a * w, *restrict rb = plane + (ptrdiff_t)ty.b * w;
            float *restrict out = k->plane[c] + (ptrdiff_t)y * tw;
#pragma omp simd
            for (int x = 0; x < cw; x++)
                row[x] = augment_lerp(ra[x], rb[x], ty.t);
#pragma omp simd
            for (int x = 0; x < tw; x++)
                out[x] = augment_unit(augment_lerp(row[xa[x]], row[xb[x]], xt[x]));
        }
    }
}

static void brightness(float *restrict v, int n, float factor)
{
#pragma omp simd
    for (int i = 0; i < n; i++)
        v[i] = augment_blend(v[i], 0.0f, factor);
}

/* Mean grey: LANES partial sums, so that the order of additions is fixed and vectors fit it. */
static float mean_grey(const float *restrict r, const float *restrict g, const float *restrict b, int n)
{
    float lane[LANES] = { 0 };
    double sum = 0.0;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += augment_grey(r[i + j], g[i + j], b[i + j]);
    for (; i < n; i++)
        sum += augment_grey(r[i], g[i], b[i]);
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    return (float)(sum / n);
}

static void contrast(float *restrict v, int n, float mean, float factor)
{
#pragma omp simd
    for (int i = 0; i < n; i++)
        v[i] = augment_blend(v[i], mean, factor);
}

static void saturation(float *restrict r, float *restrict g, float *restrict b, int n, float factor)
{
#pragma omp simd
    for (int i = 0; i < n; i++) {
        float grey = augment_grey(r[i], g[i], b[i]);
        r[i] = augment_blend(r[i], grey, factor);
        g[i] = augment_blend(g[i], grey, factor);
        b[i] = augment_blend(b[i], grey, factor);
    }
}

static void hue(float *restrict r, float *restrict g, float *restrict b, int n, float turns)
{
#pragma omp simd
    for (int i = 0; i < n; i++) {
        float x = r[i], y = g[i], z = b[i];
        augment_hue(&x, &y, &z, turns);
        r[i] = x;
        g[i] = y;
        b[i] = z;
    }
}

static void greyscale(float *restrict r, float *restrict g, float *restrict b, int n)
{
#pragma omp simd
    for (int i = 0; i < n; i++) {
        float grey = augment_grey(r[i], g[i], b[i]);
        r[i] = grey;
        g[i] = grey;
        b[i] = grey;
    }
}

static void jitter(struct work *k, int n, const struct augment_view *v)
{
    float *r = k->plane[0], *g = k->plane[1], *b = k->plane[2];
    for (int step = 0; step < 4; step++) {
        float factor = v->factor[v->order[step]];
        switch ((enum augment_jitter)v->order[step]) {
        case AUGMENT_BRIGHTNESS:
            for (int c = 0; c < CHANNELS; c++)
                brightness(k->plane[c], n, factor);
            break;
        case AUGMENT_CONTRAST: {
            float mean = mean_grey(r, g, b, n);
            for (int c = 0; c < CHANNELS; c++)
                contrast(k->plane[c], n, mean, factor);
            break;
        }
        case AUGMENT_SATURATION:
            saturation(r, g, b, n, factor);
            break;
        case AUGMENT_HUE:
            hue(r, g, b, n, factor);
            break;
        }
    }
}

static void blur(struct work *k, int h, int w, int radius, float sigma)
{
    float sum = 0.0f, *restrict weight = k->weight, *restrict padded_row = k->row;
    for (int j = -radius; j <= radius; j++)
        sum += weight[j + radius] = augment_blur_weight(j, sigma);
    for (int j = 0; j <= 2 * radius; j++)
        weight[j] /= sum;
    for (int c = 0; c < CHANNELS; c++) {
        for (int y = 0; y < h; y++) {
            const float *in = k->plane[c] + (ptrdiff_t)y * w;
            float *restrict out = k->scratch + (ptrdiff_t)y * w;
            memcpy(padded_row + radius, in, (size_t)w * sizeof *in);
            for (int j = 1; j <= radius; j++) {
                padded_row[radius - j] = in[augment_reflect(-j, w)];
                padded_row[radius + w - 1 + j] = in[augment_reflect(w - 1 + j, w)];
            }
            for (int x = 0; x < w; x++)
                out[x] = 0.0f;
            for (int j = 0; j <= 2 * radius; j++)
#pragma omp simd
                for (int x = 0; x < w; x++)
                    out[x] += weight[j] * padded_row[x + j];
        }
        for (int y = 0; y < h; y++) {
            float *restrict out = k->plane[c] + (ptrdiff_t)y * w;
            for (int x = 0; x < w; x++)
                out[x] = 0.0f;
            for (int j = -radius; j <= radius; j++) {
                const float *restrict in = k->scratch + (ptrdiff_t)augment_reflect(y + j, h) * w;
                float wj = weight[j + radius];
#pragma omp simd
                for (int x = 0; x < w; x++)
                    out[x] += wj * in[x];
            }
        }
    }
}

static void emit(const struct work *k, int n, const struct augment_target *target, int block, float *restrict out)
{
    float inverse[CHANNELS];
    for (int c = 0; c < CHANNELS; c++)
        inverse[c] = 1.0f / target->std[c];
    if (block >= CHANNELS) { /* one block, zero beyond the channels */
        const float *restrict r = k->plane[0], *restrict g = k->plane[1], *restrict b = k->plane[2];
        if (block > CHANNELS)
            memset(out, 0, (size_t)n * (size_t)block * sizeof *out);
        for (int i = 0; i < n; i++) {
            float *at = out + (ptrdiff_t)i * block;
            at[0] = augment_normalise(r[i], target->mean[0], inverse[0]);
            at[1] = augment_normalise(g[i], target->mean[1], inverse[1]);
            at[2] = augment_normalise(b[i], target->mean[2], inverse[2]);
        }
        return;
    }
    int blocks = (CHANNELS + block - 1) / block;
    for (int c = 0; c < blocks * block; c++) {
        float *restrict at = out + (ptrdiff_t)(c / block) * n * block + c % block;
        if (c >= CHANNELS) {
            for (int i = 0; i < n; i++)
                at[(ptrdiff_t)i * block] = 0.0f;
            continue;
        }
        const float *restrict in = k->plane[c];
        for (int i = 0; i < n; i++)
            at[(ptrdiff_t)i * block] = augment_normalise(in[i], target->mean[c], inverse[c]);
    }
}

int augment_run_host(const uint8_t *pixels, int c, int h, int w, const struct augment_view *views, int n,
                     const struct augment_target *target, float *out, int channel_block, int threads, struct err *err)
{
    if (target->h < 1 || target->w < 1 || channel_block < 1)
        return err_set(err, "augmentation to %d x %d pixels is not possible", target->h, target->w);
    if (augment_check(c, h, w, views, n, err) != 0)
        return -1;
    int area = target->h * target->w, radius = augment_blur_radius(target->h, target->w), rc = 0;
    size_t stride = (size_t)((CHANNELS + channel_block - 1) / channel_block * channel_block) * (size_t)area;
    struct work *work = mem_alloc((size_t)threads, sizeof *work, err);
    if (work == NULL)
        return -1;
    for (int t = 0; t < threads && rc == 0; t++)
        rc = work_init(&work[t], w, target, radius, err);
    if (rc != 0)
        goto out;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < n; i++) {
        const struct augment_view *v = &views[i];
        struct work *k = &work[omp_get_thread_num()];
        resize(k, pixels + (size_t)v->image * (size_t)c * (size_t)h * (size_t)w, h, w, v, target);
        if (v->jitter)
            jitter(k, area, v);
        if (v->grey)
            greyscale(k->plane[0], k->plane[1], k->plane[2], area);
        if (v->blur && radius > 0)
            blur(k, target->h, target->w, radius, v->sigma);
        emit(k, area, target, channel_block, out + (size_t)i * stride);
    }
out:
    for (int t = 0; t < threads; t++)
        mem_free(work[t].memory);
    mem_free(work);
    return rc;
}
