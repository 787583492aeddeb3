/* CIFAR-100 binary: train.bin and test.bin, coarse and fine label; the fine one
 * counts. */
#include <stddef.h>

#include "data/readers/cifar.h"

static const struct option options[] = {
    { "path", OPTION_STRING, offsetof(struct cifar_options, path), NULL, 0, 0, NULL, NULL,
      "folder with train.bin and test.bin, or that which holds cifar-100-binary" },
    { "split", OPTION_CHOICE, offsetof(struct cifar_options, split), "train", 0, 0, cifar_splits, NULL,
      "which files; all: those of train, then those of test" },
    { "classes", OPTION_INT, offsetof(struct cifar_options, classes), "100", 1, 256, NULL, NULL,
      "fine labels must be below this" },
    OPTION_END,
};

static const struct cifar_variant variant = {
    .train = { "train.bin" },
    .n_train = 1,
    .test = "test.bin",
    .label_bytes = 2,
    .name = "CIFAR-100",
    .folder = "cifar-100-binary",
    .archive = "cifar-100-binary.tar.gz",
    .foreign = { "train", "test", "train.mat", "cifar-100-python", "cifar-100-matlab", "cifar-100-python.tar.gz",
                 "cifar-100-matlab.tar.gz" },
    .other = "cifar10",
    .other_file = "data_batch_1.bin",
};

static int describe(const void *in, struct images *shape, struct err *err)
{
    struct cifar_files f;
    return cifar_open(&variant, in, &f, shape, err);
}

static int read_images(const void *in, const int64_t *wanted, int64_t n, struct images *out, struct err *err)
{
    struct cifar_files f;
    struct images shape;
    return cifar_open(&variant, in, &f, &shape, err) == 0 ? cifar_read(&f, wanted, n, out, err) : -1;
}

static int parts(const void *in, struct dataset_part *out, int *n, struct err *err)
{
    struct cifar_files f;
    struct images shape;
    return cifar_open(&variant, in, &f, &shape, err) == 0 ? cifar_parts(&f, out, n, err) : -1;
}

const struct dataset_format dataset_format_cifar100 = {
    .name = "cifar100",
    .help = "CIFAR-100 binary files: coarse and fine label byte, then the image",
    .options = options,
    .options_size = sizeof(struct cifar_options),
    .describe = describe,
    .read = read_images,
    .parts = parts,
};
