/* Tables of many task files, concatenated in memory and written as one. Private
 * to store/. Columns are the union over the files; a cell that a row lacks is
 * -1, NaN or "". A column of integers becomes one of floats if any row has one. */
#ifndef DINF_STORE_FRAME_H
#define DINF_STORE_FRAME_H

#include <cjson/cJSON.h>

#include "base/err.h"
#include "store/h5.h"

struct frames; /* tables by path */
struct frames *frames_create(struct err *err);
void frames_destroy(struct frames *f);

/* Appends the rows of an open compound dataset to the table of this path. The
 * labels are the first columns; a label whose name is that of one of the
 * dataset's columns is left out. */
int frames_add(struct frames *f, const char *path, hid_t dataset, const cJSON *labels, struct err *err);

/* Writes every table to its path, in the order of their first appearance. */
int frames_write(const struct frames *f, hid_t file, struct err *err);

#endif
