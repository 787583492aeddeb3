/* coord: rank 0, with workers that are made up and a clock that is turned by hand: who gets what and when, and what
 * follows from silence, failures, stops and results that are not whole. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "coord/coord.h"
#include "coord/results.h"
#include "unit/coord/stage.h"
#include "unit/plan/graph.h"

/* ---- the ranks of a test ---- */

/* What a worker makes of an attempt. */
struct act {
    double seconds;       /* until it ends by itself */
    enum outcome outcome; /* 0: done */
    const char *error;
    double fraction; /* that it reports */
    bool silent;     /* says nothing, ever */
    bool deaf;       /* does not hear a stop */
    bool waits;      /* for others: its time does not count */
    bool no_file;    /* leaves no result */
};

struct rank {
    bool greeted;
    int task, attempt;
    double ends, stops, reports;
    struct act act;
};

struct sent {
    double t;
    int to, kind, task, attempt;
};

struct letter {
    double t;
    int from;
    struct message m;
    const char *text;
};

struct transport {
    int size;
    double orphaned; /* from then on */
    int refused;     /* kind of message that cannot be sent */
};

static char root[] = "/tmp/dinf-leader.XXXXXX";
static struct err err;
static struct plan *plan;
static struct transport transport;
static struct crowd here; /* rank 0's own */
static struct rank ranks[16];
static struct sent sent[20000];
static struct letter letters[4];
static int n_sent, n_letters;
static const char *hello; /* of every rank behind its host's name */
static struct act (*behave)(int rank, int task, int attempt);
static struct run_settings settings;

int transport_rank(const struct transport *t)
{
    (void)t;
    return 0;
}

int transport_size(const struct transport *t)
{
    return t->size;
}

void transport_crowd(const struct transport *t, struct crowd *out)
{
    (void)t;
    *out = here;
}

bool transport_orphaned(const struct transport *t)
{
    return t->orphaned > 0 && stage_now >= t->orphaned;
}

static void put_result(int task)
{
    char path[PATH_MAX];
    assert_int_equal(task_path(root, plan->tasks[task].id, ".h5", path, &err), 0);
    assert_int_equal(fs_write_atomic(path, "result", 6, &err), 0);
}

int transport_send(struct transport *t, int to, const struct message *m, const char *text, struct err *e)
{
    if (m->kind == t->refused)
        return err_set(e, "the wire is cut");
    assert_true(n_sent < (int)(sizeof sent / sizeof sent[0]));
    sent[n_sent++] = (struct sent){ stage_now, to, m->kind, m->task, m->attempt };
    struct rank *r = &ranks[to];
    switch (m->kind) {
    case MESSAGE_SETUP:
        assert_non_null(strstr(text, root));
        break;
    case MESSAGE_ASSIGN:
        assert_non_null(strstr(text, plan->tasks[m->task].id));
        assert_int_equal(r->task, -1);
        r->task = m->task;
        r->attempt = m->attempt;
        r->act = behave(to, m->task, m->attempt);
        r->ends = stage_now + r->act.seconds;
        r->stops = INFINITY;
        r->reports = stage_now + 2;
        break;
    case MESSAGE_STOP:
        if (r->task >= 0 && !r->act.deaf)
            r->stops = stage_now + 0.5;
        break;
    default:
        break;
    }
    return 0;
}

static int ended(int from, struct message *m, char **text, enum outcome outcome)
{
    struct rank *r = &ranks[from];
    *m = (struct message){ .kind = MESSAGE_ENDED, .task = r->task, .attempt = r->attempt, .outcome = (int)outcome };
    m->seconds = r->act.seconds;
    m->report.fraction = r->act.fraction;
    if (outcome >= OUTCOME_FAILED && r->act.error != NULL)
        *text = mem_strdup(r->act.error, NULL);
    if (outcome == OUTCOME_DONE && !r->act.no_file)
        put_result(r->task);
    r->task = -1;
    return 1;
}

int transport_receive(struct transport *t, struct message *m, char **text, int *from, struct err *e)
{
    (void)e;
    *text = NULL;
    for (int i = 0; i < n_letters; i++)
        if (letters[i].t <= stage_now) {
            *m = letters[i].m;
            *from = letters[i].from;
            *text = letters[i].text != NULL ? mem_strdup(letters[i].text, NULL) : NULL;
            letters[i].t = INFINITY;
            return 1;
        }
    for (int i = 1; i < t->size; i++) {
        struct rank *r = &ranks[i];
        char line[128];
        *from = i;
        if (!r->greeted) {
            r->greeted = true;
            snprintf(line, sizeof line, "host%d %s", (i - 1) / 2, hello);
            *m = (struct message){ .kind = MESSAGE_HELLO };
            *text = mem_strdup(line, NULL);
            return 1;
        }
        if (r->task < 0 || r->act.silent)
            continue;
        if (r->stops <= stage_now)
            return ended(i, m, text, OUTCOME_STOPPED);
        if (r->ends <= stage_now)
            return ended(i, m, text, r->act.outcome);
        if (r->reports <= stage_now) {
            r->reports = stage_now + 2;
            *m = (struct message){ .kind = MESSAGE_PROGRESS, .task = r->task, .attempt = r->attempt };
            m->report.fraction = r->act.fraction;
            m->report.waiting = r->act.waits;
            return 1;
        }
    }
    return 0;
}

