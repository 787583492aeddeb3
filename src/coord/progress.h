/* What a run says while it runs: a block that is redrawn in a terminal, plain
 * lines anywhere else, and not a flood of them. On standard error. */
#ifndef DINF_COORD_PROGRESS_H
#define DINF_COORD_PROGRESS_H

#include <stdbool.h>

#include "coord/snapshot.h"

struct progress;

/* A terminal: standard error is one, or (mpirun puts pipes between) the
 * launcher's is. DINF_PROGRESS=plain or =terminal overrides. */
struct progress *progress_create(int n_tasks, bool alone, struct err *err);
void progress_destroy(struct progress *p); /* leaves the last block standing */

/* One line about something that will not be repeated: always shown. */
void progress_say(struct progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line about one task's start or end: shown if there are few tasks. */
void progress_task(struct progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line about a failed attempt: shown until there were too many. */
void progress_failure(struct progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The state of things, about once a second: redraws the block, or prints a
 * summary line if the last is long ago. */
void progress_update(struct progress *p, const struct snapshot *s);

#endif
