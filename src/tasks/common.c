/* Inputs, outputs and the training that train and steal share. */
#include "tasks/common.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "conf/json.h"
#include "tasks/gpu_share.h"

int task_input_path(const struct task_context *ctx, const char *role, const char *suffix, char out[PATH_MAX],
                    struct err *err)
{
    const struct task_input *input = task_input(ctx, role);
    if (input == NULL)
        return err_set(err, "the task %s has no input '%s'", ctx->name, role);
    return task_path(ctx->dir, input->id, suffix, out, err);
}

int task_output_path(const struct task_context *ctx, const char *suffix, char out[PATH_MAX], struct err *err)
{
    return task_path(ctx->dir, ctx->id, suffix, out, err);
}

int task_images(const struct task_context *ctx, struct images *out, struct err *err)
{
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(ctx->params, "dataset");
    if (!cJSON_IsObject(spec))
        return err_set(err, "the task %s has no data set", ctx->name);
    if (dataset_read(spec, out, err) != 0)
        return -1;
    /* asked after reading, so that files that change meanwhile are noticed */
    const char *planned = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ctx->contents, "dataset"));
    char hex[HASH_HEX];
    int rc = planned == NULL ? 0 : dataset_fingerprint(spec, hex, err);
    if (rc == 0 && planned != NULL && strcmp(hex, planned) != 0) {
        char *text = json_canonical(spec, NULL);
        rc = err_set(err, "the images have changed since the run began: %.1000s", text == NULL ? "" : text);
        mem_free(text);
    }
    if (rc != 0)
        images_fini(out);
    return rc;
}

int task_take_images(const struct images *im, const int64_t *chosen, int64_t n, struct images *out, struct err *err)
{
    size_t bytes = (size_t)im->c * (size_t)im->h * (size_t)im->w;
    struct images taken = { .n = n, .c = im->c, .h = im->h, .w = im->w };
    taken.pixels = mem_alloc((size_t)n, bytes, err);
    if (taken.pixels != NULL && im->labels != NULL)
        taken.labels = mem_alloc((size_t)n, sizeof *taken.labels, err);
    if (taken.pixels == NULL || (im->labels != NULL && taken.labels == NULL))
        goto fail;
    for (int64_t i = 0; i < n; i++) {
        if (chosen[i] < 0 || chosen[i] >= im->n) {
            err_set(err, "image %lld of a set of %lld was asked for", (long long)chosen[i], (long long)im->n);
            goto fail;
        }
        memcpy(taken.pixels + (size_t)i * bytes, im->pixels + (size_t)chosen[i] * bytes, bytes);
        if (im->labels != NULL)
            taken.labels[i] = im->labels[chosen[i]];
    }
    *out = taken;
    return 0;
fail:
    images_fini(&taken);
    return -1;
}

int task_integer(const cJSON *params, const char *name, int64_t *out, struct err *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(params, name);
    if (!cJSON_IsNumber(value))
        return err_set(err, "the task's parameter '%s' is missing", name);
    *out = (int64_t)value->valuedouble;
    return 0;
}

int task_seed(int64_t seed, struct err *err)
{
    return seed < 0 ? err_set(err, "the task's seed is %lld: the plan should have derived one", (long long)seed) : 0;
}

int task_representations(const struct task_context *ctx, const char *role, int64_t *n, int64_t *d, double **out,
                         struct err *err)
{
    char path[PATH_MAX];
    int64_t dims[2];
    if (task_input_path(ctx, role, ".h5", path, err) != 0 ||
        result_read_double(path, "/representations", 2, dims, out, err) != 0)
        return -1;
    *n = dims[0];
    *d = dims[1];
    return 0;
}

static int known_memory(void *arg, size_t *bytes, struct err *err)
{
    (void)err;
    *bytes = *(const size_t *)arg;
    return 0;
}