void transport_library(struct library *out)
{
    *out = (struct library){ .name = "mpi" };
}

/* ---- results that are made up ---- */

static int n_collected; /* how often */
static double collected_at[8];
static double collecting; /* seconds */
/* what the k-th time comes to: how many tasks are missing, and the list of what is left out; -1: it fails */
static struct {
    int missing;
    const char *left_out;
} collections[8];

void results_init(struct results *r, const char *dir)
{
    *r = (struct results){ .dir = dir, .list = -1, .stale = true };
}

static const char *poll_fails; /* once */
static bool rebuilt;           /* at once, so that nothing is new until something ends */
static bool was_stale;

int results_poll(struct results *r, struct err *e)
{
    const char *why = poll_fails;
    poll_fails = NULL;
    r->stale &= !rebuilt;
    rebuilt = false;
    return why == NULL ? 0 : err_set(e, "%s", why);
}

int results_finish(struct results *r, struct err *e)
{
    int k = n_collected++, done = 0;
    was_stale = r->stale;
    assert_true(k < 8);
    collected_at[k] = stage_now;
    for (double end = stage_now + collecting; stage_now < end; clock_sleep(0.01))
        r->tick(r->arg);
    if (!r->stale)
        return 0;
    if (collections[k].missing < 0)
        return err_set(e, "results.h5 could not be rebuilt: why");
    for (int i = 0; i < plan->n_tasks; i++)
        done += plan->tasks[i].state == TASK_DONE;
    r->stale = collections[k].missing > 0;
    r->collected = done - collections[k].missing;
    r->left_out = collections[k].left_out != NULL ? mem_strdup(collections[k].left_out, NULL) : NULL;
    return 0;
}

void results_fini(struct results *r)
{
    mem_free(r->left_out);
}

/* ---- a run ---- */

static struct act one_second(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    (void)attempt;
    return (struct act){ .seconds = 1 };
}

/* An empty run directory, `workers` and no tasks yet. */
static void begin(int workers)
{
    char path[PATH_MAX];
    static const char *const folders[] = { "tasks", "work", "logs" };
    assert_int_equal(fs_remove_tree(root, &err), 0);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        assert_int_equal(fs_mkdirs(path, &err), 0);
    }
    plan_destroy(plan);
    plan = graph_create();
    plan->campaign.retries = 0;
    plan->campaign.retry_seconds = 1;
    transport = (struct transport){ .size = workers + 1 };
    memset(ranks, 0, sizeof ranks);
    for (int i = 0; i < 16; i++)
        ranks[i].task = -1;
    memset(collections, 0, sizeof collections);
    n_sent = n_letters = n_collected = 0;
    here = (struct crowd){ .workers = 0 };
    poll_fails = NULL;
    rebuilt = false;
    collecting = 0;
    hello = "4 64 16 0";
    behave = one_second;
    stage_stopped = false;
    stage_log[0] = '\0';
    stage_now = 1000;
    settings = (struct run_settings){ .device = "cpu", .threads = 1, .grace_seconds = 20, .silence_seconds = 600 };
    snprintf(settings.dir, sizeof settings.dir, "%s", root);
}

static void tasks(int n)
{
    for (int i = 0; i < n; i++)
        graph_task(plan, 1, -1, -1);
}

/* What the run came to: 1000 + what it returned, if that was not 0. */
static int lead(void)
{
    int status = -1;
    err.text[0] = '\0';
    int rc = coord_lead(&transport, plan, &settings, &status, &err);
    return rc == 0 ? status : status < 0 ? 1000 + rc : status;
}

static void write_at(double t, int from, int kind, int task, int attempt)
{
    letters[n_letters++] =
        (struct letter){ 1000 + t, from, { .kind = kind, .task = task, .attempt = attempt, .seconds = 1 }, NULL };
}

/* The k-th message of the kind about the task (-1: any) to the rank (-1: any), in seconds; NaN: there is none. */
static double when(int kind, int task, int to, int k)
{
    for (int i = 0; i < n_sent; i++)
        if (sent[i].kind == kind && (task < 0 || sent[i].task == task) && (to < 0 || sent[i].to == to) && k-- == 0)
            return sent[i].t - 1000;
    return NAN;
}

static int rank_of(int task, int k)
{
    for (int i = 0; i < n_sent; i++)
        if (sent[i].kind == MESSAGE_ASSIGN && sent[i].task == task && k-- == 0)
            return sent[i].to;
    return -1;
}

static int number_of(int kind, int task, int to)
{
    int n = 0;
    while (!isnan(when(kind, task, to, n)))
        n++;
    return n;
}

static void expect_time(double t, double wanted)
{
    if (!(t >= wanted - 1e-6 && t <= wanted + 0.06))
        fail_msg("%.3f s instead of %.3f s: %s", t, wanted, stage_log);
}

