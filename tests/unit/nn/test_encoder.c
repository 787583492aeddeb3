/* Encoders in files: what is written comes back bit for bit, and what does not
 * fit is refused with its name. */
#include "fixtures.h"

#include "base/fs.h"
#include "data/resize.h"
#include "nn/query_views.h"

static const float mean[3] = { 0.4f, 0.5f, 0.6f }, std[3] = { 0.2f, 0.25f, 0.3f };
static struct device *dev;

static struct encoder *random_encoder(uint64_t seed)
{
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.125}");
    struct encoder *e = encoder_random(dev, block, seed, 8, mean, std, &the_err);
    made(e);
    cJSON_Delete(block);
    return e;
}

static float *embed(struct encoder *e, const struct images *im, int batch)
{
    float *out = mem_alloc((size_t)im->n * (size_t)encoder_dim(e), sizeof *out, &the_err);
    made(out);
    ok(encoder_embed(e, im, batch, out, NULL, NULL, &the_err));
    return out;
}

static void test_roundtrip(void **state)
{
    (void)state;
    struct images im = make_images(7, 8);
    struct encoder *a = random_encoder(1);
    const char *path = scratch("a.safetensors"), *again = scratch("b.safetensors");
    cJSON *provenance = json("{\"revision\": \"abc\"}");
    ok(encoder_save(a, path, provenance, &the_err));
    struct encoder *b = encoder_load(dev, path, &the_err);
    made(b);
    assert_int_equal(encoder_dim(b), 32);
    assert_int_equal(encoder_size(b), 8);
    assert_string_equal(encoder_arch(b), "resnet8");
    assert_int_equal(encoder_parameters(a), encoder_parameters(b));
    float *x = embed(a, &im, 4), *y = embed(b, &im, 4);
    assert_memory_equal(x, y, 7 * 32 * sizeof *x);
    ok(encoder_save(b, again, provenance, &the_err));
    char *s, *t;
    size_t n, m;
    ok(fs_read(path, &s, &n, &the_err));
    ok(fs_read(again, &t, &m, &the_err));
    assert_true(n == m && memcmp(s, t, n) == 0);
    mem_free(s);
    mem_free(t);
    mem_free(x);
    mem_free(y);
    cJSON_Delete(provenance);
    encoder_destroy(a);
    encoder_destroy(b);
    mem_free(im.pixels);
}

/* The batch size may change rounding, nothing else; the order of images nothing at all. */
static void test_batches(void **state)
{
    (void)state;
    struct images im = make_images(7, 12); /* resized to 8 */
    struct encoder *e = random_encoder(2);
    float *one = embed(e, &im, 1), *three = embed(e, &im, 3), *all = embed(e, &im, 100);
    assert_true(relative_error(three, one, 7 * 32) < 1e-5);
    assert_true(relative_error(all, one, 7 * 32) < 1e-5);
    assert_true(relative_error(all + 32, one, 32) > 1e-3);
    mem_free(one);
    mem_free(three);
    mem_free(all);
    mem_free(im.pixels);
    encoder_destroy(e);
}

/* A larger image is represented as its resized self, by every way in; one that is not square is refused. */
static void test_resizes(void **state)
{
    (void)state;
    struct images large = make_images(5, 21), small = make_images(5, 21);
    struct encoder *e = random_encoder(4);
    cJSON *weak = json("{\"augment\": \"weak\", \"seed\": 9}");
    float before[5 * 2 * 32], after[5 * 2 * 32];
    const struct resize_to to = resize_square(8);
    ok(images_resize(&small, &to, &the_err));
    float *x = embed(e, &large, 2), *y = embed(e, &small, 2);
    assert_memory_equal(x, y, 5 * 32 * sizeof *x);
    ok(encoder_answer(e, &large, NULL, 2, weak, 4, before, NULL, NULL, &the_err));
    ok(encoder_answer(e, &small, NULL, 2, weak, 4, after, NULL, NULL, &the_err));
    assert_memory_equal(before, after, sizeof before);
    large.w = 20;
    assert_int_equal(encoder_embed(e, &large, 2, x, NULL, NULL, &the_err), -1);
    assert_non_null(strstr(the_err.text, "square images"));
    mem_free(x);
    mem_free(y);
    mem_free(large.pixels);
    mem_free(small.pixels);
    cJSON_Delete(weak);
    encoder_destroy(e);
}

