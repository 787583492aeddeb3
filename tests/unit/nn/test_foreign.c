/* Names of foreign checkpoints: what is understood, what is said of the rest. */
#include "fixtures.h"

#include "nn/foreign.h"

enum { MOST = 256 };
static struct device *dev;
static struct encoder *mine; /* resnet8, width 0.125 */
static struct safetensors file;
static const float mean[3] = { 0, 0, 0 }, std[3] = { 1, 1, 1 };
static float zeros[4096];

/* Tensors of a file that is being made. */
static struct {
    struct tensor_view view[MOST];
    char name[MOST][192];
    int n;
} made_file;

static void begin(void)
{
    made_file.n = 0;
}

static void add_like(const char *name, const struct tensor_view *like)
{
    assert_true(made_file.n < MOST);
    snprintf(made_file.name[made_file.n], sizeof made_file.name[0], "%s", name);
    made_file.view[made_file.n] = *like;
    made_file.view[made_file.n].name = made_file.name[made_file.n];
    made_file.n++;
}

/* A small tensor of a rank. */
static void add(const char *name, int rank)
{
    struct tensor_view v = { .type = TENSOR_F32, .rank = rank, .data = zeros, .bytes = sizeof(float) };
    for (int i = 0; i < rank; i++)
        v.dims[i] = 1;
    add_like(name, &v);
}

/* The whole encoder; `to` replaces the leading part `from` of its names. */
static void add_encoder(const char *prefix, const char *const map[][2])
{
    for (int i = 0; i < file.n; i++) {
        const char *name = file.tensors[i].name, *front = "", *rest = name;
        for (int k = 0; map != NULL && map[k][0] != NULL; k++)
            if (strncmp(name, map[k][0], strlen(map[k][0])) == 0) {
                front = map[k][1];
                rest = name + strlen(map[k][0]);
                break;
            }
        char full[192];
        snprintf(full, sizeof full, "%s%s%s", prefix, front, rest);
        add_like(full, &file.tensors[i]);
    }
}

static const char *finish(void)
{
    const char *path = scratch("foreign.safetensors");
    ok(safetensors_write(path, made_file.view, made_file.n, NULL, &the_err));
    return path;
}

/* What was said on standard error while it was read; -1: it was refused. */
static char said[4096];

static int import(const char *strip, const struct string_list *rename, const char *stem)
{
    const struct encoder_names names = { strip, rename };
    const char *path = finish(), *log = scratch("log");
    fflush(stderr);
    const int kept = dup(STDERR_FILENO);
    assert_non_null(freopen(log, "w", stderr));
    struct err why = { "" };
    struct encoder *e = encoder_import(dev, path, "resnet8", stem, 0.125, &names, 8, mean, std, &why);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    char *text;
    size_t n;
    ok(fs_read(log, &text, &n, &the_err));
    snprintf(said, sizeof said, "%.*s", (int)n, text);
    mem_free(text);
    the_err = why;
    if (e == NULL)
        return -1;
    struct images im = make_images(2, 8);
    float a[2 * 32], b[2 * 32];
    ok(encoder_embed(mine, &im, 2, a, NULL, NULL, &the_err));
    ok(encoder_embed(e, &im, 2, b, NULL, NULL, &the_err));
    assert_memory_equal(a, b, sizeof a);
    mem_free(im.pixels);
    encoder_destroy(e);
    return 0;
}

static void takes(const char *strip, const struct string_list *rename, const char *says)
{
    if (import(strip, rename, "cifar") != 0)
        fail_msg("%s", the_err.text);
    if (says == NULL ? said[0] != '\0' : strstr(said, says) == NULL)
        fail_msg("\"%s\" is not said: %s", says != NULL ? says : "nothing", said);
}

