/* Subsets, unions, identity and overlap, on the tiny sets of make_sets.py. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/resize.h"
#include "unit/data/fixture.h"

#define SUBSET(seed, begin, count)                                                                                     \
    "{\"of\":" CIFAR10_ALL ",\"seed\":" #seed ",\"begin\":" #begin ",\"count\":" #count "}"

static void subset_in_stored_order(void **state)
{
    (void)state;
    struct images im;
    read_set(SUBSET(-1, 3, 4), &im);
    assert_int_equal(im.n, 4);
    for (int i = 0; i < 4; i++)
        check_image(&im, i, 3 + i);
    images_fini(&im);
    read_set("{\"of\":" CIFAR10_ALL ",\"begin\":5}", &im); /* to the end */
    assert_int_equal(im.n, 7);
    check_image(&im, 6, 11);
    images_fini(&im);
}

static void seeded_subsets(void **state)
{
    (void)state;
    struct images all, first, rest, other;
    int seen = 0, order = 0, differs = 0;
    read_set(SUBSET(5, 0, 12), &all);
    read_set(SUBSET(5, 0, 7), &first);
    read_set(SUBSET(5, 7, 0), &rest);
    read_set(SUBSET(6, 0, 12), &other);
    assert_int_equal(rest.n, 5);
    for (int i = 0; i < 12; i++) {
        int number = number_of(&all, i);
        check_image(&all, i, number);
        seen |= 1 << number;
        order += number != i;
        differs += number != number_of(&other, i);
        assert_int_equal(number, i < 7 ? number_of(&first, i) : number_of(&rest, i - 7)); /* prefix, disjoint */
    }
    assert_int_equal(seen, 0xFFF);
    assert_true(order > 4 && differs > 4);
    images_fini(&all);
    images_fini(&first);
    images_fini(&rest);
    images_fini(&other);
}

/* make_sets.py's order and fingerprints: a run's identities and splits stay what they were. */
static void golden_identity(void **state)
{
    (void)state;
    char hex[HASH_HEX], want[HASH_HEX];
    struct images im;
    FILE *f = fopen(TEST_DATA "/golden/data/identity.txt", "r");
    assert_non_null(f);
    read_set(SUBSET(5, 0, 12), &im);
    for (int i = 0; i < 12; i++) {
        int number;
        assert_int_equal(fscanf(f, "%d", &number), 1);
        assert_int_equal(number_of(&im, i), number);
    }
    images_fini(&im);
    assert_int_equal(fscanf(f, "%64s", want), 1);
    fingerprint(SUBSET(5, 0, 12), hex);
    assert_string_equal(hex, want);
    assert_int_equal(fscanf(f, "%64s", want), 1);
    fingerprint(
        "{\"of\":{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"split\":\"all\",\"size\":16},\"seed\":5}", hex);
    assert_string_equal(hex, want);
    fclose(f);
}

static void nested_and_united(void **state)
{
    (void)state;
    struct images im;
    read_set("{\"parts\":[" SUBSET(-1, 2, 2) ",{\"format\":\"cifar100\",\"path\":\"" SETS "cifar100\"},"
                                             "{\"of\":" SUBSET(-1, 4, 6) ",\"begin\":1,\"count\":2}]}",
             &im);
    static const int want[] = { 2, 3, 0, 1, 2, 5, 6 };
    assert_int_equal(im.n, 7);
    for (int i = 0; i < 7; i++)
        check_image(&im, i, want[i]);
    images_fini(&im);
    /* labels for some of the images are no labels */
    read_set("{\"parts\":[{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"labels\":\"" SETS "labels.npy\"},"
             "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\"}]}",
             &im);
    assert_int_equal(im.n, 8);
    assert_null(im.labels);
    check_image(&im, 6, 2);
    images_fini(&im);
    /* other shapes need a size */
    read_set("{\"parts\":[{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"size\":8},"
             "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"size\":8}]}",
             &im);
    assert_int_equal(im.n, 14);
    assert_int_equal(im.w, 8);
    images_fini(&im);
}

