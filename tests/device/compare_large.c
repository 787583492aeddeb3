/* The convolutions of a ResNet-34 as large as in training: each product twice, equal bit
 * for bit wherever its operands lie, and some of its elements against sums in double
 * precision, because ref would take minutes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/compare.h"
#include "device/plain.h"

enum { SAMPLES = 200 };

static const struct shape {
    int c_in, size, c_out, kernel, stride;
} shapes[] = {
    { 3, 32, 64, 3, 1 },    { 64, 32, 64, 3, 1 },   { 64, 32, 128, 3, 2 }, { 128, 16, 128, 3, 1 },
    { 128, 16, 256, 3, 2 }, { 256, 8, 256, 3, 1 },  { 256, 8, 512, 3, 2 }, { 512, 4, 512, 3, 1 },
    { 64, 32, 128, 1, 2 },  { 128, 16, 256, 1, 2 }, { 256, 8, 512, 1, 2 },
};

/* A weight's gradient is a sum of up to half a million terms. */
static const double tolerance = 1e-5, weight_tolerance = 3e-5;

/* One convolution and its operands on the host, in plain order. */
struct product {
    struct compare *cmp;
    struct conv_desc d;
    int oh, ow;
    size_t in, out, weights; /* elements */
    float *x, *w, *dy;
};

/* What a run leaves: plain y and dx, packed dweight. */
struct results {
    float *y, *dx, *dweight;
    size_t dweight_bytes;
};

static float *floats(size_t n)
{
    float *p = malloc(n * sizeof *p);
    if (p == NULL)
        exit(1);
    return p;
}

static uint32_t mixed(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    return x ^ (x >> 16);
}

/* Uniform in [-1, 1). */
static float *uniform(struct compare *cmp, size_t n)
{
    float *p = floats(n);
    const uint32_t key = mixed(++cmp->draw) | 1;
    for (size_t i = 0; i < n; i++)
        p[i] = drawn(cmp, (double)(int32_t)mixed((uint32_t)i * 2654435761u + key) / 2147483648.0);
    return p;
}

static void *device_bytes(struct compare *cmp, size_t bytes)
{
    struct err err;
    void *p = cmp->side[1]->ops->alloc(cmp->side[1], bytes, &err);
    must(cmp, p != NULL ? 0 : -1, &err);
    return p;
}

/* An activation of n images of c channels with these contents; NULL: NaN everywhere, padding too. */
static void *activation(struct compare *cmp, int n, int c, int h, int w, const float *plain)
{
    struct device *dev = cmp->side[1];
    struct err err;
    const size_t count = (size_t)n * (size_t)c * (size_t)h * (size_t)w;
    const size_t block = (size_t)dev->ops->channel_block(dev, c), channels = ((size_t)c + block - 1) / block * block;
    const size_t bytes = count / (size_t)c * channels * precision_bytes(cmp->precision[1]);
    void *act = device_bytes(cmp, bytes);
    if (plain == NULL) {
        void *nans = floats(bytes / sizeof(float) + 1);
        memset(nans, 0xff, bytes);
        must(cmp, dev->ops->upload(dev, act, nans, bytes, &err), &err);
        free(nans);
        return act;
    }
    const struct act_desc d = { n, c, h, w, cmp->precision[1] };
    float *staged = device_bytes(cmp, count * sizeof *staged);
    must(cmp, dev->ops->upload(dev, staged, plain, count * sizeof *staged, &err), &err);
    must(cmp, dev->ops->pack(dev, &d, staged, act, &err), &err);
    must(cmp, dev->ops->sync(dev, &err), &err);
    dev->ops->free(dev, staged);
    return act;
}

static float *contents(struct compare *cmp, int n, int c, int h, int w, const void *act)
{
    struct device *dev = cmp->side[1];
    struct err err;
    const size_t count = (size_t)n * (size_t)c * (size_t)h * (size_t)w;
    const struct act_desc d = { n, c, h, w, cmp->precision[1] };
    float *plain = floats(count);
    must(cmp, plain_contents(dev, &d, act, plain, &err), &err);
    return plain;
}

