/* Mann and Whitney's test: do values of one sample tend to be larger? Free of any
 * assumption about their distribution. */
#ifndef DINF_STATS_RANK_TEST_H
#define DINF_STATS_RANK_TEST_H

#include <stdint.h>

#include "base/err.h"

struct rank_test {
    double auc; /* P(a > b) + P(a = b) / 2 */
    double p;   /* one-sided, a tends to be larger: normal approximation, corrected for ties and continuity */
};

/* na, nb >= 1, finite values. All values equal: auc 0.5, p 1. */
int rank_test(const double *a, int64_t na, const double *b, int64_t nb, struct rank_test *out, struct err *err);

#endif
