/* One coordinator per run directory. */
#ifndef DINF_COORD_LOCK_H
#define DINF_COORD_LOCK_H

#include <stdbool.h>

#include "base/err.h"

struct run_lock;

/* Takes DIR/lock, waiting at most `wait` seconds for a holder that is about to
 * die (ranks outlive a killed launcher by a moment). NULL and a sentence that
 * says who holds it (host, process). Uses flock; on a file system without it,
 * DIR/lock.held is created exclusively. Such a file is stale if its holder ran on this host and
 * is dead; a holder on another host cannot be asked, and counts as alive. */
struct run_lock *lock_take(const char *dir, double wait, struct err *err);
void lock_release(struct run_lock *lock); /* NULL-safe */

/* Is it the name of a file that taking a lock makes? */
bool lock_is_file(const char *name);

/* The second way, for tests of it on any file system. */
struct run_lock *lock_take_by_creation(const char *dir, double wait, struct err *err);

#endif
