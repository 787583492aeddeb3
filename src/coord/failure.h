/* What an error message says about a further attempt. */
#ifndef DINF_COORD_FAILURE_H
#define DINF_COORD_FAILURE_H

#include <stdbool.h>

/* No attempt mends it: the same seed gives the same numbers, on any rank. */
bool failure_lasts(const char *error);
/* The machine had not enough of something, or another process held a file: it may
 * have passed in a minute. */
bool failure_passes(const char *error);
/* A system call failed, or memory was short: it says nothing of what a file holds. Of files that are not there: false.
 */
bool failure_of_system(const char *error);

#endif
