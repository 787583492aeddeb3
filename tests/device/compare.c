/* Runs every table of operations on one device and on ref.
 * Usage: device_compare DEVICE [THREADS [fp32|tf32|bf16]] */
#include "device/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "device/kernels.h"

void must(struct compare *cmp, int rc, const struct err *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: failed: %s\n", cmp->what, err->text);
    exit(1);
}

static void *allocate(struct compare *cmp, int side, size_t bytes)
{
    struct err err;
    void *p = cmp->side[side]->ops->alloc(cmp->side[side], bytes, &err);
    must(cmp, p ? 0 : -1, &err);
    return p;
}

static float *host_floats(size_t n)
{
    float *p = malloc((n ? n : 1) * sizeof *p);
    if (!p)
        exit(1);
    return p;
}

/* Bytes of one element on one side. */
static size_t element(const struct array *a, int side)
{
    struct device *dev = a->cmp->side[side];
    return a->c ? dev->ops->activation_bytes(dev) : sizeof(float);
}

/* Elements of the array in the layout of one side. */
static size_t stored(const struct array *a, int side)
{
    struct device *dev = a->cmp->side[side];
    if (a->c == 0)
        return a->count;
    size_t b = (size_t)dev->ops->channel_block(dev, a->c);
    return (size_t)a->n * ((a->c + b - 1) / b) * b * a->h * a->w;
}

static struct array create(struct compare *cmp, int n, int c, int h, int w)
{
    struct array a = { .cmp = cmp, .n = n, .c = c, .h = h, .w = w };
    a.count = c ? (size_t)n * c * h * w : (size_t)n;
    for (int s = 0; s < 2; s++)
        a.data[s] = allocate(cmp, s, stored(&a, s) * element(&a, s));
    return a;
}

static void fill(struct array *a, const float *plain)
{
    struct err err;
    for (int s = 0; s < 2; s++) {
        struct device *dev = a->cmp->side[s];
        if (a->c == 0) {
            must(a->cmp, dev->ops->upload(dev, a->data[s], plain, a->count * sizeof *plain, &err), &err);
            continue;
        }
        float *staged = allocate(a->cmp, s, a->count * sizeof *plain);
        must(a->cmp, dev->ops->upload(dev, staged, plain, a->count * sizeof *plain, &err), &err);
        must(a->cmp, dev->ops->pack(dev, a->n, a->c, a->h, a->w, staged, a->data[s], &err), &err);
        must(a->cmp, dev->ops->sync(dev, &err), &err);
        dev->ops->free(dev, staged);
    }
}

float drawn(const struct compare *cmp, double value)
{
    return cmp->exact_inputs ? kernel_from_bf16(kernel_to_bf16((float)value)) : (float)value;
}

static struct array draw(struct compare *cmp, int n, int c, int h, int w, double least)
{
    struct array a = create(cmp, n, c, h, w);
    float *plain = host_floats(a.count);
    struct rng rng = rng_at(7, RNG_TEST, cmp->draw++, 0, 0);
    for (size_t i = 0; i < a.count; i++)
        plain[i] = drawn(cmp, fmax(rng_normal(&rng), least));
    fill(&a, plain);
    free(plain);
    return a;
}

struct array array_normal(struct compare *cmp, int n, int c, int h, int w)
{
    return draw(cmp, n, c, h, w, -INFINITY);
}

struct array array_rectified(struct compare *cmp, int n, int c, int h, int w)
{
    return draw(cmp, n, c, h, w, 0);
}

struct array array_values(struct compare *cmp, int n, const float *values)
{
    struct array a = create(cmp, n, 0, 1, 1);
    fill(&a, values);
    return a;
}

struct array array_result(struct compare *cmp, int n, int c, int h, int w)
{
    struct array a = create(cmp, n, c, h, w);
    struct err err;
    for (int s = 0; s < 2; s++) {
        size_t bytes = stored(&a, s) * element(&a, s);
        char *nans = malloc(bytes);
        if (!nans)
            exit(1);
        memset(nans, 0xff, bytes); /* a NaN in every format */
        must(cmp, cmp->side[s]->ops->upload(cmp->side[s], a.data[s], nans, bytes, &err), &err);
        free(nans);
    }
    return a;
}

void array_free(struct array *a)
{
    for (int s = 0; s < 2; s++)
        a->cmp->side[s]->ops->free(a->cmp->side[s], a->data[s]);
}

void bytes_both(struct compare *cmp, size_t bytes, const void *host, void *out[2])
{
    struct err err;
    for (int s = 0; s < 2; s++) {
        out[s] = allocate(cmp, s, bytes);
        if (host)
            must(cmp, cmp->side[s]->ops->upload(cmp->side[s], out[s], host, bytes, &err), &err);
    }
}

void bytes_free(struct compare *cmp, void *p[2])
{
    for (int s = 0; s < 2; s++)
        cmp->side[s]->ops->free(cmp->side[s], p[s]);
}

