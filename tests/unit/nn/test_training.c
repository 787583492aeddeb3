/* What a training asks of its device, step by step, and what it says of itself. */
#include "fixtures.h"

#include "base/rng.h"
#include "device/augment_body.h"
#include "nn/augment.h"
#include "nn/checkpoint.h"
#include "nn/embed_plain.h"
#include "nn/query_views.h"

enum { IMAGES = 14, SIZE = 8, BATCH = 5, EPOCHS = 4 };

static struct device *dev;
static const struct device_ops *usual;
static struct device_ops watched;

/* Calls of the augmentation: how many rows, and the views. */
static struct {
    int rows;
    struct augment_view view[2 * IMAGES];
} seen[64];
static int n_seen;

static int watch_augment(struct device *d, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views,
                         int n, const struct augment_target *target, void *out, struct err *err)
{
    assert_true(n_seen < 64 && n <= 2 * IMAGES);
    seen[n_seen].rows = n;
    memcpy(seen[n_seen++].view, views, (size_t)n * sizeof *views);
    return usual->augment(d, pixels, c, h, w, views, n, target, out, err);
}

static double rates[64];
static int n_rates;

static int watch_adam(struct device *d, const struct adam *a, struct err *err)
{
    rates[n_rates++] = a->at->lr;
    assert_int_equal(a->at->step, n_rates);
    return usual->adam(d, a, err);
}

static struct train_progress told[64];
static int n_told;

static void tell(void *arg, const struct train_progress *p)
{
    (void)arg;
    told[n_told++] = *p;
}

static int set_up(void **state)
{
    (void)state;
    dev = device_open("ref", 1, &the_err);
    if (dev == NULL)
        return -1;
    usual = dev->ops;
    watched = *usual;
    watched.augment = watch_augment;
    watched.adam = watch_adam;
    dev->ops = &watched;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dev->ops = usual;
    device_close(dev);
    return 0;
}

static struct train_result train(const char *options, const struct images *im)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"arch\": \"resnet8\", \"width\": 0.0625, \"augment\": \"weak\", \"batch\": %d, \"epochs\": %d,"
             "\"hold\": 1, \"lr\": 0.004, \"projector_dim\": 8%s}",
             BATCH, EPOCHS, options);
    cJSON *block = json(text);
    const struct train_request request = {
        .block = block, .data = im, .seed = 4, .out = scratch("trained"), .progress = tell
    };
    struct train_result result;
    n_seen = n_rates = n_told = 0;
    ok(train_run(dev, &request, &result, &the_err));
    cJSON_Delete(block);
    return result;
}

/* Every step: which images in which views at which rate, what is said of it; every epoch: its curves. */
static void check_steps(const char *options, bool shuffle, int64_t steps)
{
    struct images im = make_images(IMAGES, SIZE);
    struct augment_strength strength;
    cJSON *weak = json("{\"augment\": \"weak\"}");
    ok(augment_parse(weak, "none", &strength, &the_err));
    struct train_result r = train(options, &im);
    const int per_epoch = IMAGES / BATCH;
    assert_true(r.steps == steps && n_seen == steps && n_rates == steps && n_told == steps);
    assert_int_equal(r.epochs, (steps + per_epoch - 1) / per_epoch);
    double sum = 0;
    for (int s = 0; s < steps; s++) {
        const int epoch = s / per_epoch, within = s % per_epoch;
        uint32_t order[IMAGES];
        struct rng rng = rng_at(4, RNG_SHUFFLE, (uint32_t)epoch, 0, 0);
        rng_permutation(&rng, order, IMAGES);
        assert_int_equal(seen[s].rows, 2 * BATCH);
        for (int row = 0; row < 2 * BATCH; row++) {
            const int at = within * BATCH + row % BATCH;
            const uint32_t image = shuffle ? order[at] : (uint32_t)at;
            struct augment_view want =
                augment_draw(&strength, 4, (uint32_t)epoch, image, (uint32_t)(row / BATCH), SIZE, SIZE);
            want.image = (int32_t)image;
            assert_memory_equal(&seen[s].view[row], &want, sizeof want);
        }
        /* full rate in epochs 0 and 1, then half a cosine down to 0 at epoch 4 */
        const double lr = epoch <= 1 ? 0.004 : 0.002 * (1 + cos(acos(-1) * (epoch - 1) / 3));
        assert_true(fabs(rates[s] - lr) < 1e-15 && fabs(r.lr[epoch] - lr) < 1e-15);
        const struct train_progress *p = &told[s];
        assert_true(p->step == s + 1 && p->steps == steps && p->epochs == EPOCHS && p->epoch == (s + 1) / per_epoch);
        assert_true(p->images_per_second > 0 && p->loss > 0);
        /* the mean of the epoch so far grows out of its steps */
        sum = within == 0 ? p->loss : sum;
        if (within + 1 == per_epoch || s + 1 == steps)
            assert_true(fabs(p->loss - r.loss[epoch]) < 1e-12 && r.seconds[epoch] > 0);
        if (within == 1)
            assert_true(p->loss != sum);
    }
    assert_true(r.images_per_second > 0 && r.dim == 16 && r.parameters > 1000);
    train_result_fini(&r);
    assert_null(r.loss);
    cJSON_Delete(weak);
    mem_free(im.pixels);
}

