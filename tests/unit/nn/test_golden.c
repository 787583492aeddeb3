/* Networks, losses and training steps against PyTorch (tests/golden/nn/make_golden.py). */
#include "fixtures.h"

#include "nn/loss.h"
#include "nn/train_config.h"

static struct safetensors golden;

static void check_forward(struct device *dev, const char *arch, const char *stem, int size)
{
    struct encoder_config config = { .width = 0.0625 };
    snprintf(config.arch, sizeof config.arch, "%s", arch);
    snprintf(config.stem, sizeof config.stem, "%s", stem);
    struct encoder *e = mem_alloc(1, sizeof *e, &the_err);
    made(e);
    e->dev = dev;
    e->config = config;
    e->pipeline = (struct pipeline){ .size = size, .mean = { 0.5f, 0.5f, 0.5f }, .std = { 0.25f, 0.25f, 0.25f } };
    e->net = network_build(dev, &config, 0, &the_err);
    made(e->net);
    fill_network(e->net);
    ok(network_fold(e->net, &the_err));
    struct images im = make_images(3, size);
    int dim = encoder_dim(e);
    float *out = mem_alloc((size_t)(3 * dim), sizeof *out, &the_err);
    made(out);
    ok(encoder_embed(e, &im, 3, out, NULL, NULL, &the_err));
    char name[64];
    int64_t n;
    snprintf(name, sizeof name, "forward.%s.%s.%d", arch, stem, size);
    float *want = tensor_floats(&golden, name, &n);
    assert_int_equal(n, 3 * dim);
    double folded = relative_error(out, want, n);
    struct pass *plain = pass_create(e->net, PASS_INFER, PRECISION_FP32, 3, 1, size, size, &the_err);
    made(plain);
    const struct augment_target target = pipeline_target(&e->pipeline, PRECISION_FP32);
    struct augment_view views[3];
    for (int i = 0; i < 3; i++)
        views[i] = augment_identity(i, size, size);
    ok(dev->ops->upload(dev, e->views, views, sizeof views, &the_err));
    ok(dev->ops->augment(dev, e->pixels, 3, size, size, e->views, 3, &target, pass_input(plain), &the_err));
    ok(pass_forward(plain, &the_err));
    ok(dev->ops->download(dev, out, pass_output(plain), (size_t)n * sizeof *out, &the_err));
    double unfolded = relative_error(out, want, n);
    print_message("%s %s: folded %.1e, not folded %.1e\n", dev->ops->name, name, folded, unfolded);
    assert_true(folded < 1e-5);
    assert_true(unfolded < 1e-5);
    pass_destroy(plain);
    mem_free(out);
    mem_free(want);
    mem_free(im.pixels);
    encoder_destroy(e);
}

static void forward_on(struct device *dev)
{
    check_forward(dev, "resnet8", "cifar", 8);
    check_forward(dev, "resnet10", "imagenet", 33);
    check_forward(dev, "resnet14", "cifar", 16);
    check_forward(dev, "resnet50", "cifar", 16);
    check_forward(dev, "resnet50", "imagenet", 40);
}

static void test_forward(void **state)
{
    (void)state;
    on_devices(forward_on);
}

