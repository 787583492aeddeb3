/* State of a training in a file, so that it goes on as if nothing had happened. */
#ifndef DINF_NN_CHECKPOINT_H
#define DINF_NN_CHECKPOINT_H

#include "nn/trainer.h"

/* Where a training stands besides the trainer's own state. */
struct train_position {
    int64_t step;                 /* done, over all epochs */
    double loss_sum, seconds;     /* of the epoch's steps so far */
    double *loss, *lr, *duration; /* (epochs) of those that are complete */
};

/* Hash of everything that the training depends on: a checkpoint of another one is refused. */
int checkpoint_identity(const struct train_request *request, char hex[HASH_HEX], struct err *err);

/* `epochs_done` complete epochs of the curves are stored. */
int checkpoint_write(const char *path, const char *identity, const struct trainer *t, const struct train_position *at,
                     int64_t epochs_done, struct err *err);
/* The curves have room for `epochs`. The file's own digest is compared first; after an
 * error the trainer may hold a part of the state. */
int checkpoint_read(const char *path, const char *identity, struct trainer *t, struct train_position *at,
                    int64_t epochs, struct err *err);

#endif
