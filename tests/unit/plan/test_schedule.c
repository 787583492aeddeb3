/* The ready queue, states of dependants, and the simulation against known optima. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "plan/schedule.h"
#include "unit/plan/graph.h"

static void longest_path_first(void **state)
{
    (void)state;
    struct err err;
    struct plan *p = graph_create();
    int a = graph_task(p, 1, -1, -1), b = graph_task(p, 4, -1, -1), c = graph_task(p, 2, -1, -1);
    int d = graph_task(p, 5, a, -1), e = graph_task(p, 1, b, c);
    struct schedule *s = schedule_create(p, &err);
    assert_true(p->tasks[a].path == 6 && p->tasks[b].path == 5 && p->tasks[c].path == 3);
    assert_int_equal(schedule_next(s), a);
    schedule_started(s, a, 1, 10);
    assert_int_equal(schedule_next(s), b);
    schedule_started(s, b, 2, 10);
    schedule_done(s, a, 1);
    assert_int_equal(p->tasks[d].state, TASK_READY);
    assert_int_equal(schedule_next(s), d);
    assert_int_equal(schedule_next(s), c);
    assert_int_equal(schedule_next(s), -1);
    schedule_requeue(s, d);
    schedule_started(s, c, 1, 11);
    schedule_done(s, c, 1);
    assert_int_equal(p->tasks[e].state, TASK_WAITING);
    schedule_done(s, b, 1);
    assert_int_equal(schedule_next(s), d);
    assert_int_equal(schedule_next(s), e);
    struct schedule_counts n = schedule_counts(s);
    assert_true(n.done == 3 && n.ready == 2 && n.total == 5 && n.cost_done == 7 && n.cost_total == 13);
    assert_false(schedule_finished(s));
    schedule_destroy(s);
    plan_destroy(p);
}

static void retries_and_skips(void **state)
{
    (void)state;
    struct err err;
    struct plan *p = graph_create();
    int a = graph_task(p, 1, -1, -1), b = graph_task(p, 1, a, -1), c = graph_task(p, 1, b, a);
    int d = graph_task(p, 0.5, -1, -1);
    struct schedule *s = schedule_create(p, &err);
    assert_int_equal(schedule_next(s), a);
    schedule_started(s, a, 1, 0);
    assert_false(schedule_failed(s, a, 1, "first", 1, 10));
    assert_int_equal(schedule_next(s), d); /* the failed one has to wait */
    schedule_defer(s, d, 12);
    schedule_wake(s, 9.5);
    assert_int_equal(schedule_next(s), -1);
    assert_int_equal(schedule_counts(s).ready, 2);
    schedule_wake(s, 12);
    assert_int_equal(schedule_next(s), a);
    schedule_started(s, a, 1, 0);
    schedule_requeue(s, a); /* stopped: no attempt */
    assert_int_equal(p->tasks[a].attempts, 1);
    assert_int_equal(schedule_next(s), a);
    schedule_started(s, a, 1, 0);
    assert_true(schedule_failed(s, a, 1, "second", 1, 0));
    assert_int_equal(p->tasks[a].state, TASK_FAILED);
    assert_string_equal(p->tasks[a].error, "second");
    assert_int_equal(p->tasks[b].state, TASK_SKIPPED);
    assert_int_equal(p->tasks[c].state, TASK_SKIPPED);
    assert_string_equal(p->tasks[c].error, "mock:0 failed");
    assert_int_equal(schedule_next(s), d);
    schedule_started(s, d, 1, 0);
    schedule_done(s, d, 1);
    assert_true(schedule_finished(s));
    schedule_destroy(s);
    s = schedule_create(p, &err); /* a new run */
    assert_int_equal(p->tasks[a].state, TASK_READY);
    assert_int_equal(p->tasks[a].attempts, 0);
    assert_int_equal(p->tasks[b].state, TASK_WAITING);
    assert_int_equal(p->tasks[d].state, TASK_DONE);
    schedule_started(s, schedule_next(s), 1, 0);
    assert_true(schedule_failed(s, a, 1, "for good", 0, 0)); /* attempts are left, but would not mend it */
    assert_int_equal(p->tasks[a].state, TASK_FAILED);
    schedule_destroy(s);
    plan_destroy(p);
}

