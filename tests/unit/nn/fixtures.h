/* What the tests of this room share: the formulas of tests/golden/nn/make_golden.py,
 * devices, comparisons.
 *
 * DINF_TEST_DEVICE: the one device that golden, feed, resume and gradient run on. */
#ifndef DINF_TESTS_NN_FIXTURES_H
#define DINF_TESTS_NN_FIXTURES_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "nn/encoder.h"
#include "store/safetensors.h"

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        struct err *const e_ = &the_err;                                                                               \
        e_->text[0] = 0;                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %s", #call, e_->text);                                                                       \
    } while (0)
#define made(pointer)                                                                                                  \
    do {                                                                                                               \
        if ((pointer) == NULL)                                                                                         \
            fail_msg("%s: %s", #pointer, the_err.text);                                                                \
    } while (0)

static struct err the_err;

static inline uint32_t mix(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    return x ^ (x >> 16);
}

static inline float noise(int64_t i, const char *name)
{
    uint32_t sum = 0;
    for (const char *c = name; *c != 0; c++)
        sum += (unsigned char)*c;
    return (float)(mix((uint32_t)i + 65536 * sum) / 2147483648.0 - 1);
}

static inline bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && strcmp(s + n - m, tail) == 0;
}

static inline void fill_network(struct network *net)
{
    for (int k = 0; k < net->n_parameters; k++) {
        const struct parameter *p = &net->parameters[k];
        int64_t n = parameter_elements(p);
        float *host = mem_alloc((size_t)n, sizeof *host, &the_err);
        made(host);
        for (int64_t i = 0; i < n; i++) {
            double w = (double)noise(i, p->name);
            if (ends_with(p->name, "running_var"))
                w = 1 + 0.5 * w;
            else if (p->rank > 1)
                w *= sqrt(2.0 / ((double)n / (double)p->dims[0]));
            else if (ends_with(p->name, "weight"))
                w = 1 + 0.2 * w;
            else
                w *= 0.1;
            host[i] = (float)w;
        }
        ok(parameter_set(net, p, p->running ? net->running : net->weights, host, &the_err));
        mem_free(host);
    }
}

static inline struct images make_images(int64_t n, int size)
{
    struct images im = { .n = n, .c = 3, .h = size, .w = size };
    size_t bytes = (size_t)n * 3 * (size_t)size * (size_t)size;
    im.pixels = mem_alloc(bytes, 1, &the_err);
    made(im.pixels);
    for (size_t i = 0; i < bytes; i++)
        im.pixels[i] = (uint8_t)(mix((uint32_t)i) >> 24);
    return im;
}

/* Largest difference over the largest magnitude of `want`. */
static inline double relative_error(const float *have, const float *want, int64_t n)
{
    double worst = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)have[i] - (double)want[i]);
        worst = d > worst || isnan(d) ? d : worst;
        scale = fabs((double)want[i]) > scale ? fabs((double)want[i]) : scale;
    }
    return isnan(worst) ? INFINITY : worst / (scale > 0 ? scale : 1);
}

/* The tensor of an open file as floats; freed by the caller. */
static inline float *tensor_floats(const struct safetensors *file, const char *name, int64_t *n)
{
    const struct tensor_view *t = safetensors_find(file, name);
    if (t == NULL)
        fail_msg("no tensor %s", name);
    *n = tensor_elements(t);
    float *out = mem_alloc((size_t)*n, sizeof *out, &the_err);
    made(out);
    ok(tensor_to_float(t, out, &the_err));
    return out;
}

static inline cJSON *json(const char *text)
{
    cJSON *v = cJSON_Parse(text);
    assert_non_null(v);
    return v;
}

/* Says which device it is, once for each. */
static inline void announce(const struct device *dev)
{
    static char said[16][sizeof dev->description];
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        if (strcmp(said[i], dev->description) == 0)
            return;
        if (said[i][0] == 0) {
            memcpy(said[i], dev->description, sizeof said[i]);
            break;
        }
    }
    print_message("device %s: %s\n", dev->ops->name, dev->description);
    fflush(stdout);
}

/* The device that these tests are asked to run on; NULL: none in particular. */
static inline const char *device_asked(void)
{
    const char *name = getenv("DINF_TEST_DEVICE");
    return name != NULL && name[0] != 0 ? name : NULL;
}

static inline void on_device(const char *name, int threads, void (*test)(struct device *))
{
    struct device *dev = device_open(name, threads, &the_err);
    made(dev);
    announce(dev);
    test(dev);
    device_close(dev);
}

/* Runs `test` with 1 and 2 threads (a GPU: once) on the device that is asked for, which must
 * be there, or else on every device that can be used here. */
static inline void on_devices(void (*test)(struct device *))
{
    const char *asked = device_asked();
    for (int k = 0; asked == NULL && device_kinds[k] != NULL; k++) {
        const char *name = device_kinds[k]->name;
        if (device_kinds[k]->available(&the_err) != 0) {
            print_message("not on %s: %s\n", name, the_err.text);
            continue;
        }
        for (int threads = 1; threads <= (device_gpus(name) > 0 ? 1 : 2); threads++)
            on_device(name, threads, test);
    }
    for (int threads = 1; asked != NULL && threads <= (device_gpus(asked) > 0 ? 1 : 2); threads++)
        on_device(asked, threads, test);
}

static inline bool has_precision(struct device *dev, enum precision precision)
{
    return device_supports(dev, precision, &the_err) == 0;
}

static char scratch_folder[64];

static inline void scratch_remove(void)
{
    fs_remove_tree(scratch_folder, NULL);
}

/* A path in this program's own folder, which goes when the program ends. */
static inline const char *scratch(const char *name)
{
    static char path[4][160];
    static int at;
    if (scratch_folder[0] == 0) {
        snprintf(scratch_folder, sizeof scratch_folder, "/tmp/dinf-nn-XXXXXX");
        assert_non_null(mkdtemp(scratch_folder));
        atexit(scratch_remove);
    }
    char *out = path[at++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", scratch_folder, name);
    return out;
}

/* Both files have the same bytes. */
static inline void same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    ok(fs_read(a, &x, &n, &the_err));
    ok(fs_read(b, &y, &m, &the_err));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
}

#endif
