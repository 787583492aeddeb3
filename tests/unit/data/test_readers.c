/* CIFAR and npy files: what is read, and what each broken file is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include "unit/data/fixture.h"

static void reads_cifar10(void **state)
{
    (void)state;
    struct images im;
    read_set(CIFAR10, &im);
    assert_int_equal(im.n, 10);
    assert_int_equal(im.h, 32);
    for (int i = 0; i < 10; i++)
        check_image(&im, i, i);
    images_fini(&im);
    read_set("{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"split\":\"test\"}", &im);
    assert_int_equal(im.n, 2);
    check_image(&im, 0, 10);
    check_image(&im, 1, 11);
    images_fini(&im);
    read_set(CIFAR10_ALL, &im);
    assert_int_equal(im.n, 12);
    check_image(&im, 11, 11);
    images_fini(&im);
}

static void reads_cifar100(void **state)
{
    (void)state;
    struct images im;
    read_set("{\"format\":\"cifar100\",\"path\":\"" SETS "cifar100\",\"split\":\"all\"}", &im);
    assert_int_equal(im.n, 6);
    for (int i = 0; i < 6; i++)
        check_image(&im, i, i); /* the fine label, not the coarse 9 */
    images_fini(&im);
}

static void reads_npy(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\"}",
        "{\"format\":\"npy\",\"path\":\"" SETS "hwc.npy\",\"layout\":\"hwc\"}",
        "{\"format\":\"npy\",\"path\":\"" SETS "chw_int32.npy\"}", /* in Fortran order */
        "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"labels\":\"" SETS "labels.npy\"}",
        "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"labels\":\"" SETS "labels_u8.npy\"}",
    };
    struct images im;
    for (int k = 0; k < 5; k++) {
        read_set(specs[k], &im);
        assert_int_equal(im.n, 4);
        assert_int_equal(im.h, 5);
        assert_int_equal(im.w, 6);
        assert_int_equal(im.labels != NULL, k >= 3);
        for (int i = 0; i < 4; i++)
            check_image(&im, i, i);
        images_fini(&im);
    }
    for (int k = 0; k < 2; k++) { /* grey: the same channel three times */
        read_set(k ? "{\"format\":\"npy\",\"path\":\"" SETS "grey.npy\",\"layout\":\"hwc\"}"
                   : "{\"format\":\"npy\",\"path\":\"" SETS "grey.npy\"}",
                 &im);
        for (int i = 0; i < 4 * 3 * 30; i++)
            assert_int_equal(im.pixels[i], pixel(i / 90, 0, i % 30 / 6, i % 6));
        images_fini(&im);
    }
}

/* -1 is no label, as in STL-10's unlabelled part. */
static void reads_missing_labels(void **state)
{
    (void)state;
    static const int32_t want[] = { 0, 1, -1, 2 };
    struct images im;
    read_set("{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"labels\":\"" SETS "labels_negative.npy\"}", &im);
    assert_memory_equal(im.labels, want, sizeof want);
    images_fini(&im);
}

static char *with_path(const char *format, const char *path)
{
    static char text[512];
    snprintf(text, sizeof text, format, path);
    return text;
}

/* Only reading can tell: reading refuses, and so does the identity, which a plan needs. */
static void unplanned(const char *spec, const char *message)
{
    char hex[HASH_HEX];
    struct err err = { "" };
    refused(spec, message, false);
    cJSON *object = parse(spec);
    assert_int_equal(dataset_fingerprint(object, hex, &err), -1);
    assert_string_equal(err.text, message);
    cJSON_Delete(object);
}

#define IN_FOLDER "{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"all\"}"

