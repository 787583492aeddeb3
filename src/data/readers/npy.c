/* Images from a NumPy array: whatever a user can load, dinf can read. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "data/dataset.h"
#include "data/file_hash.h"
#include "data/known.h"
#include "store/npy.h"

struct options {
    char path[OPTION_TEXT];
    char labels[OPTION_TEXT];
    char layout[OPTION_NAME];
};

static const char *const layouts[] = { "chw", "hwc", NULL };

static const struct option options[] = {
    { "path", OPTION_STRING, offsetof(struct options, path), NULL, 0, 0, NULL, NULL,
      "integers of 0 to 255, of any integer type: (n, 3, h, w), (n, 1, h, w) or (n, h, w); with layout hwc "
      "(n, h, w, 3) or (n, h, w, 1)" },
    { "labels", OPTION_STRING, offsetof(struct options, labels), "", 0, 0, NULL, NULL,
      "integers (n), of any integer type: labels that count from 0, -1 where an image has none; empty: none" },
    { "layout", OPTION_CHOICE, offsetof(struct options, layout), "chw", 0, 0, layouts, NULL,
      "order of the axes after the first" },
    OPTION_END,
};

/* Strides, in elements, of (n, c, h, w) in the file; channels as stored. */
struct geometry {
    int64_t n, c, h, w, step_c, step_h, step_w;
};

static int geometry_of(const struct options *o, const struct npy *a, struct geometry *g, struct err *err)
{
    *g = (struct geometry){ 0 };
    bool last = strcmp(o->layout, "hwc") == 0;
    char shape[NPY_SHAPE];
    npy_shape(a, shape);
    if (a->kind != NPY_INTEGER)
        return err_set(err, "%s holds %s: images of a data set are integers of 0 to 255", o->path, a->dtype);
    if (a->rank != 3 && a->rank != 4)
        return err_set(err, "%s: images have 4 axes (or 3 if they are grey); this has the shape %s", o->path, shape);
    g->n = a->dims[0];
    g->c = a->rank == 3 ? 1 : a->dims[last ? 3 : 1];
    g->h = a->dims[a->rank == 3 || last ? 1 : 2];
    g->w = a->dims[a->rank == 3 || last ? 2 : 3];
    if (g->c != 1 && g->c != 3)
        return err_set(err, "%s has %" PRId64 " channels, but images have 3 or 1%s", o->path, g->c,
                       last ? "" : "; channels last need layout = \"hwc\"");
    if (g->n < 1 || g->h < 1 || g->w < 1)
        return err_set(err, "%s holds no images: its shape is %s", o->path, shape);
    if (g->n > INT32_MAX || g->h > IMAGE_SIDE_MAX || g->w > IMAGE_SIDE_MAX)
        return err_set(err, "%s is too large: at most %d images of %d x %d pixels; its shape is %s", o->path, INT32_MAX,
                       IMAGE_SIDE_MAX, IMAGE_SIDE_MAX, shape);
    g->step_c = last ? 1 : g->h * g->w;
    g->step_w = last ? g->c : 1;
    g->step_h = g->w * g->step_w;
    return 0;
}

static int check_labels(const struct options *o, const struct npy *a, int64_t n, struct err *err)
{
    char shape[NPY_SHAPE];
    npy_shape(a, shape);
    if (a->kind == NPY_FLOAT)
        return err_set(err, "%s holds %s: labels are integers", o->labels, a->dtype);
    if (a->rank != 1 || a->dims[0] != n)
        return err_set(err, "%s must have one axis of %" PRId64 " labels, as many as there are images; its shape is %s",
                       o->labels, n, shape);
    return 0;
}

/* All labels of the file, in range; mem_free(out->data). */
static int load_labels(const struct options *o, int64_t n, struct npy *out, struct err *err)
{
    if (npy_read(o->labels, NPY_I64, out, err) != 0)
        return -1;
    const int64_t *label = out->data;
    int rc = check_labels(o, out, n, err);
    for (int64_t i = 0; rc == 0 && i < n; i++)
        if (label[i] < -1 || label[i] > INT32_MAX)
            rc = err_set(err,
                         "%s: label %" PRId64 " of image %" PRId64 " is out of range: labels count from 0, -1 is none",
                         o->labels, label[i], i);
    if (rc != 0)
        mem_free(out->data);
    return rc;
}