static void refuses(void **state)
{
    (void)state;
    refused(SUBSET(5, 7, 6), "a subset wants images 7 to 12 of a set that has 12", true);
    refused(SUBSET(-1, 13, 0), "a subset wants images 13 to 13 of a set that has 12", true);
    refused(SUBSET(-1, 12, 0), "a subset from image 12 to the end of a set of 12 is empty", true);
    refused(SUBSET(-2, 0, 1), "seed = -2 is out of bounds: it must be at least -1", true);
    refused("{\"of\":" CIFAR10 ",\"counts\":3}", "a data set has no option \"counts\"; did you mean \"count\"?", true);
    refused("{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"splt\":\"all\"}",
            "cifar10: a data set has no option \"splt\"; did you mean \"split\"?", true);
    refused("{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"xxxxxxxxxx\":\"all\"}",
            "cifar10: a data set has no option \"xxxxxxxxxx\"", true);
    refused("{\"format\":\"cifar11\"}", "there is no data format \"cifar11\"; did you mean \"cifar10\"?", true);
    refused("{\"format\":7}", "format of a data set must be a string", true);
    refused("{\"path\":\"x\"}", "a data set needs exactly one of \"format\", \"of\" and \"parts\"", true);
    refused("{\"of\":" CIFAR10 ",\"parts\":[]}", "a data set needs exactly one of \"format\", \"of\" and \"parts\"",
            true);
    refused("{\"parts\":[]}", "parts of a data set must be a list of one or more data sets", true);
    refused("{\"of\":\"members\"}", "a data set must be a group with \"format\", \"of\" or \"parts\"", true);
    refused("{\"parts\":[{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\"}," CIFAR10 "]}",
            "the parts of a data set have images of 5 x 6 and of 32 x 32 pixels; give them a size", true);
    char deep[4096] = "";
    for (int i = 0; i < 40; i++)
        strcat(deep, "{\"of\":");
    strcat(deep, CIFAR10);
    for (int i = 0; i < 40; i++)
        strcat(deep, "}");
    refused(deep, "data sets are nested more than 32 deep", true);
}

static void identity(void **state)
{
    (void)state;
    struct folder f;
    char elsewhere[256], elsewhere_all[256];
    folder_open(&f);
    copy_cifar10(&f);
    snprintf(elsewhere, sizeof elsewhere, "{\"format\":\"cifar10\",\"path\":\"%s\"}", f.path);
    snprintf(elsewhere_all, sizeof elsewhere_all, "{\"format\":\"cifar10\",\"path\":\"%s\",\"split\":\"all\"}", f.path);
    assert_true(same_fingerprint(CIFAR10, elsewhere)); /* whatever the path */
    assert_false(same_fingerprint(CIFAR10, CIFAR10_ALL));
    assert_true(same_fingerprint(CIFAR10, SUBSET(-1, 0, 10))); /* however it is put */
    assert_true(same_fingerprint("{\"parts\":[" SUBSET(-1, 0, 4) "," SUBSET(-1, 4, 6) "]}", elsewhere));
    assert_false(same_fingerprint("{\"parts\":[" SUBSET(-1, 4, 6) "," SUBSET(-1, 0, 4) "]}", elsewhere)); /* order */
    assert_false(same_fingerprint(SUBSET(-1, 0, 1), SUBSET(-1, 0, 2)));                                   /* how many */
    assert_false(same_fingerprint(SUBSET(1, 0, 5), SUBSET(2, 0, 5)));
    assert_true(same_fingerprint("{\"of\":" SUBSET(1, 0, 9) ",\"count\":5}", SUBSET(1, 0, 5)));
    assert_false(same_fingerprint(CIFAR10, "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"size\":16}"));
    assert_true(same_fingerprint(CIFAR10, "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"size\":32}"));
    assert_int_equal(overlap(CIFAR10, elsewhere), 10);
    /* one changed bit of one file */
    static uint8_t bytes[2 * 3073] = { 1 };
    put(&f, "data_batch_5.bin", bytes, sizeof bytes);
    assert_false(same_fingerprint(CIFAR10, elsewhere));
    assert_int_equal(overlap(CIFAR10, elsewhere), 8);
    assert_int_equal(overlap(CIFAR10_ALL, elsewhere_all), 10);
    folder_close(&f);
#define PROCEDURAL(more) "{\"format\":\"procedural\"" more "}"
    assert_true(same_fingerprint(PROCEDURAL(",\"count\":50"), "{\"of\":" PROCEDURAL("") ",\"count\":50}"));
    assert_false(same_fingerprint(PROCEDURAL(",\"seed\":1"), PROCEDURAL(",\"seed\":2")));
    assert_false(same_fingerprint(PROCEDURAL(",\"family\":1"), PROCEDURAL("")));
}

