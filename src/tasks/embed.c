/* Representations of an image set by an encoder: what every evaluation reads. */
#include "tasks/common.h"

#include "base/mem.h"

struct embed_options {
    int64_t batch;
};

static const struct option embed_options[] = {
    { "batch", OPTION_INT, offsetof(struct embed_options, batch), "256", 1, 65536, NULL, "images", "images at a time" },
    OPTION_END,
};

static double embed_cost(const struct task_sizing *s, struct task_extent *out)
{
    int size;
    const struct task_extent *encoder = task_sizing_input(s, "encoder");
    task_shape(s->params, &out->rows, &size);
    out->dim = encoder->dim;
    return task_start_seconds + (double)out->rows * encoder->image_seconds + task_array_seconds(out->rows, out->dim);
}

static int embed_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char weights[PATH_MAX], path[PATH_MAX];
    struct embed_options o;
    struct images im = { 0 };
    struct encoder *encoder = NULL;
    struct result *r = NULL;
    float *x = NULL;
    if (options_from_json(embed_options, ctx->params, &o, err) != 0 ||
        task_input_path(ctx, "encoder", ".safetensors", weights, err) != 0 ||
        task_output_path(ctx, ".h5", path, err) != 0 || task_images(ctx, &im, err) != 0)
        goto out;
    encoder = encoder_load(ctx->device, weights, err);
    if (encoder == NULL)
        goto out;
    int64_t dims[2] = { im.n, encoder_dim(encoder) };
    x = mem_alloc((size_t)dims[0] * (size_t)dims[1], sizeof *x, err);
    if (x == NULL)
        goto out;
    size_t bytes;
    if (encoder_memory(encoder, &im, 1, (int)o.batch, &bytes, err) != 0)
        goto out;
    rc = task_reserve(ctx, bytes, err);
    if (rc != 0)
        goto out;
    rc = encoder_embed(encoder, &im, (int)o.batch, x, task_report_fraction, ctx, err);
    if (rc != 0)
        goto out;
    rc = -1;
    r = result_create(path, ctx->provenance, err);
    if (r == NULL || result_float(r, "/representations", "representations, not normalised", NULL, x, 2, dims, err) != 0)
        goto out;
    rc = result_commit(r, err);
    r = NULL;
out:
    result_abandon(r);
    mem_free(x);
    encoder_destroy(encoder);
    images_fini(&im);
    return rc;
}

const struct task_kind task_kind_embed = { .name = "embed",
                                           .help = "representations of an image set by an encoder",
                                           .options = embed_options,
                                           .options_size = sizeof(struct embed_options),
                                           .needs_device = true,
                                           .cost = embed_cost,
                                           .run = embed_run };
