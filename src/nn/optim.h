/* What an optimiser is: one row of optimizers.def; and the schedules of its
 * learning rate. */
#ifndef DINF_NN_OPTIM_H
#define DINF_NN_OPTIM_H

#include "nn/nn.h"

enum { OPTIM_MOMENTS = 2 };

struct optim_kind {
    struct nn_row row;
    /* Names of its flat state vectors, as in checkpoints ("optimizer.NAME.*"); NULL: fewer. */
    const char *moments[OPTIM_MOMENTS];
    /* What a step has to know besides, `at_size` bytes: written on the host by `at`
     * (step counts from 1), read by `step` in device memory. */
    size_t at_size;
    void (*at)(const void *options, double lr, int64_t step, void *out);
    /* One step on all n floats of `w` with gradient `g`; `moments` start as zero. */
    int (*step)(struct device *, size_t n, float *w, const float *g, float *const *moments, const void *at,
                struct err *);
};

const struct optim_kind *optim_find(const char *name, struct err *err);

extern const char *const schedule_names[]; /* NULL-terminated */

/* Learning rate of an epoch (from 0). "cosine": `hold` epochs at lr, then
 * lr (1 + cos(pi t / T)) / 2, T = epochs - hold, t = epoch - hold; as
 * torch.optim.lr_scheduler.CosineAnnealingLR stepped once an epoch. */
double schedule_lr(const char *name, double lr, int64_t hold, int64_t epoch, int64_t epochs);

#endif