static void test_steps(void **state)
{
    (void)state;
    check_steps("", true, 8);
    check_steps(", \"shuffle\": false", false, 8);
    check_steps(", \"max_steps\": 5", true, 5);
    check_steps(", \"max_steps\": 6", true, 6);
    check_steps(", \"max_steps\": 8", true, 8);
    check_steps(", \"max_steps\": 9", true, 8);
}

/* A batch is no larger than the set; an epoch of one step. */
static void test_small_set(void **state)
{
    (void)state;
    struct images im = make_images(3, SIZE);
    struct train_result r = train("", &im);
    assert_true(r.steps == EPOCHS && r.epochs == EPOCHS && seen[0].rows == 6);
    train_result_fini(&r);
    mem_free(im.pixels);
}

/* A loss that is no number ends the training, with the place and the rate. */
static void test_not_finite(void **state)
{
    (void)state;
    struct images im = make_images(IMAGES, SIZE);
    char text[256];
    snprintf(text, sizeof text,
             "{\"arch\": \"resnet8\", \"width\": 0.0625, \"batch\": %d, \"epochs\": 3, \"hold\": 5, \"lr\": 0.5, "
             "\"loss\": \"mse\", \"shuffle\": false}",
             BATCH);
    cJSON *block = json(text);
    float answers[IMAGES * 16] = { 0 };
    answers[7 * 16] = NAN; /* the second step */
    const struct train_request request = {
        .block = block, .data = &im, .target = answers, .target_dim = 16, .target_views = 1, .out = scratch("no")
    };
    struct train_result r;
    n_seen = n_rates = 0;
    assert_int_equal(train_run(dev, &request, &r, &the_err), -1);
    assert_string_equal(the_err.text, "the loss is not finite at step 2 (epoch 1, learning rate 0.5)");
    cJSON_Delete(block);
    mem_free(im.pixels);
}

