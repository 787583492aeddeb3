/* A suspect's weights, as its owner's framework saved them. */
#include "tasks/import.h"

#include <string.h>

#include "conf/json.h"
#include "tasks/common.h"

struct import_options {
    char weights[OPTION_TEXT], strip[OPTION_TEXT], arch[OPTION_NAME], stem[OPTION_NAME];
    struct string_list rename;
    double width, mean[3], std[3];
    int64_t size;
};

static const struct option import_options[] = {
    { "weights", OPTION_STRING, offsetof(struct import_options, weights), NULL, 0, 0, NULL, NULL,
      "safetensors file with torchvision's tensor names" },
    { "arch", OPTION_CHOICE, offsetof(struct import_options, arch), NULL, 0, 0, arch_names, NULL, "architecture" },
    OPTION_ROW_STEM(offsetof(struct import_options, stem)),
    OPTION_ROW_WIDTH(offsetof(struct import_options, width)),
    OPTION_ROW_STRIP(offsetof(struct import_options, strip)),
    OPTION_ROW_RENAME(offsetof(struct import_options, rename)),
    { "size", OPTION_INT, offsetof(struct import_options, size), "0", 0, IMAGE_SIDE_MAX, NULL, "pixels",
      "input size the encoder was trained with; 0: 32 with the stem cifar, 224 with the stem imagenet" },
    OPTION_ROW_MEAN(offsetof(struct import_options, mean)),
    OPTION_ROW_STD(offsetof(struct import_options, std)),
    OPTION_END,
};

int import_settle(cJSON *params, struct err *err)
{
    cJSON *size = cJSON_GetObjectItemCaseSensitive(params, "size");
    if (size == NULL)
        return err_set(err, "the task's parameter 'size' is missing");
    if (size->valuedouble == 0)
        cJSON_SetNumberValue(size, strcmp(json_text(params, "stem", ""), "imagenet") == 0 ? 224 : 32);
    return 0;
}

static double import_cost(const struct task_sizing *s, struct task_extent *out)
{
    task_encoder_extent(s->params, (int)json_number(s->params, "size", 32), out);
    return 4 * task_start_seconds;
}

static int import_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char out[PATH_MAX];
    float mean[3], std[3];
    struct import_options o;
    struct encoder *encoder = NULL;
    if (options_from_json(import_options, ctx->params, &o, err) != 0 ||
        task_output_path(ctx, ".safetensors", out, err) != 0)
        return -1;
    if (o.size < 1)
        return err_set(err, "the import's size is %lld: the plan should have settled it", (long long)o.size);
    for (int c = 0; c < 3; c++) {
        mean[c] = (float)o.mean[c];
        std[c] = (float)o.std[c];
    }
    const struct encoder_names names = { .strip = o.strip, .rename = &o.rename };
    encoder = encoder_import(ctx->device, o.weights, o.arch, o.stem, o.width, &names, (int)o.size, mean, std, err);
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
