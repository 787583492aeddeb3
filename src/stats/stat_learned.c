/* A statistic whose direction is learned. A contrastive encoder spreads its
 * training images over the sphere, so that members may well be *less* likely
 * under a mixture than held-out images, and the published one-sided gap never
 * fires. Here one part of the members and of the held-out images learns how
 * likelihoods under several mixtures tell the two apart; the untouched rest is
 * tested. For an encoder that treats both alike, tested members and held-out
 * images are exchangeable whatever was learned, so the test keeps its level.
 *
 *   fit       -> first half: mixtures       second half: regression
 *   held-out  -> part to learn from (in the proportion fit : members), halved
 *                likewise; the rest is tested
 *
 * Features of an image: its log-likelihoods under mixtures of 1 to 5 components
 * fitted on members alone, on held-out images alone and on both. */
#include "stats/inference.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "stats/logistic.h"

enum {
    COMPONENTS_MAX = 5,
    POPULATIONS = 3, /* members, held-out, both */
    FEATURES = POPULATIONS * COMPONENTS_MAX,
    LEARN_MINIMUM = 4 * COMPONENTS_MAX, /* rows of each kind to learn from: twice the components in each half */
};

/* Weight of the penalty on standardised features: a prior of standard deviation
 * 1 on each coefficient. Log-likelihoods are strongly correlated. */
static const double RIDGE = 1.0;

/* A standardised feature farther out than this is set to it: one image far from
 * all others must not decide alone. */
static const double FEATURE_LIMIT = 5.0;

/* Which rows go where. */
struct cut {
    double *mixture[2], *regression[2], *tested; /* [0] members, [1] held-out; tested: held-out */
    int64_t n_mixture[2], n_regression[2], n_tested;
};

static void cut_fini(struct cut *cut)
{
    for (int i = 0; i < 2; i++) {
        mem_free(cut->mixture[i]);
        mem_free(cut->regression[i]);
    }
    mem_free(cut->tested);
}

static int halve(const double *x, int64_t n, int64_t d, uint64_t seed, int which, struct cut *cut, struct err *err)
{
    uint32_t *order = mem_alloc((size_t)n, sizeof *order, err);
    if (order == NULL)
        return -1;
    int64_t first = n / 2;
    inference_cut(seed, 2 + (uint32_t)which, n, first, order);
    cut->n_mixture[which] = first;
    cut->n_regression[which] = n - first;
    cut->mixture[which] = rows_gather(x, order, first, d, err);
    cut->regression[which] = rows_gather(x, order + first, n - first, d, err);
    mem_free(order);
    return cut->mixture[which] != NULL && cut->regression[which] != NULL ? 0 : -1;
}

/* How many held-out rows are to learn from. */
static int64_t heldout_to_learn(const struct inference_data *data)
{
    return llround((double)data->n_heldout * (double)data->n_fit / (double)(data->n_fit + data->n_members));
}

static int cut_init(struct cut *cut, const struct inference_data *data, uint64_t seed, struct err *err)
{
    int64_t d = data->d, n = data->n_heldout, learn = heldout_to_learn(data);
    int rc = -1;
    memset(cut, 0, sizeof *cut);
    double *learned = NULL;
    uint32_t *order = mem_alloc((size_t)n, sizeof *order, err);
    if (order == NULL)
        return -1;
    inference_cut(seed, 1, n, learn, order);
    learned = rows_gather(data->heldout, order, learn, d, err);
    cut->n_tested = n - learn;
    cut->tested = rows_gather(data->heldout, order + learn, n - learn, d, err);
    if (learned != NULL && cut->tested != NULL && halve(data->fit, data->n_fit, d, seed, 0, cut, err) == 0 &&
        halve(learned, learn, d, seed, 1, cut, err) == 0)
        rc = 0;
    mem_free(order);
    mem_free(learned);
    if (rc != 0)
        cut_fini(cut);
    return rc;
}

/* -- features -- */

