/* Pooling over blocked activations: one thread a plane of (image, block of
 * channels), vectors over the channels of the block. */
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/cpu/layout.h"
#include "device/host.h"

enum { BLOCK_MAX = 16 };

/* Where the value y of lane l lies is its pixel's index in the plane. */
static inline __attribute__((always_inline)) void max_plane(int b, int h, int w, const float *x, float *y,
                                                            int32_t *where)
{
    const int oh = host_pool_out(h), ow = host_pool_out(w);

    for (int py = 0; py < oh; py++)
        for (int px = 0; px < ow; px++) {
            float best[BLOCK_MAX];
            int32_t at[BLOCK_MAX];
            int y0 = py ? py * 2 - 1 : 0, y1 = py * 2 + 1 < h ? py * 2 + 1 : h - 1;
            int x0 = px ? px * 2 - 1 : 0, x1 = px * 2 + 1 < w ? px * 2 + 1 : w - 1;
            for (int l = 0; l < b; l++) {
                best[l] = x[(size_t)(y0 * w + x0) * b + l];
                at[l] = y0 * w + x0;
            }
            for (int iy = y0; iy <= y1; iy++)
                for (int ix = x0; ix <= x1; ix++) {
                    const float *value = x + (size_t)(iy * w + ix) * b;
                    for (int l = 0; l < b; l++) {
                        /* the first of equals; a NaN wins, so that it is seen */
                        bool better = value[l] > best[l] || value[l] != value[l];
                        best[l] = better ? value[l] : best[l];
                        at[l] = better ? iy * w + ix : at[l];
                    }
                }
            size_t out = (size_t)(py * ow + px) * b;
            memcpy(y + out, best, (size_t)b * sizeof *y);
            memcpy(where + out, at, (size_t)b * sizeof *where);
        }
}

int cpu_max_pool_forward(struct device *dev, int n, int c, int h, int w, const void *x_act, void *y_act, int32_t *where,
                         struct err *err)
{
    const float *x = x_act;
    float *y = y_act;
    (void)err;
    const int block = cpu_const(dev)->block, b = layout_block(block, c);
    const size_t planes = (size_t)n * layout_blocks(block, c), in = (size_t)h * w * b,
                 out = (size_t)host_pool_out(h) * host_pool_out(w) * b;

#pragma omp parallel for num_threads(dev->threads) schedule(static)
    for (size_t i = 0; i < planes; i++) {
        if (b == 16)
            max_plane(16, h, w, x + i * in, y + i * out, where + i * out);
        else if (b == 8)
            max_plane(8, h, w, x + i * in, y + i * out, where + i * out);
        else
            max_plane(b, h, w, x + i * in, y + i * out, where + i * out);
    }
    return 0;
}

int cpu_max_pool_backward(struct device *dev, int n, int c, int h, int w, const void *dy_act, const void *dy2_act,
                          const int32_t *where, void *dx_act, struct err *err)
{
    const float *dy = dy_act;
    const float *dy2 = dy2_act;
    float *dx = dx_act;
    (void)err;
    const int block = cpu_const(dev)->block, b = layout_block(block, c);
    const size_t planes = (size_t)n * layout_blocks(block, c), in = (size_t)h * w * b,
                 out = (size_t)host_pool_out(h) * host_pool_out(w) * b;

#pragma omp parallel for num_threads(dev->threads) schedule(static)
    for (size_t i = 0; i < planes; i++) {
        float *plane = dx + i * in;
        memset(plane, 0, in * sizeof *plane);
        for (size_t j = 0; j < out; j++) {
            size_t p = i * out + j;
            plane[(size_t)where[p] * b + j % b] += dy[p] + (dy2 ? dy2[p] : 0);
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

int cpu_avg_pool_forward(struct device *dev, int n, int c, int h, int w, const void *x_act, float *y, struct err *err)
{
    const float *x = x_act;
    (void)err;
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

int cpu_avg_pool_backward(struct device *dev, int n, int c, int h, int w, const float *dy, void *dx_act,
                          struct err *err)
{
    float *dx = dx_act;
    (void)err;
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
