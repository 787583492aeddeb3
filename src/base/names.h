/* Names that people type: the nearest valid one for an error message. */
#ifndef DINF_BASE_NAMES_H
#define DINF_BASE_NAMES_H

#include <stddef.h>

/* Damerau-Levenshtein distance (adjacent transpositions count one). */
int names_distance(const char *a, const char *b);

/* The candidate nearest to `name`, or NULL if none is within half its length
 * (at least 2 edits are allowed). */
const char *names_nearest(const char *name, const char *const *candidates, size_t n);

#endif
