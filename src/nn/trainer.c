/* What a training step consists of: draw the views, forward, loss, backward,
 * optimiser. */
#include "nn/trainer.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "nn/weights.h"

void trainer_destroy(struct trainer *t)
{
    if (t == NULL)
        return;
    const struct device_ops *ops = t->dev->ops;
    if (t->recording != NULL)
        ops->recording->destroy(t->recording);
    if (t->loss != NULL)
        t->config.loss->destroy(t->loss);
    for (int i = 0; i < OPTIM_MOMENTS; i++)
        ops->free(t->dev, t->moments[i]);
    ops->free(t->dev, t->total);
    feed_destroy(t->feed);
    pass_destroy(t->pass);
    network_destroy(t->net);
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
    if (r->target != NULL && im->n > INT32_MAX / r->target_views) /* rows of answers are int32_t */
        return err_set(err, "%lld images of %d views have too many answers for one training", (long long)im->n,
                       r->target_views);
    if (im->c != 3 || im->h != im->w)
        return err_set(err, "an encoder takes square images of 3 channels, not %d x %d of %d", im->h, im->w, im->c);
    if (r->target == NULL && loss->views == 0)
        return err_set(err, "the loss %s needs a victim's answers; it cannot train by itself", loss->row.name);
    if (r->target != NULL && !loss->accepts_targets)
        return err_set(err, "the loss %s has no use for a victim's answers", loss->row.name);
    if (loss->needs_labels && im->labels == NULL)
        return err_set(err, "the loss %s needs labels, the images have none", loss->row.name);
    for (int64_t i = 0; loss->needs_labels && i < im->n; i++)
        if (im->labels[i] < 0)
            return err_set(err, "the loss %s needs labels, image %lld has none", loss->row.name, (long long)i);
    return 0;
}

static void measure_pipeline(const struct images *im, struct pipeline *p)
{
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
    return 0;
}

/* Drawn, or out of the file that the option `init` names. */
static int set_weights(struct trainer *t, struct err *err)
{
    const struct train_options *o = &t->config.o;
    if (o->init[0] == 0)
        return network_init(t->net, t->request->seed, err);
    struct weights_reader r;
    if (weights_open(&r, o->init, err) != 0)
        return -1;
    int rc = weights_read_network(&r, t->net, false, err) != 0 ? -1 : weights_all_used(&r, err);
    weights_close(&r);
    return rc;
}

/* The device has what this row of a table takes. */
static int check_operations(const struct trainer *t, const char *what, const struct nn_row *row, struct err *err)
{
    const char *lacking = device_lacks(t->dev, row->operations);
    return lacking == NULL ? 0
                           : err_set(err, "the device %s has no operation %s, which the %s %s takes", t->dev->ops->name,
                                     lacking, what, row->name);
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

static enum precision precision_of(const char *name)
{
    int p = PRECISION_FP32;
    while (strcmp(name, precision_names[p]) != 0) /* the option's choices are these names */
        p++;
    return (enum precision)p;
}

struct trainer *trainer_lay_out(struct device *dev, const struct train_request *request, struct err *err)
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
    t->pipeline.size = im->h;
    t->precision = precision_of(t->config.o.precision);
    if (check_operations(t, "loss", &t->config.loss->row, err) != 0 ||
        check_operations(t, "optimizer", &t->config.optim->row, err) != 0 || build_network(t, err) != 0 ||
        create_optimiser(t, err) != 0)
        goto fail;
    t->pass = pass_create(t->net, PASS_TRAIN, t->precision, t->views * t->images,
                          strcmp(t->config.o.batch_norm, "per-view") == 0 ? t->views : 1, t->pipeline.size,
                          t->pipeline.size, err);
    if (t->pass == NULL)
        goto fail;
    const struct loss_shape shape = {
        .images = t->images,
        .views = t->views,
        .dim = t->net->tensors[t->net->output].c,
        .targets = theft,
        .precision = t->precision,
    };
    t->loss = t->config.loss->create(dev, t->config.loss_options, &shape, err);
    if (t->loss == NULL)
        goto fail;
    /* last: it keeps the images on the device if there is still room for them */
    t->feed = feed_create(dev, request, &t->config, t->images, t->views, err);
    t->total = t->feed == NULL ? NULL : dev->ops->alloc(dev, sizeof *t->total, err);
    if (t->total == NULL)
        goto fail;
    return t;
fail:
    trainer_destroy(t);
    return NULL;
}

struct trainer *trainer_create(struct device *dev, const struct train_request *request, struct err *err)
{
    struct trainer *t = trainer_lay_out(dev, request, err);
    if (t == NULL)
        return NULL;
    measure_pipeline(request->data, &t->pipeline);
    if (set_weights(t, err) == 0)
        return t;
    trainer_destroy(t);
    return NULL;
}

/* All work of a step that its feed was loaded for. */
static int queue(struct trainer *t, struct err *err)
{
    const struct augment_target target = pipeline_target(&t->pipeline, t->precision);
    const struct loss_input in = { .z = pass_output(t->pass),
                                   .target = feed_answers(t->feed),
                                   .labels = feed_labels(t->feed) };
    if (feed_apply(t->feed, &target, pass_input(t->pass), err) != 0 || pass_forward(t->pass, err) != 0 ||
        t->config.loss->run(t->loss, &in, pass_output_gradient(t->pass), t->total, err) != 0 ||
        pass_backward(t->pass, err) != 0)
        return -1;
    return t->config.optim->step(t->dev, t->net->n_weights, t->net->weights, t->pass->weight_gradients, t->moments,
                                 feed_optimiser(t->feed), err);
}

/* A recording that fails has run nothing. The step is then queued as the first one was; if the
 * step itself is at fault, queueing it says why. DINF_RECORD=required makes a failed recording
 * an error, for tests. */
static int record(struct trainer *t, struct err *err)
{
    const struct device_recording *r = t->dev->ops->recording;
    struct err why = { 0 }, later;
    int rc = r->begin(t->dev, &why);
    if (rc == 0) {
        rc = queue(t, &why);
        t->recording = r->end(t->dev, rc == 0 ? &why : &later); /* must be ended whatever became of it */
    }
    if (rc != 0 && t->recording != NULL) {
        r->destroy(t->recording);
        t->recording = NULL;
    }
    t->unrecorded = t->recording == NULL;
    if (!t->unrecorded)
        return 0;
    const char *wish = getenv("DINF_RECORD");
    if (wish != NULL && strcmp(wish, "required") == 0)
        return err_set(err, "a step could not be recorded, which DINF_RECORD=required asks for: %s", why.text);
    log_warn("steps are not recorded but queued call by call, which is slower: %s", why.text);
    return 0;
}

int trainer_step(struct trainer *t, const uint32_t *indices, int64_t epoch, int64_t step, double lr, struct err *err)
{
    const struct device_recording *r = t->dev->ops->recording;
    if (feed_load(t->feed, indices, epoch, step, lr, err) != 0)
        return -1;
    if (t->recording == NULL && t->warm && r != NULL && !t->unrecorded && record(t, err) != 0)
        return -1;
    if ((t->recording != NULL ? r->replay(t->recording, err) : queue(t, err)) != 0)
        return -1;
    t->warm = true;
    t->net->batches += t->pass->groups; /* as if every view had gone through alone */
    return 0;
}

int trainer_set_total(struct trainer *t, double value, struct err *err)
{
    return t->dev->ops->upload(t->dev, t->total, &value, sizeof value, err);
}

int trainer_total(struct trainer *t, double *value, struct err *err)
{
    return t->dev->ops->download(t->dev, value, t->total, sizeof *value, err);
}
