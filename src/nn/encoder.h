/* What an encoder consists of, for the files of this room. */
#ifndef DINF_NN_ENCODER_H
#define DINF_NN_ENCODER_H

#include "device/augment_body.h"
#include "nn/arch.h"
#include "nn/nn.h"
#include "nn/pass.h"

/* How images become input: resized to size x size, (x - mean) / std on the 0..1 scale. */
struct pipeline {
    int size;
    float mean[3], std[3];
};

struct encoder {
    struct device *dev; /* borrowed */
    struct encoder_config config;
    struct pipeline pipeline;
    int head_dim; /* of the head that was trained with it; 0: none */
    struct network *net;
    struct pass *pass;          /* of the last batch size */
    uint8_t *pixels;            /* device memory for one batch of images */
    struct augment_view *views; /* likewise for pass->n views */
    size_t pixels_bytes;
};

/* Sets `e` up to embed `im` (n > 0) in so many views of an image, in batches of at most
 * `batch` rows: allocates what that takes, unless it is there. */
int encoder_prepare(struct encoder *e, const struct images *im, int views, int batch, struct err *err);

/* The pipeline as the device's augmentation target; the input is of this precision. */
struct augment_target pipeline_target(const struct pipeline *p, enum precision precision);

/* Writes network, pipeline and options; `provenance` may be NULL. Also used by
 * the training for its own network. */
int encoder_write(const char *path, const struct network *net, const struct encoder_config *config, int head_dim,
                  const struct pipeline *pipeline, const cJSON *provenance, struct err *err);

#endif