static void refuses_broken_cifar(void **state)
{
    (void)state;
    struct folder f;
    char message[512];
    static uint8_t bytes[3 * 3073];
    folder_open(&f);
    copy_cifar10(&f);
    const char *spec = with_path(IN_FOLDER, f.path);

    put(&f, "data_batch_3.bin", bytes, 3072); /* truncated */
    snprintf(message, sizeof message,
             "cifar10: %s/data_batch_3.bin has 3072 bytes, which is not a whole number of records of 3073: it is "
             "truncated or of another format",
             f.path);
    refused(spec, message, true);
    put(&f, "data_batch_3.bin", bytes, 3 * 3073 - 1000);
    snprintf(message, sizeof message,
             "cifar10: %s/data_batch_3.bin has 8219 bytes, which is not a whole number of records of 3073: it is "
             "truncated or of another format",
             f.path);
    refused(spec, message, true);
    put(&f, "data_batch_3.bin", bytes, 2 * 3073 + 1); /* oversized */
    snprintf(message, sizeof message,
             "cifar10: %s/data_batch_3.bin has 6147 bytes, which is not a whole number of records of 3073: it is "
             "truncated or of another format",
             f.path);
    refused(spec, message, true);
    put(&f, "data_batch_3.bin", bytes, 0);
    snprintf(message, sizeof message, "cifar10: %s/data_batch_3.bin is empty", f.path);
    refused(spec, message, true);
    bytes[3073] = 10; /* inconsistent */
    put(&f, "data_batch_3.bin", bytes, 3 * 3073);
    snprintf(message, sizeof message,
             "cifar10: %s/data_batch_3.bin: record 1 has label 10, but the set has classes = 10", f.path);
    unplanned(spec, message);
    struct images im; /* another number of records is fine, and so is the label where there are more classes */
    read_set(with_path("{\"format\":\"cifar10\",\"path\":\"%s\",\"classes\":11}", f.path), &im);
    assert_int_equal(im.n, 11);
    assert_int_equal(im.labels[5], 10);
    images_fini(&im);
    put(&f, "data_batch_3.bin", bytes, 2 * 3073);

    char path[256];
    snprintf(path, sizeof path, "%s/test_batch.bin", f.path);
    unlink(path);
    spec = with_path(IN_FOLDER, f.path);
    snprintf(message, sizeof message, "cifar10: cannot open %s: No such file or directory", path);
    refused(spec, message, true);
    mkdir(path, 0777);
    snprintf(message, sizeof message, "cifar10: %s is not a file", path);
    refused(spec, message, true);
    folder_close(&f);
    snprintf(message, sizeof message, "cifar10: cannot open %s: No such file or directory", f.path);
    refused(spec, message, true);
}

/* The folder above is as good; what else people give is named. */
static void finds_the_folder(void **state)
{
    (void)state;
    struct folder f, inner;
    char path[256], spec[512], message[512];
    struct images im;
    folder_open(&f);
    const struct {
        const char *format, *name, *says;
        bool folder;
    } cases[] = {
        { "cifar10", "data_batch_1",
          "%s holds data_batch_1, which is another version of CIFAR-10: the binary version is "
          "wanted, the folder cifar-10-batches-bin of cifar-10-binary.tar.gz",
          false },
        { "cifar100", "train",
          "%s holds train, which is another version of CIFAR-100: the binary version is wanted, the "
          "folder cifar-100-binary of cifar-100-binary.tar.gz",
          false },
        { "cifar10", "cifar-10-batches-py",
          "%s holds cifar-10-batches-py, which is another version of CIFAR-10: the "
          "binary version is wanted, the folder cifar-10-batches-bin of "
          "cifar-10-binary.tar.gz",
          true },
        { "cifar10", "cifar-10-binary.tar.gz",
          "%s holds cifar-10-binary.tar.gz: unpack it and give the folder "
          "cifar-10-batches-bin",
          false },
        { "cifar10", "train.bin", "%s holds no CIFAR-10: format = \"cifar100\" reads what is there", false },
        { "cifar100", "data_batch_1.bin", "%s holds no CIFAR-100: format = \"cifar10\" reads what is there", false },
        { "cifar10", "readme.html",
          "%s has no test_batch.bin: the folder of CIFAR-10's binary version is wanted, "
          "cifar-10-batches-bin",
          false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", f.path, cases[i].name);
        if (cases[i].folder)
            assert_int_equal(mkdir(path, 0777), 0);
        else
            put(&f, cases[i].name, "x", 1);
        int n = snprintf(message, sizeof message, "%s: ", cases[i].format);
        snprintf(message + n, sizeof message - (size_t)n, cases[i].says, f.path);
        snprintf(spec, sizeof spec, "{\"format\":\"%s\",\"path\":\"%s\"}", cases[i].format, f.path);
        refused(spec, message, true);
        assert_int_equal(remove(path), 0);
    }
    put(&f, "cifar-10-python.tar.gz", "x", 1);
    snprintf(message, sizeof message,
             "cifar10: %s/cifar-10-python.tar.gz is an archive: unpack that of the binary version, "
             "cifar-10-binary.tar.gz, and give the folder cifar-10-batches-bin",
             f.path);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s/cifar-10-python.tar.gz\"}", f.path);
    refused(spec, message, true);
    assert_in_range(snprintf(inner.path, sizeof inner.path, "%s/cifar-10-batches-bin", f.path), 1,
                    sizeof inner.path - 1);
    assert_int_equal(mkdir(inner.path, 0777), 0);
    copy_cifar10(&inner);
    snprintf(message, sizeof message,
             "cifar10: %s/test_batch.bin is not a folder: the one with test_batch.bin is wanted, "
             "cifar-10-batches-bin",
             inner.path);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s/test_batch.bin\"}", inner.path);
    refused(spec, message, true);
    snprintf(spec, sizeof spec, "{\"format\":\"cifar10\",\"path\":\"%s\"}", f.path);
    read_set(spec, &im);
    assert_int_equal(im.n, 10);
    images_fini(&im);
    assert_true(same_fingerprint(spec, CIFAR10));
    folder_close(&f);
}

