/* What every device wants of the views of a batch, checked where they are drawn:
 * on a GPU a view outside its image would read beyond it. */
#include "device/device.h"

#include "device/augment_body.h"

int augment_check(int c, int h, int w, const struct augment_view *views, int n, struct err *err)
{
    if (c != 3)
        return err_set(err, "augmentation works on 3 channels, not %d", c);
    if (h < 1 || w < 1 || n < 0)
        return err_set(err, "augmentation of %d images of %d x %d pixels is not possible", n, h, w);
    for (const struct augment_view *v = views; v < views + n; v++)
        if (!(v->image >= 0 && v->crop_x >= 0 && v->crop_y >= 0 && v->crop_w >= 1 && v->crop_h >= 1 &&
              v->crop_x + v->crop_w <= (float)w && v->crop_y + v->crop_h <= (float)h))
            return err_set(err, "view %d of image %d has a crop of %g x %g at (%g, %g) outside its %d x %d pixels",
                           (int)(v - views), v->image, v->crop_h, v->crop_w, v->crop_y, v->crop_x, h, w);
    return 0;
}