/* Events of the kind in the journal that also say this. */
static int journal(const char *event, const char *also)
{
    char path[PATH_MAX], *text, word[64];
    int n = 0;
    snprintf(path, sizeof path, "%s/journal.jsonl", root);
    snprintf(word, sizeof word, "\"event\":\"%s\"", event);
    assert_int_equal(fs_read(path, &text, NULL, &err), 0);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
        n += strstr(line, word) != NULL && strstr(line, also) != NULL;
    mem_free(text);
    return n;
}

/* A number of status.json. */
static double status_of(const char *name)
{
    char path[PATH_MAX], *text;
    snprintf(path, sizeof path, "%s/status.json", root);
    assert_int_equal(fs_read(path, &text, NULL, &err), 0);
    cJSON *o = cJSON_Parse(text);
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    double number = cJSON_IsString(v) ? (double)strlen(v->valuestring) : cJSON_IsTrue(v) ? 1 : v->valuedouble;
    cJSON_Delete(o);
    mem_free(text);
    return number;
}

/* ---- tests ---- */

static void all_is_done(void **state)
{
    (void)state;
    begin(3);
    graph_task(plan, 1, -1, -1);
    graph_task(plan, 1, 0, -1);
    tasks(5);
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, -1), 7);
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, 0), 0);
    for (int rank = 1; rank <= 3; rank++) {
        assert_int_equal(number_of(MESSAGE_SETUP, -1, rank), 1);
        expect_time(when(MESSAGE_ASSIGN, -1, rank, 0), 0); /* all work at once */
        expect_time(when(MESSAGE_ASSIGN, -1, rank, 1), 1); /* and without a break */
    }
    assert_true(when(MESSAGE_ASSIGN, 0, -1, 0) < 0.06); /* others wait for it */
    expect_time(when(MESSAGE_ASSIGN, 1, -1, 0), 1);
    assert_int_equal(number_of(MESSAGE_STOP, -1, -1), 0);
    assert_int_equal(n_collected, 1);
    expect_time(collected_at[0] - 1000, 3);
    assert_int_equal(journal("run", "\"ranks\":4"), 1);
    assert_int_equal(journal("start", "\"attempt\":1"), 7);
    assert_int_equal(journal("done", "\"seconds\":1,"), 7);
    assert_int_equal(journal("end", "\"done\":7,\"failed\":0,\"skipped\":0"), 1);
    assert_true(status_of("done") == 7 && status_of("running") == 0 && status_of("fraction") == 1);
    assert_true(status_of("workers_total") == 3 && status_of("stopping") == 0);
    assert_true(fabs(status_of("elapsed") - 3) < 0.1);
    assert_int_equal(stage_says("warning"), 0);
    assert_int_equal(stage_says("test: 7 tasks on 3 workers, in "), 1);
    assert_int_equal(stage_says("finished after 3 s: 7 done, 0 failed, 0 skipped\n"), 1);
    /* again: nothing is left to do, and a result that has been lost meanwhile is made again */
    int from = n_sent;
    stage_log[0] = '\0';
    struct plan *same = graph_create();
    graph_task(same, 1, -1, -1);
    graph_task(same, 1, 0, -1);
    for (int i = 0; i < 5; i++)
        graph_task(same, 1, -1, -1);
    char path[PATH_MAX];
    assert_int_equal(task_path(root, plan->tasks[3].id, ".h5", path, &err), 0);
    assert_int_equal(remove(path), 0);
    plan_destroy(plan);
    plan = same;
    memset(ranks, 0, sizeof ranks);
    for (int i = 0; i < 16; i++)
        ranks[i].task = -1;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(stage_says("test: 7 tasks on 3 workers (goes on), in "), 1);
    assert_int_equal(stage_says("6 of them are done already\n"), 1);
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, -1), 8);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 3, -1), 2);
    assert_true(n_sent > from);
}

static struct act fails_twice(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    return attempt <= 2 ? (struct act){ .seconds = 1, .outcome = OUTCOME_FAILED, .error = "bad luck" }
                        : (struct act){ .seconds = 1 };
}

static struct act fails_always(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    (void)attempt;
    return (struct act){ .seconds = 1, .outcome = OUTCOME_FAILED, .error = "bad luck" };
}

static const char *error_of_all;

static struct act fails_so(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    (void)attempt;
    return (struct act){ .seconds = 1, .outcome = OUTCOME_FAILED, .error = error_of_all };
}

