/* What changes from step to step of a training: which images in which views, a
 * victim's answers about them, their labels, where the optimiser stands. All of a
 * step is drawn on the host and goes to the device in one upload, to places that
 * stay, so that what reads them can be recorded once and replayed.
 *
 * Images and answers lie on the device for the whole training if they take at most
 * half of its free memory; otherwise each step brings its own with it. */
#ifndef DINF_NN_FEED_H
#define DINF_NN_FEED_H

#include "nn/encoder.h"
#include "nn/train_config.h"

struct feed;

/* Rows of a step: `views` of each of `images` images, ordered by view and then by
 * image. Request and config must outlive the feed. */
struct feed *feed_create(struct device *dev, const struct train_request *request, const struct train_config *config,
                         int images, int views, struct err *err);
void feed_destroy(struct feed *feed);

/* Draws the step's views of the given images (indices into the data) and uploads.
 * `step` counts from 1 over the whole training. */
int feed_load(struct feed *feed, const uint32_t *indices, int64_t epoch, int64_t step, double lr, struct err *err);

/* Queues the augmentation of what was loaded into `input` (activation layout) and
 * the gathering of the answers. */
int feed_apply(struct feed *feed, const struct augment_target *target, void *input, struct err *err);

/* Device memory, the same for all steps: answers (images, target_dim) or NULL;
 * labels (images) or NULL if the data have none; the optimiser's position. */
const float *feed_answers(const struct feed *feed);
const int32_t *feed_labels(const struct feed *feed);
const void *feed_optimiser(const struct feed *feed);

#endif
