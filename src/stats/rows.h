/* Rows of representations: what every statistic does to them first. */
#ifndef DINF_STATS_ROWS_H
#define DINF_STATS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* x (n, d) row-major must be finite; `what` names it in the message, which says
 * where the first bad value is. */
int rows_check(const double *x, int64_t n, int64_t d, const char *what, struct err *err);

/* Are all rows the same, to the rounding of float32? An encoder that has collapsed
 * returns one vector for every image, or one vector and rounding. Of a column, values
 * apart by less than 2^-22 of the largest are the same. */
bool rows_constant(const double *x, int64_t n, int64_t d);
bool rows_constant_parts(const double *const *parts, const int64_t *n, int n_parts, int64_t d); /* of all together */

/* Each row divided by its L2 norm (zero rows stay zero), in place. */
void rows_normalize(double *x, int64_t n, int64_t d);

/* mean (d) of the columns. n >= 1. */
void rows_mean(const double *x, int64_t n, int64_t d, double *mean);

/* Sorts n numbers of rows (or columns), in place. */
void rows_order_ascending(uint32_t *order, int64_t n);

/* A new (n, d) matrix whose row i is row order[i] of x; mem_free. */
double *rows_gather(const double *x, const uint32_t *order, int64_t n, int64_t d, struct err *err);

/* A new (n, wide) matrix, wide >= d: x with zero columns behind; mem_free. */
double *rows_widen(const double *x, int64_t n, int64_t d, int64_t wide, struct err *err);

/* Centres the columns, then normalises the rows, in place: the preprocessing of
 * all similarities. */
int rows_centre_normalize(double *x, int64_t n, int64_t d, struct err *err);

/* Columns to mean 0 and variance 1 over all the parts (n[p], d) together, in
 * place: pooled, so that members and held-out images are treated alike. A column whose
 * values differ by rounding only becomes 0 (of float32 where all its values are such
 * numbers: 2^-22 of the largest; else 2^-50). */
int rows_standardize(double *const *parts, const int64_t *n, int n_parts, int64_t d, struct err *err);

/* What representations may go through before a test: "l2" normalises each row,
 * "standardize" each column over all parts (n[p], d) and then each row, "none"
 * leaves all as it is. In place; `how` is one of the list. */
extern const char *const rows_preparations[]; /* NULL-terminated, for options */
int rows_prepare(const char *how, double *const *parts, const int64_t *n, int n_parts, int64_t d, struct err *err);

#endif
