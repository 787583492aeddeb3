/* A suspect's weights, as its owner's framework saved them. */
#include <stdio.h>

#include "conf/json.h"
#include "tasks/common.h"

struct import_options {
    char weights[OPTION_TEXT], strip[OPTION_TEXT], arch[OPTION_NAME], stem[OPTION_NAME];
    double width;
    int64_t size;
    struct float_list mean, std;
};

static const struct option import_options[] = {
    { "weights", OPTION_STRING, offsetof(struct import_options, weights), NULL, 0, 0, NULL, NULL,
      "safetensors file with torchvision's tensor names" },
    { "arch", OPTION_CHOICE, offsetof(struct import_options, arch), NULL, 0, 0, arch_names, NULL, "architecture" },
    { "stem", OPTION_CHOICE, offsetof(struct import_options, stem), "cifar", 0, 0, stem_names, NULL,
      "first layers: 3x3 convolution, or 7x7 convolution and max-pool" },
    { "width", OPTION_FLOAT, offsetof(struct import_options, width), "1", 0.01, 64, NULL, NULL,
      "multiplier of all channel numbers" },
    { "strip", OPTION_STRING, offsetof(struct import_options, strip), "", 0, 0, NULL, NULL,
      "prefix to remove from tensor names, such as module. or encoder_q." },
    { "size", OPTION_INT, offsetof(struct import_options, size), "32", 1, 4096, NULL, "pixels",
      "input size the encoder was trained with" },
    { "mean", OPTION_FLOATS, offsetof(struct import_options, mean), "0.485,0.456,0.406", -10, 10, NULL, NULL,
      "mean of each input channel on the 0..1 scale" },
    { "std", OPTION_FLOATS, offsetof(struct import_options, std), "0.229,0.224,0.225", 1e-6, 10, NULL, NULL,
      "standard deviation of each input channel" },
    { NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL }
};

static double import_cost(const struct task_sizing *s, struct task_extent *out)
{
    task_encoder_extent(s->params, (int)json_number(s->params, "size", 32), out);
    return 4 * task_start_seconds;
}

static int channels(const struct float_list *list, const char *name, float out[3], struct err *err)
{
    if (list->n != 3)
        return err_set(err, "%s wants 3 numbers, one a channel; it has %d", name, list->n);
    for (int c = 0; c < 3; c++)
        out[c] = (float)list->v[c];
    return 0;
}

static int import_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char out[PATH_MAX];
    float mean[3], std[3];
    struct import_options o;
    struct encoder *encoder = NULL;
    if (options_from_json(import_options, ctx->params, &o, err) != 0 || channels(&o.mean, "mean", mean, err) != 0 ||
        channels(&o.std, "std", std, err) != 0 || task_output_path(ctx, ".safetensors", out, err) != 0)
        return -1;
    encoder = encoder_import(ctx->device, o.weights, o.arch, o.stem, o.width, o.strip, (int)o.size, mean, std, err);
    if (encoder == NULL || encoder_save(encoder, out, ctx->provenance, err) != 0)
        goto out;
    struct train_result none = { .dim = encoder_dim(encoder), .parameters = encoder_parameters(encoder) };
    rc = task_encoder_result(ctx, &none, 0, err);
out:
    encoder_destroy(encoder);
    return rc;
}

const struct task_kind task_kind_import = { .name = "import",
                                            .help = "take in a suspect's weights (torchvision names)",
                                            .options = import_options,
                                            .options_size = sizeof(struct import_options),
                                            .needs_device = true,
                                            .cost = import_cost,
                                            .run = import_run };
