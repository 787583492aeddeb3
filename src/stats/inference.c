/* What the statistics of dataset inference share: options, cuts of the data,
 * checks of its assumptions, the test of the scores and the verdict. */
#include "stats/inference.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
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

/* -- rows that occur in two sets -- */

struct row_key {
    uint64_t hash;
    const double *row;
    int64_t d;
};

static int by_row(const void *a, const void *b)
{
    const struct row_key *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    for (int64_t c = 0; c < x->d; c++)
        if (x->row[c] != y->row[c]) /* as numbers: zeros of either sign are equal */
            return x->row[c] < y->row[c] ? -1 : 1;
    return 0;
}

static void row_keys(const double *x, int64_t n, int64_t d, struct row_key *out)
{
    for (int64_t i = 0; i < n; i++) {
        const double *row = x + i * d;
        uint64_t hash = 0xcbf29ce484222325u;
        for (int64_t c = 0; c < d; c++) {
            uint64_t bits;
            double value = row[c] == 0.0 ? 0.0 : row[c]; /* no zero has a sign */
            memcpy(&bits, &value, sizeof bits);
            hash = (hash ^ bits) * 0x100000001b3u;
            hash ^= hash >> 29;
        }
        out[i] = (struct row_key){ hash, row, d };
    }
}

/* Number of rows of a that b has, too; -1 without memory. */
static int64_t shared_rows(const double *a, int64_t na, const double *b, int64_t nb, int64_t d, struct err *err)
{
    int64_t shared = -1;
    struct row_key *ka = mem_alloc((size_t)na, sizeof *ka, err), *kb = mem_alloc((size_t)nb, sizeof *kb, err);
    if (ka == NULL || kb == NULL)
        goto out;
    row_keys(a, na, d, ka);
    row_keys(b, nb, d, kb);
    qsort(kb, (size_t)nb, sizeof *kb, by_row);
    shared = 0;
    for (int64_t i = 0; i < na; i++)
        shared += bsearch(&ka[i], kb, (size_t)nb, sizeof *kb, by_row) != NULL;
out:
    mem_free(kb);
    mem_free(ka);
    return shared;
}

/* Sets that must be disjoint may share one row in a hundred by accident (real
 * image sets do contain duplicates), not more. */
static int check_disjoint(const char *name_a, const double *a, int64_t na, const char *name_b, const double *b,
                          int64_t nb, int64_t d, struct inference_result *out, struct err *err)
{
    int64_t shared = shared_rows(a, na, b, nb, d, err);
    if (shared < 0)
        return -1;
    if (shared * 100 > na && !out->reason[0])
        snprintf(out->reason, sizeof out->reason, "%lld of the %lld %s are also in the %s", (long long)shared,
                 (long long)na, name_a, name_b);
    return 0;
}

/* The test takes rows for independent: one in a hundred may repeat an earlier row of its
 * own set (real image sets do contain duplicates), not more. */
static int check_distinct(const char *name, const double *x, int64_t n, int64_t d, struct inference_result *out,
                          struct err *err)
{
    struct row_key *keys = mem_alloc((size_t)n, sizeof *keys, err);
    if (keys == NULL)
        return -1;
    int64_t repeats = 0;
    row_keys(x, n, d, keys);
    qsort(keys, (size_t)n, sizeof *keys, by_row);
    for (int64_t i = 1; i < n; i++)
        repeats += by_row(&keys[i - 1], &keys[i]) == 0;
    mem_free(keys);
    if (repeats * 100 > n && !out->reason[0])
        snprintf(out->reason, sizeof out->reason,
                 "%lld of the %lld rows of the %s repeat another row; the test takes rows for independent",
                 (long long)repeats, (long long)n, name);
    return 0;
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
        snprintf(out->reason, sizeof out->reason,
                 "the test needs at least %d members and held-out rows; there are %lld and %lld", INFERENCE_MINIMUM,
                 (long long)n_members, (long long)n_heldout);
    if (check_disjoint("held-out rows", data->heldout, data->n_heldout, "members", data->members, data->n_members,
                       data->d, out, err) != 0 ||
        check_disjoint("held-out rows", data->heldout, data->n_heldout, "rows to fit", data->fit, data->n_fit, data->d,
                       out, err) != 0 ||
        check_disjoint("members", data->members, data->n_members, "rows to fit", data->fit, data->n_fit, data->d, out,
                       err) != 0)
        return -1;
    if (check_distinct("members", data->members, data->n_members, data->d, out, err) != 0 ||
        check_distinct("held-out set", data->heldout, data->n_heldout, data->d, out, err) != 0)
        return -1;
    if (t_test_welch(scores_members, n_members, scores_heldout, n_heldout, &test, &why) != 0) {
        test = (struct t_test){ NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
        if (!out->reason[0])
            snprintf(out->reason, sizeof out->reason, "%.200s", why.text);
    }
    out->loglik_members = test.mean_a;
    out->loglik_heldout = test.mean_b;
    out->gap = test.gap;
    out->t = test.t;
    out->df = test.df;
    out->p_value = test.p;
    out->log10_p = test.log10_p;
    out->cohen_d = test.cohen_d;
    out->verdict = out->reason[0] ? VIOLATED : test.p < options->alpha ? "stolen" : "inconclusive";
    return 0;
}