static void overlaps(void **state)
{
    (void)state;
    uint8_t in[8] = { [7] = 0xAA }; /* the last is nobody's to write */
    struct err err = { "" };
    cJSON *seven = parse(SUBSET(5, 0, 7)), *others = parse(SUBSET(5, 4, 5));
    assert_int_equal(dataset_shared(seven, others, in, &err), 0);
    for (int i = 0; i < 7; i++)
        assert_int_equal(in[i], i >= 4);
    assert_int_equal(in[7], 0xAA);
    cJSON_Delete(seven);
    cJSON_Delete(others);
    assert_int_equal(overlap(SUBSET(5, 0, 7), SUBSET(5, 7, 5)), 0);
    assert_int_equal(overlap(SUBSET(5, 0, 7), SUBSET(5, 4, 5)), 3);
    assert_int_equal(overlap(SUBSET(5, 0, 12), SUBSET(9, 0, 12)), 12);
    assert_int_equal(overlap(CIFAR10, CIFAR10_ALL), 10); /* train is in all */
    assert_int_equal(overlap(CIFAR10, "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"split\":\"test\"}"), 0);
    assert_int_equal(overlap(CIFAR10, "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\",\"size\":16}"), 10);
    assert_int_equal(overlap("{\"parts\":[" SUBSET(-1, 0, 4) "," SUBSET(-1, 0, 4) "]}", CIFAR10), 4); /* distinct */
    assert_int_equal(overlap(PROCEDURAL(",\"count\":50"), PROCEDURAL(",\"count\":80,\"begin\":30")), 20);
    assert_int_equal(overlap(PROCEDURAL(",\"count\":50"), PROCEDURAL(",\"count\":80,\"seed\":3")), 0);
}

static void labels_apart(void **state)
{
    (void)state;
#define CHW(more) "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\"" more "}"
    assert_int_equal(overlap(CHW(""), CHW(",\"labels\":\"" SETS "labels.npy\"")), 4); /* the same images */
    assert_false(same_fingerprint(CHW(""), CHW(",\"labels\":\"" SETS "labels.npy\"")));
    assert_false(
        same_fingerprint(CHW(",\"labels\":\"" SETS "labels_u8.npy\""), CHW(",\"labels\":\"" SETS "labels.npy\"")));
}

static void moments(void **state)
{
    (void)state;
    struct images im;
    float mean[3], std[3];
    read_set(CIFAR10, &im);
    images_moments(&im, mean, std);
    for (int c = 0; c < 3; c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < 10; i++)
            for (int p = 0; p < 1024; p++)
                sum += pixel(i, c, p / 32, p % 32) / 255.0;
        for (int i = 0; i < 10; i++)
            for (int p = 0; p < 1024; p++)
                squares += pow(pixel(i, c, p / 32, p % 32) / 255.0 - sum / 10240, 2);
        assert_float_equal(mean[c], sum / 10240, 1e-6);
        assert_float_equal(std[c], sqrt(squares / 10240), 1e-6);
    }
    images_fini(&im);
}

