/* Rank 0: who does what, and what became of it. */
#include "coord/leader.h"

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
#include "coord/leftovers.h"
#include "coord/rundir.h"
#include "coord/worker.h"

static const double stop_margin = 5; /* seconds beyond the grace period in which a stopped task is reported */

static bool is_alone(const struct leader *l)
{
    return transport_size(l->transport) == 1;
}

/* ---- what is shown ---- */

/* Now and then. */
static void show(struct leader *l, bool now)
{
    struct err problem;
    if (results_poll(&l->results, &problem) != 0)
        progress_say(l->board.progress, "%s", problem.text);
    l->board.stopping = l->stopping;
    board_show(&l->board, now);
}

/* ---- what happens ---- */

static int assign(struct leader *l, int rank, int task, struct err *err)
{
    struct plan_task *t = &l->plan->tasks[task];
    struct seat *seat = &l->seats.v[rank];
    int rc = -1;
    char *spec = spec_print(l->plan, t, err);
    schedule_started(l->schedule, task, rank, clock_wall());
    seat->task = task;
    seat->attempt = t->attempts;
    seat->started = clock_monotonic();
    seat->counted = seat->silent = 0;
    seat->mute = l->settings->in_process || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t->params, "in_process"));
    report_init(&seat->report);
    l->seats.n_busy++;
    if (spec != NULL)
        rc = journal_start(l->journal, t, err);
    l->unsynced = true;
    if (rc == 0) {
        progress_task(l->board.progress, "rank %d on %s starts %s%s", rank, seat->host, t->name,
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
    while (!l->stopping && seats_free(&l->seats)) {
        int task = schedule_next(l->schedule);
        if (task < 0)
            return 0;
        const struct plan_task *t = &l->plan->tasks[task];
        int rank = seats_choose(&l->seats, t, clock_wall() - t->start - t->seconds < 2 * longest_pause);
        if (rank < 0)
            schedule_defer(l->schedule, task, now + 0.05);
        else if (assign(l, rank, task, err) != 0)
            return -1;
    }
    return 0;
}

/* Nothing new begins, and running tasks save their state. */
static int begin_stop(struct leader *l, const char *why, struct err *err)
{
    if (l->stopping)
        return 0;
    l->stopping = true;
    l->stop_began = clock_monotonic();
    progress_say(l->board.progress, "%s: %d running task%s saving state", why, l->seats.n_busy,
                 l->seats.n_busy == 1 ? " is" : "s are");
    if (is_alone(l)) {
        runner_stop(&l->runner);
        return 0;
    }
    for (int rank = l->seats.first; rank < l->seats.n; rank++) {
        struct message m = { .kind = MESSAGE_STOP };
        if (l->seats.v[rank].task >= 0 && !l->seats.v[rank].lost &&
            transport_send(l->transport, rank, &m, NULL, err) != 0)
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
    progress_say(l->board.progress, "error: %s", err->text);
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
    l->lost = seat->lost = true;
    begin_stop(l, why, &ignored);
    if (leader_take_end(l, rank, &end, &ignored) != 0)
        progress_say(l->board.progress, "warning: %s", ignored.text);
}

/* Workers take the silence of rank 0 for its death, too. */
static int give_sign(struct leader *l, struct err *err)
{
    double now = clock_monotonic(), silence = l->settings->silence_seconds;
    if (is_alone(l) || silence <= 0 || now - l->last_sign < fmin(silence / 4, 30))
        return 0;
    l->last_sign = now;
    for (int rank = l->seats.first; rank < l->seats.n; rank++) {
        struct message m = { .kind = MESSAGE_ALIVE };
        if (l->seats.v[rank].present && !l->seats.v[rank].lost &&
            transport_send(l->transport, rank, &m, NULL, err) != 0)
            return -1;
    }
    return 0;
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

/* Once a run: where one host has too few processors, others often have, too. */
static void check_crowd(struct leader *l, const struct crowd *c, const char *host)
{
    char text[512];
    if (l->crowded || !crowd_describe(c, host, l->settings->threads, text, sizeof text))
        return;
    l->crowded = true;
    progress_say(l->board.progress, "warning: %s", text);
}

static int welcome(struct leader *l, int rank, const char *hello, struct err *err)
{
    struct crowd c = { .workers = 1 };
    struct message m = { .kind = MESSAGE_SETUP };
    struct seat *seat = &l->seats.v[rank];
    char *text = settings_print(l->settings, err);
    if (text == NULL)
        return -1;
    seat->present = true;
    sscanf(hello, "%63s %d %d %d %d", seat->host, &c.workers, &c.processors, &c.own, &c.slurm);
    check_crowd(l, &c, seat->host);
    board_note_host(&l->board, seat->host);
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
        if (seat->lost)
            return 0; /* it had been given up */
        if (seat->task != m->task || seat->attempt != m->attempt)
            return err_set(err, "rank %d ended a task that it was not given", rank);
        struct attempt_end end = { .outcome = (enum outcome)m->outcome, .seconds = m->seconds };
        snprintf(end.error, sizeof end.error, "%s", text != NULL ? text : "");
        seat->report = m->report;
        return leader_take_end(l, rank, &end, err);
    }
    case MESSAGE_STOP:
        snprintf(who, sizeof who, "rank %d was asked to stop", rank);
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
        return ended ? leader_take_end(l, 0, &end, err) : 0;
    }
    struct message m;
    char *text;
    int from, rc, n = 0;
    while (n < 1000 && (rc = transport_receive(l->transport, &m, &text, &from, err)) == 1) {
        n++;
        rc = handle(l, from, &m, text, err);
        mem_free(text);
        if (rc != 0 || give_sign(l, err) != 0) /* results are hashed meanwhile, which may take long */
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

/* What could not be collected is done again: the number of those tasks, or -1. */
static int take_left_out(struct leader *l, struct err *err)
{
    char *list = l->results.left_out;
    if (list == NULL)
        return 0;
    l->results.left_out = NULL;
    int n = contents_left_out(&l->contents, list, err);
    mem_free(list);
    return n;
}

static int step(struct leader *l, struct backoff *backoff, struct err *err)
{
    if (stop_requested() && begin_stop(l, "rank 0 was asked to stop", err) != 0)
        return -1;
    if (!l->stopping && l->seats.n_busy == 0 && seats_none_left(&l->seats))
        return err_set(err, "no rank is left that could work");
    return take_left_out(l, err) < 0 || assign_all(l, err) != 0 || listen(l, backoff, err) != 0 ||
                   give_sign(l, err) != 0 || sync_journal(l, err) != 0
               ? -1
               : 0;
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

/* While the results are collected: the others hear that rank 0 lives, and it of a stop. */
static void tick_results(void *arg)
{
    struct leader *l = arg;
    struct err err;
    struct message m;
    char *text;
    int from, rc;
    if (give_sign(l, &err) != 0)
        log_warn("%s", err.text);
    while ((rc = transport_receive(l->transport, &m, &text, &from, &err)) == 1) {
        if (m.kind == MESSAGE_STOP)
            stop_request();
        else if (handle(l, from, &m, text, &err) != 0)
            log_warn("%s", err.text);
        mem_free(text);
    }
    if (rc < 0)
        log_warn("%s", err.text);
}

/* ---- beginning and end ---- */

static int prepare(struct leader *l, struct err *err)
{
    const char *dir = l->settings->dir;
    char path[PATH_MAX], host[256] = "";
    struct journal_summary before;
    int size = transport_size(l->transport);
    if (seats_init(&l->seats, size, err) != 0 || board_init(&l->board, dir, l->plan, &l->seats, is_alone(l), err) != 0)
        return -1;
    results_init(&l->results, dir);
    l->results.tick = tick_results;
    l->results.arg = l;
    if (fs_path(path, sizeof path, err, "%s/journal.jsonl", dir) != 0 ||
        journal_replay(path, l->plan, rundir_has_result, (void *)dir, &before, err) != 0 ||
        (l->journal = journal_open(path, err)) == NULL ||
        contents_init(&l->contents, dir, l->plan, l->journal, err) != 0 ||
        contents_verify(&l->contents, l->settings->in_process, err) != 0)
        return -1;
    leftovers_remove(dir, l->plan, INFINITY);
    struct err problem;
    if (encoder_links_renew(dir, l->plan, &problem) != 0)
        log_warn("%s", problem.text);
    l->schedule = l->contents.schedule = schedule_create(l->plan, err);
    if (l->schedule == NULL)
        return -1;
    journal_set_sync(l->journal, false);
    gethostname(host, sizeof host - 1);
    snprintf(l->seats.v[0].host, sizeof l->seats.v[0].host, "%.63s", host);
    board_note_host(&l->board, l->seats.v[0].host);
    if (is_alone(l)) {
        runner_init(&l->runner, l->settings);
        l->runner.tick = tick;
        l->runner.arg = l;
        l->seats.v[0].present = true;
        seats_idle(&l->seats, 0);
    }
    struct schedule_counts c = schedule_counts(l->schedule);
    progress_say(l->board.progress, "%s: %d tasks on %d worker%s%s, in %s", l->plan->campaign.name, c.total,
                 size > 1 ? size - 1 : 1, size > 2 ? "s" : "", before.runs > 0 ? " (goes on)" : "", dir);
    if (c.done > 0)
        progress_say(l->board.progress, "%d of them are done already", c.done);
    struct crowd here;
    transport_crowd(l->transport, &here);
    if (here.workers > 0)
        check_crowd(l, &here, host);
    return journal_run(l->journal, size, host, dinf_revision(), err);
}

/* After a stop there may be little time: the next run collects. */
static bool may_collect(const struct leader *l)
{
    return schedule_finished(l->schedule) && !l->lost;
}

/* Leads until all is done and collected. A failure to collect is told last, in *collected. */
static int lead_and_collect(struct leader *l, struct err *collected, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        if (lead(l, err) != 0)
            return -1;
        if (!may_collect(l) || results_finish(&l->results, collected) != 0)
            return 0;
        bool whole = l->results.left_out == NULL && l->results.collected == schedule_counts(l->schedule).done;
        int n = take_left_out(l, err);
        if (n < 0)
            return -1;
        if (n == 0) {
            if (!whole && attempt < 4) { /* what is whole again, as on a file system that was away */
                l->results.stale = true;
                clock_sleep(0.25 * attempt);
                continue;
            }
            if (!whole)
                err_set(collected, "results.h5 has %d of %d finished tasks: %s/logs/collect.log", l->results.collected,
                        schedule_counts(l->schedule).done, l->settings->dir);
            return 0;
        }
    }
}

static int finish(struct leader *l, const struct err *collected, int *status, struct err *err)
{
    struct schedule_counts c = schedule_counts(l->schedule);
    bool all = schedule_finished(l->schedule);
    /* a run that has lost a rank has come to no end of its own, and is to be started again */
    if ((!l->lost && journal_end(l->journal, c.done, c.failed, c.skipped, err) != 0) ||
        journal_sync(l->journal, err) != 0)
        return -1;
    show(l, true);
    if (collected->text[0] != '\0') {
        *err = *collected;
        if (stop_requested())
            *status = EXIT_STOPPED;
        return -1;
    }
    char time[32];
    double took = clock_monotonic() - l->board.began;
    leftovers_remove(l->settings->dir, l->plan, took);
    clock_duration(took, time, sizeof time);
    progress_say(l->board.progress, "%s after %s: %d done, %d failed, %d skipped%s", all ? "finished" : "stopped", time,
                 c.done, c.failed, c.skipped, all ? "" : "; the same command goes on");
    *status = l->lost ? EXIT_RANK_LOST : !all ? EXIT_STOPPED : c.failed + c.skipped > 0 ? EXIT_TASKS_FAILED : EXIT_DONE;
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
    struct leader l = { .transport = t, .plan = plan, .settings = settings };
    struct err collected = { .text = "" };
    int rc = prepare(&l, err);
    if (rc == 0)
        rc = lead_and_collect(&l, &collected, err);
    if (rc == 0)
        rc = finish(&l, &collected, status, err);
    if (rc != 0 && l.lost)
        *status = EXIT_RANK_LOST;
    if (rc != 0)
        runner_kill(&l.runner);
    board_fini(&l.board);
    if (rc == 0)
        list_failures(plan);
    results_fini(&l.results);
    contents_fini(&l.contents);
    journal_close(l.journal);
    schedule_destroy(l.schedule);
    seats_fini(&l.seats);
    return rc;
}
