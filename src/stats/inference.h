/* Dataset inference: is a suspect's training data the victim's? A table of
 * statistics (statistics.def), one file and one row each. */
#ifndef DINF_STATS_INFERENCE_H
#define DINF_STATS_INFERENCE_H

#include <stdint.h>

#include "base/err.h"
#include "conf/option.h"
#include "device/device.h"

enum covariance { COVARIANCE_FULL, COVARIANCE_DIAG };

/* Representations by the suspect encoder, row-major, d columns; already
 * normalised if the caller wants that (rows_normalize). */
struct inference_data {
    int64_t d;
    int64_t n_fit, n_members, n_heldout;
    const double *fit;        /* members, first half */
    const double *members;    /* members, second half */
    const double *heldout;
};

struct inference_options {
    int64_t components;
    char covariance[OPTION_NAME]; /* "full" | "diag" */
    int64_t seed;
    double alpha;
    int64_t starts;           /* k-means++ starts; the best likelihood wins */
    int64_t max_iterations;
    double tolerance;         /* of the mean log-likelihood per iteration */
    double regularization;    /* added to the covariances' diagonal */
};
extern const struct option inference_options_table[];

struct inference_result {
    int64_t n_members, n_heldout, dim; /* images that were tested */
    double loglik_members, loglik_heldout; /* means of the score that was tested */
    double gap, t, df, p_value, log10_p, cohen_d, alpha;
    const char *verdict;      /* "stolen", "inconclusive", "assumptions violated" */
    double *scores_members, *scores_heldout; /* (n_members), (n_heldout): mem_free by inference_result_fini */
};

struct statistic {
    const char *name, *help;
    int (*run)(struct device *, const struct inference_data *, const struct inference_options *,
               struct inference_result *, struct err *);
};
extern const struct statistic *const statistics[]; /* NULL-terminated: gap, learned */

void inference_result_fini(struct inference_result *r);

/* Each row divided by its L2 norm (zero rows stay zero), in place. */
void rows_normalize(double *x, int64_t n, int64_t d);

#endif
