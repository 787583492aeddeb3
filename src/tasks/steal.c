/* Theft: an encoder trained on images and the victim's stored answers. */
#include "tasks/common.h"

#include "base/mem.h"
#include "conf/json.h"
#include "data/resize.h"

/* `budget` is no option: the plan writes it, one theft for each of the block's budgets. */
static int steal_tables(const cJSON *block, const struct option **tables, int max, struct err *err)
{
    return task_training_tables(TRAINING_THEFT, block, tables, max, err);
}

static void steal_check(const struct task_facts *f, const struct complaints *to)
{
    training_check(TRAINING_THEFT, f->params, f->images, f->victim, to);
}

static const char *steal_elsewhere(const char *option)
{
    if (augment_takes(option))
        return "a theft sees the queries' views: query = { augment = ...; }";
    if (option_find(self_options, option) != NULL)
        return "a projector is for self-supervised training; a theft may have head = \"mlp\"";
    return NULL;
}

/* Thieves train at the victim's input size. */
static double steal_cost(const struct task_sizing *s, struct task_extent *out)
{
    int size = task_sizing_input(s, "answers")->size;
    task_encoder_extent(s->params, size, out);
    return task_training_seconds(s->params, (int64_t)json_number(s->params, "budget", 0), size, 1);
}

/* The victim's answers about the first `budget` queried images, and which images
 * of the query set they are. */
struct answers {
    int64_t budget, views, dim;
    int64_t *size;    /* (1) of the victim's input */
    int64_t *indices; /* (queried) into the query set */
    float *targets;   /* (queried * views, dim) */
};

static void answers_fini(struct answers *a)
{
    mem_free(a->size);
    mem_free(a->indices);
    mem_free(a->targets);
}

static int answers_read(const struct task_context *ctx, struct answers *a, struct err *err)
{
    char path[PATH_MAX];
    int64_t queried, one, dims[2];
    if (task_input_path(ctx, "answers", ".h5", path, err) != 0 ||
        result_read_int(path, "/size", 1, &one, &a->size, err) != 0 ||
        result_read_int(path, "/indices", 1, &queried, &a->indices, err) != 0 ||
        result_read_float(path, "/answers", 2, dims, &a->targets, err) != 0)
        return -1;
    if (a->budget > queried)
        return err_set(err, "%s holds answers for %lld images, %lld are wanted", path, (long long)queried,
                       (long long)a->budget);
    if (one != 1 || queried < 1 || dims[0] % queried != 0)
        return err_set(err, "%s: %lld answers do not belong to %lld images", path, (long long)dims[0],
                       (long long)queried);
    a->views = dims[0] / queried;
    a->dim = dims[1];
    return 0;
}

static int steal_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    int64_t seed;
    struct images all = { 0 }, stolen = { 0 };
    struct answers a = { 0 };
    if (task_integer(ctx->params, "seed", &seed, err) != 0 ||
        task_integer(ctx->params, "budget", &a.budget, err) != 0 || answers_read(ctx, &a, err) != 0 ||
        task_images(ctx, &all, err) != 0 || task_take_images(&all, a.indices, a.budget, &stolen, err) != 0)
        goto out;
    const struct resize_to to = resize_square((int)a.size[0]);
    if (images_resize(&stolen, &to, err) != 0)
        goto out;
    struct train_request request = { .block = ctx->params,
                                     .data = &stolen,
                                     .target = a.targets,
                                     .target_dim = (int)a.dim,
                                     .target_views = (int)a.views,
                                     .target_augment = cJSON_GetObjectItemCaseSensitive(ctx->params, "query"),
                                     .target_index = a.indices,
                                     .seed = (uint64_t)seed };
    rc = task_train(ctx, &request, err);
out:
    answers_fini(&a);
    images_fini(&all);
    images_fini(&stolen);
    return rc;
}

const struct task_kind task_kind_steal = { .name = "steal",
                                           .help = "train a copy on the victim's stored answers",
                                           .options = train_options,
                                           .tables = steal_tables,
                                           .check = steal_check,
                                           .elsewhere = steal_elsewhere,
                                           .needs_device = true,
                                           .resumes = true,
                                           .cost = steal_cost,
                                           .run = steal_run };
