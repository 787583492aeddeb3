/* Are two sets of rows from one distribution? Rows to fit and members are by assumption:
 * a cut of one set at random. Another encoder, another scale or a sorted list is not. */
#ifndef DINF_STATS_EXCHANGEABLE_H
#define DINF_STATS_EXCHANGEABLE_H

#include <stdint.h>

#include "base/err.h"

/* Below this p the rows are not exchangeable: small, because it is no suspect's fault. */
#define EXCHANGEABLE_LEVEL 1e-6

struct exchangeable {
    double auc; /* how well the sets are told apart: 0.5 not at all, 1 without error */
    double p;   /* of rows that are exchangeable; NAN with fewer than EXCHANGEABLE_MINIMUM rows in a set */
};
enum { EXCHANGEABLE_MINIMUM = 20 };

/* a (na, d), b (nb, d) row-major, finite. On one half of both sets two classifiers learn:
 * Gaussians of every column alone, and nearest neighbours (up to 500 rows of a set). What
 * they say of the other halves' rows must not order them by set (Mann-Whitney); then the
 * halves change places. p is four times the smallest of the four, at most 1; auc is of
 * the same one. */
int exchangeable_test(const double *a, int64_t na, const double *b, int64_t nb, int64_t d, uint64_t seed,
                      struct exchangeable *out, struct err *err);

#endif