/* Plans and runs the three products. */
static struct results run(const struct product *p)
{
    struct compare *cmp = p->cmp;
    struct device *dev = cmp->side[1];
    const struct conv_desc *d = &p->d;
    struct err err;
    struct results r = { .dweight_bytes = dev->ops->conv_weight_bytes(dev, d->c_out, d->c_in, d->kernel) };
    float *w = device_bytes(cmp, r.dweight_bytes), *dw = device_bytes(cmp, r.dweight_bytes);
    void *x = activation(cmp, d->n, d->c_in, d->h, d->w, p->x),
         *dy = activation(cmp, d->n, d->c_out, p->oh, p->ow, p->dy),
         *y = activation(cmp, d->n, d->c_out, p->oh, p->ow, NULL),
         *dx = activation(cmp, d->n, d->c_in, d->h, d->w, NULL);
    must(cmp, dev->ops->conv_weight_pack(dev, d->c_out, d->c_in, d->kernel, p->w, w, &err), &err);
    struct conv *conv = dev->ops->conv_create(dev, d, &err);
    must(cmp, conv != NULL ? 0 : -1, &err);
    must(cmp, dev->ops->conv_forward(conv, x, w, NULL, NULL, y, &err), &err);
    must(cmp, dev->ops->conv_backward_data(conv, dy, w, dx, &err), &err);
    must(cmp, dev->ops->conv_backward_weight(conv, x, dy, dw, &err), &err);
    must(cmp, dev->ops->sync(dev, &err), &err);
    r.y = contents(cmp, d->n, d->c_out, p->oh, p->ow, y);
    r.dx = contents(cmp, d->n, d->c_in, d->h, d->w, dx);
    r.dweight = floats(r.dweight_bytes / sizeof(float));
    must(cmp, dev->ops->download(dev, r.dweight, dw, r.dweight_bytes, &err), &err);
    dev->ops->conv_destroy(conv);
    void *all[] = { w, dw, x, dy, y, dx };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        dev->ops->free(dev, all[i]);
    return r;
}

static void results_free(struct results *r)
{
    free(r->y);
    free(r->dx);
    free(r->dweight);
}

/* Where (a, b, y, x) lies in an array of b_n x h x w a group. */
static size_t at4(size_t a, size_t b, int b_n, int y, int h, int x, int w)
{
    return ((a * (size_t)b_n + b) * (size_t)h + (size_t)y) * (size_t)w + (size_t)x;
}

static double y_at(const struct product *p, size_t i)
{
    const struct conv_desc *d = &p->d;
    const int ox = (int)(i % (size_t)p->ow), oy = (int)(i / (size_t)p->ow % (size_t)p->oh);
    const size_t plane = i / (size_t)p->ow / (size_t)p->oh, o = plane % (size_t)d->c_out,
                 image = plane / (size_t)d->c_out;
    double sum = 0;
    for (int c = 0; c < d->c_in; c++)
        for (int ky = 0; ky < d->kernel; ky++)
            for (int kx = 0; kx < d->kernel; kx++) {
                const int iy = oy * d->stride + ky - d->padding, ix = ox * d->stride + kx - d->padding;
                if (iy >= 0 && iy < d->h && ix >= 0 && ix < d->w)
                    sum += (double)p->x[at4(image, (size_t)c, d->c_in, iy, d->h, ix, d->w)] *
                           (double)p->w[at4(o, (size_t)c, d->c_in, ky, d->kernel, kx, d->kernel)];
            }
    return sum;
}

static double dx_at(const struct product *p, size_t i)
{
    const struct conv_desc *d = &p->d;
    const int ix = (int)(i % (size_t)d->w), iy = (int)(i / (size_t)d->w % (size_t)d->h);
    const size_t plane = i / (size_t)d->w / (size_t)d->h, c = plane % (size_t)d->c_in, image = plane / (size_t)d->c_in;
    double sum = 0;
    for (int o = 0; o < d->c_out; o++)
        for (int ky = 0; ky < d->kernel; ky++)
            for (int kx = 0; kx < d->kernel; kx++) {
                const int sy = iy + d->padding - ky, sx = ix + d->padding - kx, oy = sy / d->stride,
                          ox = sx / d->stride;
                if (sy >= 0 && sx >= 0 && sy % d->stride == 0 && sx % d->stride == 0 && oy < p->oh && ox < p->ow)
                    sum += (double)p->dy[at4(image, (size_t)o, d->c_out, oy, p->oh, ox, p->ow)] *
                           (double)p->w[at4((size_t)o, c, d->c_in, ky, d->kernel, kx, d->kernel)];
            }
    return sum;
}