/* Pauses of 1 s, 2 s, 4 s and so on, a minute at most; further attempts elsewhere. */
static void retries(void **state)
{
    (void)state;
    begin(2);
    tasks(1);
    plan->campaign.retries = 2;
    behave = fails_twice;
    assert_int_equal(lead(), EXIT_DONE);
    expect_time(when(MESSAGE_ASSIGN, 0, -1, 1), 1 + 1);
    expect_time(when(MESSAGE_ASSIGN, 0, -1, 2), 1 + 1 + 1 + 2);
    assert_true(rank_of(0, 0) != rank_of(0, 1) && rank_of(0, 1) != rank_of(0, 2));
    assert_int_equal(journal("failed", "\"final\":false"), 2);
    assert_int_equal(journal("failed", "\"host\":\"host0\""), 2);
    assert_int_equal(journal("done", "\"attempt\":3"), 1);
    assert_int_equal(stage_says("will be tried again"), 2);
    assert_int_equal(stage_says("starts mock:0 again\n"), 2);

    begin(2);
    graph_task(plan, 1, -1, -1);
    graph_task(plan, 1, 0, -1);
    tasks(1);
    plan->campaign.retries = 1;
    plan->campaign.retry_seconds = 90; /* longer than a minute is too long */
    behave = fails_twice;
    assert_int_equal(lead(), EXIT_TASKS_FAILED);
    expect_time(when(MESSAGE_ASSIGN, 0, -1, 1), 1 + 60);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 0, -1), 2);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 1, -1), 0);
    assert_int_equal(journal("failed", "\"final\":true"), 2);
    assert_int_equal(journal("end", "\"done\":0,\"failed\":2,\"skipped\":1"), 1);
    assert_int_equal(stage_says("given up"), 2);
    assert_int_equal(stage_says("error: mock:0 failed: bad luck (logs/"), 1);
    assert_int_equal(n_collected, 1);
}

static void what_passes_and_what_lasts(void **state)
{
    static const struct {
        const char *error;
        int64_t retries;
        int attempts;
    } rows[] = {
        { "cannot write x: No space left on device", 0, 1 }, { "cannot write x: No space left on device", 1, 8 },
        { "cannot write x: No space left on device", 6, 8 }, { "cannot write x: No space left on device", 7, 8 },
        { "cannot write x: No space left on device", 8, 9 }, { "bad luck", 3, 4 },
        { "there is no data format \"jpg\"", 5, 1 },         { "cannot open x: No such file or directory", 5, 2 }
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(1);
        tasks(1);
        plan->campaign.retries = rows[i].retries;
        plan->campaign.retry_seconds = 0.1;
        error_of_all = rows[i].error;
        behave = fails_so;
        assert_int_equal(lead(), EXIT_TASKS_FAILED);
        if (number_of(MESSAGE_ASSIGN, 0, -1) != rows[i].attempts)
            fail_msg("%d attempts: %s", number_of(MESSAGE_ASSIGN, 0, -1), rows[i].error);
        assert_int_equal(stage_says("no further attempt would mend it"), rows[i].attempts <= 2 && rows[i].retries > 1);
    }
}

static struct act long_elsewhere(int rank, int task, int attempt)
{
    (void)rank;
    if (task == 0 && attempt == 1)
        return (struct act){ .seconds = 1, .outcome = OUTCOME_FAILED, .error = "bad luck" };
    return (struct act){ .seconds = task == 0 ? 1 : 400 };
}

/* A second attempt waits for another rank, but not longer than two minutes. */
static void patience(void **state)
{
    (void)state;
    begin(2);
    graph_task(plan, 2, -1, -1);
    tasks(1);
    plan->campaign.retries = 9;
    behave = long_elsewhere;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(rank_of(0, 0), rank_of(0, 1));
    expect_time(when(MESSAGE_ASSIGN, 0, -1, 1), 1 + 120);
}

static struct act half_done(int rank, int task, int attempt)
{
    (void)rank;
    (void)attempt;
    return (struct act){ .seconds = task < 2 ? 100 : 1, .fraction = task == 0 ? 0.25 : 1.5 };
}

/* Asked by a signal: what runs saves, nothing new begins, the next run goes on. */
static void a_stop(void **state)
{
    (void)state;
    for (int by = 0; by < 2; by++) {
        begin(3);
        tasks(8);
        behave = half_done;
        write_at(10, 2, by == 0 ? MESSAGE_STOP : MESSAGE_PROGRESS, 99, 1);
        if (by == 1)
            stage_stopped = true; /* before anything began */
        assert_int_equal(lead(), EXIT_STOPPED);
        assert_int_equal(n_collected, 0);
        if (by == 1) {
            assert_int_equal(number_of(MESSAGE_ASSIGN, -1, -1), 0);
            assert_int_equal(stage_says("rank 0 was asked to stop: 0 running tasks are saving state\n"), 1);
            continue;
        }
        assert_int_equal(stage_says("rank 2 was asked to stop: 2 running tasks are saving state\n"), 1);
        expect_time(when(MESSAGE_STOP, -1, -1, 0), 10);
        assert_int_equal(number_of(MESSAGE_STOP, -1, -1), 2); /* to those that work */
        for (int i = 0; i < 2; i++)
            assert_int_equal(number_of(MESSAGE_STOP, -1, rank_of(i, 0)), 1);
        expect_time(stage_now - 1000, 10.5);
        assert_int_equal(journal("stopped", ""), 2);
        assert_int_equal(journal("stopped", "\"seconds\":100,"), 2);
        assert_int_equal(journal("stopped", "\"saved\":0.25"), 1);
        assert_int_equal(journal("stopped", "\"saved\":1,") + journal("stopped", "\"saved\":1}"), 1);
        assert_int_equal(journal("end", "\"done\":6"), 1);
        assert_int_equal(stage_says("stopped after 11 s: 6 done, 0 failed, 0 skipped; the same command goes on\n"), 1);
        assert_true(plan->tasks[0].attempts == 0 && status_of("stopping") == 1 && status_of("ready") == 2);
    }
}