static void refuse(const struct images *im, int views, const float *target, const char *says)
{
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625}");
    const struct train_request request = {
        .block = block, .data = im, .target = target, .target_dim = 16, .target_views = views, .out = "x"
    };
    struct train_result r;
    assert_int_equal(train_run(dev, &request, &r, &the_err), -1);
    if (strstr(the_err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", the_err.text, says);
    cJSON_Delete(block);
}

static void test_too_many(void **state)
{
    (void)state;
    struct images im = make_images(4, SIZE);
    const float target[1] = { 0 };
    im.n = (int64_t)INT32_MAX + 1;
    refuse(&im, 1, NULL, "2147483648 images are too many for one training");
    im.n = INT32_MAX / 3 + 1;
    refuse(&im, 3, target, "715827883 images of 3 views have too many answers");
    im.n = 4;
    im.c = 1;
    refuse(&im, 1, NULL, "not 8 x 8 of 1");
    mem_free(im.pixels);
}

/* As few batches as the bound allows, all of one size; and where they stand. */
static double fractions[16];
static int n_fractions;

static void count(void *arg, double fraction)
{
    (void)arg;
    fractions[n_fractions++] = fraction;
}

static void test_batches(void **state)
{
    (void)state;
    static const struct {
        int n, views, batch, rows, calls;
    } cases[] = {
        { 10, 1, 4, 4, 3 }, { 9, 1, 4, 3, 3 }, { 8, 1, 4, 4, 2 }, { 7, 1, 100, 7, 1 }, { 10, 2, 5, 4, 5 },
        { 3, 4, 2, 4, 3 },  { 7, 3, 9, 9, 3 }, { 5, 1, 1, 1, 5 }, { 11, 1, 10, 6, 2 }, { 10, 2, 4, 4, 5 },
    };
    const float mean[3] = { 0.5f, 0.4f, 0.3f }, std[3] = { 0.2f, 0.3f, 0.25f };
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625}"), *none = json("{\"augment\": \"none\"}");
    struct encoder *e = encoder_random(dev, block, 1, SIZE, mean, std, &the_err);
    made(e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int n = cases[i].n, views = cases[i].views;
        struct images im = make_images(n, SIZE);
        float out[16 * 4 * 16];
        n_seen = n_fractions = 0;
        ok(encoder_answer(e, &im, NULL, views, none, cases[i].batch, out, count, NULL, &the_err));
        assert_true(n_seen == cases[i].calls && n_fractions == n_seen && fractions[n_seen - 1] == 1.0);
        for (int k = 0; k < n_seen; k++) {
            assert_int_equal(seen[k].rows, cases[i].rows);
            assert_true(fabs(fractions[k] - fmin(1.0, (k + 1.0) * cases[i].rows / views / n)) < 1e-12);
        }
        im.n = 0;
        ok(encoder_answer(e, &im, NULL, views, none, 4, out, NULL, NULL, &the_err));
        mem_free(im.pixels);
    }
    encoder_destroy(e);
    cJSON_Delete(none);
    cJSON_Delete(block);
}

/* Floats that were prepared as the pipeline would get the same representations. */
static void test_plain(void **state)
{
    (void)state;
    enum { N = 7, AREA = SIZE * SIZE, DIM = 16 };
    const float mean[3] = { 0.5f, 0.4f, 0.3f }, std[3] = { 0.2f, 0.3f, 0.25f };
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625}");
    struct encoder *e = encoder_random(dev, block, 1, SIZE, mean, std, &the_err);
    made(e);
    float m[3], s[3];
    encoder_moments(e, m, s);
    assert_memory_equal(m, mean, sizeof m);
    assert_memory_equal(s, std, sizeof s);
    assert_int_equal(encoder_size(e), SIZE);
    assert_true(encoder_width(e) == 0.0625);
    assert_string_equal(encoder_stem(e), "cifar");
    struct images im = make_images(N, SIZE);
    static float x[N * 3 * AREA], a[N * DIM], b[N * DIM];
    for (int i = 0; i < N * 3 * AREA; i++)
        x[i] = ((float)im.pixels[i] / 255.0f - mean[i / AREA % 3]) / std[i / AREA % 3];
    ok(encoder_embed(e, &im, 3, a, NULL, NULL, &the_err));
    for (int batch = 1; batch <= 10; batch += 2) {
        memset(b, 0, sizeof b);
        ok(encoder_embed_plain(e, x, N, SIZE, SIZE, batch, b, &the_err));
        assert_true(relative_error(b, a, N * DIM) < 1e-5);
    }
    ok(encoder_embed_plain(e, x, 0, SIZE, SIZE, 4, b, &the_err));
    mem_free(im.pixels);
    encoder_destroy(e);
    cJSON_Delete(block);
}

static size_t counted;

static void *counted_alloc(struct device *d, size_t bytes, struct err *err)
{
    counted += (bytes + 511) / 512 * 512;
    return usual->alloc(d, bytes, err);
}

