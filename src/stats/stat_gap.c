/* The published statistic (Dziedzic et al., "Dataset Inference for
 * Self-Supervised Models", NeurIPS 2022): a mixture on half of the members; do
 * the other members have a higher log-likelihood under it than held-out images?
 * H0: mean(members) <= mean(held-out).
 *
 * The test's level is as good as Welch's assumptions. Log-likelihoods may be very
 * skewed; the two samples' skews cancel where they are equally large. With a skew
 * of -8, 100 members against 200 held-out images give t a mean of 0.25 and reject
 * a true H0 at 0.05 in 10% of the cases, 100 against 100 in 4%. */
#include "stats/inference.h"

#include "base/mem.h"

static int gap_run(struct device *dev, const struct inference_data *data, const struct inference_options *options,
                   struct inference_result *out, struct err *err)
{
    struct gmm_options fit;
    struct gmm mixture = { 0 };
    *out = (struct inference_result){ .components = options->components };
    if (inference_check(data, err) != 0)
        return -1;
    int rc = -1;
    double *members = mem_alloc((size_t)data->n_members, sizeof *members, err);
    double *heldout = mem_alloc((size_t)data->n_heldout, sizeof *heldout, err);
    inference_gmm_options(options, options->components, &fit);
    if (members != NULL && heldout != NULL && gmm_fit(dev, data->fit, data->n_fit, data->d, &fit, &mixture, err) == 0 &&
        gmm_score(dev, &mixture, data->members, data->n_members, data->d, members, err) == 0 &&
        gmm_score(dev, &mixture, data->heldout, data->n_heldout, data->d, heldout, err) == 0) {
        inference_count_mixture(out, &mixture);
        rc = inference_decide(data, options, members, data->n_members, heldout, data->n_heldout, out, err);
        members = heldout = NULL; /* are the result's now */
    }
    gmm_fini(&mixture);
    mem_free(heldout);
    mem_free(members);
    if (rc != 0)
        inference_result_fini(out);
    return rc;
}

static double gap_seconds(const struct inference_data *data, const struct inference_options *options)
{
    struct gmm_options fit;
    inference_gmm_options(options, options->components, &fit);
    return gmm_fit_seconds(data->n_fit, data->d, &fit);
}

static size_t gap_memory(const struct inference_data *data, const struct inference_options *options)
{
    return inference_mixture_memory(data, options, options->components);
}

const struct statistic statistic_gap = {
    .name = "gap",
    .help = "members against held-out: log-likelihood under one mixture fitted on half of the members",
    .score = "log-likelihood under the mixture of the other members",
    .run = gap_run,
    .seconds = gap_seconds,
    .memory = gap_memory,
};
