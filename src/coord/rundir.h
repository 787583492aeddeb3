/* The folder of a run: config.cfg, plan.json, journal.jsonl, lock, status.json,
 * tasks/, work/, logs/, results.h5. */
#ifndef DINF_COORD_RUNDIR_H
#define DINF_COORD_RUNDIR_H

#include "coord/lock.h"
#include "plan/journal.h"
#include "plan/plan.h"

/* Makes DIR and its folders, locks it, and writes plan.json and config.cfg.
 * Nothing is changed in a folder that another run holds, that is no run directory
 * and not empty, or that holds another campaign: one without a common task, or with
 * other threads or another device. Where the tasks have changed, that is said, and the
 * former results.h5 is kept (change.h). `dir` becomes absolute in `absolute`. */
int rundir_open(const char *dir, struct plan *plan, char absolute[PATH_MAX], struct run_lock **lock, struct err *err);

/* Reads plan.json and replays the journal. For status, collect, task. summary
 * may be NULL. A folder that is no run is an error. */
int rundir_read(const char *dir, struct plan **plan, struct journal_summary *summary, struct err *err);

/* exists() for journal_replay; arg: the run directory. */
bool rundir_has_result(void *dir, const char *id);

#endif
