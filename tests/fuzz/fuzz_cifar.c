/* CIFAR records. The first byte chooses the variant. */
#include "data/readers/cifar.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct images im = { 0 };
    struct err err = { "" };
    if (n == 0)
        return 0;
    int labels = bytes[0] & 1 ? 2 : 1, classes = bytes[0] & 2 ? 100 : bytes[0] & 4 ? 256 : 10;
    if (cifar_parse(bytes + 1, n - 1, "input", labels, classes, &im, &err) != 0) {
        FUZZ_CHECK(err.text[0] && !im.pixels && !im.labels);
        return 0;
    }
    FUZZ_CHECK((size_t)im.n * (size_t)(labels + CIFAR_PIXELS) == n - 1);
    for (int64_t i = 0; i < im.n; i++)
        FUZZ_CHECK(im.labels[i] >= 0 && im.labels[i] < classes);
    fuzz_touch(im.pixels, (size_t)im.n * CIFAR_PIXELS);
    images_fini(&im);
    return 0;
}
