/* Encoders and trainings for which there is not enough memory: none comes out, wherever it runs out. */
#include "fixtures.h"

#include "data/resize.h"
#include "nn/checkpoint.h"
#include "nn/embed_plain.h"
#include "nn/query_views.h"
#include "nn/trainer.h"
#include "unit/scarce_device.h"

static struct device *dev;
static cJSON *block;
static struct images im;
static const float mean[3] = { 0.5f, 0.5f, 0.5f }, std[3] = { 0.25f, 0.25f, 0.25f };

static int make(void *arg, struct err *err)
{
    (void)arg;
    scarce_begin();
    struct encoder *e = encoder_random(dev, block, 1, 8, mean, std, err);
    const int rc = e == NULL ? -1 : encoder_save(e, scratch("scarce.safetensors"), block, err);
    scarce_end();
    encoder_destroy(e);
    return rc;
}

static int load(void *arg, struct err *err)
{
    const struct string_list rename = { 1, { "x=y" } };
    const struct encoder_names names = { "", arg == NULL ? NULL : &rename };
    bool own;
    scarce_begin();
    struct encoder *e = arg == NULL ? encoder_load(dev, scratch("scarce.safetensors"), err)
                                    : encoder_import(dev, scratch("scarce.safetensors"), "resnet8", "cifar", 0.0625,
                                                     &names, 8, mean, std, err);
    const int rc = e == NULL ? -1 : encoder_is_own(scratch("scarce.safetensors"), &own, err);
    scarce_end();
    encoder_destroy(e);
    return rc;
}

static int embed(void *arg, struct err *err)
{
    static float out[5 * 2 * 16], plain[5 * 3 * 144];
    (void)arg;
    struct err ignored;
    struct encoder *e = encoder_random(dev, block, 1, 8, mean, std, &ignored);
    scarce_begin();
    int rc = encoder_embed(e, &im, 2, out, NULL, NULL, err);
    rc = rc != 0 ? rc : encoder_answer(e, &im, NULL, 2, block, 4, out, NULL, NULL, err);
    rc = rc != 0 ? rc : encoder_embed_plain(e, plain, 5, 8, 8, 2, out, err);
    scarce_end();
    encoder_destroy(e);
    return rc;
}

static int train(void *arg, struct err *err)
{
    static float answers[5 * 16];
    struct train_request request = { .block = block, .data = &im, .seed = 1, .out = scratch("trained.safetensors") };
    struct train_result result = { 0 };
    if (arg != NULL) {
        request.target = answers;
        request.target_dim = 16;
        request.target_views = 1;
        request.target_augment = block;
    }
    scarce_begin();
    const int rc = train_run(dev, &request, &result, err);
    scarce_end();
    assert_true((rc == 0) == (result.loss != NULL));
    train_result_fini(&result);
    return rc;
}

/* Saved on the way, and taken up again. */
static int resume(void *arg, struct err *err)
{
    double curves[3][4];
    char hex[HASH_HEX];
    (void)arg;
    const struct train_request request = { .block = block, .data = &im, .seed = 1 };
    struct train_position at = { 1, 0, 0, curves[0], curves[1], curves[2] };
    struct err ignored;
    memset(curves, 0, sizeof curves);
    struct trainer *t = trainer_create(dev, &request, &ignored);
    made(t);
    scarce_begin();
    int rc = checkpoint_identity(&request, hex, err);
    rc = rc != 0 ? rc : checkpoint_write(scratch("checkpoint"), hex, t, &at, 1, err);
    rc = rc != 0 ? rc : checkpoint_read(scratch("checkpoint"), hex, t, &at, 4, err);
    scarce_end();
    trainer_destroy(t);
    return rc;
}

static int count(void *arg, struct err *err)
{
    struct train_bench_result result;
    size_t bytes;
    const struct train_request request = { .block = block, .data = &im };
    (void)arg;
    scarce_begin();
    int rc = train_memory(dev, &request, &bytes, err);
    rc = rc != 0 ? rc : train_bench(dev, block, 8, 3, 1, 0, &result, err);
    scarce_end();
    return rc;
}

static void test_all(void **state)
{
    (void)state;
    scarce_thinned = 1000;
    scarce_check("making an encoder", make, NULL);
    scarce_check("loading it", load, NULL);
    scarce_check("importing it", load, dev);
    scarce_check("embedding", embed, NULL);
    scarce_check("training", train, NULL);
    scarce_check("a theft", train, dev);
    scarce_check("checkpoints", resume, NULL);
    scarce_check("counting", count, NULL);
}

static int set_up(void **state)
{
    (void)state;
    dev = device_open("ref", 1, &the_err);
    block = json("{\"arch\": \"resnet8\", \"width\": 0.0625, \"augment\": \"weak\", \"batch\": 4, \"epochs\": 1, "
                 "\"loss\": \"infonce\", \"projector_dim\": 4, \"seed\": 3}");
    im = make_images(5, 12);
    const struct resize_to to = resize_square(8);
    if (dev != NULL)
        scarce_device(dev);
    return dev == NULL ? -1 : images_resize(&im, &to, &the_err);
}

static int tear_down(void **state)
{
    (void)state;
    mem_free(im.pixels);
    cJSON_Delete(block);
    scarce_device_mended(dev);
    device_close(dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
