/* results.h5 of a run. */
#ifndef DINF_COORD_RESULTS_H
#define DINF_COORD_RESULTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "plan/plan.h"

enum { RESULTS_SCHEMA = 2 }; /* 2: text in tables has a fixed width; 1: any length */

/* Rebuilds DIR/results.h5 from the finished tasks' files. `plan` carries the
 * states (rundir_read). `*left_out`: how many of the files are damaged, with a warning each. */
int results_collect(const char *dir, const struct plan *plan, bool pack, int *left_out, struct err *err);

/* The same by `dinf collect DIR` in a child, so that a run does not wait for it
 * and does not die of a broken file. */
struct results {
    const char *dir;
    pid_t pid; /* 0: none at work */
    double started, took, ended;
    void (*tick)(void *arg); /* called while results_finish waits; NULL: nobody */
    void *arg;
    bool stale; /* something has finished since the last rebuild began; at first
                   nobody knows: the run before may have been killed, or the config changed */
};

void results_init(struct results *r, const char *dir);
/* Starts a rebuild if one is due: something is new, and the last is half a
 * minute and twenty times its own duration ago. Notices the end of the one at
 * work; -1 if that failed, with what it said (DIR/logs/collect.log has more). */
int results_poll(struct results *r, struct err *err);
/* Waits for the one at work, then rebuilds if something is new. */
int results_finish(struct results *r, struct err *err);

#endif
