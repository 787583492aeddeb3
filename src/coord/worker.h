/* A worker rank: runs what rank 0 assigns, one task at a time. */
#ifndef DINF_COORD_WORKER_H
#define DINF_COORD_WORKER_H

#include "coord/transport.h"

/* Until rank 0 says quit. 0, or -1 when it cannot go on: the caller then ends
 * the job, which the launchers in jobs/ start again. */
int worker_run(struct transport *t, struct err *err);

/* Sleeps between polls of an idle rank: short at first, so that an answer is
 * seen at once, then longer, so that a waiting rank costs nothing. */
struct backoff {
    double seconds;
};
void backoff_reset(struct backoff *b);
void backoff_sleep(struct backoff *b);

#endif
