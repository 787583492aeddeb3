/* Checkpoints are safetensors like encoders: weights under their names, moments
 * as optimizer.m.NAME, the position as progress.*. */
#include "nn/checkpoint.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "nn/weights.h"

/* The options as text, without what has no influence: how often checkpoints are
 * written, and where the initial weights lie (their contents count). */
static char *options_text(const cJSON *block, struct err *err)
{
    char hex[HASH_HEX], *text = NULL;
    cJSON *copy = cJSON_Duplicate(block, true);
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(copy, "init");
    bool has_init = cJSON_IsString(init) && init->valuestring[0] != 0;
    if (copy == NULL) {
        err_set(err, "out of memory");
        return NULL;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "checkpoint_seconds");
    if (has_init && hash_file(init->valuestring, hex, err) != 0)
        goto out;
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "init");
    if (has_init && cJSON_AddStringToObject(copy, "init", hex) == NULL)
        err_set(err, "out of memory");
    else
        text = json_canonical(copy, err);
out:
    cJSON_Delete(copy);
    return text;
}

int checkpoint_identity(const struct train_request *r, char hex[HASH_HEX], struct err *err)
{
    const struct images *im = r->data;
    char *block = options_text(r->block, err);
    char *query = block == NULL || r->target_augment == NULL ? NULL : json_canonical(r->target_augment, err);
    struct hash *h = block == NULL || (r->target_augment != NULL && query == NULL) ? NULL : hash_create(err);
    int rc = -1;
    if (h != NULL) {
        size_t n = (size_t)im->n;
        const int64_t shape[] = { im->n,         im->h,          im->w, (int64_t)r->seed, r->target != NULL,
                                  r->target_dim, r->target_views };
        hash_add_string(h, block);
        hash_add_string(h, query != NULL ? query : "");
        hash_add(h, shape, sizeof shape);
        hash_add(h, im->pixels, n * (size_t)im->c * (size_t)im->h * (size_t)im->w);
        if (r->target != NULL)
            hash_add(h, r->target, n * (size_t)r->target_views * (size_t)r->target_dim * sizeof *r->target);
        if (r->target_index != NULL)
            hash_add(h, r->target_index, n * sizeof *r->target_index);
        rc = hash_finish(h, hex, err);
    }
    mem_free(block);
    mem_free(query);
    return rc;
}

static int add_position(struct tensor_list *list, const struct train_position *at, int64_t epochs_done, struct err *err)
{
    const int64_t dims[] = { epochs_done };
    return tensor_list_add(list, "progress.step", TENSOR_I64, 0, NULL, &at->step, err) != 0 ||
                   tensor_list_add(list, "progress.epochs", TENSOR_I64, 0, NULL, &epochs_done, err) != 0 ||
                   tensor_list_add(list, "progress.loss_sum", TENSOR_F64, 0, NULL, &at->loss_sum, err) != 0 ||
                   tensor_list_add(list, "progress.seconds", TENSOR_F64, 0, NULL, &at->seconds, err) != 0 ||
                   tensor_list_add(list, "progress.curve.loss", TENSOR_F64, 1, dims, at->loss, err) != 0 ||
                   tensor_list_add(list, "progress.curve.lr", TENSOR_F64, 1, dims, at->lr, err) != 0 ||
                   tensor_list_add(list, "progress.curve.seconds", TENSOR_F64, 1, dims, at->duration, err) != 0
               ? -1
               : 0;
}

/* Of everything in the file but the place of the tensors in it, as hexadecimal digits. */
static int digest_of(const char *identity, const struct tensor_view *tensors, int n, char hex[HASH_HEX],
                     struct err *err)
{
    struct hash *h = hash_create(err);
    if (h == NULL)
        return -1;
    hash_add_string(h, identity);
    for (int i = 0; i < n; i++) {
        const struct tensor_view *v = &tensors[i];
        hash_add_string(h, v->name);
        hash_add_string(h, tensor_type_name(v->type));
        hash_add(h, v->dims, (size_t)v->rank * sizeof v->dims[0]);
        hash_add(h, v->data, v->bytes);
    }
    return hash_finish(h, hex, err);
}

static const char *moment_name(const struct trainer *t, int i, char out[32])
{
    snprintf(out, 32, "optimizer.%s", t->config.optim->moments[i]);
    return out;
}

