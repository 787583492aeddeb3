/* dinf bench: measurements of this build on this machine, one JSON object each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/json.h"
#include "cli/merge.h"
#include "device/augment_body.h"
#include "device/device.h"
#include "nn/nn.h"
#include "plan/print.h"
#include "stats/gmm.h"
#include "stats/similarity.h"
#include "store/matrix_file.h"

struct bench_options {
    char device[OPTION_TEXT], arch[OPTION_TEXT], loss[OPTION_TEXT], augment[OPTION_TEXT];
    char stem[OPTION_NAME], precision[OPTION_NAME], covariance[OPTION_NAME], data[OPTION_TEXT], means[OPTION_TEXT];
    double width, lr;
    int64_t threads, size, batch, steps, warmup, n, dim, components, iterations, seed;
    bool json;
};

static const char *const covariances[] = { "full", "diag", NULL };

#define OPTION(name, type, preset, min, max, choices, unit, help)                                                      \
    OPTION_OF(struct bench_options, name, type, preset, min, max, choices, unit, help)
static const struct option common_options[] = {
    OPTION(device, OPTION_STRING, "auto", 0, 0, NULL, NULL, "see `dinf list devices`"),
    OPTION(threads, OPTION_INT, "0", 0, 4096, NULL, NULL, "0: all processors"),
    OPTION(seed, OPTION_INT, "0", 0, OPTION_SEED_MAX, NULL, NULL, "of the synthetic data"),
    OPTION(json, OPTION_BOOL, "false", 0, 0, NULL, NULL, "one JSON object on standard output"),
    OPTION_END,
};
static const struct option train_bench_options[] = {
    OPTION(arch, OPTION_STRING, "resnet18", 0, 0, NULL, NULL, "see `dinf list archs`"),
    OPTION_ROW_STEM(offsetof(struct bench_options, stem)),
    OPTION_ROW_WIDTH(offsetof(struct bench_options, width)),
    OPTION(precision, OPTION_CHOICE, "fp32", 0, 0, precision_names, NULL, "of the training"),
    OPTION(loss, OPTION_STRING, "infonce", 0, 0, NULL, NULL, "see `dinf list losses`"),
    OPTION(lr, OPTION_FLOAT, "0.0003", 0, 100, NULL, NULL, "learning rate of every step"),
    OPTION(augment, OPTION_STRING, "simclr", 0, 0, NULL, NULL, "see `dinf list augments`"),
    OPTION(size, OPTION_INT, "32", 1, IMAGE_SIDE_MAX, NULL, "pixels", "input size"),
    OPTION(batch, OPTION_INT, "64", 2, 65536, NULL, "images", "images in a step, each in two views"),
    OPTION(steps, OPTION_INT, "5", 1, 1e6, NULL, NULL, "timed steps"),
    OPTION(warmup, OPTION_INT, "2", 0, 1e6, NULL, NULL, "steps before these, not timed"),
    OPTION_END,
};
static const struct option gmm_bench_options[] = {
    OPTION(n, OPTION_INT, "50000", 1, 1e9, NULL, NULL, "rows"),
    OPTION(dim, OPTION_INT, "2048", 1, 1e6, NULL, NULL, "columns"),
    OPTION(components, OPTION_INT, "20", 1, 1e5, NULL, NULL, "mixture components"),
    OPTION(covariance, OPTION_CHOICE, "diag", 0, 0, covariances, NULL, "covariances of the mixture"),
    OPTION(iterations, OPTION_INT, "5", 1, 1e6, NULL, NULL, "timed iterations of EM"),
    OPTION(data, OPTION_STRING, "", 0, 0, NULL, NULL, "use this .npy instead of synthetic data"),
    OPTION(means, OPTION_STRING, "", 0, 0, NULL, NULL, "start from these means (.npy) instead of k-means++"),
    OPTION_END,
};
static const struct option augment_bench_options[] = {
    OPTION(size, OPTION_INT, "32", 1, IMAGE_SIDE_MAX, NULL, "pixels", "image size, in and out"),
    OPTION(batch, OPTION_INT, "512", 1, 1e6, NULL, "images", "views at a time"),
    OPTION(steps, OPTION_INT, "20", 1, 1e6, NULL, NULL, "timed batches"),
    OPTION_END,
};
static const struct option mi_bench_options[] = {
    OPTION(n, OPTION_INT, "20000", 2, 1e7, NULL, NULL, "rows"),
    OPTION(dim, OPTION_INT, "512", 1, 1e6, NULL, NULL, "columns of each of the two"),
    OPTION_END,
};
static const struct option schedule_bench_options[] = {
    OPTION(json, OPTION_BOOL, "false", 0, 0, NULL, NULL, "one JSON object on standard output"),
    OPTION_END,
};
static const struct option no_options[] = { OPTION_END };

static void print_object(cJSON *j, bool json)
{
    if (json) {
        json_print(j);
        return;
    }
    for (const cJSON *item = j->child; item != NULL; item = item->next) {
        if (cJSON_IsString(item))
            printf("%-24s%s\n", item->string, item->valuestring);
        else if (cJSON_IsBool(item))
            printf("%-24s%s\n", item->string, cJSON_IsTrue(item) ? "yes" : "no");
        else
            printf("%-24s%.6g\n", item->string, cJSON_IsNumber(item) ? item->valuedouble : NAN);
    }
    cJSON_Delete(j);
}

static cJSON *start_object(struct device *dev)
{
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "device", dev->ops->name);
    cJSON_AddStringToObject(j, "description", dev->description);
    cJSON_AddNumberToObject(j, "threads", dev->threads);
    return j;
}

static int bench_train(struct device *dev, const struct bench_options *o, struct err *err)
{
    struct train_bench_result r;
    cJSON *block = cJSON_CreateObject();
    cJSON_AddStringToObject(block, "arch", o->arch);
    cJSON_AddStringToObject(block, "stem", o->stem);
    cJSON_AddNumberToObject(block, "width", o->width);
    cJSON_AddStringToObject(block, "precision", o->precision);
    cJSON_AddStringToObject(block, "loss", o->loss);
    cJSON_AddNumberToObject(block, "lr", o->lr);
    cJSON_AddStringToObject(block, "augment", o->augment);
    int rc = train_bench(dev, block, (int)o->size, (int)o->batch, (int)o->steps, (int)o->warmup, &r, err);
    cJSON_Delete(block);
    if (rc != 0)
        return -1;
    cJSON *j = start_object(dev);
    cJSON_AddStringToObject(j, "arch", o->arch);
    cJSON_AddStringToObject(j, "precision", o->precision);
    cJSON_AddNumberToObject(j, "views", 2.0 * (double)o->batch);
    json_add_number(j, "images_per_second", r.images_per_second);
    json_add_number(j, "seconds_per_step", r.seconds_per_step);
    cJSON_AddNumberToObject(j, "parameters", (double)r.parameters);
    json_add_number(j, "loss", r.loss);
    cJSON_AddBoolToObject(j, "recorded", r.recorded);
    print_object(j, o->json);
    return 0;
}

/* A mixture with as many components as will be fitted, unit variances. */
static double *synthetic_mixture(const struct bench_options *o, struct err *err)
{
    double *x = mem_alloc((size_t)o->n, (size_t)o->dim * sizeof *x, err);
    if (x == NULL)
        return NULL;
    for (int64_t i = 0; i < o->n; i++) {
        struct rng r = rng_at((uint64_t)o->seed, RNG_TEST, (uint32_t)i, 0, 0);
        uint32_t component = rng_below(&r, (uint32_t)o->components);
        struct rng mean = rng_at((uint64_t)o->seed, RNG_TEST, component, 1, 0);
        for (int64_t j = 0; j < o->dim; j++)
            x[i * o->dim + j] = rng_normal(&r) + rng_normal(&mean);
    }
    return x;
}

