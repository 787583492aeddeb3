/* coord: files of done tasks that are damaged, exchanged or missing, before a run and during it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/stop.h"
#include "coord/contents.h"
#include "coord/guard.h"
#include "unit/plan/graph.h"

static char root[] = "/tmp/dinf-contents.XXXXXX";
static struct err err;

static const char *at(const struct plan *plan, int task, const char *suffix)
{
    static char path[PATH_MAX];
    assert_int_equal(task_path(root, plan->tasks[task].id, suffix, path, &err), 0);
    return path;
}

static void put(const struct plan *plan, int task, const char *suffix, const char *text)
{
    assert_int_equal(fs_write_atomic(at(plan, task, suffix), text, strlen(text), &err), 0);
}

static void holds(const char *path, const char *text)
{
    char *data;
    assert_int_equal(fs_read(path, &data, NULL, &err), 0);
    assert_string_equal(data, text);
    mem_free(data);
}

/* An encoder, what is made of it, and what is made of that; the first two are done. */
static struct plan *begin(struct contents *c)
{
    char path[PATH_MAX];
    assert_int_equal(fs_remove_tree(root, &err), 0);
    snprintf(path, sizeof path, "%s/tasks", root);
    assert_int_equal(fs_mkdirs(path, &err), 0);
    struct plan *plan = graph_create();
    graph_task(plan, 1, -1, -1);
    graph_task(plan, 1, 0, -1);
    graph_task(plan, 1, 1, 0);
    put(plan, 0, ".h5", "an encoder's row");
    put(plan, 0, ".safetensors", "an encoder's weights");
    put(plan, 1, ".h5", "representations");
    for (int i = 0; i < 2; i++) {
        plan->tasks[i].state = TASK_DONE;
        assert_int_equal(contents_digest(root, &plan->tasks[i], &err), 0);
    }
    snprintf(path, sizeof path, "%s/journal.jsonl", root);
    struct journal *journal = journal_open(path, &err);
    assert_non_null(journal);
    for (int i = 0; i < 2; i++)
        assert_int_equal(journal_done(journal, &plan->tasks[i], &err), 0);
    assert_int_equal(contents_init(c, root, plan, journal, &err), 0);
    return plan;
}

static void end(struct contents *c)
{
    schedule_destroy(c->schedule);
    journal_close(c->journal);
    plan_destroy(c->plan);
    contents_fini(c);
}

static bool there(void *arg, const char *id)
{
    char path[PATH_MAX];
    return task_path(arg, id, ".h5", path, NULL) == 0 && fs_exists(path);
}

/* What the next run makes of the journal. */
static void replayed(const struct contents *c, int task, enum task_state state)
{
    char path[PATH_MAX];
    struct plan *plan = graph_create();
    graph_task(plan, 1, -1, -1);
    graph_task(plan, 1, 0, -1);
    graph_task(plan, 1, 1, 0);
    snprintf(path, sizeof path, "%s/journal.jsonl", root);
    assert_int_equal(journal_replay(path, plan, there, root, NULL, &err), 0);
    assert_int_equal(plan->tasks[task].state, state);
    assert_int_equal(plan->tasks[task].result[0] != '\0', state == TASK_DONE);
    assert_int_equal(strcmp(plan->tasks[task].result, c->plan->tasks[task].result), 0);
    plan_destroy(plan);
}

static void before_a_run(void **state)
{
    (void)state;
    static const struct {
        int task;
        const char *suffix, *text; /* NULL: missing */
    } cases[] = { { 1, ".h5", "representAtions" },
                  { 1, ".h5", "representation" },
                  { 1, ".h5", "" },
                  { 1, ".h5", "an encoder's row" },
                  { 1, ".h5", NULL },
                  { 0, ".safetensors", "an encoder's weightz" },
                  { 0, ".safetensors", "an encoder's" },
                  { 0, ".safetensors", NULL },
                  { 1, ".safetensors", "weights that it never had" } };
    struct contents c;
    struct plan *plan = begin(&c);
    assert_int_equal(contents_verify(&c, false, &err), 0);
    assert_true(plan->tasks[0].state == TASK_DONE && plan->tasks[1].state == TASK_DONE);
    end(&c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int task = cases[i].task;
        plan = begin(&c);
        if (cases[i].text != NULL)
            put(plan, task, cases[i].suffix, cases[i].text);
        else
            assert_int_equal(fs_remove_tree(at(plan, task, cases[i].suffix), &err), 0);
        assert_int_equal(contents_verify(&c, false, &err), 0);
        assert_int_equal(plan->tasks[task].state, TASK_WAITING);
        assert_int_equal(plan->tasks[1 - task].state, TASK_DONE); /* its own result is whole */
        assert_int_equal(plan->tasks[task].result[0], '\0');
        assert_false(fs_exists(at(plan, task, ".h5")) || fs_exists(at(plan, task, ".safetensors")));
        char kept[32];
        snprintf(kept, sizeof kept, "%s.damaged", cases[i].suffix);
        if (cases[i].text != NULL)
            holds(at(plan, task, kept), cases[i].text);
        replayed(&c, task, TASK_READY);
        end(&c);
    }
}

