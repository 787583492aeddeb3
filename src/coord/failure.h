/* What an error message says about a further attempt. */
#ifndef DINF_COORD_FAILURE_H
#define DINF_COORD_FAILURE_H

#include <stdbool.h>

/* No attempt mends it: the task's options, its data and the network do not go together,
 * or the same seed gives the same numbers, on any rank. `before`: what the attempt before
 * came to, or NULL. A file that is not there, or may not be read, lasts if two attempts
 * (on two hosts, where there are two) say so: one host may have lost a mount. */
bool failure_lasts(const char *error, const char *before);
/* The machine had not enough of something, a file system hiccuped, or another process
 * held a file: it may have passed in a minute. */
bool failure_passes(const char *error);
/* A system call failed, or memory was short: it says nothing of what a file holds. Of files that are not there: false.
 */
bool failure_of_system(const char *error);

#endif
