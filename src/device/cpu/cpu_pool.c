/* Pooling over blocked activations: one thread a plane of (image, block of
 * channels), vectors over the channels of the block. */
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/cpu/layout.h"
#include "device/host.h"

enum { BLOCK_MAX = 16 };

/* Rows, or columns, [*first, *last] of the window of output p. */
static inline void window(int p, int size, int *first, int *last)
{
    *first = p ? p * 2 - 1 : 0;
    *last = p * 2 + 1 < size ? p * 2 + 1 : size - 1;
}

/* Eight channels at a time, which stay in registers. */
enum { LANES = 8 };
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* where: the index in the plane of the pixel that a maximum comes from. It is the
 * first of equals; a NaN wins, so that it is seen. b: a multiple of LANES. */
static void max_plane(int b, int h, int w, const float *x, float *y, int32_t *where)
{
    const int oh = host_pool_out(h), ow = host_pool_out(w);

    for (int py = 0; py < oh; py++)
        for (int px = 0; px < ow; px++) {
            int y0, y1, x0, x1;
            window(py, h, &y0, &y1);
            window(px, w, &x0, &x1);
            for (int part = 0; part < b; part += LANES) {
                lanes best = *(const lanes *)(x + (size_t)(y0 * w + x0) * b + part);
                masks at = (masks){ 0 } + (y0 * w + x0);
                for (int iy = y0; iy <= y1; iy++)
                    for (int ix = x0; ix <= x1; ix++) {
                        const lanes value = *(const lanes *)(x + (size_t)(iy * w + ix) * b + part);
                        /* not a number wins, too. NOLINTNEXTLINE(misc-redundant-expression) */
                        const masks better = (masks)(value > best) | (masks)(value != value);
                        best = (lanes)(((masks)value & better) | ((masks)best & ~better));
                        at = (better & (iy * w + ix)) | (at & ~better);
                    }
                size_t out = (size_t)(py * ow + px) * b + part;
                memcpy(y + out, &best, sizeof best);
                memcpy(where + out, &at, sizeof at);
            }
        }
}

/* The same of a single channel. */
static void max_plane_1(int h, int w, const float *x, float *y, int32_t *where)
{
    const int oh = host_pool_out(h), ow = host_pool_out(w);

    for (int py = 0; py < oh; py++)
        for (int px = 0; px < ow; px++) {
            int y0, y1, x0, x1;
            window(py, h, &y0, &y1);
            window(px, w, &x0, &x1);
            int at = y0 * w + x0;
            for (int iy = y0; iy <= y1; iy++)
                for (int ix = x0; ix <= x1; ix++) {
                    const float value = x[iy * w + ix];
                    at = value > x[at] || value != value ? iy * w + ix : at;
                }
            y[py * ow + px] = x[at];
            where[py * ow + px] = at;
        }
}

int cpu_max_pool_forward(struct device *dev, const struct act_desc *d, const void *x_act, void *y_act, int32_t *where,
                         struct err *err)
{
    const float *x = x_act;
    float *y = y_act;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int block = cpu_const(dev)->block, b = layout_block(block, c);
    const size_t planes = (size_t)n * layout_blocks(block, c), in = (size_t)h * w * b,
                 out = (size_t)host_pool_out(h) * host_pool_out(w) * b;

#pragma omp parallel for num_threads(dev->threads) schedule(static)
    for (size_t i = 0; i < planes; i++) {
        if (b == 1)
            max_plane_1(h, w, x + i * in, y + i * out, where + i * out);
        else
            max_plane(b, h, w, x + i * in, y + i * out, where + i * out);
    }
    return 0;
}

int cpu_max_pool_backward(struct device *dev, const struct act_desc *d, const void *dy_act, const void *dy2_act,
                          const int32_t *where, void *dx_act, struct err *err)
{
    const float *dy = dy_act;
    const float *dy2 = dy2_act;
    float *dx = dx_act;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int block = cpu_const(dev)->block, b = layout_block(block, c);
    const size_t planes = (size_t)n * layout_blocks(block, c), in = (size_t)h * w * b,
                 out = (size_t)host_pool_out(h) * host_pool_out(w) * b;

#pragma omp parallel for num_threads(dev->threads) schedule(static)
    for (size_t i = 0; i < planes; i++) {
        float *plane = dx + i * in;
        memset(plane, 0, in * sizeof *plane);
        for (size_t j = 0; j < out; j++) {
            size_t p = i * out + j;
            plane[(size_t)where[p] * b + j % b] += dy[p] + (dy2 != NULL ? dy2[p] : 0);
        }
    }
    return 0;
}

static inline __attribute__((always_inline)) void average_plane(int b, int area, const float *x, double *mean)
{
    for (int l = 0; l < b; l++)
        mean[l] = 0;
    for (int p = 0; p < area; p++)
        for (int l = 0; l < b; l++)
            mean[l] += x[(size_t)p * b + l];
    for (int l = 0; l < b; l++)
        mean[l] /= area;
}

int cpu_avg_pool_forward(struct device *dev, const struct act_desc *d, const void *x_act, float *y, struct err *err)
{
    const float *x = x_act;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int block = cpu_const(dev)->block, b = layout_block(block, c), blocks = layout_blocks(block, c);
    const int area = h * w;

#pragma omp parallel for collapse(2) num_threads(dev->threads) schedule(static)
    for (int i = 0; i < n; i++)
        for (int k = 0; k < blocks; k++) {
            const float *plane = x + ((size_t)i * blocks + k) * area * b;
            double mean[BLOCK_MAX];
            if (b == 16)
                average_plane(16, area, plane, mean);
            else
                average_plane(b, area, plane, mean);
            for (int l = 0; l < b && k * b + l < c; l++)
                y[(size_t)i * c + k * b + l] = (float)mean[l];
        }
    return 0;
}

int cpu_avg_pool_backward(struct device *dev, const struct act_desc *d, const float *dy, void *dx_act, struct err *err)
{
    float *dx = dx_act;
    (void)err;
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int block = cpu_const(dev)->block, b = layout_block(block, c), blocks = layout_blocks(block, c);
    const int area = h * w;
    const float factor = 1.0f / (float)area;

#pragma omp parallel for collapse(2) num_threads(dev->threads) schedule(static)
    for (int i = 0; i < n; i++)
        for (int k = 0; k < blocks; k++) {
            float *plane = dx + ((size_t)i * blocks + k) * area * b, share[BLOCK_MAX] = { 0 };
            for (int l = 0; l < b && k * b + l < c; l++)
                share[l] = dy[(size_t)i * c + k * b + l] * factor;
            for (int p = 0; p < area; p++)
                memcpy(plane + (size_t)p * b, share, (size_t)b * sizeof *plane);
        }
    return 0;
}
