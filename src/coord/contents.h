/* What done tasks left: is it there, and is it what they left? What is not is kept aside as *.damaged, and its task is
 * done again, by this run. */
#ifndef DINF_COORD_CONTENTS_H
#define DINF_COORD_CONTENTS_H

#include "plan/journal.h"
#include "plan/plan.h"
#include "plan/schedule.h"

struct contents {
    const char *dir; /* run directory */
    struct plan *plan;
    struct journal *journal;
    struct schedule *schedule;
    int *reopened;    /* per task: how often in this run */
    bool *distrusted; /* per task: made anew although its digest was right */
};

int contents_init(struct contents *c, const char *dir, struct plan *plan, struct journal *journal, struct err *err);
void contents_fini(struct contents *c);

/* Fills the digests of a task whose files have just been committed. */
int contents_digest(const char *dir, struct plan_task *task, struct err *err);

/* Before there is a schedule: compares the files of all tasks that are done with their digests, and reopens those whose
 * files are damaged or missing, with a line for each. Tasks whose digests the journal does not have (of earlier
 * versions, or lost with it) wait; `dinf task` takes over what lies there where it is whole, but tasks that run in
 * their rank (in_process) are computed again. -1, too, if a file cannot be read for a reason that may pass: what may be
 * whole is neither set aside nor used. */
int contents_verify(struct contents *c, bool in_process, struct err *err);

/* A task has failed with this message: is it because of inputs? Those that are damaged or missing are reopened, and so
 * are, where it was the last attempt, those that the message names and that no system call failed on, since their
 * digests may have been taken of damaged files. The number of inputs that are to be made anew, or -1 if it could not be
 * written down. The same task is reopened twice in a run at most. */
int contents_blame(struct contents *c, int task, const char *error, bool last, struct err *err);

/* The tasks that `dinf collect` had to leave out, an id and "damaged" or "unreadable" on a line: the number of those
 * that were reopened, or -1. */
int contents_left_out(struct contents *c, const char *list, struct err *err);

#endif