static void check_loss(struct device *dev, const char *kind_name, const char *name, bool targets)
{
    const struct loss_kind *kind = loss_find(kind_name, &the_err);
    made(kind);
    struct loss_shape shape = { .images = targets ? 6 : 3, .views = targets ? 1 : 2, .dim = 5, .targets = targets };
    float z[30], t[30], dz[30];
    for (int i = 0; i < 30; i++) {
        z[i] = noise(i, "z");
        t[i] = noise(i, "target");
    }
    cJSON *block = json("{\"temperature\": 0.2}");
    void *options = mem_alloc(1, kind->row.options_size, &the_err);
    made(options);
    ok(options_from_json(kind->row.options, block, options, &the_err));
    struct loss *loss = kind->create(dev, options, &shape, &the_err);
    made(loss);
    float *zd = dev->ops->alloc(dev, sizeof z, &the_err), *td = dev->ops->alloc(dev, sizeof t, &the_err);
    float *dzd = dev->ops->alloc(dev, sizeof dz, &the_err);
    ok(dev->ops->upload(dev, zd, z, sizeof z, &the_err));
    ok(dev->ops->upload(dev, td, t, sizeof t, &the_err));
    const struct loss_input in = { .z = zd, .target = targets ? td : NULL };
    double value = 1, *total = dev->ops->alloc(dev, sizeof *total, &the_err);
    ok(dev->ops->upload(dev, total, &value, sizeof value, &the_err));
    ok(kind->run(loss, &in, dzd, total, &the_err));
    ok(dev->ops->download(dev, &value, total, sizeof value, &the_err));
    value -= 1; /* what was there before stays */
    dev->ops->free(dev, total);
    ok(dev->ops->download(dev, dz, dzd, sizeof dz, &the_err));
    char key[64];
    int64_t n;
    snprintf(key, sizeof key, "loss.%s.value", name);
    float *want = tensor_floats(&golden, key, &n);
    assert_true(fabs(value - (double)want[0]) < 2e-6 * fabs((double)want[0]));
    mem_free(want);
    snprintf(key, sizeof key, "loss.%s.gradient", name);
    want = tensor_floats(&golden, key, &n);
    assert_int_equal(n, 30);
    assert_true(relative_error(dz, want, n) < 1e-5);
    mem_free(want);
    dev->ops->free(dev, zd);
    dev->ops->free(dev, td);
    dev->ops->free(dev, dzd);
    kind->destroy(loss);
    mem_free(options);
    cJSON_Delete(block);
}

static void losses_on(struct device *dev)
{
    check_loss(dev, "infonce", "infonce.self", false);
    check_loss(dev, "infonce", "infonce.theft", true);
    check_loss(dev, "mse", "mse", true);
}

static void test_losses(void **state)
{
    (void)state;
    on_devices(losses_on);
}

/* An init file whose weights follow the golden formulas. */
static const char *write_init(struct device *dev, const char *arch, const char *stem, int head_dim)
{
    struct encoder_config config = { .width = 0.0625 };
    snprintf(config.arch, sizeof config.arch, "%s", arch);
    snprintf(config.stem, sizeof config.stem, "%s", stem);
    const struct pipeline pipeline = { .size = 8, .std = { 1, 1, 1 } };
    const char *path = scratch("init.safetensors");
    struct network *net = network_build(dev, &config, head_dim, &the_err);
    made(net);
    fill_network(net);
    ok(encoder_write(path, net, &config, head_dim, &pipeline, NULL, &the_err));
    network_destroy(net);
    return path;
}

struct golden_training {
    const char *name, *arch, *stem;
    int size;
    const char *options;
    int head_dim;
    bool targets;
    const char *keep; /* beginning of the names of the weights that are stored */
    double loss_tolerance, weight_tolerance;
};

