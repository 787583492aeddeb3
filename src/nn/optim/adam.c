/* Adam (Kingma and Ba, ICLR 2015) with torch.optim.Adam's conventions. */
#include <stddef.h>

#include "nn/optim.h"

struct adam_options {
    double beta1, beta2, epsilon, weight_decay;
};

static const struct option options[] = {
    { "beta1", OPTION_FLOAT, offsetof(struct adam_options, beta1), "0.9", 0, 0.999999, NULL, NULL,
      "decay of the mean of the gradient" },
    { "beta2", OPTION_FLOAT, offsetof(struct adam_options, beta2), "0.999", 0, 0.999999, NULL, NULL,
      "decay of the mean of its square" },
    { "epsilon", OPTION_FLOAT, offsetof(struct adam_options, epsilon), "1e-8", 1e-16, 1, NULL, NULL,
      "added to the root of the mean square" },
    { "weight_decay", OPTION_FLOAT, offsetof(struct adam_options, weight_decay), "0.0001", 0, 1, NULL, NULL,
      "times the weights, added to the gradient" },
    { NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL }
};

static int step(struct device *dev, const void *from, size_t n, float *w, const float *g, float *const *moments,
                double lr, int64_t at, struct err *err)
{
    const struct adam_options *o = from;
    return dev->ops->adam(dev, n, w, g, moments[0], moments[1], lr, o->beta1, o->beta2, o->epsilon, o->weight_decay,
                          at, err);
}

const struct optim_kind optim_kind_adam = { .row = { .name = "adam",
                                                     .help = "Adam",
                                                     .options = options,
                                                     .options_size = sizeof(struct adam_options) },
                                            .moments = { "m", "v" },
                                            .step = step };
