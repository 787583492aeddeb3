/* Runs every table of operations on one device and on ref.
 * Usage: device_compare DEVICE [THREADS [fp32|tf32|bf16 [large [IMAGES]]]]
 *
 * A check fails if it is over the specification (1e-4 of the largest value in fp32, 1e-2
 * in bf16; 1e-3 in tf32, whose factors have 11 significant bits) or over its own limit,
 * which says what the operations' rounding explains. A GPU's libraries add in orders of
 * their own: there the second is only reported. */
#include "device/compare.h"
#include "device/plain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "device/kernels.h"

#ifndef REAL_LIBRARIES /* 0: the cuda device of this program runs on the host */
#define REAL_LIBRARIES 1
#endif

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
    must(cmp, p != NULL ? 0 : -1, &err);
    return p;
}

static float *host_floats(size_t n)
{
    float *p = malloc((n ? n : 1) * sizeof *p);
    if (p == NULL)
        exit(1);
    return p;
}

/* Bytes of one element on one side. */
static size_t element(const struct array *a, int side)
{
    return a->c ? precision_bytes(a->cmp->precision[side]) : sizeof(float);
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

struct act_desc array_act(const struct array *a, int side)
{
    return (struct act_desc){ a->n, a->c, a->h, a->w, a->cmp->precision[side] };
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
        const struct act_desc act = array_act(a, s);
        float *staged = allocate(a->cmp, s, a->count * sizeof *plain);
        must(a->cmp, dev->ops->upload(dev, staged, plain, a->count * sizeof *plain, &err), &err);
        must(a->cmp, dev->ops->pack(dev, &act, staged, a->data[s], &err), &err);
        must(a->cmp, dev->ops->sync(dev, &err), &err);
        dev->ops->free(dev, staged);
    }
}

float drawn(const struct compare *cmp, double value)
{
    return cmp->exact_inputs ? kernel_from_bf16(kernel_to_bf16((float)value)) : (float)value;
}

static struct array draw(struct compare *cmp, int n, int c, int h, int w, double least, double spread)
{
    struct array a = create(cmp, n, c, h, w);
    float *plain = host_floats(a.count);
    struct rng rng = rng_at(7, RNG_TEST, cmp->draw++, 0, 0);
    for (size_t i = 0; i < a.count; i++)
        plain[i] = drawn(cmp, fmax(spread * rng_normal(&rng), least));
    fill(&a, plain);
    free(plain);
    return a;
}

struct array array_normal(struct compare *cmp, int n, int c, int h, int w)
{
    return draw(cmp, n, c, h, w, -INFINITY, 1);
}

struct array array_rectified(struct compare *cmp, int n, int c, int h, int w)
{
    return draw(cmp, n, c, h, w, 0, 1);
}

struct array array_spread(struct compare *cmp, int n, double spread)
{
    return draw(cmp, n, 0, 1, 1, -INFINITY, spread);
}

struct array array_plain(struct compare *cmp, int n, int c, int h, int w, const float *values)
{
    struct array a = create(cmp, n, c, h, w);
    fill(&a, values);
    return a;
}

struct array array_values(struct compare *cmp, int n, const float *values)
{
    struct array a = create(cmp, n, 0, 1, 1); /* zeros */
    if (values != NULL)
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
        if (nans == NULL)
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
        if (host != NULL)
            must(cmp, cmp->side[s]->ops->upload(cmp->side[s], out[s], host, bytes, &err), &err);
    }
}

void bytes_free(struct compare *cmp, void *p[2])
{
    for (int s = 0; s < 2; s++)
        cmp->side[s]->ops->free(cmp->side[s], p[s]);
}

void judge(struct compare *cmp, const char *name, double relative, double tolerance)
{
    tolerance = fmin(tolerance, cmp->specification);
    cmp->checks++;
    if (tolerance > 0) {
        cmp->largest = fmax(cmp->largest, relative);
        cmp->worst = fmax(cmp->worst, relative / tolerance);
    }
    if (relative <= tolerance)
        return;
    if (tolerance > 0 && relative <= cmp->specification) {
        cmp->over++;
        fprintf(stderr, "%s %s: %s: relative difference %.3g, its own limit %.3g, within the specification\n",
                cmp->lenient ? "NOTE" : "FAIL", cmp->what, name, relative, tolerance);
        cmp->failures += !cmp->lenient;
        return;
    }
    cmp->failures++;
    fprintf(stderr, "FAIL %s: %s: relative difference %.3g%s, %s %.3g\n", cmp->what, name, relative,
            isinf(relative) ? " (not a number)" : "", tolerance > 0 ? "over the specification's" : "must be",
            tolerance > 0 ? cmp->specification : 0);
}

void expect(struct compare *cmp, const char *name, bool holds)
{
    cmp->checks++;
    if (!holds) {
        cmp->failures++;
        fprintf(stderr, "FAIL %s: %s\n", cmp->what, name);
    }
}

void compare_floats(struct compare *cmp, const char *name, size_t n, const float *ref, const float *got,
                    double tolerance)
{
    double largest = cmp->scale, difference = 0;
    bool nan = false;

    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(ref[i]));
        difference = fmax(difference, fabs((double)ref[i] - got[i]));
        nan = nan || isnan(ref[i]) || isnan(got[i]);
    }
    judge(cmp, name, nan ? INFINITY : difference / (largest > 0 ? largest : 1), tolerance);
}