static void check_training(struct device *dev, const struct golden_training *g)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"arch\": \"%s\", \"stem\": \"%s\", \"width\": 0.0625, \"augment\": \"none\", \"shuffle\": false,"
             "\"batch\": 5, \"epochs\": 4, \"hold\": 1, \"max_steps\": 5, \"beta2\": 0.99, \"epsilon\": 1e-3,"
             "\"weight_decay\": 1e-3, \"temperature\": 0.5, \"init\": \"%s\", %s}",
             g->arch, g->stem, write_init(dev, g->arch, g->stem, g->head_dim), g->options);
    cJSON *block = json(text);
    struct images im = make_images(11, g->size);
    float answers[11 * 16];
    for (int i = 0; i < 11 * 16; i++)
        answers[i] = noise(i, "answers");
    const char *out = scratch("trained.safetensors");
    struct train_request request = { .block = block,
                                     .data = &im,
                                     .target = g->targets ? answers : NULL,
                                     .target_dim = 16,
                                     .target_views = 1,
                                     .out = out };
    struct train_result result;
    ok(train_run(dev, &request, &result, &the_err));
    assert_int_equal(result.steps, 5);
    assert_int_equal(result.epochs, 3);

    struct safetensors trained;
    ok(safetensors_open(out, &trained, &the_err));
    char key[160];
    int64_t n, m;
    snprintf(key, sizeof key, "train.%s.losses", g->name);
    float *want = tensor_floats(&golden, key, &n);
    double worst = 0;
    for (int i = 0; i < 3; i++) { /* two steps an epoch, one in the last */
        double mean = i < 2 ? ((double)want[2 * i] + (double)want[2 * i + 1]) / 2 : (double)want[4];
        worst = fmax(worst, fabs(result.loss[i] - mean) / fabs(mean));
    }
    train_result_fini(&result);
    print_message("%s %s: losses within %.1e, ", dev->ops->name, g->name, worst);
    assert_true(worst < g->loss_tolerance);
    mem_free(want);
    double worst_weight = 0;
    int checked = 0;
    for (int k = 0; k < trained.n; k++) {
        if (ends_with(trained.tensors[k].name, "num_batches_tracked")) {
            int64_t batches;
            memcpy(&batches, trained.tensors[k].data, sizeof batches);
            assert_int_equal(batches, strcmp(g->name, "per_view") == 0 ? 10 : 5); /* of PyTorch, too */
            continue;
        }
        if (strncmp(trained.tensors[k].name, g->keep, strlen(g->keep)) != 0)
            continue;
        snprintf(key, sizeof key, "train.%s.%s", g->name, trained.tensors[k].name);
        want = tensor_floats(&golden, key, &n);
        float *have = tensor_floats(&trained, trained.tensors[k].name, &m);
        assert_int_equal(n, m);
        worst_weight = fmax(worst_weight, relative_error(have, want, n));
        mem_free(want);
        mem_free(have);
        checked++;
    }
    print_message("weights within %.1e\n", worst_weight);
    assert_true(checked >= 15);
    assert_true(worst_weight < g->weight_tolerance);
    safetensors_close(&trained);
    mem_free(im.pixels);
    cJSON_Delete(block);
}

static void trainings_on(struct device *dev)
{
    static const struct golden_training all[] = {
        { "self", "resnet8", "cifar", 8, "\"lr\": 0.01, \"loss\": \"infonce\", \"projector_dim\": 8", 8, false, "",
          1e-5, 3e-5 },
        { "per_view", "resnet8", "cifar", 8,
          "\"lr\": 0.01, \"loss\": \"infonce\", \"projector_dim\": 8, \"batch_norm\": \"per-view\"", 8, false, "", 1e-5,
          3e-5 },
        { "theft", "resnet8", "cifar", 8, "\"lr\": 0.01, \"loss\": \"infonce\"", 0, true, "", 1e-5, 3e-5 },
        { "regression", "resnet8", "cifar", 8, "\"lr\": 0.01, \"loss\": \"mse\", \"head\": \"mlp\"", 16, true, "", 1e-5,
          3e-5 },
        { "bottleneck", "resnet26", "imagenet", 64, "\"lr\": 0.0005, \"loss\": \"mse\", \"head\": \"mlp\"", 16, true,
          "layer1.0.", 1e-5, 3e-5 },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_training(dev, &all[i]);
}

static void test_trainings(void **state)
{
    (void)state;
    on_devices(trainings_on);
}

static int open_golden(void **state)
{
    (void)state;
    return safetensors_open(TEST_DATA "/golden/nn/golden.safetensors", &golden, &the_err);
}

static int close_golden(void **state)
{
    (void)state;
    safetensors_close(&golden);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_forward), cmocka_unit_test(test_losses),
                                        cmocka_unit_test(test_trainings) };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
