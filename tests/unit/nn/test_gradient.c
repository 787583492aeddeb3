/* The gradient of whole networks and losses against finite differences, on ref. */
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

/* Slopes along the gradient itself and along a random mixture with it. */
static void check(const char *options, int size, const float *target, int target_dim, double tolerance)
{
    enum { IMAGES = 6 };
    struct device *dev = device_open("ref", 2, &the_err);
    made(dev);
    cJSON *block = json(options);
    struct images im = make_images(IMAGES, size);
    const struct train_request request = {
        .block = block, .data = &im, .target = target, .target_dim = target_dim, .target_views = 1, .seed = 3
    };
    struct trainer *t = trainer_create(dev, &request, &the_err);
    made(t);
    const uint32_t order[IMAGES] = { 0, 1, 2, 3, 4, 5 };
    ok(trainer_step(t, order, 0, 1, 0, &the_err)); /* learning rate 0: fills input, target and gradients */
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
            if (!(error < tolerance))
                fail_msg("%s, direction %d: error %g, gradient %g", p->name, mix_in, error, gn);
            worst = fmax(worst, error);
            checked++;
        }
    }
    print_message("%d slopes, worst error %.1e\n", checked, worst);
    mem_free(gradients);
    mem_free(d);
    trainer_destroy(t);
    mem_free(im.pixels);
    cJSON_Delete(block);
    device_close(dev);
}

static void test_basic_self(void **state)
{
    (void)state;
    check("{\"arch\": \"resnet8\", \"width\": 0.0625, \"augment\": \"weak\", \"temperature\": 0.5,"
          "\"projector_dim\": 6, \"weight_decay\": 0}",
          9, NULL, 0, 2e-2);
}

static void test_basic_theft(void **state)
{
    (void)state;
    float target[6 * 16];
    for (int i = 0; i < 6 * 16; i++)
        target[i] = noise(i, "gradient");
    check("{\"arch\": \"resnet8\", \"width\": 0.0625, \"temperature\": 0.5}", 8, target, 16, 2e-2);
}

static void test_head_mse(void **state)
{
    (void)state;
    float target[6 * 10];
    for (int i = 0; i < 6 * 10; i++)
        target[i] = noise(i, "gradient");
    check("{\"arch\": \"resnet8\", \"stem\": \"imagenet\", \"width\": 0.0625, \"loss\": \"mse\", \"head\": \"mlp\"}",
          21, target, 10, 3e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_basic_self), cmocka_unit_test(test_basic_theft),
                                        cmocka_unit_test(test_head_mse) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
