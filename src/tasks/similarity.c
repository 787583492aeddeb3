/* Similarity of a suspect's and the victim's representations of the victim's
 * training images, plain and after the obfuscations a thief might apply. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/stop.h"
#include "stats/similarity.h"
#include "tasks/common.h"

struct similarity_options {
    int64_t sample, seed;
    struct string_list obfuscations;
};

static const struct option similarity_options[] = {
    { "sample", OPTION_INT, offsetof(struct similarity_options, sample), "20000", 2, 1000000, NULL, "images",
      "at most this many of the victim's training images, chosen by the seed" },
    { "seed", OPTION_INT, offsetof(struct similarity_options, seed), "-1", -1, OPTION_SEED_MAX, NULL, NULL,
      "of the sample and of the obfuscations; -1: derived from the campaign's and the trial, the same for all "
      "encoders" },
    { "obfuscations", OPTION_STRINGS, offsetof(struct similarity_options, obfuscations), "none,shuffle,pad,transform",
      0, 0, obfuscation_names, NULL,
      "what a thief may do to the representations before they are compared; each is a row" },
    OPTION_END,
};

struct row {
    const char *obfuscation, *reason;
    int64_t seed, n, dim, duplicates;
    double cosine, cosine_ci, cosine_abs, cosine_abs_ci, l1, l1_ci, l2, l2_ci, linf, linf_ci, l2_score, l2_score_ci,
        mutual_information, mutual_information_ci, mi_random, mi_self, mi_score, mi_score_ci;
    char reason_text[SIMILARITY_REASON + 32]; /* what `reason` points to */
};

