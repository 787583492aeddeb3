/* One training in memory: network, data, loss, optimiser; and one step of it. */
#ifndef DINF_NN_TRAINER_H
#define DINF_NN_TRAINER_H

#include "nn/encoder.h"
#include "nn/train_config.h"

struct trainer {
    struct device *dev;
    const struct train_request *request; /* borrowed */
    struct train_config config;
    struct pipeline pipeline;
    int head_dim;
    int images, views;          /* of a step */
    struct network *net;
    struct pass *pass;
    struct loss *loss;
    float *moments[OPTIM_MOMENTS];
    uint8_t *pixels;            /* all images, device memory */
    struct augment_view *drawn; /* (views * images) */
    int32_t *labels;            /* (images), NULL if the data have none */
    struct augment_strength target_strength;
    uint64_t target_seed;
    float *target_rows, *target; /* (images, dim): gathered on the host, and on the device */
};

/* The request and the device must outlive the trainer. */
struct trainer *trainer_create(struct device *dev, const struct train_request *request, struct err *err);
void trainer_destroy(struct trainer *t);

/* A step on the given images (t->images indices into the data); `step` counts
 * from 1 over the whole training. A loss that is not finite is an error. */
int trainer_step(struct trainer *t, const uint32_t *indices, int64_t epoch, int64_t step, double lr, double *loss,
                 struct err *err);

#endif
