/* Dataset inference: is a suspect's training data the victim's? A table of
 * statistics (statistics.def), one file and one row each. */
#ifndef DINF_STATS_INFERENCE_H
#define DINF_STATS_INFERENCE_H

#include <stdint.h>

#include "base/err.h"
#include "conf/option.h"
#include "device/device.h"
#include "stats/gmm.h"
#include "stats/rows.h"

/* Representations by the suspect encoder, row-major, d columns; already
 * normalised if the caller wants that (rows_normalize). */
struct inference_data {
    int64_t d;
    int64_t n_fit, n_members, n_heldout;
    const double *fit;     /* members, first half */
    const double *members; /* members, second half */
    const double *heldout;
};

struct inference_options {
    int64_t components;
    char covariance[OPTION_NAME]; /* "full" | "diag" */
    int64_t seed;                 /* of cuts and of the mixtures' starts, >= 0; not in the table: where it comes from
                                   * is the caller's */
    double alpha;
    int64_t starts; /* k-means++ starts; the best likelihood wins */
    int64_t max_iterations;
    double tolerance;      /* of the mean log-likelihood per iteration */
    double regularization; /* added to the covariances' diagonal */
};
extern const struct option inference_options_table[];

struct inference_result {
    int64_t n_members, n_heldout, dim;                   /* images that were tested */
    int64_t components;                                  /* of the mixture; -1: the statistic fits several */
    int64_t mixtures, unconverged;                       /* fitted, and those of them that EM left at max_iterations */
    double loglik_members, loglik_heldout;               /* means of the score that was tested */
    double gap, t, df, p_value, log10_p, cohen_d, alpha; /* NAN where the test could not be computed */
    const char *verdict;                                 /* "stolen", "inconclusive", "assumptions violated" */
    char reason[256];                                    /* why assumptions are violated, one sentence; else "" */
    double *scores_members, *scores_heldout; /* (n_members), (n_heldout): mem_free by inference_result_fini */
};

/* Errors (-1) are inputs that nothing can be computed from: values that are not
 * finite, an empty set, fewer fit rows than components. Data that
 * cannot carry the test is a result with the verdict "assumptions violated":
 * fewer than INFERENCE_MINIMUM tested rows in a group, too few rows to learn
 * from, scores without variance, more than one row in a hundred that is in two
 * sets which must be disjoint, or that repeats another row of its own set. */
enum { INFERENCE_MINIMUM = 10 };

struct statistic {
    const char *name, *help;
    const char *score; /* what is tested of each image, for descriptions */
    int (*run)(struct device *, const struct inference_data *, const struct inference_options *,
               struct inference_result *, struct err *);
    /* Estimated seconds of a run on one thread; of the data only the numbers are looked at. */
    double (*seconds)(const struct inference_data *, const struct inference_options *);
    /* Device memory of a run, in bytes; likewise. */
    size_t (*memory)(const struct inference_data *, const struct inference_options *);
};
extern const struct statistic *const statistics[]; /* NULL-terminated */
extern const char *const statistic_names[];        /* likewise, for options */

const struct statistic *statistic_find(const char *name); /* NULL if there is none */

/* 1: every mixture converged; 0: some did not; -1: none was fitted. */
int inference_converged(const struct inference_result *r);

void inference_result_fini(struct inference_result *r);

/* Device memory of fitting and scoring mixtures of so many components on any of the sets. */
size_t inference_mixture_memory(const struct inference_data *data, const struct inference_options *options,
                                int64_t components);

/* Fills `order` (n) with 0 .. n-1 such that the first n_first are a random
 * subset by the seed; both parts in ascending order. For halves of members. */
void inference_split(uint64_t seed, int64_t n, int64_t n_first, uint32_t *order);

/* -- for the statistics' own files -- */

/* The same with a further key, so that several cuts by one seed are independent. */
void inference_cut(uint64_t seed, uint32_t purpose, int64_t n, int64_t n_first, uint32_t *order);

/* One more mixture was fitted for `out`. */
void inference_count_mixture(struct inference_result *out, const struct gmm *fitted);

/* A result without a test, for data that cannot be scored: no tested rows, NAN,
 * "assumptions violated" and the reason. */
int inference_untested(const struct inference_data *data, const struct inference_options *options,
                       struct inference_result *out, struct err *err, const char *reason, ...)
    __attribute__((format(printf, 5, 6)));

int inference_check(const struct inference_data *data, struct err *err);

void inference_gmm_options(const struct inference_options *options, int64_t components, struct gmm_options *out);

/* One-sided Welch test of the scores, which `out` takes over (also on error),
 * and the verdict. `components` and the count of mixtures are left alone. */
int inference_decide(const struct inference_data *data, const struct inference_options *options, double *scores_members,
                     int64_t n_members, double *scores_heldout, int64_t n_heldout, struct inference_result *out,
                     struct err *err);

#endif
