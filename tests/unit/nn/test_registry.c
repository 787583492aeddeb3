/* The tables: names, options, bounds, schedule, and trainings that make no sense. */
#include "fixtures.h"

#include "base/rng.h"
#include "nn/augment.h"
#include "nn/layer.h"
#include "nn/query_views.h"
#include "nn/train_config.h"

static void check_options(const struct option *table, const char *where)
{
    assert_non_null(table);
    for (const struct option *o = table; o->name != NULL; o++) {
        if (o->help == NULL || o->help[0] == 0 || o->preset == NULL)
            fail_msg("%s.%s lacks help or preset", where, o->name);
        for (const struct option *p = table; p < o; p++)
            assert_string_not_equal(o->name, p->name);
    }
}

static void check_row(const struct nn_row *row)
{
    assert_non_null(row->name);
    assert_non_null(row->help);
    check_options(row->options, row->name);
    struct device *ref = device_open("ref", 1, &the_err);
    made(ref);
    const char *lacking = device_lacks(ref, row->operations);
    if (lacking != NULL)
        fail_msg("%s takes an operation %s, which there is not", row->name, lacking);
    device_close(ref);
    void *options = mem_alloc(1, row->options_size, &the_err);
    made(options);
    ok(options_defaults(row->options, options, &the_err));
    mem_free(options);
}

static void test_rows(void **state)
{
    (void)state;
    int n = 0;
    for (; arch_kinds[n] != NULL; n++)
        check_row(&arch_kinds[n]->row);
    assert_int_equal(n, 11);
    for (n = 0; loss_kinds[n] != NULL; n++)
        check_row(&loss_kinds[n]->row);
    assert_int_equal(n, 2);
    for (n = 0; optim_kinds[n] != NULL; n++)
        check_row(&optim_kinds[n]->row);
    assert_int_equal(n, 1);
    for (n = 0; augment_kinds[n] != NULL; n++)
        check_row(&augment_kinds[n]->row);
    assert_int_equal(n, 3);
    check_options(encoder_options, "encoder");
    check_options(train_options, "train");
    check_options(self_options, "self");
    check_options(theft_options, "theft");
}

static int found_in(const struct option *const *tables, int n, const char *name)
{
    int found = 0;
    for (int i = 0; i < n; i++)
        found += option_find(tables[i], name) != NULL;
    return found;
}

static void test_tables(void **state)
{
    (void)state;
    const struct option *tables[16];
    cJSON *block = json("{\"loss\": \"infonce\"}");
    int n = train_option_tables(TRAINING_SELF, block, tables, 16, &the_err);
    const char *const wanted[] = { "arch", "epochs", "temperature", "beta1", "crop_min", "projector" };
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++)
        assert_int_equal(found_in(tables, n, wanted[w]), 1);
    assert_int_equal(found_in(tables, n, "head"), 0);
    assert_int_equal(train_option_tables(TRAINING_SELF, block, tables, 2, &the_err), -1);
    n = train_option_tables(TRAINING_THEFT, block, tables, 16, &the_err);
    assert_int_equal(found_in(tables, n, "head"), 1);
    assert_int_equal(found_in(tables, n, "temperature"), 1);
    const char *const others[] = { "augment", "crop_min", "projector", "projector_dim" };
    for (size_t w = 0; w < sizeof others / sizeof *others; w++)
        assert_int_equal(found_in(tables, n, others[w]), 0);
    cJSON_Delete(block);
    /* no names, no tables that names choose */
    n = train_option_tables(TRAINING_SELF, NULL, tables, 16, &the_err);
    assert_int_equal(found_in(tables, n, "augment"), 1);
    assert_int_equal(found_in(tables, n, "temperature") + found_in(tables, n, "crop_min"), 0);
    /* an unknown name stands for the nearest, or for the default */
    const char *const bad[][2] = {
        { "{\"loss\": \"infonse\"}", "temperature" }, { "{\"loss\": \"barlowtwins\"}", "temperature" },
        { "{\"loss\": 3}", "temperature" },           { "{\"optimizer\": \"adm\"}", "beta1" },
        { "{\"augment\": \"weeak\"}", "crop_min" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        block = json(bad[i][0]);
        n = train_option_tables(TRAINING_SELF, block, tables, 16, &the_err);
        assert_int_equal(found_in(tables, n, bad[i][1]), 1);
        cJSON_Delete(block);
    }
    block = json("{}");
    assert_int_equal(query_view_tables(block, tables, 16, &the_err), 1);
    assert_null(tables[0]->name);
    cJSON_Delete(block);
    assert_true(augment_takes("augment") && augment_takes("hue") && !augment_takes("epochs"));
}

