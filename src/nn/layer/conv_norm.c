/* Convolution, batch norm, an optional residual and ReLU: the unit of which
 * ResNets consist. One layer, so that at inference the norm can be folded into
 * the convolution: with s = gamma / sqrt(var + epsilon), the weights of output
 * channel o become s[o] w[o] and its bias beta[o] - s[o] mean[o]. */
#include <math.h>

#include "base/mem.h"
#include "nn/layer.h"

struct conv_norm {
    struct layer base;
    int c_in, c_out, kernel, stride;
    bool relu;
    int weight, gamma, beta, mean, var; /* parameters */
};

struct conv_norm_state {
    struct conv *conv;
    struct batch_norm *norm;
    void *z;              /* what the convolution puts out */
    float *mean, *invstd; /* of the batch, a row for each group of it */
    double *moments, *products;
};

static int conv_norm_shape(const struct layer *layer, const struct shape *in, struct shape *out, struct err *err)
{
    const struct conv_norm *l = (const struct conv_norm *)layer;
    int padding = l->kernel / 2;
    out->h = (in->h + 2 * padding - l->kernel) / l->stride + 1;
    out->w = (in->w + 2 * padding - l->kernel) / l->stride + 1;
    if (in->h < 1 || in->w < 1)
        return err_set(err, "the images are too small for this network");
    return 0;
}

static enum conv_epilogue epilogue(const struct conv_norm *l)
{
    if (l->base.residual >= 0)
        return CONV_BIAS_ADD_RELU;
    return l->relu ? CONV_BIAS_RELU : CONV_BIAS;
}

static int conv_norm_plan(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    const struct conv_norm *l = (const struct conv_norm *)layer;
    struct conv_norm_state *s = state;
    struct device *dev = pass->net->dev;
    const struct shape in = pass->shapes[layer->input], out = pass->shapes[layer->output];
    const bool train = pass->mode == PASS_TRAIN, folded = pass->mode == PASS_FOLDED;
    struct conv_desc conv = { .n = pass->n,
                              .c_in = l->c_in,
                              .h = in.h,
                              .w = in.w,
                              .c_out = l->c_out,
                              .kernel = l->kernel,
                              .stride = l->stride,
                              .padding = l->kernel / 2,
                              .precision = pass->precision,
                              .epilogue = folded ? epilogue(l) : CONV_PLAIN,
                              .training = train,
                              .input_gradient = train && pass->net->tensors[layer->input].producer >= 0 };
    s->conv = dev->ops->conv_create(dev, &conv, err);
    if (s->conv == NULL)
        return -1;
    if (folded)
        return 0;
    struct batch_norm_desc norm = { .n = pass->n,
                                    .c = l->c_out,
                                    .h = out.h,
                                    .w = out.w,
                                    .precision = pass->precision,
                                    .groups = pass->groups,
                                    .relu = l->relu,
                                    .add = layer->residual >= 0,
                                    .epsilon = NORM_EPSILON,
                                    .momentum = NORM_MOMENTUM };
    s->norm = dev->ops->batch_norm_create(dev, &norm, err);
    if (s->norm == NULL)
        return -1;
    int first = pass_forward_time(pass, layer), last = train ? pass_backward_time(pass, layer) : first;
    if (pass_claim_like(pass, &s->z, layer->output, first, last, err) != 0)
        return -1;
    if (!train)
        return 0;
    const size_t vector = (size_t)pass->groups * (size_t)l->c_out;
    if (pass_claim(pass, &s->mean, vector * sizeof *s->mean, first, last, err) != 0 ||
        pass_claim(pass, &s->invstd, vector * sizeof *s->invstd, first, last, err) != 0 ||
        pass_claim(pass, &s->moments, 2 * vector * sizeof *s->moments, first, first, err) != 0)
        return -1;
    return pass_claim(pass, &s->products, 2 * vector * sizeof *s->products, last, last, err);
}

static int conv_norm_forward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    const struct conv_norm *l = (const struct conv_norm *)layer;
    struct conv_norm_state *s = state;
    const struct device_ops *ops = pass->net->dev->ops;
    const void *x = pass->values[layer->input];
    const float *weight = pass_weight(pass, l->weight);
    const void *residual = layer->residual >= 0 ? pass->values[layer->residual] : NULL;
    const float *gamma = pass_weight(pass, l->gamma), *beta = pass_weight(pass, l->beta);
    float *mean = pass_running(pass, l->mean), *var = pass_running(pass, l->var);
    void *y = pass->values[layer->output];
    if (pass->mode == PASS_FOLDED)
        return ops->conv_forward(s->conv, x, weight, beta, residual, y, err);
    if (ops->conv_forward(s->conv, x, weight, NULL, NULL, s->z, err) != 0)
        return -1;
    if (pass->mode == PASS_INFER)
        return ops->batch_norm_infer(s->norm, s->z, residual, gamma, beta, mean, var, y, err);
    for (int round = 0; round < ops->batch_norm_rounds(s->norm); round++)
        if (ops->batch_norm_moments(s->norm, round, s->z, s->moments, err) != 0 ||
            ops->batch_norm_finish(s->norm, round, 1, s->moments, mean, var, s->mean, s->invstd, err) != 0 ||
            ops->batch_norm_apply(s->norm, round, s->z, residual, gamma, beta, s->moments, y, err) != 0)
            return -1;
    return 0;
}

