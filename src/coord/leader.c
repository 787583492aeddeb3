/* Rank 0: who does what, and what became of it. */
#include "coord/coord.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/version.h"
#include "coord/encoder_links.h"
#include "coord/failure.h"
#include "coord/progress.h"
#include "coord/results.h"
#include "coord/rundir.h"
#include "coord/runner.h"
#include "coord/seats.h"
#include "coord/worker.h"
#include "plan/journal.h"
#include "plan/schedule.h"

static const double stop_margin = 5;    /* seconds beyond the grace period in which a stopped task is reported */
static const double longest_pause = 60; /* seconds between two attempts of a task */
enum { PASSING_ATTEMPTS = 8 };          /* at least so many for what passes: two minutes, with pauses from 1 s on */

struct leader {
    struct transport *transport;
    struct plan *plan;
    const struct run_settings *settings;
    struct schedule *schedule;
    struct journal *journal;
    struct progress *progress;
    struct results results;
    struct snapshot snapshot;
    struct seats seats;
    bool stopping, unsynced;
    bool asked;           /* a signal asked for the stop */
    bool broken;          /* by an error of the run's own: what follows is saving what can be saved */
    int lost;             /* a rank that does not answer any more; 0: none */
    double stop_began;    /* clock_monotonic */
    double status_moans;  /* when a failed status file was last told of */
    struct runner runner; /* when alone */
    double began, shown, show_every;
    int attempts; /* attempts that ended in this run */
};

static bool is_alone(const struct leader *l)
{
    return transport_size(l->transport) == 1;
}

static struct plan_task *task_of(struct leader *l, int task)
{
    return &l->plan->tasks[task];
}

/* ---- what is shown ---- */

/* Where the names of hosts do not all fit, the last word is "...". */
static void note_host(struct leader *l, const char *host)
{
    static const char more[] = " ...";
    char *hosts = l->snapshot.hosts;
    size_t used = strlen(hosts), n = strlen(host), size = sizeof l->snapshot.hosts;
    for (const char *p = hosts; n > 0 && (p = strstr(p, host)) != NULL; p += n)
        if ((p == hosts || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return;
    if (used >= strlen(more) && strcmp(hosts + used - strlen(more), more) == 0)
        return;
    bool fits = used + 1 + n + sizeof more <= size;
    snprintf(hosts + used, size - used, "%s%s", used > 0 ? " " : "", fits ? host : more + 1);
}

static int take_snapshot(struct leader *l, struct err *err)
{
    struct snapshot *s = &l->snapshot;
    double now = clock_monotonic();
    s->n_workers = 0;
    s->workers_total = 0;
    for (int rank = l->seats.first; rank < l->seats.n; rank++) {
        const struct seat *seat = &l->seats.v[rank];
        s->workers_total += seat->present;
        if (seat->task < 0)
            continue;
        struct snapshot_worker *w = &s->workers[s->n_workers++];
        w->rank = rank;
        w->attempt = seat->attempt;
        w->seconds = now - seat->started;
        w->report = seat->report;
        snprintf(w->host, sizeof w->host, "%s", seat->host);
        snprintf(w->task, sizeof w->task, "%s", task_of(l, seat->task)->name);
    }
    s->stopping = l->stopping;
    s->elapsed = now - l->began;
    return snapshot_estimate(s, l->plan, clock_wall(), err);
}

static int write_status(struct leader *l, struct err *err)
{
    int rc = -1;
    char path[PATH_MAX];
    cJSON *o = snapshot_to_json(&l->snapshot, err);
    char *text = o != NULL ? json_canonical(o, err) : NULL;
    if (text != NULL && fs_path(path, sizeof path, err, "%s/status.json", l->settings->dir) == 0)
        rc = fs_write_atomic(path, text, strlen(text), err);
    mem_free(text);
    cJSON_Delete(o);
    return rc;
}

/* The status is for people: a run does not end because it cannot be written, and says
 * so every ten minutes. */
static void moan(struct leader *l, const struct err *err)
{
    double now = clock_monotonic();
    if (l->status_moans > 0 && now - l->status_moans < 600)
        return;
    l->status_moans = now;
    progress_say(l->progress, "warning: the status could not be written, and the run goes on: %s", err->text);
}

/* Writes status.json from time to time: the rarer, the longer writing takes, but at least twice
 * a minute, because `dinf status` takes a silent run for dead. */
static void show(struct leader *l, bool now)
{
    double start = clock_monotonic();
    if (!now && start - l->shown < l->show_every)
        return;
    struct err problem = { .text = "" };
    if (results_poll(&l->results, &problem) != 0)
        progress_say(l->progress, "%s", problem.text);
    if (take_snapshot(l, &problem) != 0 || write_status(l, &problem) != 0)
        moan(l, &problem);
    progress_update(l->progress, &l->snapshot);
    l->shown = clock_monotonic();
    double cost = l->shown - start;
    l->show_every = fmin(fmax(50 * cost, 1), 30);
}

/* ---- what happens ---- */

static int assign(struct leader *l, int rank, int task, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    struct seat *seat = &l->seats.v[rank];
    char *spec = spec_print(l->plan, t, err);
    if (spec == NULL)
        return -1;
    schedule_started(l->schedule, task, rank, clock_wall());
    seat->task = task;
    seat->attempt = t->attempts;
    seat->started = clock_monotonic();
    seat->counted = seat->silent = 0;
    seat->mute = l->settings->in_process || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->params, "in_process"));
    report_init(&seat->report);
    l->seats.n_busy++;
    int rc = journal_start(l->journal, t, err);
    l->unsynced = true;
    if (rc == 0) {
        progress_task(l->progress, "rank %d on %s starts %s%s", rank, seat->host, t->name,
                      t->attempts > 1 ? " again" : "");
        if (is_alone(l)) {
            runner_start(&l->runner, task, t->attempts, spec);
        } else {
            struct message m = { .kind = MESSAGE_ASSIGN, .task = task, .attempt = t->attempts };
            rc = transport_send(l->transport, rank, &m, spec, err);
        }
    }
    mem_free(spec);
    if (rc != 0) { /* nobody runs it: nobody would end it */
        schedule_requeue(l->schedule, task);
        l->seats.n_busy--;
        seats_idle(&l->seats, rank);
    }
    return rc;
}

