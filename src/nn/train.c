/* The training loop: epochs, order of the images, learning rate, curves,
 * checkpoints. Everything random is a function of (seed, epoch, sample, view), so
 * that a training taken up from a checkpoint goes on with the same bits. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stop.h"
#include "nn/checkpoint.h"

struct run {
    const struct train_request *request;
    struct trainer *trainer;
    struct train_position at;
    char identity[HASH_HEX];
    int64_t steps_per_epoch, steps;  /* steps: of the whole training */
    uint32_t *order;                 /* (n) of the current epoch */
    int64_t ordered_epoch;           /* that `order` belongs to; -1: none */
    double begin, step_begin, saved; /* clock_monotonic: this process's start, the step's, the last checkpoint */
    int64_t first_step;
    int64_t asked; /* step after which the total was asked for; 0: no question is open */
    double loss;   /* mean of the epoch up to the last answer; NaN before the first */
};

void train_result_fini(struct train_result *r)
{
    mem_free(r->loss);
    mem_free(r->lr);
    mem_free(r->seconds);
    *r = (struct train_result){ 0 };
}

static int64_t epoch_of(const struct run *run, int64_t step)
{
    return step / run->steps_per_epoch;
}

static double lr_of(const struct run *run, int64_t epoch)
{
    const struct train_options *o = &run->trainer->config.o;
    return schedule_lr(o->schedule, o->lr, o->hold, epoch, o->epochs);
}

static void order_epoch(struct run *run, int64_t epoch)
{
    uint32_t n = (uint32_t)run->request->data->n;
    if (run->ordered_epoch == epoch)
        return;
    if (run->trainer->config.o.shuffle) {
        struct rng rng = rng_at(run->request->seed, RNG_SHUFFLE, (uint32_t)epoch, 0, 0);
        rng_permutation(&rng, run->order, n);
    } else {
        for (uint32_t i = 0; i < n; i++)
            run->order[i] = i;
    }
    run->ordered_epoch = epoch;
}

static double rate(const struct run *run, double now)
{
    double views = (double)(run->at.step - run->first_step) * run->trainer->images * run->trainer->views;
    return now > run->begin ? views / (now - run->begin) : 0;
}

/* `total` is the sum of the losses up to `step`, of its epoch. */
static int take_total(struct run *run, double total, int64_t step, struct err *err)
{
    int64_t epoch = epoch_of(run, step - 1);
    if (!isfinite(total))
        return err_set(err, "the loss is not finite at step %lld (epoch %lld, learning rate %g)", (long long)step,
                       (long long)epoch + 1, lr_of(run, epoch));
    run->loss = total / (double)(step - epoch * run->steps_per_epoch);
    return 0;
}

/* How the losses stand, without waiting: on a GPU the answer may come steps later. */
static int watch_loss(struct run *run, struct err *err)
{
    struct device *dev = run->trainer->dev;
    double total;
    if (run->asked == 0) {
        run->asked = run->at.step;
        if (dev->ops->look(dev, run->trainer->total, err) != 0)
            return -1;
    }
    int there = dev->ops->seen(dev, false, &total, err);
    if (there != 1)
        return there;
    int64_t step = run->asked;
    run->asked = 0;
    return take_total(run, total, step, err);
}

/* Waits for all steps and puts the sum of the epoch's losses where the position has it. */
static int settle(struct run *run, struct err *err)
{
    double ignored;
    if (run->asked != 0 && run->trainer->dev->ops->seen(run->trainer->dev, true, &ignored, err) < 0)
        return -1;
    run->asked = 0;
    if (trainer_total(run->trainer, &run->at.loss_sum, err) != 0 ||
        take_total(run, run->at.loss_sum, run->at.step, err) != 0)
        return -1;
    double now = clock_monotonic();
    run->at.seconds += now - run->step_begin;
    run->step_begin = now;
    return 0;
}

/* Closes an epoch's entry in the curves; `count` steps of it were done. */
static int close_epoch(struct run *run, int64_t epoch, int64_t count, struct err *err)
{
    if (settle(run, err) != 0)
        return -1;
    run->at.loss[epoch] = run->at.loss_sum / (double)count;
    run->at.lr[epoch] = lr_of(run, epoch);
    run->at.duration[epoch] = run->at.seconds;
    run->at.loss_sum = run->at.seconds = 0;
    return trainer_set_total(run->trainer, 0, err);
}

static int save(struct run *run, struct err *err)
{
    run->saved = clock_monotonic();
    return checkpoint_write(run->request->checkpoint, run->identity, run->trainer, &run->at,
                            epoch_of(run, run->at.step), err);
}

static void report(const struct run *run, double now)
{
    if (run->request->progress == NULL)
        return;
    const struct train_progress p = { .epoch = epoch_of(run, run->at.step),
                                      .epochs = run->trainer->config.o.epochs,
                                      .step = run->at.step,
                                      .steps = run->steps,
                                      .loss = run->loss,
                                      .images_per_second = rate(run, now) };
    run->request->progress(run->request->arg, &p);
}

