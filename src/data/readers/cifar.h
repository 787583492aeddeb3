/* CIFAR binary files: records of `label_bytes` labels and a 3 x 32 x 32 image,
 * R, G, B planes, row-major (https://www.cs.toronto.edu/~kriz/cifar.html). */
#ifndef DINF_DATA_READERS_CIFAR_H
#define DINF_DATA_READERS_CIFAR_H

#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

enum {
    CIFAR_SIDE = 32,
    CIFAR_PIXELS = 3 * CIFAR_SIDE * CIFAR_SIDE,
    CIFAR_FILES_MAX = 8,
    CIFAR_PATH = 1024,
    CIFAR_FOREIGN_MAX = 8
};

/* Options of both formats. */
struct cifar_options {
    char path[OPTION_TEXT];
    char split[OPTION_NAME];
    int64_t classes;
};
extern const char *const cifar_splits[]; /* "train", "test", "all": train, then test */

/* Which files a format has. */
struct cifar_variant {
    const char *train[CIFAR_FILES_MAX - 1];
    int n_train;
    const char *test;
    int label_bytes;                     /* the last of them is the label */
    const char *name, *folder, *archive; /* of the set, of its binary version unpacked and packed */
    /* What the same set's other versions have: in their folders, those folders, packed. */
    const char *foreign[CIFAR_FOREIGN_MAX + 1];
    const char *other, *other_file; /* the format of another set, and a file that tells it */
};

/* The folder with the files: `path`, or its subfolder of the variant's name. What people give
 * in its place is named for what it is. */
int cifar_folder(const struct cifar_variant *v, const char *path, char out[CIFAR_PATH], struct err *err);

/* The files of a split, in order, and how to read their records. */
struct cifar_files {
    char path[CIFAR_FILES_MAX][CIFAR_PATH];
    int64_t n[CIFAR_FILES_MAX]; /* records */
    int n_files, label_bytes;
    int classes; /* labels must be below */
};

/* Finds the split's files and counts their whole records; missing, empty and
 * truncated files are errors. */
int cifar_open(const struct cifar_variant *v, const struct cifar_options *o, struct cifar_files *f,
               struct images *shape, struct err *err);
/* As dataset_format's read and parts; both refuse labels that are not below `classes`. */
int cifar_read(const struct cifar_files *f, const int64_t *wanted, int64_t n, struct images *out, struct err *err);
int cifar_parts(const struct cifar_files *f, struct dataset_part *parts, int *n, struct err *err);

/* Whole records from memory: a file's bytes, `what` its name in messages. Fills
 * pixels (n, 3, 32, 32) and labels (n) of a fresh `out`. */
int cifar_parse(const uint8_t *bytes, size_t size, const char *what, int label_bytes, int classes, struct images *out,
                struct err *err);

#endif