/* Contents in plain order. */
static float *unpacked(const struct array *a, int side)
{
    const struct act_desc act = array_act(a, side);
    float *plain = host_floats(a->count);
    struct err err;
    must(a->cmp, plain_contents(a->cmp->side[side], &act, a->data[side], plain, &err), &err);
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

void compare_share(const struct array *whole, const struct array *part, const char *name, int groups, int ranks, int r,
                   double tolerance)
{
    const size_t share = part->count / (size_t)groups;
    float *all = fetch(whole, 0), *own = fetch(part, 1), *want = host_floats(part->count);
    for (int g = 0; g < groups; g++)
        memcpy(want + (size_t)g * share, all + ((size_t)g * (size_t)ranks + (size_t)r) * share, share * sizeof *want);
    compare_floats(part->cmp, name, part->count, want, own, of_rounded(part->cmp, tolerance));
    free(all);
    free(own);
    free(want);
}

void compare_sum(const struct array *whole, const struct array *parts, int ranks, const char *name, double scale,
                 double tolerance)
{
    struct compare *cmp = whole->cmp;
    const double before = cmp->scale;
    float *want = fetch(whole, 0), *sum = fetch(&parts[0], 1);
    for (int r = 1; r < ranks; r++) {
        float *more = fetch(&parts[r], 1);
        for (size_t i = 0; i < whole->count; i++)
            sum[i] += more[i];
        free(more);
    }
    cmp->scale = scale;
    compare_floats(cmp, name, whole->count, want, sum, of_rounded(cmp, tolerance));
    cmp->scale = before;
    free(want);
    free(sum);
}

double of_rounded(const struct compare *cmp, double tolerance)
{
    return tolerance > 0 && cmp->rounded ? cmp->specification : tolerance;
}

void compare_arrays(const struct array *a, const char *name, double tolerance)
{
    float *ref = fetch(a, 0), *got = fetch(a, 1);
    compare_floats(a->cmp, name, a->count, ref, got, a->c > 0 ? of_rounded(a->cmp, tolerance) : tolerance);
    free(ref);
    free(got);
}

double array_largest(const struct array *a)
{
    float *ref = fetch(a, 0);
    double largest = 0;
    for (size_t i = 0; i < a->count; i++)
        largest = fmax(largest, fabs(ref[i]));
    free(ref);
    return largest;
}

/* Runs a table, or the large shapes, and says what came out. */
static void run(struct compare *cmp, const char *name, void (*table)(struct compare *), int n)
{
    const int checks = cmp->checks, failures = cmp->failures, over = cmp->over;
    cmp->worst = cmp->largest = cmp->scale = 0;
    if (table != NULL)
        table(cmp);
    else
        compare_large(cmp, n);
    printf("%-12s %4d checks, %d failed, %d over their own limit; largest relative error %.1e (specification %.0e), "
           "%.2f of its own limit\n",
           name, cmp->checks - checks, cmp->failures - failures, cmp->over - over, cmp->largest, cmp->specification,
           cmp->worst);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(struct compare *);
    } tables[] = {
        { "convolution", compare_conv }, { "batch norm", compare_batch_norm },
        { "pooling", compare_pool },     { "matrices", compare_matrix },
        { "rows", compare_rows },        { "determinism", compare_determinism },
    };
    static const double specifications[] = {
        [PRECISION_FP32] = 1e-4,
        [PRECISION_TF32] = 1e-3,
        [PRECISION_BF16] = 1e-2,
    };
    struct compare cmp = { .draw = 0 };
    struct err err;
    int precision = PRECISION_FP32;
    const bool large = argc > 4 && strcmp(argv[4], "large") == 0;
    const int n = argc > 5 ? atoi(argv[5]) : 512;

    while (argc > 3 && precision_names[precision] != NULL && strcmp(argv[3], precision_names[precision]) != 0)
        precision++;
    if (argc < 2 || argc > 6 || (argc > 4 && !large) || n < 1 || precision_names[precision] == NULL) {
        fprintf(stderr, "usage: device_compare DEVICE [THREADS [fp32|tf32|bf16 [large [IMAGES]]]]\n");
        return 2;
    }
    cmp.side[0] = device_open("ref", 2, &err);
    cmp.side[1] = cmp.side[0] != NULL ? device_open(argv[1], argc > 2 ? atoi(argv[2]) : 1, &err) : NULL;
    if (cmp.side[1] == NULL) {
        fprintf(stderr, "%s\n", err.text);
        device_close(cmp.side[0]);
        return 1;
    }
    must(&cmp, device_supports(cmp.side[1], (enum precision)precision, &err), &err);
    cmp.precision[1] = (enum precision)precision;
    cmp.exact_inputs = precision != PRECISION_FP32;
    cmp.rounded = precision == PRECISION_BF16;
    cmp.specification = specifications[precision];
    cmp.lenient = REAL_LIBRARIES && strcmp(argv[1], "cuda") == 0;
    printf("%s, %s\n", cmp.side[1]->description, precision_names[precision]);
    if (large)
        run(&cmp, "large", NULL, n);
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !large; i++)
        run(&cmp, tables[i].name, tables[i].run, 0);
    device_close(cmp.side[0]);
    device_close(cmp.side[1]);
    return cmp.failures ? 1 : 0;
}
