/* Bytes and floats of one image become one representation: they go through one resampler. */
#include "cli/embed_images.h"

#include <string.h>

#include "base/mem.h"
#include "data/resize.h"
#include "store/image_file.h"

/* (n, h, w, 3) to (n, 3, h, w); the new pixels replace the old. */
static int planes_first(struct npy *im, struct err *err)
{
    const size_t size = im->type == NPY_F32 ? sizeof(float) : 1;
    const size_t n = (size_t)im->dims[0], hw = (size_t)(im->dims[1] * im->dims[2]);
    const char *from = im->data;
    char *to = mem_alloc(im->bytes, 1, err);
    if (to == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < hw; p++)
            for (size_t c = 0; c < 3; c++)
                memcpy(to + ((i * 3 + c) * hw + p) * size, from + ((i * hw + p) * 3 + c) * size, size);
    mem_free(im->data);
    im->data = to;
    im->dims[3] = im->dims[2];
    im->dims[2] = im->dims[1];
    im->dims[1] = 3;
    return 0;
}

int embed_images_read(const char *path, struct npy *out, struct err *err)
{
    if (image_file_read(path, out, err) != 0)
        return -1;
    if (out->dims[1] != 3 && out->dims[3] == 3 && planes_first(out, err) != 0)
        return -1;
    if (out->dims[1] != 3)
        return err_set(err, "%s: %lld channels in dimension 1; an encoder takes 3", path, (long long)out->dims[1]);
    if (out->dims[2] > IMAGE_SIDE_MAX || out->dims[3] > IMAGE_SIDE_MAX)
        return err_set(err, "%s: images of %lld x %lld pixels; at most %d x %d are possible", path,
                       (long long)out->dims[2], (long long)out->dims[3], IMAGE_SIDE_MAX, IMAGE_SIDE_MAX);
    return 0;
}

int embed_images_side(const struct npy *im, const char *path, int size, int crop, int *side, struct err *err)
{
    const int h = (int)im->dims[2], w = (int)im->dims[3];
    *side = crop > 0 ? crop : size > 0 ? size : h == w ? h : 0;
    if (crop == 0 && h != w && (size > 0 || im->type == NPY_U8))
        return err_set(err,
                       "%s: images of %d x %d pixels, an encoder takes square ones: --size N makes the shorter side N, "
                       "and with --crop N of that the middle is kept",
                       path, h, w);
    return resize_check(h, w, size, crop, err) != 0 ? err_prefix(err, "%s", path) : 0;
}

int embed_images_fit(struct npy *im, int size, int crop, struct err *err)
{
    const int h = (int)im->dims[2], w = (int)im->dims[3];
    const struct resize_to to = resize_wanted(h, w, size, crop);
    const size_t element = im->type == NPY_F32 ? sizeof(float) : 1, planes = 3 * (size_t)im->dims[0];
    if (to.full_h == h && to.full_w == w && to.h == h && to.w == w)
        return 0;
    struct resizer *r = resizer_create(h, w, &to, err);
    void *out = r == NULL ? NULL : mem_alloc(planes, (size_t)to.h * (size_t)to.w * element, err);
    if (out != NULL) {
        if (im->type == NPY_F32)
            resizer_floats(r, im->data, planes, out);
        else
            resizer_bytes(r, im->data, planes, out);
        mem_free(im->data);
        im->data = out;
        im->dims[2] = to.h;
        im->dims[3] = to.w;
        im->bytes = planes * (size_t)to.h * (size_t)to.w * element;
    }
    resizer_destroy(r);
    return out == NULL ? -1 : 0;
}