static void test_answers(void **state)
{
    (void)state;
    struct images im = make_images(5, 8);
    struct encoder *e = random_encoder(3);
    cJSON *none = json("{\"augment\": \"none\"}"), *weak = json("{\"augment\": \"weak\", \"seed\": 9}");
    float plain[5 * 32], twice[5 * 2 * 32], some[2 * 2 * 32];
    ok(encoder_answer(e, &im, NULL, 1, none, 2, plain, NULL, NULL, &the_err));
    float *x = embed(e, &im, 2);
    assert_memory_equal(plain, x, sizeof plain);
    ok(encoder_answer(e, &im, NULL, 2, weak, 4, twice, NULL, NULL, &the_err));
    assert_true(relative_error(twice, twice + 32, 32) > 1e-3);
    /* images 3 and 4 alone, under their keys, get the same answers */
    const int64_t keys[] = { 3, 4 };
    struct images last = im;
    last.pixels = im.pixels + 3 * 3 * 64;
    last.n = 2;
    ok(encoder_answer(e, &last, keys, 2, weak, 4, some, NULL, NULL, &the_err));
    assert_true(relative_error(some, twice + 3 * 2 * 32, 4 * 32) < 1e-5);
    ok(encoder_answer(e, &last, NULL, 2, weak, 4, some, NULL, NULL, &the_err));
    assert_true(relative_error(some, twice + 3 * 2 * 32, 4 * 32) > 1e-3);
    mem_free(x);
    mem_free(im.pixels);
    cJSON_Delete(none);
    cJSON_Delete(weak);
    encoder_destroy(e);
}

/* What the victim says about the first images does not depend, to the bit, on how
 * many more it is asked about: thefts with small budgets use the answers of a large one. */
static void test_answers_prefix(void **state)
{
    (void)state;
    enum { MOST = 20, BATCH = 8, DIM = 512 };
    static float most[MOST * DIM], few[MOST * DIM];
    struct images im = make_images(MOST, 12);
    cJSON *block = json("{\"arch\": \"resnet26\", \"width\": 0.25}"), *none = json("{\"augment\": \"none\"}");
    struct encoder *e = encoder_random(dev, block, 3, 12, mean, std, &the_err);
    made(e);
    ok(encoder_answer(e, &im, NULL, 1, none, BATCH, most, NULL, NULL, &the_err));
    for (int64_t n = 1; n < MOST; n++) {
        im.n = n;
        ok(encoder_answer(e, &im, NULL, 1, none, BATCH, few, NULL, NULL, &the_err));
        assert_memory_equal(few, most, (size_t)n * DIM * sizeof *few);
    }
    mem_free(im.pixels);
    cJSON_Delete(block);
    cJSON_Delete(none);
    encoder_destroy(e);
}

/* Copies a file's tensors under changed names: -`drop`, +`extra`, `prefix` before all. */
static const char *rewrite(const char *from, const char *to, const char *drop, const char *extra, const char *prefix,
                           bool keep_metadata)
{
    struct safetensors s;
    static char names[512][160];
    ok(safetensors_open(from, &s, &the_err));
    struct tensor_view *views = mem_alloc((size_t)s.n + 1, sizeof *views, &the_err);
    made(views);
    int n = 0;
    for (int i = 0; i < s.n; i++)
        if (drop == NULL || strcmp(s.tensors[i].name, drop) != 0) {
            views[n] = s.tensors[i];
            snprintf(names[n], sizeof names[n], "%s%s", prefix, s.tensors[i].name);
            views[n].name = names[n];
            n++;
        }
    if (extra != NULL) {
        views[n] = views[0];
        views[n++].name = extra;
    }
    ok(safetensors_write(to, views, n, keep_metadata ? s.metadata : NULL, &the_err));
    mem_free(views);
    safetensors_close(&s);
    return to;
}

