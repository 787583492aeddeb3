/* Which task runs next: states of the tasks, a heap of the ready ones.
 *
 * Every change of state goes through here and lands in plan->tasks[i].state (and
 * attempts, rank, start, seconds, error), so that printing and status read the
 * plan alone. All operations are O(log tasks) plus O(1) per dependency. */
#ifndef DINF_PLAN_SCHEDULE_H
#define DINF_PLAN_SCHEDULE_H

#include <stdbool.h>

#include "base/err.h"
#include "plan/plan.h"

struct schedule;

struct schedule_counts {
    int total, waiting, ready, running, done, failed, skipped;
    double cost_total, cost_done; /* estimated seconds; done counts done, failed and skipped */
};

/* Takes the plan (borrowed, not copied; its states are updated) in the state it
 * is in: fresh from plan_build or after journal_replay. Running tasks become
 * ready, failed ones too (a new run tries again, attempts from 0), skipped ones
 * are decided anew. */
struct schedule *schedule_create(struct plan *plan, struct err *err);
void schedule_destroy(struct schedule *s);

/* Index of the ready task with the longest remaining path (ties: the lower
 * index), taken out of the queue; -1 if none is ready. Follow it with
 * schedule_started, or give it back with schedule_requeue. */
int schedule_next(struct schedule *s);

/* The task runs: counts one more attempt. `wall` is clock_wall(). */
void schedule_started(struct schedule *s, int task, int rank, double wall);
/* Dependants whose inputs are all done become ready. */
void schedule_done(struct schedule *s, int task, double seconds);
/* One attempt failed with this message (copied). If no more than `retries`
 * attempts are used up (campaign.retries; 0: no attempt would mend it) the task is ready again (or waits for an input
 * that was reopened) and false is returned: schedule_next finds it once schedule_wake was told a time of `due` or
 * later. Else it has failed for good, everything that depends on it is skipped, and true is returned. */
bool schedule_failed(struct schedule *s, int task, double seconds, const char *error, int64_t retries, double due);
/* A task that schedule_next gave and that nobody may take yet: as after a failure. */
void schedule_defer(struct schedule *s, int task, double due);
void schedule_wake(struct schedule *s, double now);
/* A task that is done is to be done again, since its result is gone: it waits or is ready as its inputs say, its
 * attempts count from 0, and what needs it waits. Dependants that run go on; those that are done stay so. */
void schedule_reopen(struct schedule *s, int task);
/* Back into the queue without counting the attempt (stopped, worker gone, input damaged). */
void schedule_requeue(struct schedule *s, int task);

/* Nothing is ready, running or waiting. */
bool schedule_finished(const struct schedule *s);
struct schedule_counts schedule_counts(const struct schedule *s);

/* Each task's `path`: its cost plus the longest path among its dependants. */
void schedule_paths(struct plan *plan);

/* Simulation of the same policy with the estimated costs of all tasks, whatever
 * their state, on `workers` ranks (rank 0 of several only coordinates). */
struct simulation {
    double makespan;      /* seconds */
    double critical_path; /* the longest path */
    double work;          /* sum of costs */
    double lower_bound;   /* max(critical_path, work / workers) */
    double release_bound; /* at least that: for each time h, h + work that cannot begin before h / workers */
    double utilisation;   /* work / (workers makespan) */
};
int schedule_simulate(const struct plan *plan, int workers, struct simulation *out, struct err *err);

#endif