static int describe(const void *in, struct images *shape, struct err *err)
{
    const struct options *o = in;
    struct npy a;
    struct geometry g;
    if (npy_describe(o->path, &a, err) != 0 || geometry_of(o, &a, &g, err) != 0)
        return -1;
    shape->n = g.n;
    shape->c = 3;
    shape->h = (int)g.h;
    shape->w = (int)g.w;
    if (!o->labels[0])
        return 0;
    return npy_describe(o->labels, &a, err) == 0 ? check_labels(o, &a, g.n, err) : -1;
}

static int read_labels(const struct options *o, int64_t stored, const int64_t *wanted, struct images *out,
                       struct err *err)
{
    struct npy a;
    if (load_labels(o, stored, &a, err) != 0)
        return -1;
    out->labels = mem_alloc((size_t)out->n, sizeof *out->labels, err);
    for (int64_t i = 0; out->labels != NULL && i < out->n; i++)
        out->labels[i] = (int32_t)((const int64_t *)a.data)[wanted != NULL ? wanted[i] : i];
    mem_free(a.data);
    return out->labels == NULL ? -1 : 0;
}

static int read_images(const void *in, const int64_t *wanted, int64_t n, struct images *out, struct err *err)
{
    const struct options *o = in;
    struct npy a = { 0 };
    struct geometry g;
    int rc = -1;
    *out = (struct images){ 0 };
    if (npy_describe(o->path, &a, err) != 0 || geometry_of(o, &a, &g, err) != 0 ||
        npy_read(o->path, NPY_U8, &a, err) != 0)
        return -1;
    if (geometry_of(o, &a, &g, err) != 0)
        goto out;
    out->n = wanted != NULL ? n : g.n;
    out->c = 3;
    out->h = (int)g.h;
    out->w = (int)g.w;
    out->pixels = mem_alloc((size_t)out->n, 3 * (size_t)g.h * (size_t)g.w, err);
    if (out->pixels == NULL)
        goto out;
    uint8_t *to = out->pixels;
    for (int64_t i = 0; i < out->n; i++) {
        int64_t at = wanted != NULL ? wanted[i] : i;
        if (at >= g.n) {
            err_set(err, "%s changed while it was read", o->path);
            goto out;
        }
        const uint8_t *image = (const uint8_t *)a.data + at * g.c * g.h * g.w;
        for (int64_t c = 0; c < 3; c++)
            for (int64_t y = 0; y < g.h; y++)
                for (int64_t x = 0; x < g.w; x++)
                    *to++ = image[(g.c == 1 ? 0 : c * g.step_c) + y * g.step_h + x * g.step_w];
    }
    rc = o->labels[0] ? read_labels(o, g.n, wanted, out, err) : 0;
out:
    mem_free(a.data);
    if (rc != 0)
        images_fini(out);
    return rc;
}

/* Values that only reading can tell: before a campaign starts on them. */
static int check_values(const struct options *o, int64_t n, const char *pixels_hex, const char *labels_hex,
                        struct err *err)
{
    struct npy a;
    if (npy_describe(o->path, &a, err) != 0)
        return -1;
    if (strcmp(a.dtype, "uint8") != 0 && !known_good(pixels_hex, "pixels")) {
        if (npy_read(o->path, NPY_U8, &a, err) != 0)
            return -1;
        mem_free(a.data);
        known_add(pixels_hex, "pixels");
    }
    if (labels_hex[0] != '\0' && !known_good(labels_hex, "labels")) {
        if (load_labels(o, n, &a, err) != 0)
            return -1;
        mem_free(a.data);
        known_add(labels_hex, "labels");
    }
    return 0;
}

static int parts(const void *in, struct dataset_part *out, int *n, struct err *err)
{
    const struct options *o = in;
    struct images shape;
    char file_hex[HASH_HEX];
    out[0].labels[0] = 0;
    if (describe(in, &shape, err) != 0 || file_hash(o->path, file_hex, err) != 0 ||
        (o->labels[0] && file_hash(o->labels, out[0].labels, err) != 0) ||
        check_values(o, shape.n, file_hex, out[0].labels, err) != 0)
        return -1;
    struct hash *h = hash_create(err);
    if (h == NULL)
        return -1;
    hash_add_string(h, file_hex);
    hash_add_string(h, o->layout);
    if (hash_finish(h, out[0].hex, err) != 0)
        return -1;
    out[0].begin = 0;
    out[0].n = shape.n;
    *n = 1;
    return 0;
}

const struct dataset_format dataset_format_npy = {
    .name = "npy",
    .help = "images in a NumPy file, integers of 0 to 255",
    .options = options,
    .options_size = sizeof(struct options),
    .describe = describe,
    .read = read_images,
    .parts = parts,
};
