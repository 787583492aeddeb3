/* coord: which rank gets a task, and which are given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "coord/seats.h"

/* Rank 0 and `workers` more, two to a host. */
static struct seats make(int workers)
{
    struct seats s = { .v = NULL };
    assert_int_equal(seats_init(&s, workers + 1, NULL), 0);
    for (int i = s.first; i < s.n; i++) {
        s.v[i].present = true;
        snprintf(s.v[i].host, sizeof s.v[i].host, "host%d", (i - 1) / 2);
        seats_idle(&s, i);
    }
    return s;
}

static void give(struct seats *s, int rank, int task)
{
    s->v[rank].task = task;
    s->n_busy++;
    for (int i = 0; i < s->n_idle; i++)
        if (s->idle[i] == rank)
            s->idle[i--] = s->idle[--s->n_idle];
}

static void end(struct seats *s, int rank)
{
    s->n_busy--;
    seats_idle(s, rank);
}

static void fails(struct seats *s, int rank, int task)
{
    give(s, rank, task);
    seats_failed(s, rank, task);
    end(s, rank);
}

static void second_attempts_go_elsewhere(void **state)
{
    (void)state;
    struct seats s = make(4); /* ranks 1 and 2 on one host, 3 and 4 on the other */
    struct plan_task t = { .attempts = 1, .rank = 1 };
    int rank = seats_choose(&s, &t, true);
    assert_true(rank == 3 || rank == 4);
    give(&s, 3, 0);
    give(&s, 4, 1);
    assert_int_equal(seats_choose(&s, &t, true), -1); /* waits for the other host */
    assert_int_equal(seats_choose(&s, &t, false), 2); /* but not for ever */
    assert_int_equal(seats_choose(&s, &t, false), 1);
    seats_fini(&s);
    s = make(2); /* there is one host only */
    assert_int_equal(seats_choose(&s, &t, true), 2);
    assert_int_equal(seats_choose(&s, &t, true), -1);
    t.attempts = 0;
    assert_int_equal(seats_choose(&s, &t, true), 1);
    seats_fini(&s);
}

/* Tasks fail at once on rank 1, and the others take long: it gets three of them, rests,
 * and is set aside when another's succeeds. */
static void a_bad_seat_does_not_eat_all_tasks(void **state)
{
    (void)state;
    const struct plan_task fresh = { .attempts = 0 };
    struct seats s = make(2);
    give(&s, 2, 100);
    for (int task = 0; task < 3; task++) {
        assert_true(seats_free(&s));
        fails(&s, 1, task);
        assert_int_equal(seats_suspect(&s), -1); /* nobody has succeeded */
    }
    assert_false(seats_free(&s));
    assert_int_equal(seats_choose(&s, &fresh, false), -1);
    seats_tick(&s, s.clock + 59);
    assert_false(seats_free(&s));
    seats_tick(&s, s.clock + 2); /* a long task elsewhere does not hold it for ever */
    assert_true(seats_free(&s));
    fails(&s, 1, 3);
    assert_false(seats_free(&s));
    seats_succeeded(&s, 2);
    end(&s, 2);
    assert_int_equal(seats_suspect(&s), 1);
    seats_set_aside(&s, 1);
    assert_int_equal(seats_suspect(&s), -1);
    assert_int_equal(seats_choose(&s, &fresh, false), 2);
    assert_false(seats_free(&s));
    assert_false(seats_none_left(&s));
    seats_set_aside(&s, 2);
    assert_true(seats_none_left(&s));
    seats_fini(&s);
}

static void the_tasks_are_to_blame(void **state)
{
    (void)state;
    struct seats s = make(4);
    /* one task that fails again and again is no row */
    for (int i = 0; i < 5; i++)
        fails(&s, 1, 7);
    seats_succeeded(&s, 2);
    assert_int_equal(seats_suspect(&s), -1);
    /* a success ends a row */
    fails(&s, 1, 8);
    seats_succeeded(&s, 1);
    fails(&s, 1, 9);
    fails(&s, 1, 10);
    seats_succeeded(&s, 2);
    assert_int_equal(seats_suspect(&s), -1);
    /* where all fail, all go on at once */
    seats_succeeded(&s, 1);
    for (int rank = 1; rank <= 4; rank++)
        for (int task = 0; task < 4; task++)
            fails(&s, rank, task);
    give(&s, 1, 20);
    assert_true(seats_free(&s));
    assert_int_equal(seats_suspect(&s), -1);
    end(&s, 1);
    /* at most half are set aside */
    seats_succeeded(&s, 4);
    int aside = 0;
    for (int suspect; (suspect = seats_suspect(&s)) >= 0; aside++)
        seats_set_aside(&s, suspect);
    assert_int_equal(aside, 2);
    seats_fini(&s);
}

static void silence(void **state)
{
    (void)state;
    struct seats s = make(2);
    give(&s, 1, 0);
    double now = s.clock;
    for (int i = 0; i < 20; i++)
        seats_tick(&s, now += 0.5);
    assert_int_equal(seats_lost(&s, 11, 0, 0), -1);
    assert_int_equal(seats_lost(&s, 9, 0, 0), 1);
    assert_int_equal(seats_lost(&s, 0, 0, 0), -1);
    seats_tick(&s, now += 1000); /* rank 0 itself stood still */
    assert_int_equal(seats_lost(&s, 12, 0, 0), -1);
    /* beyond its time limit it is given up sooner, if it is silent */
    assert_int_equal(seats_lost(&s, 600, 0.5, 0.1), 1);
    s.v[1].silent = 1;
    assert_int_equal(seats_lost(&s, 600, 0.5, 0.1), -1);
    s.v[1].silent = 700;
    s.v[1].mute = true;
    assert_int_equal(seats_lost(&s, 600, 0.5, 0.1), -1);
    seats_fini(&s);
}

