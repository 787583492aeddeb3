/* A verdict that does not hang on one cut: fit and members are pooled and cut again. */
#ifndef DINF_STATS_SPLITS_H
#define DINF_STATS_SPLITS_H

#include <stdint.h>

#include "base/err.h"
#include "device/device.h"
#include "stats/inference.h"

enum { SPLITS_MAX = 1000 };

struct splits {
    int64_t n;                       /* splits that were tested */
    double p[SPLITS_MAX];            /* of each; [0] is the cut that was handed in */
    double p_merged, log10_p_merged; /* NAN where a split has no p */
    const char *verdict;             /* by p_merged; "assumptions violated" where one of the splits says so */
    char reason[sizeof(((struct inference_result *)0)->reason)]; /* of the first such split, else "" */
};

/* Tests `data` as it is (into `own`, to be freed by inference_result_fini), and n - 1
 * random cuts of fit and members together, by the seeds that follow options->seed. The
 * merged p is twice the median, at most 1, which keeps its level however the splits
 * depend on each other (Rüschendorf 1982; Vovk and Wang 2020); a single one is taken as it is.
 * Where the first split violates assumptions no further one is tested. */
int splits_run(struct device *dev, const struct statistic *statistic, const struct inference_data *data,
               const struct inference_options *options, int64_t n, struct inference_result *own, struct splits *out,
               struct err *err);

/* Twice the median of n logarithms (base 10) of p; one is left as it is. Reorders them. */
double splits_merge(double *log10_p, int64_t n);

#endif
