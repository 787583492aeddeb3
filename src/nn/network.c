/* The description of a network: growing the lists, laying out the flat buffers. */
#include "nn/network.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "nn/layer.h"

enum { ALIGN_FLOATS = 64 }; /* 256 bytes: what cuBLAS takes for granted */

struct network *network_create(struct device *dev, struct err *err)
{
    struct network *net = mem_alloc(1, sizeof *net, err);
    if (net == NULL)
        return NULL;
    net->dev = dev;
    net->representation = net->output = -1;
    net->tensors = mem_alloc(1, sizeof *net->tensors, err);
    if (net->tensors == NULL) {
        network_destroy(net);
        return NULL;
    }
    net->tensors[0] = (struct tensor){ .c = 3, .producer = -1 };
    net->n_tensors = 1;
    return net;
}

void network_destroy(struct network *net)
{
    if (net == NULL)
        return;
    for (int i = 0; i < net->n_layers; i++)
        mem_free(net->layers[i]);
    mem_free(net->layers);
    mem_free(net->tensors);
    mem_free(net->parameters);
    net->dev->ops->free(net->dev, net->weights);
    net->dev->ops->free(net->dev, net->running);
    net->dev->ops->free(net->dev, net->folded);
    mem_free(net);
}

int network_add_tensor(struct network *net, int c, bool plain, struct err *err)
{
    struct tensor *grown =
        mem_grow(net->tensors, (size_t)net->n_tensors, (size_t)net->n_tensors + 1, sizeof *grown, err);
    if (grown == NULL)
        return -1;
    net->tensors = grown;
    grown[net->n_tensors] = (struct tensor){ .c = c, .plain = plain, .producer = net->n_layers };
    return net->n_tensors++;
}

/* Floats that a parameter occupies in its flat buffer, without alignment. */
static size_t stored_floats(const struct network *net, const struct parameter *p)
{
    if (p->rank == 4)
        return net->dev->ops->conv_weight_bytes(net->dev, (int)p->dims[0], (int)p->dims[1], (int)p->dims[2]) /
               sizeof(float);
    return (size_t)parameter_elements(p);
}