static struct resize_to target_of(const int32_t head[3], const int32_t to[2])
{
    return to[1] == 0 ? resize_square(to[0]) : resize_center(head[0], head[1], to[0], to[1]);
}

/* One case of resize.bin: bytes within one grey level of PIL's, which rounds twice, floats within 1e-5. */
static const char *check_resized(const uint8_t *source, const int32_t head[3], const char *at)
{
    struct err err;
    int32_t to[2];
    memcpy(to, at, sizeof to);
    at += sizeof to;
    const struct resize_to target = target_of(head, to);
    const size_t pixels = 3 * (size_t)head[0] * (size_t)head[1], n = 3 * (size_t)target.h * (size_t)target.w;
    struct resizer *r = resizer_create(head[0], head[1], &target, &err);
    uint8_t *bytes = mem_alloc(n, 1, &err);
    float *unit = mem_alloc(pixels, sizeof *unit, &err), *floats = mem_alloc(n, sizeof *floats, &err);
    assert_true(r != NULL && bytes != NULL && unit != NULL && floats != NULL);
    for (size_t i = 0; i < pixels; i++)
        unit[i] = (float)source[i] / 255.0f;
    resizer_bytes(r, source, 3, bytes);
    resizer_floats(r, unit, 3, floats);
    for (size_t i = 0; i < n; i++) {
        float want;
        memcpy(&want, at + n + i * sizeof want, sizeof want);
        bool nearest = fabs(bytes[i] - 255.0 * floats[i]) < 0.5 + 1e-3; /* rounded once */
        if (abs(bytes[i] - (uint8_t)at[i]) > 1 || fabsf(floats[i] - want) > 1e-5f || !nearest)
            fail_msg("side %d, cut %d, element %zu: %d and %g, not %d and %g", to[0], to[1], i, bytes[i],
                     (double)floats[i], (uint8_t)at[i], (double)want);
    }
    resizer_destroy(r);
    mem_free(bytes);
    mem_free(unit);
    mem_free(floats);
    return at + n * (1 + sizeof(float));
}

/* The same by a data set's size and crop: the source as a NumPy file. */
static const char *check_set(const uint8_t *source, const int32_t head[3], const char *at)
{
    struct folder f;
    struct images im;
    int32_t to[2];
    char spec[256];
    static uint8_t file[1 << 16];
    const size_t pixels = 3 * (size_t)head[0] * (size_t)head[1];
    memcpy(to, at, sizeof to);
    at += sizeof to;
    const int side = to[1] == 0 ? to[0] : to[1];
    const size_t n = 3 * (size_t)side * (size_t)side;
    enum { PREFIX = 10 };
    int header = snprintf((char *)file + PREFIX, sizeof file - PREFIX,
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, %d, %d)}", head[0], head[1]);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (uint8_t)header;
    header += PREFIX;
    assert_true((size_t)header + pixels <= sizeof file);
    memcpy(file + header, source, pixels);
    folder_open(&f);
    put(&f, "x.npy", file, (size_t)header + pixels);
    snprintf(spec, sizeof spec, "{\"format\":\"npy\",\"path\":\"%s/x.npy\",\"size\":%d,\"crop\":%d}", f.path, to[0],
             to[1]);
    read_set(spec, &im);
    assert_true(im.n == 1 && im.h == side && im.w == side);
    for (size_t i = 0; i < n; i++)
        if (abs(im.pixels[i] - (uint8_t)at[i]) > 1)
            fail_msg("size %d, crop %d, element %zu: %d, not %d", to[0], to[1], i, im.pixels[i], (uint8_t)at[i]);
    images_fini(&im);
    folder_close(&f);
    return at + n * (1 + sizeof(float));
}