int checkpoint_write(const char *path, const char *identity, const struct trainer *t, const struct train_position *at,
                     int64_t epochs_done, struct err *err)
{
    int rc = -1;
    char name[32], digest[HASH_HEX];
    struct tensor_list list = { 0 };
    cJSON *metadata = cJSON_CreateObject();
    if (metadata == NULL || cJSON_AddStringToObject(metadata, "format", "dinf.checkpoint.1") == NULL ||
        cJSON_AddStringToObject(metadata, "identity", identity) == NULL) {
        err_set(err, "out of memory");
        goto out;
    }
    if (tensor_list_add_network(&list, t->net, err) != 0 || add_position(&list, at, epochs_done, err) != 0)
        goto out;
    for (int i = 0; i < OPTIM_MOMENTS && t->moments[i] != NULL; i++)
        if (tensor_list_add_flat(&list, t->net, t->moments[i], moment_name(t, i, name), err) != 0)
            goto out;
    if (digest_of(identity, list.views, list.n, digest, err) != 0)
        goto out;
    if (cJSON_AddStringToObject(metadata, "sha256", digest) == NULL)
        err_set(err, "out of memory");
    else
        rc = safetensors_write(path, list.views, list.n, metadata, err);
out:
    tensor_list_fini(&list);
    cJSON_Delete(metadata);
    return rc;
}

/* `n` numbers of the given type; n < 0: a scalar. */
static int take(struct weights_reader *r, const char *name, enum tensor_type type, int64_t n, void *out,
                struct err *err)
{
    const struct tensor_view *v = weights_take(r, name, n < 0 ? 0 : 1, &n, err);
    if (v == NULL)
        return -1;
    if (v->type != type)
        return err_set(err, "%s: the tensor %s must be %s", r->path, name, tensor_type_name(type));
    if (v->bytes > 0)
        memcpy(out, v->data, v->bytes);
    return 0;
}

static int read_position(struct weights_reader *r, struct train_position *at, int64_t epochs, struct err *err)
{
    int64_t done;
    if (take(r, "progress.step", TENSOR_I64, -1, &at->step, err) != 0 ||
        take(r, "progress.epochs", TENSOR_I64, -1, &done, err) != 0)
        return -1;
    if (done < 0 || done > epochs || at->step < 0)
        return err_set(err, "%s holds an impossible position: %lld epochs", r->path, (long long)done);
    return take(r, "progress.loss_sum", TENSOR_F64, -1, &at->loss_sum, err) != 0 ||
                   take(r, "progress.seconds", TENSOR_F64, -1, &at->seconds, err) != 0 ||
                   take(r, "progress.curve.loss", TENSOR_F64, done, at->loss, err) != 0 ||
                   take(r, "progress.curve.lr", TENSOR_F64, done, at->lr, err) != 0 ||
                   take(r, "progress.curve.seconds", TENSOR_F64, done, at->duration, err) != 0
               ? -1
               : 0;
}

int checkpoint_read(const char *path, const char *identity, struct trainer *t, struct train_position *at,
                    int64_t epochs, struct err *err)
{
    int rc = -1;
    char name[32], digest[HASH_HEX];
    struct weights_reader r;
    if (weights_open(&r, path, err) != 0)
        return -1;
    const cJSON *whose = cJSON_GetObjectItemCaseSensitive(r.file.metadata, "identity");
    if (!cJSON_IsString(whose) || strcmp(whose->valuestring, identity) != 0) {
        err_set(err, "%s is not a checkpoint of this training (other options, images or seed)", path);
        goto out;
    }
    const cJSON *recorded = cJSON_GetObjectItemCaseSensitive(r.file.metadata, "sha256");
    if (digest_of(identity, r.file.tensors, r.file.n, digest, err) != 0)
        goto out;
    if (!cJSON_IsString(recorded) || strcmp(recorded->valuestring, digest) != 0) {
        err_set(err, "%s is damaged: its contents are not those that were written", path);
        goto out;
    }
    if (weights_read_network(&r, t->net, false, err) != 0 || read_position(&r, at, epochs, err) != 0)
        goto out;
    for (int i = 0; i < OPTIM_MOMENTS && t->moments[i] != NULL; i++)
        if (weights_read_flat(&r, t->net, t->moments[i], moment_name(t, i, name), err) != 0)
            goto out;
    rc = weights_all_used(&r, err);
out:
    weights_close(&r);
    return rc;
}
