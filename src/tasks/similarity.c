/* Similarity of a suspect's and the victim's representations of the victim's
 * training images, plain and after the obfuscations a thief might apply. */
#include <math.h>

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
    { "seed", OPTION_INT, offsetof(struct similarity_options, seed), "0", 0, 4294967295.0, NULL, NULL,
      "of the sample and of the obfuscations" },
    { "obfuscations", OPTION_STRINGS, offsetof(struct similarity_options, obfuscations), "none,shuffle,pad,transform",
      0, 0, obfuscation_names, NULL,
      "what a thief may do to the representations before they are compared; each is a row" },
    { NULL, 0, 0, NULL, 0, 0, NULL, NULL, NULL }
};

struct row {
    const char *obfuscation;
    int64_t n, dim;
    double cosine, cosine_ci, cosine_abs, cosine_abs_ci, l1, l1_ci, l2, l2_ci, linf, linf_ci, l2_score, l2_score_ci,
        mutual_information, mi_random, mi_self, mi_score;
};

#define NUMBER(name, unit, help) { #name, COLUMN_FLOAT, offsetof(struct row, name), unit, help }
static const struct column columns[] = {
    { "obfuscation", COLUMN_STRING, offsetof(struct row, obfuscation), NULL, "of the suspect's representations" },
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
    NUMBER(mi_random, "nats", "I(victim; random initialisation)"),
    NUMBER(mi_self, "nats", "I(victim; victim)"),
    NUMBER(mi_score, NULL, "scaled between random initialisation (0) and the victim itself (1); low where dimensions differ"),
    { NULL, COLUMN_INT, 0, NULL, NULL }
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
        *out = (struct similarity){ none, none, none, none, none, none };
        return 0;
    }
    if (d == s->dv)
        return similarity_compute(s->victim, x, s->n, d, out, err);
    double *wide = rows_widen(s->victim, s->n, s->dv, d, err);
    int rc = wide == NULL ? -1 : similarity_compute(wide, x, s->n, d, out, err);
    mem_free(wide);
    return rc;
}

static int fill_row(struct task_context *ctx, const struct samples *s, const struct obfuscation *o, uint64_t seed,
                    double mi_random, double mi_self, struct row *row, struct err *err)
{
    double *x = NULL, mi;
    int64_t d;
    struct similarity sim;
    int rc = -1;
    if (o->run(s->suspect, s->n, s->ds, seed, &x, &d, err) != 0 || distances(s, x, d, &sim, err) != 0 ||
        mutual_information(ctx->device, s->victim, s->dv, x, d, s->n, &mi, err) != 0)
        goto out;
    *row = (struct row){ .obfuscation = o->name,
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
                         .mutual_information = mi,
                         .mi_random = mi_random,
                         .mi_self = mi_self,
                         .mi_score = mi_score(mi, mi_random, mi_self) };
    rc = 0;
out:
    mem_free(x);
    return rc;
}

static double similarity_cost(const cJSON *params)
{
    struct similarity_options o;
    struct err ignored;
    return options_from_json(similarity_options, params, &o, &ignored) == 0 ? 0.2 + 0.2 * o.obfuscations.n : 1;
}

static int similarity_run(struct task_context *ctx, struct err *err)
{
    int rc = -1;
    char path[PATH_MAX];
    double mi_random, mi_self;
    struct similarity_options o;
    struct samples s = { 0 };
    struct row *rows = NULL;
    struct result *r = NULL;
    if (options_from_json(similarity_options, ctx->params, &o, err) != 0 || samples_read(ctx, &o, &s, err) != 0 ||
        task_output_path(ctx, ".h5", path, err) != 0 ||
        mutual_information(ctx->device, s.victim, s.dv, s.random, s.dr, s.n, &mi_random, err) != 0 ||
        mutual_information(ctx->device, s.victim, s.dv, s.victim, s.dv, s.n, &mi_self, err) != 0)
        goto out;
    rows = mem_alloc((size_t)o.obfuscations.n, sizeof *rows, err);
    if (rows == NULL)
        goto out;
    for (int i = 0; i < o.obfuscations.n; i++) {
        if (stop_requested()) {
            rc = STOPPED;
            goto out;
        }
        if (fill_row(ctx, &s, obfuscation_find(o.obfuscations.v[i]), (uint64_t)o.seed, mi_random, mi_self, &rows[i],
                     err) != 0)
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

static const struct task_need needs[] = { { "suspect", NEED_SUSPECT, NEED_MEMBERS },
                                          { "victim", NEED_VICTIM, NEED_MEMBERS },
                                          { "random", NEED_RANDOM, NEED_MEMBERS },
                                          { NULL, NEED_SUSPECT, NEED_MEMBERS } };

const struct task_kind task_kind_similarity = { .name = "similarity",
                                                .help = "distances and mutual information to the victim",
                                                .options = similarity_options,
                                                .options_size = sizeof(struct similarity_options),
                                                .needs = needs,
                                                .needs_device = true,
                                                .cost = similarity_cost,
                                                .run = similarity_run };
