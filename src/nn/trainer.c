/* What a training step consists of: draw the views, forward, loss, backward,
 * optimiser. */
#include "nn/trainer.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "nn/weights.h"

void trainer_destroy(struct trainer *t)
{
    if (t == NULL)
        return;
    const struct device_ops *ops = t->dev->ops;
    if (t->loss != NULL)
        t->config.loss->destroy(t->loss);
    for (int i = 0; i < OPTIM_MOMENTS; i++)
        ops->free(t->dev, t->moments[i]);
    ops->free(t->dev, t->pixels);
    ops->free(t->dev, t->target);
    pass_destroy(t->pass);
    network_destroy(t->net);
    mem_free(t->drawn);
    mem_free(t->labels);
    mem_free(t->target_rows);
    train_config_fini(&t->config);
    mem_free(t);
}

static int check_request(const struct trainer *t, struct err *err)
{
    const struct train_request *r = t->request;
    const struct images *im = r->data;
    const struct loss_kind *loss = t->config.loss;
    if (im->n < 1)
        return err_set(err, "there are no images to train on");
    if (im->n > INT32_MAX)
        return err_set(err, "%lld images are too many for one training", (long long)im->n);
    if (im->c != 3 || im->h != im->w)
        return err_set(err, "an encoder takes square images of 3 channels, not %d x %d of %d", im->h, im->w, im->c);
    if (r->target == NULL && loss->views == 0)
        return err_set(err, "the loss %s needs a victim's answers; it cannot train by itself", loss->row.name);
    if (r->target != NULL && !loss->accepts_targets)
        return err_set(err, "the loss %s has no use for a victim's answers", loss->row.name);
    if (loss->needs_labels && im->labels == NULL)
        return err_set(err, "the loss %s needs labels, the images have none", loss->row.name);
    return 0;
}

static void measure_pipeline(const struct images *im, struct pipeline *p)
{
    p->size = im->h;
    images_moments(im, p->mean, p->std);
    for (int c = 0; c < 3; c++)
        if (!(p->std[c] > 1e-6f))
            p->std[c] = 1; /* a constant channel says nothing at any scale */
}

static int build_network(struct trainer *t, struct err *err)
{
    const struct train_options *o = &t->config.o;
    const bool theft = t->request->target != NULL;
    const bool head = strcmp(theft ? o->head : o->projector, "mlp") == 0;
    t->head_dim = !head ? 0 : theft ? t->request->target_dim : (int)o->projector_dim;
    t->net = network_build(t->dev, &t->config.encoder, t->head_dim, err);
    if (t->net == NULL)
        return -1;
    int dim = t->net->tensors[t->net->output].c;
    if (theft && dim != t->request->target_dim)
        return err_set(err,
                       "the thief's representation has %d dimensions, the victim's answers have %d: choose another "
                       "arch or width, or head = \"mlp\"",
                       dim, t->request->target_dim);
    if (o->init[0] == 0)
        return network_init(t->net, t->request->seed, err);
    struct weights_reader r;
    if (weights_open(&r, o->init, err) != 0)
        return -1;
    int rc = weights_read_network(&r, t->net, "", false, err) != 0 ? -1 : weights_all_used(&r, err);
    weights_close(&r);
    return rc;
}

static int create_optimiser(struct trainer *t, struct err *err)
{
    for (int i = 0; i < OPTIM_MOMENTS && t->config.optim->moments[i] != NULL; i++) {
        t->moments[i] = t->dev->ops->alloc(t->dev, t->net->n_weights * sizeof(float), err);
        if (t->moments[i] == NULL)
            return -1;
    }
    return 0;
}

static int create_buffers(struct trainer *t, struct err *err)
{
    const struct images *im = t->request->data;
    const struct device_ops *ops = t->dev->ops;
    size_t bytes = (size_t)im->n * 3 * (size_t)im->h * (size_t)im->w;
    t->drawn = mem_alloc((size_t)t->views * (size_t)t->images, sizeof *t->drawn, err);
    t->pixels = t->drawn == NULL ? NULL : ops->alloc(t->dev, bytes, err);
    if (t->pixels == NULL || ops->upload(t->dev, t->pixels, im->pixels, bytes, err) != 0)
        return -1;
    if (im->labels != NULL && (t->labels = mem_alloc((size_t)t->images, sizeof *t->labels, err)) == NULL)
        return -1;
    if (t->request->target == NULL)
        return 0;
    size_t n = (size_t)t->images * (size_t)t->request->target_dim;
    t->target_rows = mem_alloc(n, sizeof *t->target_rows, err);
    t->target = t->target_rows == NULL ? NULL : ops->alloc(t->dev, n * sizeof *t->target, err);
    if (t->target == NULL)
        return -1;
    return augment_query_parse(t->request->target_augment, &t->target_strength, &t->target_seed, err);
}

