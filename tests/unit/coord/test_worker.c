/* coord: a worker's loop, and the end of the job, with a made-up rank 0, made-up tasks and a clock that is turned by
 * hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "coord/coord.h"
#include "coord/runner.h"
#include "coord/worker.h"
#include "unit/coord/stage.h"

/* ---- what happens to the worker ---- */

struct letter {
    double t;
    int from, kind, task;
    const char *text;
};

struct sent {
    double t;
    int to;
    struct message m;
    char text[128];
};

struct transport {
    int size;
    double orphaned;
    int broken; /* kind of message that cannot be sent */
};

static struct transport transport;
static struct crowd crowd;
static struct letter letters[32];
static struct sent sent[4000];
static int n_letters, n_sent;
static struct err err;

/* Times count from the beginning of a test. */
static double since(void)
{
    return stage_now - 1000;
}

int transport_rank(const struct transport *t)
{
    (void)t;
    return 1;
}

int transport_size(const struct transport *t)
{
    return t->size;
}

void transport_crowd(const struct transport *t, struct crowd *out)
{
    (void)t;
    *out = crowd;
}

bool transport_orphaned(const struct transport *t)
{
    return t->orphaned > 0 && since() >= t->orphaned;
}

int transport_send(struct transport *t, int to, const struct message *m, const char *text, struct err *e)
{
    if (m->kind == t->broken)
        return err_set(e, "the wire is cut");
    assert_true(n_sent < (int)(sizeof sent / sizeof sent[0]));
    struct sent *s = &sent[n_sent++];
    *s = (struct sent){ since(), to, *m, "" };
    snprintf(s->text, sizeof s->text, "%s", text != NULL ? text : "(none)");
    return 0;
}

int transport_receive(struct transport *t, struct message *m, char **text, int *from, struct err *e)
{
    (void)t;
    (void)e;
    for (int i = 0; i < n_letters; i++)
        if (letters[i].t <= since()) {
            *m = (struct message){ .kind = letters[i].kind, .task = letters[i].task, .attempt = 1 };
            *from = letters[i].from;
            *text = letters[i].text != NULL ? mem_strdup(letters[i].text, NULL) : NULL;
            letters[i].t = INFINITY;
            return 1;
        }
    return 0;
}

/* ---- a task that is made up ---- */

static struct {
    double seconds;     /* that it takes */
    double news;        /* seconds between reports */
    double to_stop;     /* seconds from a stop to its end */
    bool in_rank;       /* runs in the rank */
    double told, stops; /* last report; when it ends because of a stop */
    int starts, asked, killed;
    double begun, asked_at;
    char text[64];
} job;

void runner_init(struct runner *r, const struct run_settings *s)
{
    memset(r, 0, sizeof *r);
    r->settings = s;
    r->task = -1;
}

bool runner_busy(const struct runner *r)
{
    return r->task >= 0;
}

void runner_start(struct runner *r, int task, int attempt, const char *spec)
{
    r->task = task;
    r->attempt = attempt;
    job.starts++;
    job.begun = job.told = stage_now;
    job.stops = INFINITY;
    snprintf(job.text, sizeof job.text, "%s", spec);
    for (double end = stage_now + job.seconds; job.in_rank && stage_now < end && !stage_stopped; clock_sleep(0.01)) {
        r->report.fraction = 0.5;
        r->tick(r->arg, &r->report);
    }
}

int runner_poll(struct runner *r, double wait, bool *fresh, struct attempt_end *end)
{
    *fresh = false;
    if (!job.in_rank)
        clock_sleep(wait);
    bool stopped = stage_now >= job.stops;
    if (!stopped && stage_now - job.begun < job.seconds && !job.in_rank) {
        if (stage_now - job.told >= job.news) {
            job.told = stage_now;
            r->report.fraction = (stage_now - job.begun) / job.seconds;
            *fresh = true;
        }
        return 0;
    }
    *end = (struct attempt_end){ .outcome = stopped ? OUTCOME_STOPPED : OUTCOME_FAILED, .seconds = 7 };
    snprintf(end->error, sizeof end->error, "%s", stopped ? "" : "bad luck");
    r->report.fraction = 0.75;
    r->task = -1;
    return 1;
}

void runner_stop(struct runner *r)
{
    if (r->task < 0)
        return;
    job.asked++;
    job.asked_at = since();
    job.stops = stage_now + job.to_stop;
}

void runner_kill(struct runner *r)
{
    job.killed++;
    r->task = -1;
}

/* ---- a test ---- */

static void begin(int size)
{
    transport = (struct transport){ .size = size };
    crowd = (struct crowd){ .workers = 3, .processors = 8, .own = 2, .slurm = 1 };
    memset(&job, 0, sizeof job);
    job.seconds = 10;
    job.news = INFINITY;
    job.to_stop = 1;
    n_letters = n_sent = 0;
    stage_now = 1000;
    stage_end = 1e5;
    stage_stopped = false;
    stage_log[0] = '\0';
    err.text[0] = '\0';
}

