/* The worker's loop: messages from rank 0, news from the running task. */
#include "coord/worker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "coord/runner.h"
#include "coord/seats.h"

static const double poll_seconds = 5e-3; /* a running task's news are seen within */
static const double longest_sleep = 5e-3;
static const double margin = 10; /* seconds beyond the grace period in which rank 0 ends a run that is to stop */

void backoff_reset(struct backoff *b)
{
    b->seconds = 2e-5;
}

void backoff_sleep(struct backoff *b)
{
    clock_sleep(b->seconds);
    b->seconds = 1.3 * b->seconds < longest_sleep ? 1.3 * b->seconds : longest_sleep;
}

struct worker {
    struct transport *transport;
    struct run_settings settings;
    struct runner runner;
    double report_every, heartbeat, reported;
    double clock, silent; /* seconds since rank 0 was last heard; while this rank stood still none pass */
    double told;          /* when rank 0 was told that a signal asked us to stop; 0: not */
    bool ready;           /* has settings */
    bool quit;
};

static int send_plain(struct worker *w, enum message_kind kind, const char *text, struct err *err)
{
    struct message m = { .kind = kind };
    report_init(&m.report);
    return transport_send(w->transport, 0, &m, text, err);
}

static int send_report(struct worker *w, struct err *err)
{
    double now = clock_monotonic();
    if (now - w->reported < w->report_every)
        return 0;
    w->reported = now;
    struct message m = {
        .kind = MESSAGE_PROGRESS, .task = w->runner.task, .attempt = w->runner.attempt, .report = w->runner.report
    };
    return transport_send(w->transport, 0, &m, NULL, err);
}

static int send_ended(struct worker *w, int task, int attempt, const struct attempt_end *end, struct err *err)
{
    struct message m = { .kind = MESSAGE_ENDED,
                         .task = task,
                         .attempt = attempt,
                         .outcome = (int)end->outcome,
                         .seconds = end->seconds,
                         .report = w->runner.report };
    return transport_send(w->transport, 0, &m, end->error[0] != '\0' ? end->error : NULL, err);
}

/* In-process tasks: the run's STOP arrives while the task runs. Everything else
 * that could come then (QUIT) only follows the end of the task. */
static void tick(void *arg, const struct task_report *report)
{
    struct worker *w = arg;
    struct err err;
    struct message m;
    char *text;
    int from;
    (void)report;
    if (send_report(w, &err) != 0)
        log_warn("%s", err.text);
    if (transport_receive(w->transport, &m, &text, &from, &err) == 1) {
        mem_free(text);
        if (m.kind == MESSAGE_STOP)
            stop_request();
    }
}

static int handle(struct worker *w, const struct message *m, const char *text, struct err *err)
{
    switch ((enum message_kind)m->kind) {
    case MESSAGE_SETUP:
        if (settings_parse(text != NULL ? text : "", &w->settings, err) != 0)
            return -1;
        runner_init(&w->runner, &w->settings);
        w->runner.tick = tick;
        w->runner.arg = w;
        w->ready = true;
        return 0;
    case MESSAGE_ASSIGN:
        if (!w->ready || runner_busy(&w->runner) || text == NULL)
            return err_set(err, "rank 0 assigned a task out of turn");
        runner_start(&w->runner, m->task, m->attempt, text);
        return 0;
    case MESSAGE_STOP:
        runner_stop(&w->runner);
        return 0;
    case MESSAGE_ALIVE:
        return 0;
    case MESSAGE_QUIT:
        w->quit = true;
        return 0;
    default:
        return err_set(err, "rank 0 sent an unknown message %d", m->kind);
    }
}

static int receive_all(struct worker *w, bool *any, struct err *err)
{
    struct message m;
    char *text;
    int from, rc;
    while ((rc = transport_receive(w->transport, &m, &text, &from, err)) == 1) {
        *any = true;
        w->silent = 0;
        int handled = handle(w, &m, text, err);
        mem_free(text);
        if (handled != 0)
            return -1;
        if (runner_busy(&w->runner))
            break; /* a task that ran in this process is through: say so first */
    }
    return rc < 0 ? -1 : 0;
}