/* However often, and by however many: the first of them counts. */
static void many_stops(void **state)
{
    (void)state;
    begin(3);
    tasks(8);
    behave = half_done;
    stage_stop_at = 1010;
    write_at(10.1, 1, MESSAGE_STOP, 0, 0);
    write_at(10.2, 2, MESSAGE_STOP, 0, 0);
    write_at(10.3, 3, MESSAGE_STOP, 0, 0);
    assert_int_equal(lead(), EXIT_STOPPED);
    stage_stop_at = 1e9;
    assert_int_equal(stage_says("was asked to stop"), 1);
    assert_int_equal(stage_says("rank 0 was asked to stop: 2 running tasks are saving state\n"), 1);
    assert_int_equal(stage_says("error"), 0);
    assert_int_equal(number_of(MESSAGE_STOP, -1, -1), 2);
    assert_int_equal(journal("stopped", ""), 2);
    expect_time(stage_now - 1000, 10.5);
}

static struct act deaf_to_stops(int rank, int task, int attempt)
{
    (void)rank;
    (void)attempt;
    return (struct act){ .seconds = 1000, .deaf = task == 0 };
}

/* A rank that does not end its task in the grace period and 5 s is lost. */
static void a_stop_that_is_not_heard(void **state)
{
    (void)state;
    begin(2);
    tasks(2);
    behave = deaf_to_stops;
    write_at(10, 1, MESSAGE_STOP, 0, 0);
    assert_int_equal(lead(), EXIT_RANK_LOST);
    expect_time(stage_now - 1000, 10 + 20 + 5);
    assert_int_equal(journal("stopped", ""), 1);
    assert_int_equal(journal("failed", "has said nothing for"), 1);
    assert_int_equal(journal("end", ""), 0);
    assert_int_equal(n_collected, 0);
}

static struct act silent_second(int rank, int task, int attempt)
{
    (void)task;
    (void)attempt;
    return (struct act){ .seconds = rank == 2 ? 1000 : 300, .silent = rank == 2 };
}

static void a_silent_rank(void **state)
{
    (void)state;
    begin(2);
    tasks(3);
    behave = silent_second;
    plan->campaign.retries = 5;
    settings.silence_seconds = 100;
    write_at(100.2, 2, MESSAGE_ENDED, rank_of(0, 0), 1); /* too late: it is given up */
    letters[0].m.task = 0;
    assert_int_equal(lead(), EXIT_RANK_LOST);
    expect_time(when(MESSAGE_STOP, -1, 1, 0), 100);
    assert_int_equal(number_of(MESSAGE_STOP, -1, 2), 0);
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, -1), 2);
    assert_int_equal(journal("failed", "rank 2 on host0 has said nothing for 100 s"), 1);
    assert_int_equal(journal("failed", "\"seconds\":100"), 1);
    assert_int_equal(journal("stopped", ""), 1);
    assert_int_equal(journal("done", ""), 0);
    assert_int_equal(stage_says("the run ends, to be started again: "), 1);
    assert_int_equal(number_of(MESSAGE_ALIVE, -1, 2), 3); /* no more since it is lost */

    begin(2); /* whoever never was heard of is not asked for anything */
    tasks(1);
    ranks[2].greeted = true;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 0, 1), 1);
    assert_int_equal(number_of(MESSAGE_ALIVE, -1, 2), 0);
    assert_int_equal((int)status_of("workers_total"), 1);
}

static struct act very_long(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    (void)attempt;
    return (struct act){ .seconds = 200 };
}

/* Rank 0 gives a sign each quarter of the silence, and each 30 s at least. */
static void signs(void **state)
{
    static const double silence[] = { 40, 100, 600, 0 }, every[] = { 10, 25, 30, 0 };
    (void)state;
    for (int i = 0; i < 4; i++) {
        begin(2);
        tasks(2);
        behave = very_long;
        settings.silence_seconds = silence[i];
        assert_int_equal(lead(), EXIT_DONE);
        if (every[i] <= 0) {
            assert_int_equal(number_of(MESSAGE_ALIVE, -1, -1), 0);
            continue;
        }
        for (int rank = 1; rank <= 2; rank++)
            for (int k = 1; k < 4; k++) {
                double pause = when(MESSAGE_ALIVE, -1, rank, k) - when(MESSAGE_ALIVE, -1, rank, k - 1);
                assert_true(pause > every[i] - 0.01 && pause < every[i] + 0.1);
            }
    }
}

static struct act beyond_its_limit(int rank, int task, int attempt)
{
    (void)attempt;
    return (struct act){ .seconds = 300, .silent = rank == 1, .waits = task == 1 };
}

static struct act long_then_silent(int rank, int task, int attempt)
{
    (void)rank;
    (void)attempt;
    return (struct act){ .seconds = 60, .silent = task == 1 };
}

