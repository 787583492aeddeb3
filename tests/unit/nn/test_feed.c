/* Where a training's data lie, and whether its steps are recorded, changes no bit
 * of what comes out; precision changes some, but not many. */
#include "fixtures.h"

#include "device/augment_body.h"
#include "nn/query_views.h"
#include "nn/trainer.h"

enum { IMAGES = 14, SIZE = 8, VIEWS = 2, DIM = 16 };

static int little_memory(struct device *dev, size_t *free, size_t *total, struct err *err)
{
    (void)dev;
    (void)err;
    *free = *total = 100;
    return 0;
}

static const struct device_recording *recording; /* the device's own */
static int replays;

static int counted_replay(struct recording *r, struct err *err)
{
    replays++;
    return recording->replay(r, err);
}

/* A device that records a step and then says that it could not. */
static struct recording *refuse(struct device *dev, struct err *err)
{
    recording->destroy(recording->end(dev, err));
    err_set(err, "refused");
    return NULL;
}

enum variant { AS_IS, STREAMED, NOT_RECORDED, REFUSED, VARIANTS };

/* Trains on `dev` with its table of operations changed; the weights' file and the last epoch's loss. */
static double train(struct device *dev, enum variant variant, bool theft, const char *precision, const char *out)
{
    const struct device_ops *kept = dev->ops;
    struct device_ops changed = *kept;
    if (variant == STREAMED)
        changed.memory = little_memory;
    if (variant == NOT_RECORDED)
        changed.recording = NULL;
    struct device_recording watched;
    recording = kept->recording;
    replays = 0;
    if (variant != NOT_RECORDED && recording != NULL) {
        watched = *recording;
        watched.replay = counted_replay;
        if (variant == REFUSED)
            watched.end = refuse;
        changed.recording = &watched;
    }
    char text[512];
    snprintf(text, sizeof text,
             "{\"arch\": \"resnet8\", \"width\": 0.0625, \"augment\": \"weak\", \"batch\": 5, \"epochs\": 3,"
             "\"hold\": 1, \"lr\": 0.003, \"projector_dim\": 8, \"precision\": \"%s\"}",
             precision);
    cJSON *block = json(text), *asked = json("{\"augment\": \"weak\", \"seed\": 5}");
    struct images im = make_images(IMAGES, SIZE);
    float answers[IMAGES * VIEWS * DIM];
    int32_t labels[IMAGES];
    for (int i = 0; i < IMAGES * VIEWS * DIM; i++)
        answers[i] = noise(i, "answers");
    for (int i = 0; i < IMAGES; i++)
        labels[i] = i % 3;
    im.labels = labels;
    const struct train_request request = { .block = block,
                                           .data = &im,
                                           .target = theft ? answers : NULL,
                                           .target_dim = DIM,
                                           .target_views = VIEWS,
                                           .target_augment = theft ? asked : NULL,
                                           .seed = 4,
                                           .out = out };
    struct train_result result;
    dev->ops = &changed;
    ok(train_run(dev, &request, &result, &the_err));
    dev->ops = kept;
    double loss = result.loss[2];
    /* all steps but the first: no device falls back on eager steps unnoticed */
    assert_int_equal(replays, changed.recording != NULL && variant != REFUSED ? result.steps - 1 : 0);
    train_result_fini(&result);
    mem_free(im.pixels);
    cJSON_Delete(asked);
    cJSON_Delete(block);
    return loss;
}

static void variants_on(struct device *dev)
{
    for (int theft = 0; theft < 2; theft++)
        for (int p = PRECISION_FP32; precision_names[p] != NULL; p++) {
            if (!has_precision(dev, (enum precision)p))
                continue;
            const char *as_is = scratch("as-is"), *other = scratch("other");
            double loss = train(dev, AS_IS, theft, precision_names[p], as_is);
            assert_true(loss > 0 && isfinite(loss));
            for (int v = AS_IS + 1; v < VARIANTS; v++) {
                assert_true(train(dev, (enum variant)v, theft, precision_names[p], other) == loss);
                same_file(as_is, other);
            }
        }
}

static void test_variants(void **state)
{
    (void)state;
    on_devices(variants_on);
}

/* Every step drops two of three digits and more: after some steps the loss is another, but near. */
static void precisions_on(struct device *dev)
{
    double full = train(dev, AS_IS, false, "fp32", scratch("full"));
    for (int p = PRECISION_TF32; precision_names[p] != NULL; p++) {
        if (!has_precision(dev, (enum precision)p)) {
            struct images im = make_images(IMAGES, SIZE);
            char text[64];
            snprintf(text, sizeof text, "{\"arch\": \"resnet8\", \"precision\": \"%s\"}", precision_names[p]);
            cJSON *block = json(text);
            const struct train_request request = { .block = block, .data = &im };
            assert_null(trainer_create(dev, &request, &the_err));
            assert_non_null(strstr(the_err.text, precision_names[p])); /* refused, not ignored */
            cJSON_Delete(block);
            mem_free(im.pixels);
            continue;
        }
        double loss = train(dev, AS_IS, false, precision_names[p], scratch("rounded"));
        print_message("%s: loss %.6f in fp32, %.6f in %s\n", dev->ops->name, full, loss, precision_names[p]);
        assert_true(fabs(loss - full) < 0.05 * full);
        if (p == PRECISION_BF16)
            assert_true(loss != full);
    }
}