static size_t free_bytes;

static int some_memory(struct device *d, size_t *free, size_t *total, struct err *err)
{
    (void)d;
    (void)err;
    *free = free_bytes - counted;
    *total = free_bytes;
    return 0;
}

/* What a training is said to take is what it allocates, also where its images do not stay. */
static void test_training_memory(void **state)
{
    (void)state;
    struct device_ops ops = *usual;
    ops.alloc = counted_alloc;
    ops.memory = some_memory;
    struct images im = make_images(60, SIZE);
    cJSON *block = json("{\"arch\": \"resnet10\", \"stem\": \"imagenet\", \"width\": 0.0625, \"batch\": 5}");
    static float answers[60 * 2 * 32];
    float out[60 * 32];
    for (int kind = 0; kind < 4; kind++) {
        const struct train_request request = {
            .block = block, .data = &im, .target = kind % 2 ? answers : NULL, .target_dim = 32, .target_views = 2
        };
        size_t said;
        /* enough for all, or for all but the images */
        free_bytes = (size_t)1 << 30;
        dev->ops = &ops;
        counted = 0;
        ok(train_memory(dev, &request, &said, &the_err));
        assert_int_equal(counted, 0);
        free_bytes = kind < 2 ? free_bytes : said + 1000;
        ok(train_memory(dev, &request, &said, &the_err));
        struct trainer *t = trainer_lay_out(dev, &request, &the_err);
        made(t);
        assert_int_equal(said, counted);
        trainer_destroy(t);
        dev->ops = &watched;
        ok(train_memory(dev, &request, &said, &the_err)); /* the host's memory is not counted */
        assert_int_equal(said, 0);
    }
    const float mean[3] = { 0.5f, 0.4f, 0.3f }, std[3] = { 0.2f, 0.3f, 0.25f };
    dev->ops = &ops;
    for (int views = 1; views <= 3; views++) {
        struct encoder *e = encoder_random(dev, block, 1, SIZE, mean, std, &the_err);
        made(e);
        size_t said;
        counted = 0;
        ok(encoder_memory(e, &im, views, 7, &said, &the_err));
        assert_true(said > 0 && counted == 0);
        ok(encoder_prepare(e, &im, views, 7, &the_err));
        assert_int_equal(said, counted);
        counted = 0; /* what is there is not allocated again */
        ok(encoder_embed(e, &im, 7, out, NULL, NULL, &the_err));
        assert_true(views > 1 || counted == 0);
        im.n = 0;
        ok(encoder_memory(e, &im, views, 7, &said, &the_err));
        assert_int_equal(said, 0);
        im.n = 60;
        encoder_destroy(e);
    }
    dev->ops = &watched;
    cJSON_Delete(block);
    mem_free(im.pixels);
}

static void test_bench(void **state)
{
    (void)state;
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625, \"batch\": 77, \"augment\": \"none\"}");
    struct train_bench_result two, first, second;
    n_seen = n_rates = 0;
    ok(train_bench(dev, block, SIZE, 4, 2, 0, &two, &the_err));
    assert_true(n_seen == 2 && seen[0].rows == 8);
    n_rates = 0;
    ok(train_bench(dev, block, SIZE, 4, 1, 0, &first, &the_err));
    n_rates = 0;
    ok(train_bench(dev, block, SIZE, 4, 1, 1, &second, &the_err)); /* the first step is not timed */
    assert_true(fabs(2 * two.loss - first.loss - second.loss) < 1e-9 && first.loss != second.loss);
    assert_true(two.seconds_per_step > 0 && !two.recorded);
    assert_true(fabs(two.images_per_second * two.seconds_per_step - 8) < 1e-9);
    struct encoder_config config = { .arch = "resnet8", .stem = "cifar", .width = 0.0625 };
    struct network *net = network_build(dev, &config, 0, &the_err);
    assert_int_equal(two.parameters, network_encoder_parameters(net));
    network_destroy(net);
    for (int bad = 0; bad < 3; bad++) {
        assert_int_equal(
            train_bench(dev, block, bad == 0 ? 0 : SIZE, bad == 1 ? 0 : 4, bad == 2 ? 0 : 1, 0, &two, &the_err), -1);
        assert_non_null(strstr(the_err.text, "at least one step of one image of one pixel"));
    }
    cJSON_Delete(block);
}

