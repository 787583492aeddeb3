/* journal.jsonl: what happened in a run, one JSON object a line, appended and
 * fsynced by rank 0 alone. The state of a campaign is its replay.
 *
 *   {"t":T,"event":"run","ranks":R,"host":"...","revision":"..."}   a run begins (again)
 *   {"t":T,"event":"start","id":"...","attempt":A,"rank":R}
 *   {"t":T,"event":"done","id":"...","attempt":A,"rank":R,"seconds":S,"result":"...","weights":"..."}
 *   {"t":T,"event":"failed","id":"...","attempt":A,"rank":R,"host":"...","seconds":S,"error":"...","final":B}
 *   {"t":T,"event":"stopped","id":"...","attempt":A,"rank":R,"seconds":S,"saved":F}   state saved, not an attempt
 *   {"t":T,"event":"reopened","id":"...","why":"..."}               it was done, but its files are damaged or missing
 *   {"t":T,"event":"end","done":N,"failed":N,"skipped":N}           a run ends; absent after a kill
 *
 * result, weights: SHA-256 of the task's files; weights only where it has some; runs of
 * earlier versions have neither. t: seconds since the epoch. saved: the share of the work, 0 to 1, that the next
 * attempt need not do again. Unknown events and unknown ids are ignored (the config
 * may have changed since). A last line without newline was torn by a kill: it is
 * ignored and cut off when the journal is opened again. */
#ifndef DINF_PLAN_JOURNAL_H
#define DINF_PLAN_JOURNAL_H

#include <stdbool.h>

#include "base/err.h"
#include "plan/plan.h"

struct journal;

/* Opens PATH for appending, creating it; cuts off a torn last line. What stands there and is no
 * regular file is renamed to PATH.damaged. */
struct journal *journal_open(const char *path, struct err *err);
void journal_close(struct journal *j);

/* Each appends one line; on disk (fdatasync) when it returns, except `start`,
 * which may be lost without harm and is flushed with the next line. */
int journal_run(struct journal *j, int ranks, const char *host, const char *revision, struct err *err);
int journal_start(struct journal *j, const struct plan_task *task, struct err *err);
int journal_done(struct journal *j, const struct plan_task *task, struct err *err);
int journal_failed(struct journal *j, const struct plan_task *task, const char *host, bool final, struct err *err);
/* why: NULL if it was asked to stop; else why the attempt does not count. */
int journal_stopped(struct journal *j, const struct plan_task *task, const char *why, struct err *err);
int journal_reopened(struct journal *j, const struct plan_task *task, const char *why, struct err *err);
int journal_end(struct journal *j, int done, int failed, int skipped, struct err *err);
/* Tasks that last a millisecond cannot pay an fsync each: on = false leaves
 * lines to the system until journal_sync. Default on. */
void journal_set_sync(struct journal *j, bool on);
int journal_sync(struct journal *j, struct err *err);

/* What a reader (status, collect) may want besides the tasks' states. */
struct journal_summary {
    int runs;           /* how often a run began */
    bool running;       /* the last run has no end */
    bool unreadable;    /* it is there, and could not be read: nothing of it is known */
    double first, last; /* time of the first and last event */
    double run_start;   /* of the last run */
    int ranks;          /* of the last run */
    char host[256], revision[64];
};

/* Replays PATH into the plan's states: after a `done` the task is TASK_DONE if
 * exists(arg, id) (NULL: always), else, as after a `reopened`, as if never run; a `start` without an end
 * is TASK_RUNNING in the last run and counts no attempt if a later run began;
 * final failures stand as TASK_FAILED with the error and what depends on them is
 * TASK_SKIPPED; attempts count the last run only. Everything else is WAITING or
 * READY by its inputs. No file, or none that can be read: nothing happened. Lines
 * that are no JSON object are left out, and a warning says how many. summary may be NULL. */
int journal_replay(const char *path, struct plan *plan, bool (*exists)(void *arg, const char *id), void *arg,
                   struct journal_summary *summary, struct err *err);

#endif
