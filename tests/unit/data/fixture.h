/* Shared by the data room's tests: sets from JSON text, files in a temporary
 * folder. Included after cmocka.h. */
#ifndef DINF_TESTS_DATA_FIXTURE_H
#define DINF_TESTS_DATA_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "data/dataset.h"

#define SETS TEST_DATA "/golden/data/sets/"
#define CIFAR10 "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\"}"
#define CIFAR10_ALL "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"split\":\"all\"}"

static inline cJSON *parse(const char *text)
{
    cJSON *spec = cJSON_Parse(text);
    if (spec == NULL)
        fail_msg("not JSON: %s", text);
    return spec;
}

static inline void read_set(const char *text, struct images *im)
{
    struct err err = { "" };
    cJSON *spec = parse(text);
    struct images shape;
    if (dataset_read(spec, im, &err) != 0 || dataset_describe(spec, &shape, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(shape.n, im->n);
    assert_int_equal(shape.h, im->h);
    assert_int_equal(shape.w, im->w);
    assert_int_equal(shape.c, 3);
    cJSON_Delete(spec);
}

/* Both describe (if `early`) and read refuse with exactly this message. */
static inline void refused(const char *text, const char *message, bool early)
{
    struct err err = { "" };
    struct images im;
    cJSON *spec = parse(text);
    int rc = dataset_describe(spec, &im, &err);
    if (early && (rc != -1 || strcmp(err.text, message) != 0))
        fail_msg("describe %s: \"%s\", not \"%s\"", text, rc ? err.text : "no error", message);
    if (!early && rc != 0)
        fail_msg("describe %s: %s", text, err.text);
    rc = dataset_read(spec, &im, &err);
    if (rc != -1 || strcmp(err.text, message) != 0)
        fail_msg("read %s: \"%s\", not \"%s\"", text, rc ? err.text : "no error", message);
    assert_null(im.pixels);
    cJSON_Delete(spec);
}

static inline void fingerprint(const char *text, char hex[HASH_HEX])
{
    struct err err = { "" };
    cJSON *spec = parse(text);
    if (dataset_fingerprint(spec, hex, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    cJSON_Delete(spec);
}

static inline bool same_fingerprint(const char *a, const char *b)
{
    char x[HASH_HEX], y[HASH_HEX];
    fingerprint(a, x);
    fingerprint(b, y);
    return strcmp(x, y) == 0;
}

static inline int64_t overlap(const char *a, const char *b)
{
    struct err err = { "" };
    int64_t common = -1;
    cJSON *x = parse(a), *y = parse(b);
    if (dataset_overlap(x, y, &common, &err) != 0)
        fail_msg("%s and %s: %s", a, b, err.text);
    cJSON_Delete(x);
    cJSON_Delete(y);
    return common;
}

/* The pixel that make_sets.py puts there. */
static inline int pixel(int i, int c, int y, int x)
{
    return (37 * i + 101 * c + 7 * y + 3 * x) % 256;
}

/* Image k of the set is image number `i` of make_sets.py. */
static inline void check_image(const struct images *im, int64_t k, int i)
{
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < im->h; y++)
            for (int x = 0; x < im->w; x++)
                if (im->pixels[((k * 3 + c) * im->h + y) * im->w + x] != pixel(i, c, y, x))
                    fail_msg("image %d at place %d differs at channel %d, row %d, column %d", i, (int)k, c, y, x);
    if (im->labels != NULL)
        assert_int_equal(im->labels[k], 3 * i % 10);
}

/* Which of make_sets.py's images (1 channel 0 pixel tells). */
static inline int number_of(const struct images *im, int64_t k)
{
    for (int i = 0; i < 256; i++)
        if (im->pixels[k * 3 * im->h * im->w] == pixel(i, 0, 0, 0))
            return i;
    return -1;
}

struct folder {
    char path[64];
};

static inline void folder_open(struct folder *f)
{
    snprintf(f->path, sizeof f->path, "/tmp/dinf_data_XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

static inline void folder_close(struct folder *f)
{
    struct err err;
    assert_int_equal(fs_remove_tree(f->path, &err), 0);
}

static inline void put(const struct folder *f, const char *name, const void *bytes, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

/* Copies all of sets/cifar10. */
static inline void copy_cifar10(const struct folder *f)
{
    static const char *const names[] = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin" };
    for (int k = 0; k < 6; k++) {
        char path[512], *bytes = NULL;
        size_t n;
        struct err err;
        snprintf(path, sizeof path, SETS "cifar10/%s", names[k]);
        assert_int_equal(fs_read(path, &bytes, &n, &err), 0);
        put(f, names[k], bytes, n);
        mem_free(bytes);
    }
}

#endif
