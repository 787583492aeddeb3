/* Encoders in files: dinf's own, with pipeline and provenance in the metadata,
 * and foreign ones with torchvision's tensor names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/encoder.h"
#include "nn/foreign.h"
#include "nn/weights.h"

enum { FORMAT_TEXT = 64 };
static const char format_name[] = "dinf.encoder.1", format_kind[] = "dinf.encoder.";

static int add_text(cJSON *metadata, const char *name, const char *text, struct err *err)
{
    return cJSON_AddStringToObject(metadata, name, text) != NULL ? 0 : err_set(err, "out of memory");
}

static int add_number(cJSON *metadata, const char *name, double value, struct err *err)
{
    char text[FORMAT_TEXT];
    snprintf(text, sizeof text, "%.17g", value);
    return add_text(metadata, name, text, err);
}

static int add_triple(cJSON *metadata, const char *name, const float v[3], struct err *err)
{
    char text[FORMAT_TEXT];
    snprintf(text, sizeof text, "%.9g,%.9g,%.9g", (double)v[0], (double)v[1], (double)v[2]);
    return add_text(metadata, name, text, err);
}

int encoder_write(const char *path, const struct network *net, const struct encoder_config *config, int head_dim,
                  const struct pipeline *pipeline, const cJSON *provenance, struct err *err)
{
    int rc = -1;
    struct tensor_list list = { 0 };
    char *text = provenance == NULL ? mem_strdup("{}", err) : json_canonical(provenance, err);
    cJSON *m = cJSON_CreateObject();
    if (m == NULL)
        err_set(err, "out of memory");
    if (text == NULL || m == NULL || add_text(m, "format", format_name, err) != 0 ||
        add_text(m, "arch", config->arch, err) != 0 || add_text(m, "stem", config->stem, err) != 0 ||
        add_number(m, "width", config->width, err) != 0 || add_number(m, "size", pipeline->size, err) != 0 ||
        add_triple(m, "mean", pipeline->mean, err) != 0 || add_triple(m, "std", pipeline->std, err) != 0 ||
        add_number(m, "dim", net->tensors[net->representation].c, err) != 0 ||
        add_number(m, "head_dim", head_dim, err) != 0 || add_text(m, "provenance", text, err) != 0)
        goto out;
    if (tensor_list_add_network(&list, net, err) == 0)
        rc = safetensors_write(path, list.views, list.n, m, err);
out:
    tensor_list_fini(&list);
    cJSON_Delete(m);
    mem_free(text);
    return rc;
}

int encoder_save(const struct encoder *e, const char *path, const cJSON *provenance, struct err *err)
{
    return encoder_write(path, e->net, &e->config, e->head_dim, &e->pipeline, provenance, err);
}

static const char *text_of(const struct weights_reader *r, const char *name, struct err *err)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(r->file.metadata, name);
    if (!cJSON_IsString(v)) {
        err_set(err, "%s is no encoder written by dinf: its metadata lack \"%s\"", r->path, name);
        return NULL;
    }
    return v->valuestring;
}

/* `n` numbers separated by commas, within bounds. */
static int numbers_of(const struct weights_reader *r, const char *name, int n, double min, double max, double *out,
                      struct err *err)
{
    const char *text = text_of(r, name, err);
    if (text == NULL)
        return -1;
    const char *at = text;
    for (int i = 0; i < n; i++) {
        char *end;
        out[i] = strtod(at, &end);
        if (end == at || *end != (i + 1 < n ? ',' : 0) || !(out[i] >= min && out[i] <= max))
            return err_set(err, "%s: \"%s\" in the metadata must not be \"%.60s\"", r->path, name, text);
        at = end + 1;
    }
    return 0;
}

/* Arch, stem, width, pipeline and head from the metadata. */
static int read_metadata(const struct weights_reader *r, struct encoder *e, struct err *err)
{
    const char *format = text_of(r, "format", err);
    if (format == NULL)
        return -1;
    if (strcmp(format, format_name) != 0)
        return err_set(err, "%s has format \"%.60s\", this version reads \"%s\"", r->path, format, format_name);
    const char *arch = text_of(r, "arch", err), *stem = arch == NULL ? NULL : text_of(r, "stem", err);
    double width, size, head, mean[3], std[3];
    if (stem == NULL || numbers_of(r, "width", 1, 0, 1e3, &width, err) != 0 ||
        numbers_of(r, "size", 1, 1, 1e5, &size, err) != 0 || numbers_of(r, "head_dim", 1, 0, 1e6, &head, err) != 0 ||
        numbers_of(r, "mean", 3, -1e6, 1e6, mean, err) != 0 || numbers_of(r, "std", 3, 1e-30, 1e6, std, err) != 0)
        return -1;
    if (options_set_text(encoder_options, "arch", arch, &e->config, err) != 0 ||
        options_set_text(encoder_options, "stem", stem, &e->config, err) != 0)
        return err_prefix(err, "%s", r->path);
    e->config.width = width;
    e->head_dim = (int)head;
    e->pipeline.size = (int)size;
    for (int c = 0; c < 3; c++) {
        e->pipeline.mean[c] = (float)mean[c];
        e->pipeline.std[c] = (float)std[c];
    }
    return 0;
}

struct encoder *encoder_load(struct device *dev, const char *path, struct err *err)
{
    struct weights_reader r;
    struct encoder *e = NULL;
    bool ok = false;
    if (weights_open(&r, path, err) != 0)
        return NULL;
    if ((e = mem_alloc(1, sizeof *e, err)) == NULL)
        goto out;
    e->dev = dev;
    if (read_metadata(&r, e, err) != 0 || (e->net = network_build(dev, &e->config, e->head_dim, err)) == NULL)
        goto out;
    ok = weights_read_network(&r, e->net, false, err) == 0 && weights_all_used(&r, err) == 0 &&
         network_fold(e->net, err) == 0;
out:
    weights_close(&r);
    if (ok)
        return e;
    encoder_destroy(e);
    return NULL;
}

int encoder_is_own(const char *path, bool *own, struct err *err)
{
    struct safetensors file;
    if (safetensors_open(path, &file, err) != 0)
        return -1;
    /* "arch" and "mean" alone are words that others use as well */
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(file.metadata, "format");
    *own = cJSON_IsString(format) && strncmp(format->valuestring, format_kind, strlen(format_kind)) == 0;
    safetensors_close(&file);
    return 0;
}

struct encoder *encoder_import(struct device *dev, const char *path, const char *arch, const char *stem, double width,
                               const struct encoder_names *names, int size, const float mean[3], const float std[3],
                               struct err *err)
{
    struct weights_reader r;
    struct encoder *e = NULL;
    bool ok = false;
    if (weights_open(&r, path, err) != 0)
        return NULL;
    if ((e = mem_alloc(1, sizeof *e, err)) == NULL)
        goto out;
    e->dev = dev;
    e->config.width = width;
    e->pipeline.size = size;
    memcpy(e->pipeline.mean, mean, sizeof e->pipeline.mean);
    memcpy(e->pipeline.std, std, sizeof e->pipeline.std);
    if (options_set_text(encoder_options, "arch", arch, &e->config, err) != 0 ||
        options_set_text(encoder_options, "stem", stem, &e->config, err) != 0 ||
        (e->net = network_build(dev, &e->config, 0, err)) == NULL)
        goto out;
    ok = foreign_read(&r, e->net, names, err) == 0 && network_fold(e->net, err) == 0;
out:
    weights_close(&r);
    if (ok)
        return e;
    encoder_destroy(e);
    return NULL;
}
