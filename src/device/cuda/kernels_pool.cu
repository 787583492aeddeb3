/* Pooling on NHWC: kernel 3, stride 2, padding 1 for the maximum, global for the
 * mean. Both gradients gather: one thread an element of dx, so that no two
 * threads add to one place. */
#include "device/cuda/kernels_grid.h"

/* Output size of max pooling. */
static int pooled(int size)
{
    return (size - 1) / 2 + 1;
}

template <class T>
static __global__ void max_forward(size_t count, int c, int h, int w, int oh, int ow, const void *x, void *y,
                                   int32_t *where)
{
    GRID_LOOP (i, count) {
        const size_t pixel = i / c, image = pixel / ((size_t)oh * ow);
        const int channel = (int)(i % c), px = (int)(pixel % ow), py = (int)(pixel / ow % oh);
        const T *in = (const T *)x + image * h * w * c + channel;
        float best = 0;
        int32_t at = -1;
        for (int iy = py * 2 - 1; iy <= py * 2 + 1; iy++)
            for (int ix = px * 2 - 1; ix <= px * 2 + 1; ix++) {
                if (iy < 0 || iy >= h || ix < 0 || ix >= w)
                    continue;
                const int32_t p = iy * w + ix;
                const float value = get(in[(size_t)p * c]);
                /* the first of equals; a NaN wins, so that it is seen */
                if (at < 0 || value > best || value != value) {
                    best = value;
                    at = p;
                }
            }
        put((T *)y + i, best);
        where[i] = at;
    }
}

template <class T>
static __global__ void max_backward(size_t count, int c, int h, int w, int oh, int ow, const void *dy, const void *dy2,
                                    const int32_t *where, void *dx)
{
    GRID_LOOP (i, count) {
        const size_t pixel = i / c, image = pixel / ((size_t)h * w);
        const int channel = (int)(i % c), ix = (int)(pixel % w), iy = (int)(pixel / w % h);
        const size_t first = image * oh * ow * c + channel;
        float sum = 0;
        /* the windows 2 p - 1 .. 2 p + 1 that hold this pixel */
        for (int py = iy / 2; py <= (iy + 1) / 2 && py < oh; py++)
            for (int px = ix / 2; px <= (ix + 1) / 2 && px < ow; px++) {
                const size_t out = first + ((size_t)py * ow + px) * c;
                if (where[out] == iy * w + ix)
                    sum += get(((const T *)dy)[out]) + (dy2 != NULL ? get(((const T *)dy2)[out]) : 0.0f);
            }
        put((T *)dx + i, sum);
    }
}

/* One thread an image and channel: neighbours in channels read neighbours. */
template <class T> static __global__ void avg_forward(size_t count, int c, size_t area, const void *x, float *y)
{
    GRID_LOOP (i, count) {
        const T *in = (const T *)x + i / c * area * c + i % c;
        double sum = 0;
        for (size_t p = 0; p < area; p++)
            sum += get(in[p * c]);
        y[i] = (float)(sum / (double)area);
    }
}

template <class T> static __global__ void avg_backward(size_t count, int c, size_t area, const float *dy, void *dx)
{
    GRID_LOOP (i, count)
        put((T *)dx + i, dy[i / c / area * c + i % c] / (float)area);
}

int cuda_max_pool_forward(cudaStream_t stream, const struct act_desc *d, const void *x, void *y, int32_t *where,
                          struct err *err)
{
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const int oh = pooled(h), ow = pooled(w);
    const size_t count = (size_t)n * oh * ow * c;
    if (count == 0 || h == 0 || w == 0)
        return 0;
    return LAUNCH_ELEMENT(LAUNCH, d->precision, max_forward, grid_elements(count), dim3(THREADS), stream, count, c, h,
                          w, oh, ow, x, y, where);
}

int cuda_max_pool_backward(cudaStream_t stream, const struct act_desc *d, const void *dy, const void *dy2,
                           const int32_t *where, void *dx, struct err *err)
{
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const size_t count = (size_t)n * h * w * c;
    if (count == 0)
        return 0;
    return LAUNCH_ELEMENT(LAUNCH, d->precision, max_backward, grid_elements(count), dim3(THREADS), stream, count, c, h,
                          w, pooled(h), pooled(w), dy, dy2, where, dx);
}

int cuda_avg_pool_forward(cudaStream_t stream, const struct act_desc *d, const void *x, float *y, struct err *err)
{
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const size_t area = (size_t)h * w, count = (size_t)n * c;
    if (count == 0 || area == 0)
        return 0;
    return LAUNCH_ELEMENT(LAUNCH, d->precision, avg_forward, grid_elements(count), dim3(THREADS), stream, count, c,
                          area, x, y);
}

int cuda_avg_pool_backward(cudaStream_t stream, const struct act_desc *d, const float *dy, void *dx, struct err *err)
{
    const int n = d->n, c = d->c, h = d->h, w = d->w;
    const size_t area = (size_t)h * w, count = (size_t)n * area * c;
    if (count == 0)
        return 0;
    return LAUNCH_ELEMENT(LAUNCH, d->precision, avg_backward, grid_elements(count), dim3(THREADS), stream, count, c,
                          area, dy, dx);
}