static void refuses(const char *strip, const struct string_list *rename, const char *says)
{
    assert_int_equal(import(strip, rename, "cifar"), -1);
    if (strstr(the_err.text, says) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", says, the_err.text);
}

/* The children of a torch.nn.Sequential: numbers with gaps, in whatever order, stages by theirs. */
static void test_sequential(void **state)
{
    (void)state;
    static const char *const maps[][6][2] = {
        { { "conv1", "0" }, { "bn1", "1" }, { "layer1", "4" }, { "layer2", "5" }, { "layer3", "6" }, { NULL, NULL } },
        { { "conv1", "0" }, { "bn1", "1" }, { "layer1", "3" }, { "layer2", "10" }, { "layer3", "11" }, { NULL, NULL } },
        { { "conv1", "9" }, { "bn1", "8" }, { "layer1", "2" }, { "layer2", "3" }, { "layer3", "7" }, { NULL, NULL } },
    };
    for (size_t k = 0; k < sizeof maps / sizeof *maps; k++)
        for (int prefixed = 0; prefixed < 2; prefixed++) {
            begin();
            add_encoder(prefixed ? "net.f." : "", maps[k]);
            takes(prefixed ? "net.f." : "", NULL, NULL);
        }
    begin();
    add_encoder("", maps[0]);
    add("12.weight", 2); /* no convolution: a head's number could be anybody's */
    refuses("", NULL, "the tensor 12.weight belongs to nothing in this network");
    begin();
    add_encoder("", maps[0]);
    add("1234.weight", 2); /* no child's number */
    refuses("", NULL, "the tensor 1234.weight belongs to nothing");
}

static void test_shortcuts(void **state)
{
    (void)state;
    static const char *const map[][2] = { { "layer2.0.downsample.", "layer2.0.shortcut." }, { NULL, NULL } };
    begin();
    add_encoder("", map);
    takes("", NULL, NULL);
    begin();
    add_encoder("", NULL);
    add("head.shortcut.0", 1); /* nobody's layer */
    takes("", NULL, "1 tensor is not the encoder's and ignored: head.* (1)\n");
}

static void test_renames(void **state)
{
    (void)state;
    static const char *const map[][2] = {
        { "conv1", "stem.c" }, { "bn1", "stem.n" }, { "layer1", "body.a" }, { "layer2", "body.b" }, { NULL, NULL }
    };
    const struct string_list rename = {
        5, { "stem.c=conv1", "stem.n=bn1", "body.a=layer1", "body.b=layer2", "body=nothing" }
    };
    begin();
    add_encoder("m.", map);
    takes("m.", &rename, NULL);
    static const char *const inner[][2] = { { "layer", "inner.layer" }, { NULL, NULL } };
    const struct string_list away = { 1, { "inner=" } }, dot = { 1, { "inner.=" } }, part = { 1, { "inn=" } };
    const struct string_list bad = { 2, { "inner=", "x" } }, empty = { 1, { "=x" } }, both = { 1, { "stem=conv1" } };
    begin();
    add_encoder("", inner);
    takes("", &away, NULL);
    takes("", &dot, NULL);
    refuses("", &part, "layer1.0.conv1.weight is missing");
    refuses("", &bad, "rename wants A=B, as in 4=layer1; not \"x\"");
    refuses("", &empty, "rename wants A=B");
    begin();
    add_encoder("", NULL);
    add("stem.weight", 4);
    refuses("", &both, "the tensors conv1.weight and stem.weight would both be conv1.weight");
}

/* What is left aside, in groups of the part behind the prefix; of many groups the first eight. */
static void test_ignored(void **state)
{
    (void)state;
    begin();
    add_encoder("q.enc.", NULL);
    add("q.enc.fc.weight", 2);
    add("q.enc.fc.bias", 1);
    add("queue", 2);
    add("q.head.weight", 2);
    takes("q.enc.", NULL, "4 tensors are not the encoder's and ignored: q.enc.fc.* (2), queue, q.head.* (1)\n");
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "r%d.weight", i);
        add(name, 1);
    }
    takes("q.enc.", NULL,
          "12 tensors are not the encoder's and ignored: q.enc.fc.* (2), queue, q.head.* (1), r0.* (1), r1.* (1), "
          "r2.* (1), r3.* (1), r4.* (1) and 3 others\n");
    begin();
    add_encoder("q.enc.", NULL);
    add("q.enc.layer4.0.conv1.weight", 4);
    refuses("q.enc.", NULL, "the tensor q.enc.layer4.0.conv1.weight belongs to nothing in this network");
}

/* A counter may be missing or of another type. */
static void test_counters(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        begin();
        add_encoder("", NULL);
        int n = 0;
        for (int i = 0; i < made_file.n; i++) {
            const bool counter = ends_with(made_file.name[i], "num_batches_tracked");
            if (kind == 0 && counter)
                continue;
            made_file.view[n] = made_file.view[i];
            if (kind == 1 && counter) {
                made_file.view[n].type = TENSOR_F32;
                made_file.view[n].bytes = 4;
            }
            if (kind == 2 && counter) {
                made_file.view[n].rank = 1;
                made_file.view[n].dims[0] = 1;
            }
            n++;
        }
        made_file.n = n;
        takes("", NULL, NULL);
    }
}

