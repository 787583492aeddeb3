/* Running a network on batches of one shape: memory by lifetimes, operations
 * planned once, then forward and backward over the flat list. */
#include "nn/pass.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/layer.h"

enum { ALIGN_BYTES = 256 }; /* what cuBLAS takes for granted */

struct claim {
    void *where; /* a pointer's */
    size_t bytes, offset;
    int first, last;
};

int pass_forward_time(const struct pass *pass, const struct layer *layer)
{
    return pass->net->tensors[layer->output].producer;
}

int pass_backward_time(const struct pass *pass, const struct layer *layer)
{
    return 2 * pass->n_layers - 1 - pass_forward_time(pass, layer);
}

int pass_end(const struct pass *pass)
{
    return pass->mode == PASS_TRAIN ? 2 * pass->n_layers - 1 : pass->n_layers;
}

static int channel_block(const struct pass *pass, const struct tensor *t)
{
    return t->plain ? 1 : pass->net->dev->ops->channel_block(pass->net->dev, t->c);
}

size_t pass_elements(const struct pass *pass, int tensor)
{
    const struct tensor *t = &pass->net->tensors[tensor];
    int block = channel_block(pass, t);
    size_t channels = (size_t)((t->c + block - 1) / block) * (size_t)block;
    return (size_t)pass->n * channels * (size_t)pass->shapes[tensor].h * (size_t)pass->shapes[tensor].w;
}

struct act_desc pass_act(const struct pass *pass, int tensor)
{
    return (struct act_desc){ .n = pass->n,
                              .c = pass->net->tensors[tensor].c,
                              .h = pass->shapes[tensor].h,
                              .w = pass->shapes[tensor].w,
                              .precision = pass->precision };
}