struct trainer *trainer_create(struct device *dev, const struct train_request *request, struct err *err)
{
    struct trainer *t = mem_alloc(1, sizeof *t, err);
    if (t == NULL)
        return NULL;
    t->dev = dev;
    t->request = request;
    if (train_config_parse(request->block, &t->config, err) != 0 || check_request(t, err) != 0)
        goto fail;
    const struct images *im = request->data;
    const bool theft = request->target != NULL;
    t->images = (int)(t->config.o.batch < im->n ? t->config.o.batch : im->n);
    t->views = theft ? 1 : t->config.loss->views;
    measure_pipeline(im, &t->pipeline);
    if (build_network(t, err) != 0 || create_optimiser(t, err) != 0 || create_buffers(t, err) != 0)
        goto fail;
    t->pass = pass_create(t->net, PASS_TRAIN, t->views * t->images, t->pipeline.size, t->pipeline.size, err);
    if (t->pass == NULL)
        goto fail;
    const struct loss_shape shape = {
        .images = t->images, .views = t->views, .dim = t->net->tensors[t->net->output].c, .targets = theft
    };
    t->loss = t->config.loss->create(dev, t->config.loss_options, &shape, err);
    if (t->loss == NULL)
        goto fail;
    return t;
fail:
    trainer_destroy(t);
    return NULL;
}

/* The views of a step, by view and then by image. In a theft the one view of an
 * epoch is one of those that the victim was asked about, with its answer. */
static void draw_views(struct trainer *t, const uint32_t *indices, int64_t epoch)
{
    const struct train_request *r = t->request;
    const struct images *im = r->data;
    for (int k = 0; k < t->views * t->images; k++) {
        uint32_t i = indices[k % t->images];
        if (r->target != NULL) {
            uint32_t key = r->target_index != NULL ? (uint32_t)r->target_index[i] : i;
            uint32_t view = (uint32_t)(epoch % r->target_views);
            t->drawn[k] = augment_draw(&t->target_strength, t->target_seed, 0, key, view, im->h, im->w);
            memcpy(t->target_rows + (size_t)k * (size_t)r->target_dim,
                   r->target + ((size_t)i * (size_t)r->target_views + view) * (size_t)r->target_dim,
                   (size_t)r->target_dim * sizeof *r->target);
        } else {
            t->drawn[k] = augment_draw(&t->config.augment, r->seed, (uint32_t)epoch, i, (uint32_t)(k / t->images),
                                       im->h, im->w);
        }
        t->drawn[k].image = (int32_t)i;
        if (t->labels != NULL)
            t->labels[k % t->images] = im->labels[i];
    }
}

int trainer_step(struct trainer *t, const uint32_t *indices, int64_t epoch, int64_t step, double lr, double *loss,
                 struct err *err)
{
    const struct images *im = t->request->data;
    const struct device_ops *ops = t->dev->ops;
    const struct augment_target target = pipeline_target(&t->pipeline);
    draw_views(t, indices, epoch);
    if (ops->augment(t->dev, t->pixels, 3, im->h, im->w, t->drawn, t->views * t->images, &target,
                     pass_input(t->pass), err) != 0)
        return -1;
    if (t->target != NULL &&
        ops->upload(t->dev, t->target, t->target_rows,
                    (size_t)t->images * (size_t)t->request->target_dim * sizeof *t->target, err) != 0)
        return -1;
    const struct loss_input in = { .z = pass_output(t->pass), .target = t->target, .labels = t->labels };
    if (pass_forward(t->pass, err) != 0 ||
        t->config.loss->run(t->loss, &in, pass_output_gradient(t->pass), loss, err) != 0)
        return -1;
    if (!isfinite(*loss))
        return err_set(err, "the loss is not finite at step %lld (epoch %lld, learning rate %g)", (long long)step,
                       (long long)epoch + 1, lr);
    if (pass_backward(t->pass, err) != 0)
        return -1;
    return t->config.optim->step(t->dev, t->config.optim_options, t->net->n_weights, t->net->weights,
                                 t->pass->weight_gradients, t->moments, lr, step, err);
}
