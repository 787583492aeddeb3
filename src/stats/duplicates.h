/* Rows that stand more than once, in one set or in two: a test takes independent rows. */
#ifndef DINF_STATS_DUPLICATES_H
#define DINF_STATS_DUPLICATES_H

#include <stdint.h>

#include "base/err.h"

struct row_set {
    const double *x; /* (n, d) row-major, finite */
    int64_t n;
};

enum { DUPLICATE_SETS = 3 };

/* count[i][j], i != j: rows of set i that set j has, too. count[i][i]: rows of set i less
 * its different rows. Zeros of both signs are equal. From 4 columns on, rows that differ
 * by rounding are equal as well: their distance is below one millionth of the median
 * norm, and below 1e-4 of the median distance between two rows (rows far from the origin
 * are not all alike). With fewer columns different images come as close by chance. */
int duplicates_count(const struct row_set sets[DUPLICATE_SETS], int64_t d,
                     int64_t count[DUPLICATE_SETS][DUPLICATE_SETS], struct err *err);

#endif