int pass_claim(struct pass *pass, void *where, size_t bytes, int first, int last, struct err *err)
{
    if (pass->n_claims == pass->max_claims) {
        int more = pass->max_claims == 0 ? 64 : 2 * pass->max_claims;
        struct claim *grown = mem_grow(pass->claims, (size_t)pass->max_claims, (size_t)more, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        pass->claims = grown;
        pass->max_claims = more;
    }
    pass->claims[pass->n_claims++] = (struct claim){
        .where = where, .bytes = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES, .first = first, .last = last
    };
    return 0;
}

int pass_claim_like(struct pass *pass, void *where, int tensor, int first, int last, struct err *err)
{
    const struct tensor *t = &pass->net->tensors[tensor];
    size_t element = t->plain ? sizeof(float) : precision_bytes(pass->precision);
    /* Padding channels are zero from the start and are nobody's to write: such
     * memory must not have held anything else. */
    if (t->c % channel_block(pass, t) != 0) {
        first = 0;
        last = pass_end(pass);
    }
    return pass_claim(pass, where, pass_elements(pass, tensor) * element, first, last, err);
}

static int claim_values(struct pass *pass, struct err *err)
{
    const struct network *net = pass->net;
    for (int t = 0; t < net->n_tensors; t++) {
        const struct tensor *tensor = &net->tensors[t];
        if (tensor->producer >= pass->n_layers)
            continue;
        int first = tensor->producer < 0 ? 0 : tensor->producer, last = first;
        if (pass->mode == PASS_TRAIN)
            last = tensor->producer < 0 ? pass_end(pass) : 2 * pass->n_layers - 1 - tensor->producer;
        for (int k = 0; k < tensor->n_consumers && pass->mode != PASS_TRAIN; k++)
            last = tensor->consumers[k] > last ? tensor->consumers[k] : last;
        if (tensor->producer == pass->n_layers - 1)
            last = pass_end(pass);
        if (pass_claim_like(pass, &pass->values[t], t, first, last, err) != 0)
            return -1;
    }
    return 0;
}

/* A gradient lives from its consumer's backward step (the output's: from the
 * loss) to the producer's. */
static int claim_gradients(struct pass *pass, struct err *err)
{
    const struct network *net = pass->net;
    for (int t = 1; t < net->n_tensors; t++) {
        const struct tensor *tensor = &net->tensors[t];
        int last = 2 * pass->n_layers - 1 - tensor->producer;
        for (int k = 0; k < tensor->n_consumers; k++)
            if (pass_claim_like(pass, &pass->gradients[t][k], t, 2 * pass->n_layers - 1 - tensor->consumers[k], last,
                                err) != 0)
                return -1;
        if (t == net->output && pass_claim_like(pass, &pass->gradients[t][0], t, pass->n_layers, last, err) != 0)
            return -1;
    }
    return 0;
}

static int larger_first(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->first != y->first ? x->first - y->first : x->last - y->last;
}

static int lower_first(const void *a, const void *b)
{
    const struct claim *x = *(const struct claim *const *)a, *y = *(const struct claim *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Each claim, the largest first, goes into the lowest gap between those placed
 * before it whose times overlap with its own. */
static int place_claims(struct pass *pass, struct err *err)
{
    const struct claim **live = mem_alloc((size_t)pass->n_claims, sizeof *live, err);
    if (live == NULL)
        return -1;
    qsort(pass->claims, (size_t)pass->n_claims, sizeof *pass->claims, larger_first);
    for (int i = 0; i < pass->n_claims; i++) {
        struct claim *c = &pass->claims[i];
        int n = 0;
        for (int j = 0; j < i; j++)
            if (pass->claims[j].first <= c->last && c->first <= pass->claims[j].last)
                live[n++] = &pass->claims[j];
        qsort(live, (size_t)n, sizeof *live, lower_first);
        for (int j = 0; j < n && c->offset + c->bytes > live[j]->offset; j++)
            if (live[j]->offset + live[j]->bytes > c->offset)
                c->offset = live[j]->offset + live[j]->bytes;
        if (c->offset + c->bytes > pass->arena_bytes)
            pass->arena_bytes = c->offset + c->bytes;
    }
    mem_free(live);
    return 0;
}

static int plan_layers(struct pass *pass, struct err *err)
{
    for (int i = 0; i < pass->n_layers; i++) {
        const struct layer *l = pass->net->layers[i];
        if (l->kind->shape(l, &pass->shapes[l->input], &pass->shapes[l->output], err) != 0)
            return -1;
        if (l->residual >= 0 && (pass->shapes[l->residual].h != pass->shapes[l->output].h ||
                                 pass->shapes[l->residual].w != pass->shapes[l->output].w))
            return err_set(err, "the images are too small for this network");
        pass->states[i] = mem_alloc(1, l->kind->state_size, err);
        if (pass->states[i] == NULL || l->kind->plan(l, pass, pass->states[i], err) != 0)
            return -1;
    }
    return 0;
}

struct pass *pass_create(struct network *net, enum pass_mode mode, enum precision precision, int n, int groups, int h,
                         int w, struct err *err)
{
    assert(n > 0 && groups > 0 && (mode != PASS_FOLDED || net->folded != NULL));
    struct device *dev = net->dev;
    if (device_supports(dev, precision, err) != 0)
        return NULL;
    struct pass *pass = mem_alloc(1, sizeof *pass, err);
    if (pass == NULL)
        return NULL;
    size_t tensors = (size_t)net->n_tensors;
    pass->net = net;
    pass->mode = mode;
    pass->precision = precision;
    pass->groups = groups;
    pass->n = n;
    pass->n_layers = mode == PASS_TRAIN ? net->n_layers : net->n_encoder_layers;
    pass->shapes = mem_alloc(tensors, sizeof *pass->shapes, err);
    pass->values = mem_alloc(tensors, sizeof *pass->values, err);
    pass->gradients = mem_alloc(tensors, sizeof *pass->gradients, err);
    pass->states = mem_alloc((size_t)net->n_layers, sizeof *pass->states, err);
    if (pass->shapes == NULL || pass->values == NULL || pass->gradients == NULL || pass->states == NULL)
        goto fail;
    pass->shapes[0] = (struct shape){ h, w };
    if (plan_layers(pass, err) != 0 || claim_values(pass, err) != 0 ||
        (mode == PASS_TRAIN && claim_gradients(pass, err) != 0) || place_claims(pass, err) != 0)
        goto fail;
    pass->arena = dev->ops->alloc(dev, pass->arena_bytes, err);
    if (pass->arena == NULL)
        goto fail;
    for (int i = 0; i < pass->n_claims; i++) {
        void *at = (char *)pass->arena + pass->claims[i].offset;
        memcpy(pass->claims[i].where, &at, sizeof at); /* whatever it points to */
    }
    if (mode == PASS_TRAIN) {
        pass->weight_gradients = dev->ops->alloc(dev, net->n_weights * sizeof(float), err);
        if (pass->weight_gradients == NULL)
            goto fail;
    }
    return pass;
fail:
    pass_destroy(pass);
    return NULL;
}

void pass_destroy(struct pass *pass)
{
    if (pass == NULL)
        return;
    struct device *dev = pass->net->dev;
    for (int i = 0; pass->states != NULL && i < pass->n_layers; i++) {
        const struct layer *l = pass->net->layers[i];
        if (pass->states[i] != NULL && l->kind->release != NULL)
            l->kind->release(l, pass, pass->states[i]);
        mem_free(pass->states[i]);
    }
    dev->ops->free(dev, pass->arena);
    dev->ops->free(dev, pass->weight_gradients);
    mem_free(pass->claims);
    mem_free(pass->states);
    mem_free(pass->gradients);
    mem_free(pass->values);
    mem_free(pass->shapes);
    mem_free(pass);
}

static int output_tensor(const struct pass *pass)
{
    return pass->net->layers[pass->n_layers - 1]->output;
}

void *pass_input(const struct pass *pass)
{
    return pass->values[0];
}

const float *pass_output(const struct pass *pass)
{
    return pass->values[output_tensor(pass)];
}

float *pass_output_gradient(const struct pass *pass)
{
    return pass->gradients[output_tensor(pass)][0];
}

float *pass_weight(const struct pass *pass, int parameter)
{
    float *weights = pass->mode == PASS_FOLDED ? pass->net->folded : pass->net->weights;
    return weights + pass->net->parameters[parameter].offset;
}

float *pass_weight_gradient(const struct pass *pass, int parameter)
{
    return pass->weight_gradients + pass->net->parameters[parameter].offset;
}

float *pass_running(const struct pass *pass, int parameter)
{
    return pass->net->running + pass->net->parameters[parameter].offset;
}

void *pass_gradient(const struct pass *pass, const struct layer *layer, int tensor)
{
    const struct tensor *t = &pass->net->tensors[tensor];
    int me = pass_forward_time(pass, layer);
    for (int k = 0; k < t->n_consumers && t->producer >= 0; k++)
        if (t->consumers[k] == me)
            return pass->gradients[tensor][k];
    return NULL;
}

int pass_forward(struct pass *pass, struct err *err)
{
    for (int i = 0; i < pass->n_layers; i++) {
        const struct layer *l = pass->net->layers[i];
        if (l->kind->forward(l, pass, pass->states[i], err) != 0)
            return -1;
    }
    return 0;
}

int pass_backward(struct pass *pass, struct err *err)
{
    assert(pass->mode == PASS_TRAIN);
    for (int i = pass->n_layers - 1; i >= 0; i--) {
        const struct layer *l = pass->net->layers[i];
        if (l->kind->backward(l, pass, pass->states[i], err) != 0)
            return -1;
    }
    return 0;
}