static int conv_norm_backward(const struct layer *layer, struct pass *pass, void *state, struct err *err)
{
    const struct conv_norm *l = (const struct conv_norm *)layer;
    struct conv_norm_state *s = state;
    const struct device_ops *ops = pass->net->dev->ops;
    void *dy = pass->gradients[layer->output][0]; /* becomes the gradient at z in place */
    void *dx = pass_gradient(pass, layer, layer->input);
    const struct batch_norm_backward b = {
        .x = s->z,
        .y = pass->values[layer->output],
        .dy = dy,
        .dy2 = pass->gradients[layer->output][1],
        .gamma = pass_weight(pass, l->gamma),
        .beta = pass_weight(pass, l->beta),
        .save_mean = s->mean,
        .save_invstd = s->invstd,
        .dx = dy,
        .dresidual = layer->residual >= 0 ? pass_gradient(pass, layer, layer->residual) : NULL,
        .dgamma = pass_weight_gradient(pass, l->gamma),
        .dbeta = pass_weight_gradient(pass, l->beta),
    };
    for (int round = 0; round < ops->batch_norm_rounds(s->norm); round++)
        if (ops->batch_norm_products(s->norm, round, &b, s->products, err) != 0 ||
            ops->batch_norm_finish_backward(s->norm, round, 1, 0, &b, s->products, err) != 0 ||
            ops->batch_norm_input_gradient(s->norm, round, &b, s->products, err) != 0)
            return -1;
    if (ops->conv_backward_weight(s->conv, pass->values[layer->input], dy, pass_weight_gradient(pass, l->weight),
                                  err) != 0)
        return -1;
    return dx == NULL ? 0 : ops->conv_backward_data(s->conv, dy, pass_weight(pass, l->weight), dx, err);
}

static void conv_norm_release(const struct layer *layer, struct pass *pass, void *state)
{
    (void)layer;
    struct conv_norm_state *s = state;
    const struct device_ops *ops = pass->net->dev->ops;
    if (s->conv != NULL)
        ops->conv_destroy(s->conv);
    if (s->norm != NULL)
        ops->batch_norm_destroy(s->norm);
}

static int conv_norm_fold(const struct layer *layer, struct network *net, struct err *err)
{
    const struct conv_norm *l = (const struct conv_norm *)layer;
    int rc = -1;
    const struct parameter *weight = &net->parameters[l->weight], *beta = &net->parameters[l->beta];
    size_t c = (size_t)l->c_out, n = (size_t)parameter_elements(weight), row = n / c;
    float *w = mem_alloc(n, sizeof *w, err), *vectors = mem_alloc(4 * c, sizeof *vectors, err);
    if (w == NULL || vectors == NULL)
        goto out;
    float *g = vectors, *b = g + c, *mean = b + c, *var = mean + c;
    if (parameter_get(net, weight, net->weights, w, err) != 0 ||
        parameter_get(net, &net->parameters[l->gamma], net->weights, g, err) != 0 ||
        parameter_get(net, beta, net->weights, b, err) != 0 ||
        parameter_get(net, &net->parameters[l->mean], net->running, mean, err) != 0 ||
        parameter_get(net, &net->parameters[l->var], net->running, var, err) != 0)
        goto out;
    for (size_t o = 0; o < c; o++) {
        double scale = g[o] / sqrt((double)var[o] + NORM_EPSILON);
        for (size_t i = 0; i < row; i++)
            w[o * row + i] = (float)(scale * w[o * row + i]);
        b[o] = (float)(b[o] - scale * mean[o]);
    }
    rc = parameter_set(net, weight, net->folded, w, err) != 0 || parameter_set(net, beta, net->folded, b, err) != 0 ? -1
                                                                                                                    : 0;
out:
    mem_free(w);
    mem_free(vectors);
    return rc;
}

static const struct layer_kind conv_norm_kind = { .name = "conv_norm",
                                                  .state_size = sizeof(struct conv_norm_state),
                                                  .shape = conv_norm_shape,
                                                  .plan = conv_norm_plan,
                                                  .forward = conv_norm_forward,
                                                  .backward = conv_norm_backward,
                                                  .release = conv_norm_release,
                                                  .fold = conv_norm_fold };

int network_conv_norm(struct network *net, int input, int residual, const char *conv, const char *norm, int c_out,
                      int kernel, int stride, bool relu, struct err *err)
{
    if (residual >= 0 && !relu)
        return err_set(err, "a residual needs a ReLU behind it");
    struct conv_norm *l = mem_alloc(1, sizeof *l, err);
    if (l == NULL)
        return -1;
    l->base = (struct layer){ .kind = &conv_norm_kind, .input = input, .residual = residual };
    l->c_in = net->tensors[input].c;
    l->c_out = c_out;
    l->kernel = kernel;
    l->stride = stride;
    l->relu = relu;
    const int64_t oihw[4] = { c_out, l->c_in, kernel, kernel }, c[1] = { c_out };
    l->weight = network_add_parameter(net, conv, "weight", 4, oihw, INIT_KAIMING_NORMAL,
                                      (int64_t)c_out * kernel * kernel, false, err);
    l->gamma = l->weight < 0 ? -1 : network_add_parameter(net, norm, "weight", 1, c, INIT_ONE, 1, false, err);
    l->beta = l->gamma < 0 ? -1 : network_add_parameter(net, norm, "bias", 1, c, INIT_ZERO, 1, false, err);
    l->mean = l->beta < 0 ? -1 : network_add_parameter(net, norm, "running_mean", 1, c, INIT_ZERO, 1, true, err);
    l->var = l->mean < 0 ? -1 : network_add_parameter(net, norm, "running_var", 1, c, INIT_ONE, 1, true, err);
    l->base.output = l->var < 0 ? -1 : network_add_tensor(net, c_out, false, err);
    if (l->base.output < 0) {
        mem_free(l);
        return -1;
    }
    return network_add_layer(net, &l->base, err);
}
