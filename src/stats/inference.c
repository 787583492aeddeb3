/* What the statistics of dataset inference share: options, cuts of the data,
 * checks of its assumptions, the test of the scores and the verdict. */
#include "stats/inference.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stats/duplicates.h"
#include "stats/tests.h"

static const char *const covariances[] = { "full", "diag", NULL };

static const char VIOLATED[] = "assumptions violated";

#define AT(member) offsetof(struct inference_options, member)
const struct option inference_options_table[] = {
    { "components", OPTION_INT, AT(components), "10", 1, 10000, NULL, NULL,
      "components of the mixture (statistic gap)" },
    { "covariance", OPTION_CHOICE, AT(covariance), "diag", 0, 0, covariances, NULL, "covariances of the mixtures" },
    { "alpha", OPTION_FLOAT, AT(alpha), "0.05", 0, 1, NULL, NULL, "level: stolen if p < alpha" },
    { "starts", OPTION_INT, AT(starts), "3", 1, 1000, NULL, NULL, "k-means++ starts of a mixture; the best wins" },
    { "max_iterations", OPTION_INT, AT(max_iterations), "100", 1, 100000, NULL, NULL, "of EM, per start" },
    { "tolerance", OPTION_FLOAT, AT(tolerance), "0.001", 0, 1e9, NULL, "nats",
      "EM stops when the mean log-likelihood changes by less" },
    { "regularization", OPTION_FLOAT, AT(regularization), "1e-6", 0, 1e9, NULL, NULL,
      "added to the diagonal of covariances" },
    OPTION_END,
};

#define STATISTIC(name) extern const struct statistic statistic_##name;
#include "stats/statistics.def"
#undef STATISTIC

const struct statistic *const statistics[] = {
#define STATISTIC(name) &statistic_##name,
#include "stats/statistics.def"
#undef STATISTIC
    NULL,
};

const char *const statistic_names[] = {
#define STATISTIC(name) #name,
#include "stats/statistics.def"
#undef STATISTIC
    NULL,
};

const struct statistic *statistic_find(const char *name)
{
    for (int i = 0; statistics[i] != NULL; i++)
        if (strcmp(statistics[i]->name, name) == 0)
            return statistics[i];
    return NULL;
}

void inference_result_fini(struct inference_result *r)
{
    if (r == NULL)
        return;
    mem_free(r->scores_members);
    mem_free(r->scores_heldout);
    r->scores_members = r->scores_heldout = NULL;
}

int inference_converged(const struct inference_result *r)
{
    return r->mixtures == 0 ? -1 : r->unconverged == 0;
}

void inference_count_mixture(struct inference_result *out, const struct gmm *fitted)
{
    out->mixtures++;
    out->unconverged += !fitted->converged;
}

void inference_cut(uint64_t seed, uint32_t purpose, int64_t n, int64_t n_first, uint32_t *order)
{
    struct rng rng = rng_at(seed, RNG_SPLIT, purpose, 0, 0);
    rng_permutation(&rng, order, (uint32_t)n);
    rows_order_ascending(order, n_first);
    rows_order_ascending(order + n_first, n - n_first);
}

void inference_split(uint64_t seed, int64_t n, int64_t n_first, uint32_t *order)
{
    inference_cut(seed, 0, n, n_first, order);
}

int inference_check(const struct inference_data *data, struct err *err)
{
    if (data->d < 1 || data->n_fit < 1 || data->n_members < 1 || data->n_heldout < 1)
        return err_set(err,
                       "dataset inference needs rows to fit, members and held-out rows; there are %lld, %lld and "
                       "%lld with %lld columns",
                       (long long)data->n_fit, (long long)data->n_members, (long long)data->n_heldout,
                       (long long)data->d);
    if (data->n_fit > INT32_MAX || data->n_members > INT32_MAX || data->n_heldout > INT32_MAX)
        return err_set(err, "dataset inference takes at most %d rows in a set", INT32_MAX);
    if (rows_check(data->fit, data->n_fit, data->d, "the set to fit", err) != 0 ||
        rows_check(data->members, data->n_members, data->d, "the members' set", err) != 0 ||
        rows_check(data->heldout, data->n_heldout, data->d, "the held-out set", err) != 0)
        return -1;
    return 0;
}

void inference_gmm_options(const struct inference_options *options, int64_t components, struct gmm_options *out)
{
    *out = (struct gmm_options){
        .components = components,
        .covariance = strcmp(options->covariance, "full") == 0 ? COVARIANCE_FULL : COVARIANCE_DIAG,
        .seed = (uint64_t)options->seed,
        .starts = options->starts,
        .max_iterations = options->max_iterations,
        .tolerance = options->tolerance,
        .regularization = options->regularization,
    };
}

size_t inference_mixture_memory(const struct inference_data *data, const struct inference_options *options,
                                int64_t components)
{
    struct gmm_options fit;
    int64_t rows = data->n_fit > data->n_members ? data->n_fit : data->n_members;
    rows = rows > data->n_heldout ? rows : data->n_heldout;
    inference_gmm_options(options, components, &fit);
    return gmm_memory(rows, data->d, components, fit.covariance);
}

/* -- assumptions of the test -- */

__attribute__((format(printf, 2, 3))) static void violated(struct inference_result *out, const char *reason, ...)
{
    va_list args;
    if (out->reason[0] != '\0') /* the first reason stays */
        return;
    va_start(args, reason);
    vsnprintf(out->reason, sizeof out->reason, reason, args);
    va_end(args);
}