static double dweight_at(const struct product *p, size_t i)
{
    const struct conv_desc *d = &p->d;
    const size_t area = (size_t)d->kernel * (size_t)d->kernel, c = i / area % (size_t)d->c_in,
                 o = i / area / (size_t)d->c_in;
    const int kx = (int)(i % (size_t)d->kernel), ky = (int)(i % area) / d->kernel;
    double sum = 0;
    for (size_t image = 0; image < (size_t)d->n; image++)
        for (int oy = 0; oy < p->oh; oy++) {
            const int iy = oy * d->stride + ky - d->padding;
            if (iy < 0 || iy >= d->h)
                continue;
            const float *x = p->x + at4(image, c, d->c_in, iy, d->h, 0, d->w);
            const float *dy = p->dy + at4(image, o, d->c_out, oy, p->oh, 0, p->ow);
            for (int ox = 0; ox < p->ow; ox++) {
                const int ix = ox * d->stride + kx - d->padding;
                if (ix >= 0 && ix < d->w)
                    sum += (double)dy[ox] * (double)x[ix];
            }
        }
    return sum;
}

/* The first, the last and some elements between against `at`. */
static void sample(const struct product *p, const char *name, const float *have, size_t n,
                   double (*at)(const struct product *, size_t), double limit)
{
    float got[SAMPLES];
    double want[SAMPLES], difference = 0, largest = 0;
    for (uint32_t k = 0; k < SAMPLES; k++) {
        const size_t i = k == 0   ? 0
                         : k == 1 ? n - 1
                                  : (size_t)((double)mixed(k * 7919u + p->cmp->draw) / 4294967296.0 * (double)n);
        got[k] = have[i];
        want[k] = at(p, i);
        largest = fmax(largest, fabs(want[k]));
    }
    bool nan = false;
    for (int k = 0; k < SAMPLES; k++) {
        difference = fmax(difference, fabs((double)got[k] - want[k]));
        nan = nan || isnan(got[k]);
    }
    judge(p->cmp, name, nan ? INFINITY : difference / largest, of_rounded(p->cmp, limit));
}

static void one(struct compare *cmp, const struct shape *s, int n)
{
    struct product p = { .cmp = cmp,
                         .d = { .n = n,
                                .c_in = s->c_in,
                                .h = s->size,
                                .w = s->size,
                                .c_out = s->c_out,
                                .kernel = s->kernel,
                                .stride = s->stride,
                                .padding = s->kernel / 2,
                                .precision = cmp->precision[1],
                                .training = true,
                                .input_gradient = true } };
    struct device *dev = cmp->side[1];
    struct err err;
    p.oh = p.ow = (s->size + 2 * p.d.padding - s->kernel) / s->stride + 1;
    p.in = (size_t)n * (size_t)s->c_in * (size_t)s->size * (size_t)s->size;
    p.out = (size_t)n * (size_t)s->c_out * (size_t)p.oh * (size_t)p.ow;
    p.weights = (size_t)s->c_out * (size_t)s->c_in * (size_t)s->kernel * (size_t)s->kernel;
    p.x = uniform(cmp, p.in);
    p.w = uniform(cmp, p.weights);
    p.dy = uniform(cmp, p.out);
    snprintf(cmp->what, sizeof cmp->what, "conv %d x %d x %d x %d -> %d, kernel %d, stride %d", n, s->c_in, s->size,
             s->size, s->c_out, s->kernel, s->stride);
    struct results first = run(&p);
    void *wedge = device_bytes(cmp, 4160); /* moves what follows to other addresses */
    struct results again = run(&p);
    dev->ops->free(dev, wedge);
    expect(cmp, "two runs of y differ", memcmp(first.y, again.y, p.out * sizeof(float)) == 0);
    expect(cmp, "two runs of dx differ", memcmp(first.dx, again.dx, p.in * sizeof(float)) == 0);
    expect(cmp, "two runs of dweight differ", memcmp(first.dweight, again.dweight, first.dweight_bytes) == 0);
    sample(&p, "y", first.y, p.out, y_at, tolerance);
    sample(&p, "dx", first.dx, p.in, dx_at, tolerance);
    float *dw = device_bytes(cmp, first.dweight_bytes), *plain = floats(p.weights);
    must(cmp, dev->ops->upload(dev, dw, first.dweight, first.dweight_bytes, &err), &err);
    must(cmp, dev->ops->conv_weight_unpack(dev, s->c_out, s->c_in, s->kernel, dw, plain, &err), &err);
    sample(&p, "dweight", plain, p.weights, dweight_at, weight_tolerance);
    dev->ops->free(dev, dw);
    free(plain);
    results_free(&first);
    results_free(&again);
    free(p.x);
    free(p.w);
    free(p.dy);
}

void compare_large(struct compare *cmp, int n)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        one(cmp, &shapes[i], n);
}
