/* A freshly initialised encoder of the victim's kind: the lower bound of the
 * mutual-information score. */
#include "tasks/common.h"

static double init_cost(const struct task_sizing *s, struct task_extent *out)
{
    task_encoder_extent(s->params, task_sizing_input(s, "victim")->size, out);
    return 2 * task_start_seconds;
}

static int init_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    int64_t seed;
    float mean[3], std[3];
    char victim_path[PATH_MAX], out[PATH_MAX];
    struct encoder *victim = NULL, *fresh = NULL;
    if (task_integer(ctx->params, "seed", &seed, err) != 0 ||
        task_input_path(ctx, "victim", ".safetensors", victim_path, err) != 0 ||
        task_output_path(ctx, ".safetensors", out, err) != 0)
        goto out;
    victim = encoder_load(ctx->device, victim_path, err);
    if (victim == NULL)
        goto out;
    encoder_moments(victim, mean, std);
    fresh = encoder_random(ctx->device, ctx->params, (uint64_t)seed, encoder_size(victim), mean, std, err);
    if (fresh == NULL || encoder_save(fresh, out, ctx->provenance, err) != 0)
        goto out;
    struct train_result none = { .dim = encoder_dim(fresh), .parameters = encoder_parameters(fresh) };
    rc = task_encoder_result(ctx, &none, 0, err);
out:
    encoder_destroy(fresh);
    encoder_destroy(victim);
    return rc;
}

const struct task_kind task_kind_init = { .name = "init",
                                          .help = "a randomly initialised encoder like the victim",
                                          .options = encoder_options,
                                          .needs_device = true,
                                          .cost = init_cost,
                                          .run = init_run };