static int bench_gmm(struct device *dev, const struct bench_options *o, struct err *err)
{
    int rc = -1;
    int64_t n = o->n, d = o->dim, k = 0, dk = 0;
    double *x = NULL, *means = NULL;
    struct gmm_bench_result r;
    if (o->data[0] != '\0')
        matrix_read(o->data, &n, &d, &x, err);
    else
        x = synthetic_mixture(o, err);
    if (x == NULL)
        return -1;
    if (o->means[0] != '\0') {
        if (matrix_read(o->means, &k, &dk, &means, err) != 0)
            goto out;
        if (k != o->components || dk != d) {
            err_set(err, "%s is %lld x %lld; %lld x %lld means are wanted", o->means, (long long)k, (long long)dk,
                    (long long)o->components, (long long)d);
            goto out;
        }
    }
    enum covariance covariance = strcmp(o->covariance, "full") == 0 ? COVARIANCE_FULL : COVARIANCE_DIAG;
    if (gmm_bench(dev, x, n, d, o->components, covariance, o->iterations, (uint64_t)o->seed, means, &r, err) != 0)
        goto out;
    cJSON *j = start_object(dev);
    cJSON_AddStringToObject(j, "covariance", o->covariance);
    cJSON_AddNumberToObject(j, "n", (double)n);
    cJSON_AddNumberToObject(j, "dim", (double)d);
    cJSON_AddNumberToObject(j, "components", (double)o->components);
    cJSON_AddNumberToObject(j, "iterations", (double)r.iterations);
    json_add_number(j, "seconds_per_iteration", r.seconds_per_iteration);
    json_add_number(j, "loglik", r.loglik);
    print_object(j, o->json);
    rc = 0;
out:
    mem_free(x);
    mem_free(means);
    return rc;
}