/* At their limits: what is counted, and from when on a rank is given up. */
static void limits(void **state)
{
    (void)state;
    struct seats s = make(3);
    assert_true(s.n == 4 && s.first == 1 && s.n_idle == 3);
    give(&s, 2, 0);
    double now = s.clock;
    s.v[2].report.waiting = true; /* for others */
    for (int i = 0; i < 8; i++)
        seats_tick(&s, now += 0.25);
    assert_true(s.v[2].silent == 2 && s.v[2].counted == 0 && s.v[1].silent == 0);
    s.v[2].report.waiting = false;
    seats_tick(&s, now += 1);
    assert_true(s.v[2].silent == 3 && s.v[2].counted == 1);
    seats_tick(&s, now += 1.5); /* rank 0 stood still for a while */
    assert_true(s.v[2].silent == 4 && s.v[2].counted == 2 && s.clock == now);
    assert_int_equal(seats_lost(&s, 4, 0, 0), -1);
    s.v[2].silent = 4.01;
    assert_int_equal(seats_lost(&s, 4, 0, 0), 2);
    /* beyond its time limit, the grace period and 10 s; silent for 10 s */
    s.v[2].counted = 50 + 7 + 10.01;
    s.v[2].silent = 10.01;
    assert_int_equal(seats_lost(&s, 600, 50, 7), 2);
    assert_int_equal(seats_lost(&s, 600, 0, 7), -1);
    s.v[2].silent = 10;
    assert_int_equal(seats_lost(&s, 600, 50, 7), -1);
    s.v[2].silent = 10.01;
    s.v[2].counted = 50 + 7 + 10;
    assert_int_equal(seats_lost(&s, 600, 50, 7), -1);
    seats_fini(&s);
    s = make(1);
    s.v[1].present = false;
    assert_false(seats_none_left(&s)); /* nobody is here yet */
    s.v[1].present = true;
    assert_false(seats_none_left(&s));
    seats_set_aside(&s, 1);
    assert_true(seats_none_left(&s));
    seats_idle(&s, 1);
    assert_int_equal(s.n_idle, 0);
    seats_fini(&s);
    struct seats alone = { .v = NULL };
    assert_int_equal(seats_init(&alone, 1, NULL), 0);
    assert_true(alone.first == 0 && alone.n == 1 && alone.v[0].task == -1 && alone.v[0].last == -1);
    seats_idle(&alone, 0);
    const struct plan_task t = { .attempts = 1, .rank = 0 };
    assert_int_equal(seats_choose(&alone, &t, true), 0);
    seats_fini(&alone);
}

/* The rank of an earlier run, or none, says nothing about this one's. */
static void ranks_that_are_not_there(void **state)
{
    static const int ranks[] = { -1, 0, 3, 99 };
    (void)state;
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        struct seats s = make(2);
        const struct plan_task t = { .attempts = 1, .rank = ranks[i] };
        assert_int_equal(seats_choose(&s, &t, true), 2);
        assert_int_equal(seats_choose(&s, &t, true), 1);
        assert_int_equal(seats_choose(&s, &t, true), -1);
        assert_int_equal(s.n_idle, 0);
        seats_fini(&s);
    }
    /* who has left, or is set aside, is not waited for */
    struct seats s = make(4);
    const struct plan_task t = { .attempts = 1, .rank = 1 };
    s.v[3].present = false;
    seats_set_aside(&s, 4);
    give(&s, 3, 7);
    assert_int_equal(seats_choose(&s, &t, true), 2);
    give(&s, 2, 8);
    assert_int_equal(seats_choose(&s, &t, true), -1); /* 2 is on another rank */
    assert_int_equal(seats_choose(&s, &t, false), 1);
    seats_fini(&s);
    s = make(4); /* the others stay, in their order */
    const struct plan_task third = { .attempts = 1, .rank = 3 };
    assert_int_equal(seats_choose(&s, &third, true), 2);
    assert_true(s.n_idle == 3 && s.idle[0] == 1 && s.idle[1] == 3 && s.idle[2] == 4);
    seats_fini(&s);
}

/* Exactly every second one. */
static void half_of_them(void **state)
{
    (void)state;
    for (int workers = 2; workers <= 5; workers++) {
        struct seats s = make(workers);
        for (int rank = 1; rank < workers; rank++)
            for (int task = 0; task < 3; task++)
                fails(&s, rank, 10 * rank + task);
        assert_int_equal(seats_suspect(&s), -1);
        seats_succeeded(&s, workers);
        int aside = 0;
        for (int suspect; (suspect = seats_suspect(&s)) >= 0; aside++)
            seats_set_aside(&s, suspect);
        assert_int_equal(aside, workers / 2);
        seats_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(second_attempts_go_elsewhere),
        cmocka_unit_test(a_bad_seat_does_not_eat_all_tasks),
        cmocka_unit_test(the_tasks_are_to_blame),
        cmocka_unit_test(silence),
        cmocka_unit_test(limits),
        cmocka_unit_test(ranks_that_are_not_there),
        cmocka_unit_test(half_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