/* The time limit is the worker's to keep; one that does not, and is silent, is lost. */
static void the_time_limit(void **state)
{
    (void)state;
    begin(2);
    tasks(2);
    behave = beyond_its_limit;
    settings.task_seconds = 50;
    assert_int_equal(lead(), EXIT_RANK_LOST);
    expect_time(when(MESSAGE_STOP, -1, 2, 0), 50 + 20 + 10);
    begin(2);
    tasks(2);
    behave = very_long; /* with a limit and news */
    settings.task_seconds = 50;
    assert_int_equal(lead(), EXIT_DONE);
    begin(1); /* each attempt has a time of its own */
    tasks(2);
    behave = long_then_silent;
    settings.task_seconds = 50;
    write_at(60 + 25, 1, MESSAGE_ENDED, 1, 1);
    put_result(1);
    assert_int_equal(lead(), EXIT_DONE);
    begin(2); /* tasks in the ranks themselves are mute */
    tasks(2);
    behave = beyond_its_limit;
    settings.in_process = true;
    settings.silence_seconds = 100;
    write_at(250, 1, MESSAGE_ENDED, 0, 1);
    put_result(0);
    assert_int_equal(lead() == EXIT_DONE || rank_of(0, 0) != 1, true);
}

static struct act stuck_or_done(int rank, int task, int attempt)
{
    (void)task;
    (void)attempt;
    return rank == 1 ? (struct act){ .seconds = 1, .outcome = OUTCOME_STUCK, .error = "hangs" }
                     : (struct act){ .seconds = 1 };
}

static struct act all_stuck(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    (void)attempt;
    return (struct act){ .seconds = 1, .outcome = OUTCOME_STUCK, .error = "hangs" };
}

static struct act bad_first(int rank, int task, int attempt)
{
    (void)task;
    (void)attempt;
    return rank == 1 ? (struct act){ .seconds = 0.1, .outcome = OUTCOME_FAILED, .error = "bad luck" }
                     : (struct act){ .seconds = 1 };
}

static struct act lasting_first(int rank, int task, int attempt)
{
    (void)task;
    (void)attempt;
    return rank == 1
               ? (struct act){ .seconds = 0.1, .outcome = OUTCOME_FAILED, .error = "there is no data format \"jpg\"" }
               : (struct act){ .seconds = 1 };
}

static void set_aside(void **state)
{
    (void)state;
    begin(2);
    tasks(4);
    plan->campaign.retries = 1;
    behave = stuck_or_done;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, 1), 1);
    assert_int_equal(
        stage_says("warning: rank 1 on host0 gets no further tasks: a process of its last one does not die"), 1);
    begin(2);
    tasks(4);
    behave = all_stuck;
    assert_int_equal(lead(), 1000 - 1);
    assert_string_equal(err.text, "no rank is left that could work");
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, -1), 2);
    begin(3);
    tasks(30);
    plan->campaign.retries = 1;
    behave = bad_first;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(number_of(MESSAGE_ASSIGN, -1, 1), 3);
    begin(3); /* what no attempt would mend is no fault of the rank */
    tasks(30);
    plan->campaign.retries = 1;
    behave = lasting_first;
    assert_int_equal(lead(), EXIT_TASKS_FAILED);
    assert_true(number_of(MESSAGE_ASSIGN, -1, 1) > 10);
    assert_int_equal(stage_says("gets no further tasks"), 0);
    begin(3);
    tasks(30);
    plan->campaign.retries = 1;
    behave = bad_first;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(stage_says("warning: rank 1 on host0 gets no further tasks: several tasks failed there in a row"),
                     1);
}

/* Errors of the run's own: what runs saves its state, and the first is told. */
static void breaks_off(void **state)
{
    static const struct {
        int kind, task, attempt;
        const char *says;
    } rows[] = { { MESSAGE_ENDED, 1, 1, "rank 1 ended a task that it was not given" },
                 { MESSAGE_ENDED, 0, 2, "rank 1 ended a task that it was not given" },
                 { 77, 0, 1, "rank 1 sent an unknown message 77" } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(1);
        tasks(3);
        behave = half_done;
        write_at(5, 1, rows[i].kind, rows[i].task, rows[i].attempt);
        assert_int_equal(lead(), 1000 - 1);
        assert_string_equal(err.text, rows[i].says);
        expect_time(stage_now - 1000, 5.5);
        assert_int_equal(journal("stopped", ""), 1);
        assert_int_equal(stage_says("error: "), 1);
        assert_int_equal(stage_says("the run breaks off: 1 running task is saving state\n"), 1);
        assert_int_equal(n_collected, 0);
    }
    begin(2); /* news of what it was not given is nothing */
    tasks(1);
    write_at(0.5, 1, MESSAGE_PROGRESS, 7, 1);
    assert_int_equal(lead(), EXIT_DONE);
    begin(2);
    tasks(2);
    transport.refused = MESSAGE_ASSIGN;
    assert_int_equal(lead(), 1000 - 1);
    assert_string_equal(err.text, "the wire is cut");
    assert_true(plan->tasks[0].state == TASK_READY && plan->tasks[0].attempts == 0);
    begin(2);
    tasks(2);
    behave = very_long;
    transport.orphaned = 1007;
    assert_int_equal(lead(), 1000 - 1);
    assert_string_equal(err.text, "the launcher is gone");
    expect_time(stage_now - 1000, 7);
}

static struct act no_file_at_first(int rank, int task, int attempt)
{
    (void)rank;
    (void)task;
    return (struct act){ .seconds = 1, .no_file = attempt == 1 };
}

