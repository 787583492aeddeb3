/* Data: what a fingerprint is made of, what is remembered of files, and sets at the limits of what may be one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/hash.h"
#include "data/file_hash.h"
#include "data/known.h"
#include "data/resize.h"
#include "unit/data/fixture.h"

/* ---- fingerprints, by hand ---- */

/* Text with its end, and numbers of 8 bytes, the lowest first. */
static void add(struct hash *h, const char *text)
{
    hash_add(h, text, strlen(text) + 1);
}

static void add_number(struct hash *h, int64_t n)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> (8 * i) & 255);
    hash_add(h, bytes, 8);
}

struct run {
    const char *part, *labels;
    int64_t begin, n;
    int64_t cut; /* from this size; -1: not */
};

static void by_hand(int side, bool resampled, const struct run *runs, int n, char hex[HASH_HEX])
{
    struct err err;
    struct hash *h = hash_create(&err);
    add(h, "dinf data set 1");
    add_number(h, 3);
    add_number(h, side);
    add_number(h, side);
    if (resampled)
        add(h, "antialiased bilinear");
    for (int i = 0; i < n; i++) {
        add(h, runs[i].part);
        add(h, runs[i].labels);
        add_number(h, runs[i].begin);
        add_number(h, runs[i].n);
        if (runs[i].cut >= 0) {
            add(h, "center of the resized");
            add_number(h, runs[i].cut);
        }
    }
    assert_int_equal(hash_finish(h, hex, &err), 0);
}

static void check(const char *spec, int side, bool resampled, const struct run *runs, int n)
{
    char got[HASH_HEX], want[HASH_HEX];
    by_hand(side, resampled, runs, n, want);
    fingerprint(spec, got);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s instead of %s", spec, got, want);
}

static void of_files(void **state)
{
    (void)state;
    struct folder f;
    struct err err;
    char spec[1024], path[128], hex[6][HASH_HEX];
    static uint8_t bytes[700 * 3073];
    static const int records[] = { 700, 1, 2, 1, 1, 3 };
    folder_open(&f);
    for (int k = 0; k < 6; k++) {
        char name[32];
        for (int i = 0; i < records[k]; i++) {
            bytes[i * 3073] = 0;
            bytes[i * 3073 + 1] = (uint8_t)i;
            bytes[i * 3073 + 2] = (uint8_t)(16 * k + i / 256);
        }
        snprintf(name, sizeof name, k < 5 ? "data_batch_%d.bin" : "test_batch.bin", k + 1);
        put(&f, name, bytes, (size_t)records[k] * 3073);
        snprintf(path, sizeof path, "%s/%s", f.path, name);
        assert_int_equal(hash_file(path, hex[k], &err), 0);
    }
    const struct run all[] = { { hex[0], "", 0, 700, -1 }, { hex[1], "", 0, 1, -1 }, { hex[2], "", 0, 2, -1 },
                               { hex[3], "", 0, 1, -1 },   { hex[4], "", 0, 1, -1 }, { hex[5], "", 0, 3, -1 } };
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"all\"}", f.path);
    check(spec, 32, false, all, 6);
    snprintf(spec, sizeof spec, "{\"of\":{\"format\":\"cifar10\",\"path\":\"%s\"},\"begin\":299,\"count\":300}",
             f.path);
    const struct run middle[] = { { hex[0], "", 299, 300, -1 } };
    check(spec, 32, false, middle, 1);
    snprintf(spec, sizeof spec,
             "{\"of\":{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"all\"},\"begin\":699,\"count\":3}", f.path);
    const struct run across[] = { { hex[0], "", 699, 1, -1 }, { hex[1], "", 0, 1, -1 }, { hex[2], "", 0, 1, -1 } };
    check(spec, 32, false, across, 3);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"test\",\"size\":40,\"crop\":16}",
             f.path);
    const struct run cut[] = { { hex[5], "", 0, 3, 40 } };
    check(spec, 16, true, cut, 1);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"test\",\"crop\":16}", f.path);
    const struct run middle_of[] = { { hex[5], "", 0, 3, 0 } };
    check(spec, 16, true, middle_of, 1);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"test\",\"size\":16}", f.path);
    const struct run sized[] = { { hex[5], "", 0, 3, -1 } };
    check(spec, 16, true, sized, 1);
    /* the same images again, and others between: a run ends where the next image is not the next */
    snprintf(spec, sizeof spec,
             "{\"parts\":[{\"of\":{\"format\":\"cifar10\",\"path\":\"%s\"},\"begin\":5,\"count\":2},"
             "{\"of\":{\"format\":\"cifar10\",\"path\":\"%s\"},\"begin\":7,\"count\":1},"
             "{\"of\":{\"format\":\"cifar10\",\"path\":\"%s\"},\"begin\":7,\"count\":2}]}",
             f.path, f.path, f.path);
    const struct run twice[] = { { hex[0], "", 5, 3, -1 }, { hex[0], "", 7, 2, -1 } };
    check(spec, 32, false, twice, 2);
    folder_close(&f);
}