/* One step with all that belongs to it. 0, STOPPED or -1. */
static int advance(struct run *run, struct err *err)
{
    struct trainer *t = run->trainer;
    int64_t epoch = epoch_of(run, run->at.step), within = run->at.step % run->steps_per_epoch;
    order_epoch(run, epoch);
    if (trainer_step(t, run->order + within * t->images, epoch, run->at.step + 1, lr_of(run, epoch), err) != 0)
        return -1;
    run->at.step++;
    if (watch_loss(run, err) != 0 ||
        (within + 1 == run->steps_per_epoch && close_epoch(run, epoch, run->steps_per_epoch, err) != 0))
        return -1;
    double now = clock_monotonic();
    run->at.seconds += now - run->step_begin;
    run->step_begin = now;
    report(run, now);
    if (run->at.step == run->steps)
        return 0;
    bool stop = stop_requested(), due = stop || now - run->saved >= t->config.o.checkpoint_seconds;
    if (due && run->request->checkpoint != NULL &&
        ((within + 1 < run->steps_per_epoch && settle(run, err) != 0) || save(run, err) != 0))
        return -1;
    return stop ? STOPPED : 0;
}

/* Goes on from the checkpoint, if there is one. One that is damaged or another training's
 * costs the work that it held, no more: the trainer is made anew. */
static int take_up(struct device *dev, struct run *run, struct err *err)
{
    const struct train_request *r = run->request;
    struct err why = { .text = "" };
    if (r->checkpoint == NULL || !fs_exists(r->checkpoint) ||
        checkpoint_read(r->checkpoint, run->identity, run->trainer, &run->at, run->trainer->config.o.epochs, &why) == 0)
        return 0;
    log_warn("%s; the training starts from its beginning", why.text);
    trainer_destroy(run->trainer);
    run->at.step = 0;
    run->at.loss_sum = run->at.seconds = 0;
    run->trainer = trainer_create(dev, r, err);
    return run->trainer == NULL ? -1 : fs_remove_tree(r->checkpoint, err);
}

static int start(struct device *dev, struct run *run, struct err *err)
{
    const struct train_request *r = run->request;
    const struct train_options *o = &run->trainer->config.o;
    const char *path = r->checkpoint;
    run->steps_per_epoch = r->data->n / run->trainer->images;
    run->steps = o->epochs * run->steps_per_epoch;
    if (o->max_steps > 0 && o->max_steps < run->steps)
        run->steps = o->max_steps;
    run->ordered_epoch = -1;
    size_t epochs = (size_t)o->epochs;
    if ((run->order = mem_alloc((size_t)r->data->n, sizeof *run->order, err)) == NULL ||
        (run->at.loss = mem_alloc(epochs, sizeof(double), err)) == NULL ||
        (run->at.lr = mem_alloc(epochs, sizeof(double), err)) == NULL ||
        (run->at.duration = mem_alloc(epochs, sizeof(double), err)) == NULL)
        return -1;
    if (path != NULL && checkpoint_identity(r, run->identity, err) != 0)
        return -1;
    if (take_up(dev, run, err) != 0 || trainer_set_total(run->trainer, run->at.loss_sum, err) != 0)
        return -1;
    run->first_step = run->at.step;
    run->loss = NAN;
    run->begin = run->step_begin = run->saved = clock_monotonic();
    return 0;
}

/* Hands the curves over; `rest` steps of the last epoch were done, if not all. */
static void finish(struct run *run, int64_t rest, struct train_result *result)
{
    const struct trainer *t = run->trainer;
    *result = (struct train_result){ .epochs = epoch_of(run, run->steps) + (rest > 0),
                                     .steps = run->steps,
                                     .loss = run->at.loss,
                                     .lr = run->at.lr,
                                     .seconds = run->at.duration,
                                     .images_per_second = rate(run, clock_monotonic()),
                                     .dim = t->net->tensors[t->net->representation].c,
                                     .parameters = network_encoder_parameters(t->net) };
    run->at.loss = run->at.lr = run->at.duration = NULL;
}

int train_run(struct device *dev, const struct train_request *request, struct train_result *result, struct err *err)
{
    int rc = -1;
    struct run run = { .request = request };
    *result = (struct train_result){ 0 };
    run.trainer = trainer_create(dev, request, err);
    if (run.trainer == NULL || start(dev, &run, err) != 0)
        goto out;
    rc = 0;
    while (rc == 0 && run.at.step < run.steps)
        rc = advance(&run, err);
    int64_t rest = run.steps_per_epoch > 0 ? run.steps % run.steps_per_epoch : 0;
    if (rc == 0 && rest > 0)
        rc = close_epoch(&run, epoch_of(&run, run.steps), rest, err);
    if (rc != 0)
        goto out;
    const struct trainer *t = run.trainer;
    rc = encoder_write(request->out, t->net, &t->config.encoder, t->head_dim, &t->pipeline, request->provenance, err);
    if (rc == 0)
        finish(&run, rest, result);
out:
    mem_free(run.order);
    mem_free(run.at.loss);
    mem_free(run.at.lr);
    mem_free(run.at.duration);
    trainer_destroy(run.trainer);
    return rc;
}