/* More rows than happen to be there twice: real image sets do contain duplicates. */
static bool too_many(int64_t rows, int64_t n)
{
    return rows * 100 > n;
}

/* The sets must be disjoint, and rows of one set independent: of repeated rows the
 * test would believe that each is a further observation. */
static int check_duplicates(const struct inference_data *data, struct inference_result *out, struct err *err)
{
    enum { FIT, MEMBERS, HELDOUT };
    static const char *const rows[] = { "rows to fit", "rows of the members", "held-out rows" };
    static const char *const set[] = { "rows to fit", "members", "held-out rows" };
    static const int pairs[][2] = { { HELDOUT, MEMBERS }, { HELDOUT, FIT }, { MEMBERS, FIT } };
    const struct row_set sets[] = { { data->fit, data->n_fit },
                                    { data->members, data->n_members },
                                    { data->heldout, data->n_heldout } };
    int64_t count[DUPLICATE_SETS][DUPLICATE_SETS];
    if (duplicates_count(sets, data->d, count, err) != 0)
        return -1;
    for (int i = 0; i < 3; i++) {
        const int a = pairs[i][0], b = pairs[i][1];
        if (too_many(count[a][b], sets[a].n))
            violated(out, "%lld of %lld %s are also in the %s", (long long)count[a][b], (long long)sets[a].n, rows[a],
                     set[b]);
    }
    for (int i = 0; i < 3; i++) {
        out->repeated[i] = count[i][i];
        if (too_many(count[i][i], sets[i].n))
            violated(out, "%lld of %lld %s repeat other rows of the same set, and the test takes independent rows",
                     (long long)count[i][i], (long long)sets[i].n, rows[i]);
    }
    return 0;
}

/* All scores are then a constant and rounding. */
static void check_collapse(const struct inference_data *data, struct inference_result *out)
{
    const double *const parts[] = { data->fit, data->members, data->heldout };
    const int64_t n[] = { data->n_fit, data->n_members, data->n_heldout };
    if (rows_constant_parts(parts, n, 3, data->d))
        violated(out, "the representations are the same for all images, but for rounding: the encoder has collapsed");
}

/* A log-likelihood is a sum of `d` terms and carries their rounding. */
static const double SCORE_ROUNDING = 1e-10;

static void check_spread(const struct inference_data *data, const struct t_test *test, struct inference_result *out)
{
    const double size = fabs(test->mean_a) + fabs(test->mean_b) + (double)data->d;
    if (isfinite(test->deviation) && test->deviation <= SCORE_ROUNDING * size)
        violated(out, "the scores differ by rounding only: their standard deviation is %.2g at means of %.6g and %.6g",
                 test->deviation, test->mean_a, test->mean_b);
}

int inference_untested(const struct inference_data *data, const struct inference_options *options,
                       struct inference_result *out, struct err *err, const char *reason, ...)
{
    va_list args;
    *out = (struct inference_result){
        .dim = data->d,
        .components = -1,
        .loglik_members = NAN,
        .loglik_heldout = NAN,
        .gap = NAN,
        .t = NAN,
        .df = NAN,
        .p_value = NAN,
        .log10_p = NAN,
        .cohen_d = NAN,
        .alpha = options->alpha,
        .verdict = VIOLATED,
    };
    va_start(args, reason);
    vsnprintf(out->reason, sizeof out->reason, reason, args);
    va_end(args);
    out->scores_members = mem_alloc(0, sizeof *out->scores_members, err);
    out->scores_heldout = mem_alloc(0, sizeof *out->scores_heldout, err);
    if (out->scores_members != NULL && out->scores_heldout != NULL)
        return 0;
    inference_result_fini(out);
    return -1;
}

int inference_decide(const struct inference_data *data, const struct inference_options *options, double *scores_members,
                     int64_t n_members, double *scores_heldout, int64_t n_heldout, struct inference_result *out,
                     struct err *err)
{
    struct t_test test;
    struct err why;
    *out = (struct inference_result){
        .components = out->components,
        .mixtures = out->mixtures,
        .unconverged = out->unconverged,
    };
    out->n_members = n_members;
    out->n_heldout = n_heldout;
    out->dim = data->d;
    out->alpha = options->alpha;
    out->scores_members = scores_members;
    out->scores_heldout = scores_heldout;
    if (n_members < INFERENCE_MINIMUM || n_heldout < INFERENCE_MINIMUM)
        violated(out, "the test needs at least %d members and held-out rows; there are %lld and %lld",
                 INFERENCE_MINIMUM, (long long)n_members, (long long)n_heldout);
    if (check_duplicates(data, out, err) != 0)
        return -1;
    check_collapse(data, out);
    if (t_test_welch(scores_members, n_members, scores_heldout, n_heldout, &test, &why) != 0) {
        test = (struct t_test){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
        violated(out, "%.200s", why.text);
    }
    check_spread(data, &test, out);
    out->loglik_members = test.mean_a;
    out->loglik_heldout = test.mean_b;
    out->gap = test.gap;
    out->t = test.t;
    out->df = test.df;
    out->p_value = test.p;
    out->log10_p = test.log10_p;
    out->cohen_d = test.cohen_d;
    out->verdict = out->reason[0] != '\0' ? VIOLATED : test.p < options->alpha ? "stolen" : "inconclusive";
    return 0;
}
