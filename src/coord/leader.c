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
#include "coord/progress.h"
#include "coord/results.h"
#include "coord/rundir.h"
#include "coord/runner.h"
#include "coord/worker.h"
#include "plan/journal.h"
#include "plan/schedule.h"

/* A rank that can work. */
struct seat {
    bool present;      /* has said hello */
    int task, attempt; /* -1: idle */
    double started;    /* clock_monotonic */
    struct task_report report;
    char host[64];
};

struct leader {
    struct transport *transport;
    struct plan *plan;
    const struct run_settings *settings;
    struct schedule *schedule;
    struct journal *journal;
    struct progress *progress;
    struct results results;
    struct snapshot snapshot;
    struct seat *seats; /* by rank; alone, seat 0 is this rank's */
    int n_seats, first_seat;
    int *idle, n_idle; /* ranks without a task, a stack */
    int n_busy;
    bool stopping, unsynced;
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

static void make_idle(struct leader *l, int rank)
{
    l->seats[rank].task = -1;
    l->idle[l->n_idle++] = rank;
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
    for (int rank = l->first_seat; rank < l->n_seats; rank++) {
        const struct seat *seat = &l->seats[rank];
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

/* Now and then; how often follows from what it costs. Not more seldom than twice a
 * minute: silence means death to `dinf status`. */
static int show(struct leader *l, bool now, struct err *err)
{
    double start = clock_monotonic();
    if (!now && start - l->shown < l->show_every)
        return 0;
    struct err problem = { .text = "" };
    if (results_poll(&l->results, &problem) != 0)
        progress_say(l->progress, "%s", problem.text);
    if (take_snapshot(l, err) != 0 || write_status(l, err) != 0)
        return -1;
    progress_update(l->progress, &l->snapshot);
    l->shown = clock_monotonic();
    double cost = l->shown - start;
    l->show_every = fmin(fmax(50 * cost, 1), 30);
    return 0;
}

/* ---- what happens ---- */

static int assign(struct leader *l, int rank, int task, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    struct seat *seat = &l->seats[rank];
    char *spec = spec_print(l->plan, t, err);
    if (spec == NULL)
        return -1;
    schedule_started(l->schedule, task, rank, clock_wall());
    seat->task = task;
    seat->attempt = t->attempts;
    seat->started = clock_monotonic();
    report_init(&seat->report);
    l->n_busy++;
    int rc = journal_start(l->journal, t, err);
    l->unsynced = true;
    if (rc == 0) {
        progress_task(l->progress, "rank %d starts %s%s", rank, t->name, t->attempts > 1 ? " again" : "");
        if (is_alone(l)) {
            runner_start(&l->runner, task, t->attempts, spec);
        } else {
            struct message m = { .kind = MESSAGE_ASSIGN, .task = task, .attempt = t->attempts };
            rc = transport_send(l->transport, rank, &m, spec, err);
        }
    }
    mem_free(spec);
    return rc;
}

static int assign_all(struct leader *l, struct err *err)
{
    while (!l->stopping && l->n_idle > 0) {
        int task = schedule_next(l->schedule);
        if (task < 0)
            return 0;
        if (assign(l, l->idle[--l->n_idle], task, err) != 0)
            return -1;
    }
    return 0;
}

static int take_done(struct leader *l, int rank, int task, double seconds, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    char time[32];
    schedule_done(l->schedule, task, seconds);
    l->results.stale = true;
    progress_task(l->progress, "rank %d done %s (%s)", rank, t->name, clock_duration(seconds, time, sizeof time));
    struct err problem;
    if (encoder_link(l->settings->dir, t, &problem) != 0)
        log_warn("%s", problem.text);
    return journal_done(l->journal, t, err);
}

static int take_failed(struct leader *l, int rank, int task, double seconds, const char *error, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    bool final = schedule_failed(l->schedule, task, seconds, error);
    l->results.stale |= final;
    progress_failure(l->progress, "rank %d FAILED %s (%s): %s", rank, t->name,
                     final ? "given up" : "will be tried again", error);
    return journal_failed(l->journal, t, final, err);
}

static int take_stopped(struct leader *l, int rank, int task, double seconds, struct err *err)
{
    struct plan_task *t = task_of(l, task);
    double reported = l->seats[rank].report.fraction;
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
    struct seat *seat = &l->seats[rank];
    int task = seat->task;
    struct err why = { .text = "" };
    make_idle(l, rank);
    l->n_busy--;
    l->attempts++;
    l->unsynced = true;
    switch (end->outcome) {
    case OUTCOME_DONE:
        if (rundir_digest(l->settings->dir, task_of(l, task), &why) != 0)
            return take_failed(l, rank, task, end->seconds, why.text, err);
        return take_done(l, rank, task, end->seconds, err);
    case OUTCOME_STOPPED:
        return take_stopped(l, rank, task, end->seconds, err);
    case OUTCOME_FAILED:
        break;
    }
    return take_failed(l, rank, task, end->seconds, end->error, err);
}

static int begin_stop(struct leader *l, const char *who, struct err *err)
{
    if (l->stopping)
        return 0;
    l->stopping = true;
    progress_say(l->progress, "%s was asked to stop: %d running task%s saving state", who, l->n_busy,
                 l->n_busy == 1 ? " is" : "s are");
    if (is_alone(l)) {
        runner_stop(&l->runner);
        return 0;
    }
    for (int rank = l->first_seat; rank < l->n_seats; rank++) {
        struct message m = { .kind = MESSAGE_STOP };
        if (l->seats[rank].task >= 0 && transport_send(l->transport, rank, &m, NULL, err) != 0)
            return -1;
    }
    return 0;
}

static int welcome(struct leader *l, int rank, const char *host, struct err *err)
{
    struct message m = { .kind = MESSAGE_SETUP };
    struct seat *seat = &l->seats[rank];
    char *text = settings_print(l->settings, err);
    if (text == NULL)
        return -1;
    seat->present = true;
    snprintf(seat->host, sizeof seat->host, "%s", host);
    note_host(l, seat->host);
    make_idle(l, rank);
    int rc = transport_send(l->transport, rank, &m, text, err);
    mem_free(text);
    return rc;
}

static int handle(struct leader *l, int rank, const struct message *m, const char *text, struct err *err)
{
    struct seat *seat = &l->seats[rank];
    char who[32];
    switch ((enum message_kind)m->kind) {
    case MESSAGE_HELLO:
        return welcome(l, rank, text != NULL ? text : "", err);
    case MESSAGE_PROGRESS:
        if (seat->task == m->task && seat->attempt == m->attempt)
            seat->report = m->report;
        return 0;
    case MESSAGE_ENDED: {
        if (seat->task != m->task || seat->attempt != m->attempt)
            return err_set(err, "rank %d ended a task that it was not given", rank);
        struct attempt_end end = { .outcome = (enum outcome)m->outcome, .seconds = m->seconds };
        snprintf(end.error, sizeof end.error, "%s", text != NULL ? text : "");
        seat->report = m->report;
        return take_end(l, rank, &end, err);
    }
    case MESSAGE_STOP:
        snprintf(who, sizeof who, "rank %d", rank);
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
            l->seats[0].report = l->runner.report;
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

static int lead(struct leader *l, struct err *err)
{
    struct backoff backoff;
    backoff_reset(&backoff);
    while (l->n_busy > 0 || (!l->stopping && !schedule_finished(l->schedule))) {
        if (transport_orphaned(l->transport))
            return err_set(err, "the launcher is gone");
        if (stop_requested() && begin_stop(l, "rank 0", err) != 0)
            return -1;
        if (assign_all(l, err) != 0 || listen(l, &backoff, err) != 0 || sync_journal(l, err) != 0 ||
            show(l, false, err) != 0)
            return -1;
    }
    return 0;
}

/* A task that runs in this very process: the loop above stands still. */
static void tick(void *arg, const struct task_report *report)
{
    struct leader *l = arg;
    struct err err;
    l->seats[0].report = *report;
    if (show(l, false, &err) != 0)
        log_warn("%s", err.text);
}

/* ---- beginning and end ---- */

static int prepare(struct leader *l, struct err *err)
{
    const char *dir = l->settings->dir;
    char path[PATH_MAX], host[256] = "";
    struct journal_summary before;
    int size = transport_size(l->transport);
    l->n_seats = size;
    l->first_seat = size > 1 ? 1 : 0;
    l->seats = mem_alloc((size_t)size, sizeof *l->seats, err);
    l->idle = mem_alloc((size_t)size, sizeof *l->idle, err);
    l->snapshot.workers = mem_alloc((size_t)size, sizeof *l->snapshot.workers, err);
    if (l->seats == NULL || l->idle == NULL || l->snapshot.workers == NULL)
        return -1;
    for (int i = 0; i < size; i++)
        l->seats[i].task = -1;
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
    snprintf(l->seats[0].host, sizeof l->seats[0].host, "%.63s", host);
    note_host(l, l->seats[0].host);
    if (is_alone(l)) {
        runner_init(&l->runner, l->settings);
        l->runner.tick = tick;
        l->runner.arg = l;
        l->seats[0].present = true;
        make_idle(l, 0);
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
    if (show(l, true, err) != 0)
        return -1;
    /* without results.h5 nothing is done, and nothing was stopped either */
    *status = all ? EXIT_TASKS_FAILED : EXIT_STOPPED;
    /* after a stop there may be little time: the next run collects */
    if (all && results_finish(&l->results, err) != 0)
        return -1;
    *status = !all ? EXIT_STOPPED : c.failed + c.skipped > 0 ? EXIT_TASKS_FAILED : EXIT_DONE;
    char time[32];
    clock_duration(clock_monotonic() - l->began, time, sizeof time);
    progress_say(l->progress, "%s after %s: %d done, %d failed, %d skipped%s", all ? "finished" : "stopped", time,
                 c.done, c.failed, c.skipped, all ? "" : "; the same command goes on");
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
    if (rc != 0)
        runner_kill(&l.runner);
    progress_destroy(l.progress);
    if (rc == 0)
        list_failures(plan);
    journal_close(l.journal);
    schedule_destroy(l.schedule);
    snapshot_fini(&l.snapshot);
    mem_free(l.idle);
    mem_free(l.seats);
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
