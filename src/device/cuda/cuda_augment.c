/* The augmentation slot: views are checked on the host, where they come from,
 * and travel through page-locked memory; pixels never leave the GPU. */
#include "device/cuda/cuda_device.h"

#include "device/cuda/launch.h"

enum { CHANNELS = 3 };

/* A view outside its image would read beyond it: better a sentence than a lost GPU. */
static int check(int c, int h, int w, const struct augment_view *views, int n, const struct augment_target *target,
                 struct err *err)
{
    if (c != CHANNELS)
        return err_set(err, "augmentation works on %d channels, not %d", CHANNELS, c);
    if (n < 0 || h < 1 || w < 1 || target->h < 1 || target->w < 1)
        return err_set(err, "augmentation of %d images of %d x %d pixels to %d x %d is not possible", n, h, w,
                       target->h, target->w);
    for (const struct augment_view *v = views; v < views + n; v++)
        if (!(v->image >= 0 && v->crop_x >= 0 && v->crop_y >= 0 && v->crop_w >= 1 && v->crop_h >= 1 &&
              v->crop_x + v->crop_w <= (float)w && v->crop_y + v->crop_h <= (float)h))
            return err_set(err, "view %d of image %d has a crop of %g x %g at (%g, %g) outside its %d x %d pixels",
                           (int)(v - views), v->image, v->crop_h, v->crop_w, v->crop_y, v->crop_x, h, w);
    return 0;
}

int cuda_augment_run(struct device *dev, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views,
                     int n, const struct augment_target *target, float *out, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    if (check(c, h, w, views, n, target, err) != 0)
        return -1;
    const size_t bytes = (size_t)n * sizeof *views;
    size_t total = 0, at_views = cuda_part(&total, bytes);
    size_t at_workspace = cuda_part(&total, cuda_augment_workspace(target, n));
    char *scratch = cuda_buffer_reserve(&cuda->scratch, total, err);
    if (!scratch || cuda_upload(dev, scratch + at_views, views, bytes, err) != 0)
        return -1;
    return cuda_augment(cuda->stream, pixels, h, w, (const struct augment_view *)(scratch + at_views), n, target,
                        scratch + at_workspace, out, err);
}
