/* Images that users hand in as `.npy`. */
#ifndef DINF_STORE_IMAGE_FILE_H
#define DINF_STORE_IMAGE_FILE_H

#include "store/npy.h"

/* Four axes, the first of them images, at least one of at least one pixel. Integers of any type
 * that lie in 0 .. 255 become NPY_U8, floats NPY_F32; NaN and infinity are errors that name the
 * image. Which axis the channels are is the caller's to find. mem_free(out->data). */
int image_file_read(const char *path, struct npy *out, struct err *err);

#endif
