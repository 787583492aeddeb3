/* The journal: events, replay, torn lines, interrupted and repeated runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/fs.h"
#include "plan/journal.h"
#include "plan/schedule.h"
#include "unit/plan/graph.h"

static char path[] = "/tmp/dinf-journal-XXXXXX";

static void put(const char *text)
{
    struct err err;
    assert_int_equal(fs_write_atomic(path, text, strlen(text), &err), 0);
}

static struct plan *three(void)
{
    struct plan *p = graph_create();
    graph_task(p, 1, -1, -1);
    graph_task(p, 1, 0, -1);
    graph_task(p, 1, 1, -1);
    return p;
}

static bool all_but_first(void *arg, const char *id)
{
    return strcmp(id, ((struct plan *)arg)->tasks[0].id) != 0;
}

static void round_trip(void **state)
{
    (void)state;
    struct err err = { "" };
    struct plan *p = three(), *q = three();
    put("");
    struct journal *j = journal_open(path, &err);
    struct schedule *s = schedule_create(p, &err);
    assert_int_equal(journal_run(j, 3, "host", "rev", &err), 0);
    schedule_started(s, schedule_next(s), 2, 5);
    assert_int_equal(journal_start(j, &p->tasks[0], &err), 0);
    assert_false(schedule_failed(s, 0, 1.5, "bad \"luck\"\n", 1, 0));
    assert_int_equal(journal_failed(j, &p->tasks[0], "node7", false, &err), 0);
    schedule_wake(s, 0);
    schedule_started(s, schedule_next(s), 1, 6);
    journal_start(j, &p->tasks[0], &err);
    schedule_done(s, 0, 2.5);
    assert_int_equal(journal_done(j, &p->tasks[0], &err), 0);
    schedule_started(s, schedule_next(s), 1, 7);
    journal_start(j, &p->tasks[1], &err);
    journal_close(j);
    struct journal_summary sum;
    assert_int_equal(journal_replay(path, q, NULL, NULL, &sum, &err), 0);
    assert_true(sum.runs == 1 && sum.running && sum.ranks == 3);
    assert_string_equal(sum.host, "host");
    assert_int_equal(q->tasks[0].state, TASK_DONE);
    assert_int_equal(q->tasks[0].attempts, 2);
    assert_true(q->tasks[0].seconds == 2.5);
    assert_int_equal(q->tasks[1].state, TASK_RUNNING);
    assert_int_equal(q->tasks[2].state, TASK_WAITING);
    /* its result is gone: as if it had never run */
    assert_int_equal(journal_replay(path, q, all_but_first, q, NULL, &err), 0);
    assert_int_equal(q->tasks[0].state, TASK_READY);
    assert_int_equal(q->tasks[0].attempts, 0);
    schedule_destroy(s);
    plan_destroy(p);
    plan_destroy(q);
}

static const char begun[] = "{\"t\":1,\"event\":\"run\",\"ranks\":2,\"host\":\"h\",\"revision\":\"r\"}\n";
#define ID0 "00000000000000000000000000001000"

static void interrupted_and_failed(void **state)
{
    (void)state;
    struct err err = { "" };
    struct plan *p = three();
    char text[4096];
    snprintf(text, sizeof text,
             "%s{\"t\":2,\"event\":\"start\",\"id\":\"" ID0 "\",\"attempt\":2,\"rank\":1}\n"
             "{\"t\":2,\"event\":\"start\",\"id\":\"ffff\",\"attempt\":1,\"rank\":1}\n{\"event\":\"news\"}\n%s",
             begun, begun);
    put(text);
    assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
    assert_int_equal(p->tasks[0].state, TASK_READY);
    assert_int_equal(p->tasks[0].attempts, 0);
    snprintf(text, sizeof text,
             "%s{\"t\":3,\"event\":\"failed\",\"id\":\"" ID0
             "\",\"attempt\":2,\"rank\":1,\"seconds\":1,\"error\":\"e\","
             "\"final\":true}\n",
             begun);
    put(text);
    assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
    assert_int_equal(p->tasks[0].state, TASK_FAILED);
    assert_string_equal(p->tasks[0].error, "e");
    assert_int_equal(p->tasks[1].state, TASK_SKIPPED);
    assert_int_equal(p->tasks[2].state, TASK_SKIPPED);
    struct schedule *s = schedule_create(p, &err); /* tried again */
    assert_int_equal(schedule_next(s), 0);
    schedule_destroy(s);
    snprintf(text, sizeof text,
             "%s{\"t\":3,\"event\":\"start\",\"id\":\"" ID0 "\",\"attempt\":1,\"rank\":1}\n"
             "{\"t\":3,\"event\":\"stopped\",\"id\":\"" ID0 "\",\"attempt\":1,\"rank\":1,\"seconds\":1,"
             "\"saved\":0.25}\n%s",
             begun, begun);
    put(text);
    assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
    assert_int_equal(p->tasks[0].state, TASK_READY);
    assert_int_equal(p->tasks[0].attempts, 0);
    assert_true(p->tasks[0].saved == 0.25 && p->tasks[1].saved == 0); /* stands when the next run begins */
    plan_destroy(p);
}