static void refuses_broken_npy(void **state)
{
    (void)state;
#define NPY(more) "{\"format\":\"npy\",\"path\":\"" SETS more "}"
    refused(NPY("float.npy\""), "npy: " SETS "float.npy holds float32: images of a data set are integers of 0 to 255",
            true);
    refused(NPY("two_channels.npy\""),
            "npy: " SETS "two_channels.npy has 2 channels, but images have 3 or 1; channels "
            "last need layout = \"hwc\"",
            true);
    refused(NPY("chw.npy\",\"layout\":\"hwc\""), "npy: " SETS "chw.npy has 6 channels, but images have 3 or 1", true);
    refused(NPY("labels_u8.npy\""),
            "npy: " SETS "labels_u8.npy: images have 4 axes (or 3 if they are grey); this has the shape (4,)", true);
    refused(NPY("chw.npy\",\"labels\":\"" SETS "labels_short.npy\""),
            "npy: " SETS
            "labels_short.npy must have one axis of 4 labels, as many as there are images; its shape is (3,)",
            true);
    refused(NPY("chw.npy\",\"labels\":\"" SETS "float.npy\""),
            "npy: " SETS "float.npy holds float32: labels are integers", true);
    unplanned(NPY("chw.npy\",\"labels\":\"" SETS "labels_below.npy\""),
              "npy: " SETS "labels_below.npy: label -2 of image 2 is out of range: labels count from 0, -1 is none");
    unplanned(NPY("beyond.npy\""), "npy: " SETS "beyond.npy: element [1, 2, 1, 3] is 256, not 0 to 255");
    struct err err;
    struct images im;
    cJSON *spec = parse(NPY("none.npy\""));
    assert_int_equal(dataset_describe(spec, &im, &err), -1);
    assert_non_null(strstr(err.text, "none.npy"));
    cJSON_Delete(spec);
    char *bytes = NULL; /* a file that ends early */
    size_t n;
    struct folder f;
    folder_open(&f);
    assert_int_equal(fs_read(SETS "chw.npy", &bytes, &n, &err), 0);
    put(&f, "cut.npy", bytes, n - 1);
    mem_free(bytes);
    spec = parse(with_path("{\"format\":\"npy\",\"path\":\"%s/cut.npy\"}", f.path));
    assert_int_equal(dataset_describe(spec, &im, &err), -1);
    assert_non_null(strstr(err.text, "cut.npy"));
    cJSON_Delete(spec);
    folder_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_cifar10),      cmocka_unit_test(reads_cifar100),
        cmocka_unit_test(reads_npy),          cmocka_unit_test(reads_missing_labels),
        cmocka_unit_test(finds_the_folder),   cmocka_unit_test(refuses_broken_cifar),
        cmocka_unit_test(refuses_broken_npy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
