/* What has been found good by its contents. A plan asks about the same files again and again. */
#ifndef DINF_DATA_KNOWN_H
#define DINF_DATA_KNOWN_H

#include <stdbool.h>

/* Has `what` of the file with this SHA-256 been checked in this process? Forgets the oldest.
 * `what` is at most 31 characters. Thread-safe. */
bool known_good(const char *hex, const char *what);
void known_add(const char *hex, const char *what);

#endif
