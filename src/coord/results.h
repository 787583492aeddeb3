/* results.h5 of a run. */
#ifndef DINF_COORD_RESULTS_H
#define DINF_COORD_RESULTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "plan/plan.h"

enum { RESULTS_SCHEMA = 2 }; /* 2: text in tables has a fixed width; 1: any length */

/* Rebuilds DIR/results.h5 from the finished tasks' files. `plan` carries the
 * states (rundir_read). What is damaged, or cannot be read, is left out with a warning: left_out, (n_tasks), says
 * which. Forks: not for ranks. */
enum left_out { LEFT_IN, LEFT_OUT_DAMAGED, LEFT_OUT_UNREADABLE };
int results_collect(const char *dir, const struct plan *plan, bool pack, enum left_out *left_out, struct err *err);
/* "N collected", the number of tasks taken in, and lines "ID damaged" and "ID unreadable". */
int results_print_left_out(const struct plan *plan, const enum left_out *left_out, int fd, struct err *err);

/* The same by `dinf collect DIR` in a child, so that a run does not wait for it
 * and does not die of a broken file. */
struct results {
    const char *dir;
    pid_t pid; /* 0: none at work */
    double started, took, ended;
    /* called while results_finish waits; NULL: nobody */
    void (*tick)(void *arg);
    void *arg;
    /* descriptor of a file in memory: what the one at work leaves out; -1: none */
    int list;
    /* what the last one has left out, as results_print_left_out says, until somebody takes it; or NULL */
    char *left_out;
    /* how many tasks the last one has taken in */
    int collected;
    /* something has finished since the last rebuild began; at first nobody knows: the run before may have been killed,
     * or the config changed */
    bool stale;
};

void results_init(struct results *r, const char *dir);
/* Starts a rebuild if one is due: something is new, and the last is half a
 * minute and twenty times its own duration ago. Notices the end of the one at
 * work; -1 if that failed, with what it said (DIR/logs/collect.log has more). */
int results_poll(struct results *r, struct err *err);
/* Waits for the one at work, then rebuilds if something is new. Where something had to be left out, left_out says what,
 * 0 is returned, and the results stay stale. */
int results_finish(struct results *r, struct err *err);
void results_fini(struct results *r);

#endif