static void test_precisions(void **state)
{
    (void)state;
    on_devices(precisions_on);
}

/* Every view that the device has been asked for, with the bytes of its image. */
static struct seen {
    uint8_t image[3 * SIZE * SIZE];
    struct augment_view view; /* without the image's place */
} seen[512];
static int n_seen;
static const struct device_ops *usual;

static int watched_augment(struct device *dev, const uint8_t *pixels, int c, int h, int w,
                           const struct augment_view *views, int n, const struct augment_target *target, void *out,
                           struct err *err)
{
    assert_int_equal(c * h * w, sizeof seen[0].image);
    for (int i = 0; i < n; i++) {
        assert_in_range(n_seen, 0, sizeof seen / sizeof *seen - 1);
        struct seen *s = &seen[n_seen++];
        memcpy(s->image, pixels + (size_t)views[i].image * sizeof s->image, sizeof s->image);
        s->view = views[i];
        s->view.image = 0;
    }
    return usual->augment(dev, pixels, c, h, w, views, n, target, out, err);
}

/* A thief sees the views that its victim was asked about, whichever images of the query set it has. */
static void same_views(bool streamed)
{
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    usual = dev->ops;
    struct device_ops watched = *usual;
    watched.augment = watched_augment;
    watched.recording = NULL;
    if (streamed)
        watched.memory = little_memory;
    dev->ops = &watched;
    const float mean[3] = { 0.5f, 0.5f, 0.5f }, std[3] = { 0.25f, 0.25f, 0.25f };
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625, \"batch\": 5, \"epochs\": 4, \"loss\": \"mse\"}"),
          *asked = json("{\"augment\": \"weak\", \"seed\": 5}");
    struct images im = make_images(IMAGES, SIZE);
    float answers[IMAGES * VIEWS * DIM];
    int64_t keys[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        keys[i] = 100 - 3 * i;
    struct encoder *victim = encoder_random(dev, block, 1, SIZE, mean, std, &the_err);
    made(victim);
    assert_int_equal(encoder_dim(victim), DIM);
    n_seen = 0;
    ok(encoder_answer(victim, &im, keys, VIEWS, asked, IMAGES, answers, NULL, NULL, &the_err));
    encoder_destroy(victim);
    const int n = n_seen;
    assert_int_equal(n, IMAGES * VIEWS);
    const struct train_request request = { .block = block,
                                           .data = &im,
                                           .target = answers,
                                           .target_dim = DIM,
                                           .target_views = VIEWS,
                                           .target_augment = asked,
                                           .target_index = keys,
                                           .seed = 4,
                                           .out = scratch("thief") };
    struct train_result result;
    ok(train_run(dev, &request, &result, &the_err));
    assert_true(n_seen > n && (n_seen - n) % 4 == 0);
    const int epoch = (n_seen - n) / 4;
    for (int k = n; k < n_seen; k++) {
        int i = 0;
        while (memcmp(seen[VIEWS * i].image, seen[k].image, sizeof seen[k].image) != 0)
            assert_in_range(++i, 0, IMAGES - 1);
        assert_memory_equal(&seen[k].view, &seen[VIEWS * i + (k - n) / epoch % VIEWS].view, sizeof seen[k].view);
    }
    train_result_fini(&result);
    mem_free(im.pixels);
    cJSON_Delete(asked);
    cJSON_Delete(block);
    dev->ops = usual;
    device_close(dev);
}

static void test_views_of_a_theft(void **state)
{
    (void)state;
    same_views(false);
    same_views(true);
}

static int much_memory(struct device *dev, size_t *free, size_t *total, struct err *err)
{
    (void)dev;
    (void)err;
    *free = *total = (size_t)1 << 30;
    return 0;
}

/* The bytes of a training of a network with 11 million weights are counted without a look at an
 * image, at a file of weights, or at a weight: of the three, only the training itself needs any. */
static void counts_on(struct device *dev)
{
    const struct device_ops *kept = dev->ops;
    struct device_ops changed = *kept;
    const struct images unread = { .n = 100, .c = 3, .h = SIZE, .w = SIZE };
    cJSON *block = json("{\"arch\": \"resnet18\", \"batch\": 5, \"init\": \"not-there.safetensors\"}");
    const struct train_request request = { .block = block, .data = &unread };
    size_t roomy, scarce;
    changed.memory = much_memory;
    dev->ops = &changed;
    ok(train_memory(dev, &request, &roomy, &the_err));
    changed.memory = little_memory;
    ok(train_memory(dev, &request, &scarce, &the_err));
    dev->ops = kept;
    assert_true(scarce > 4 * sizeof(float) * 11000000); /* weights, gradients and Adam's two moments */
    /* images that stay on the device against those of a step, in pieces of 512 bytes */
    assert_in_range(roomy - scarce, (100 - 5) * 3 * SIZE * SIZE - 2 * 512, (100 - 5) * 3 * SIZE * SIZE + 2 * 512);
    cJSON_Delete(block);
}

static void test_counts(void **state)
{
    (void)state;
    on_devices(counts_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_variants), cmocka_unit_test(test_precisions),
                                        cmocka_unit_test(test_views_of_a_theft), cmocka_unit_test(test_counts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