int task_reserve(struct task_context *ctx, size_t bytes, struct err *err)
{
    return gpu_share_reserve(ctx, ctx->gpu_share, known_memory, &bytes, err);
}

int task_await(struct task_context *ctx, size_t bytes, struct err *err)
{
    int rc = task_reserve(ctx, bytes, err);
    gpu_share_settled(ctx->gpu_share);
    return rc;
}

void task_report_fraction(void *arg, double fraction)
{
    const struct task_context *ctx = arg;
    gpu_share_settled(ctx->gpu_share);
    struct task_progress p = { .fraction = fraction, .loss = NAN, .rate = NAN, .unit = "images" };
    if (ctx->progress != NULL)
        ctx->progress(ctx, &p);
}

static int training_memory(void *arg, size_t *bytes, struct err *err)
{
    const struct train_request *request = arg;
    const struct task_context *ctx = request->arg;
    return train_memory(ctx->device, request, bytes, err);
}

static void report_training(void *arg, const struct train_progress *t)
{
    const struct task_context *ctx = arg;
    gpu_share_settled(ctx->gpu_share); /* a step has run: all memory is there */
    struct task_progress p = { .fraction = t->steps > 0 ? (double)t->step / (double)t->steps : 0,
                               .loss = t->loss,
                               .rate = t->images_per_second,
                               .unit = "images" };
    snprintf(p.what, sizeof p.what, "epoch %lld/%lld", (long long)(t->epoch < t->epochs ? t->epoch + 1 : t->epochs),
             (long long)t->epochs);
    if (ctx->progress != NULL)
        ctx->progress(ctx, &p);
}

/* Not nn's: what a seed of -1 becomes is the plan's to say. Read by task_integer. */
static const struct option seed_options[] = {
    { "seed", OPTION_INT, 0, "-1", -1, OPTION_SEED_MAX, NULL, NULL,
      "of initialisation, order and augmentation; -1: derived from the campaign's" },
    OPTION_END,
};

int task_training_tables(enum training way, const cJSON *block, const struct option **tables, int max, struct err *err)
{
    int n = train_option_tables(way, block, tables, max, err);
    if (n < 0)
        return -1;
    if (n == max)
        return err_set(err, "too many option tables");
    tables[n] = seed_options;
    return n + 1;
}

int task_train(struct task_context *ctx, struct train_request *request, struct err *err)
{
    char checkpoint[PATH_MAX], out[PATH_MAX];
    if (fs_path(checkpoint, sizeof checkpoint, err, "%s/checkpoint.safetensors", ctx->work) != 0 ||
        task_output_path(ctx, ".safetensors", out, err) != 0)
        return -1;
    request->checkpoint = checkpoint;
    request->out = out;
    request->provenance = ctx->provenance;
    request->progress = report_training;
    request->arg = ctx;
    int rc = gpu_share_reserve(ctx, ctx->gpu_share, training_memory, request, err);
    if (rc != 0)
        return rc;
    struct train_result trained = { 0 };
    rc = train_run(ctx->device, request, &trained, err);
    if (rc == 0)
        rc = task_encoder_result(ctx, &trained, request->data->n, err);
    train_result_fini(&trained);
    return rc;
}

struct encoder_row {
    int64_t dim, parameters, images, epochs, steps;
    double final_loss, images_per_second;
    const char *checkpoint;
};

