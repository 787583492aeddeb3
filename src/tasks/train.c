/* Self-supervised training of a victim or an independent encoder. */
#include "tasks/common.h"

static int train_tables(const cJSON *block, const struct option **tables, int max, struct err *err)
{
    return task_training_tables(TRAINING_SELF, block, tables, max, err);
}

static void train_check(const struct task_facts *f, const struct complaints *to)
{
    training_check(TRAINING_SELF, f->params, f->images, NULL, to);
}

static const char *train_elsewhere(const char *option)
{
    return option_find(theft_options, option) == NULL ? NULL : "it is for thefts and belongs in a steal group";
}

static double train_cost(const struct task_sizing *s, struct task_extent *out)
{
    int64_t n;
    int size;
    task_shape(s->params, &n, &size);
    task_encoder_extent(s->params, size, out);
    return task_training_seconds(s->params, n, size, 2);
}

static int train_run_task(struct task_context *ctx, struct err *err)
{
    int64_t seed;
    struct images im = { 0 };
    if (task_integer(ctx->params, "seed", &seed, err) != 0 || task_images(ctx, &im, err) != 0)
        return -1;
    struct train_request request = { .block = ctx->params, .data = &im, .seed = (uint64_t)seed };
    int rc = task_train(ctx, &request, err);
    images_fini(&im);
    return rc;
}

const struct task_kind task_kind_train = { .name = "train",
                                           .help = "train an encoder by self-supervision",
                                           .options = train_options,
                                           .tables = train_tables,
                                           .check = train_check,
                                           .elsewhere = train_elsewhere,
                                           .needs_device = true,
                                           .resumes = true,
                                           .cost = train_cost,
                                           .run = train_run_task };
