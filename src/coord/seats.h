/* The ranks that can work: what each does, when it was last heard, and which of them
 * a task may be given to. */
#ifndef DINF_COORD_SEATS_H
#define DINF_COORD_SEATS_H

#include <stdbool.h>

#include "coord/report.h"
#include "plan/plan.h"

/* Workers send a report at least this often while a task runs in a child of theirs. */
static const double seat_heartbeat = 2; /* seconds */

struct seat {
    bool present;      /* has said hello */
    bool aside;        /* gets no further task: see seats_set_aside */
    bool lost;         /* has fallen silent and is given up */
    int task, attempt; /* -1: idle */
    double started;    /* clock_monotonic */
    double counted;    /* seconds that the time limit counts: those waiting for others do not */
    double silent;     /* seconds since the last message or the start of the task */
    bool mute;         /* the task runs in the rank itself: silence says nothing */
    int row, last;     /* failures of different tasks since the last success; the last such task */
    bool others;       /* another seat has succeeded since the row began */
    double rests;      /* until then, after a row of failures, if others are at work */
    struct task_report report;
    char host[64];
};

struct seats {
    struct seat *v;            /* by rank; alone, seat 0 is this rank's */
    int n, first;              /* ranks first .. n - 1 work */
    int *idle, n_idle, n_busy; /* idle ones without those set aside */
    double clock;              /* of the last seats_tick */
};

int seats_init(struct seats *s, int ranks, struct err *err);
void seats_fini(struct seats *s);
void seats_idle(struct seats *s, int rank); /* it has no task, or none any more */

/* Is there an idle rank that may work? One with a row of failures rests for a minute
 * after each, while a better one is at work: what that comes to shows whether the rank
 * or the tasks are to blame. Else it would have had an attempt of every task by then. */
bool seats_free(const struct seats *s);
/* Takes such a rank for the task out of those without one; -1: none suits now. A
 * task that has just failed goes to another rank than the one it failed on, and to
 * another host, while there is one; `patience` false: to any. */
int seats_choose(struct seats *s, const struct plan_task *t, bool patience);

/* What an attempt on the rank came to. */
void seats_succeeded(struct seats *s, int rank);
void seats_failed(struct seats *s, int rank, int task);
/* A rank on which different tasks failed one after another, while others succeeded
 * elsewhere; -1: none. At most every second one: where most fail, the tasks are to blame. */
int seats_suspect(const struct seats *s);
void seats_set_aside(struct seats *s, int rank); /* it gets no further tasks */
bool seats_none_left(const struct seats *s);     /* all that are here are set aside */

/* Lets the time pass: time in which rank 0 itself stood still counts for nobody. */
void seats_tick(struct seats *s, double now);
/* A busy rank that is silent for more than `silence` seconds (0: never), or beyond
 * its time limit (task_seconds, 0: none, and the grace period) and silent; -1: none. */
int seats_lost(const struct seats *s, double silence, double task_seconds, double grace);

#endif