static int bench_augment(struct device *dev, const struct bench_options *o, struct err *err)
{
    int rc = -1, size = (int)o->size, batch = (int)o->batch;
    size_t pixels = 3 * (size_t)size * (size_t)size;
    struct augment_strength s = { 0.08, 1, 0.5, 0.8, 0.8, 0.8, 0.8, 0.2, 0.2, 0.5 };
    struct augment_target target = {
        .h = size, .w = size, .mean = { 0.5f, 0.5f, 0.5f }, .std = { 0.25f, 0.25f, 0.25f }
    };
    int block = dev->ops->channel_block(dev, 3);
    size_t channels = (size_t)((3 + block - 1) / block) * (size_t)block;
    uint8_t *host = mem_alloc((size_t)batch, pixels, err), *images = NULL;
    struct augment_view *views = mem_alloc((size_t)batch, sizeof *views, err), *there = NULL;
    void *out = NULL;
    if (host == NULL || views == NULL)
        goto out;
    struct rng r = rng_at((uint64_t)o->seed, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < (size_t)batch * pixels; i++)
        host[i] = (uint8_t)rng_u32(&r);
    images = dev->ops->alloc(dev, (size_t)batch * pixels, err);
    there = dev->ops->alloc(dev, (size_t)batch * sizeof *there, err);
    out = dev->ops->alloc(dev, (size_t)batch * channels * (size_t)(size * size) * sizeof(float), err);
    if (images == NULL || there == NULL || out == NULL ||
        dev->ops->upload(dev, images, host, (size_t)batch * pixels, err) != 0)
        goto out;
    double start = 0;
    for (int64_t step = -1; step < o->steps; step++) {
        if (step == 0)
            start = clock_monotonic();
        for (int i = 0; i < batch; i++)
            views[i] = augment_draw(&s, (uint64_t)o->seed, (uint32_t)(step + 1), (uint32_t)i, 0, size, size);
        if (dev->ops->upload(dev, there, views, (size_t)batch * sizeof *views, err) != 0 ||
            dev->ops->augment(dev, images, 3, size, size, there, batch, &target, out, err) != 0 ||
            dev->ops->sync(dev, err) != 0)
            goto out;
    }
    double seconds = clock_monotonic() - start;
    cJSON *j = start_object(dev);
    cJSON_AddNumberToObject(j, "size", size);
    json_add_number(j, "views_per_second", (double)o->steps * batch / seconds);
    print_object(j, o->json);
    rc = 0;
out:
    dev->ops->free(dev, images);
    dev->ops->free(dev, there);
    dev->ops->free(dev, out);
    mem_free(host);
    mem_free(views);
    return rc;
}

