/* The victim's side of a theft: answers about augmented views, and the option
 * tables of the queries' augmentation. */
#ifndef DINF_NN_QUERY_VIEWS_H
#define DINF_NN_QUERY_VIEWS_H

#include "nn/nn.h"

/* Options of the augmentation that block.augment names (missing: "none"), without
 * `augment` itself; names and tables as in train_option_tables. */
int query_view_tables(const cJSON *block, const struct option **tables, int max, struct err *err);

/* Contradictions among options of a query that are each valid. */
void query_check(const cJSON *block, const struct complaints *to);

/* Representations of `views` augmented views of each of n images (n, 3, h, w):
 * out (n * views, dim) host memory, view v of image i in row i * views + v.
 * `augment`: object with "augment" (missing: "none"), that augmentation's options
 * and "seed". The draws of image i are keyed (seed, epoch 0, key[i], v); key NULL:
 * i. A theft reproduces exactly these views (train_request.target_augment, with
 * train_request.target_index = key). STOPPED if a stop was requested. */
int encoder_answer(struct encoder *e, const struct images *im, const int64_t *key, int views, const cJSON *augment,
                   int batch, float *out, void (*progress)(void *, double fraction), void *arg, struct err *err);

#endif