/* News of the own task, if there is one; 1: there is. */
static int look_after_task(struct worker *w, struct err *err)
{
    bool fresh;
    struct attempt_end end;
    if (!runner_busy(&w->runner))
        return 0;
    int task = w->runner.task, attempt = w->runner.attempt;
    if (runner_poll(&w->runner, poll_seconds, &fresh, &end) == 1)
        return send_ended(w, task, attempt, &end, err) == 0 ? 1 : -1;
    /* also without news: rank 0 takes silence for death */
    if ((fresh || clock_monotonic() - w->reported > w->heartbeat) && send_report(w, err) != 0)
        return -1;
    return 1;
}

/* Rank 0 hangs, or the way to it: the task saves its state, and so do those of the other
 * ranks, which notice it at the same time. The first rank that leaves ends them all. */
static int leave(struct worker *w, double patience, struct err *err)
{
    double end = clock_monotonic() + patience;
    log_warn("%s: the run ends, to be started again", err->text);
    runner_stop(&w->runner);
    while (clock_monotonic() < end) {
        int rc = look_after_task(w, NULL);
        if (rc < 0)
            break;
        if (rc == 0)
            clock_sleep(longest_sleep);
    }
    return -1;
}

static int check_rank_zero(struct worker *w, struct err *err)
{
    double now = clock_monotonic(), passed = now - w->clock;
    w->clock = now;
    w->silent += passed > 1 ? 1 : passed;
    if (w->ready && w->settings.silence_seconds > 0 && w->silent > w->settings.silence_seconds) {
        err_set(err, "rank 0 has said nothing for %.0f s", w->silent);
        return leave(w, w->settings.grace_seconds + 2, err);
    }
    if (w->told > 0 && now - w->told > w->settings.grace_seconds + margin) {
        err_set(err, "rank 0 has not ended the run %.0f s after a signal asked for it", now - w->told);
        return leave(w, 0, err);
    }
    return 0;
}

static int work(struct worker *w, struct err *err)
{
    struct backoff backoff;
    backoff_reset(&backoff);
    while (!w->quit) {
        bool any = false;
        if (transport_orphaned(w->transport))
            return err_set(err, "the launcher is gone");
        if (receive_all(w, &any, err) != 0)
            return -1;
        if (check_rank_zero(w, err) != 0)
            return -1;
        if (stop_requested() && w->told <= 0) {
            w->told = clock_monotonic();
            if (send_plain(w, MESSAGE_STOP, NULL, err) != 0)
                return -1;
            runner_stop(&w->runner);
        }
        int busy = look_after_task(w, err);
        if (busy < 0)
            return -1;
        if (busy > 0 || any) {
            backoff_reset(&backoff);
        } else {
            backoff_sleep(&backoff);
        }
    }
    return 0;
}

int worker_run(struct transport *t, struct err *err)
{
    struct worker w = { .transport = t, .clock = clock_monotonic() };
    char host[256] = "", hello[512];
    runner_init(&w.runner, &w.settings);
    /* rank 0 hears at most some hundred reports a second, however many ranks */
    w.report_every = 2e-3 * transport_size(t) > 0.5 ? 2e-3 * transport_size(t) : 0.5;
    w.heartbeat = fmax(seat_heartbeat, w.report_every);
    gethostname(host, sizeof host - 1);
    struct crowd c;
    transport_crowd(t, &c);
    snprintf(hello, sizeof hello, "%s %d %d %d %d", host[0] ? host : "?", c.workers, c.processors, c.own, c.slurm);
    int rc = send_plain(&w, MESSAGE_HELLO, hello, err);
    if (rc == 0)
        rc = work(&w, err);
    runner_kill(&w.runner);
    return rc == 0 ? send_plain(&w, MESSAGE_BYE, NULL, err) : rc;
}