static void comes(double t, int kind, int task, const char *text)
{
    letters[n_letters++] = (struct letter){ t, 0, kind, task, text };
}

static const char *settings(double silence)
{
    static char text[512];
    snprintf(text, sizeof text,
             "{\"dir\":\"/x\",\"device\":\"cpu\",\"threads\":1,\"grace_seconds\":20,\"silence_seconds\":%g}", silence);
    return text;
}

static const struct sent *message(int kind, int k)
{
    for (int i = 0; i < n_sent; i++)
        if (sent[i].m.kind == kind && k-- == 0)
            return &sent[i];
    return NULL;
}

static int number_of(int kind)
{
    int n = 0;
    while (message(kind, n) != NULL)
        n++;
    return n;
}

static void expect_time(double t, double wanted, double late)
{
    if (!(t >= wanted - 1e-6 && t <= wanted + late))
        fail_msg("%.3f s instead of %.3f s", t, wanted);
}

/* ---- tests ---- */

static void a_whole_life(void **state)
{
    char host[256] = "", hello[300];
    (void)state;
    begin(3);
    comes(0, MESSAGE_SETUP, 0, settings(0));
    comes(1, MESSAGE_ASSIGN, 4, "the task");
    comes(1, MESSAGE_ALIVE, 0, NULL);
    comes(20, MESSAGE_ASSIGN, 5, "another task");
    comes(40, MESSAGE_QUIT, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
    gethostname(host, sizeof host - 1);
    snprintf(hello, sizeof hello, "%s 3 8 2 1", host);
    assert_int_equal(sent[0].m.kind, MESSAGE_HELLO);
    assert_string_equal(sent[0].text, hello);
    assert_int_equal(number_of(MESSAGE_HELLO), 1);
    assert_int_equal(number_of(MESSAGE_ENDED), 2);
    const struct sent *end = message(MESSAGE_ENDED, 0);
    expect_time(end->t, 11, 0.02);
    assert_true(end->to == 0 && end->m.task == 4 && end->m.attempt == 1 && end->m.seconds == 7);
    assert_true(end->m.outcome == OUTCOME_FAILED && end->m.report.fraction == 0.75);
    assert_string_equal(end->text, "bad luck");
    assert_int_equal(message(MESSAGE_ENDED, 1)->m.task, 5);
    assert_string_equal(job.text, "another task");
    assert_int_equal(sent[n_sent - 1].m.kind, MESSAGE_BYE);
    expect_time(sent[n_sent - 1].t, 40, 0.02);
    assert_int_equal(number_of(MESSAGE_BYE), 1);
    /* without news of the task there are signs of life, each 2 s, and none between tasks */
    assert_int_equal(number_of(MESSAGE_PROGRESS), 10); /* and one at once */
    for (int k = 1; k < 4; k++)
        expect_time(message(MESSAGE_PROGRESS, k)->t - message(MESSAGE_PROGRESS, k - 1)->t, 2, 0.02);
    assert_int_equal(job.killed, 1);
}

/* News are passed on twice a second; with very many ranks more seldom. */
static void reports(void **state)
{
    static const struct {
        int size;
        double every;
    } rows[] = { { 2, 0.5 }, { 250, 0.5 }, { 500, 1 }, { 2000, 4 } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(rows[i].size);
        job.news = 0.1;
        job.seconds = 100;
        comes(0, MESSAGE_SETUP, 0, settings(0));
        comes(1, MESSAGE_ASSIGN, 4, "x");
        comes(110, MESSAGE_QUIT, 0, NULL);
        assert_int_equal(worker_run(&transport, &err), 0);
        for (int k = 2; k < 5; k++) {
            const struct sent *s = message(MESSAGE_PROGRESS, k);
            expect_time(s->t - message(MESSAGE_PROGRESS, k - 1)->t, rows[i].every, 0.12);
            assert_true(s->to == 0 && s->m.task == 4 && s->m.attempt == 1);
            assert_true(fabs(s->m.report.fraction - (s->t - 1) / 100) < 0.01);
        }
        begin(rows[i].size); /* and signs of life not more often than reports */
        job.seconds = 100;
        comes(0, MESSAGE_SETUP, 0, settings(0));
        comes(1, MESSAGE_ASSIGN, 4, "x");
        comes(110, MESSAGE_QUIT, 0, NULL);
        assert_int_equal(worker_run(&transport, &err), 0);
        expect_time(message(MESSAGE_PROGRESS, 3)->t - message(MESSAGE_PROGRESS, 2)->t, rows[i].every > 2 ? 4 : 2, 0.02);
    }
}

static void stops(void **state)
{
    (void)state;
    begin(2); /* rank 0 asks */
    comes(0, MESSAGE_SETUP, 0, settings(0));
    comes(1, MESSAGE_ASSIGN, 4, "x");
    comes(5, MESSAGE_STOP, 0, NULL);
    comes(9, MESSAGE_QUIT, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
    assert_int_equal(job.asked, 1);
    expect_time(message(MESSAGE_ENDED, 0)->t, 6, 0.03);
    assert_int_equal(message(MESSAGE_ENDED, 0)->m.outcome, OUTCOME_STOPPED);
    assert_string_equal(message(MESSAGE_ENDED, 0)->text, "(none)");
    assert_int_equal(number_of(MESSAGE_STOP), 0);
    begin(2); /* a signal asks: rank 0 is told, once */
    stage_stopped = true;
    comes(0, MESSAGE_SETUP, 0, settings(0));
    comes(9, MESSAGE_QUIT, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
    assert_int_equal(number_of(MESSAGE_STOP), 1);
    expect_time(message(MESSAGE_STOP, 0)->t, 0, 0.02);
    /* whoever is asked to stop and then heard no more of, ends the run: after the grace period and 10 s */
    begin(2);
    stage_stopped = true;
    comes(0, MESSAGE_SETUP, 0, settings(0));
    assert_int_equal(worker_run(&transport, &err), -1);
    expect_time(since(), 30, 0.1);
    assert_string_equal(err.text, "rank 0 has not ended the run 30 s after a signal asked for it");
}

/* A task in the rank itself: the rank hears of a stop while it runs, and passes its news on. */
static void a_task_in_the_rank(void **state)
{
    (void)state;
    begin(2);
    job.in_rank = true;
    comes(0, MESSAGE_SETUP, 0, settings(5));
    comes(1, MESSAGE_ASSIGN, 4, "x");
    comes(4, MESSAGE_ALIVE, 0, NULL);
    comes(7, MESSAGE_STOP, 0, NULL);
    comes(9, MESSAGE_QUIT, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
    assert_true(stage_stopped);
    expect_time(message(MESSAGE_ENDED, 0)->t, 7, 0.05);
    assert_true(number_of(MESSAGE_PROGRESS) >= 11 && number_of(MESSAGE_PROGRESS) <= 13);
    assert_true(message(MESSAGE_PROGRESS, 3)->m.report.fraction == 0.5);
    begin(2);
    job.in_rank = true;
    transport.broken = MESSAGE_PROGRESS;
    comes(0, MESSAGE_SETUP, 0, settings(5));
    comes(1, MESSAGE_ASSIGN, 4, "x");
    comes(20, MESSAGE_QUIT, 0, NULL);
    for (int t = 2; t < 20; t++)
        comes(t, MESSAGE_ALIVE, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
    assert_true(stage_says("warning: the wire is cut") > 0);
}

/* Rank 0 is silent: the task saves its state, in the grace period and 2 s at most. */
static void rank_zero_is_silent(void **state)
{
    (void)state;
    for (int busy = 0; busy < 3; busy++) {
        begin(2);
        job.seconds = 1000;
        job.to_stop = busy == 2 ? 500 : 3;
        comes(0, MESSAGE_SETUP, 0, settings(50));
        comes(40, busy > 0 ? MESSAGE_ASSIGN : MESSAGE_ALIVE, 4, busy > 0 ? "x" : NULL);
        assert_int_equal(worker_run(&transport, &err), -1);
        expect_time(since(), 89.9 + 22, 0.3);
        assert_string_equal(err.text, "rank 0 has said nothing for 50 s");
        assert_int_equal(job.asked, busy > 0);
        if (busy > 0)
            expect_time(job.asked_at, 89.9, 0.2);
        assert_int_equal(number_of(MESSAGE_ENDED), busy == 1);
        assert_int_equal(number_of(MESSAGE_BYE), 0);
        assert_int_equal(job.killed, 1);
    }
    begin(2); /* nobody minds */
    comes(0, MESSAGE_SETUP, 0, settings(0));
    comes(5000, MESSAGE_QUIT, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
    begin(2); /* before it has settings, it does not know */
    comes(5000, MESSAGE_SETUP, 0, settings(50));
    comes(5001, MESSAGE_QUIT, 0, NULL);
    assert_int_equal(worker_run(&transport, &err), 0);
}

static void out_of_turn(void **state)
{
    static const struct {
        int kind;
        const char *text, *says;
    } rows[] = { { MESSAGE_ASSIGN, "x", "rank 0 assigned a task out of turn" },
                 { MESSAGE_HELLO, NULL, "rank 0 sent an unknown message 1" },
                 { MESSAGE_SETUP, "{}", "broken run settings: {}" },
                 { MESSAGE_SETUP, NULL, "broken run settings: " } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(2);
        comes(1, rows[i].kind, 4, rows[i].text);
        assert_int_equal(worker_run(&transport, &err), -1);
        assert_string_equal(err.text, rows[i].says);
        assert_int_equal(job.starts, 0);
        assert_int_equal(number_of(MESSAGE_BYE), 0);
        assert_int_equal(job.killed, 1);
    }
    for (int i = 0; i < 2; i++) { /* two at a time, and one without a description */
        begin(2);
        comes(0, MESSAGE_SETUP, 0, settings(0));
        comes(1, MESSAGE_ASSIGN, 4, i == 0 ? "x" : NULL);
        comes(2, MESSAGE_ASSIGN, 5, "y");
        assert_int_equal(worker_run(&transport, &err), -1);
        assert_string_equal(err.text, "rank 0 assigned a task out of turn");
        assert_int_equal(job.starts, 1 - i);
    }
    static const int kinds[] = { MESSAGE_HELLO, MESSAGE_PROGRESS, MESSAGE_ENDED, MESSAGE_STOP, MESSAGE_BYE };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) { /* what cannot be sent */
        begin(2);
        transport.broken = kinds[i];
        stage_stopped = kinds[i] == MESSAGE_STOP;
        comes(0, MESSAGE_SETUP, 0, settings(0));
        comes(1, MESSAGE_ASSIGN, 4, "x");
        comes(15, MESSAGE_QUIT, 0, NULL);
        assert_int_equal(worker_run(&transport, &err), -1);
        assert_string_equal(err.text, "the wire is cut");
    }
    begin(2);
    transport.orphaned = 5;
    comes(0, MESSAGE_SETUP, 0, settings(0));
    assert_int_equal(worker_run(&transport, &err), -1);
    assert_string_equal(err.text, "the launcher is gone");
    expect_time(since(), 5, 0.02);
}

/* An idle rank looks at once, and then each 5 ms. */
static void pauses(void **state)
{
    struct backoff b;
    (void)state;
    begin(2);
    double last = 0;
    for (int round = 0; round < 2; round++) {
        backoff_reset(&b);
        for (int i = 0; i < 40; i++) {
            double before = stage_now;
            backoff_sleep(&b);
            double slept = stage_now - before;
            if (i == 0)
                assert_true(fabs(slept - 2e-5) < 1e-9);
            else
                assert_true(slept >= last - 1e-9 && slept <= 1.31 * last + 1e-9);
            last = slept;
        }
        assert_true(fabs(last - 5e-3) < 1e-9);
    }
}

/* All leave; those that do not answer within 20 s are named. */
static void dismissal(void **state)
{
    (void)state;
    begin(4);
    for (int rank = 1; rank < 4; rank++)
        letters[n_letters++] = (struct letter){ 2 * rank, rank, MESSAGE_BYE, 0, NULL };
    letters[n_letters++] = (struct letter){ 1, 3, MESSAGE_PROGRESS, 0, NULL };
    letters[n_letters++] = (struct letter){ 3, 1, MESSAGE_BYE, 0, NULL }; /* a second one is none of another's */
    assert_int_equal(coord_dismiss(&transport, &err), 0);
    expect_time(since(), 6, 0.01);
    assert_int_equal(number_of(MESSAGE_QUIT), 3);
    for (int rank = 1; rank < 4; rank++)
        assert_int_equal(message(MESSAGE_QUIT, rank - 1)->to, rank);
    for (int silent = 1; silent < 3; silent++) {
        begin(4);
        for (int rank = 1; rank < 4 - silent; rank++)
            letters[n_letters++] = (struct letter){ 2, rank, MESSAGE_BYE, 0, NULL };
        assert_int_equal(coord_dismiss(&transport, &err), -1);
        expect_time(since(), 20, 0.01);
        assert_string_equal(
            err.text, silent == 1 ? "rank 3 does not answer at the end of the run and is left behind"
                                  : "rank 2, like others, does not answer at the end of the run and is left behind");
    }
    begin(2);
    transport.orphaned = 3;
    assert_int_equal(coord_dismiss(&transport, &err), -1);
    assert_string_equal(err.text, "the launcher is gone");
    expect_time(since(), 3, 0.01);
    begin(3);
    transport.broken = MESSAGE_QUIT;
    assert_int_equal(coord_dismiss(&transport, &err), -1);
    assert_string_equal(err.text, "the wire is cut");
    begin(1); /* nobody is there */
    assert_int_equal(coord_dismiss(&transport, &err), 0);
    assert_int_equal(n_sent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_life),
        cmocka_unit_test(reports),
        cmocka_unit_test(stops),
        cmocka_unit_test(a_task_in_the_rank),
        cmocka_unit_test(rank_zero_is_silent),
        cmocka_unit_test(out_of_turn),
        cmocka_unit_test(pauses),
        cmocka_unit_test(dismissal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