/* A set of images whose features are wanted. */
struct featured {
    const double *x;
    int64_t n;
    double *feature; /* (n, FEATURES) */
};

static int add_feature(struct device *dev, const struct gmm *g, int64_t d, int at, struct featured *set,
                       struct err *err)
{
    double *score = mem_alloc((size_t)set->n, sizeof *score, err);
    if (score == NULL)
        return -1;
    int rc = gmm_score(dev, g, set->x, set->n, d, score, err);
    for (int64_t i = 0; rc == 0 && i < set->n; i++)
        set->feature[i * FEATURES + at] = score[i];
    mem_free(score);
    return rc;
}

static int features(struct device *dev, const struct cut *cut, int64_t d, const struct inference_options *options,
                    struct featured *sets, int n_sets, struct inference_result *out, struct err *err)
{
    int64_t n0 = cut->n_mixture[0], n1 = cut->n_mixture[1];
    double *both = mem_alloc((size_t)(n0 + n1), (size_t)d * sizeof *both, err);
    int rc = -1;
    if (both == NULL)
        return -1;
    memcpy(both, cut->mixture[0], (size_t)(n0 * d) * sizeof *both);
    memcpy(both + n0 * d, cut->mixture[1], (size_t)(n1 * d) * sizeof *both);
    const double *population[POPULATIONS] = { cut->mixture[0], cut->mixture[1], both };
    int64_t size[POPULATIONS] = { n0, n1, n0 + n1 };
    for (int p = 0; p < POPULATIONS; p++) {
        for (int k = 1; k <= COMPONENTS_MAX; k++) {
            struct gmm_options fit;
            struct gmm g = { 0 };
            bool bad = false;
            inference_gmm_options(options, k, &fit);
            if (gmm_fit(dev, population[p], size[p], d, &fit, &g, err) != 0)
                goto out;
            inference_count_mixture(out, &g);
            for (int s = 0; s < n_sets && !bad; s++)
                bad = add_feature(dev, &g, d, p * COMPONENTS_MAX + k - 1, &sets[s], err) != 0;
            gmm_fini(&g);
            if (bad)
                goto out;
        }
    }
    rc = 0;
out:
    mem_free(both);
    return rc;
}

/* Mean 0 and standard deviation 1 on the first `n_reference` sets together; the
 * same map for all. A feature that differs by rounding only becomes zero. */
static void standardize(struct featured *sets, int n_sets, int n_reference)
{
    for (int f = 0; f < FEATURES; f++) {
        double sum = 0.0, square = 0.0, n = 0.0;
        for (int s = 0; s < n_reference; s++) {
            n += (double)sets[s].n;
            for (int64_t i = 0; i < sets[s].n; i++)
                sum += sets[s].feature[i * FEATURES + f];
        }
        double mean = sum / n;
        for (int s = 0; s < n_reference; s++) {
            for (int64_t i = 0; i < sets[s].n; i++) {
                double apart = sets[s].feature[i * FEATURES + f] - mean;
                square += apart * apart;
            }
        }
        double sd = sqrt(square / n), scale = sd > 1e-10 * fabs(mean) ? 1.0 / sd : 0.0;
        for (int s = 0; s < n_sets; s++) {
            for (int64_t i = 0; i < sets[s].n; i++) {
                double *v = &sets[s].feature[i * FEATURES + f];
                *v = fmax(-FEATURE_LIMIT, fmin(FEATURE_LIMIT, (*v - mean) * scale));
            }
        }
    }
}