static void of_generated_and_arrays(void **state)
{
    (void)state;
    struct err err;
    char part[HASH_HEX], file[HASH_HEX], labels[HASH_HEX];
    struct hash *h = hash_create(&err);
    add(h, "dinf procedural 1: 7 classes, seed 5, family 3");
    assert_int_equal(hash_finish(h, part, &err), 0);
    const struct run generated[] = { { part, "", 70000, 1000, -1 } };
    check("{\"format\":\"procedural\",\"classes\":7,\"seed\":5,\"family\":3,\"begin\":70000,\"count\":1000}", 32, false,
          generated, 1);
    const struct run some[] = { { part, "", 70300, 600, -1 } };
    check("{\"of\":{\"format\":\"procedural\",\"classes\":7,\"seed\":5,\"family\":3,\"begin\":70000,\"count\":1000},"
          "\"begin\":300,\"count\":600}",
          32, false, some, 1);
    assert_int_equal(hash_file(SETS "hwc.npy", file, &err), 0);
    assert_int_equal(hash_file(SETS "labels.npy", labels, &err), 0);
    h = hash_create(&err);
    add(h, file);
    add(h, "hwc");
    assert_int_equal(hash_finish(h, part, &err), 0);
    const struct run array[] = { { part, labels, 0, 4, -1 } };
    check("{\"format\":\"npy\",\"path\":\"" SETS "hwc.npy\",\"layout\":\"hwc\",\"labels\":\"" SETS
          "labels.npy\",\"size\":9}",
          9, true, array, 1);
}

/* ---- what is remembered ---- */

static void files_that_change(void **state)
{
    (void)state;
    struct folder f;
    struct err err;
    char path[128], first[HASH_HEX], second[HASH_HEX], want[HASH_HEX];
    folder_open(&f);
    for (int i = 0; i < 140; i++) { /* more than are remembered */
        char name[16], text[16];
        snprintf(name, sizeof name, "f%d", i % 70);
        snprintf(text, sizeof text, "text %d", i % 70);
        if (i < 70)
            put(&f, name, text, strlen(text));
        snprintf(path, sizeof path, "%s/%s", f.path, name);
        assert_int_equal(file_hash(path, first, &err), 0);
        assert_int_equal(hash_bytes(text, strlen(text), want, &err), 0);
        assert_string_equal(first, want);
    }
    put(&f, "x", "one", 3);
    snprintf(path, sizeof path, "%s/x", f.path);
    assert_int_equal(file_hash(path, first, &err), 0);
    usleep(20000);
    struct stat before;
    assert_int_equal(stat(path, &before), 0);
    put(&f, "x", "two", 3); /* as long as before, and with its time set back */
    const struct timespec times[2] = { before.st_atim, before.st_mtim };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(file_hash(path, second, &err), 0);
    assert_int_equal(hash_bytes("two", 3, want, &err), 0);
    assert_string_equal(second, want);
    assert_int_equal(file_hash("/nowhere/x", first, &err), -1);
    assert_string_equal(err.text, "cannot open /nowhere/x: No such file or directory");
    folder_close(&f);
}

static void what_was_found_good(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    struct err err;
    static const struct {
        const char *spec, *file, *what;
    } sets[] = { { "{\"format\":\"npy\",\"path\":\"" SETS "chw_int32.npy\"}", SETS "chw_int32.npy", "pixels" },
                 { "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"labels\":\"" SETS "labels_u8.npy\"}",
                   SETS "labels_u8.npy", "labels" },
                 { CIFAR10, SETS "cifar10/data_batch_5.bin", "label 1 below 10" } };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) { /* looked through once a process */
        char fingerprint_hex[HASH_HEX];
        fingerprint(sets[i].spec, fingerprint_hex);
        assert_int_equal(hash_file(sets[i].file, hex, &err), 0);
        assert_true(known_good(hex, sets[i].what));
        assert_false(known_good(hex, "label 2 below 100"));
    }
    assert_false(known_good("aa", "pixels"));
    for (int i = 0; i < 200; i++) {
        snprintf(hex, sizeof hex, "%064d", i);
        assert_false(known_good(hex, "pixels"));
        known_add(hex, "labels");
        assert_false(known_good(hex, "pixels"));
        assert_true(known_good(hex, "labels"));
        known_add(hex, "labels"); /* once is enough */
        if (i >= 63) {
            snprintf(hex, sizeof hex, "%064d", i - 63); /* 64 are remembered */
            assert_true(known_good(hex, "labels"));
        }
    }
    snprintf(hex, sizeof hex, "%064d", 135);
    assert_false(known_good(hex, "labels"));
}

