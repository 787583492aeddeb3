/* One linear map per axis, written as a list of (first source, weights) per
 * output, so that area means and bilinear interpolation are one loop. */
#include "data/resize.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* bytes must not depend on fused operations */
#endif

#include "base/mem.h"

struct axis {
    int taps;       /* weights per output */
    int *first;     /* (size) */
    double *weight; /* (size, taps), zero where unused */
};

static void axis_fini(struct axis *a)
{
    mem_free(a->first);
    mem_free(a->weight);
}

static int axis_init(struct axis *a, int in, int size, struct err *err)
{
    double ratio = (double)in / size;
    a->taps = in > size ? in / size + 2 : 2;
    a->first = mem_alloc((size_t)size, sizeof *a->first, err);
    a->weight = mem_alloc((size_t)size * (size_t)a->taps, sizeof *a->weight, err);
    if (a->first == NULL || a->weight == NULL)
        return -1;
    for (int i = 0; i < size; i++) {
        double *weight = a->weight + (size_t)i * (size_t)a->taps;
        if (in > size) {
            /* exact in integers: output i covers [i in, (i + 1) in) of units of 1 / size */
            int64_t low = (int64_t)i * in, high = low + in;
            a->first[i] = (int)(low / size);
            for (int k = 0; k < a->taps && a->first[i] + k < in; k++) {
                int64_t p = (int64_t)(a->first[i] + k) * size, q = p + size;
                int64_t covered = (q < high ? q : high) - (p > low ? p : low);
                weight[k] = covered > 0 ? (double)covered / in : 0.0;
            }
        } else {
            double at = (i + 0.5) * ratio - 0.5;
            int p = at > 0.0 ? (int)at : 0;
            double t = at > 0.0 ? at - p : 0.0;
            a->first[i] = p;
            weight[0] = p + 1 < in ? 1.0 - t : 1.0;
            weight[1] = p + 1 < in ? t : 0.0;
        }
    }
    return 0;
}

static double combine(const struct axis *a, int i, const double *values, int in, int stride)
{
    const double *weight = a->weight + (size_t)i * (size_t)a->taps;
    double sum = 0.0;
    for (int k = 0; k < a->taps && a->first[i] + k < in; k++)
        sum += weight[k] * values[(a->first[i] + k) * stride];
    return sum;
}

int images_resize(struct images *im, int size, struct err *err)
{
    int h = im->h, w = im->w, rc = -1;
    if (h == size && w == size)
        return 0;
    struct axis rows = { 0 }, columns = { 0 };
    size_t planes = (size_t)im->n * (size_t)im->c, area = (size_t)size * (size_t)size;
    double *in = NULL, *half = NULL;
    uint8_t *out = mem_alloc(planes * area, 1, err);
    if (out == NULL || axis_init(&rows, h, size, err) != 0 || axis_init(&columns, w, size, err) != 0)
        goto out;
    in = mem_alloc((size_t)h * (size_t)w, sizeof *in, err);
    half = mem_alloc((size_t)h * (size_t)size, sizeof *half, err);
    if (in == NULL || half == NULL)
        goto out;
    for (size_t p = 0; p < planes; p++) {
        const uint8_t *source = im->pixels + p * (size_t)h * (size_t)w;
        for (int i = 0; i < h * w; i++)
            in[i] = source[i];
        for (int y = 0; y < h; y++)
            for (int x = 0; x < size; x++)
                half[y * size + x] = combine(&columns, x, in + y * w, w, 1);
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++)
                out[p * area + (size_t)(y * size + x)] = (uint8_t)(combine(&rows, y, half + x, h, size) + 0.5);
    }
    mem_free(im->pixels);
    im->pixels = out;
    out = NULL;
    im->h = im->w = size;
    rc = 0;
out:
    axis_fini(&rows);
    axis_fini(&columns);
    mem_free(in);
    mem_free(half);
    mem_free(out);
    return rc;
}
