/* What a loss is: one row of losses.def. */
#ifndef DINF_NN_LOSS_H
#define DINF_NN_LOSS_H

#include "nn/nn.h"

/* What the loss will see in every step. Rows of z are ordered by view, then by
 * image: row v * images + i. */
struct loss_shape {
    int images, views; /* rows of z: images * views */
    int dim;
    bool targets;             /* each row of z has a row of target */
    enum precision precision; /* of products of matrices */
};

struct loss_input {
    const float *z;        /* (rows, dim) device */
    const float *target;   /* (rows, dim) device; NULL unless targets */
    const int32_t *labels; /* (images) device, from 0, -1: none; NULL if the data set has none */
};

struct loss;

struct loss_kind {
    struct nn_row row;
    int views; /* of each image, without targets; 0: it needs targets */
    bool accepts_targets;
    bool needs_labels; /* every image has one */
    int least_images;  /* of a step */
    /* -1 with a message if it cannot work on this shape. Device borrowed. */
    struct loss *(*create)(struct device *, const void *options, const struct loss_shape *, struct err *);
    void (*destroy)(struct loss *);
    /* Adds the mean loss to *total (device memory); dz (rows, dim) = its gradient.
     * Queued, and the same work every time: it may be recorded. */
    int (*run)(struct loss *, const struct loss_input *, float *dz, double *total, struct err *);
};

const struct loss_kind *loss_find(const char *name, struct err *err);

#endif
