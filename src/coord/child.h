/* One attempt of one task in a process of its own: a segmentation fault, an
 * out-of-memory kill or a CUDA error ends the attempt, not the job. */
#ifndef DINF_COORD_CHILD_H
#define DINF_COORD_CHILD_H

#include <sys/types.h>

#include "coord/report.h"
#include "coord/spec.h"

/* How an attempt ended. */
struct attempt_end {
    enum outcome outcome;
    double seconds;
    char error[1024]; /* empty unless failed */
};

struct child {
    pid_t pid; /* 0: none */
    int pipe;  /* progress, read end; -1 after end of file */
    char line[512];
    size_t used;
    char words[512]; /* the error that it reported; "": none */
    char log[PATH_MAX];
    off_t log_start; /* where this attempt's output begins */
    double started, limit, grace;
    double polled;    /* last; time in which the task waits for others does not count */
    bool waiting;     /* so it said */
    double stop_sent; /* clock_monotonic; 0: not yet */
    double killed;    /* clock_monotonic; 0: not yet */
    bool timed_out;
};

/* Starts `dinf task DIR ID` from this very executable, with the launcher's
 * variables stripped from its environment, its output appended to
 * DIR/logs/ID.log and `spec` on its standard input. */
int child_start(struct child *c, const struct run_settings *settings, const char *id, const char *spec, int attempt,
                struct err *err);

/* Waits at most `wait` seconds for news. 1: ended, `end` is filled and the child
 * is gone (or, OUTCOME_STUCK, left behind); else 0, and *fresh tells whether `report` was updated. Enforces the
 * time limit and the grace period after a stop. */
int child_poll(struct child *c, double wait, struct task_report *report, bool *fresh, struct attempt_end *end);

/* Asks the child to save its state and end (SIGTERM); after the grace period
 * child_poll kills it. */
void child_stop(struct child *c);

/* Kills it at once, if there is one. */
void child_kill(struct child *c);

#endif
