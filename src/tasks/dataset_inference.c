/* Dataset inference on stored representations: is this encoder the victim's or a
 * copy of it? Every statistic of the table, over several seeds. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/stop.h"
#include "stats/inference.h"
#include "tasks/common.h"

struct own_options {
    struct string_list statistics;
    int64_t seed, seeds;
    double fit_fraction;
    char normalize[OPTION_NAME];
};

static const struct option own_options[] = {
    { "statistics", OPTION_STRINGS, offsetof(struct own_options, statistics), "gap,learned", 0, 0, statistic_names,
      NULL, "test statistics, each with a row of its own" },
    { "seed", OPTION_INT, offsetof(struct own_options, seed), "-1", -1, OPTION_INT_MAX, NULL, NULL,
      "first seed of the splits and of the mixtures' starts; -1: derived from the campaign's and the trial, the same "
      "for all encoders" },
    { "seeds", OPTION_INT, offsetof(struct own_options, seeds), "1", 1, 1000, NULL, NULL,
      "number of splits and mixture starts: seed, seed + 1, ...; each is a row" },
    { "fit_fraction", OPTION_FLOAT, offsetof(struct own_options, fit_fraction), "0.5", 0.01, 0.99, NULL, NULL,
      "share of the members that mixtures are fitted on; the rest is tested" },
    { "normalize", OPTION_CHOICE, offsetof(struct own_options, normalize), "l2", 0, 0, rows_preparations, NULL,
      "of representations: l2; standardize each dimension and then l2; none" },
    OPTION_END,
};

static int inference_tables(const cJSON *block, const struct option **tables, int max, struct err *err)
{
    (void)block;
    if (max < 2)
        return err_set(err, "too many option tables");
    tables[0] = own_options;
    tables[1] = inference_options_table;
    return 2;
}

struct row {
    const char *statistic, *covariance, *verdict, *reason;
    int64_t seed, components, converged, n_fit, n_members, n_heldout, dim;
    double loglik_members, loglik_heldout, gap, t, df, p_value, log10_p, cohen_d, alpha;
    char reason_text[256]; /* what `reason` points to */
};

