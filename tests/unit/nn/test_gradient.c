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
    "self", "\"arch\": \"resnet8\", \"augment\": \"weak\", \"temperature\": 0.5, \"projector_dim\": 6", 9, 0, 2e-2,
};
static const struct subject per_view = {
    "per_view",
    "\"arch\": \"resnet8\", \"augment\": \"weak\", \"temperature\": 0.5, \"projector_dim\": 6, "
    "\"batch_norm\": \"per-view\"",
    9,
    0,
    2e-2,
};
static const struct subject theft = { "theft", "\"arch\": \"resnet8\", \"temperature\": 0.5", 8, 16, 2e-2 };
static const struct subject head_mse = {
    "head_mse", "\"arch\": \"resnet8\", \"stem\": \"imagenet\", \"loss\": \"mse\", \"head\": \"mlp\"", 21, 10, 3e-2,
};

enum { FEW = 6, MANY = 48, SEEDS = 8, SEEDS_FP32 = 3, TARGETS = MANY * 16 };

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

static void test_slopes_per_view(void **state)
{
    (void)state;
    check_slopes(&per_view);
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

/* How far a device's gradients g may be from ref's, r. Where a rounding takes a value to the other
 * side of a ReLU, one gradient of one setting is off by per cents, in bf16 by half of itself. So
 * these are medians: of |g - r| / |r| over the settings of each parameter, and of log(|g| / |r|)
 * over settings and parameters of a kind, which roundings leave at 0.3 % in bf16 (and less in tf32,
 * unless a GPU cuts digits off). */
struct bounds {
    double distance, length;
};
static const struct bounds bounds[] = {
    [PRECISION_FP32] = { 1e-4, 1e-4 },
    [PRECISION_TF32] = { 0.25, 1e-2 },
    [PRECISION_BF16] = { 0.6, 2e-2 },
};

enum kind { CONVOLUTION, POINTWISE, LINEAR, NORM_WEIGHT, NORM_BIAS, LINEAR_BIAS, KINDS };
static const char *const kind_names[] = { "convolutions",       "convolutions 1 x 1", "linear layers",
                                          "batch norm weights", "batch norm biases",  "linear layers' biases" };

static enum kind kind_of(const struct network *net, int parameter)
{
    const struct parameter *p = &net->parameters[parameter];
    if (p->rank > 1)
        return p->rank == 2 ? LINEAR : p->dims[2] == 1 ? POINTWISE : CONVOLUTION;
    if (ends_with(p->name, "weight"))
        return NORM_WEIGHT;
    return net->parameters[parameter - 1].rank == 2 ? LINEAR_BIAS : NORM_BIAS; /* behind its layer's weight */
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts them; infinity if one is not a number. */
static double median(double *x, int n)
{
    for (int i = 0; i < n; i++)
        if (isnan(x[i]))
            return INFINITY;
    qsort(x, (size_t)n, sizeof *x, ascending);
    return (x[n / 2] + x[(n - 1) / 2]) / 2;
}

static float *gradient_of(struct trainer *t, const struct parameter *p)
{
    float *g = mem_alloc((size_t)parameter_elements(p), sizeof *g, &the_err);
    made(g);
    ok(parameter_get(t->net, p, t->pass->weight_gradients, g, &the_err));
    return g;
}

/* log(|g| / |r|) and, by the way, |g - r| / |r| */
static double compare_gradients(struct trainer *have, struct trainer *want, int parameter, double *distance)
{
    const struct parameter *p = &want->net->parameters[parameter];
    const int64_t n = parameter_elements(p);
    float *g = gradient_of(have, &have->net->parameters[parameter]), *r = gradient_of(want, p);
    const double long_have = norm(g, n), long_want = norm(r, n);
    for (int64_t i = 0; i < n; i++)
        g[i] -= r[i];
    *distance = norm(g, n) / long_want;
    mem_free(g);
    mem_free(r);
    return log(long_have / long_want);
}

enum { PARAMETERS = 64, LENGTHS = 3 * PARAMETERS * SEEDS };

/* Of all subjects in one precision. */
struct comparison {
    double length[KINDS][LENGTHS], worst;
    int n[KINDS];
};

static void compare_subject(struct device *dev, struct device *ref, const struct subject *subject,
                            enum precision precision, struct comparison *c)
{
    const int seeds = precision == PRECISION_FP32 ? SEEDS_FP32 : SEEDS;
    double distance[PARAMETERS][SEEDS];
    char names[PARAMETERS][PARAMETER_NAME] = { "" };
    for (int seed = 0; seed < seeds; seed++) {
        struct setting have, want;
        set_up(&want, ref, subject, MANY, "fp32", (uint64_t)seed);
        set_up(&have, dev, subject, MANY, precision_names[precision], (uint64_t)seed);
        assert_true(want.t->net->n_parameters <= PARAMETERS);
        for (int k = 0; k < want.t->net->n_parameters; k++) {
            const struct parameter *p = &want.t->net->parameters[k];
            const enum kind kind = kind_of(want.t->net, k);
            if (p->running)
                continue;
            memcpy(names[k], p->name, sizeof names[k]);
            c->length[kind][c->n[kind]++] = compare_gradients(have.t, want.t, k, &distance[k][seed]);
        }
        tear_down(&have);
        tear_down(&want);
    }
    for (int k = 0; k < PARAMETERS; k++) {
        double middle = names[k][0] != 0 ? median(distance[k], seeds) : 0;
        c->worst = fmax(c->worst, middle);
        if (!(middle < bounds[precision].distance))
            fail_msg("%s of %s in %s: the gradient is %.1e from ref's, at most %.0e", names[k], subject->name,
                     precision_names[precision], middle, bounds[precision].distance);
    }
}

static void gradients_on(struct device *dev)
{
    static const struct subject *const all[] = { &self, &per_view, &theft, &head_mse };
    static struct comparison c;
    if (strcmp(dev->ops->name, "ref") == 0)
        return;
    struct device *ref = device_open("ref", 1, &the_err);
    made(ref);
    for (int p = 0; precision_names[p] != NULL; p++) {
        if (!has_precision(dev, (enum precision)p))
            continue;
        c = (struct comparison){ .worst = 0 };
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            compare_subject(dev, ref, all[i], (enum precision)p, &c);
        double longer[KINDS];
        print_message("%s, %s: gradients within %.1e of ref's; longer:", dev->ops->name, precision_names[p], c.worst);
        for (int k = 0; k < KINDS; k++) {
            longer[k] = median(c.length[k], c.n[k]);
            print_message(" %s %+.1e%s", kind_names[k], longer[k], k + 1 < KINDS ? "," : "\n");
        }
        for (int k = 0; k < KINDS; k++)
            if (!(fabs(longer[k]) < bounds[p].length))
                fail_msg("%s: more than %g of ref's gradients too long or too short", kind_names[k], bounds[p].length);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_slopes_self), cmocka_unit_test(test_slopes_per_view),
                                        cmocka_unit_test(test_slopes_theft), cmocka_unit_test(test_slopes_head_mse),
                                        cmocka_unit_test(test_devices) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
