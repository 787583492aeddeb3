/* How large an effect is, and how large one would have to be to be found. */
#ifndef DINF_STATS_EFFECT_H
#define DINF_STATS_EFFECT_H

#include <stdint.h>

/* z with P(Z < z) = p, Z standard normal; +-infinity at 1 and 0. */
double normal_quantile(double p);

struct interval {
    double low, high;
};

/* The 95% interval of Cohen's d of two samples (normal approximation; Hedges and Olkin
 * 1985). NAN for a d that is no number. */
struct interval effect_interval(double cohen_d, int64_t n1, int64_t n2);

/* The d that a one-sided test at level alpha finds with 80% power (normal approximation);
 * NAN without samples. */
double effect_detectable(int64_t n1, int64_t n2, double alpha);

#endif
