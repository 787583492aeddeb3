/* A snapshot as lines of text that fit a terminal. */
#ifndef DINF_COORD_SCREEN_H
#define DINF_COORD_SCREEN_H

#include <stddef.h>

#include "coord/snapshot.h"

/* Writes at most `rows` lines of at most `columns` columns, each ended by a
 * newline: the bar, the counts with the time left, then one line a busy worker (in
 * 80 columns with its percentage, epoch, loss and rate: names are shortened);
 * where workers do not fit, a line says how many more there are. Returns the
 * number of lines. */
int screen_render(const struct snapshot *s, int columns, int rows, char *out, size_t size);

/* The counts and the time left on one line, without a newline. */
void screen_summary(const struct snapshot *s, char *out, size_t size);

#endif
