/* Checkpoints that other programs wrote: a whole training's state, of which an encoder is a part under names of the
 * program's own. */
#ifndef DINF_NN_FOREIGN_H
#define DINF_NN_FOREIGN_H

#include "nn/nn.h"
#include "nn/weights.h"

/* Reads the network (an encoder without heads) from the tensors that `names` says, as encoder_import tells. */
int foreign_read(struct weights_reader *r, struct network *net, const struct encoder_names *names, struct err *err);

/* ---- between foreign.c and foreign_names.c ---- */

/* The encoder's names for a file's tensors. */
struct foreign_names {
    char **called; /* (n) NULL: not under the prefix */
    int *order;    /* (n_called) the others by their names */
    int n, n_called;
};
/* Two tensors of one name, or a `rename` that is not A=B: -1. */
int foreign_names_init(struct foreign_names *f, const struct safetensors *file, const char *prefix,
                       const struct string_list *rename, struct err *err);
/* NULL-safe members; also after a failed init. */
void foreign_names_fini(struct foreign_names *f);
/* Could a ResNet have a tensor of this name? */
bool foreign_is_encoders(const char *called);

#endif
