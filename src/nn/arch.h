/* What an architecture is: one row of archs.def. */
#ifndef DINF_NN_ARCH_H
#define DINF_NN_ARCH_H

#include "nn/network.h"
#include "nn/nn.h"

/* encoder_options, filled. */
struct encoder_config {
    char arch[OPTION_NAME], stem[OPTION_NAME];
    double width;
};

struct arch_kind {
    struct nn_row row;
    const void *data; /* the architecture's own description */
    /* Appends the layers from the input to the representation (network_avg_pool). */
    int (*build)(const struct arch_kind *, const struct encoder_config *, struct network *, struct err *);
    /* Length of the representation of what it would build. */
    int (*dim)(const struct arch_kind *, const struct encoder_config *);
};

const struct arch_kind *arch_find(const char *name, struct err *err);

/* The encoder of `config` and, if head_dim > 0, the head Linear-ReLU-Linear
 * ("projector.0", "projector.2") from the representation to head_dim, hidden
 * layer as wide as the representation. Buffers allocated, values not set. */
struct network *network_build(struct device *dev, const struct encoder_config *config, int head_dim, struct err *err);

/* Fills the config from a JSON object's members. */
int encoder_config_parse(const cJSON *block, struct encoder_config *config, struct err *err);

#endif