static const struct column encoder_columns[] = {
    { "dim", COLUMN_INT, offsetof(struct encoder_row, dim), NULL, "length of a representation" },
    { "parameters", COLUMN_INT, offsetof(struct encoder_row, parameters), NULL,
      "learnable parameters of the encoder, heads excluded" },
    { "images", COLUMN_INT, offsetof(struct encoder_row, images), NULL,
      "unique images of the training set; an epoch takes whole batches and leaves out the rest at the end of its "
      "order, with shuffle = false the same images in every epoch" },
    { "epochs", COLUMN_INT, offsetof(struct encoder_row, epochs), NULL, "epochs trained" },
    { "steps", COLUMN_INT, offsetof(struct encoder_row, steps), NULL, "optimiser steps" },
    { "final_loss", COLUMN_FLOAT, offsetof(struct encoder_row, final_loss), NULL, "mean loss of the last epoch" },
    { "images_per_second", COLUMN_FLOAT, offsetof(struct encoder_row, images_per_second), "1/s",
      "augmented views trained on per second" },
    { "checkpoint", COLUMN_STRING, offsetof(struct encoder_row, checkpoint), NULL,
      "weights, relative to the run directory" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

struct curve_row {
    int64_t epoch;
    double loss, lr, seconds;
};

static const struct column curve_columns[] = {
    { "epoch", COLUMN_INT, offsetof(struct curve_row, epoch), NULL, "epochs completed" },
    { "loss", COLUMN_FLOAT, offsetof(struct curve_row, loss), NULL, "mean loss of the epoch" },
    { "lr", COLUMN_FLOAT, offsetof(struct curve_row, lr), NULL, "learning rate" },
    { "seconds", COLUMN_FLOAT, offsetof(struct curve_row, seconds), "s", "duration of the epoch" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

/* The task's provenance and the digest of its weights: who loses the journal knows what belongs together. */
static cJSON *with_weights(const struct task_context *ctx, struct err *err)
{
    char path[PATH_MAX], hex[HASH_HEX];
    if (task_output_path(ctx, ".safetensors", path, err) != 0 || hash_file(path, hex, err) != 0)
        return NULL;
    cJSON *o = ctx->provenance != NULL ? cJSON_Duplicate(ctx->provenance, true) : cJSON_CreateObject();
    if (o != NULL && cJSON_AddStringToObject(o, RESULT_WEIGHTS, hex) != NULL)
        return o;
    cJSON_Delete(o);
    err_set(err, "out of memory");
    return NULL;
}

int task_encoder_result(const struct task_context *ctx, const struct train_result *t, int64_t images, struct err *err)
{
    int rc = -1;
    char path[PATH_MAX], checkpoint[64];
    struct result *r = NULL;
    cJSON *provenance = with_weights(ctx, err);
    struct curve_row *curve = mem_alloc((size_t)t->epochs, sizeof *curve, err);
    if (provenance == NULL || curve == NULL || task_output_path(ctx, ".h5", path, err) != 0)
        goto out;
    for (int64_t e = 0; e < t->epochs; e++)
        curve[e] = (struct curve_row){ e + 1, t->loss[e], t->lr[e], t->seconds[e] };
    snprintf(checkpoint, sizeof checkpoint, "tasks/%s.safetensors", ctx->id);
    struct encoder_row row = { .dim = t->dim,
                               .parameters = t->parameters,
                               .images = images,
                               .epochs = t->epochs,
                               .steps = t->steps,
                               .final_loss = t->epochs > 0 ? t->loss[t->epochs - 1] : NAN,
                               .images_per_second = t->images_per_second,
                               .checkpoint = checkpoint };
    r = result_create(path, provenance, err);
    if (r == NULL || result_table(r, "/encoders", "the campaign's encoders", encoder_columns, &row, sizeof row, 1, err))
        goto out;
    if (t->epochs > 0 && result_table(r, "/curves", "training curve, one row an epoch", curve_columns, curve,
                                      sizeof *curve, (size_t)t->epochs, err) != 0)
        goto out;
    rc = result_commit(r, err);
    r = NULL;
out:
    result_abandon(r);
    cJSON_Delete(provenance);
    mem_free(curve);
    return rc;
}

void task_shape(const cJSON *params, int64_t *n, int *size)
{
    struct images shape = { 0 };
    struct err ignored;
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(params, "dataset");
    *n = 0;
    *size = 0;
    if (cJSON_IsObject(spec) && dataset_describe(spec, &shape, &ignored) == 0) {
        *n = shape.n;
        *size = shape.h;
    }
}
