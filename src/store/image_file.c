/* embed and audit take the same files. */
#include "store/image_file.h"

#include <math.h>

#include "base/mem.h"

/* ReLU turns NaN to 0, so that nobody would see it afterwards. */
static int check_finite(const struct npy *im, const char *path, struct err *err)
{
    const float *x = im->data;
    const size_t n = im->bytes / sizeof *x, image = n / (size_t)im->dims[0];
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return err_set(err, "%s: image %zu (from 0) holds %s", path, i / image, isnan(x[i]) ? "NaN" : "infinity");
    return 0;
}

static int check_kind(const struct npy *im, const char *path, struct err *err)
{
    char shape[NPY_SHAPE];
    npy_shape(im, shape);
    if (im->rank != 4)
        return err_set(err, "%s: images have 4 dimensions, (n, 3, h, w) or (n, h, w, 3); this has the shape %s", path,
                       shape);
    if (im->kind == NPY_BOOL)
        return err_set(err, "%s holds bool: images are integers of 0 to 255, or floats", path);
    if (im->stored_bytes == 0)
        return err_set(err, "%s holds no images: its shape is %s", path, shape);
    return 0;
}

int image_file_read(const char *path, struct npy *out, struct err *err)
{
    if (npy_describe(path, out, err) != 0 || check_kind(out, path, err) != 0)
        return -1;
    if (npy_read(path, out->kind == NPY_FLOAT ? NPY_F32 : NPY_U8, out, err) != 0)
        return -1;
    if (check_kind(out, path, err) == 0 && (out->type != NPY_F32 || check_finite(out, path, err) == 0))
        return 0;
    mem_free(out->data);
    out->data = NULL;
    return -1;
}
