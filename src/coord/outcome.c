/* What became of an attempt, and what follows from that. */
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "coord/encoder_links.h"
#include "coord/failure.h"
#include "coord/leader.h"

enum { PASSING_ATTEMPTS = 8 }; /* at least so many for what passes: two minutes, with pauses from 1 s on */

static int take_done(struct leader *l, int rank, int task, double seconds, struct err *err)
{
    struct plan_task *t = &l->plan->tasks[task];
    char time[32];
    schedule_done(l->schedule, task, seconds);
    seats_succeeded(&l->seats, rank);
    l->results.stale = true;
    progress_task(l->board.progress, "rank %d done %s (%s), %d of %d", rank, t->name,
                  clock_duration(seconds, time, sizeof time), schedule_counts(l->schedule).done, l->plan->n_tasks);
    struct err problem;
    if (encoder_link(l->settings->dir, t, &problem) != 0)
        log_warn("%s", problem.text);
    return journal_done(l->journal, t, err);
}

/* 1 s, 2 s, 4 s ... with the usual setting. */
static double pause_after(const struct leader *l, int attempts)
{
    return fmin(ldexp(l->plan->campaign.retry_seconds, attempts > 1 ? attempts - 1 : 0), longest_pause);
}

/* The attempt does not count: the task waits until its inputs are made anew. */
static int take_back(struct leader *l, int rank, int task, double seconds, const char *error, struct err *err)
{
    struct plan_task *t = &l->plan->tasks[task];
    progress_failure(l->board.progress, "rank %d on %s cannot do %s before its inputs are made anew: %s", rank,
                     l->seats.v[rank].host, t->name, error);
    t->seconds = seconds;
    int rc = journal_stopped(l->journal, t, error, err);
    schedule_requeue(l->schedule, task);
    return rc;
}

static int take_failed(struct leader *l, int rank, int task, double seconds, const char *error, struct err *err)
{
    struct plan_task *t = &l->plan->tasks[task];
    const char *host = l->seats.v[rank].host;
    double pause = pause_after(l, t->attempts);
    bool lasting = failure_lasts(error, t->attempts > 1 ? t->error : NULL);
    /* what passes is not given up within seconds, unless nothing is to be tried again */
    int64_t retries = l->plan->campaign.retries;
    if (retries > 0 && failure_passes(error) && retries < PASSING_ATTEMPTS - 1)
        retries = PASSING_ATTEMPTS - 1;
    int lost = contents_blame(&l->contents, task, error, lasting || t->attempts > retries, err);
    if (lost != 0)
        return lost < 0 ? -1 : take_back(l, rank, task, seconds, error, err);
    bool final = schedule_failed(l->schedule, task, seconds, error, lasting ? 0 : retries, clock_monotonic() + pause);
    l->results.stale |= final;
    progress_failure(l->board.progress, "rank %d on %s FAILED %s (%s): %s", rank, host, t->name,
                     lasting ? "no further attempt would mend it"
                     : final ? "given up"
                             : "will be tried again",
                     error);
    if (!lasting)
        seats_failed(&l->seats, rank, task);
    /* one that is skipped has not failed by itself: a replay comes to the same */
    return journal_failed(l->journal, t, host, t->state == TASK_FAILED, err);
}

static int take_stopped(struct leader *l, int rank, int task, double seconds, struct err *err)
{
    struct plan_task *t = &l->plan->tasks[task];
    double reported = l->seats.v[rank].report.fraction;
    t->seconds = seconds;
    if (t->kind->resumes && reported > t->saved)
        t->saved = fmin(reported, 1);
    progress_task(l->board.progress, "rank %d stopped %s", rank, t->name);
    int rc = journal_stopped(l->journal, t, NULL, err);
    schedule_requeue(l->schedule, task);
    return rc;
}

static void set_aside(struct leader *l, int rank, const char *why)
{
    seats_set_aside(&l->seats, rank);
    progress_say(l->board.progress, "warning: rank %d on %s gets no further tasks: %s", rank, l->seats.v[rank].host,
                 why);
}

int leader_take_end(struct leader *l, int rank, const struct attempt_end *end, struct err *err)
{
    struct err why = { .text = "" };
    int task = l->seats.v[rank].task, rc;
    l->seats.n_busy--;
    l->unsynced = true;
    switch (end->outcome) {
    case OUTCOME_DONE:
        rc = contents_digest(l->settings->dir, &l->plan->tasks[task], &why) == 0
                 ? take_done(l, rank, task, end->seconds, err)
                 : take_failed(l, rank, task, end->seconds, why.text, err);
        break;
    case OUTCOME_STOPPED:
        rc = take_stopped(l, rank, task, end->seconds, err);
        break;
    case OUTCOME_STUCK:
        set_aside(l, rank, "a process of its last one does not die");
        /* fall through */
    default:
        rc = take_failed(l, rank, task, end->seconds, end->error, err);
    }
    seats_idle(&l->seats, rank);
    int suspect = seats_suspect(&l->seats);
    if (suspect >= 0)
        set_aside(l, suspect, "several tasks failed there in a row, and others succeed elsewhere");
    return rc;
}
