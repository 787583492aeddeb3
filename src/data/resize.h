/* Images of one size made into images of another: the one resampler of dinf,
 * wherever an image comes to an encoder whose input has another size.
 *
 * Antialiased bilinear, as PIL's Image.resize(BILINEAR) and torchvision's
 * resize(antialias=True) do it: a triangle around each output pixel's centre
 * (half-pixel centres), as wide as two source pixels where an axis grows and as
 * two output pixels where it shrinks; weights sum to one, pixels beyond the
 * border have none. Sums are of doubles, so that bytes are rounded once. The same
 * bits on every machine. */
#ifndef DINF_DATA_RESIZE_H
#define DINF_DATA_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

/* All of the image becomes full_h x full_w pixels, of which h x w from (top, left) on are kept. */
struct resize_to {
    int full_h, full_w, top, left, h, w;
};

/* The whole image to size x size, whatever its aspect. */
struct resize_to resize_square(int size);

/* torchvision's Resize(side) and CenterCrop(cut) of an image of h x w pixels: the shorter side
 * becomes `side`, the longer one in proportion; of this the central cut x cut, cut <= side. */
struct resize_to resize_center(int h, int w, int side, int cut);

/* What the options size and crop (0: not given) make of images of h x w pixels: with a crop
 * resize_center, of the shorter side as it is if there is no size; else resize_square, or all of it. */
struct resize_to resize_wanted(int h, int w, int size, int crop);
/* A crop that is larger than what there is to be cut is an error. */
int resize_check(int h, int w, int size, int crop, struct err *err);

struct resizer;

/* For planes of h x w pixels. NULL: out of memory. */
struct resizer *resizer_create(int h, int w, const struct resize_to *to, struct err *err);
void resizer_destroy(struct resizer *r);

/* n planes (n, h, w) to (n, to.h, to.w); bytes are rounded to nearest. `out` is the caller's, not `in`. */
void resizer_bytes(struct resizer *r, const uint8_t *in, size_t n, uint8_t *out);
void resizer_floats(struct resizer *r, const float *in, size_t n, float *out);

/* Replaces the pixels by (n, c, to.h, to.w), unless that is what they are. */
int images_resize(struct images *im, const struct resize_to *to, struct err *err);

#endif
