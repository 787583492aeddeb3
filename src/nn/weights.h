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
};
int weights_open(struct weights_reader *r, const char *path, struct err *err);
void weights_close(struct weights_reader *r);
/* The tensor of this name and shape, marked as used; NULL with a message. */
const struct tensor_view *weights_take(struct weights_reader *r, const char *name, int rank, const int64_t *dims,
                                       struct err *err);
/* Everything of the network, under `prefix` + name. Counters that are missing are
 * an error unless optional_counters (files from before PyTorch 0.4.1 lack them). */
int weights_read_network(struct weights_reader *r, struct network *net, const char *prefix, bool optional_counters,
                         struct err *err);
/* The learned parameters' shares of another flat buffer, named PREFIX.NAME. */
int weights_read_flat(struct weights_reader *r, const struct network *net, float *flat, const char *prefix,
                      struct err *err);
/* Marks what begins with `prefix` as used. */
void weights_ignore(struct weights_reader *r, const char *prefix);
/* -1, naming the first, if a tensor was not used. */
int weights_all_used(const struct weights_reader *r, struct err *err);

#endif
