/* Asking the victim: each image (and view) once, for every theft that needs it.
 * Images of another size are resized to the victim's input before all else
 * (encoder_answer); thefts do the same, so that both see the same views.
 *
 * The images are the prefix of a seeded order of the query set, so that a theft
 * with N queries uses the first N whatever the largest budget is. */
#include "tasks/query.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "nn/query_views.h"
#include "tasks/common.h"

struct query_options {
    int64_t budget, views, batch, seed;
    char augment[OPTION_NAME];
};

/* The plan's to write, never a user's: the largest of the thefts' budgets. */
static const struct option budget_options[] = {
    { "budget", OPTION_INT, offsetof(struct query_options, budget), NULL, 1, 1e9, NULL, "images",
      "number of unique images the victim is asked about" },
    OPTION_END,
};

static const struct option query_options[] = {
    { "views", OPTION_INT, offsetof(struct query_options, views), "1", 1, 1000, NULL, NULL,
      "augmented views of each image the victim is asked about" },
    { "augment", OPTION_CHOICE, offsetof(struct query_options, augment), "none", 0, 0, augment_names, NULL,
      "augmentation of the queries; its options go beside it" },
    { "batch", OPTION_INT, offsetof(struct query_options, batch), "256", 1, 65536, NULL, "images", "images at a time" },
    { "seed", OPTION_INT, offsetof(struct query_options, seed), "-1", -1, OPTION_SEED_MAX, NULL, NULL,
      "choice of the images and their views; -1: derived from the campaign's" },
    OPTION_END,
};

static int query_tables(const cJSON *block, const struct option **tables, int max, struct err *err)
{
    tables[0] = query_options;
    int n = query_view_tables(block, tables + 1, max - 1, err);
    return n < 0 ? -1 : n + 1;
}

static void query_contradictions(const struct task_facts *f, const struct complaints *to)
{
    query_check(f->params, to);
}

static const char *query_elsewhere(const char *option)
{
    return option_find(budget_options, option) == NULL ? NULL
                                                       : "budgets = [ ... ] stands beside query, in the steal group";
}

static int query_parse(const cJSON *params, struct query_options *o, struct err *err)
{
    return options_from_json(query_options, params, o, err) != 0 ? -1
                                                                 : options_from_json(budget_options, params, o, err);
}

static double query_cost(const struct task_sizing *s, struct task_extent *out)
{
    struct query_options o;
    struct err ignored;
    const struct task_extent *victim = task_sizing_input(s, "victim");
    if (query_parse(s->params, &o, &ignored) != 0)
        return 1;
    out->rows = o.budget * o.views;
    out->dim = victim->dim;
    out->size = victim->size;
    return task_start_seconds + (double)out->rows * victim->image_seconds + task_array_seconds(out->rows, out->dim);
}

void query_order(uint64_t seed, int64_t n, uint32_t *order)
{
    struct rng rng = rng_at(seed, RNG_QUERY, 0, 0, 0);
    rng_permutation(&rng, order, (uint32_t)n);
}

static int query_choose(const struct query_options *o, int64_t n, int64_t **chosen, struct err *err)
{
    if (o->budget > n)
        return err_set(err, "a budget of %lld images is more than the query set's %lld", (long long)o->budget,
                       (long long)n);
    int rc = -1;
    uint32_t *order = mem_alloc((size_t)n, sizeof *order, err);
    *chosen = mem_alloc((size_t)o->budget, sizeof **chosen, err);
    if (order == NULL || *chosen == NULL)
        goto out;
    query_order((uint64_t)o->seed, n, order);
    for (int64_t i = 0; i < o->budget; i++)
        (*chosen)[i] = order[i];
    rc = 0;
out:
    mem_free(order);
    return rc;
}

/* A budget counts unique images, so that the set that they are taken from must have each once. */
static int query_check_set(const struct task_context *ctx, int64_t n, struct err *err)
{
    int64_t unique;
    const cJSON *set = cJSON_GetObjectItemCaseSensitive(ctx->params, "dataset");
    if (dataset_overlap(set, set, &unique, err) != 0)
        return -1;
    if (unique < n)
        return err_set(err,
                       "the query set has %lld images, but only %lld different ones: a budget counts unique images",
                       (long long)n, (long long)unique);
    return 0;
}

static int query_write(const struct task_context *ctx, const struct query_options *o, const int64_t *chosen,
                       const float *answers, int64_t dim, int64_t size, struct err *err)
{
    const int64_t one = 1;
    char path[PATH_MAX];
    if (task_output_path(ctx, ".h5", path, err) != 0)
        return -1;
    struct result *r = result_create(path, ctx->provenance, err);
    if (r == NULL)
        return -1;
    int64_t rows[2] = { o->budget * o->views, dim };
    if (result_int(r, "/indices", "queried images, in the order of the queries", NULL, chosen, 1, &o->budget, err) ||
        result_int(r, "/size", "the victim's input size, to which the images were resized", "pixels", &size, 1, &one,
                   err) ||
        result_float(r, "/answers", "the victim's representations: image major, then view", NULL, answers, 2, rows,
                     err)) {
        result_abandon(r);
        return -1;
    }
    return result_commit(r, err);
}

static int query_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char weights[PATH_MAX];
    struct query_options o;
    struct images all = { 0 }, asked = { 0 };
    struct encoder *victim = NULL;
    int64_t *chosen = NULL;
    float *answers = NULL;
    if (query_parse(ctx->params, &o, err) != 0 || task_input_path(ctx, "victim", ".safetensors", weights, err) != 0 ||
        task_images(ctx, &all, err) != 0 || query_check_set(ctx, all.n, err) != 0 ||
        query_choose(&o, all.n, &chosen, err) != 0 || task_take_images(&all, chosen, o.budget, &asked, err) != 0)
        goto out;
    victim = encoder_load(ctx->device, weights, err);
    if (victim == NULL)
        goto out;
    int64_t dim = encoder_dim(victim);
    answers = mem_alloc((size_t)(o.budget * o.views), (size_t)dim * sizeof *answers, err);
    if (answers == NULL)
        goto out;
    size_t bytes;
    if (encoder_memory(victim, &asked, (int)o.views, (int)o.batch, &bytes, err) != 0)
        goto out;
    rc = task_reserve(ctx, bytes, err);
    if (rc != 0)
        goto out;
    rc = encoder_answer(victim, &asked, chosen, (int)o.views, ctx->params, (int)o.batch, answers, task_report_fraction,
                        ctx, err);
    if (rc == 0)
        rc = query_write(ctx, &o, chosen, answers, dim, encoder_size(victim), err);
out:
    mem_free(answers);
    mem_free(chosen);
    encoder_destroy(victim);
    images_fini(&asked);
    images_fini(&all);
    return rc;
}

const struct task_kind task_kind_query = { .name = "query",
                                           .help = "ask the victim about images and store its answers",
                                           .options = query_options,
                                           .options_size = sizeof(struct query_options),
                                           .tables = query_tables,
                                           .check = query_contradictions,
                                           .elsewhere = query_elsewhere,
                                           .needs_device = true,
                                           .cost = query_cost,
                                           .run = query_run };
