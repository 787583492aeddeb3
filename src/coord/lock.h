/* One coordinator per run directory. */
#ifndef DINF_COORD_LOCK_H
#define DINF_COORD_LOCK_H

#include <stdbool.h>

#include "base/err.h"

struct run_lock;

enum lock_state {
    LOCK_FREE,      /* nobody holds it, as far as can be seen from here */
    LOCK_HELD,      /* by a process that lives */
    LOCK_ELSEWHERE, /* its file names another host: whether that process lives cannot be seen from here */
};

struct lock_holder {
    char host[256];
    long pid; /* 0: the file does not say */
};

/* Takes DIR/lock, waiting at most `wait` seconds for a holder that is about to
 * die (ranks outlive a killed launcher by a moment). NULL and a sentence that
 * says who holds it (host, process). Uses flock; on a file system without it,
 * DIR/lock.held is created exclusively. Such a file is stale if its holder ran on this host and
 * is dead; a holder on another host cannot be asked, and counts as alive. */
struct run_lock *lock_take(const char *dir, double wait, struct err *err);
void lock_release(struct run_lock *lock); /* NULL-safe */

/* Who holds DIR/lock, without taking it; `holder` is who took it last (may be NULL). The
 * file outlives its holder, so that of a run on another host that has ended only the
 * journal can tell. */
enum lock_state lock_probe(const char *dir, struct lock_holder *holder);

/* Is it the name of a file that taking a lock makes? */
bool lock_is_file(const char *name);

/* The second way, for tests of it on any file system. */
struct run_lock *lock_take_by_creation(const char *dir, double wait, struct err *err);

#endif