/* Done is what has left its result. */
static void done_without_a_result(void **state)
{
    (void)state;
    begin(1);
    tasks(1);
    plan->campaign.retries = 1;
    behave = no_file_at_first;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(journal("failed", ".h5 is gone"), 1);
    assert_int_equal(journal("done", "\"attempt\":2"), 1);
}

static struct act damages_its_input(int rank, int task, int attempt)
{
    static char error[256];
    (void)rank;
    (void)attempt;
    if (task == 0 || number_of(MESSAGE_ASSIGN, 1, -1) > 1)
        return (struct act){ .seconds = 1 };
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/tasks/%s.h5", root, plan->tasks[0].id);
    assert_int_equal(fs_write_atomic(path, "resulT", 6, &err), 0);
    snprintf(error, sizeof error, "tasks/%s.h5 is damaged", plan->tasks[0].id);
    return (struct act){ .seconds = 1, .outcome = OUTCOME_FAILED, .error = error };
}

/* The input is made again first, and that was no attempt. */
static void a_damaged_input(void **state)
{
    (void)state;
    begin(2);
    graph_task(plan, 1, -1, -1);
    graph_task(plan, 1, 0, -1);
    behave = damages_its_input;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 0, -1), 2);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 1, -1), 2);
    assert_int_equal(journal("failed", ""), 0);
    assert_int_equal(journal("stopped", "is damaged"), 1);
    assert_int_equal(journal("done", "\"attempt\":1"), 3);
    assert_int_equal(stage_says("cannot do mock:1 before its inputs are made anew"), 1);
}

/* What the collection could not take in is looked into: damaged, it is made again; whole, it is collected again. */
static void results_that_are_not_whole(void **state)
{
    (void)state;
    char list[64];
    begin(1);
    tasks(2);
    snprintf(list, sizeof list, "%s unreadable\n", plan->tasks[1].id);
    collections[0].missing = 1;
    collections[0].left_out = list;
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(number_of(MESSAGE_ASSIGN, 1, -1), 2);
    assert_int_equal(n_collected, 2);
    assert_int_equal(journal("reopened", "cannot be read"), 1);
    expect_time(collected_at[1] - collected_at[0], 1); /* as long as the task takes */
    for (int times = 1; times <= 5; times++) {         /* as on a file system that was away for a moment */
        begin(1);
        tasks(2);
        snprintf(list, sizeof list, "%s damaged\n", plan->tasks[1].id);
        for (int k = 0; k < times; k++) {
            collections[k].missing = 1;
            collections[k].left_out = k % 2 == 0 ? list : NULL; /* or nobody says which */
        }
        int got = lead();
        assert_int_equal(number_of(MESSAGE_ASSIGN, -1, -1), 2);
        assert_int_equal(n_collected, times < 4 ? times + 1 : 4);
        for (int k = 1; k < n_collected; k++)
            expect_time(collected_at[k] - collected_at[k - 1], 0.25 * k);
        if (times < 4) {
            assert_int_equal(got, EXIT_DONE);
        } else {
            assert_int_equal(got, 1000 - 1);
            assert_non_null(strstr(err.text, "results.h5 has 1 of 2 finished tasks: "));
        }
    }
    begin(1);
    tasks(1);
    collections[0].missing = -1;
    assert_int_equal(lead(), 1000 - 1);
    assert_string_equal(err.text, "results.h5 could not be rebuilt: why");
    assert_int_equal(journal("end", "\"done\":1"), 1);
    assert_int_equal(n_collected, 1);
}

/* While rank 0 waits for the collection, the others hear from it, and it hears of a stop. */
static void while_results_are_collected(void **state)
{
    (void)state;
    begin(2);
    tasks(2);
    collecting = 100;
    settings.silence_seconds = 40;
    assert_int_equal(lead(), EXIT_DONE);
    int n = 0;
    for (int k = 0; k < number_of(MESSAGE_ALIVE, -1, 2); k++)
        n += when(MESSAGE_ALIVE, -1, 2, k) > 2;
    assert_true(n == 9 || n == 10);
    begin(2);
    tasks(2);
    collecting = 10;
    collections[0].missing = -1;
    write_at(5, 1, MESSAGE_STOP, 0, 0);
    assert_int_equal(lead(), EXIT_STOPPED);
    assert_true(stage_stopped);
    begin(2);
    tasks(2);
    collecting = 10;
    write_at(5, 1, 77, 0, 0);
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(stage_says("warning: rank 1 sent an unknown message 77"), 1);
}

/* Results are due when something has ended for good, and what went wrong with them is said. */
static void when_results_are_due(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        begin(1);
        tasks(1);
        rebuilt = true;
        poll_fails = "results.h5 could not be rebuilt: for a while";
        behave = how == 0 ? one_second : how == 1 ? fails_always : half_done;
        if (how == 2)
            stage_stopped = true;
        lead();
        assert_int_equal(n_collected, how < 2);
        if (how < 2)
            assert_true(was_stale);
        assert_int_equal(stage_says("results.h5 could not be rebuilt: for a while\n"), 1);
    }
}