/* A message about missing tensors says which prefixes would do, of eight and more the first eight. */
static void test_hints(void **state)
{
    (void)state;
    begin();
    add_encoder("a.", NULL);
    refuses("", NULL, "the tensor conv1.weight is missing; try --strip a.");
    assert_true(ends_with(the_err.text, "; try --strip a."));
    add_encoder("", NULL);
    refuses("b.", NULL, "the tensor b.conv1.weight is missing; try ");
    assert_non_null(strstr(the_err.text, "--strip a."));
    assert_non_null(strstr(the_err.text, "without strip"));
    begin();
    static const char *const numbers[][2] = { { "conv1", "0" },  { "bn1", "1" },    { "layer1", "4" },
                                              { "layer2", "5" }, { "layer3", "6" }, { NULL, NULL } };
    add_encoder("s.", numbers);
    add_encoder("t.", NULL);
    refuses("", NULL, "; try --strip s. or --strip t.");
    /* most of an encoder: what is amiss there is said */
    begin();
    add_encoder("a.", NULL);
    for (int i = 0; i < made_file.n; i++)
        if (strcmp(made_file.name[i], "a.layer3.0.bn2.bias") == 0)
            made_file.view[i] = made_file.view[--made_file.n];
    refuses("", NULL, "the tensor a.layer3.0.bn2.bias is missing");
    assert_null(strstr(the_err.text, "try"));
    refuses("a.", NULL, "the tensor a.layer3.0.bn2.bias is missing");
    begin(); /* nothing that begins a ResNet */
    add("conv1.weight", 4);
    add("x.0.weight", 4);
    add("x.y0.weight", 4);
    refuses("a.", NULL, "the tensor a.conv1.weight is missing");
    assert_null(strstr(the_err.text, "try"));
    begin();
    for (int i = 0; i < 3; i++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "p%d.", i);
        add_encoder(prefix, NULL);
    }
    refuses("", NULL, "; try --strip p0., --strip p1. or --strip p2.");
}

static void test_stems(void **state)
{
    (void)state;
    begin();
    add_encoder("", NULL);
    assert_int_equal(import("", NULL, "imagenet"), -1);
    assert_true(ends_with(the_err.text, "; it is of the stem cifar"));
    for (int i = 0; i < made_file.n; i++)
        if (strcmp(made_file.name[i], "conv1.weight") == 0) {
            made_file.view[i].dims[2] = made_file.view[i].dims[3] = 5;
            made_file.view[i].data = zeros;
            made_file.view[i].bytes = 4 * 8 * 3 * 25;
        }
    refuses("", NULL, "(8, 3, 5, 5) where (8, 3, 3, 3) is wanted");
    assert_null(strstr(the_err.text, "stem"));
    for (int i = 0; i < made_file.n; i++)
        if (strcmp(made_file.name[i], "conv1.weight") == 0) {
            made_file.view[i].dims[2] = made_file.view[i].dims[3] = 7;
            made_file.view[i].bytes = 4 * 8 * 3 * 49;
        }
    refuses("", NULL, "; it is of the stem imagenet");
}

static void test_words(void **state)
{
    (void)state;
    static const char *const theirs[] = { "conv1.weight", "bn1.bias",     "norm1.x",  "layer9.0",
                                          "stem.0",       "downsample.0", "0.weight", "9.x" };
    static const char *const others[] = { "fc.weight", "head.conv1", "queue", "module.layer1", "/0", ":1", "" };
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        assert_true(foreign_is_encoders(theirs[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(foreign_is_encoders(others[i]));
}

static int set_up(void **state)
{
    (void)state;
    dev = device_open("ref", 1, &the_err);
    cJSON *block = json("{\"arch\": \"resnet8\", \"width\": 0.125}");
    mine = dev == NULL ? NULL : encoder_random(dev, block, 5, 8, mean, std, &the_err);
    cJSON_Delete(block);
    if (mine == NULL || encoder_save(mine, scratch("mine.safetensors"), NULL, &the_err) != 0)
        return -1;
    return safetensors_open(scratch("mine.safetensors"), &file, &the_err);
}

static int tear_down(void **state)
{
    (void)state;
    safetensors_close(&file);
    encoder_destroy(mine);
    device_close(dev);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequential), cmocka_unit_test(test_shortcuts), cmocka_unit_test(test_renames),
        cmocka_unit_test(test_ignored),    cmocka_unit_test(test_counters),  cmocka_unit_test(test_hints),
        cmocka_unit_test(test_stems),      cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