/* ---- sets at their limits ---- */

static size_t array(uint8_t *out, const char *descr, const char *shape, size_t bytes)
{
    int n = snprintf((char *)out + 10, 200, "{'descr': '%s', 'fortran_order': False, 'shape': %s}", descr, shape);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)n;
    out[9] = 0;
    memset(out + 10 + n, 0, bytes);
    return 10 + (size_t)n + bytes;
}

static void arrays(void **state)
{
    (void)state;
    static const struct {
        const char *layout, *descr, *shape;
        size_t bytes;
        const char *says; /* NULL: n images of h x w */
        int n, h, w;
    } rows[] = {
        { "chw", "|u1", "(2, 1, 3, 4)", 24, NULL, 2, 3, 4 },
        { "chw", "|u1", "(2, 3, 4)", 24, NULL, 2, 3, 4 },
        { "hwc", "|u1", "(2, 3, 4)", 24, NULL, 2, 3, 4 },
        { "hwc", "|u1", "(2, 3, 4, 1)", 24, NULL, 2, 3, 4 },
        { "hwc", "|u1", "(1, 1, 5, 3)", 15, NULL, 1, 1, 5 },
        { "chw", "|u1", "(1, 3, 1, 1)", 3, NULL, 1, 1, 1 },
        { "chw", "|u1", "(1, 1, 4096, 1)", 4096, NULL, 1, 4096, 1 },
        { "chw", "|u1", "(1, 1, 1, 4096)", 4096, NULL, 1, 1, 4096 },
        { "chw", "|u1", "(1, 1, 4097, 1)", 4097,
          "is too large: at most 2147483647 images of 4096 x 4096 pixels; its shape is (1, 1, 4097, 1)", 0, 0, 0 },
        { "chw", "|u1", "(1, 1, 1, 4097)", 4097, "is too large", 0, 0, 0 },
        { "chw", "|u1", "(0, 3, 2, 2)", 0, "holds no images: its shape is (0, 3, 2, 2)", 0, 0, 0 },
        { "chw", "|u1", "(2, 3, 0, 2)", 0, "holds no images: its shape is (2, 3, 0, 2)", 0, 0, 0 },
        { "chw", "|u1", "(2, 3, 2, 0)", 0, "holds no images: its shape is (2, 3, 2, 0)", 0, 0, 0 },
        { "chw", "|u1", "(2, 4)", 8, "images have 4 axes (or 3 if they are grey); this has the shape (2, 4)", 0, 0, 0 },
        { "chw", "|u1", "(1, 1, 1, 2, 2)", 4, "this has the shape (1, 1, 1, 2, 2)", 0, 0, 0 },
        { "chw", "|u1", "(1, 4, 2, 2)", 16,
          "has 4 channels, but images have 3 or 1; channels last need layout = \"hwc\"", 0, 0, 0 },
        { "hwc", "|u1", "(1, 2, 2, 4)", 16, "has 4 channels, but images have 3 or 1", 0, 0, 0 },
        { "chw", "|b1", "(1, 1, 2, 2)", 4, "holds bool: images of a data set are integers of 0 to 255", 0, 0, 0 },
    };
    struct folder f;
    static uint8_t file[8192];
    folder_open(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err;
        struct images im;
        char spec[256];
        put(&f, "x.npy", file, array(file, rows[i].descr, rows[i].shape, rows[i].bytes));
        snprintf(spec, sizeof spec, "{\"format\":\"npy\",\"path\":\"%s/x.npy\",\"layout\":\"%s\"}", f.path,
                 rows[i].layout);
        cJSON *json = parse(spec);
        int rc = dataset_describe(json, &im, &err);
        if ((rc == 0) != (rows[i].says == NULL) || (rc != 0 && strstr(err.text, rows[i].says) == NULL))
            fail_msg("%s: %s", rows[i].shape, rc != 0 ? err.text : "accepted");
        if (rc == 0)
            assert_true(im.n == rows[i].n && im.h == rows[i].h && im.w == rows[i].w && im.c == 3);
        cJSON_Delete(json);
    }
    /* labels at their bounds */
    static const struct {
        int64_t label;
        bool good;
    } labels[] = { { -1, true }, { 0, true }, { INT32_MAX, true }, { -2, false }, { (int64_t)INT32_MAX + 1, false } };
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        struct err err;
        struct images im;
        char spec[256];
        put(&f, "x.npy", file, array(file, "|u1", "(2, 2, 2)", 8));
        size_t n = array(file, "<i8", "(2,)", 16);
        memcpy(file + n - 8, &labels[i].label, 8);
        put(&f, "y.npy", file, n);
        snprintf(spec, sizeof spec, "{\"format\":\"npy\",\"path\":\"%s/x.npy\",\"labels\":\"%s/y.npy\"}", f.path,
                 f.path);
        cJSON *json = parse(spec);
        int rc = dataset_read(json, &im, &err);
        assert_int_equal(rc, labels[i].good ? 0 : -1);
        if (rc == 0)
            assert_true(im.labels[0] == 0 && im.labels[1] == labels[i].label);
        images_fini(&im);
        char hex[HASH_HEX];
        assert_int_equal(dataset_fingerprint(json, hex, &err), labels[i].good ? 0 : -1);
        cJSON_Delete(json);
    }
    folder_close(&f);
    images_fini(NULL);
}

