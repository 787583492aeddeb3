/* dinf embed: representations of images by somebody's weights. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "device/device.h"
#include "nn/embed_plain.h"
#include "nn/nn.h"
#include "store/matrix_file.h"

struct embed_options {
    char weights[OPTION_TEXT], images[OPTION_TEXT], out[OPTION_TEXT];
    char arch[OPTION_TEXT], stem[OPTION_NAME], strip[OPTION_TEXT], device[OPTION_TEXT];
    struct string_list rename;
    double width, mean[3], std[3];
    int64_t size, batch, threads;
};

#define OPTION(name, type, preset, min, max, choices, unit, help)                                                      \
    OPTION_OF(struct embed_options, name, type, preset, min, max, choices, unit, help)
static const struct option options[] = {
    OPTION(weights, OPTION_STRING, NULL, 0, 0, NULL, NULL, "safetensors file, torchvision's tensor names"),
    OPTION(images, OPTION_STRING, NULL, 0, 0, NULL, NULL,
           ".npy: uint8 (n, 3, h, w) or (n, h, w, 3); or float32 (n, 3, h, w), already normalised, used as it is"),
    OPTION(out, OPTION_STRING, NULL, 0, 0, NULL, NULL, ".npy to write: float32 (n, dim)"),
    OPTION(arch, OPTION_STRING, "", 0, 0, NULL, NULL, "see `dinf list archs`; not needed for encoders written by dinf"),
    OPTION_ROW_STEM(offsetof(struct embed_options, stem)),
    OPTION_ROW_WIDTH(offsetof(struct embed_options, width)),
    OPTION_ROW_STRIP(offsetof(struct embed_options, strip)),
    OPTION_ROW_RENAME(offsetof(struct embed_options, rename)),
    OPTION(size, OPTION_INT, "0", 0, 4096, NULL, "pixels",
           "resize uint8 images to this, antialiased bilinear; 0: as they are"),
    OPTION_ROW_MEAN(offsetof(struct embed_options, mean)),
    OPTION_ROW_STD(offsetof(struct embed_options, std)),
    OPTION(batch, OPTION_INT, "64", 1, 65536, NULL, "images", "images at a time"),
    OPTION(threads, OPTION_INT, "0", 0, 4096, NULL, NULL, "0: all processors"),
    OPTION(device, OPTION_STRING, "auto", 0, 0, NULL, NULL, "see `dinf list devices`"),
    OPTION_END,
};
enum { OPTIONS = sizeof options / sizeof *options };

/* (n, h, w, 3) to (n, 3, h, w); the new pixels replace the old. */
static int planes_first(struct npy *im, struct err *err)
{
    const uint8_t *from = im->data;
    size_t n = (size_t)im->dims[0], hw = (size_t)(im->dims[1] * im->dims[2]);
    uint8_t *to = mem_alloc(im->bytes, 1, err);
    if (to == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < hw; p++)
            for (size_t c = 0; c < 3; c++)
                to[(i * 3 + c) * hw + p] = from[(i * hw + p) * 3 + c];
    mem_free(im->data);
    im->data = to;
    im->dims[3] = im->dims[2];
    im->dims[2] = im->dims[1];
    im->dims[1] = 3;
    return 0;
}

/* ReLU turns NaN to 0, so that nobody would see it afterwards. */
static int check_finite(const struct npy *im, const char *path, struct err *err)
{
    const float *x = im->data;
    size_t n = im->bytes / sizeof *x, image = n / (size_t)im->dims[0];
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return err_set(err, "%s: image %zu (from 0) holds %s", path, i / image, isnan(x[i]) ? "NaN" : "infinity");
    return 0;
}

static int images_load(const char *path, struct npy *im, struct err *err)
{
    if (npy_read(path, im, err) != 0)
        return -1;
    if (im->rank != 4 || (im->type != NPY_U8 && im->type != NPY_F32))
        return err_set(err, "%s: uint8 or float32 images with 4 dimensions are wanted", path);
    if (im->dims[0] < 1)
        return err_set(err, "%s holds no images", path);
    if (im->dims[1] != 3 && im->dims[3] == 3 && im->type == NPY_U8)
        return planes_first(im, err);
    if (im->dims[1] != 3)
        return err_set(err, "%s: %lld channels in dimension 1; an encoder takes 3", path, (long long)im->dims[1]);
    if (im->dims[2] < 1 || im->dims[3] < 1)
        return err_set(err, "%s: images of %lld x %lld pixels", path, (long long)im->dims[2], (long long)im->dims[3]);
    return im->type == NPY_F32 ? check_finite(im, path, err) : 0;
}

/* Hours of work should not end in a folder that is not there, and evidence is not overwritten. */
static int check_out(const struct embed_options *o, struct err *err)
{
    if (fs_same_file(o->out, o->weights) || fs_same_file(o->out, o->images))
        return err_set(err, "--out %s is the file of --%s: it would be overwritten", o->out,
                       fs_same_file(o->out, o->weights) ? "weights" : "images");
    return fs_check_output(o->out, err);
}

static bool was_given(const bool *given, const char *name)
{
    return given[option_find(options, name) - options];
}

