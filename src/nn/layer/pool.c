/* Max pooling of the ImageNet stem, and the global average pool that makes the
 * representation. */
#include "base/mem.h"
#include "nn/layer.h"

struct max_pool_state {
    int32_t *where; /* as many as the output has elements */
};

static int max_pool_shape(const struct layer *layer, const struct shape *in, struct shape *out, struct err *err)
{
    (void)layer;
    (void)err;
    out->h = (in->h - 1) / 2 + 1; /* kernel 3, stride 2, padding 1 */
    out->w = (in->w - 1) / 2 + 1;
    return 0;
}

static int max_pool_plan(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    struct max_pool_state *s = state;
    int first = pass_forward_time(pass, layer);
    int last = pass->mode == PASS_TRAIN ? pass_backward_time(pass, layer) : first;
    return pass_claim(pass, &s->where, pass_elements(pass, layer->output) * sizeof *s->where, first, last, err);
}

static int max_pool_forward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    struct max_pool_state *s = state;
    struct device *dev = pass->net->dev;
    const struct act_desc in = pass_act(pass, layer->input);
    return dev->ops->max_pool_forward(dev, &in, pass->values[layer->input], pass->values[layer->output], s->where, err);
}

static int max_pool_backward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    struct max_pool_state *s = state;
    struct device *dev = pass->net->dev;
    const struct act_desc in = pass_act(pass, layer->input);
    void *const *dy = pass->gradients[layer->output];
    return dev->ops->max_pool_backward(dev, &in, dy[0], dy[1], s->where, pass_gradient(pass, layer, layer->input), err);
}

static const struct layer_kind max_pool_kind = { .name = "max_pool",
                                                 .state_size = sizeof(struct max_pool_state),
                                                 .shape = max_pool_shape,
                                                 .plan = max_pool_plan,
                                                 .forward = max_pool_forward,
                                                 .backward = max_pool_backward };

static int avg_pool_shape(const struct layer *layer, const struct shape *in, struct shape *out, struct err *err)
{
    (void)layer;
    (void)in;
    (void)err;
    *out = (struct shape){ 1, 1 };
    return 0;
}

static int avg_pool_plan(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    (void)layer;
    (void)pass;
    (void)state;
    (void)err;
    return 0;
}

static int avg_pool_forward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    (void)state;
    struct device *dev = pass->net->dev;
    const struct act_desc in = pass_act(pass, layer->input);
    return dev->ops->avg_pool_forward(dev, &in, pass->values[layer->input], pass->values[layer->output], err);
}

static int avg_pool_backward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    (void)state;
    struct device *dev = pass->net->dev;
    const struct act_desc in = pass_act(pass, layer->input);
    return dev->ops->avg_pool_backward(dev, &in, pass->gradients[layer->output][0],
                                       pass_gradient(pass, layer, layer->input), err);
}

static const struct layer_kind avg_pool_kind = { .name = "avg_pool",
                                                 .shape = avg_pool_shape,
                                                 .plan = avg_pool_plan,
                                                 .forward = avg_pool_forward,
                                                 .backward = avg_pool_backward };

static int add_pool(struct network *net, int input, const struct layer_kind *kind, bool plain, struct err *err)
{
    struct layer *l = mem_alloc(1, sizeof *l, err);
    if (l == NULL)
        return -1;
    *l = (struct layer){ .kind = kind, .input = input, .residual = -1 };
    l->output = network_add_tensor(net, net->tensors[input].c, plain, err);
    if (l->output < 0) {
        mem_free(l);
        return -1;
    }
    return network_add_layer(net, l, err);
}

int network_max_pool(struct network *net, int input, struct err *err)
{
    return add_pool(net, input, &max_pool_kind, false, err);
}

int network_avg_pool(struct network *net, int input, struct err *err)
{
    int out = add_pool(net, input, &avg_pool_kind, true, err);
    net->representation = out;
    net->n_encoder_layers = net->n_layers;
    return out;
}
