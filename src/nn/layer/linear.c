/* Fully connected layer y = x W^T + b with optional ReLU, for heads. */
#include "base/mem.h"
#include "nn/layer.h"

struct linear_layer {
    struct layer base;
    int in, out;
    bool relu;
    int weight, bias; /* parameters: (out, in) and (out) */
};

static int linear_shape(const struct layer *layer, const struct shape *in, struct shape *out, struct err *err)
{
    (void)layer;
    (void)err;
    *out = *in;
    return 0;
}

static int linear_plan(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    (void)layer;
    (void)pass;
    (void)state;
    (void)err;
    return 0;
}

static int linear_forward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    (void)state;
    const struct linear_layer *l = (const struct linear_layer *)layer;
    struct device *dev = pass->net->dev;
    const struct linear work = { .precision = pass->precision,
                                 .n = pass->n,
                                 .out = l->out,
                                 .in = l->in,
                                 .x = pass->values[layer->input],
                                 .weight = pass_weight(pass, l->weight),
                                 .bias = pass_weight(pass, l->bias),
                                 .relu = l->relu,
                                 .y = pass->values[layer->output] };
    return dev->ops->linear(dev, &work, err);
}

static int linear_backward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    (void)state;
    const struct linear_layer *l = (const struct linear_layer *)layer;
    struct device *dev = pass->net->dev;
    float *dy = pass->gradients[layer->output][0], *dx = pass_gradient(pass, layer, layer->input);
    const struct bias_relu_backward bias = { pass->n, l->out,
                                             l->relu, pass->values[layer->output],
                                             dy,      pass_weight_gradient(pass, l->bias) };
    const struct factor gradient = { dy, l->out, TRANS_NO }, gradient_t = { dy, l->out, TRANS_YES },
                        x = { pass->values[layer->input], l->in, TRANS_NO },
                        weights = { pass_weight(pass, l->weight), l->in, TRANS_NO };
    const struct gemm to_weights = {
        pass->precision, l->out, l->in, pass->n, 1, gradient_t, x, 0, pass_weight_gradient(pass, l->weight), l->in
    };
    const struct gemm to_input = { pass->precision, pass->n, l->in, l->out, 1, gradient, weights, 0, dx, l->in };
    if (dev->ops->bias_relu_backward(dev, &bias, err) != 0 || dev->ops->gemm(dev, &to_weights, err) != 0)
        return -1;
    return dev->ops->gemm(dev, &to_input, err);
}

static const struct layer_kind linear_kind = {
    .name = "linear", .shape = linear_shape, .plan = linear_plan, .forward = linear_forward, .backward = linear_backward
};

int network_linear(struct network *net, int input, const char *name, int out, bool relu, struct err *err)
{
    struct linear_layer *l = mem_alloc(1, sizeof *l, err);
    if (l == NULL)
        return -1;
    l->base = (struct layer){ .kind = &linear_kind, .input = input, .residual = -1 };
    l->in = net->tensors[input].c;
    l->out = out;
    l->relu = relu;
    const int64_t shape[2] = { out, l->in };
    l->weight = network_add_parameter(net, name, "weight", 2, shape, INIT_UNIFORM, l->in, false, err);
    l->bias = l->weight < 0 ? -1 : network_add_parameter(net, name, "bias", 1, shape, INIT_UNIFORM, l->in, false, err);
    l->base.output = l->bias < 0 ? -1 : network_add_tensor(net, out, true, err);
    if (l->base.output < 0) {
        mem_free(l);
        return -1;
    }
    return network_add_layer(net, &l->base, err);
}
