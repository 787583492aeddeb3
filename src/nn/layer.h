/* What a layer is: one kind per file in nn/layer/. A layer describes the network
 * (tensors and parameters); what depends on the batch lies in its state, which a
 * pass owns. */
#ifndef DINF_NN_LAYER_H
#define DINF_NN_LAYER_H

#include "nn/pass.h"

struct layer_kind;

/* Every kind's struct begins with this. Tensors by number; residual -1: none. */
struct layer {
    const struct layer_kind *kind;
    int input, residual, output;
};

struct layer_kind {
    const char *name;
    size_t state_size;
    /* Spatial shape of the output from that of the input; -1: impossible. */
    int (*shape)(const struct layer *, const struct shape *in, struct shape *out, struct err *);
    /* Plans operations and claims memory (pass_claim) for the pass's mode. */
    int (*plan)(const struct layer *, struct pass *, void *state, struct err *);
    int (*forward)(const struct layer *, struct pass *, void *state, struct err *);
    /* Reads the output's gradients, writes the inputs' and the parameters'. */
    int (*backward)(const struct layer *, struct pass *, void *state, struct err *);
    /* NULL: nothing to release. Called for zeroed states too. */
    void (*release)(const struct layer *, struct pass *, void *state);
    /* NULL: no batch norm to fold. */
    int (*fold)(const struct layer *, struct network *, struct err *);
};

#endif