/* a makes b and c, of which d is made; a's result is lost while b waits, c runs and nothing else is done. */
static void reopened(void **state)
{
    (void)state;
    struct err err;
    struct plan *p = graph_create();
    int a = graph_task(p, 1, -1, -1), b = graph_task(p, 2, a, -1), c = graph_task(p, 4, a, -1),
        d = graph_task(p, 8, b, c);
    struct schedule *s = schedule_create(p, &err);
    schedule_started(s, schedule_next(s), 1, 0);
    schedule_done(s, a, 1);
    assert_int_equal(schedule_next(s), c);
    schedule_started(s, c, 1, 0);
    assert_true(schedule_counts(s).cost_done == 1);
    schedule_reopen(s, a);
    assert_true(schedule_counts(s).cost_done == 0 && schedule_counts(s).done == 0);
    assert_int_equal(p->tasks[a].state, TASK_READY);
    assert_int_equal(p->tasks[a].attempts, 0);
    assert_int_equal(p->tasks[b].state, TASK_WAITING);
    schedule_requeue(s, c); /* it could not read a's result */
    assert_int_equal(p->tasks[c].state, TASK_WAITING);
    assert_int_equal(schedule_next(s), a);
    assert_int_equal(schedule_next(s), -1);
    schedule_started(s, a, 1, 0);
    schedule_done(s, a, 1);
    assert_int_equal(schedule_next(s), c);
    assert_int_equal(schedule_next(s), b);
    schedule_started(s, b, 1, 0);
    schedule_started(s, c, 2, 0);
    schedule_done(s, b, 1);
    schedule_reopen(s, a); /* what runs goes on, and counts */
    schedule_done(s, c, 1);
    assert_int_equal(p->tasks[d].state, TASK_READY);
    schedule_reopen(s, c);
    assert_int_equal(p->tasks[c].state, TASK_WAITING); /* for a */
    assert_int_equal(p->tasks[d].state, TASK_WAITING);
    assert_int_equal(schedule_next(s), a);
    schedule_started(s, a, 1, 0);
    schedule_done(s, a, 1);
    assert_int_equal(schedule_next(s), c);
    schedule_started(s, c, 2, 0);
    schedule_done(s, c, 1);
    assert_int_equal(schedule_next(s), d);
    schedule_started(s, d, 1, 0);
    /* while d runs its input is lost and cannot be made: d does not wait for ever */
    schedule_reopen(s, b);
    assert_int_equal(schedule_next(s), b);
    schedule_started(s, b, 1, 0);
    assert_true(schedule_failed(s, b, 1, "x", 0, 0));
    schedule_requeue(s, d);
    assert_int_equal(p->tasks[d].state, TASK_SKIPPED);
    assert_true(schedule_finished(s));
    schedule_destroy(s);
    /* a new run, in which b fails again: of what is done and lost then nobody waits for b */
    s = schedule_create(p, &err);
    assert_int_equal(schedule_next(s), b);
    schedule_started(s, b, 1, 0);
    schedule_reopen(s, a);
    schedule_reopen(s, c);
    assert_true(schedule_failed(s, b, 1, "x", 0, 0));
    assert_int_equal(p->tasks[d].state, TASK_SKIPPED);
    schedule_started(s, schedule_next(s), 1, 0);
    schedule_done(s, a, 1);
    assert_int_equal(schedule_next(s), c);
    schedule_started(s, c, 1, 0);
    schedule_done(s, c, 1);
    assert_true(schedule_finished(s));
    assert_true(schedule_counts(s).cost_done == 15 && schedule_counts(s).cost_total == 15);
    schedule_destroy(s);
    plan_destroy(p);
}

static void simulation_small(void **state)
{
    (void)state;
    struct err err;
    struct simulation r;
    struct plan *p = graph_create();
    for (int i = 0; i < 6; i++)
        graph_task(p, 1 + i % 3, -1, -1); /* 1 2 3 1 2 3 */
    assert_int_equal(schedule_simulate(p, 2, &r, &err), 0);
    assert_true(r.makespan == 6 && r.work == 12 && r.lower_bound == 6 && r.critical_path == 3 && r.utilisation == 1);
    assert_int_equal(schedule_simulate(p, 1, &r, &err), 0);
    assert_true(r.makespan == 12);
    int chain = graph_task(p, 10, 0, -1);
    graph_task(p, 10, chain, -1);
    assert_int_equal(schedule_simulate(p, 3, &r, &err), 0);
    assert_true(r.makespan == 21 && r.critical_path == 21 && r.lower_bound == 21);
    plan_destroy(p);
    /* none of the three begins before 10; then 18 seconds of work on two workers */
    p = graph_create();
    int first = graph_task(p, 10, -1, -1);
    for (int i = 0; i < 3; i++)
        graph_task(p, 6, first, -1);
    assert_int_equal(schedule_simulate(p, 2, &r, &err), 0);
    assert_true(r.release_bound == 19 && r.lower_bound == 16 && r.makespan == 22);
    plan_destroy(p);
}

/* Any list schedule: bound <= makespan <= work / workers + critical path (Graham). */
static void simulation_bounds(void **state)
{
    (void)state;
    struct err err;
    for (int k = 0; k < 50; k++) {
        struct rng r = rng_at(5, RNG_TEST, (uint32_t)k, 0, 0);
        struct plan *p = graph_create();
        for (int i = 0; i < 200; i++)
            graph_task(p, 0.1 + rng_double(&r), i > 0 && rng_below(&r, 3) > 0 ? (int)rng_below(&r, (uint32_t)i) : -1,
                       -1);
        for (int workers = 1; workers < 40; workers *= 3) {
            struct simulation s;
            assert_int_equal(schedule_simulate(p, workers, &s, &err), 0);
            assert_true(s.makespan >= s.lower_bound * (1 - 1e-12));
            assert_true(s.makespan >= s.release_bound * (1 - 1e-12) && s.release_bound >= s.lower_bound);
            assert_true(s.makespan <= s.work / workers + s.critical_path + 1e-9);
        }
        plan_destroy(p);
    }
}

static void nothing_quadratic(void **state)
{
    (void)state;
    struct err err;
    struct simulation r;
    struct plan *p = graph_create();
    graph_task(p, 1, -1, -1);
    for (int i = 1; i < 20000; i++)
        graph_task(p, 1 + i % 7, 0, -1); /* one task with 19,999 dependants */
    double start = clock_monotonic();
    assert_int_equal(schedule_simulate(p, 4096, &r, &err), 0);
    struct schedule *s = schedule_create(p, &err);
    schedule_started(s, schedule_next(s), 0, 0);
    schedule_failed(s, 0, 1, "x", 1, 0);
    schedule_wake(s, 0);
    schedule_started(s, schedule_next(s), 0, 0);
    schedule_failed(s, 0, 1, "x", 1, 0);
    assert_int_equal(schedule_counts(s).skipped, 19999);
    assert_true(clock_monotonic() - start < 20); /* quadratic: minutes */
    schedule_destroy(s);
    plan_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(longest_path_first), cmocka_unit_test(retries_and_skips),
                                        cmocka_unit_test(reopened),           cmocka_unit_test(simulation_small),
                                        cmocka_unit_test(simulation_bounds),  cmocka_unit_test(nothing_quadratic) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