static int bench_mi(struct device *dev, const struct bench_options *o, struct err *err)
{
    int rc = -1;
    size_t n = (size_t)o->n * (size_t)o->dim;
    double *a = mem_alloc(n, sizeof *a, err), *b = mem_alloc(n, sizeof *b, err);
    struct information mi;
    if (a == NULL || b == NULL)
        goto out;
    struct rng r = rng_at((uint64_t)o->seed, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < n; i++) {
        a[i] = rng_normal(&r);
        b[i] = a[i] + rng_normal(&r);
    }
    double start = clock_monotonic();
    if (mutual_information(dev, a, o->dim, b, o->dim, o->n, &mi, err) != 0)
        goto out;
    double seconds = clock_monotonic() - start;
    cJSON *j = start_object(dev);
    cJSON_AddNumberToObject(j, "n", (double)o->n);
    cJSON_AddNumberToObject(j, "dim", (double)o->dim);
    json_add_number(j, "seconds", seconds);
    json_add_number(j, "mutual_information", mi.nats.value);
    print_object(j, o->json);
    rc = 0;
out:
    mem_free(a);
    mem_free(b);
    return rc;
}

static const struct bench {
    const char *name, *help;
    const struct option *options;
    int (*run)(struct device *, const struct bench_options *, struct err *);
} benches[] = {
    { "train", "whole steps: augment, forward, loss, backward, optimiser", train_bench_options, bench_train },
    { "gmm", "iterations of expectation-maximisation", gmm_bench_options, bench_gmm },
    { "augment", "SimCLR augmentation", augment_bench_options, bench_augment },
    { "mutual-information", "one mutual-information estimate", mi_bench_options, bench_mi },
    { "schedule", "simulated makespan against its lower bound", schedule_bench_options, NULL },
};
enum { BENCHES = sizeof benches / sizeof benches[0] };

static int unknown_bench(const char *what, struct err *err)
{
    const char *names[BENCHES];
    for (int i = 0; i < BENCHES; i++)
        names[i] = benches[i].name;
    char hint[NAMES_HINT];
    names_hint(what, names, BENCHES, hint);
    err_set(err, "no bench \"%.100s\"%s", what, hint);
    return cli_error(err);
}

/* Data of the user's have their own rows and columns, and with means of his nothing is drawn. */
static int check_given(const struct bench_options *o, const struct option *table, const bool *given, struct err *err)
{
    static const char *const shape[] = { "n", "dim", NULL }, *const seed[] = { "seed", NULL };
    if (o->data[0] == '\0')
        return 0;
    if (cli_check_unused(table, given, shape, "the data are read from a file", err) != 0)
        return -1;
    return o->means[0] == '\0' ? 0 : cli_check_unused(table, given, seed, "data and means are read from files", err);
}

int cli_bench(int argc, char **argv)
{
    struct err err;
    struct bench_options o;
    struct option table[MERGED_OPTIONS];
    bool given[MERGED_OPTIONS];
    char usage[128];
    int unused;
    const struct bench *b = NULL;
    if (argc < 2) {
        err_set(&err, "say what to measure: `dinf bench --help` lists it");
        return cli_error(&err);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        char text[1024] = "Measurements of this build on this machine.\n";
        for (int i = 0; i < BENCHES; i++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "\n  %-20s%s", benches[i].name, benches[i].help);
        snprintf(text + strlen(text), sizeof text - strlen(text), "\n\n`dinf bench WHAT --help` lists the options.");
        help_print("bench WHAT [options]", text, NULL);
        return EXIT_DONE;
    }
    for (int i = 0; i < BENCHES; i++)
        if (strcmp(argv[1], benches[i].name) == 0)
            b = &benches[i];
    if (b == NULL)
        return unknown_bench(argv[1], &err);
    options_merge(b->options, b->run != NULL ? common_options : no_options, table);
    snprintf(usage, sizeof usage, "bench %s [options]", b->name);
    int rc = cli_parse_given(argc - 1, argv + 1, usage, b->help, table, &o, given, NULL, 0, &unused, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    if (b->run == bench_gmm && check_given(&o, table, given, &err) != 0)
        return cli_error(&err);
    if (b->run == NULL)
        return plan_bench_schedule(o.json, &err) == 0 ? EXIT_DONE : cli_error(&err);
    struct device *dev = device_open(o.device, cli_threads(o.threads), &err);
    rc = dev != NULL ? b->run(dev, &o, &err) : -1;
    device_close(dev);
    return rc == 0 ? EXIT_DONE : cli_error(&err);
}
