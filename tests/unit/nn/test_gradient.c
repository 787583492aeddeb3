/* The gradient of whole networks and losses: on ref against finite differences, which need
 * its accuracy; on every other device against ref's. */
#include "fixtures.h"

#include "nn/trainer.h"

/* Loss of the network on its fixed batch. */
static double loss_at(struct trainer *t, const float *target)
{
    double value;
    ok(trainer_set_total(t, 0, &the_err));
    const struct loss_input in = { .z = pass_output(t->pass), .target = target };
    ok(pass_forward(t->pass, &the_err));
    ok(t->config.loss->run(t->loss, &in, pass_output_gradient(t->pass), t->total, &the_err));
    ok(trainer_total(t, &value, &the_err));
    return value;
}

static double norm(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Relative error (of at least 0.05) of the slope along `d` (n), a unit vector, against g . d; the
 * best of four steps, because ReLU has kinks. */
static double slope_error(struct trainer *t, float *w, const float *g, const float *d, int64_t n)
{
    double best = INFINITY, want = 0, size = norm(g, n);
    float *at = mem_alloc((size_t)n, sizeof *at, &the_err);
    made(at);
    memcpy(at, w, (size_t)n * sizeof *w);
    for (int64_t i = 0; i < n; i++)
        want += (double)g[i] * (double)d[i];
    for (double step = 1e-3; step > 1e-5; step /= 4) {
        double h = step / fmax(size, 0.05);
        for (int64_t i = 0; i < n; i++)
            w[i] = (float)((double)at[i] + h * (double)d[i]);
        double up = loss_at(t, feed_answers(t->feed));
        for (int64_t i = 0; i < n; i++)
            w[i] = (float)((double)at[i] - h * (double)d[i]);
        double slope = (up - loss_at(t, feed_answers(t->feed))) / (2 * h);
        best = fmin(best, fabs(slope - want) / fmax(fabs(want), 0.05));
    }
    memcpy(w, at, (size_t)n * sizeof *w);
    mem_free(at);
    return best;
}

/* A network and a loss on a fixed batch. */
struct subject {
    const char *name, *options;
    int size, target_dim; /* target_dim 0: self-supervised */
    double tolerance;     /* of slopes */
};

static const struct subject self = {
    "self", "\"arch\": \"resnet8\", \"augment\": \"weak\", \"temperature\": 0.5, \"projector_dim\": 6", 9, 0, 2e-2
};
static const struct subject theft = { "theft", "\"arch\": \"resnet8\", \"temperature\": 0.5", 8, 16, 2e-2 };
static const struct subject head_mse = {
    "head_mse", "\"arch\": \"resnet8\", \"stem\": \"imagenet\", \"loss\": \"mse\", \"head\": \"mlp\"", 21, 10, 3e-2
};

enum { FEW = 6, MANY = 48, SEEDS = 8, TARGETS = MANY * 16 };

/* What a trainer borrows. */
struct setting {
    cJSON *block;
    struct images im;
    float target[TARGETS];
    struct train_request request;
    struct trainer *t;
};

/* One step with learning rate 0 on `images` images: fills input, target and gradients. */
static void set_up(struct setting *s, struct device *dev, const struct subject *subject, int images,
                   const char *precision, uint64_t seed)
{
    char text[512];
    uint32_t order[MANY];
    snprintf(text, sizeof text, "{\"width\": 0.0625, \"weight_decay\": 0, \"precision\": \"%s\", %s}", precision,
             subject->options);
    s->block = json(text);
    s->im = make_images(images, subject->size);
    for (int i = 0; i < TARGETS; i++)
        s->target[i] = noise(i, "gradient");
    s->request = (struct train_request){ .block = s->block,
                                         .data = &s->im,
                                         .target = subject->target_dim > 0 ? s->target : NULL,
                                         .target_dim = subject->target_dim,
                                         .target_views = 1,
                                         .seed = seed };
    s->t = trainer_create(dev, &s->request, &the_err);
    made(s->t);
    for (int i = 0; i < images; i++)
        order[i] = (uint32_t)i;
    ok(trainer_step(s->t, order, 0, 1, 0, &the_err));
}

static void tear_down(struct setting *s)
{
    trainer_destroy(s->t);
    mem_free(s->im.pixels);
    cJSON_Delete(s->block);
}

/* Slopes along the gradient itself and along a random mixture with it. */
static void check_slopes(const struct subject *subject)
{
    struct device *dev = device_open("ref", 2, &the_err);
    made(dev);
    struct setting s;
    set_up(&s, dev, subject, FEW, "fp32", 3);
    struct trainer *t = s.t;
    size_t all = t->net->n_weights;
    float *gradients = mem_alloc(all, sizeof *gradients, &the_err), *d = mem_alloc(all, sizeof *d, &the_err);
    made(gradients);
    made(d);
    memcpy(gradients, t->pass->weight_gradients, all * sizeof *gradients);
    double worst = 0;
    int checked = 0;
    for (int k = 0; k < t->net->n_parameters; k++) {
        const struct parameter *p = &t->net->parameters[k];
        const float *g = gradients + p->offset;
        int64_t n = parameter_elements(p);
        for (int mix_in = 0; mix_in < 2 && !p->running; mix_in++) {
            double gn = norm(g, n), rn = 0;
            for (int64_t i = 0; i < n; i++)
                d[i] = noise(i + 7919 * mix_in, p->name);
            rn = norm(d, n);
            for (int64_t i = 0; i < n; i++)
                d[i] = (float)((double)g[i] / gn + (mix_in > 0 ? 0.8 * (double)d[i] / rn : 0));
            double dn = norm(d, n);
            for (int64_t i = 0; i < n; i++)
                d[i] = (float)((double)d[i] / dn);
            double error = slope_error(t, t->net->weights + p->offset, g, d, n);
            if (!(error < subject->tolerance))
                fail_msg("%s, direction %d: error %g, gradient %g", p->name, mix_in, error, gn);
            worst = fmax(worst, error);
            checked++;
        }
    }
    print_message("%d slopes, worst error %.1e\n", checked, worst);
    mem_free(gradients);
    mem_free(d);
    tear_down(&s);
    device_close(dev);
}

static void test_slopes_self(void **state)
{
    (void)state;
    check_slopes(&self);
}

static void test_slopes_theft(void **state)
{
    (void)state;
    check_slopes(&theft);
}

static void test_slopes_head_mse(void **state)
{
    (void)state;
    check_slopes(&head_mse);
}

/* How far a device's gradients may be from ref's: |have - want| / |want| of each parameter, and the
 * mean, over the parameters of a kind, of the part of that along `want`. Roundings change which
 * values a ReLU lets through, and with them a single gradient by a third in tf32 and by more in
 * bf16, but nearly cancel in the mean (1 % shorter in bf16); a factor or a term that is wrong does
 * not. */
struct bounds {
    double distance, along;
};
static const struct bounds bounds[] = {
    [PRECISION_FP32] = { 1e-3, 1e-4 }, [PRECISION_TF32] = { 1, 1e-2 }, [PRECISION_BF16] = { 2.5, 3e-2 }
};

enum kind { CONVOLUTION, LINEAR, NORM_WEIGHT, BIAS, KINDS };
static const char *const kind_names[] = { "convolutions", "linear layers", "weights of batch norms", "biases" };

static enum kind kind_of(const struct parameter *p)
{
    return p->rank == 4 ? CONVOLUTION : p->rank == 2 ? LINEAR : ends_with(p->name, "weight") ? NORM_WEIGHT : BIAS;
}

static float *gradient_of(struct trainer *t, const struct parameter *p)
{
    float *g = mem_alloc((size_t)parameter_elements(p), sizeof *g, &the_err);
    made(g);
    ok(parameter_get(t->net, p, t->pass->weight_gradients, g, &the_err));
    return g;
}

/* Over many settings: sums, how many, and the largest distance. */
struct sums {
    double along[KINDS], distance;
    int n[KINDS];
};

static void compare_gradients(struct trainer *have, struct trainer *want, const struct subject *subject,
                              enum precision precision, struct sums *sums)
{
    for (int k = 0; k < want->net->n_parameters; k++) {
        const struct parameter *p = &want->net->parameters[k];
        if (p->running)
            continue;
        const int64_t n = parameter_elements(p);
        float *g = gradient_of(have, &have->net->parameters[k]), *r = gradient_of(want, p);
        double square = 0, apart = 0, along = 0;
        for (int64_t i = 0; i < n; i++) {
            double d = (double)g[i] - (double)r[i];
            square += (double)r[i] * (double)r[i];
            apart += d * d;
            along += d * (double)r[i];
        }
        double distance = sqrt(apart / square);
        if (!(distance < bounds[precision].distance))
            fail_msg("%s of %s in %s: the gradient is %.1e from ref's, at most %.0e", p->name, subject->name,
                     precision_names[precision], distance, bounds[precision].distance);
        sums->distance = fmax(sums->distance, distance);
        sums->along[kind_of(p)] += along / square;
        sums->n[kind_of(p)]++;
        mem_free(g);
        mem_free(r);
    }
}

static void sum_gradients(struct device *dev, struct device *ref, const struct subject *subject,
                          enum precision precision, struct sums *sums)
{
    for (uint64_t seed = 0; seed < (precision == PRECISION_FP32 ? 1 : SEEDS); seed++) {
        struct setting have, want;
        set_up(&want, ref, subject, MANY, "fp32", seed);
        set_up(&have, dev, subject, MANY, precision_names[precision], seed);
        compare_gradients(have.t, want.t, subject, precision, sums);
        tear_down(&have);
        tear_down(&want);
    }
}

static void gradients_on(struct device *dev)
{
    static const struct subject *const all[] = { &self, &theft, &head_mse };
    if (strcmp(dev->ops->name, "ref") == 0)
        return;
    struct device *ref = device_open("ref", 1, &the_err);
    made(ref);
    for (int p = 0; precision_names[p] != NULL; p++) {
        struct sums sums = { .distance = 0 };
        if (!has_precision(dev, (enum precision)p))
            continue;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            sum_gradients(dev, ref, all[i], (enum precision)p, &sums);
        print_message("%s, %s: gradients within %.1e of ref's;", dev->ops->name, precision_names[p], sums.distance);
        for (int k = 0; k < KINDS; k++)
            print_message(" %s %+.1e%s", kind_names[k], sums.along[k] / sums.n[k],
                          k + 1 < KINDS ? "," : " along them\n");
        for (int k = 0; k < KINDS; k++)
            if (!(fabs(sums.along[k] / sums.n[k]) < bounds[p].along))
                fail_msg("%s: more than %g of ref's gradients too long or too short", kind_names[k], bounds[p].along);
    }
    device_close(ref);
}

static void test_devices(void **state)
{
    (void)state;
    on_devices(gradients_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_slopes_self), cmocka_unit_test(test_slopes_theft),
                                        cmocka_unit_test(test_slopes_head_mse), cmocka_unit_test(test_devices) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