/* A file that cannot be read just now may be whole: it stays, and the run does not begin. */
static void not_readable_now(void **state)
{
    (void)state;
    struct contents c;
    const struct plan *plan = begin(&c);
    assert_int_equal(fs_remove_tree(at(plan, 1, ".h5"), &err), 0);
    assert_int_equal(symlink("/proc/self/mem", at(plan, 1, ".h5")), 0); /* reading it is an I/O error */
    double begun = clock_monotonic();
    assert_int_equal(contents_verify(&c, false, &err), -1);
    const double patience = clock_monotonic() - begun; /* four times, with pauses that grow */
    assert_true(patience >= 0.25 + 0.5 + 0.75 && patience < 10);
    assert_non_null(strstr(err.text, strerror(EIO)));
    assert_non_null(strstr(err.text, "nobody knows whether it is damaged"));
    assert_true(plan->tasks[1].state == TASK_DONE && plan->tasks[1].result[0] != '\0');
    assert_true(fs_exists(at(plan, 1, ".h5")));
    end(&c);
}

/* The newest of what was damaged is kept. */
static void kept_once(void **state)
{
    (void)state;
    struct contents c;
    struct plan *plan = begin(&c);
    put(plan, 1, ".h5", "damaged");
    assert_int_equal(contents_verify(&c, false, &err), 0);
    put(plan, 1, ".h5", "made anew");
    plan->tasks[1].state = TASK_DONE;
    assert_int_equal(contents_digest(root, &plan->tasks[1], &err), 0);
    put(plan, 1, ".h5", "damaged again");
    assert_int_equal(contents_verify(&c, false, &err), 0);
    holds(at(plan, 1, ".h5.damaged"), "damaged again");
    assert_false(fs_exists(at(plan, 1, ".h5")));
    /* a folder in its place */
    plan->tasks[1].state = TASK_DONE;
    snprintf(plan->tasks[1].result, HASH_HEX, "%064d", 1);
    assert_int_equal(fs_mkdirs(at(plan, 1, ".h5"), &err), 0);
    assert_int_equal(contents_verify(&c, false, &err), 0);
    assert_false(fs_exists(at(plan, 1, ".h5")));
    assert_int_equal(contents_digest(root, &plan->tasks[1], &err), -1); /* nothing there is not done */
    end(&c);
}

/* Results whose digest nobody knows wait with their files in place: `dinf task` looks at them. */
static void no_digests(void **state)
{
    (void)state;
    struct contents c;
    struct plan *plan = begin(&c);
    plan->tasks[0].result[0] = plan->tasks[0].weights[0] = '\0';
    plan->tasks[1].result[0] = '\0';
    plan->tasks[1].state = TASK_WAITING; /* the journal was lost */
    assert_int_equal(contents_verify(&c, false, &err), 0);
    assert_true(plan->tasks[0].state == TASK_WAITING && plan->tasks[1].state == TASK_WAITING);
    holds(at(plan, 0, ".h5"), "an encoder's row");
    holds(at(plan, 1, ".h5"), "representations");
    end(&c);
}

static int blame(struct contents *c, int task, bool last, const char *format)
{
    char error[512];
    snprintf(error, sizeof error, format, c->plan->tasks[0].id);
    return contents_blame(c, task, error, last, &err);
}