/* Against PIL and torchvision (make_sets.py). */
static void resizes(void **state)
{
    (void)state;
    struct err err;
    char *file = NULL;
    size_t n;
    int32_t head[3];
    assert_int_equal(fs_read(TEST_DATA "/golden/data/resize.bin", &file, &n, &err), 0);
    memcpy(head, file, sizeof head);
    const uint8_t *source = (const uint8_t *)file + sizeof head;
    const char *at = file + sizeof head + 3 * (size_t)head[0] * (size_t)head[1];
    assert_true(head[2] > 0);
    for (int k = 0; k < head[2]; k++) {
        assert_ptr_equal(check_set(source, head, at), check_resized(source, head, at));
        at = check_resized(source, head, at);
    }
    assert_ptr_equal(at, file + n);
    mem_free(file);
}

/* A set with a size holds what the resizer makes of the stored images. */
static void resizes_sets(void **state)
{
    (void)state;
    struct err err;
    struct images stored, sized;
    read_set("{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\"}", &stored);
    read_set("{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\",\"size\":4}", &sized);
    const struct resize_to to = resize_square(4);
    assert_int_equal(images_resize(&stored, &to, &err), 0);
    assert_true(sized.n == stored.n && sized.h == 4 && sized.w == 4);
    assert_memory_equal(sized.pixels, stored.pixels, (size_t)sized.n * 3 * 16);
    images_fini(&stored);
    images_fini(&sized);
}

/* Other pixels are another set, and the same ones are the same, however they are put. */
static void identity_of_crops(void **state)
{
    (void)state;
#define CUT(cut) "{\"format\":\"npy\",\"path\":\"" SETS "chw.npy\"" cut "}" /* of 5 x 6 */
#define SQUARE(cut) "{\"format\":\"cifar10\",\"path\":\"" SETS "cifar10\"" cut "}"
#define BOTH(a, b) "{\"parts\":[" a "," b "]}"
    static const char *const others[] = { CUT(",\"size\":4"), CUT(",\"size\":4,\"crop\":4"), CUT(",\"crop\":4"),
                                          CUT(",\"size\":6,\"crop\":4"), CUT(",\"size\":8,\"crop\":4") };
    enum { N = sizeof others / sizeof others[0] };
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            assert_int_equal(same_fingerprint(others[i], others[k]), i == k);
    assert_true(same_fingerprint(CUT(",\"crop\":4"), CUT(",\"size\":5,\"crop\":4")));
    assert_true(same_fingerprint(SQUARE(""), SQUARE(",\"crop\":32")));
    assert_true(same_fingerprint(SQUARE(",\"size\":16"), SQUARE(",\"size\":16,\"crop\":16")));
    assert_int_equal(overlap(SQUARE(""), SQUARE(",\"size\":40,\"crop\":32")), 10);
    /* parts of one set that are cut from different sizes */
    assert_false(same_fingerprint(BOTH(SQUARE(",\"size\":20,\"crop\":16"), SQUARE(",\"size\":24,\"crop\":16")),
                                  BOTH(SQUARE(",\"size\":24,\"crop\":16"), SQUARE(",\"size\":20,\"crop\":16"))));
    assert_false(same_fingerprint(BOTH("{\"of\":" SQUARE(",\"size\":20,\"crop\":16") ",\"count\":4}",
                                       "{\"of\":" SQUARE(",\"size\":24,\"crop\":16") ",\"begin\":4}"),
                                  SQUARE(",\"size\":24,\"crop\":16")));
    refused(CUT(",\"crop\":6"), "npy: crop = 6 is more than the 5 pixels of the shorter side", true);
    refused(CUT(",\"size\":4,\"crop\":5"), "npy: crop = 5 is more than the 4 pixels of the shorter side after size",
            true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subset_in_stored_order),
        cmocka_unit_test(seeded_subsets),
        cmocka_unit_test(golden_identity),
        cmocka_unit_test(nested_and_united),
        cmocka_unit_test(refuses),
        cmocka_unit_test(identity),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(labels_apart),
        cmocka_unit_test(moments),
        cmocka_unit_test(resizes),
        cmocka_unit_test(identity_of_crops),
        cmocka_unit_test(resizes_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
