/* A network planned for one batch of images of one size: operations, and memory
 * for activations and gradients, laid out once.
 *
 * Time runs over the layers forward (0 .. L-1) and, in training, backward
 * (layer i at 2L-1-i); what is claimed for disjoint spans shares memory. */
#ifndef DINF_NN_PASS_H
#define DINF_NN_PASS_H

#include "nn/network.h"

enum pass_mode {
    PASS_TRAIN,  /* batch statistics, gradients, heads */
    PASS_INFER,  /* running statistics; ends at the representation */
    PASS_FOLDED, /* the same with batch norm folded into the convolutions */
};

struct shape {
    int h, w;
};

struct claim; /* private */

struct pass {
    struct network *net; /* borrowed */
    enum pass_mode mode;
    enum precision precision;
    int n;
    int groups;                           /* equal runs of the images with a batch norm each: views (loss.h) */
    int n_layers;                         /* of the network's, that run */
    struct shape *shapes;                 /* (tensors) */
    void **values;                        /* (tensors) activations, or floats where a tensor is plain */
    void *(*gradients)[TENSOR_CONSUMERS]; /* (tensors) what each consumer contributes; NULL beyond */
    float *weight_gradients;              /* flat, as net->weights */
    void **states;                        /* (layers) */
    void *arena;
    size_t arena_bytes;
    struct claim *claims;
    int n_claims, max_claims;
};

struct pass *pass_create(struct network *net, enum pass_mode mode, enum precision precision, int n, int groups, int h,
                         int w, struct err *err);
void pass_destroy(struct pass *pass);

/* Where the images go in (activation layout) and the last tensor comes out: the
 * representation (n, dim), in training the last head's output. */
void *pass_input(const struct pass *pass);
const float *pass_output(const struct pass *pass);
/* In training: where the loss writes the gradient at the output. */
float *pass_output_gradient(const struct pass *pass);

int pass_forward(struct pass *pass, struct err *err);
int pass_backward(struct pass *pass, struct err *err);

/* ---- for layers ---- */

/* The pointer at `where` becomes device memory of `bytes` once everything is
 * claimed, kept from time `first` to `last`. */
int pass_claim(struct pass *pass, void *where, size_t bytes, int first, int last, struct err *err);
/* The same for something laid out like tensor `tensor`. */
int pass_claim_like(struct pass *pass, void *where, int tensor, int first, int last, struct err *err);
/* Times of a layer, and of the end of everything. */
int pass_forward_time(const struct pass *pass, const struct layer *layer);
int pass_backward_time(const struct pass *pass, const struct layer *layer);
int pass_end(const struct pass *pass);
/* One tensor, which is no plain one, for the device. */
struct act_desc pass_act(const struct pass *pass, int tensor);
/* Elements of one tensor, its padding included. */
size_t pass_elements(const struct pass *pass, int tensor);

/* Parameter's place in the weights that this pass uses, their gradients, the
 * running statistics. */
float *pass_weight(const struct pass *pass, int parameter);
float *pass_weight_gradient(const struct pass *pass, int parameter);
float *pass_running(const struct pass *pass, int parameter);
/* Where `layer` writes its gradient for `tensor`; NULL for the network's input. */
void *pass_gradient(const struct pass *pass, const struct layer *layer, int tensor);

#endif