/* Bytes with the right digest are made again once; if the same come again, they are not to blame. */
static void blamed_though_whole(void **state)
{
    (void)state;
    struct contents c;
    struct plan *plan = begin(&c);
    c.schedule = schedule_create(plan, &err);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(schedule_next(c.schedule), 2);
        schedule_started(c.schedule, 2, 1, 0);
        assert_int_equal(blame(&c, 2, true, "cannot use tasks/%s.safetensors"), k == 0);
        if (k == 1)
            break;
        schedule_requeue(c.schedule, 2);
        assert_int_equal(schedule_next(c.schedule), 0);
        schedule_started(c.schedule, 0, 1, 0);
        put(plan, 0, ".h5", "an encoder's row");
        put(plan, 0, ".safetensors", "an encoder's weights");
        assert_int_equal(contents_digest(root, &plan->tasks[0], &err), 0);
        schedule_done(c.schedule, 0, 1);
    }
    end(&c);
}

static void during_a_run(void **state)
{
    (void)state;
    static const char cannot[] = "/x/tasks/%s.safetensors is damaged or another task's", other[] = "no memory",
                      passing[] = "cannot open /x/tasks/%s.h5: Too many open files";
    struct contents c;
    struct plan *plan = begin(&c);
    c.schedule = schedule_create(plan, &err);
    schedule_started(c.schedule, schedule_next(c.schedule), 1, 0);
    assert_int_equal(blame(&c, 2, false, cannot), 0); /* it is whole here */
    assert_int_equal(blame(&c, 2, true, passing), 0);
    put(plan, 0, ".safetensors", "an encoder's weightz");
    assert_int_equal(blame(&c, 2, false, other), 0); /* nobody has said anything of it */
    assert_int_equal(blame(&c, 2, false, cannot), 1);
    assert_int_equal(plan->tasks[0].state, TASK_READY);
    holds(at(plan, 0, ".safetensors.damaged"), "an encoder's weightz");
    replayed(&c, 0, TASK_READY);
    assert_int_equal(blame(&c, 2, false, other), 1); /* its input is still missing */
    schedule_requeue(c.schedule, 2);
    assert_int_equal(plan->tasks[2].state, TASK_WAITING);
    assert_int_equal(plan->tasks[2].attempts, 0);
    /* made anew, and nobody can use it though its digest is right: at last it is made again, then no more */
    for (int k = 0; k < 2; k++) {
        assert_int_equal(schedule_next(c.schedule), 0);
        schedule_started(c.schedule, 0, 1, 0);
        put(plan, 0, ".h5", "an encoder's row");
        put(plan, 0, ".safetensors", "useless");
        assert_int_equal(contents_digest(root, &plan->tasks[0], &err), 0);
        schedule_done(c.schedule, 0, 1);
        assert_int_equal(schedule_next(c.schedule), 2);
        schedule_started(c.schedule, 2, 1, 0);
        assert_int_equal(blame(&c, 2, false, "cannot read tasks/%s.safetensors"), 0);
        assert_int_equal(blame(&c, 2, true, "cannot read tasks/%s.safetensors"), k == 0);
        if (k == 0)
            schedule_requeue(c.schedule, 2);
    }
    end(&c);
}

static void left_out(void **state)
{
    (void)state;
    char list[512];
    struct contents c;
    struct plan *plan = begin(&c);
    c.schedule = schedule_create(plan, &err);
    snprintf(list, sizeof list, "%s damaged\n%s unreadable\n%032d damaged\n", plan->tasks[0].id, plan->tasks[1].id, 5);
    /* the first was exchanged meanwhile for a good one, perhaps; the second is no HDF5 file */
    assert_int_equal(contents_left_out(&c, list, &err), 1);
    assert_int_equal(plan->tasks[0].state, TASK_DONE);
    assert_int_equal(plan->tasks[1].state, TASK_READY);
    put(plan, 0, ".h5", "x");
    assert_int_equal(contents_left_out(&c, list, &err), 1);
    assert_int_equal(plan->tasks[0].state, TASK_READY);
    assert_int_equal(plan->tasks[1].state, TASK_WAITING);
    assert_int_equal(contents_left_out(&c, list, &err), 0);
    end(&c);
}

static int crash(void *arg, struct guard *g)
{
    guard_at(g, 7, 0);
    volatile int *nowhere = NULL;
    return *(int *)arg == 1 ? *nowhere : *(int *)arg == 2 ? err_set(&g->err, "bad bytes") : 0;
}

static int loop(void *arg, struct guard *g)
{
    (void)arg;
    guard_at(g, 3, 0);
    struct rlimit limit;
    getrlimit(RLIMIT_CPU, &limit);
    limit.rlim_cur = 1; /* in place of the guard's ten seconds */
    setrlimit(RLIMIT_CPU, &limit);
    for (volatile unsigned i = 0; g->at == 3; i++)
        ;
    return 0;
}