#define NUMBER(name, unit, help) COLUMN_OF(struct row, name, COLUMN_FLOAT, unit, help)
static const struct column columns[] = {
    { "obfuscation", COLUMN_STRING, offsetof(struct row, obfuscation), NULL, "of the suspect's representations" },
    { "seed", COLUMN_INT, offsetof(struct row, seed), NULL, "seed of the sample and of the obfuscation" },
    { "n", COLUMN_INT, offsetof(struct row, n), NULL, "images compared" },
    { "dim", COLUMN_INT, offsetof(struct row, dim), NULL, "length of the suspect's representation" },
    NUMBER(cosine, NULL, "mean cosine"),
    NUMBER(cosine_ci, NULL, "half-width of its 99% interval"),
    NUMBER(cosine_abs, NULL, "mean absolute cosine"),
    NUMBER(cosine_abs_ci, NULL, "half-width of its 99% interval"),
    NUMBER(l1, NULL, "mean L1 distance of normalised representations"),
    NUMBER(l1_ci, NULL, "half-width of its 99% interval"),
    NUMBER(l2, NULL, "mean L2 distance of normalised representations"),
    NUMBER(l2_ci, NULL, "half-width of its 99% interval"),
    NUMBER(linf, NULL, "mean Linf distance of normalised representations"),
    NUMBER(linf_ci, NULL, "half-width of its 99% interval"),
    NUMBER(l2_score, NULL, "1 - l2 / 2"),
    NUMBER(l2_score_ci, NULL, "half-width of its 99% interval"),
    NUMBER(mutual_information, "nats", "Kozachenko-Leonenko estimate of I(victim; suspect)"),
    NUMBER(mutual_information_ci, "nats",
           "half-width of its 99% interval: scatter over images, taken as independent; no bound on the estimator's "
           "bias"),
    { "duplicates", COLUMN_INT, offsetof(struct row, duplicates), NULL,
      "images left out of the mutual information: their representation is repeated exactly" },
    NUMBER(mi_random, "nats", "I(victim; random initialisation)"),
    NUMBER(mi_self, "nats", "I(victim; victim)"),
    NUMBER(mi_score, NULL,
           "scaled between random initialisation (0) and the victim itself (1); low where dimensions differ"),
    NUMBER(mi_score_ci, NULL,
           "half-width of its 99% interval: that of the mutual information on this scale; the scale's ends are taken "
           "as exact"),
    { "reason", COLUMN_STRING, offsetof(struct row, reason), NULL,
      "why there is no number, of the victim's (first) and the suspect's (second) representations" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

/* Representations of the same images: victim (n, dv), suspect (n, ds), random (n, dr). */
struct samples {
    int64_t n, dv, ds, dr;
    double *victim, *suspect, *random;
};

/* Keeps the rows `order[0 .. keep)`; x is replaced. */
static int take_rows(double **x, int64_t d, const uint32_t *order, int64_t keep, struct err *err)
{
    double *kept = rows_gather(*x, order, keep, d, err);
    if (kept == NULL)
        return -1;
    mem_free(*x);
    *x = kept;
    return 0;
}

static int samples_read(const struct task_context *ctx, const struct similarity_options *o, struct samples *s,
                        struct err *err)
{
    int rc = -1;
    int64_t n_suspect, n_random;
    uint32_t *order = NULL;
    if (task_representations(ctx, "victim", &s->n, &s->dv, &s->victim, err) != 0 ||
        task_representations(ctx, "suspect", &n_suspect, &s->ds, &s->suspect, err) != 0 ||
        task_representations(ctx, "random", &n_random, &s->dr, &s->random, err) != 0)
        return -1;
    if (n_suspect != s->n || n_random != s->n)
        return err_set(err, "victim, suspect and random encoder represent %lld, %lld and %lld images", (long long)s->n,
                       (long long)n_suspect, (long long)n_random);
    if (s->n <= o->sample)
        return 0;
    order = mem_alloc((size_t)s->n, sizeof *order, err);
    if (order == NULL)
        goto out;
    struct rng rng = rng_at((uint64_t)o->seed, RNG_SAMPLE, 0, 0, 0);
    rng_permutation(&rng, order, (uint32_t)s->n);
    if (take_rows(&s->victim, s->dv, order, o->sample, err) != 0 ||
        take_rows(&s->suspect, s->ds, order, o->sample, err) != 0 ||
        take_rows(&s->random, s->dr, order, o->sample, err) != 0)
        goto out;
    s->n = o->sample;
    rc = 0;
out:
    mem_free(order);
    return rc;
}

/* Distances want equal lengths: an obfuscated (padded) suspect is compared with
 * the victim padded likewise; encoders of different dimensions have none. */
static int distances(const struct samples *s, const double *x, int64_t d, struct similarity *out, struct err *err)
{
    const struct estimate none = { NAN, NAN };
    if (s->ds != s->dv) {
        *out = (struct similarity){ none, none, none, none, none, none, "" };
        snprintf(out->reason, sizeof out->reason, "lengths of %lld and %lld have no cosine and no distance",
                 (long long)s->dv, (long long)s->ds);
        return 0;
    }
    if (d == s->dv)
        return similarity_compute(s->victim, x, s->n, d, out, err);
    double *wide = rows_widen(s->victim, s->n, s->dv, d, err);
    int rc = wide == NULL ? -1 : similarity_compute(wide, x, s->n, d, out, err);
    mem_free(wide);
    return rc;
}

/* The ends of the score's scale: the victim against a random encoder and against itself. */
struct ends {
    struct information random, self;
};

/* The first of the reasons why this row lacks numbers. */
static void fill_reason(struct row *row, const struct similarity *sim, const struct information *mi,
                        const struct ends *ends)
{
    const struct {
        const char *whose, *text;
    } reasons[] = {
        { "", sim->reason },
        { "", mi->reason },
        { "victim with itself: ", ends->self.reason },
        { "victim with a random encoder: ", ends->random.reason },
    };
    size_t i = 0, n = sizeof reasons / sizeof *reasons;
    while (i < n && reasons[i].text[0] == '\0')
        i++;
    if (i < n)
        snprintf(row->reason_text, sizeof row->reason_text, "%s%s", reasons[i].whose, reasons[i].text);
    row->reason = row->reason_text;
}

static int fill_row(struct task_context *ctx, const struct samples *s, const struct obfuscation *o, int64_t seed,
                    const struct ends *ends, struct row *row, struct err *err)
{
    double *x = NULL;
    struct information mi;
    int64_t d;
    struct similarity sim;
    int rc = -1;
    if (o->run(s->suspect, s->n, s->ds, (uint64_t)seed, &x, &d, err) != 0 || distances(s, x, d, &sim, err) != 0 ||
        mutual_information(ctx->device, s->victim, s->dv, x, d, s->n, &mi, err) != 0)
        goto out;
    struct estimate score = mi_score(mi.nats, ends->random.nats.value, ends->self.nats.value);
    *row = (struct row){ .obfuscation = o->name,
                         .seed = seed,
                         .n = s->n,
                         .dim = d,
                         .cosine = sim.cosine.value,
                         .cosine_ci = sim.cosine.ci,
                         .cosine_abs = sim.cosine_abs.value,
                         .cosine_abs_ci = sim.cosine_abs.ci,
                         .l1 = sim.l1.value,
                         .l1_ci = sim.l1.ci,
                         .l2 = sim.l2.value,
                         .l2_ci = sim.l2.ci,
                         .linf = sim.linf.value,
                         .linf_ci = sim.linf.ci,
                         .l2_score = sim.l2_score.value,
                         .l2_score_ci = sim.l2_score.ci,
                         .mutual_information = mi.nats.value,
                         .mutual_information_ci = mi.nats.ci,
                         .duplicates = mi.duplicates,
                         .mi_random = ends->random.nats.value,
                         .mi_self = ends->self.nats.value,
                         .mi_score = score.value,
                         .mi_score_ci = score.ci };
    fill_reason(row, &sim, &mi, ends);
    rc = 0;
out:
    mem_free(x);
    return rc;
}

/* Of the victim beside the widest of the others, which is a padded suspect. */
static size_t memory(const struct samples *s)
{
    const int64_t padded = 2 * s->ds, other = s->dv > s->dr ? s->dv : s->dr;
    return mutual_information_memory(s->n, s->dv, padded > other ? padded : other);
}

static double similarity_cost(const struct task_sizing *s, struct task_extent *out)
{
    struct similarity_options o;
    struct err ignored;
    const struct task_extent *victim = task_sizing_input(s, "victim"), *suspect = task_sizing_input(s, "suspect");
    (void)out;
    if (options_from_json(similarity_options, s->params, &o, &ignored) != 0)
        return 1;
    int64_t n = victim->rows < o.sample ? victim->rows : o.sample;
    double ends = 2 * mutual_information_seconds(n, victim->dim, victim->dim);
    double row = mutual_information_seconds(n, victim->dim, suspect->dim) + task_array_seconds(n, suspect->dim);
    return task_start_seconds + task_array_seconds(victim->rows, 2 * victim->dim + suspect->dim) + ends +
           o.obfuscations.n * row;
}

static int similarity_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char path[PATH_MAX];
    struct ends ends;
    struct similarity_options o;
    struct samples s = { 0 };
    struct row *rows = NULL;
    struct result *r = NULL;
    if (options_from_json(similarity_options, ctx->params, &o, err) != 0 || task_seed(o.seed, err) != 0 ||
        samples_read(ctx, &o, &s, err) != 0 || task_output_path(ctx, ".h5", path, err) != 0)
        goto out;
    rc = task_await(ctx, memory(&s), err);
    if (rc != 0)
        goto out;
    rc = -1;
    if (mutual_information(ctx->device, s.victim, s.dv, s.random, s.dr, s.n, &ends.random, err) != 0 ||
        mutual_information(ctx->device, s.victim, s.dv, s.victim, s.dv, s.n, &ends.self, err) != 0)
        goto out;
    rows = mem_alloc((size_t)o.obfuscations.n, sizeof *rows, err);
    if (rows == NULL)
        goto out;
    for (int i = 0; i < o.obfuscations.n; i++) {
        if (stop_requested()) {
            rc = STOPPED;
            goto out;
        }
        if (fill_row(ctx, &s, obfuscation_find(o.obfuscations.v[i]), o.seed, &ends, &rows[i], err) != 0)
            goto out;
        task_report_fraction(ctx, (double)(i + 1) / o.obfuscations.n);
    }
    r = result_create(path, ctx->provenance, err);
    if (r == NULL || result_table(r, "/scores/similarity", "similarity to the victim, one row an obfuscation", columns,
                                  rows, sizeof *rows, (size_t)o.obfuscations.n, err) != 0)
        goto out;
    rc = result_commit(r, err);
    r = NULL;
out:
    result_abandon(r);
    mem_free(rows);
    mem_free(s.victim);
    mem_free(s.suspect);
    mem_free(s.random);
    return rc;
}

static const struct task_need needs[] = {
    { "suspect", NEED_SUSPECT, NEED_MEMBERS },
    { "victim", NEED_VICTIM, NEED_MEMBERS },
    { "random", NEED_RANDOM, NEED_MEMBERS },
    { NULL, NEED_SUSPECT, NEED_MEMBERS },
};

const struct task_kind task_kind_similarity = { .name = "similarity",
                                                .help = "distances and mutual information to the victim",
                                                .options = similarity_options,
                                                .options_size = sizeof(struct similarity_options),
                                                .needs = needs,
                                                .needs_device = true,
                                                .cost = similarity_cost,
                                                .run = similarity_run };