static void nesting(void **state)
{
    (void)state;
    struct err err;
    for (int depth = 32; depth <= 33; depth++) {
        char deep[4096] = "";
        struct images im;
        for (int i = 0; i < depth; i++)
            strcat(deep, "{\"of\":");
        strcat(deep, CIFAR10);
        for (int i = 0; i < depth; i++)
            strcat(deep, "}");
        cJSON *json = parse(deep);
        assert_int_equal(dataset_describe(json, &im, &err), depth == 32 ? 0 : -1);
        cJSON_Delete(json);
    }
    char parts[4096] = CIFAR10;
    for (int i = 0; i < 33; i++) { /* unions count as well */
        char more[4096];
        snprintf(more, sizeof more, "{\"parts\":[%.3900s]}", parts);
        strcpy(parts, more);
    }
    refused(parts, "data sets are nested more than 32 deep", true);
    refused("{\"parts\":[" CIFAR10 "],\"seed\":1}", "a data set has no option \"seed\"", true);
    refused("{\"parts\":{}}", "parts of a data set must be a list of one or more data sets", true);
    refused("{\"of\":" CIFAR10 ",\"begin\":10,\"count\":1}", "a subset wants images 10 to 10 of a set that has 10",
            true);
    refused("{\"of\":" CIFAR10 ",\"count\":11}", "a subset wants images 0 to 10 of a set that has 10", true);
    struct images im;
    read_set("{\"of\":" CIFAR10 ",\"begin\":9,\"count\":1}", &im);
    check_image(&im, 0, 9);
    images_fini(&im);
}

/* Names of the versions that are not read, and of archives. */
static void other_versions(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        const char *names[8];
    } sets[] = { { "cifar10",
                   { "data_batch_1", "test_batch", "data_batch_1.mat", "cifar-10-batches-py", "cifar-10-batches-mat",
                     "cifar-10-python.tar.gz", "cifar-10-matlab.tar.gz", NULL } },
                 { "cifar100",
                   { "train", "test", "train.mat", "cifar-100-python", "cifar-100-matlab", "cifar-100-python.tar.gz",
                     "cifar-100-matlab.tar.gz", NULL } } };
    struct folder f;
    char path[256], spec[256], want[128];
    struct err err;
    struct images im;
    folder_open(&f);
    for (int k = 0; k < 2; k++)
        for (int i = 0; sets[k].names[i] != NULL; i++) {
            put(&f, sets[k].names[i], "x", 1);
            snprintf(spec, sizeof spec, "{\"format\":\"%s\",\"path\":\"%s\"}", sets[k].format, f.path);
            cJSON *json = parse(spec);
            assert_int_equal(dataset_describe(json, &im, &err), -1);
            snprintf(want, sizeof want, "%s holds %s, which is another version of CIFAR-10", f.path, sets[k].names[i]);
            if (strstr(err.text, want) == NULL)
                fail_msg("%s", err.text);
            cJSON_Delete(json);
            snprintf(path, sizeof path, "%s/%s", f.path, sets[k].names[i]);
            assert_int_equal(remove(path), 0);
        }
    static const char *const packed[] = { "a.tar.gz", "a.tgz", "a.tar", "a.zip", ".zip" };
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        put(&f, packed[i], "x", 1);
        snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s/%s\"}", f.path, packed[i]);
        cJSON *json = parse(spec);
        assert_int_equal(dataset_describe(json, &im, &err), -1);
        assert_non_null(strstr(err.text, " is an archive: unpack that of the binary version"));
        cJSON_Delete(json);
    }
    folder_close(&f);
}