int network_add_parameter(struct network *net, const char *module, const char *name, int rank, const int64_t *dims,
                          enum parameter_init init, int64_t fan, bool running, struct err *err)
{
    struct parameter *grown =
        mem_grow(net->parameters, (size_t)net->n_parameters, (size_t)net->n_parameters + 1, sizeof *grown, err);
    if (grown == NULL)
        return -1;
    net->parameters = grown;
    struct parameter *p = &grown[net->n_parameters];
    int written = snprintf(p->name, sizeof p->name, "%s.%s", module, name);
    assert(written > 0 && (size_t)written < sizeof p->name);
    (void)written;
    p->rank = rank;
    memcpy(p->dims, dims, (size_t)rank * sizeof *dims);
    p->running = running;
    p->head = net->representation >= 0;
    p->init = init;
    p->fan = fan;
    size_t *total = running ? &net->n_running : &net->n_weights;
    p->offset = *total;
    *total += (stored_floats(net, p) + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return net->n_parameters++;
}

static int consume(struct network *net, int tensor, struct err *err)
{
    struct tensor *t = &net->tensors[tensor];
    int most = t->plain ? 1 : TENSOR_CONSUMERS;
    if (t->n_consumers == most)
        return err_set(err, "a %s of a network may be used %d times at most", t->plain ? "row" : "map", most);
    t->consumers[t->n_consumers++] = net->n_layers;
    return 0;
}

int network_add_layer(struct network *net, struct layer *layer, struct err *err)
{
    struct layer **grown = mem_grow(net->layers, (size_t)net->n_layers, (size_t)net->n_layers + 1, sizeof *grown, err);
    if (grown == NULL) {
        mem_free(layer);
        return -1;
    }
    net->layers = grown;
    if (consume(net, layer->input, err) != 0 || (layer->residual >= 0 && consume(net, layer->residual, err) != 0)) {
        mem_free(layer);
        return -1;
    }
    grown[net->n_layers++] = layer;
    net->output = layer->output;
    return layer->output;
}

int network_allocate(struct network *net, struct err *err)
{
    const struct device_ops *ops = net->dev->ops;
    net->weights = ops->alloc(net->dev, net->n_weights * sizeof(float), err);
    net->running = net->weights == NULL ? NULL : ops->alloc(net->dev, net->n_running * sizeof(float), err);
    return net->running == NULL ? -1 : 0;
}

int64_t parameter_elements(const struct parameter *p)
{
    int64_t n = 1;
    for (int i = 0; i < p->rank; i++)
        n *= p->dims[i];
    return n;
}

int64_t network_encoder_parameters(const struct network *net)
{
    int64_t n = 0;
    for (int i = 0; i < net->n_parameters; i++)
        if (!net->parameters[i].running && !net->parameters[i].head)
            n += parameter_elements(&net->parameters[i]);
    return n;
}

int parameter_get(const struct network *net, const struct parameter *p, const float *flat, float *host, struct err *err)
{
    const struct device_ops *ops = net->dev->ops;
    if (p->rank == 4)
        return ops->conv_weight_unpack(net->dev, (int)p->dims[0], (int)p->dims[1], (int)p->dims[2], flat + p->offset,
                                       host, err);
    return ops->download(net->dev, host, flat + p->offset, (size_t)parameter_elements(p) * sizeof *host, err);
}

int parameter_set(const struct network *net, const struct parameter *p, float *flat, const float *host, struct err *err)
{
    const struct device_ops *ops = net->dev->ops;
    if (p->rank == 4)
        return ops->conv_weight_pack(net->dev, (int)p->dims[0], (int)p->dims[1], (int)p->dims[2], host,
                                     flat + p->offset, err);
    return ops->upload(net->dev, flat + p->offset, host, (size_t)parameter_elements(p) * sizeof *host, err);
}

static void draw(const struct parameter *p, struct rng rng, float *out)
{
    int64_t n = parameter_elements(p);
    double scale = p->init == INIT_KAIMING_NORMAL ? sqrt(2.0 / (double)p->fan)
                   : p->init == INIT_UNIFORM      ? 1.0 / sqrt((double)p->fan)
                                                  : 0;
    for (int64_t i = 0; i < n; i++)
        switch (p->init) {
        case INIT_ZERO:
            out[i] = 0;
            break;
        case INIT_ONE:
            out[i] = 1;
            break;
        case INIT_KAIMING_NORMAL:
            out[i] = (float)(scale * rng_normal(&rng));
            break;
        case INIT_UNIFORM:
            out[i] = (float)(scale * (2 * rng_double(&rng) - 1));
            break;
        }
}

int network_init(struct network *net, uint64_t seed, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < net->n_parameters && rc == 0; i++) {
        const struct parameter *p = &net->parameters[i];
        float *host = mem_alloc((size_t)parameter_elements(p), sizeof *host, err);
        if (host == NULL)
            return -1;
        draw(p, rng_at(seed, RNG_INIT, (uint32_t)i, 0, 0), host);
        rc = parameter_set(net, p, p->running ? net->running : net->weights, host, err);
        mem_free(host);
    }
    net->batches = 0;
    return rc;
}

int network_fold(struct network *net, struct err *err)
{
    const struct device_ops *ops = net->dev->ops;
    size_t bytes = net->n_weights * sizeof(float);
    if (net->folded == NULL)
        net->folded = ops->alloc(net->dev, bytes, err);
    if (net->folded == NULL || ops->copy(net->dev, net->folded, net->weights, bytes, err) != 0)
        return -1;
    for (int i = 0; i < net->n_encoder_layers; i++)
        if (net->layers[i]->kind->fold != NULL && net->layers[i]->kind->fold(net->layers[i], net, err) != 0)
            return -1;
    return 0;
}
