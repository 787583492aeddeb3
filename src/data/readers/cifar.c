/* What CIFAR-10 and CIFAR-100 share: files of fixed records. */
#include "data/readers/cifar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "data/file_hash.h"
#include "data/known.h"

const char *const cifar_splits[] = { "train", "test", "all", NULL };

/* Number of records in `size` bytes. */
static int count_records(int64_t size, int label_bytes, const char *what, int64_t *n, struct err *err)
{
    int64_t record = label_bytes + CIFAR_PIXELS;
    if (size == 0)
        return err_set(err, "%s is empty", what);
    if (size % record != 0)
        return err_set(err,
                       "%s has %" PRId64 " bytes, which is not a whole number of records of %" PRId64
                       ": it is truncated or of another format",
                       what, size, record);
    *n = size / record;
    return 0;
}

/* Adds DIR/NAME. */
static int add_file(struct cifar_files *f, const char *dir, const char *name, struct images *shape, struct err *err)
{
    int i = f->n_files++;
    struct stat st;
    if (fs_path(f->path[i], CIFAR_PATH, err, "%s/%s", dir, name) != 0)
        return -1;
    if (stat(f->path[i], &st) != 0)
        return err_errno(err, "cannot open %s", f->path[i]);
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s is not a file", f->path[i]);
    if (count_records(st.st_size, f->label_bytes, f->path[i], &f->n[i], err) != 0)
        return -1;
    shape->n += f->n[i];
    if (shape->n > INT32_MAX)
        return err_set(err, "the files up to %s hold %" PRId64 " images: at most %d", f->path[i], shape->n, INT32_MAX);
    return 0;
}

int cifar_open(const struct cifar_variant *v, const struct cifar_options *o, struct cifar_files *f,
               struct images *shape, struct err *err)
{
    *f = (struct cifar_files){ .label_bytes = v->label_bytes, .classes = (int)o->classes };
    *shape = (struct images){ .c = 3, .h = CIFAR_SIDE, .w = CIFAR_SIDE };
    char folder[CIFAR_PATH];
    if (cifar_folder(v, o->path, folder, err) != 0)
        return -1;
    if (strcmp(o->split, "test") != 0)
        for (int i = 0; i < v->n_train; i++)
            if (add_file(f, folder, v->train[i], shape, err) != 0)
                return -1;
    return strcmp(o->split, "train") != 0 ? add_file(f, folder, v->test, shape, err) : 0;
}

static int check_label(int label, int classes, const char *what, int64_t number, struct err *err)
{
    if (label < classes)
        return 0;
    return err_set(err, "%s: record %" PRId64 " has label %d, but the set has classes = %d", what, number, label,
                   classes);
}

static int take_record(const uint8_t *record, int label_bytes, int classes, const char *what, int64_t number,
                       uint8_t *pixels, int32_t *label, struct err *err)
{
    *label = record[label_bytes - 1];
    if (check_label(*label, classes, what, number, err) != 0)
        return -1;
    memcpy(pixels, record + label_bytes, CIFAR_PIXELS);
    return 0;
}

static int images_alloc(struct images *im, int64_t n, struct err *err)
{
    *im = (struct images){ .n = n, .c = 3, .h = CIFAR_SIDE, .w = CIFAR_SIDE };
    im->pixels = mem_alloc((size_t)n, CIFAR_PIXELS, err);
    im->labels = mem_alloc((size_t)n, sizeof *im->labels, err);
    if (im->pixels != NULL && im->labels != NULL)
        return 0;
    images_fini(im);
    return -1;
}

int cifar_parse(const uint8_t *bytes, size_t size, const char *what, int label_bytes, int classes, struct images *out,
                struct err *err)
{
    int64_t n = 0;
    if (count_records((int64_t)size, label_bytes, what, &n, err) != 0 || images_alloc(out, n, err) != 0)
        return -1;
    size_t record = (size_t)label_bytes + CIFAR_PIXELS;
    for (int64_t i = 0; i < n; i++)
        if (take_record(bytes + (size_t)i * record, label_bytes, classes, what, i, out->pixels + i * CIFAR_PIXELS,
                        &out->labels[i], err) != 0) {
            images_fini(out);
            return -1;
        }
    return 0;
}

/* The whole file, which cifar_open has measured before. */
static int load(const struct cifar_files *f, int i, struct images *im, struct err *err)
{
    char *bytes = NULL;
    size_t size = 0;
    if (fs_read(f->path[i], &bytes, &size, err) != 0)
        return -1;
    int rc = cifar_parse((const uint8_t *)bytes, size, f->path[i], f->label_bytes, f->classes, im, err);
    mem_free(bytes);
    if (rc == 0 && im->n != f->n[i]) {
        images_fini(im);
        return err_set(err, "%s changed while it was read", f->path[i]);
    }
    return rc;
}

int cifar_read(const struct cifar_files *f, const int64_t *wanted, int64_t n, struct images *out, struct err *err)
{
    int64_t total = 0, begin = 0;
    for (int i = 0; i < f->n_files; i++)
        total += f->n[i];
    if (images_alloc(out, wanted != NULL ? n : total, err) != 0)
        return -1;
    for (int i = 0; i < f->n_files; begin += f->n[i++]) {
        struct images im;
        if (load(f, i, &im, err) != 0) {
            images_fini(out);
            return -1;
        }
        for (int64_t k = 0; k < out->n; k++) {
            int64_t index = (wanted != NULL ? wanted[k] : k) - begin;
            if (index < 0 || index >= im.n)
                continue;
            memcpy(out->pixels + k * CIFAR_PIXELS, im.pixels + index * CIFAR_PIXELS, CIFAR_PIXELS);
            out->labels[k] = im.labels[index];
        }
        images_fini(&im);
    }
    return 0;
}

/* Every label of file i, before a campaign starts on it. */
static int check_labels(const struct cifar_files *f, int i, struct err *err)
{
    int64_t record = f->label_bytes + CIFAR_PIXELS;
    int rc = 0, fd = open(f->path[i], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", f->path[i]);
    for (int64_t k = 0; rc == 0 && k < f->n[i]; k++) {
        uint8_t label;
        if (pread(fd, &label, 1, (off_t)(k * record + f->label_bytes - 1)) != 1)
            rc = err_set(err, "cannot read record %" PRId64 " of %s", k, f->path[i]);
        else
            rc = check_label(label, f->classes, f->path[i], k, err);
    }
    close(fd);
    return rc;
}

int cifar_parts(const struct cifar_files *f, struct dataset_part *parts, int *n, struct err *err)
{
    char what[32];
    snprintf(what, sizeof what, "label %d below %d", f->label_bytes, f->classes);
    for (int i = 0; i < f->n_files; i++) {
        if (file_hash(f->path[i], parts[i].hex, err) != 0)
            return -1;
        if (!known_good(parts[i].hex, what)) {
            if (check_labels(f, i, err) != 0)
                return -1;
            known_add(parts[i].hex, what);
        }
        parts[i].labels[0] = 0;
        parts[i].begin = 0;
        parts[i].n = f->n[i];
    }
    *n = f->n_files;
    return 0;
}
