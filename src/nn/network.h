/* Networks: a flat list of layers over numbered tensors, independent of batch
 * and image size, and the flat buffers of what they learn.
 *
 * Learned parameters lie in one contiguous buffer (each 256-byte aligned,
 * convolution weights in the device's packed form), so that gradients, moments
 * and the optimiser's launch are flat as well; running statistics in another. */
#ifndef DINF_NN_NETWORK_H
#define DINF_NN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

enum { PARAMETER_NAME = 96, TENSOR_CONSUMERS = 2 };

/* Both of torch.nn.BatchNorm2d's defaults. */
#define NORM_EPSILON 1e-5
#define NORM_MOMENTUM 0.1

enum parameter_init {
    INIT_ZERO,
    INIT_ONE,
    INIT_KAIMING_NORMAL, /* normal, std sqrt(2 / fan), fan = outputs x kernel area */
    INIT_UNIFORM,        /* uniform in +-1 / sqrt(fan), fan = inputs: torch.nn.Linear */
};

/* A named array: learned, or a running statistic. */
struct parameter {
    char name[PARAMETER_NAME]; /* as in torchvision's state dict */
    int rank;
    int64_t dims[4]; /* (o, i, k, k), (o, i) or (c) */
    bool running;    /* in `running`, else in `weights` */
    bool head;       /* belongs to a training head, not to the encoder */
    size_t offset;   /* floats, into its flat buffer */
    enum parameter_init init;
    int64_t fan;
};

/* One image's share of a tensor: a map of h x w, or a plain row of c. */
struct tensor {
    int c;
    bool plain;
    int producer;                    /* layer; -1: the network's input */
    int consumers[TENSOR_CONSUMERS]; /* layers, in their order */
    int n_consumers;
};

struct layer;

struct network {
    struct device *dev; /* borrowed */
    struct parameter *parameters;
    int n_parameters;
    struct layer **layers;
    int n_layers;
    struct tensor *tensors; /* 0 is the input */
    int n_tensors;
    int representation;          /* tensor behind the global average pool */
    int n_encoder_layers;        /* up to and with that pool */
    int output;                  /* tensor of the last layer */
    float *weights, *running;    /* device memory */
    float *folded;               /* as `weights`, batch norm folded in; NULL until network_fold */
    size_t n_weights, n_running; /* floats */
    int64_t batches;             /* num_batches_tracked */
};

struct network *network_create(struct device *dev, struct err *err);
void network_destroy(struct network *net);

/* Builders: append a layer and return its output tensor, or -1. Layers' names
 * are those of torchvision's modules. `residual` -1: none. */
int network_conv_norm(struct network *net, int input, int residual, const char *conv, const char *norm, int c_out,
                      int kernel, int stride, bool relu, struct err *err);
int network_max_pool(struct network *net, int input, struct err *err);
/* Ends the encoder: its output is the representation. */
int network_avg_pool(struct network *net, int input, struct err *err);
int network_linear(struct network *net, int input, const char *name, int out, bool relu, struct err *err);

/* For layers: a new tensor made by the layer that is added next; a parameter. */
int network_add_tensor(struct network *net, int c, bool plain, struct err *err);
int network_add_parameter(struct network *net, const char *module, const char *name, int rank, const int64_t *dims,
                          enum parameter_init init, int64_t fan, bool running, struct err *err);
/* Takes the layer over, also on failure. */
int network_add_layer(struct network *net, struct layer *layer, struct err *err);

/* Reserves the flat buffers: after the last layer. */
int network_allocate(struct network *net, struct err *err);

/* Draws every learned parameter from rng_at(seed, RNG_INIT, its index, 0, 0); running
 * statistics are 0 and 1. */
int network_init(struct network *net, uint64_t seed, struct err *err);

/* Folds batch norm's running statistics into `folded`, for inference. */
int network_fold(struct network *net, struct err *err);

/* Number of elements of a parameter; of all learned ones outside of heads. */
int64_t parameter_elements(const struct parameter *p);
int64_t network_encoder_parameters(const struct network *net);

/* One parameter between a flat device buffer (weights, a moment, running) and
 * plain host memory of parameter_elements floats. */
int parameter_get(const struct network *net, const struct parameter *p, const float *flat, float *host,
                  struct err *err);
int parameter_set(const struct network *net, const struct parameter *p, float *flat, const float *host,
                  struct err *err);

#endif