static void too_few_processors(void **state)
{
    (void)state;
    begin(3);
    tasks(1);
    hello = "4 2 2 0";
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(
        stage_says("warning: 4 workers with campaign.threads = 1 on host0 want 4 processors, and may use 2"), 1);
    assert_int_equal(stage_says("warning"), 1); /* once, whatever the number of hosts */
    begin(3);
    tasks(1);
    hello = "4 2 2 0";
    here = (struct crowd){ .workers = 5, .processors = 3, .own = 3 }; /* what rank 0 sees comes first */
    char host[256] = "", wanted[512];
    gethostname(host, sizeof host - 1);
    assert_int_equal(lead(), EXIT_DONE);
    snprintf(wanted, sizeof wanted, "5 workers with campaign.threads = 1 on %s want 5 processors, and may use 3", host);
    assert_int_equal(stage_says(wanted), 1);
    assert_int_equal(stage_says("warning"), 1);
    assert_int_equal((int)status_of("hosts"), strlen(host) + strlen(" host0 host1"));
    begin(3);
    tasks(1);
    settings.threads = 4; /* each may use as many as Slurm gave it */
    hello = "1 64 64 2";
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(stage_says("campaign.threads = 4, but a task on host0 may use 2 processors"), 1);
    begin(3);
    tasks(1);
    hello = "3 64 16 0";
    assert_int_equal(lead(), EXIT_DONE);
    assert_int_equal(stage_says("warning"), 0);
}

static void many_failures(void **state)
{
    (void)state;
    for (int n = 20; n <= 21; n++) {
        begin(2);
        tasks(n);
        behave = fails_always;
        assert_int_equal(lead(), EXIT_TASKS_FAILED);
        assert_int_equal(stage_says("error: mock:"), 20);
        assert_int_equal(stage_says("error: ... and further ones"), n - 20);
    }
}

/* Rank 0 works itself: here in this very process, so that the clock is turned by hand. */
static void alone(void **state)
{
    (void)state;
    for (int stop = 0; stop < 2; stop++) {
        begin(0);
        tasks(3);
        settings.in_process = true;
        settings.silence_seconds = 5; /* nobody else is there to be silent */
        plan->campaign.retries = 1;
        snprintf(settings.device, sizeof settings.device, "ref");
        for (int i = 0; i < 3; i++) {
            cJSON_AddNumberToObject(plan->tasks[i].params, "seconds", 5);
            cJSON_AddNumberToObject(plan->tasks[i].params, "steps", 10);
            cJSON_AddNumberToObject(plan->tasks[i].params, "fail", i == 0 && !stop);
        }
        stage_stop_at = stop ? 1012 : 1e9;
        assert_int_equal(lead(), stop ? EXIT_STOPPED : EXIT_DONE);
        stage_stop_at = 1e9;
        assert_int_equal(n_sent, 0);
        assert_int_equal(stage_says("test: 3 tasks on 1 worker, in "), 1);
        assert_int_equal(stage_says("error"), 0);
        assert_int_equal(journal("run", "\"ranks\":1,"), 1);
        assert_int_equal(journal("done", "\"rank\":0,"), stop ? 2 : 3);
        assert_int_equal(journal("stopped", ""), stop);
        assert_int_equal(journal("failed", "mock failure 1 of 1"), !stop);
        assert_int_equal(n_collected, !stop);
        assert_true(status_of("workers_total") == 1 && status_of("done") == (stop ? 2 : 3));
        char host[256] = "";
        gethostname(host, sizeof host - 1);
        assert_int_equal((int)status_of("hosts"), strlen(host));
        if (stop) {
            assert_int_equal(stage_says("rank 0 was asked to stop: "), 1);
            /* nearly 2 s of 5 s, in tenths */
            assert_int_equal(journal("stopped", "\"saved\":0.3") + journal("stopped", "\"saved\":0.4"), 1);
            assert_true(stage_now - 1000 >= 12 && stage_now - 1000 < 12.6);
        } else { /* half of the first, and all of each */
            assert_true(stage_now - 1000 >= 2.5 + 15 - 2.5 && stage_now - 1000 < 19);
        }
    }
}

static int make_root(void **state)
{
    (void)state;
    setenv("DINF_PROGRESS", "plain", 1);
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    plan_destroy(plan);
    return fs_remove_tree(root, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_done),
        cmocka_unit_test(retries),
        cmocka_unit_test(what_passes_and_what_lasts),
        cmocka_unit_test(patience),
        cmocka_unit_test(a_stop),
        cmocka_unit_test(many_stops),
        cmocka_unit_test(a_stop_that_is_not_heard),
        cmocka_unit_test(a_silent_rank),
        cmocka_unit_test(signs),
        cmocka_unit_test(the_time_limit),
        cmocka_unit_test(set_aside),
        cmocka_unit_test(breaks_off),
        cmocka_unit_test(done_without_a_result),
        cmocka_unit_test(a_damaged_input),
        cmocka_unit_test(results_that_are_not_whole),
        cmocka_unit_test(while_results_are_collected),
        cmocka_unit_test(too_few_processors),
        cmocka_unit_test(when_results_are_due),
        cmocka_unit_test(many_failures),
        cmocka_unit_test(alone),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
