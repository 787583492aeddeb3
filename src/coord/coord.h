/* The coordinator: runs the tasks of a plan on the ranks of a job. */
#ifndef DINF_COORD_COORD_H
#define DINF_COORD_COORD_H

#include "coord/spec.h"
#include "coord/transport.h"
#include "plan/plan.h"

/* Rank 0: replays DIR/journal.jsonl, assigns tasks to the other ranks (or works
 * itself if there are none) until all are done, failed or skipped, or a stop is
 * asked for; then rebuilds results.h5. The run directory is open and locked
 * (rundir_open). *status: EXIT_DONE, EXIT_TASKS_FAILED, EXIT_STOPPED (asked for), or
 * EXIT_RANK_LOST: a rank does not answer any more, and MPI must be aborted. -1, *status
 * as it was or EXIT_RANK_LOST, if the run cannot go on (the journal cannot be written,
 * say) or its results cannot be collected: running tasks have saved their state. The
 * other ranks are not told to quit: coord_dismiss. */
int coord_lead(struct transport *t, struct plan *plan, const struct run_settings *settings, int *status,
               struct err *err);

/* Rank 0: every other rank leaves worker_run, and says so. -1 if one does not within 20 s:
 * it hangs, and MPI must be aborted. */
int coord_dismiss(struct transport *t, struct err *err);

#endif