/* What bytes can do to a library stays in the child. */
static void guarded(void **state)
{
    (void)state;
    struct guard *g = guard_create(&err);
    int how = 0;
    assert_non_null(g);
    assert_int_equal(guard_run(g, crash, &how), 0);
    how = 1;
    assert_int_equal(guard_run(g, crash, &how), -1);
    assert_int_equal(g->at, 7);
    assert_true(g->err.text[0] != '\0');
    how = 2;
    assert_int_equal(guard_run(g, crash, &how), -1);
    assert_string_equal(g->err.text, "bad bytes");
    assert_int_equal(guard_run(g, loop, NULL), -1);
    assert_string_equal(g->err.text, "reading it does not come to an end");
    assert_int_equal(g->at, 3);
    guard_destroy(g);
}

static int look_at_limits(void *arg, struct guard *g)
{
    const double *wanted = arg;
    struct rlimit limit;
    guard_at(g, 5, 50e6); /* what was used, 11 s, and a second for each 5 MB */
    if (getrlimit(RLIMIT_CPU, &limit) != 0 || (double)limit.rlim_cur < wanted[0] ||
        (double)limit.rlim_cur > wanted[0] + 2)
        return err_set(&g->err, "limit %.0f", (double)limit.rlim_cur);
    guard_at(g, 6, 0);
    if (getrlimit(RLIMIT_CPU, &limit) != 0 || (double)limit.rlim_cur < 11 || (double)limit.rlim_cur > 13)
        return err_set(&g->err, "limit %.0f", (double)limit.rlim_cur);
    guard_at(g, -1, 50e6);
    if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_cur != limit.rlim_max)
        return err_set(&g->err, "limit %.0f", (double)limit.rlim_cur);
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0)
        return err_set(&g->err, "a core would be left");
    return 0;
}

static int killed(void *arg, struct guard *g)
{
    guard_at(g, 3, 0);
    raise(*(int *)arg);
    return 0;
}

static int silent(void *arg, struct guard *g)
{
    (void)arg;
    guard_at(g, 2, 0);
    return -1;
}

static int waits(void *arg, struct guard *g)
{
    (void)arg;
    (void)g;
    while (pause() != 0)
        ;
    return 0;
}

/* Time is given by size; what somebody kills is not the file's fault; a stop ends it. */
static void guard_of_time(void **state)
{
    (void)state;
    struct guard *g = guard_create(&err);
    double wanted[1] = { 21 };
    if (guard_run(g, look_at_limits, wanted) != 0)
        fail_msg("%s", g->err.text);
    static const int kills[] = { SIGKILL, SIGTERM };
    for (int i = 0; i < 2; i++) {
        int number = kills[i];
        assert_int_equal(guard_run(g, killed, &number), -1);
        assert_int_equal(g->at, -1);
        assert_string_equal(g->err.text, "the child process was killed");
    }
    static const int ends[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
    for (int i = 0; i < 5; i++) {
        int number = ends[i];
        signal(number, SIG_IGN);
        char text[128];
        assert_int_equal(guard_run(g, killed, &number), -1);
        signal(number, SIG_DFL);
        assert_int_equal(g->at, 3);
        snprintf(text, sizeof text, "reading it ends in signal %d (%s)", number, strsignal(number));
        assert_string_equal(g->err.text, text);
    }
    assert_int_equal(guard_run(g, silent, NULL), -1);
    assert_string_equal(g->err.text, "reading it fails without a message");
    stop_request(); /* the last test: that cannot be taken back */
    assert_int_equal(guard_run(g, waits, NULL), STOPPED);
    guard_destroy(g);
    guard_destroy(NULL);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return fs_remove_tree(root, NULL);
}

int main(void)
{
    const struct CMUnitTest cases[] = { cmocka_unit_test(not_readable_now), cmocka_unit_test(blamed_though_whole),
                                        cmocka_unit_test(before_a_run),     cmocka_unit_test(kept_once),
                                        cmocka_unit_test(no_digests),       cmocka_unit_test(during_a_run),
                                        cmocka_unit_test(left_out),         cmocka_unit_test(guarded),
                                        cmocka_unit_test(guard_of_time) };
    return cmocka_run_group_tests(cases, make_root, remove_root);
}
