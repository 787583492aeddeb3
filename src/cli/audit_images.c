/* Images of members and of held-out images, as far as an audit looks at them. */
#include "base/mem.h"
#include "cli/audit.h"
#include "store/image_file.h"

static bool channels(int64_t n)
{
    return n == 1 || n == 3;
}

static int images_read(const char *path, struct npy *im, struct pixels *out, struct err *err)
{
    if (image_file_read(path, im, err) != 0)
        return -1;
    const int64_t *dims = im->dims;
    const bool last = !channels(dims[1]) && channels(dims[3]);
    if (!last && !channels(dims[1]))
        return err_set(err, "%s: images have 1 or 3 channels, in dimension 1 or 3; these are %lld x %lld x %lld", path,
                       (long long)dims[1], (long long)dims[2], (long long)dims[3]);
    *out = (struct pixels){ .bytes = im->type == NPY_U8 ? im->data : NULL,
                            .floats = im->type == NPY_F32 ? im->data : NULL,
                            .n = dims[0],
                            .c = last ? dims[3] : dims[1],
                            .h = last ? dims[1] : dims[2],
                            .w = last ? dims[2] : dims[3],
                            .channels_last = last };
    if (out->n < IMAGE_SHIFT_MINIMUM)
        return err_set(err, "%s: at least %d images are wanted; there are %lld", path, IMAGE_SHIFT_MINIMUM,
                       (long long)out->n);
    return 0;
}

int audit_images(struct device *dev, const struct audit_options *o, struct image_shift *out, struct err *err)
{
    struct npy a = { 0 }, b = { 0 };
    struct pixels fit, heldout;
    int rc = -1;
    if (images_read(o->images_fit, &a, &fit, err) != 0 || images_read(o->images_heldout, &b, &heldout, err) != 0)
        goto out;
    if (a.type != b.type || fit.c != heldout.c) {
        err_set(err, "%s holds %s of %lld channels, %s %s of %lld: they cannot be compared", o->images_fit,
                a.type == NPY_U8 ? "bytes" : "floats", (long long)fit.c, o->images_heldout,
                b.type == NPY_U8 ? "bytes" : "floats", (long long)heldout.c);
        goto out;
    }
    rc = image_shift_test(dev, &fit, &heldout, (uint64_t)o->inference.seed, out, err);
out:
    mem_free(a.data);
    mem_free(b.data);
    return rc;
}