/* A position that cannot be, and tensors of another kind, are refused. */
static void test_positions(void **state)
{
    (void)state;
    struct images im = make_images(IMAGES, SIZE);
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625, \"batch\": 5, \"epochs\": 3}");
    const struct train_request request = { .block = block, .data = &im };
    struct trainer *t = trainer_create(dev, &request, &the_err);
    made(t);
    double loss[3] = { 1, 2, 3 }, lr[3] = { 4, 5, 6 }, duration[3] = { 7, 8, 9 }, curves[3][3];
    struct train_position at = { 7, 0.5, 0.25, loss, lr, duration },
                          back = { 0, 0, 0, curves[0], curves[1], curves[2] };
    const char *path = scratch("position");
    ok(checkpoint_write(path, "me", t, &at, 3, &the_err));
    ok(checkpoint_read(path, "me", t, &back, 3, &the_err));
    assert_true(back.step == 7 && back.loss_sum == 0.5 && back.seconds == 0.25);
    assert_memory_equal(curves[0], loss, sizeof loss);
    assert_memory_equal(curves[1], lr, sizeof lr);
    assert_memory_equal(curves[2], duration, sizeof duration);
    assert_int_equal(checkpoint_read(path, "me", t, &back, 2, &the_err), -1);
    assert_non_null(strstr(the_err.text, "impossible position: 3 epochs"));
    assert_int_equal(checkpoint_read(path, "you", t, &back, 3, &the_err), -1);
    assert_non_null(strstr(the_err.text, "is not a checkpoint of this training"));
    at.step = -1;
    ok(checkpoint_write(path, "me", t, &at, 0, &the_err));
    assert_int_equal(checkpoint_read(path, "me", t, &back, 3, &the_err), -1);
    at.step = 0;
    ok(checkpoint_write(path, "me", t, &at, 0, &the_err));
    ok(checkpoint_read(path, "me", t, &back, 3, &the_err));
    assert_int_equal(back.step, 0);
    trainer_destroy(t);
    cJSON_Delete(block);
    mem_free(im.pixels);
}

/* Of a file of initial weights the contents count, not the place; it must be there. */
static void test_identity_of_init(void **state)
{
    (void)state;
    struct images im = make_images(2, SIZE);
    char hex[4][HASH_HEX];
    for (int k = 0; k < 4; k++) {
        const char *path = scratch(k == 1 ? "init1" : "init0");
        char text[256];
        ok(fs_write_atomic(path, k < 2 ? "weights" : "Weights", 7, &the_err));
        snprintf(text, sizeof text, "{\"arch\": \"resnet8\", \"init\": \"%s\"}", k == 3 ? "" : path);
        cJSON *block = json(text);
        const struct train_request request = { .block = block, .data = &im };
        ok(checkpoint_identity(&request, hex[k], &the_err));
        cJSON_Delete(block);
    }
    assert_string_equal(hex[0], hex[1]);
    assert_string_not_equal(hex[0], hex[2]);
    assert_string_not_equal(hex[0], hex[3]);
    cJSON *block = json("{\"init\": \"/nowhere/init\"}");
    const struct train_request request = { .block = block, .data = &im };
    assert_int_equal(checkpoint_identity(&request, hex[0], &the_err), -1);
    assert_non_null(strstr(the_err.text, "/nowhere/init"));
    cJSON_Delete(block);
    mem_free(im.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),           cmocka_unit_test(test_small_set), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_too_many),        cmocka_unit_test(test_batches),   cmocka_unit_test(test_plain),
        cmocka_unit_test(test_training_memory), cmocka_unit_test(test_bench),     cmocka_unit_test(test_positions),
        cmocka_unit_test(test_identity_of_init)
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
