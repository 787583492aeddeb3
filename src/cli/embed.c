/* dinf embed: representations of images by somebody's weights. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/embed_images.h"
#include "data/dataset.h"
#include "device/device.h"
#include "nn/embed_plain.h"
#include "nn/nn.h"

struct embed_options {
    char weights[OPTION_TEXT], images[OPTION_TEXT], out[OPTION_TEXT];
    char arch[OPTION_TEXT], stem[OPTION_NAME], strip[OPTION_TEXT], device[OPTION_TEXT];
    struct string_list rename;
    double width, mean[3], std[3];
    int64_t size, crop, batch, threads;
};

#define OPTION(name, type, preset, min, max, choices, unit, help)                                                      \
    OPTION_OF(struct embed_options, name, type, preset, min, max, choices, unit, help)
static const struct option options[] = {
    OPTION(weights, OPTION_STRING, NULL, 0, 0, NULL, NULL, "safetensors file, torchvision's tensor names"),
    OPTION(images, OPTION_STRING, NULL, 0, 0, NULL, NULL,
           ".npy (n, 3, h, w) or (n, h, w, 3): integers of 0 to 255, or floats that are normalised already, (pixel / "
           "255 - mean) / std of each channel as the weights want it"),
    OPTION(out, OPTION_STRING, NULL, 0, 0, NULL, NULL, ".npy to write: float32 (n, dim)"),
    OPTION(arch, OPTION_STRING, "", 0, 0, NULL, NULL, "see `dinf list archs`; not needed for encoders written by dinf"),
    OPTION_ROW_STEM(offsetof(struct embed_options, stem)),
    OPTION_ROW_WIDTH(offsetof(struct embed_options, width)),
    OPTION_ROW_STRIP(offsetof(struct embed_options, strip)),
    OPTION_ROW_RENAME(offsetof(struct embed_options, rename)),
    OPTION(size, OPTION_INT, "0", 0, IMAGE_SIDE_MAX, NULL, "pixels",
           "resize images to size x size, with --crop their shorter side to size: antialiased bilinear, as PIL's "
           "BILINEAR and torchvision's Resize; 0: as they are (floats of any shape)"),
    OPTION(crop, OPTION_INT, "0", 0, IMAGE_SIDE_MAX, NULL, "pixels",
           "then keep the central crop x crop, as torchvision's CenterCrop; needed for images that are not square; 0: "
           "all"),
    OPTION_ROW_MEAN(offsetof(struct embed_options, mean)),
    OPTION_ROW_STD(offsetof(struct embed_options, std)),
    OPTION(batch, OPTION_INT, "64", 1, 65536, NULL, "images", "images at a time"),
    OPTION(threads, OPTION_INT, "0", 0, 4096, NULL, NULL, "0: all processors"),
    OPTION(device, OPTION_STRING, "auto", 0, 0, NULL, NULL, "see `dinf list devices`"),
    OPTION_END,
};
enum { OPTIONS = sizeof options / sizeof *options };

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
    static const char *const pipeline[] = { "strip", "rename", "mean", "std", NULL };
    static const char *const resizing[] = { "size", NULL }; /* of what is cut it is no matter of the file */
    char why[OPTION_TEXT + 64];
    if (was_given(given, "arch") && strcmp(o->arch, encoder_arch(e)) != 0)
        return err_set(err, "%s is a %s, not a %s", o->weights, encoder_arch(e), o->arch);
    if (was_given(given, "stem") && strcmp(o->stem, encoder_stem(e)) != 0)
        return err_set(err, "%s has stem %s, not %s", o->weights, encoder_stem(e), o->stem);
    if (was_given(given, "width") && o->width != encoder_width(e))
        return err_set(err, "%s has width %g, not %g", o->weights, encoder_width(e), o->width);
    snprintf(why, sizeof why, "%s was written by dinf and carries all of that", o->weights);
    if (o->crop > 0 && o->crop != encoder_size(e))
        return err_set(err, "--crop %d: %s takes %d x %d pixels", (int)o->crop, o->weights, encoder_size(e),
                       encoder_size(e));
    if (o->crop == 0 && cli_check_unused(options, given, resizing, why, err) != 0)
        return -1;
    return cli_check_unused(options, given, pipeline, why, err);
}

/* Of dinf's own weights; the images become what the file says that they must be. */
static struct encoder *open_own(struct device *dev, const struct embed_options *o, const bool *given, struct npy *im,
                                struct err *err)
{
    struct encoder *e = encoder_load(dev, o->weights, err);
    if (e == NULL)
        return NULL;
    int side, size = o->crop > 0 ? (int)o->size : encoder_size(e);
    if (check_own(e, o, given, err) == 0 && embed_images_side(im, o->images, size, (int)o->crop, &side, err) == 0 &&
        embed_images_fit(im, size, (int)o->crop, err) == 0)
        return e;
    encoder_destroy(e);
    return NULL;
}

static struct encoder *open_foreign(struct device *dev, const struct embed_options *o, const bool *given,
                                    struct npy *im, struct err *err)
{
    static const char *const normalisation[] = { "mean", "std", NULL };
    float mean[3], std[3];
    int side;
    if (im->type == NPY_F32 &&
        cli_check_unused(options, given, normalisation, "float images are normalised already", err) != 0)
        return NULL;
    if (o->arch[0] == '\0') {
        err_set(err, "%s was not written by dinf: --arch is needed (see `dinf list archs`)", o->weights);
        return NULL;
    }
    for (int c = 0; c < 3; c++) {
        mean[c] = (float)o->mean[c];
        std[c] = (float)o->std[c];
    }
    if (embed_images_side(im, o->images, (int)o->size, (int)o->crop, &side, err) != 0 ||
        embed_images_fit(im, (int)o->size, (int)o->crop, err) != 0)
        return NULL;
    const struct encoder_names names = { .strip = o->strip, .rename = &o->rename };
    return encoder_import(dev, o->weights, o->arch, o->stem, o->width, &names, side > 0 ? side : (int)im->dims[2], mean,
                          std, err);
}

static struct encoder *open_encoder(struct device *dev, const struct embed_options *o, const bool *given,
                                    struct npy *im, struct err *err)
{
    bool own;
    if (encoder_is_own(o->weights, &own, err) != 0)
        return NULL;
    return own ? open_own(dev, o, given, im, err) : open_foreign(dev, o, given, im, err);
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
                             "weights written by dinf everything needed is in the file, the images' size,\n"
                             "too; for others give --arch, --stem, --size and --crop as they were trained\n"
                             "and, for integers, the normalisation if it is not ImageNet's. An image has the\n"
                             "same representation as integers and as floats, but for rounding.",
                             options, &o, given, NULL, 0, &unused, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    stop_install();
    if (check_out(&o, &err) != 0 || embed_images_read(o.images, &im, &err) != 0)
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
