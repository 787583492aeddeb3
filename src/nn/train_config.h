/* The options of a training, resolved: names looked up, rows' options filled. */
#ifndef DINF_NN_TRAIN_CONFIG_H
#define DINF_NN_TRAIN_CONFIG_H

#include "nn/arch.h"
#include "nn/augment.h"
#include "nn/loss.h"
#include "nn/optim.h"

/* train_options, self_options and theft_options, filled; options that do not apply to the training have their presets.
 */
struct train_options {
    char loss[OPTION_NAME], optimizer[OPTION_NAME], augment[OPTION_NAME], schedule[OPTION_NAME];
    char projector[OPTION_NAME], head[OPTION_NAME], precision[OPTION_NAME], batch_norm[OPTION_NAME], init[OPTION_TEXT];
    int64_t epochs, batch, hold, projector_dim, max_steps;
    double lr, checkpoint_seconds;
    bool shuffle;
};

struct train_config {
    struct train_options o;
    struct encoder_config encoder;
    const struct loss_kind *loss;
    void *loss_options;
    const struct optim_kind *optim;
    void *optim_options;
    struct augment_strength augment;
};

int train_config_parse(const cJSON *block, struct train_config *config, struct err *err);
void train_config_fini(struct train_config *config);

#endif
