/* One training in memory: network, data, loss, optimiser; and one step of it. */
#ifndef DINF_NN_TRAINER_H
#define DINF_NN_TRAINER_H

#include "nn/encoder.h"
#include "nn/feed.h"
#include "nn/train_config.h"

struct trainer {
    struct device *dev;
    const struct train_request *request; /* borrowed */
    struct train_config config;
    struct pipeline pipeline;
    enum precision precision;
    int head_dim;
    int images, views; /* of a step */
    struct network *net;
    struct pass *pass;
    struct loss *loss;
    float *moments[OPTIM_MOMENTS];
    struct feed *feed;
    double *total;               /* device memory: sum of the steps' losses since it was last set */
    struct recording *recording; /* of a step; NULL until there is one */
    bool warm;                   /* a step has run: it may be recorded */
    bool unrecorded;             /* the device has refused to */
};

/* Allocates and plans all that a training needs, computes nothing from images and reads no file: the
 * values of weights and pipeline stay unset. The request and the device must outlive the trainer. */
struct trainer *trainer_lay_out(struct device *dev, const struct train_request *request, struct err *err);
/* The same with its values: the images' moments, and weights that are drawn or read. */
struct trainer *trainer_create(struct device *dev, const struct train_request *request, struct err *err);
void trainer_destroy(struct trainer *t);

/* Queues a step on the given images (t->images indices into the data); `step`
 * counts from 1 over the whole training. Its mean loss is added to *t->total. */
int trainer_step(struct trainer *t, const uint32_t *indices, int64_t epoch, int64_t step, double lr, struct err *err);

/* *t->total becomes `value`. */
int trainer_set_total(struct trainer *t, double value, struct err *err);
/* Waits, and reads *t->total. */
int trainer_total(struct trainer *t, double *value, struct err *err);

#endif
