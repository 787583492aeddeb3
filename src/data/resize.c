/* One linear map per axis, written as a list of (first source, weights) per output. */
#include "data/resize.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* bytes must not depend on fused operations */
#endif

#include "base/mem.h"

struct axis {
    int taps;       /* weights per output */
    int *first;     /* (size) */
    int *count;     /* (size) weights in use */
    double *weight; /* (size, taps) */
};

struct resizer {
    int h, w, to_h, to_w;
    struct axis rows, columns;
    double *in, *half; /* a plane (h, w), and after its rows are resized (h, to_w) */
    double *out;       /* (to_h, to_w) */
};

static void axis_fini(struct axis *a)
{
    mem_free(a->first);
    mem_free(a->count);
    mem_free(a->weight);
}

/* The weights of output `i` of `full`, from `in` sources. */
static void axis_weights(struct axis *a, int k, int in, int full, int i)
{
    double scale = (double)in / full, reach = scale > 1.0 ? scale : 1.0, center = (i + 0.5) * scale;
    double *weight = a->weight + (size_t)k * (size_t)a->taps, sum = 0.0;
    int begin = center - reach + 0.5 > 0.0 ? (int)(center - reach + 0.5) : 0;
    int end = center + reach + 0.5 < in ? (int)(center + reach + 0.5) : in;
    for (int p = begin; p < end; p++) {
        double distance = (p + 0.5 - center) / reach;
        distance = distance < 0.0 ? -distance : distance;
        weight[p - begin] = distance < 1.0 ? 1.0 - distance : 0.0;
        sum += weight[p - begin];
    }
    for (int p = begin; p < end; p++)
        weight[p - begin] /= sum;
    a->first[k] = begin;
    a->count[k] = end - begin;
}

/* Outputs begin .. begin + size - 1 of the `full` that `in` sources become. */
static int axis_init(struct axis *a, int in, int full, int begin, int size, struct err *err)
{
    a->taps = 2 * (in > full ? in / full + 1 : 1) + 1;
    a->first = mem_alloc((size_t)size, sizeof *a->first, err);
    a->count = mem_alloc((size_t)size, sizeof *a->count, err);
    a->weight = mem_alloc((size_t)size * (size_t)a->taps, sizeof *a->weight, err);
    if (a->first == NULL || a->count == NULL || a->weight == NULL)
        return -1;
    for (int k = 0; k < size; k++)
        axis_weights(a, k, in, full, begin + k);
    return 0;
}

static double combine(const struct axis *a, int k, const double *values, int stride)
{
    const double *weight = a->weight + (size_t)k * (size_t)a->taps;
    double sum = 0.0;
    values += a->first[k] * stride;
    for (int i = 0; i < a->count[k]; i++)
        sum += weight[i] * values[i * stride];
    return sum;
}

struct resize_to resize_square(int size)
{
    return (struct resize_to){ .full_h = size, .full_w = size, .h = size, .w = size };
}

/* Half of a margin, to even where it is not whole (Python's round). */
static int half_margin(int margin)
{
    int half = margin / 2;
    return margin % 2 != 0 ? half + half % 2 : half;
}

struct resize_to resize_center(int h, int w, int side, int cut)
{
    struct resize_to to = { .full_h = side, .full_w = side, .h = cut, .w = cut };
    if (h > w)
        to.full_h = (int)((int64_t)side * h / w);
    else
        to.full_w = (int)((int64_t)side * w / h);
    to.top = half_margin(to.full_h - cut);
    to.left = half_margin(to.full_w - cut);
    return to;
}

static int shorter(int h, int w)
{
    return h < w ? h : w;
}

struct resize_to resize_wanted(int h, int w, int size, int crop)
{
    if (crop > 0)
        return resize_center(h, w, size > 0 ? size : shorter(h, w), crop);
    return size > 0 ? resize_square(size) : (struct resize_to){ .full_h = h, .full_w = w, .h = h, .w = w };
}

int resize_check(int h, int w, int size, int crop, struct err *err)
{
    const int side = size > 0 ? size : shorter(h, w);
    if (crop <= side)
        return 0;
    return err_set(err, "crop = %d is more than the %d pixels of the shorter side%s", crop, side,
                   size > 0 ? " after size" : "");
}

void resizer_destroy(struct resizer *r)
{
    if (r == NULL)
        return;
    axis_fini(&r->rows);
    axis_fini(&r->columns);
    mem_free(r->in);
    mem_free(r->half);
    mem_free(r->out);
    mem_free(r);
}

struct resizer *resizer_create(int h, int w, const struct resize_to *to, struct err *err)
{
    struct resizer *r = mem_alloc(1, sizeof *r, err);
    if (r == NULL)
        return NULL;
    r->h = h;
    r->w = w;
    r->to_h = to->h;
    r->to_w = to->w;
    r->in = mem_alloc((size_t)h * (size_t)w, sizeof *r->in, err);
    r->half = mem_alloc((size_t)h * (size_t)to->w, sizeof *r->half, err);
    r->out = mem_alloc((size_t)to->h * (size_t)to->w, sizeof *r->out, err);
    if (r->in == NULL || r->half == NULL || r->out == NULL ||
        axis_init(&r->rows, h, to->full_h, to->top, to->h, err) != 0 ||
        axis_init(&r->columns, w, to->full_w, to->left, to->w, err) != 0) {
        resizer_destroy(r);
        return NULL;
    }
    return r;
}

/* r->in to r->out */
static void resize_plane(struct resizer *r)
{
    for (int y = 0; y < r->h; y++)
        for (int x = 0; x < r->to_w; x++)
            r->half[y * r->to_w + x] = combine(&r->columns, x, r->in + y * r->w, 1);
    for (int y = 0; y < r->to_h; y++)
        for (int x = 0; x < r->to_w; x++)
            r->out[y * r->to_w + x] = combine(&r->rows, y, r->half + x, r->to_w);
}

void resizer_bytes(struct resizer *r, const uint8_t *in, size_t n, uint8_t *out)
{
    const size_t from = (size_t)r->h * (size_t)r->w, to = (size_t)r->to_h * (size_t)r->to_w;
    for (size_t p = 0; p < n; p++, in += from, out += to) {
        for (size_t i = 0; i < from; i++)
            r->in[i] = in[i];
        resize_plane(r);
        for (size_t i = 0; i < to; i++)
            out[i] = (uint8_t)(r->out[i] + 0.5);
    }
}

void resizer_floats(struct resizer *r, const float *in, size_t n, float *out)
{
    const size_t from = (size_t)r->h * (size_t)r->w, to = (size_t)r->to_h * (size_t)r->to_w;
    for (size_t p = 0; p < n; p++, in += from, out += to) {
        for (size_t i = 0; i < from; i++)
            r->in[i] = in[i];
        resize_plane(r);
        for (size_t i = 0; i < to; i++)
            out[i] = (float)r->out[i];
    }
}

int images_resize(struct images *im, const struct resize_to *to, struct err *err)
{
    if (to->full_h == im->h && to->full_w == im->w && to->h == im->h && to->w == im->w)
        return 0;
    const size_t planes = (size_t)im->n * (size_t)im->c;
    struct resizer *r = resizer_create(im->h, im->w, to, err);
    uint8_t *out = r == NULL ? NULL : mem_alloc(planes, (size_t)to->h * (size_t)to->w, err);
    if (out != NULL) {
        resizer_bytes(r, im->pixels, planes, out);
        mem_free(im->pixels);
        im->pixels = out;
        im->h = to->h;
        im->w = to->w;
    }
    resizer_destroy(r);
    return out == NULL ? -1 : 0;
}
