/* Images from a NumPy array: whatever a user can load, dinf can read. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "data/dataset.h"
#include "data/file_hash.h"
#include "store/matrix_file.h"

struct options {
    char path[OPTION_TEXT];
    char labels[OPTION_TEXT];
    char layout[OPTION_NAME];
};

static const char *const layouts[] = { "chw", "hwc", NULL };

static const struct option options[] = {
    { "path", OPTION_STRING, offsetof(struct options, path), NULL, 0, 0, NULL, NULL,
      "uint8 array (n, 3, h, w), (n, 1, h, w) or (n, h, w); with layout hwc (n, h, w, 3) or (n, h, w, 1)" },
    { "labels", OPTION_STRING, offsetof(struct options, labels), "", 0, 0, NULL, NULL,
      "int64 or uint8 array (n) of labels; empty: none" },
    { "layout", OPTION_CHOICE, offsetof(struct options, layout), "chw", 0, 0, layouts, NULL,
      "order of the axes after the first" },
    OPTION_END,
};

enum { SIDE_MAX = 4096 };

/* Strides, in elements, of (n, c, h, w) in the file; channels as stored. */
struct geometry {
    int64_t n, c, h, w, step_c, step_h, step_w;
};

static int geometry_of(const struct options *o, const struct npy *a, struct geometry *g, struct err *err)
{
    *g = (struct geometry){ 0 };
    bool last = strcmp(o->layout, "hwc") == 0;
    if (a->type != NPY_U8)
        return err_set(err, "%s must hold uint8 (0 to 255)", o->path);
    if (a->rank != 3 && a->rank != 4)
        return err_set(err, "%s has %d axes, but images have 4 (or 3 if they are grey)", o->path, a->rank);
    g->n = a->dims[0];
    g->c = a->rank == 3 ? 1 : a->dims[last ? 3 : 1];
    g->h = a->dims[a->rank == 3 || last ? 1 : 2];
    g->w = a->dims[a->rank == 3 || last ? 2 : 3];
    if (g->c != 1 && g->c != 3)
        return err_set(err, "%s has %" PRId64 " channels, but images have 3 or 1%s", o->path, g->c,
                       last ? "" : "; channels last need layout = \"hwc\"");
    if (g->n < 1 || g->h < 1 || g->w < 1)
        return err_set(err, "%s holds no images", o->path);
    if (g->n > INT32_MAX || g->h > SIDE_MAX || g->w > SIDE_MAX)
        return err_set(err, "%s is too large: at most %d images of %d x %d pixels", o->path, INT32_MAX, SIDE_MAX,
                       SIDE_MAX);
    g->step_c = last ? 1 : g->h * g->w;
    g->step_w = last ? g->c : 1;
    g->step_h = g->w * g->step_w;
    return 0;
}

static int check_labels(const struct options *o, const struct npy *a, int64_t n, struct err *err)
{
    if (a->type != NPY_I64 && a->type != NPY_U8)
        return err_set(err, "%s must hold int64 or uint8 labels", o->labels);
    if (a->rank != 1 || a->dims[0] != n)
        return err_set(err, "%s must have one axis of %" PRId64 " labels, as many as there are images", o->labels, n);
    return 0;
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
    struct npy a = { 0 };
    int rc = -1;
    if (npy_read(o->labels, &a, err) != 0)
        return -1;
    out->labels = mem_alloc((size_t)out->n, sizeof *out->labels, err);
    if (out->labels == NULL || check_labels(o, &a, stored, err) != 0)
        goto out;
    for (int64_t i = 0; i < out->n; i++) {
        int64_t at = wanted != NULL ? wanted[i] : i;
        int64_t label = a.type == NPY_I64 ? ((const int64_t *)a.data)[at] : ((const uint8_t *)a.data)[at];
        if (label < 0 || label > INT32_MAX) {
            err_set(err, "%s: label %" PRId64 " of image %" PRId64 " is out of range", o->labels, label, at);
            goto out;
        }
        out->labels[i] = (int32_t)label;
    }
    rc = 0;
out:
    mem_free(a.data);
    return rc;
}

static int read_images(const void *in, const int64_t *wanted, int64_t n, struct images *out, struct err *err)
{
    const struct options *o = in;
    struct npy a = { 0 };
    struct geometry g;
    int rc = -1;
    *out = (struct images){ 0 };
    if (npy_read(o->path, &a, err) != 0)
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

static int parts(const void *in, struct dataset_part *out, int *n, struct err *err)
{
    const struct options *o = in;
    struct images shape;
    char file_hex[HASH_HEX];
    out[0].labels[0] = 0;
    if (describe(in, &shape, err) != 0 || file_hash(o->path, file_hex, err) != 0 ||
        (o->labels[0] && file_hash(o->labels, out[0].labels, err) != 0))
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
    .help = "images in a NumPy file, uint8",
    .options = options,
    .options_size = sizeof(struct options),
    .describe = describe,
    .read = read_images,
    .parts = parts,
};