/* A file of dinf's says all about itself; what is given all the same must be true. */
static int check_own(const struct encoder *e, const struct embed_options *o, const bool *given, struct err *err)
{
    static const char *const pipeline[] = { "strip", "rename", "size", "mean", "std", NULL };
    char why[OPTION_TEXT + 64];
    if (was_given(given, "arch") && strcmp(o->arch, encoder_arch(e)) != 0)
        return err_set(err, "%s is a %s, not a %s", o->weights, encoder_arch(e), o->arch);
    if (was_given(given, "stem") && strcmp(o->stem, encoder_stem(e)) != 0)
        return err_set(err, "%s has stem %s, not %s", o->weights, encoder_stem(e), o->stem);
    if (was_given(given, "width") && o->width != encoder_width(e))
        return err_set(err, "%s has width %g, not %g", o->weights, encoder_width(e), o->width);
    snprintf(why, sizeof why, "%s was written by dinf and carries all of that", o->weights);
    return cli_check_unused(options, given, pipeline, why, err);
}

static struct encoder *open_encoder(struct device *dev, const struct embed_options *o, const bool *given,
                                    const struct npy *im, struct err *err)
{
    static const char *const preparation[] = { "size", "mean", "std", NULL };
    bool own;
    float mean[3], std[3];
    if (encoder_is_own(o->weights, &own, err) != 0)
        return NULL;
    if (own) {
        struct encoder *e = encoder_load(dev, o->weights, err);
        if (e != NULL && check_own(e, o, given, err) != 0) {
            encoder_destroy(e);
            return NULL;
        }
        return e;
    }
    if (im->type == NPY_F32 &&
        cli_check_unused(options, given, preparation, "float32 images are used as they are", err) != 0)
        return NULL;
    if (o->arch[0] == '\0') {
        err_set(err, "%s was not written by dinf: --arch is needed (see `dinf list archs`)", o->weights);
        return NULL;
    }
    for (int c = 0; c < 3; c++) {
        mean[c] = (float)o->mean[c];
        std[c] = (float)o->std[c];
    }
    int size = o->size > 0 ? (int)o->size : (int)im->dims[2];
    const struct encoder_names names = { .strip = o->strip, .rename = &o->rename };
    return encoder_import(dev, o->weights, o->arch, o->stem, o->width, &names, size, mean, std, err);
}

static int embed(struct encoder *e, const struct embed_options *o, const struct npy *im, float *out, struct err *err)
{
    int h = (int)im->dims[2], w = (int)im->dims[3];
    if (im->type == NPY_F32)
        return encoder_embed_plain(e, im->data, im->dims[0], h, w, (int)o->batch, out, err);
    struct images set = { .n = im->dims[0], .c = 3, .h = h, .w = w, .pixels = im->data };
    return encoder_embed(e, &set, (int)o->batch, out, NULL, NULL, err);
}

static int check_representations(const float *out, const int64_t dims[2], const char *weights, struct err *err)
{
    for (int64_t i = 0; i < dims[0] * dims[1]; i++)
        if (!isfinite(out[i]))
            return err_set(err, "the representation of image %lld (from 0) is not finite: look at the weights in %s",
                           (long long)(i / dims[1]), weights);
    return 0;
}

int cli_embed(int argc, char **argv)
{
    struct err err;
    struct embed_options o;
    struct npy im = { 0 };
    struct device *dev = NULL;
    struct encoder *e = NULL;
    float *out = NULL;
    bool given[OPTIONS];
    int unused, status = EXIT_USAGE;
    int rc = cli_parse_given(argc, argv, "embed --weights W --images X.npy --out R.npy [options]",
                             "Representations (global average pool) of images by an encoder's weights. For\n"
                             "weights written by dinf everything needed is in the file; for others give\n"
                             "--arch, --stem and, for uint8 images, the normalisation they were trained\n"
                             "with if it is not ImageNet's.",
                             options, &o, given, NULL, 0, &unused, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    stop_install();
    if (check_out(&o, &err) != 0 || images_load(o.images, &im, &err) != 0)
        goto out;
    dev = device_open(o.device, cli_threads(o.threads), &err);
    e = dev != NULL ? open_encoder(dev, &o, given, &im, &err) : NULL;
    if (e == NULL)
        goto out;
    int64_t dims[2] = { im.dims[0], encoder_dim(e) };
    out = mem_alloc((size_t)dims[0], (size_t)dims[1] * sizeof *out, &err);
    if (out == NULL)
        goto out;
    rc = embed(e, &o, &im, out, &err);
    if (rc == STOPPED)
        err_set(&err, "stopped; nothing was written");
    if (rc != 0 || check_representations(out, dims, o.weights, &err) != 0 ||
        npy_write_float(o.out, out, 2, dims, &err) != 0)
        goto out;
    printf("%s: %lld x %lld\n", o.out, (long long)dims[0], (long long)dims[1]);
    status = EXIT_DONE;
out:
    if (status != EXIT_DONE)
        cli_error(&err);
    mem_free(out);
    encoder_destroy(e);
    device_close(dev);
    mem_free(im.data);
    return status;
}