static int learned_run(struct device *dev, const struct inference_data *data, const struct inference_options *options,
                       struct inference_result *out, struct err *err)
{
    enum { LEARN_MEMBERS, LEARN_HELDOUT, TEST_MEMBERS, TEST_HELDOUT, SETS };
    struct cut cut;
    *out = (struct inference_result){ .components = -1 };
    if (inference_check(data, err) != 0)
        return -1;
    if (data->n_fit < LEARN_MINIMUM || heldout_to_learn(data) < LEARN_MINIMUM)
        return inference_untested(data, options, out, err,
                                  "the score needs at least %d members and %d held-out rows to learn from; there are "
                                  "%lld and %lld",
                                  LEARN_MINIMUM, LEARN_MINIMUM, (long long)data->n_fit,
                                  (long long)heldout_to_learn(data));
    if (cut_init(&cut, data, (uint64_t)options->seed, err) != 0)
        return -1;
    struct featured sets[SETS] = {
        [LEARN_MEMBERS] = { cut.regression[0], cut.n_regression[0], NULL },
        [LEARN_HELDOUT] = { cut.regression[1], cut.n_regression[1], NULL },
        [TEST_MEMBERS] = { data->members, data->n_members, NULL },
        [TEST_HELDOUT] = { cut.tested, cut.n_tested, NULL },
    };
    int64_t total = 0, learn = sets[LEARN_MEMBERS].n + sets[LEARN_HELDOUT].n;
    int rc = -1;
    for (int s = 0; s < SETS; s++)
        total += sets[s].n;
    double coefficients[FEATURES + 1];
    double *feature = mem_alloc((size_t)total, FEATURES * sizeof *feature, err);
    uint8_t *label = mem_alloc((size_t)learn, sizeof *label, err);
    double *members = mem_alloc((size_t)data->n_members, sizeof *members, err);
    double *heldout = mem_alloc((size_t)cut.n_tested, sizeof *heldout, err);
    if (feature == NULL || label == NULL || members == NULL || heldout == NULL)
        goto out;
    sets[0].feature = feature;
    for (int s = 1; s < SETS; s++)
        sets[s].feature = sets[s - 1].feature + sets[s - 1].n * FEATURES;
    memset(label, 1, (size_t)sets[LEARN_MEMBERS].n);
    if (features(dev, &cut, data->d, options, sets, SETS, out, err) != 0)
        goto out;
    standardize(sets, SETS, TEST_MEMBERS);
    if (logistic_fit(dev, feature, label, learn, FEATURES, RIDGE, coefficients, err) != 0)
        goto out;
    logistic_score(coefficients, sets[TEST_MEMBERS].feature, data->n_members, FEATURES, members);
    logistic_score(coefficients, sets[TEST_HELDOUT].feature, cut.n_tested, FEATURES, heldout);
    rc = inference_decide(data, options, members, data->n_members, heldout, cut.n_tested, out, err);
    members = heldout = NULL; /* are the result's now */
out:
    mem_free(heldout);
    mem_free(members);
    mem_free(label);
    mem_free(feature);
    cut_fini(&cut);
    if (rc != 0)
        inference_result_fini(out);
    return rc;
}

static double learned_seconds(const struct inference_data *data, const struct inference_options *options)
{
    double seconds = 0;
    int64_t n0 = data->n_fit / 2, n1 = data->n_fit + data->n_members > 0 ? heldout_to_learn(data) / 2 : 0;
    const int64_t size[POPULATIONS] = { n0, n1, n0 + n1 };
    for (int p = 0; p < POPULATIONS; p++)
        for (int k = 1; k <= COMPONENTS_MAX; k++) {
            struct gmm_options fit;
            inference_gmm_options(options, k, &fit);
            seconds += gmm_fit_seconds(size[p], data->d, &fit);
        }
    return seconds;
}

static size_t learned_memory(const struct inference_data *data, const struct inference_options *options)
{
    return inference_mixture_memory(data, options, COMPONENTS_MAX); /* of sets smaller than these */
}

const struct statistic statistic_learned = {
    .name = "learned",
    .help = "members against held-out: a score learned on one part of both, from log-likelihoods under several "
            "mixtures; fires for a gap of either sign",
    .score = "log-odds of being a member, learned on other images",
    .run = learned_run,
    .seconds = learned_seconds,
    .memory = learned_memory,
};
