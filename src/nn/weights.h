/* Networks in safetensors files: torchvision's names, OIHW, strictly read. */
#ifndef DINF_NN_WEIGHTS_H
#define DINF_NN_WEIGHTS_H

#include <stdbool.h>

#include "nn/network.h"
#include "store/safetensors.h"

/* Tensors collected for one file; names and data are copies. */
struct tensor_list {
    struct tensor_view *views;
    int n, max;
};
/* `data`: bytes of the tensor, copied. */
int tensor_list_add(struct tensor_list *list, const char *name, enum tensor_type type, int rank, const int64_t *dims,
                    const void *data, struct err *err);
/* Everything a state dict has: parameters, running statistics, num_batches_tracked. */
int tensor_list_add_network(struct tensor_list *list, const struct network *net, struct err *err);
/* The learned parameters' shares of another flat buffer, as PREFIX.NAME. */
int tensor_list_add_flat(struct tensor_list *list, const struct network *net, const float *flat, const char *prefix,
                         struct err *err);
void tensor_list_fini(struct tensor_list *list);

/* A file being read; remembers what was used. */
struct weights_reader {
    struct safetensors file;
    const char *path; /* borrowed */
    bool *used;       /* (file.n) */
    /* The names by which the tensors are asked for, where they are not the file's own (borrowed; see foreign.c): */
    const char *const *called; /* (file.n); NULL for a tensor that nobody asks for. NULL: the file's names hold */
    const int *by_called;      /* (n_called) the others in the order of their names */
    int n_called;
    const char *prefix; /* of the file's names, for messages; NULL: none */
};
int weights_open(struct weights_reader *r, const char *path, struct err *err);
void weights_close(struct weights_reader *r);
/* NULL if there is none of this name. */
const struct tensor_view *weights_find(const struct weights_reader *r, const char *name);
/* The tensor of this name and shape, marked as used; NULL with a message. */
const struct tensor_view *weights_take(struct weights_reader *r, const char *name, int rank, const int64_t *dims,
                                       struct err *err);
/* Is everything of the network there, in its shape? Counters apart; nothing is read, but all is marked as used.
 * *present (may be NULL): the number of parameters whose tensors are there, also after a failure. */
int weights_check_network(struct weights_reader *r, const struct network *net, int *present, struct err *err);
/* Everything of the network. Counters (num_batches_tracked) that are missing or no whole numbers are an error unless
 * optional_counters: files from before PyTorch 0.4.1 lack them, casts to half make them F16, and embedding needs none.
 */
int weights_read_network(struct weights_reader *r, struct network *net, bool optional_counters, struct err *err);
/* The learned parameters' shares of another flat buffer, named PREFIX.NAME. */
int weights_read_flat(struct weights_reader *r, const struct network *net, float *flat, const char *prefix,
                      struct err *err);
/* -1, naming the first, if a tensor was not used. */
int weights_all_used(const struct weights_reader *r, struct err *err);

#endif
