/* Resizing of stored images, once, when a set is read. */
#ifndef DINF_DATA_RESIZE_H
#define DINF_DATA_RESIZE_H

#include "data/dataset.h"

/* Replaces the pixels by (n, c, size, size). An axis that shrinks takes the mean
 * over the area that falls on an output pixel (fractions at its ends); one that
 * grows is bilinear with half-pixel centres, clamped at the border. Rounded to
 * nearest. The same bits on every machine. */
int images_resize(struct images *im, int size, struct err *err);

#endif
