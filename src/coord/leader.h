/* What rank 0 knows, for the files that are rank 0: leader.c, who does what; outcome.c, what
 * became of it. */
#ifndef DINF_COORD_LEADER_H
#define DINF_COORD_LEADER_H

#include "coord/board.h"
#include "coord/contents.h"
#include "coord/coord.h"
#include "coord/results.h"
#include "coord/runner.h"
#include "coord/seats.h"
#include "plan/journal.h"
#include "plan/schedule.h"

static const double longest_pause = 60; /* seconds between two attempts of a task */

struct leader {
    struct transport *transport;
    struct plan *plan;
    const struct run_settings *settings;
    struct schedule *schedule;
    struct journal *journal;
    struct board board;
    struct results results;
    struct contents contents;
    struct seats seats;
    bool stopping, unsynced;
    bool crowded;         /* that there are too few processors was said */
    bool broken;          /* by an error of the run's own: what follows is saving what can be saved */
    bool lost;            /* a rank does not answer any more: see its seat */
    double stop_began;    /* clock_monotonic */
    double last_sign;     /* when the workers last heard that rank 0 lives */
    struct runner runner; /* when alone */
};

/* The attempt on this rank has ended: schedule, journal, seats and screen take note, and the rank is idle. -1: an
 * error of the run's own. */
int leader_take_end(struct leader *l, int rank, const struct attempt_end *end, struct err *err);

#endif