struct heard {
    int n;
    char key[32], text[256];
};

static void hear(void *arg, const char *key, const char *other, const char *text)
{
    struct heard *h = arg;
    (void)other;
    h->n++;
    snprintf(h->key, sizeof h->key, "%s", key);
    snprintf(h->text, sizeof h->text, "%s", text);
}

static void contradiction(enum training way, const char *options, int64_t images, const char *victim, const char *key,
                          const char *text)
{
    struct heard h = { 0 };
    const struct complaints to = { hear, &h };
    cJSON *block = json(options), *other = victim == NULL ? NULL : json(victim);
    training_check(way, block, images, other, &to);
    if (h.n != (key != NULL) || (key != NULL && (strcmp(h.key, key) != 0 || strstr(h.text, text) == NULL)))
        fail_msg("%s: %d complaints, %s: %s", options, h.n, h.key, h.text);
    cJSON_Delete(block);
    cJSON_Delete(other);
}

static void test_contradictions(void **state)
{
    (void)state;
    const char *const small = "{\"arch\": \"resnet10\", \"width\": 0.5, \"head\": \"none\"}",
                      *const large = "{\"arch\": \"resnet18\", \"width\": 1, \"head\": \"none\"}",
                      *const headed = "{\"arch\": \"resnet18\", \"width\": 1, \"head\": \"mlp\"}";
    contradiction(TRAINING_SELF, "{\"loss\": \"mse\"}", 0, NULL, "loss", "needs a victim's answers");
    contradiction(TRAINING_THEFT, "{\"loss\": \"mse\", \"batch\": 1}", 1, NULL, NULL, NULL);
    contradiction(TRAINING_SELF, "{\"loss\": \"infonce\", \"batch\": 1}", 0, NULL, "batch", "needs 2 images");
    contradiction(TRAINING_SELF, "{\"loss\": \"infonce\", \"batch\": 2}", 1, NULL, "dataset", "1 image to train on");
    contradiction(TRAINING_THEFT, "{\"loss\": \"infonce\", \"batch\": 2}", 1, NULL, "budgets", "1 image to train on");
    contradiction(TRAINING_SELF, "{\"crop_min\": 0.9, \"crop_max\": 0.5}", 0, NULL, "crop_min", "larger than crop_max");
    contradiction(TRAINING_THEFT, large, 0, small, "arch", "has 512 dimensions, the victim's answers have 256");
    contradiction(TRAINING_THEFT, headed, 0, small, NULL, NULL);
    contradiction(TRAINING_THEFT, large, 0, NULL, NULL, NULL);
    contradiction(TRAINING_THEFT, large, 0, large, NULL, NULL);
    contradiction(TRAINING_SELF, "{\"loss\": \"infonce\", \"batch\": 2}", 2, NULL, NULL, NULL); /* just enough */
    contradiction(TRAINING_SELF, "{\"loss\": \"infonce\", \"batch\": 2}", 0, NULL, NULL, NULL); /* not known */
    contradiction(TRAINING_SELF, "{\"crop_min\": 0.5, \"crop_max\": 0.5}", 0, NULL, NULL, NULL);
    contradiction(TRAINING_SELF, "{\"crop_min\": 0.9}", 0, NULL, NULL, NULL);
    contradiction(TRAINING_SELF, "{\"crop_max\": 0.1, \"crop_min\": \"x\"}", 0, NULL, NULL, NULL);
    contradiction(TRAINING_SELF, large, 0, small, NULL, NULL);
    contradiction(TRAINING_THEFT, "{\"arch\": \"resnet18\", \"head\": \"none\"}", 0, small, NULL, NULL);
    contradiction(TRAINING_THEFT, large, 0, "{\"width\": 0.5}", NULL, NULL);
    contradiction(TRAINING_THEFT, large, 0, "{\"arch\": \"resnet10\", \"width\": -1}", NULL, NULL);
    contradiction(TRAINING_THEFT, "{\"loss\": 3}", 0, "{}", NULL, NULL); /* what is invalid is somebody else's */
}