static void moments_of_few_colours(void **state)
{
    (void)state;
    uint8_t pixels[3 * 4] = { 7, 7, 7, 7, 0, 0, 255, 255, 1, 2, 3, 4 };
    const struct images im = { .n = 1, .c = 3, .h = 2, .w = 2, .pixels = pixels };
    float mean[3], std[3];
    images_moments(&im, mean, std);
    assert_true(mean[0] == 7.0f / 255.0f && std[0] == 0); /* nothing below 0 under the root */
    assert_float_equal(mean[1], 0.5, 1e-7);
    assert_float_equal(std[1], 0.5, 1e-7);
    assert_float_equal(mean[2], 2.5 / 255, 1e-7);
    assert_float_equal(std[2], sqrt(1.25) / 255, 1e-7);
    for (int v = 0; v < 256; v++) {
        for (int i = 0; i < 4; i++)
            pixels[i] = (uint8_t)v;
        images_moments(&im, mean, std);
        assert_true(std[0] == 0 && mean[0] == (float)(v / 255.0));
    }
}

/* torchvision's CenterCrop: round((side - cut) / 2), and Python rounds halves to even. */
static void centres(void **state)
{
    (void)state;
    static const int half[] = { 0, 0, 1, 2, 2, 2, 3, 4, 4, 4 };
    for (int margin = 0; margin < 10; margin++) {
        struct resize_to to = resize_center(20 + margin, 20, 20, 20);
        assert_true(to.full_h == 20 + margin && to.full_w == 20 && to.top == half[margin] && to.left == 0);
        assert_true(to.h == 20 && to.w == 20);
        to = resize_center(20, 20 + margin, 20, 20);
        assert_true(to.full_w == 20 + margin && to.full_h == 20 && to.left == half[margin] && to.top == 0);
    }
    struct resize_to to = resize_center(7, 10, 5, 3); /* the longer side is cut off, not rounded */
    assert_true(to.full_h == 5 && to.full_w == 7 && to.top == 1 && to.left == 2);
    to = resize_center(4096, 3, 4096, 10);
    assert_int_equal(to.full_h, 4096 * 4096 / 3);
    to = resize_wanted(7, 10, 0, 4);
    assert_true(to.full_h == 7 && to.full_w == 10 && to.h == 4);
    to = resize_wanted(7, 10, 0, 0);
    assert_true(to.full_h == 7 && to.full_w == 10 && to.h == 7 && to.w == 10 && to.top == 0);
    to = resize_wanted(7, 10, 5, 0);
    assert_true(to.full_h == 5 && to.full_w == 5 && to.h == 5 && to.w == 5);
    struct err err;
    assert_int_equal(resize_check(7, 10, 0, 7, &err), 0);
    assert_int_equal(resize_check(10, 7, 0, 8, &err), -1);
    assert_int_equal(resize_check(10, 7, 9, 9, &err), 0);
    assert_int_equal(resize_check(10, 7, 9, 10, &err), -1);
    resizer_destroy(NULL);
}

/* A map that weights sum to 1 in: constants stay, bytes are rounded to the nearest. */
static void bytes_are_rounded(void **state)
{
    (void)state;
    struct err err;
    uint8_t in[4] = { 0, 1, 2, 4 }, out[1];
    const struct resize_to one = resize_square(1);
    struct resizer *r = resizer_create(2, 2, &one, &err);
    static const struct {
        uint8_t in[4];
        int out;
    } rows[] = { { { 0, 0, 0, 1 }, 0 },           { { 0, 0, 1, 1 }, 1 },          { { 0, 1, 1, 1 }, 1 },
                 { { 254, 255, 255, 255 }, 255 }, { { 10, 10, 10, 11 }, 10 },     { { 10, 10, 11, 11 }, 11 },
                 { { 3, 4, 4, 4 }, 4 },           { { 255, 255, 255, 255 }, 255 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) { /* of 2 x 2 the mean */
        memcpy(in, rows[i].in, 4);
        resizer_bytes(r, in, 1, out);
        assert_int_equal(out[0], rows[i].out);
    }
    resizer_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_files),
        cmocka_unit_test(of_generated_and_arrays),
        cmocka_unit_test(files_that_change),
        cmocka_unit_test(what_was_found_good),
        cmocka_unit_test(arrays),
        cmocka_unit_test(nesting),
        cmocka_unit_test(other_versions),
        cmocka_unit_test(moments_of_few_colours),
        cmocka_unit_test(centres),
        cmocka_unit_test(bytes_are_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