/* Cut at every byte: replay and reopening work, and the next line is whole. */
static void torn_lines(void **state)
{
    (void)state;
    struct err err = { "" };
    struct plan *p = three();
    char whole[1024];
    int n = snprintf(whole, sizeof whole,
                     "%s{\"t\":3,\"event\":\"done\",\"id\":\"" ID0 "\",\"attempt\":1,\"rank\":1,"
                     "\"seconds\":1}\n",
                     begun);
    for (int cut = 0; cut <= n; cut++) {
        char text[1024], *data;
        size_t bytes;
        snprintf(text, sizeof text, "%.*s", cut, whole);
        put(text);
        assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
        assert_int_equal(p->tasks[0].state, cut == n ? TASK_DONE : TASK_READY);
        struct journal *j = journal_open(path, &err);
        assert_non_null(j);
        assert_int_equal(journal_end(j, 1, 0, 0, &err), 0);
        journal_close(j);
        assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
        assert_int_equal(fs_read(path, &data, &bytes, &err), 0);
        int lines = 0;
        for (char *line = data, *end; line < data + bytes; line = end + 1, lines++) {
            end = memchr(line, '\n', (size_t)(data + bytes - line));
            assert_non_null(end);
            *end = 0;
            cJSON *event = cJSON_ParseWithOpts(line, NULL, true);
            if (event == NULL)
                fail_msg("cut after %d bytes: %s", cut, line);
            cJSON_Delete(event);
        }
        assert_int_equal(lines, 1 + (cut >= (int)strlen(begun)) + (cut == n));
        mem_free(data);
    }
    put("{\"t\":1,\"event\":\"run\"}\ngarbage\n{\"t\":2}\n");
    assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
    plan_destroy(p);
}

/* A second attempt begins at nothing: what is running has no duration yet. */
static void running_again(void **state)
{
    (void)state;
    struct err err;
    struct plan *p = three();
    char text[1024];
    snprintf(text, sizeof text,
             "%s{\"t\":2,\"event\":\"start\",\"id\":\"" ID0 "\",\"attempt\":1,\"rank\":1}\n"
             "{\"t\":9,\"event\":\"failed\",\"id\":\"" ID0
             "\",\"attempt\":1,\"rank\":1,\"seconds\":7,\"error\":\"x\"}\n"
             "{\"t\":10,\"event\":\"start\",\"id\":\"" ID0 "\",\"attempt\":2,\"rank\":3}\n",
             begun);
    put(text);
    assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
    const struct plan_task *t = &p->tasks[0];
    assert_true(t->state == TASK_RUNNING && t->attempts == 2 && t->rank == 3 && t->start == 10 && t->seconds == 0);
    plan_destroy(p);
}

/* Whatever stands between them, the lines that are whole count, and the digests are in them. */
static void damaged_lines(void **state)
{
    (void)state;
    static const char *const damage[] = { "garbage\n", "\n", "{\"t\":1,\"event\":\"do\n", "[1]\n", "{\"t\":1}x\n" };
    struct err err;
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        struct plan *p = three();
        struct journal_summary sum;
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"t\":1,\"event\":\"run\"}\n%s{\"t\":2,\"event\":\"done\",\"id\":\"%s\",\"result\":\"ab\","
                 "\"weights\":\"cd\"}\n%s",
                 damage[i], p->tasks[0].id, damage[i]);
        put(text);
        assert_int_equal(journal_replay(path, p, NULL, NULL, &sum, &err), 0);
        assert_int_equal(sum.runs, 1);
        assert_int_equal(p->tasks[0].state, TASK_DONE);
        assert_string_equal(p->tasks[0].result, "ab");
        assert_string_equal(p->tasks[0].weights, "cd");
        assert_int_equal(p->tasks[1].state, TASK_READY);
        plan_destroy(p);
    }
}

static void no_journal(void **state)
{
    (void)state;
    struct err err;
    struct plan *p = three();
    unlink(path);
    assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
    assert_int_equal(p->tasks[0].state, TASK_READY);
    assert_int_equal(p->tasks[1].state, TASK_WAITING);
    assert_null(journal_open("/nowhere/journal", &err));
    plan_destroy(p);
}

static void plan_file(void **state)
{
    (void)state;
    struct err err = { "" };
    struct plan *p = three(), *q;
    cJSON_AddNumberToObject(p->tasks[1].params, "x", 0.1 + 0.2);
    cJSON_AddStringToObject(p->tasks[2].labels, "encoder", "e");
    p->campaign.task_seconds = 1.5;
    assert_int_equal(plan_write(p, path, &err), 0);
    assert_int_equal(plan_read(path, &q, &err), 0);
    assert_int_equal(q->n_tasks, 3);
    assert_true(q->campaign.task_seconds == 1.5);
    assert_true(cJSON_GetObjectItem(q->tasks[1].params, "x")->valuedouble == 0.1 + 0.2);
    assert_string_equal(cJSON_GetObjectItem(q->tasks[2].labels, "encoder")->valuestring, "e");
    assert_int_equal(q->tasks[2].input_tasks[0], 1);
    assert_int_equal(plan_find(q, "mock:2", &err), 2);
    assert_int_equal(plan_find(q, ID0, &err), 0);
    assert_int_equal(plan_find(q, "0000", &err), -1);
    assert_string_equal(err.text, "3 tasks have an id that begins with 0000");
    assert_int_equal(plan_find(q, "mok:1", &err), -1);
    assert_string_equal(err.text, "there is no task \"mok:1\"; did you mean \"mock:1\"?");
    plan_destroy(q);
    put("{\"schema\":1}");
    assert_int_equal(plan_read(path, &q, &err), -1);
    plan_destroy(p);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip),    cmocka_unit_test(interrupted_and_failed),
                                        cmocka_unit_test(torn_lines),    cmocka_unit_test(running_again),
                                        cmocka_unit_test(damaged_lines), cmocka_unit_test(no_journal),
                                        cmocka_unit_test(plan_file) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