/* A task that failed is held back while a better seat than the idle ones exists, for
 * two minutes at most. */
static int assign_all(struct leader *l, struct err *err)
{
    double now = clock_monotonic();
    schedule_wake(l->schedule, now);
    while (!l->stopping && l->seats.n_idle > 0) {
        int task = schedule_next(l->schedule);
        if (task < 0)
            return 0;
        const struct plan_task *t = task_of(l, task);
        int rank = seats_choose(&l->seats, t, clock_wall() - t->start - t->seconds < 2 * longest_pause);
        if (rank < 0)
            schedule_defer(l->schedule, task, now + 0.05);
        else if (assign(l, rank, task, err) != 0)
            return -1;
    }
    return 0;
}

static int take_done(struct leader *l, int rank, int task, double seconds, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    char time[32];
    schedule_done(l->schedule, task, seconds);
    seats_succeeded(&l->seats, rank);
    l->results.stale = true;
    progress_task(l->progress, "rank %d done %s (%s), %d of %d", rank, t->name,
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

static int take_failed(struct leader *l, int rank, int task, double seconds, const char *error, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    const char *host = l->seats.v[rank].host;
    double pause = pause_after(l, t->attempts);
    bool lasting = failure_lasts(error);
    /* what passes is not given up within seconds, unless nothing is to be tried again */
    int64_t retries = l->plan->campaign.retries;
    if (retries > 0 && failure_passes(error) && retries < PASSING_ATTEMPTS - 1)
        retries = PASSING_ATTEMPTS - 1;
    bool final = schedule_failed(l->schedule, task, seconds, error, lasting ? 0 : retries, clock_monotonic() + pause);
    l->results.stale |= final;
    progress_failure(l->progress, "rank %d on %s FAILED %s (%s): %s", rank, host, t->name,
                     lasting ? "no further attempt would mend it"
                     : final ? "given up"
                             : "will be tried again",
                     error);
    if (!lasting && seats_failed(&l->seats, rank, task))
        progress_say(l->progress,
                     "warning: rank %d on %s gets no further tasks: several failed there in a row, and "
                     "others succeed elsewhere",
                     rank, host);
    return journal_failed(l->journal, t, host, final, err);
}

static int take_stopped(struct leader *l, int rank, int task, double seconds, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    double reported = l->seats.v[rank].report.fraction;
    t->seconds = seconds;
    if (t->kind->resumes && reported > t->saved)
        t->saved = fmin(reported, 1);
    progress_task(l->progress, "rank %d stopped %s", rank, t->name);
    int rc = journal_stopped(l->journal, t, err);
    schedule_requeue(l->schedule, task);
    return rc;
}

static int take_end(struct leader *l, int rank, const struct attempt_end *end, struct err *err)
{
    struct err why = { .text = "" };
    int task = l->seats.v[rank].task, rc;
    l->seats.n_busy--;
    l->attempts++;
    l->unsynced = true;
    switch (end->outcome) {
    case OUTCOME_DONE:
        rc = rundir_digest(l->settings->dir, task_of(l, task), &why) == 0
                 ? take_done(l, rank, task, end->seconds, err)
                 : take_failed(l, rank, task, end->seconds, why.text, err);
        break;
    case OUTCOME_STOPPED:
        rc = take_stopped(l, rank, task, end->seconds, err);
        break;
    default:
        rc = take_failed(l, rank, task, end->seconds, end->error, err);
    }
    seats_idle(&l->seats, rank);
    return rc;
}

/* Nothing new begins, and running tasks save their state. */
static int begin_stop(struct leader *l, const char *why, struct err *err)
{
    if (l->stopping)
        return 0;
    l->stopping = true;
    l->stop_began = clock_monotonic();
    progress_say(l->progress, "%s: %d running task%s saving state", why, l->seats.n_busy,
                 l->seats.n_busy == 1 ? " is" : "s are");
    if (is_alone(l)) {
        runner_stop(&l->runner);
        return 0;
    }
    for (int rank = l->seats.first; rank < l->seats.n; rank++) {
        struct message m = { .kind = MESSAGE_STOP };
        if (l->seats.v[rank].task >= 0 && rank != l->lost && transport_send(l->transport, rank, &m, NULL, err) != 0)
            return -1;
    }
    return 0;
}

/* Takes note of an error of the run's own: the first counts, what can be saved is. */
static int break_off(struct leader *l, struct err *first, const struct err *err)
{
    struct err ignored;
    if (l->broken)
        return 0;
    l->broken = true;
    *first = *err;
    progress_say(l->progress, "error: %s", err->text);
    return begin_stop(l, "the run breaks off", &ignored);
}

/* A rank that has fallen silent cannot be revived: the run ends, and the others save. */
static void give_up_rank(struct leader *l, int rank)
{
    struct seat *seat = &l->seats.v[rank];
    struct attempt_end end = { .outcome = OUTCOME_FAILED, .seconds = clock_monotonic() - seat->started };
    char why[sizeof end.error + 64];
    struct err ignored;
    snprintf(end.error, sizeof end.error, "rank %d on %s has said nothing for %.0f s", rank, seat->host, seat->silent);
    snprintf(why, sizeof why, "%s: the run ends, to be started again", end.error);
    l->lost = rank;
    begin_stop(l, why, &ignored);
    if (take_end(l, rank, &end, &ignored) != 0)
        progress_say(l->progress, "warning: %s", ignored.text);
}

static void check_clocks(struct leader *l)
{
    double grace = l->settings->grace_seconds, now = clock_monotonic();
    seats_tick(&l->seats, now);
    if (is_alone(l))
        return;
    int rank = seats_lost(&l->seats, l->settings->silence_seconds, l->settings->task_seconds, grace);
    bool late = l->stopping && now - l->stop_began > grace + stop_margin;
    for (int i = l->seats.first; late && rank < 0 && i < l->seats.n; i++)
        if (l->seats.v[i].task >= 0)
            rank = i;
    if (rank >= 0)
        give_up_rank(l, rank);
}

static int welcome(struct leader *l, int rank, const char *host, struct err *err)
{
    struct message m = { .kind = MESSAGE_SETUP };
    struct seat *seat = &l->seats.v[rank];
    char *text = settings_print(l->settings, err);
    if (text == NULL)
        return -1;
    seat->present = true;
    snprintf(seat->host, sizeof seat->host, "%s", host);
    note_host(l, seat->host);
    seats_idle(&l->seats, rank);
    int rc = transport_send(l->transport, rank, &m, text, err);
    mem_free(text);
    return rc;
}

static int handle(struct leader *l, int rank, const struct message *m, const char *text, struct err *err)
{
    struct seat *seat = &l->seats.v[rank];
    char who[64];
    seat->silent = 0;
    switch ((enum message_kind)m->kind) {
    case MESSAGE_HELLO:
        return welcome(l, rank, text != NULL ? text : "", err);
    case MESSAGE_PROGRESS:
        if (seat->task == m->task && seat->attempt == m->attempt)
            seat->report = m->report;
        return 0;
    case MESSAGE_ENDED: {
        if (rank == l->lost)
            return 0; /* it had been given up */
        if (seat->task != m->task || seat->attempt != m->attempt)
            return err_set(err, "rank %d ended a task that it was not given", rank);
        struct attempt_end end = { .outcome = (enum outcome)m->outcome, .seconds = m->seconds };
        snprintf(end.error, sizeof end.error, "%s", text != NULL ? text : "");
        seat->report = m->report;
        return take_end(l, rank, &end, err);
    }
    case MESSAGE_STOP:
        snprintf(who, sizeof who, "rank %d was asked to stop", rank);
        l->asked = true;
        return begin_stop(l, who, err);
    default:
        return err_set(err, "rank %d sent an unknown message %d", rank, m->kind);
    }
}

/* Messages of the others, or the own task's news; waits a little if there are
 * none. */
static int listen(struct leader *l, struct backoff *backoff, struct err *err)
{
    if (is_alone(l)) {
        struct attempt_end end;
        bool fresh;
        if (!runner_busy(&l->runner))
            return 0;
        bool ended = runner_poll(&l->runner, 0.02, &fresh, &end) == 1;
        if (fresh || ended)
            l->seats.v[0].report = l->runner.report;
        return ended ? take_end(l, 0, &end, err) : 0;
    }
    struct message m;
    char *text;
    int from, rc, n = 0;
    while (n < 1000 && (rc = transport_receive(l->transport, &m, &text, &from, err)) == 1) {
        n++;
        rc = handle(l, from, &m, text, err);
        mem_free(text);
        if (rc != 0)
            return -1;
    }
    if (n == 1000)
        return 0;
    if (rc < 0)
        return -1;
    if (n > 0)
        backoff_reset(backoff);
    else
        backoff_sleep(backoff);
    return 0;
}

static int sync_journal(struct leader *l, struct err *err)
{
    if (!l->unsynced)
        return 0;
    l->unsynced = false;
    return journal_sync(l->journal, err);
}

static int step(struct leader *l, struct backoff *backoff, struct err *err)
{
    if (stop_requested()) {
        l->asked = true;
        if (begin_stop(l, "rank 0 was asked to stop", err) != 0)
            return -1;
    }
    return assign_all(l, err) != 0 || listen(l, backoff, err) != 0 || sync_journal(l, err) != 0 ? -1 : 0;
}

/* An error ends the run, but not at once: running tasks save their state first. What
 * goes wrong then is not told again. */
static int lead(struct leader *l, struct err *err)
{
    struct backoff backoff;
    struct err now;
    backoff_reset(&backoff);
    while (l->seats.n_busy > 0 || (!l->stopping && !schedule_finished(l->schedule))) {
        if (transport_orphaned(l->transport))
            return err_set(err, "the launcher is gone");
        if (step(l, &backoff, &now) != 0)
            break_off(l, err, &now);
        check_clocks(l);
        show(l, false);
    }
    return l->broken ? -1 : 0;
}

/* A task that runs in this very process: the loop above stands still. */
static void tick(void *arg, const struct task_report *report)
{
    struct leader *l = arg;
    l->seats.v[0].report = *report;
    show(l, false);
}

/* ---- beginning and end ---- */

static int prepare(struct leader *l, struct err *err)
{
    const char *dir = l->settings->dir;
    char path[PATH_MAX], host[256] = "";
    struct journal_summary before;
    int size = transport_size(l->transport);
    l->snapshot.workers = mem_alloc((size_t)size, sizeof *l->snapshot.workers, err);
    if (l->snapshot.workers == NULL || seats_init(&l->seats, size, err) != 0)
        return -1;
    results_init(&l->results, dir);
    if (fs_path(path, sizeof path, err, "%s/journal.jsonl", dir) != 0 ||
        journal_replay(path, l->plan, rundir_has_result, (void *)dir, &before, err) != 0 ||
        rundir_verify(dir, l->plan, err) != 0)
        return -1;
    struct err problem;
    if (encoder_links_renew(dir, l->plan, &problem) != 0)
        log_warn("%s", problem.text);
    l->schedule = schedule_create(l->plan, err);
    l->journal = l->schedule != NULL ? journal_open(path, err) : NULL;
    l->progress = l->journal != NULL ? progress_create(l->plan->n_tasks, is_alone(l), err) : NULL;
    if (l->progress == NULL)
        return -1;
    journal_set_sync(l->journal, false);
    gethostname(host, sizeof host - 1);
    snprintf(l->seats.v[0].host, sizeof l->seats.v[0].host, "%.63s", host);
    note_host(l, l->seats.v[0].host);
    if (is_alone(l)) {
        runner_init(&l->runner, l->settings);
        l->runner.tick = tick;
        l->runner.arg = l;
        l->seats.v[0].present = true;
        seats_idle(&l->seats, 0);
    }
    struct schedule_counts c = schedule_counts(l->schedule);
    progress_say(l->progress, "%s: %d tasks on %d worker%s%s, in %s", l->plan->campaign.name, c.total,
                 size > 1 ? size - 1 : 1, size > 2 ? "s" : "", before.runs > 0 ? " (goes on)" : "", dir);
    if (c.done > 0)
        progress_say(l->progress, "%d of them are done already", c.done);
    return journal_run(l->journal, size, host, dinf_revision(), err);
}

static int finish(struct leader *l, int *status, struct err *err)
{
    struct schedule_counts c = schedule_counts(l->schedule);
    bool all = schedule_finished(l->schedule);
    if (journal_end(l->journal, c.done, c.failed, c.skipped, err) != 0 || journal_sync(l->journal, err) != 0)
        return -1;
    show(l, true);
    /* after a stop there may be little time: the next run collects */
    if (all && l->lost == 0 && results_finish(&l->results, err) != 0) {
        if (stop_requested())
            *status = EXIT_STOPPED;
        return -1;
    }
    char time[32];
    clock_duration(clock_monotonic() - l->began, time, sizeof time);
    progress_say(l->progress, "%s after %s: %d done, %d failed, %d skipped%s", all ? "finished" : "stopped", time,
                 c.done, c.failed, c.skipped, all ? "" : "; the same command goes on");
    *status = l->lost > 0                ? EXIT_RANK_LOST
              : !all                     ? EXIT_STOPPED
              : c.failed + c.skipped > 0 ? EXIT_TASKS_FAILED
                                         : EXIT_DONE;
    return 0;
}

static void list_failures(const struct plan *plan)
{
    int shown = 0;
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        if (t->state != TASK_FAILED)
            continue;
        if (++shown > 20) {
            log_error("... and further ones: `dinf status` lists them");
            return;
        }
        log_error("%s failed: %s (logs/%s.log)", t->name, t->error != NULL ? t->error : "no message", t->id);
    }
}

int coord_lead(struct transport *t, struct plan *plan, const struct run_settings *settings, int *status,
               struct err *err)
{
    struct leader l = {
        .transport = t, .plan = plan, .settings = settings, .began = clock_monotonic(), .show_every = 1
    };
    int rc = prepare(&l, err);
    if (rc == 0)
        rc = lead(&l, err);
    if (rc == 0)
        rc = finish(&l, status, err);
    if (rc != 0 && l.lost > 0)
        *status = EXIT_RANK_LOST;
    if (rc != 0)
        runner_kill(&l.runner);
    progress_destroy(l.progress);
    if (rc == 0)
        list_failures(plan);
    journal_close(l.journal);
    schedule_destroy(l.schedule);
    snapshot_fini(&l.snapshot);
    seats_fini(&l.seats);
    return rc;
}

int coord_dismiss(struct transport *t, struct err *err)
{
    int rc = 0;
    for (int rank = 1; rank < transport_size(t); rank++) {
        struct message m = { .kind = MESSAGE_QUIT };
        if (transport_send(t, rank, &m, NULL, err) != 0)
            rc = -1;
    }
    return rc;
}
