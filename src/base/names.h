/* Names that people type: the nearest valid one for an error message. */
#ifndef DINF_BASE_NAMES_H
#define DINF_BASE_NAMES_H

#include <stddef.h>

#include "base/err.h"

/* Damerau-Levenshtein distance (adjacent transpositions count one). */
int names_distance(const char *a, const char *b);

/* The candidate nearest to `name`, or NULL if none is within half its length
 * (at least 2 edits are allowed). */
const char *names_nearest(const char *name, const char *const *candidates, size_t n);

enum { NAMES_HINT = 512 }; /* characters that the end of a message may have */

/* "adam, sgd or lars" */
void names_join(const char *const *names, size_t n, char *out, size_t size);

/* How a message about an invalid `name` ends: `; did you mean "adam"?`, or "" if none is near.
 * Returns `out`. For candidates that are too many to list. */
const char *names_suggest(const char *name, const char *const *candidates, size_t n, char out[NAMES_HINT]);

/* Index of `name` in the NULL-terminated `names`; -1 with `there is no WHAT "NAME"` and the nearest. */
int names_find(const char *what, const char *name, const char *const *names, struct err *err);

/* How a message about an invalid `name` ends where candidates are few: `; did you mean "adam"?`, or
 * "; it is one of adam, sgd or lars" if none is near. */
void names_hint(const char *name, const char *const *candidates, size_t n, char out[NAMES_HINT]);

#endif
