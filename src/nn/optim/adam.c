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
    OPTION_END,
};

static void at(const void *from, double lr, int64_t step, void *out)
{
    const struct adam_options *o = from;
    *(struct adam_step *)out = (struct adam_step){ .lr = lr,
                                                   .beta1 = o->beta1,
                                                   .beta2 = o->beta2,
                                                   .epsilon = o->epsilon,
                                                   .weight_decay = o->weight_decay,
                                                   .step = step };
}

static int step(struct device *dev, size_t n, float *w, const float *g, float *const *moments, const void *at_step,
                struct err *err)
{
    return dev->ops->adam(dev, &(struct adam){ n, w, g, moments[0], moments[1], at_step }, err);
}

const struct optim_kind optim_kind_adam = { .row = { .name = "adam",
                                                     .help = "Adam",
                                                     .options = options,
                                                     .options_size = sizeof(struct adam_options),
                                                     .operations = { "adam" } },
                                            .moments = { "m", "v" },
                                            .at_size = sizeof(struct adam_step),
                                            .at = at,
                                            .step = step };
