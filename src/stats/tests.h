/* Tests of location for two samples. The alternative is one-sided: the mean of
 * `a` is greater than the mean of `b`. */
#ifndef DINF_STATS_TESTS_H
#define DINF_STATS_TESTS_H

#include <stdint.h>

#include "base/err.h"

struct t_test {
    double mean_a, mean_b;
    double gap; /* mean_a - mean_b */
    double t, df;
    double p;         /* upper tail; may underflow to 0 */
    double log10_p;   /* does not underflow */
    double cohen_d;   /* gap / pooled standard deviation */
    double deviation; /* the pooled standard deviation */
};

/* Welch's t-test: variances may differ, Welch-Satterthwaite degrees of freedom.
 * na, nb >= 2; an error if both samples are constant. */
int t_test_welch(const double *a, int64_t na, const double *b, int64_t nb, struct t_test *out, struct err *err);

/* Student's t-test: equal variances, df = na + nb - 2. As above. Nothing but tests calls it yet. */
int t_test_student(const double *a, int64_t na, const double *b, int64_t nb, struct t_test *out, struct err *err);

/* log P(T > t), T of Student's distribution with df > 0 degrees of freedom.
 * Relative error of the probability about 1e-12 for df to 1e6 and probabilities
 * to 1e-300 and far below. */
double student_log_upper(double t, double df);

/* Permutation test of the difference of means: *p = (1 + number of relabelings
 * with a gap at least as large) / (1 + permutations). permutations >= 1. Nothing but tests
 * calls it yet. */
int permutation_test(const double *a, int64_t na, const double *b, int64_t nb, uint64_t seed, int64_t permutations,
                     double *p, struct err *err);

#endif