void compare_floats(struct compare *cmp, const char *name, size_t n, const float *ref, const float *got,
                    double tolerance)
{
    double largest = cmp->scale, difference = 0;
    bool nan = false;

    tolerance = fmax(tolerance, cmp->least_tolerance);

    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(ref[i]));
        difference = fmax(difference, fabs((double)ref[i] - got[i]));
        nan = nan || isnan(ref[i]) || isnan(got[i]);
    }
    cmp->checks++;
    double relative = difference / (largest > 0 ? largest : 1);
    cmp->worst = fmax(cmp->worst, tolerance > 0 ? relative / tolerance : 0);
    if (nan || relative > tolerance) {
        cmp->failures++;
        fprintf(stderr, "FAIL %s: %s: %s %.3g, tolerance %.3g\n", cmp->what, name,
                nan ? "not a number; difference" : "relative difference", relative, tolerance);
    }
}

/* Contents in plain order, by the device itself. */
static float *unpacked(const struct array *a, int side)
{
    struct device *dev = a->cmp->side[side];
    float *plain = host_floats(a->count), *staged = allocate(a->cmp, side, a->count * sizeof *plain);
    struct err err;

    must(a->cmp, dev->ops->unpack(dev, a->n, a->c, a->h, a->w, a->data[side], staged, &err), &err);
    must(a->cmp, dev->ops->download(dev, plain, staged, a->count * sizeof *plain, &err), &err);
    dev->ops->free(dev, staged);
    return plain;
}

/* Contents in plain order; checks the padding. */
static float *fetch(const struct array *a, int side)
{
    struct device *dev = a->cmp->side[side];
    size_t floats = stored(a, side);
    if (element(a, side) != sizeof(float))
        return unpacked(a, side);
    float *raw = host_floats(floats), *plain = host_floats(a->count);
    struct err err;

    must(a->cmp, dev->ops->sync(dev, &err), &err);
    must(a->cmp, dev->ops->download(dev, raw, a->data[side], floats * sizeof *raw, &err), &err);
    if (a->c == 0) {
        memcpy(plain, raw, a->count * sizeof *plain);
        free(raw);
        return plain;
    }
    const int b = dev->ops->channel_block(dev, a->c), blocks = (a->c + b - 1) / b, area = a->h * a->w;
    bool clean = true;
    for (size_t i = 0; i < floats; i++) {
        int lane = (int)(i % b), p = (int)(i / b % area), c = (int)(i / b / area % blocks) * b + lane;
        size_t image = i / b / area / blocks;
        if (c < a->c)
            plain[(image * a->c + c) * area + p] = raw[i];
        else
            clean = clean && raw[i] == 0;
    }
    if (!clean) {
        a->cmp->failures++;
        fprintf(stderr, "FAIL %s: padded channels are not zero on %s\n", a->cmp->what, dev->ops->name);
    }
    free(raw);
    return plain;
}

void compare_arrays(const struct array *a, const char *name, double tolerance)
{
    float *ref = fetch(a, 0), *got = fetch(a, 1);
    compare_floats(a->cmp, name, a->count, ref, got, tolerance);
    free(ref);
    free(got);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct compare *);
    } tables[] = {
        { "convolution", compare_conv }, { "batch norm", compare_batch_norm }, { "pooling", compare_pool },
        { "matrices", compare_matrix },  { "rows", compare_rows },             { "determinism", compare_determinism },
    };
    struct compare cmp = { .draw = 0 };
    struct err err;
    int precision = PRECISION_FP32;

    while (argc > 3 && precision_names[precision] && strcmp(argv[3], precision_names[precision]) != 0)
        precision++;
    if (argc < 2 || argc > 4 || !precision_names[precision]) {
        fprintf(stderr, "usage: device_compare DEVICE [THREADS [fp32|tf32|bf16]]\n");
        return 2;
    }
    cmp.side[0] = device_open("ref", 2, &err);
    cmp.side[1] = cmp.side[0] ? device_open(argv[1], argc > 2 ? atoi(argv[2]) : 1, &err) : NULL;
    if (!cmp.side[1]) {
        fprintf(stderr, "%s\n", err.text);
        device_close(cmp.side[0]);
        return 1;
    }
    must(&cmp, cmp.side[1]->ops->set_precision(cmp.side[1], (enum precision)precision, &err), &err);
    cmp.exact_inputs = precision != PRECISION_FP32;
    cmp.least_tolerance = precision == PRECISION_BF16 ? 1e-2 : 0;
    printf("%s, %s\n", cmp.side[1]->description, precision_names[precision]);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        int checks = cmp.checks, failures = cmp.failures;
        cmp.worst = cmp.scale = 0;
        tables[i].run(&cmp);
        printf("%-12s %4d checks, %d failed, largest error %.2f of its tolerance\n", tables[i].name,
               cmp.checks - checks, cmp.failures - failures, cmp.worst);
        fflush(stdout);
    }
    device_close(cmp.side[0]);
    device_close(cmp.side[1]);
    return cmp.failures ? 1 : 0;
}