/* Strengths of a query: its augmentation's presets, changed by what it says; a seed is a number above 0. */
static void test_strengths(void **state)
{
    (void)state;
    struct augment_strength s;
    uint64_t seed = 9;
    static const struct {
        const char *query;
        uint64_t seed;
        struct augment_strength want;
    } cases[] = {
        { "{}", 0, { .crop_min = 1, .crop_max = 1 } },
        { "{\"augment\": \"none\", \"seed\": 1}", 1, { .crop_min = 1, .crop_max = 1 } },
        { "{\"augment\": \"weak\", \"seed\": -3}", 0, { 0.8, 1, 0.5, 0.5, 0.2, 0.2, 0.2, 0.05, 0, 0 } },
        { "{\"augment\": \"simclr\", \"seed\": \"7\"}", 0, { 0.08, 1, 0.5, 0.8, 0.8, 0.8, 0.8, 0.2, 0.2, 1 } },
        { "{\"augment\": \"weak\", \"crop_min\": 0.5, \"crop_max\": 0.5, \"hue\": 0.5, \"seed\": 12}",
          12,
          { 0.5, 0.5, 0.5, 0.5, 0.2, 0.2, 0.2, 0.5, 0, 0 } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *query = json(cases[i].query);
        ok(augment_query_parse(query, &s, &seed, &the_err));
        assert_memory_equal(&s, &cases[i].want, sizeof s);
        assert_int_equal(seed, cases[i].seed);
        cJSON_Delete(query);
    }
    static const char *const bad[] = { "{\"augment\": \"weak\", \"crop_min\": 0.6, \"crop_max\": 0.5}",
                                       "{\"augment\": \"weakest\"}", "{\"augment\": \"weak\", \"hue\": 0.6}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cJSON *query = json(bad[i]);
        assert_int_equal(augment_query_parse(query, &s, &seed, &the_err), -1);
        cJSON_Delete(query);
    }
    const struct option *tables[2];
    cJSON *weak = json("{\"augment\": \"weak\"}");
    assert_int_equal(query_view_tables(NULL, tables, 2, &the_err), 0);
    assert_int_equal(query_view_tables(weak, tables, 1, &the_err), 1);
    assert_non_null(option_find(tables[0], "crop_min"));
    assert_int_equal(query_view_tables(weak, tables, 0, &the_err), -1);
    cJSON_Delete(weak);
    cJSON *wide = json("{\"width\": 99}"), *half = json("{\"arch\": \"resnet50\", \"width\": 0.5}"), *none = json("{}");
    assert_true(encoder_dim_of(wide) == 0 && encoder_dim_of(half) == 1024 && encoder_dim_of(none) == 512);
    cJSON_Delete(wide);
    cJSON_Delete(half);
    cJSON_Delete(none);
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    struct encoder_config config = { .arch = "resnet8", .stem = "cifar", .width = 0.0078 }; /* 0.4992 channels */
    assert_null(network_build(dev, &config, 0, &the_err));
    assert_non_null(strstr(the_err.text, "width = 0.0078 leaves no channel"));
    config.width = 0.0079;
    struct network *net = network_build(dev, &config, 0, &the_err);
    made(net);
    network_destroy(net);
    device_close(dev);
}

static void test_schedule(void **state)
{
    (void)state;
    assert_true(schedule_lr("cosine", 0.5, 10, 11, 30) < 0.5 && schedule_lr("cosine", 0.5, 10, 11, 30) > 0.49);
    assert_true(schedule_lr("cosine", 0.5, 30, 29, 30) == 0.5 && schedule_lr("cosine", 0.5, 40, 50, 30) == 0.5);
    assert_true(fabs(schedule_lr("cosine", 0.5, 0, 1, 3) - 0.375) < 1e-15);
    assert_true(schedule_lr("cosine", 0.5, 10, 0, 30) == 0.5);
    assert_true(schedule_lr("cosine", 0.5, 10, 10, 30) == 0.5);
    assert_true(fabs(schedule_lr("cosine", 0.5, 10, 20, 30) - 0.25) < 1e-15);
    assert_true(schedule_lr("cosine", 0.5, 10, 29, 30) > 0 && schedule_lr("cosine", 0.5, 10, 29, 30) < 0.005);
    assert_true(schedule_lr("cosine", 0.5, 10, 3, 4) == 0.5);
    assert_true(schedule_lr("constant", 0.5, 0, 29, 30) == 0.5);
}

/* What an architecture says of its representation is what it builds. */
static void test_dimensions(void **state)
{
    (void)state;
    const double widths[] = { 0.015625, 0.3, 1 };
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    for (int a = 0; arch_kinds[a] != NULL; a++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            struct encoder_config config = { .stem = "cifar", .width = widths[w] };
            snprintf(config.arch, sizeof config.arch, "%s", arch_kinds[a]->row.name);
            struct network *net = network_build(dev, &config, 0, &the_err);
            made(net);
            assert_int_equal(arch_kinds[a]->dim(arch_kinds[a], &config), net->tensors[net->representation].c);
            network_destroy(net);
        }
    device_close(dev);
}

/* Depth is what the name says (the layers of a ResNet with its classifier), blocks a stage what the help says. */
static void test_depths(void **state)
{
    (void)state;
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    for (int a = 0; arch_kinds[a] != NULL; a++) {
        const struct nn_row *row = &arch_kinds[a]->row;
        struct encoder_config config = { .stem = "cifar", .width = 0.015625 };
        snprintf(config.arch, sizeof config.arch, "%s", row->name);
        struct network *net = network_build(dev, &config, 0, &the_err);
        made(net);
        int depth = 1, blocks[5] = { 0 };
        for (int i = 0; i < net->n_parameters; i++) {
            const struct parameter *p = &net->parameters[i];
            int stage;
            char part[PARAMETER_NAME];
            depth += p->rank == 4 && strstr(p->name, "downsample") == NULL;
            if (sscanf(p->name, "layer%d.%*d.%95s", &stage, part) == 2 && strcmp(part, "conv1.weight") == 0)
                blocks[stage]++;
        }
        char name[32], help[64];
        snprintf(name, sizeof name, "resnet%d", depth);
        assert_string_equal(row->name, name);
        snprintf(help, sizeof help, " %d-%d-%d-%d", blocks[1], blocks[2], blocks[3], blocks[4]);
        assert_true(ends_with(row->help, blocks[4] > 0 ? help : "three stages of one basic block"));
        network_destroy(net);
    }
    device_close(dev);
}

/* torchvision's resnet18 and resnet50 without classifier: 11,689,512 - 513,000 and
 * 25,557,032 - 2,049,000 parameters. */
static void test_parameter_counts(void **state)
{
    (void)state;
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    const struct {
        const char *arch;
        int64_t count;
        int dim;
    } known[] = { { "resnet18", 11176512, 512 }, { "resnet34", 21284672, 512 }, { "resnet50", 23508032, 2048 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct encoder_config config = { .stem = "imagenet", .width = 1 };
        snprintf(config.arch, sizeof config.arch, "%s", known[i].arch);
        struct network *net = network_build(dev, &config, 128, &the_err);
        made(net);
        assert_int_equal(network_encoder_parameters(net), known[i].count);
        assert_int_equal(net->tensors[net->representation].c, known[i].dim);
        network_destroy(net);
    }
    device_close(dev);
}

/* PyTorch's ResNet: convolutions N(0, 2 / (c_out k k)), linear layers U(+-1 / sqrt(in)), norms 1 and 0. Within four
 * standard errors of deviation and mean, with the numbers in and out different. */
static void test_initial_weights(void **state)
{
    (void)state;
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    struct encoder_config config = { .arch = "resnet50", .stem = "imagenet", .width = 0.25 };
    struct network *net = network_build(dev, &config, 100, &the_err);
    made(net);
    ok(network_init(net, 3, &the_err));
    int convs = 0, linears = 0;
    for (int i = 0; i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        const int64_t n = parameter_elements(p), *d = p->dims;
        float *w = mem_alloc((size_t)n, sizeof *w, &the_err);
        made(w);
        ok(parameter_get(net, p, p->running ? net->running : net->weights, w, &the_err));
        double sum = 0, squares = 0, largest = 0;
        for (int64_t k = 0; k < n; k++) {
            sum += (double)w[k];
            squares += (double)w[k] * (double)w[k];
            largest = fmax(largest, fabs((double)w[k]));
        }
        const bool linear = p->head, scale = ends_with(p->name, "weight"), var = ends_with(p->name, "running_var");
        const double in = 1 / sqrt(linear ? (double)net->tensors[net->representation].c : 1);
        const double std = p->rank == 4 ? sqrt(2.0 / (double)(d[0] * d[2] * d[3])) : linear ? in / sqrt(3) : 0;
        if (std > 0) {
            const double kurtosis = p->rank == 4 ? 3 : 1.8, error = std * sqrt((kurtosis - 1) / (4 * (double)n));
            if (fabs(sqrt(squares / (double)n) - std) > 4 * error || fabs(sum / (double)n) > 4 * std / sqrt((double)n))
                fail_msg("%s: mean %g, deviation %g, not %g", p->name, sum / (double)n, sqrt(squares / (double)n), std);
            assert_true(!linear || (largest <= in && largest > 0.9 * in));
        } else {
            for (int64_t k = 0; k < n; k++)
                assert_true(w[k] == (scale || var ? 1.0f : 0.0f));
        }
        struct rng rng = rng_at(3, RNG_INIT, (uint32_t)i, 0, 0); /* each has draws of its own */
        for (int k = 0; k < 3 && std > 0; k++) {
            const float want = (float)(linear ? in * (2 * rng_double(&rng) - 1) : std * rng_normal(&rng));
            assert_float_equal(w[k], want, 1e-6 * std);
        }
        convs += p->rank == 4;
        linears += linear;
        mem_free(w);
    }
    assert_int_equal(convs, 53);
    assert_int_equal(linears, 4); /* weights and biases of the two of the head */
    network_destroy(net);
    device_close(dev);
}

/* What no architecture asks for. */
static void test_refused_networks(void **state)
{
    (void)state;
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    struct network *net = network_create(dev, &the_err);
    made(net);
    assert_int_equal(network_conv_norm(net, 0, 0, "a", "b", 3, 1, 1, false, &the_err), -1);
    assert_string_equal(the_err.text, "a residual needs a ReLU behind it");
    const int map = network_conv_norm(net, 0, -1, "a", "b", 3, 1, 1, true, &the_err);
    assert_true(map > 0);
    for (int use = 0; use < TENSOR_CONSUMERS; use++)
        assert_true(network_conv_norm(net, map, -1, "a", "b", 3, 1, 1, true, &the_err) > map);
    assert_int_equal(network_conv_norm(net, map, -1, "a", "b", 3, 1, 1, true, &the_err), -1);
    assert_string_equal(the_err.text, "a map of a network may be used 2 times at most");
    const int row = network_avg_pool(net, net->output, &the_err);
    assert_true(row > 0 && net->representation == row && net->n_encoder_layers == net->n_layers);
    assert_true(network_linear(net, row, "c", 4, false, &the_err) > row);
    assert_int_equal(network_linear(net, row, "d", 4, false, &the_err), -1);
    assert_string_equal(the_err.text, "a row of a network may be used 1 times at most");
    network_destroy(net);
    /* of maps of two sizes no sum can be made */
    net = network_create(dev, &the_err);
    made(net);
    const int one = network_conv_norm(net, 0, -1, "a", "b", 3, 1, 1, true, &the_err),
              half = network_conv_norm(net, one, -1, "c", "d", 3, 3, 2, true, &the_err);
    assert_true(network_conv_norm(net, half, one, "e", "f", 3, 1, 1, true, &the_err) > half);
    assert_true(network_avg_pool(net, net->output, &the_err) > half);
    ok(network_allocate(net, &the_err));
    assert_null(pass_create(net, PASS_INFER, PRECISION_FP32, 1, 1, 8, 8, &the_err));
    assert_string_equal(the_err.text, "the images are too small for this network");
    struct pass *pass =
        pass_create(net, PASS_INFER, PRECISION_FP32, 1, 1, 1, 1, &the_err); /* half of one pixel is one pixel */
    made(pass);
    pass_destroy(pass);
    network_destroy(net);
    device_close(dev);
}

/* A pass's memory: tensors that are needed at one time do not share any, and all of it together is what the times of
 * their needs ask for. */
static void test_shared_memory(void **state)
{
    (void)state;
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    static const char *const archs[] = { "resnet8", "resnet18", "resnet26" };
    for (size_t k = 0; k < 6; k++) {
        struct encoder_config config = { .width = 0.25 };
        snprintf(config.arch, sizeof config.arch, "%s", archs[k / 2]);
        snprintf(config.stem, sizeof config.stem, "%s", stem_names[k % 2]);
        struct network *net = network_build(dev, &config, 0, &the_err);
        made(net);
        ok(network_fold(net, &the_err));
        struct pass *pass = pass_create(net, PASS_FOLDED, PRECISION_FP32, 4, 1, 32, 32, &the_err);
        made(pass);
        size_t most = 0;
        int last[256], overlaps = 0;
        size_t bytes[256];
        assert_true(net->n_tensors <= 256);
        for (int t = 0; t < net->n_tensors;
             t++) { /* from its layer to the last that reads it; what comes out, to the end */
            const struct tensor *x = &net->tensors[t];
            last[t] = x->producer < 0 ? 0 : x->producer;
            for (int c = 0; c < x->n_consumers; c++)
                last[t] = x->consumers[c] > last[t] ? x->consumers[c] : last[t];
            last[t] = t == net->representation ? net->n_layers : last[t];
            bytes[t] = 4 * (size_t)x->c * (size_t)pass->shapes[t].h * (size_t)pass->shapes[t].w * sizeof(float);
            assert_int_equal(pass_elements(pass, t) * sizeof(float), bytes[t]);
            bytes[t] = (bytes[t] + 255) / 256 * 256;
        }
        for (int time = 0; time <= net->n_layers; time++) {
            size_t live = 0;
            for (int t = 0; t < net->n_tensors; t++) {
                const int first = net->tensors[t].producer < 0 ? 0 : net->tensors[t].producer;
                if (first > time || last[t] < time)
                    continue;
                live += bytes[t];
                const char *a = pass->values[t];
                assert_true((uintptr_t)a % 64 == 0 && a >= (char *)pass->arena);
                assert_true(a + bytes[t] <= (char *)pass->arena + pass->arena_bytes);
                for (int u = 0; u < t; u++) {
                    const int begun = net->tensors[u].producer < 0 ? 0 : net->tensors[u].producer;
                    const char *b = pass->values[u];
                    overlaps += begun <= time && last[u] >= time && a < b + bytes[u] && b < a + bytes[t];
                }
            }
            most = live > most ? live : most;
        }
        assert_int_equal(overlaps, 0);
        size_t indices = 0; /* of the pool's maxima, beside its input and output */
        if (k % 2)
            indices = (bytes[2] + 255) / 256 * 256;
        assert_in_range(pass->arena_bytes, most, most + indices);
        pass_destroy(pass);
        network_destroy(net);
    }
    device_close(dev);
}

struct span {
    size_t bytes;
    int first, last;
};

static int add_span(struct span *spans, int n, size_t floats, int first, int last)
{
    assert_true(n < 2048);
    spans[n] = (struct span){ (floats * sizeof(float) + 255) / 256 * 256, first, last };
    return n + 1;
}

/* The same of training: activations until their layer's way back, what a convolution put out and the batch's
 * statistics likewise, each consumer's gradient from its way back to the producer's. */
static void test_training_memory(void **state)
{
    (void)state;
    enum { N = 4 };
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    static const char *const archs[] = { "resnet8", "resnet18", "resnet26" };
    for (size_t k = 0; k < 6; k++) {
        static struct span spans[2048];
        struct encoder_config config = { .width = 0.25 };
        snprintf(config.arch, sizeof config.arch, "%s", archs[k / 2]);
        snprintf(config.stem, sizeof config.stem, "%s", stem_names[k % 2]);
        struct network *net = network_build(dev, &config, 8, &the_err);
        made(net);
        struct pass *pass = pass_create(net, PASS_TRAIN, PRECISION_FP32, N, 1, 32, 32, &the_err);
        made(pass);
        const int end = 2 * net->n_layers - 1;
        int n = 0;
        for (int t = 0; t < net->n_tensors; t++) {
            const struct tensor *x = &net->tensors[t];
            const size_t floats = (size_t)N * (size_t)x->c * (size_t)pass->shapes[t].h * (size_t)pass->shapes[t].w;
            const int made_at = x->producer;
            n = add_span(spans, n, floats, made_at < 0 ? 0 : made_at,
                         made_at < 0 || t == net->output ? end : end - made_at);
            for (int c = 0; t > 0 && c < x->n_consumers; c++)
                n = add_span(spans, n, floats, end - x->consumers[c], end - made_at);
            if (t == net->output)
                n = add_span(spans, n, floats, net->n_layers, end - made_at);
        }
        for (int i = 0; i < net->n_layers; i++) {
            const struct layer *l = net->layers[i];
            const struct tensor *y = &net->tensors[l->output];
            const size_t floats =
                (size_t)N * (size_t)y->c * (size_t)pass->shapes[l->output].h * (size_t)pass->shapes[l->output].w;
            if (strcmp(l->kind->name, "conv_norm") == 0 || strcmp(l->kind->name, "max_pool") == 0)
                n = add_span(spans, n, floats, i, end - i);
            for (int s = 0; s < 2 && strcmp(l->kind->name, "conv_norm") == 0; s++)
                n = add_span(spans, n, (size_t)y->c, i, end - i);
            if (strcmp(l->kind->name, "conv_norm") == 0) { /* two doubles a channel between the steps of batch norm */
                n = add_span(spans, n, 4 * (size_t)y->c, i, i);
                n = add_span(spans, n, 4 * (size_t)y->c, end - i, end - i);
            }
        }
        size_t most = 0;
        for (int time = 0; time <= end; time++) {
            size_t live = 0;
            for (int i = 0; i < n; i++)
                live += spans[i].first <= time && time <= spans[i].last ? spans[i].bytes : 0;
            most = live > most ? live : most;
        }
        assert_int_equal(pass->arena_bytes, most);
        assert_int_equal(pass->n_claims, n);
        assert_int_equal(pass_end(pass), end);
        pass_destroy(pass);
        network_destroy(net);
    }
    device_close(dev);
}

static void refuse(struct device *dev, const char *options, const struct images *im, const float *target, int dim,
                   const char *text)
{
    cJSON *block = json(options);
    struct train_result result;
    const struct train_request request = { .block = block,
                                           .data = im,
                                           .target = target,
                                           .target_dim = dim,
                                           .target_views = 1,
                                           .out = "/nowhere/x.safetensors" };
    assert_int_equal(train_run(dev, &request, &result, &the_err), -1);
    if (strstr(the_err.text, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, the_err.text);
    cJSON_Delete(block);
}

static void test_refused_trainings(void **state)
{
    (void)state;
    struct device *dev = device_open("ref", 1, &the_err);
    made(dev);
    struct images im = make_images(4, 8), one = im, flat = im, none = im;
    float target[4 * 8] = { 0 };
    one.n = 1;
    none.n = 0;
    flat.h = 4;
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.0625, \"loss\": \"mse\"}", &im, NULL, 0,
           "needs a victim's answers");
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.0625}", &im, target, 8,
           "representation has 16 dimensions, the victim's answers have 8");
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.0625}", &one, NULL, 0, "at least two images");
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.0625}", &none, NULL, 0, "no images");
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.0625}", &flat, NULL, 0, "square");
    refuse(dev, "{\"arch\": \"resnet8\", \"crop_min\": 0.9, \"crop_max\": 0.5, \"augment\": \"weak\"}", &im, NULL, 0,
           "crop_min");
    refuse(dev, "{\"arch\": \"resnet8\", \"epochs\": 0}", &im, NULL, 0, "epochs");
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.0625, \"init\": \"/nowhere/w\"}", &im, NULL, 0, "/nowhere/w");
    target[0] = NAN;
    refuse(dev, "{\"arch\": \"resnet8\", \"width\": 0.03125, \"loss\": \"mse\"}", &im, target, 8, "not finite");
    mem_free(im.pixels);
    /* a device need not have every operation; what it lacks is said before there is work */
    static const char *const options[] = { "\"loss\": \"mse\"", "\"loss\": \"infonce\"" };
    static const char *const says[][2] = {
        { "the device ref has no operation mse_rows, which the loss mse takes",
          "the device ref has no operation adam, which the optimizer adam takes" },
        { NULL, "the device ref has no operation adam, which the optimizer adam takes" },
    };
    const struct device_ops *usual = dev->ops;
    for (int lacks = 0; lacks < 2; lacks++) {
        struct device_ops ops = *usual;
        if (lacks == 0)
            ops.mse_rows = NULL;
        else
            ops.adam = NULL;
        dev->ops = &ops;
        for (int i = 0; i < 2; i++) {
            char block[128];
            snprintf(block, sizeof block, "{\"arch\": \"resnet8\", \"width\": 0.03125, \"epochs\": 1, %s}", options[i]);
            if (says[i][lacks] != NULL)
                refuse(dev, block, &im, target, 8, says[i][lacks]);
        }
        dev->ops = usual;
    }
    device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows),
                                        cmocka_unit_test(test_tables),
                                        cmocka_unit_test(test_schedule),
                                        cmocka_unit_test(test_strengths),
                                        cmocka_unit_test(test_parameter_counts),
                                        cmocka_unit_test(test_initial_weights),
                                        cmocka_unit_test(test_depths),
                                        cmocka_unit_test(test_contradictions),
                                        cmocka_unit_test(test_dimensions),
                                        cmocka_unit_test(test_refused_networks),
                                        cmocka_unit_test(test_shared_memory),
                                        cmocka_unit_test(test_training_memory),
                                        cmocka_unit_test(test_refused_trainings) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
