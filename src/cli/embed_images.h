/* The images of dinf embed, up to what the encoder takes. */
#ifndef DINF_CLI_EMBED_IMAGES_H
#define DINF_CLI_EMBED_IMAGES_H

#include "store/npy.h"

/* (n, 3, h, w) of NPY_U8 or NPY_F32 from a file of either order of the axes; mem_free(out->data). */
int embed_images_read(const char *path, struct npy *out, struct err *err);

/* The side of what size and crop (0: not given) make of the images, as data/resize.h says; 0: they stay as they
 * are, whatever their shape. An error where they would have to be distorted: `path` names them. */
int embed_images_side(const struct npy *im, const char *path, int size, int crop, int *side, struct err *err);

/* Does that, with the resampler of data/resize.h. */
int embed_images_fit(struct npy *im, int size, int crop, struct err *err);

#endif