static const struct column columns[] = {
    { "statistic", COLUMN_STRING, offsetof(struct row, statistic), NULL, "test statistic" },
    { "seed", COLUMN_INT, offsetof(struct row, seed), NULL, "seed of the splits and of the mixtures' starts" },
    { "components", COLUMN_INT, offsetof(struct row, components), NULL,
      "components of the mixture; -1: the statistic fits several mixtures" },
    { "covariance", COLUMN_STRING, offsetof(struct row, covariance), NULL, "full or diag" },
    { "converged", COLUMN_INT, offsetof(struct row, converged), NULL,
      "1: every mixture converged; 0: at least one stopped at max_iterations; -1: none was fitted" },
    { "n_fit", COLUMN_INT, offsetof(struct row, n_fit), NULL, "members that fitted" },
    { "n_members", COLUMN_INT, offsetof(struct row, n_members), NULL, "members that were tested" },
    { "n_heldout", COLUMN_INT, offsetof(struct row, n_heldout), NULL, "held-out images that were tested" },
    { "dim", COLUMN_INT, offsetof(struct row, dim), NULL, "length of a representation" },
    { "loglik_members", COLUMN_FLOAT, offsetof(struct row, loglik_members), "nats", "mean score of the members" },
    { "loglik_heldout", COLUMN_FLOAT, offsetof(struct row, loglik_heldout), "nats", "mean score of the held-out" },
    { "gap", COLUMN_FLOAT, offsetof(struct row, gap), "nats", "difference of the two means" },
    { "t", COLUMN_FLOAT, offsetof(struct row, t), NULL, "Welch's t" },
    { "df", COLUMN_FLOAT, offsetof(struct row, df), NULL, "degrees of freedom (Welch-Satterthwaite)" },
    { "p_value", COLUMN_FLOAT, offsetof(struct row, p_value), NULL, "one-sided: members score higher" },
    { "log10_p", COLUMN_FLOAT, offsetof(struct row, log10_p), NULL, "decimal logarithm of p, without underflow" },
    { "cohen_d", COLUMN_FLOAT, offsetof(struct row, cohen_d), NULL, "gap in pooled standard deviations" },
    { "alpha", COLUMN_FLOAT, offsetof(struct row, alpha), NULL, "level of the test" },
    { "verdict", COLUMN_STRING, offsetof(struct row, verdict), NULL, "stolen, inconclusive or assumptions violated" },
    { "reason", COLUMN_STRING, offsetof(struct row, reason), NULL, "why assumptions are violated" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

/* Representations of the suspect, and the members of one seed's split. */
struct samples {
    int64_t d, n_members, n_heldout;
    double *members, *heldout;
    double *fit, *test; /* rows of members in the split's order; test points into fit */
    uint32_t *order;
};

static void samples_fini(struct samples *s)
{
    mem_free(s->members);
    mem_free(s->heldout);
    mem_free(s->fit);
    mem_free(s->order);
}

static int samples_read(const struct task_context *ctx, const struct own_options *own, struct samples *s,
                        struct err *err)
{
    int64_t d;
    if (task_representations(ctx, "members", &s->n_members, &s->d, &s->members, err) != 0 ||
        task_representations(ctx, "heldout", &s->n_heldout, &d, &s->heldout, err) != 0)
        return -1;
    if (d != s->d)
        return err_set(err, "members have %lld dimensions, held-out images %lld", (long long)s->d, (long long)d);
    s->fit = mem_alloc((size_t)s->n_members, (size_t)s->d * sizeof *s->fit, err);
    s->order = mem_alloc((size_t)s->n_members, sizeof *s->order, err);
    if (s->fit == NULL || s->order == NULL)
        return -1;
    double *const parts[] = { s->members, s->heldout };
    const int64_t n[] = { s->n_members, s->n_heldout };
    return rows_prepare(own->normalize, parts, n, 2, s->d, err);
}

static void samples_split(struct samples *s, uint64_t seed, int64_t n_fit)
{
    inference_split(seed, s->n_members, n_fit, s->order);
    for (int64_t i = 0; i < s->n_members; i++)
        memcpy(s->fit + i * s->d, s->members + (int64_t)s->order[i] * s->d, (size_t)s->d * sizeof *s->fit);
    s->test = s->fit + n_fit * s->d;
}

/* The tested scores, below `group`; none where there was no test. */
static int write_scores(struct result *r, const char *group, const struct statistic *statistic,
                        const struct inference_result *v, struct err *err)
{
    const struct {
        const char *name, *what;
        const double *scores;
        const int64_t *n;
    } sides[] = {
        { "members", "tested member", v->scores_members, &v->n_members },
        { "heldout", "tested held-out image", v->scores_heldout, &v->n_heldout },
    };
    for (int i = 0; i < 2; i++) {
        char path[2 * OPTION_NAME], text[512];
        snprintf(path, sizeof path, "%s/%s", group, sides[i].name);
        snprintf(text, sizeof text, "of each %s: %s (statistic %s, first seed)", sides[i].what, statistic->score,
                 statistic->name);
        if (result_double(r, path, text, "nats", sides[i].scores, 1, sides[i].n, err) != 0)
            return -1;
    }
    return 0;
}

static int run_statistic(struct task_context *ctx, const struct statistic *statistic, const struct samples *s,
                         int64_t n_fit, const struct inference_options *o, struct row *row, struct result *r,
                         const char *keep, struct err *err)
{
    struct inference_data data = { .d = s->d,
                                   .n_fit = n_fit,
                                   .n_members = s->n_members - n_fit,
                                   .n_heldout = s->n_heldout,
                                   .fit = s->fit,
                                   .members = s->test,
                                   .heldout = s->heldout };
    struct inference_result v = { 0 };
    if (statistic->run(ctx->device, &data, o, &v, err) != 0)
        return err_prefix(err, "statistic %s, seed %lld", statistic->name, (long long)o->seed);
    *row = (struct row){ .statistic = statistic->name,
                         .covariance = o->covariance,
                         .verdict = v.verdict,
                         .seed = o->seed,
                         .components = v.components,
                         .converged = inference_converged(&v),
                         .n_fit = n_fit,
                         .n_members = v.n_members,
                         .n_heldout = v.n_heldout,
                         .dim = v.dim,
                         .loglik_members = v.loglik_members,
                         .loglik_heldout = v.loglik_heldout,
                         .gap = v.gap,
                         .t = v.t,
                         .df = v.df,
                         .p_value = v.p_value,
                         .log10_p = v.log10_p,
                         .cohen_d = v.cohen_d,
                         .alpha = v.alpha };
    snprintf(row->reason_text, sizeof row->reason_text, "%s", v.reason);
    row->reason = row->reason_text;
    int rc = keep[0] != '\0' ? write_scores(r, keep, statistic, &v, err) : 0;
    inference_result_fini(&v);
    return rc;
}

static int64_t fitted_members(const struct own_options *own, int64_t n_members)
{
    return (int64_t)((double)n_members * own->fit_fraction + 0.5);
}

/* The one mixture of `gap` has the components that the options give; it needs as many rows. */
static void inference_contradictions(const struct task_facts *f, const struct complaints *to)
{
    struct own_options own;
    struct inference_options o;
    struct err ignored;
    if (f->images == 0 || options_from_json(own_options, f->params, &own, &ignored) != 0 ||
        options_from_json(inference_options_table, f->params, &o, &ignored) != 0)
        return;
    bool gap = false;
    for (int i = 0; i < own.statistics.n; i++)
        gap = gap || strcmp(own.statistics.v[i], "gap") == 0;
    int64_t n_fit = fitted_members(&own, f->images);
    if (gap && o.components > n_fit)
        complain(to, "components", "fit_fraction",
                 "a mixture of %lld components needs at least as many rows; of %lld members %lld fit it",
                 (long long)o.components, (long long)f->images, (long long)n_fit);
}

/* The largest of the statistics. */
static size_t memory(const struct own_options *own, const struct inference_data *data,
                     const struct inference_options *o)
{
    size_t most = 0;
    for (int i = 0; i < own->statistics.n; i++) {
        const size_t bytes = statistic_find(own->statistics.v[i])->memory(data, o);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static double inference_cost(const struct task_sizing *s, struct task_extent *out)
{
    struct own_options own;
    struct inference_options o;
    struct err ignored;
    const struct task_extent *members = task_sizing_input(s, "members"), *heldout = task_sizing_input(s, "heldout");
    (void)out;
    if (options_from_json(own_options, s->params, &own, &ignored) != 0 ||
        options_from_json(inference_options_table, s->params, &o, &ignored) != 0)
        return 1;
    struct inference_data data = { .d = members->dim,
                                   .n_fit = fitted_members(&own, members->rows),
                                   .n_heldout = heldout->rows };
    data.n_members = members->rows - data.n_fit;
    double once = task_array_seconds(members->rows + heldout->rows, members->dim), each = 0;
    for (int i = 0; i < own.statistics.n; i++)
        each += once + statistic_find(own.statistics.v[i])->seconds(&data, &o);
    return task_start_seconds + once + (double)own.seeds * each;
}

/* Where the scores of statistic `i` go: of the first to where readers look first, of
 * the others to a group of their own; "" for a statistic that is there twice. */
static void scores_group(const struct own_options *own, int i, char *out, size_t size)
{
    bool again = false;
    for (int k = 0; k < i; k++)
        again |= strcmp(own->statistics.v[k], own->statistics.v[i]) == 0;
    snprintf(out, size, "%s%s%s", again ? "" : "/loglik", again || i == 0 ? "" : "/",
             again || i == 0 ? "" : own->statistics.v[i]);
}

static int inference_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char path[PATH_MAX];
    struct own_options own;
    struct inference_options o;
    struct samples s = { 0 };
    struct row *rows = NULL;
    struct result *r = NULL;
    if (options_from_json(own_options, ctx->params, &own, err) != 0 ||
        options_from_json(inference_options_table, ctx->params, &o, err) != 0 || task_seed(own.seed, err) != 0 ||
        samples_read(ctx, &own, &s, err) != 0 || task_output_path(ctx, ".h5", path, err) != 0)
        goto out;
    int64_t n_fit = fitted_members(&own, s.n_members);
    size_t n_rows = (size_t)(own.seeds * own.statistics.n), at = 0;
    rows = mem_alloc(n_rows, sizeof *rows, err);
    r = rows != NULL ? result_create(path, ctx->provenance, err) : NULL;
    if (r == NULL)
        goto out;
    const struct inference_data numbers = {
        .d = s.d, .n_fit = n_fit, .n_members = s.n_members - n_fit, .n_heldout = s.n_heldout
    };
    rc = task_await(ctx, memory(&own, &numbers, &o), err);
    if (rc != 0)
        goto out;
    rc = -1;
    for (int64_t k = 0; k < own.seeds; k++) {
        o.seed = own.seed + k;
        samples_split(&s, (uint64_t)o.seed, n_fit);
        for (int i = 0; i < own.statistics.n; i++) {
            if (stop_requested()) {
                rc = STOPPED; /* short enough to be done again from the start */
                goto out;
            }
            const struct statistic *statistic = statistic_find(own.statistics.v[i]);
            char keep[OPTION_NAME + 16] = "";
            if (k == 0)
                scores_group(&own, i, keep, sizeof keep);
            if (run_statistic(ctx, statistic, &s, n_fit, &o, &rows[at++], r, keep, err) != 0)
                goto out;
            task_report_fraction(ctx, (double)at / (double)n_rows);
        }
    }
    if (result_table(r, "/scores/dataset_inference", "dataset inference, one row a statistic and seed", columns, rows,
                     sizeof *rows, n_rows, err) != 0)
        goto out;
    rc = result_commit(r, err);
    r = NULL;
out:
    result_abandon(r);
    mem_free(rows);
    samples_fini(&s);
    return rc;
}

static const struct task_need needs[] = {
    { "members", NEED_SUSPECT, NEED_MEMBERS },
    { "heldout", NEED_SUSPECT, NEED_HELDOUT },
    { NULL, NEED_SUSPECT, NEED_MEMBERS },
};

const struct task_kind task_kind_dataset_inference = { .name = "dataset_inference",
                                                       .help = "does the suspect derive from the victim?",
                                                       .options = own_options,
                                                       .options_size = sizeof(struct own_options),
                                                       .tables = inference_tables,
                                                       .check = inference_contradictions,
                                                       .needs = needs,
                                                       .needs_device = true,
                                                       .cost = inference_cost,
                                                       .run = inference_run };
