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
 * other threads or another device. `dir` becomes absolute in `absolute`. */
int rundir_open(const char *dir, const struct plan *plan, char absolute[PATH_MAX], struct run_lock **lock,
                struct err *err);

/* Removes what killed processes have left: temporary files, and folders of work/ without a
 * checkpoint. For the end of a run; what cannot be removed stays. */
void rundir_tidy(const char *dir);

/* Reads plan.json and replays the journal. For status, collect, task. summary
 * may be NULL. A folder that is no run is an error. */
int rundir_read(const char *dir, struct plan **plan, struct journal_summary *summary, struct err *err);

/* Fills the digests of a task whose files have just been committed. */
int rundir_digest(const char *dir, struct plan_task *task, struct err *err);

/* Compares the files of all tasks that are done with their digests. What is damaged, missing or
 * another task's is removed, and the task is waiting again; a line says so. Digests that the
 * journal does not have, of earlier versions, are taken from the files. */
int rundir_verify(const char *dir, struct plan *plan, struct err *err);

/* exists() for journal_replay; arg: the run directory. */
bool rundir_has_result(void *dir, const char *id);

#endif