static void refuse_load(const char *path, const char *text)
{
    assert_null(encoder_load(dev, path, &the_err));
    if (strstr(the_err.text, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, the_err.text);
}

static void refuse_import(const char *path, const char *arch, const char *stem, const char *strip, const char *text)
{
    const struct encoder_names names = { .strip = strip };
    assert_null(encoder_import(dev, path, arch, stem, 0.125, &names, 8, mean, std, &the_err));
    if (strstr(the_err.text, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, the_err.text);
}

static void test_strict(void **state)
{
    (void)state;
    struct encoder *e = random_encoder(4);
    const char *good = scratch("good.safetensors"), *bad = scratch("bad.safetensors");
    ok(encoder_save(e, good, NULL, &the_err));
    refuse_load(rewrite(good, bad, "layer2.0.bn1.running_var", NULL, "", true),
                "the tensor layer2.0.bn1.running_var is missing");
    refuse_load(rewrite(good, bad, "bn1.num_batches_tracked", NULL, "", true), "bn1.num_batches_tracked is missing");
    refuse_load(rewrite(good, bad, NULL, "module.extra", "", true), "module.extra belongs to nothing");
    refuse_load(rewrite(good, bad, NULL, NULL, "", false), "metadata lack \"format\"");
    refuse_load("/nowhere/at.all", "/nowhere/at.all");
    struct safetensors broken;
    ok(safetensors_open(good, &broken, &the_err));
    struct tensor_view *gamma = (struct tensor_view *)safetensors_find(&broken, "bn1.weight");
    float values[8] = { 1, 1, 1, NAN, 1, 1, 1, 1 };
    assert_int_equal(gamma->bytes, sizeof values);
    gamma->data = values;
    ok(safetensors_write(bad, broken.tensors, broken.n, broken.metadata, &the_err));
    safetensors_close(&broken);
    refuse_load(bad, "bad.safetensors: the tensor bn1.weight holds values that are not finite");
    refuse_import(good, "resnet10", "cifar", "", "layer4.0.conv1.weight is missing");
    refuse_import(good, "resnet8", "imagenet", "",
                  "shape (8, 3, 3, 3) where (8, 3, 7, 7) is wanted; it is of the stem cifar");
    refuse_import(good, "resnet9", "cifar", "", "resnet8");
    refuse_import(good, "resnet8", "cifar", "module.", "module.conv1.weight is missing");
    encoder_destroy(e);
}

/* A broken encoder is neither written nor, with whatever is not a number of its kind, read. */
static void test_broken(void **state)
{
    (void)state;
    struct encoder *e = random_encoder(4);
    const char *good = scratch("whole.safetensors"), *bad = scratch("broken.safetensors");
    ok(encoder_save(e, good, NULL, &the_err));
    static const struct {
        const char *tensor;
        float value;
        const char *says;
    } reads[] = { { "conv1.weight", INFINITY, "the tensor conv1.weight holds values that are not finite" },
                  { "layer1.0.bn1.running_mean", -INFINITY, "layer1.0.bn1.running_mean holds values that are not" },
                  { "layer3.0.bn2.running_var", -0.5F, "layer3.0.bn2.running_var holds a negative variance (-0.5)" } };
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
        for (int last = 0; last < 2; last++) {
            struct safetensors broken;
            ok(safetensors_open(good, &broken, &the_err));
            struct tensor_view *view = (struct tensor_view *)safetensors_find(&broken, reads[i].tensor);
            const size_t n = view->bytes / sizeof(float);
            float *values = mem_alloc(n, sizeof *values, &the_err);
            memcpy(values, view->data, view->bytes);
            values[last ? n - 1 : 0] = reads[i].value;
            view->data = values;
            ok(safetensors_write(bad, broken.tensors, broken.n, broken.metadata, &the_err));
            safetensors_close(&broken);
            mem_free(values);
            refuse_load(bad, reads[i].says);
        }
    float *weights = e->net->weights, *running = e->net->running, was = weights[0]; /* `ref` keeps them as they are */
    weights[0] = NAN;
    assert_int_equal(encoder_save(e, bad, NULL, &the_err), -1);
    assert_non_null(strstr(the_err.text, "the tensor conv1.weight holds values that are not finite"));
    weights[0] = was;
    was = running[0];
    running[0] = INFINITY;
    assert_int_equal(encoder_save(e, bad, NULL, &the_err), -1);
    assert_non_null(strstr(the_err.text, "the tensor bn1.running_mean holds values that are not finite"));
    running[0] = was;
    ok(encoder_save(e, bad, NULL, &the_err));
    encoder_destroy(e);
}

static void test_import(void **state)
{
    (void)state;
    struct images im = make_images(3, 8);
    struct encoder *e = random_encoder(5);
    const char *good = scratch("mine.safetensors"), *other = scratch("prefixed.safetensors");
    ok(encoder_save(e, good, NULL, &the_err));
    rewrite(good, other, "bn1.num_batches_tracked", "module.fc.weight", "module.", false);
    const struct encoder_names names = { .strip = "module." };
    struct encoder *f = encoder_import(dev, other, "resnet8", "cifar", 0.125, &names, 8, mean, std, &the_err);
    made(f);
    float *x = embed(e, &im, 3), *y = embed(f, &im, 3);
    assert_memory_equal(x, y, 3 * 32 * sizeof *x);
    mem_free(x);
    mem_free(y);
    mem_free(im.pixels);
    encoder_destroy(e);
    encoder_destroy(f);
}

static void test_bad_metadata(void **state)
{
    (void)state;
    struct encoder *e = random_encoder(6);
    const char *good = scratch("meta.safetensors"), *bad = scratch("badmeta.safetensors");
    ok(encoder_save(e, good, NULL, &the_err));
    const char *const changes[][3] = {
        { "arch", "resnet81", "arch must not be" },
        { "std", "0.1,0.1", "\"std\" in the metadata" },
        { "std", "0,1,1", "\"std\" in the metadata" },
        { "size", "0", "\"size\" in the metadata" },
        { "size", "100001", "\"size\" in the metadata must not be \"100001\"" },
        { "size", "8x", "\"size\" in the metadata" },
        { "size", "", "\"size\" in the metadata" },
        { "mean", "0,0,1.1e6", "\"mean\" in the metadata" },
        { "mean", "-1.1e6,0,0", "\"mean\" in the metadata" },
        { "mean", "0,0,0,0", "\"mean\" in the metadata" },
        { "std", "1,1,1.1e6", "\"std\" in the metadata" },
        { "std", "0.9e-30,1,1", "\"std\" in the metadata" },
        { "std", "1 1,1", "\"std\" in the metadata" },
        { "head_dim", "-1", "\"head_dim\" in the metadata" },
        { "head_dim", "1000001", "\"head_dim\" in the metadata" },
        { "width", "1000.5", "\"width\" in the metadata" },
        { "width", "-0.5", "\"width\" in the metadata" },
        { "stem", "none", "stem must not be" },
        { "width", "nan", "\"width\" in the metadata" },
        { "head_dim", "3", "projector.0.weight is missing" },
        { "format", "dinf.encoder.9", "format \"dinf.encoder.9\"" },
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct safetensors s;
        ok(safetensors_open(good, &s, &the_err));
        cJSON_ReplaceItemInObjectCaseSensitive(s.metadata, changes[i][0], cJSON_CreateString(changes[i][1]));
        ok(safetensors_write(bad, s.tensors, s.n, s.metadata, &the_err));
        safetensors_close(&s);
        refuse_load(bad, changes[i][2]);
    }
    static const char *const fine[][2] = {
        { "size", "1" }, { "size", "100000" }, { "mean", "-1e6,0,1e6" }, { "std", "1e-30,1,1e6" }, { "head_dim", "0" },
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct safetensors s;
        ok(safetensors_open(good, &s, &the_err));
        cJSON_ReplaceItemInObjectCaseSensitive(s.metadata, fine[i][0], cJSON_CreateString(fine[i][1]));
        ok(safetensors_write(bad, s.tensors, s.n, s.metadata, &the_err));
        safetensors_close(&s);
        struct encoder *f = encoder_load(dev, bad, &the_err);
        made(f);
        assert_true(strcmp(fine[i][0], "size") != 0 || encoder_size(f) == atoi(fine[i][1]));
        encoder_destroy(f);
    }
    encoder_destroy(e);
}

/* Ours are files of any version of ours, and no others. */
static void test_whose(void **state)
{
    (void)state;
    struct encoder *e = random_encoder(6);
    const char *good = scratch("own.safetensors"), *other = scratch("other.safetensors");
    ok(encoder_save(e, good, NULL, &the_err));
    static const struct {
        const char *format;
        bool own;
    } cases[] = { { "dinf.encoder.1", true },
                  { "dinf.encoder.9", true },
                  { "dinf.checkpoint.1", false },
                  { "pt", false },
                  { NULL, false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct safetensors s;
        bool own = !cases[i].own;
        ok(safetensors_open(good, &s, &the_err));
        cJSON_DeleteItemFromObjectCaseSensitive(s.metadata, "format");
        if (cases[i].format != NULL)
            cJSON_AddStringToObject(s.metadata, "format", cases[i].format);
        ok(safetensors_write(other, s.tensors, s.n, s.metadata, &the_err));
        safetensors_close(&s);
        ok(encoder_is_own(other, &own, &the_err));
        assert_int_equal(own, cases[i].own);
    }
    bool own;
    assert_int_equal(encoder_is_own("/nowhere/w", &own, &the_err), -1);
    encoder_destroy(e);
}

/* A channel that is the same everywhere is not scaled: nothing is divided by its deviation of 0. */
static void test_constant_channel(void **state)
{
    (void)state;
    const size_t area = 8 * 8;
    struct images im = make_images(8, 8);
    for (size_t i = 0; i < 8; i++)
        memset(im.pixels + (3 * i + 2) * area, 77, area);
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.0625, \"augment\": \"none\", \"loss\": \"infonce\", "
                        "\"batch\": 8, \"epochs\": 2, \"projector_dim\": 8}");
    const char *path = scratch("constant.safetensors");
    struct train_request request = { .block = block, .data = &im, .out = path, .checkpoint = scratch("checkpoint") };
    struct train_result result = { 0 };
    ok(train_run(dev, &request, &result, &the_err));
    assert_true(result.epochs == 2 && isfinite(result.loss[0]) && isfinite(result.loss[1]));
    struct encoder *e = encoder_load(dev, path, &the_err);
    made(e);
    float m[3], s[3];
    encoder_moments(e, m, s);
    assert_true(s[2] == 1 && s[0] < 1 && s[1] < 1);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < area; k++) {
            const double v = im.pixels[3 * i * area + k] / 255.0;
            sum += v / (8 * (double)area);
            squares += v * v / (8 * (double)area);
        }
    assert_float_equal(m[0], sum, 1e-6);
    assert_float_equal(s[0], sqrt(squares - sum * sum), 1e-6);
    assert_float_equal(m[2], 77 / 255.0, 1e-6);
    float *x = embed(e, &im, 8);
    for (int i = 0; i < 8 * encoder_dim(e); i++)
        assert_true(isfinite(x[i]));
    mem_free(x);
    encoder_destroy(e);
    train_result_fini(&result);
    cJSON_Delete(block);
    mem_free(im.pixels);
}

static int open_device(void **state)
{
    (void)state;
    dev = device_open("auto", 1, &the_err);
    return dev == NULL ? -1 : 0;
}

static int close_device(void **state)
{
    (void)state;
    device_close(dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_roundtrip),       cmocka_unit_test(test_batches),
                                        cmocka_unit_test(test_resizes),         cmocka_unit_test(test_answers),
                                        cmocka_unit_test(test_answers_prefix),  cmocka_unit_test(test_strict),
                                        cmocka_unit_test(test_broken),          cmocka_unit_test(test_import),
                                        cmocka_unit_test(test_bad_metadata),    cmocka_unit_test(test_whose),
                                        cmocka_unit_test(test_constant_channel) };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
