/* What the tests of this room share: a device that is nothing but memory and one
 * table of linear algebra, random matrices, golden files. */
#ifndef TESTS_UNIT_STATS_COMMON_H
#define TESTS_UNIT_STATS_COMMON_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "device/cpu/blas.h"
#include "device/linalg_tables.h"

static inline void *plain_alloc(struct device *dev, size_t bytes, struct err *err)
{
    (void)dev;
    return mem_alloc(bytes, 1, err);
}

static inline void plain_free(struct device *dev, void *p)
{
    (void)dev;
    mem_free(p);
}

static inline int plain_upload(struct device *dev, void *dst, const void *src, size_t bytes, struct err *err)
{
    (void)dev, (void)err;
    memcpy(dst, src, bytes);
    return 0;
}

static const struct device_ops ref_ops = { .name = "ref",
                                           .alloc = plain_alloc,
                                           .free = plain_free,
                                           .upload = plain_upload,
                                           .download = plain_upload,
                                           .linalg = &ref_linalg };
static const struct device_ops cpu_ops = { .name = "cpu",
                                           .alloc = plain_alloc,
                                           .free = plain_free,
                                           .upload = plain_upload,
                                           .download = plain_upload,
                                           .linalg = &cpu_linalg };

static struct device ref_device = { .ops = &ref_ops, .threads = 1 };
/* What opening the device does. */
__attribute__((constructor)) static void load_blas(void)
{
    if (blas_open(NULL) != 0)
        abort();
}
static struct device cpu_device = { .ops = &cpu_ops, .threads = 2 };
static struct device *const both_devices[] = { &ref_device, &cpu_device };

static inline double *random_matrix(int64_t n, int64_t d, uint32_t which)
{
    struct rng rng = rng_at(1, RNG_TEST, which, 0, 0);
    double *x = mem_alloc((size_t)n, (size_t)d * sizeof *x, NULL);
    assert_non_null(x);
    for (int64_t i = 0; i < n * d; i++)
        x[i] = rng_normal(&rng);
    return x;
}

/* |a - b| <= tolerance (|b| + floor) */
static inline void check_near(double a, double b, double tolerance, double floor)
{
    if (!(fabs(a - b) <= tolerance * (fabs(b) + floor)))
        fail_msg("%.17g is not %.17g (relative difference %.3g)", a, b, fabs(a - b) / (fabs(b) + floor));
}

static inline void check_all_near(const double *a, const double *b, int64_t n, double tolerance, double floor)
{
    for (int64_t i = 0; i < n; i++)
        check_near(a[i], b[i], tolerance, floor);
}

#ifdef TEST_DATA
static inline cJSON *golden(const char *name)
{
    char path[512], *text;
    size_t bytes;
    struct err err;
    assert_int_equal(fs_path(path, sizeof path, &err, "%s/golden/stats/%s", TEST_DATA, name), 0);
    if (fs_read(path, &text, &bytes, &err) != 0)
        fail_msg("%s", err.text);
    cJSON *root = cJSON_Parse(text);
    assert_non_null(root);
    mem_free(text);
    return root;
}

static inline double golden_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static inline double *golden_array(const cJSON *object, const char *name, int64_t n)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name), *element;
    int64_t i = 0;
    assert_int_equal(cJSON_GetArraySize(item), n);
    double *x = mem_alloc((size_t)n, sizeof *x, NULL);
    assert_non_null(x);
    cJSON_ArrayForEach(element, item) x[i++] = element->valuedouble;
    return x;
}
#endif

#endif
