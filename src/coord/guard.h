/* Work that damaged bytes may end: a library that reads them may crash, or never return. It is done in a child
 * process. Not for ranks: fork is not safe there (process.c). */
#ifndef DINF_COORD_GUARD_H
#define DINF_COORD_GUARD_H

#include <stdbool.h>

#include "base/err.h"

/* Shared with the child. */
struct guard {
    int at;         /* what the child was at last, as guard_at said; -1: nothing in particular, or it was killed */
    struct err err; /* why it failed */
    bool done;      /* body returned 0 */
};

struct guard *guard_create(struct err *err);
void guard_destroy(struct guard *g);

/* body(arg, g) in a child, which ends with it and with this process. 0; -1: g->err says why, also after a crash;
 * STOPPED: a stop was asked for meanwhile. */
int guard_run(struct guard *g, int (*body)(void *arg, struct guard *g), void *arg);

/* In the child: it goes on with thing number `at`, of so many bytes. It may take 10 seconds of the processor for it,
 * and one more for every 5 MB. -1: with nothing in particular, and without a limit. */
void guard_at(struct guard *g, int at, double bytes);

#endif
