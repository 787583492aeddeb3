/* CIFAR-10 binary: data_batch_1..5.bin and test_batch.bin, one label byte. Also
 * the form in which generated and converted sets are written. */
#include <stddef.h>

#include "data/readers/cifar.h"

static const struct option options[] = {
    { "path", OPTION_STRING, offsetof(struct cifar_options, path), NULL, 0, 0, NULL, NULL,
      "folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or that which holds cifar-10-batches-bin" },
    { "split", OPTION_CHOICE, offsetof(struct cifar_options, split), "train", 0, 0, cifar_splits, NULL,
      "which files; all: those of train, then those of test" },
    { "classes", OPTION_INT, offsetof(struct cifar_options, classes), "10", 1, 256, NULL, NULL,
      "labels must be below this; more than 10 for sets in the same form" },
    OPTION_END,
};

static const struct cifar_variant variant = {
    .train = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin" },
    .n_train = 5,
    .test = "test_batch.bin",
    .label_bytes = 1,
    .name = "CIFAR-10",
    .folder = "cifar-10-batches-bin",
    .archive = "cifar-10-binary.tar.gz",
    .foreign = { "data_batch_1", "test_batch", "data_batch_1.mat", "cifar-10-batches-py", "cifar-10-batches-mat",
                 "cifar-10-python.tar.gz", "cifar-10-matlab.tar.gz" },
    .other = "cifar100",
    .other_file = "train.bin",
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

const struct dataset_format dataset_format_cifar10 = {
    .name = "cifar10",
    .help = "CIFAR-10 binary files: one label byte, then the image",
    .options = options,
    .options_size = sizeof(struct cifar_options),
    .describe = describe,
    .read = read_images,
    .parts = parts,
};
