/* The journal: events, replay, torn lines, interrupted and repeated runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "conf/json.h"
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

/* Each event with all that the header says of it, at its time, one a line; and what readers want to know of them. */
static void events(void **state)
{
    (void)state;
    struct err err = { "" };
    struct plan *p = three(), *q = three();
    struct journal_summary sum;
    struct plan_task *t = &p->tasks[1];
    char *text;
    size_t bytes;
    const double before = clock_wall();
    put("");
    for (int sync = 0; sync < 2; sync++) {
        struct journal *j = journal_open(path, &err);
        assert_non_null(j);
        journal_set_sync(j, sync);
        t->attempts = 3;
        t->rank = 6;
        t->seconds = 2.5;
        t->saved = 0.75;
        strcpy(t->result, sync ? "ab" : "");
        strcpy(t->weights, sync ? "cd" : "");
        assert_int_equal(journal_run(j, 4, "here", "r12", &err), 0);
        assert_int_equal(journal_start(j, t, &err), 0);
        assert_int_equal(journal_failed(j, t, "node1", sync, &err), 0);
        t->error = t->error == NULL ? mem_strdup("why \"it\"", NULL) : t->error;
        assert_int_equal(journal_failed(j, t, "node1", false, &err), 0);
        assert_int_equal(journal_stopped(j, t, sync ? "lost" : NULL, &err), 0);
        assert_int_equal(journal_done(j, t, &err), 0);
        assert_int_equal(journal_reopened(j, t, "gone", &err), 0);
        assert_int_equal(journal_sync(j, &err), 0);
        assert_int_equal(journal_end(j, 1, 2, 3, &err), 0);
        journal_close(j);
    }
    static const char *const want[][2] = {
        { "{\"event\":\"run\",\"ranks\":4,\"host\":\"here\",\"revision\":\"r12\"}", NULL },
        { "{\"event\":\"start\",\"id\":\"%s\",\"attempt\":3,\"rank\":6}", NULL },
        { "{\"event\":\"failed\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5,\"host\":\"node1\",\"error\":"
          "\"\",\"final\":false}",
          "{\"event\":\"failed\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5,\"host\":\"node1\",\"error\":"
          "\"why \\\"it\\\"\",\"final\":true}" },
        { "{\"event\":\"failed\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5,\"host\":\"node1\",\"error\":"
          "\"why \\\"it\\\"\",\"final\":false}",
          NULL },
        { "{\"event\":\"stopped\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5,\"saved\":0.75}",
          "{\"event\":\"stopped\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5,\"saved\":0.75,\"why\":"
          "\"lost\"}" },
        { "{\"event\":\"done\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5}",
          "{\"event\":\"done\",\"id\":\"%s\",\"attempt\":3,\"rank\":6,\"seconds\":2.5,\"result\":\"ab\",\"weights\":"
          "\"cd\"}" },
        { "{\"event\":\"reopened\",\"id\":\"%s\",\"why\":\"gone\"}", NULL },
        { "{\"event\":\"end\",\"done\":1,\"failed\":2,\"skipped\":3}", NULL },
    };
    assert_int_equal(fs_read(path, &text, &bytes, &err), 0);
    const char *line = text;
    double times[16];
    for (int k = 0; k < 16; k++, line += strcspn(line, "\n") + 1) {
        char wanted[512];
        const char *const *pair = want[k % 8];
        cJSON *event = cJSON_ParseWithLength(line, strcspn(line, "\n"));
        times[k] = json_number(event, "t", 0);
        assert_true(times[k] >= before && times[k] <= clock_wall() && (k == 0 || times[k] >= times[k - 1]));
        cJSON_DeleteItemFromObject(event, "t");
        char *have = cJSON_PrintUnformatted(event);
        snprintf(wanted, sizeof wanted, k >= 8 && pair[1] != NULL ? pair[1] : pair[0], t->id);
        assert_string_equal(have, wanted);
        cJSON_free(have);
        cJSON_Delete(event);
    }
    assert_int_equal(*line, '\0');
    mem_free(text);
    assert_int_equal(journal_replay(path, q, NULL, NULL, &sum, &err), 0);
    assert_true(sum.runs == 2 && !sum.running && !sum.unreadable && sum.ranks == 4 && sum.first == times[0]);
    assert_true(sum.last == times[15] && sum.run_start == times[8]);
    assert_string_equal(sum.host, "here");
    assert_string_equal(sum.revision, "r12");
    assert_true(q->tasks[1].state == TASK_WAITING && q->tasks[1].attempts == 0 && q->tasks[1].result[0] == '\0');
    assert_true(q->tasks[1].rank == 6 && q->tasks[0].rank == -1);
    plan_destroy(p);
    plan_destroy(q);
}

/* After each event of a task, what is known of it. */
static void states(void **state)
{
    (void)state;
    struct err err = { "" };
    struct plan *p = three();
    static const struct {
        const char *event;
        enum task_state state;
        int attempts;
        double start, seconds, saved;
        const char *error;
    } steps[] = {
        { "\"t\":10,\"event\":\"start\",\"attempt\":1,\"rank\":4", TASK_RUNNING, 1, 10, 0, 0, NULL },
        { "\"t\":12,\"event\":\"stopped\",\"attempt\":1,\"rank\":4,\"seconds\":2,\"saved\":0.5", TASK_READY, 0, 10, 0,
          0.5, NULL },
        { "\"t\":13,\"event\":\"start\",\"attempt\":1,\"rank\":4", TASK_RUNNING, 1, 13, 0, 0.5, NULL },
        { "\"t\":15,\"event\":\"failed\",\"attempt\":1,\"rank\":4,\"seconds\":2,\"error\":\"e\",\"final\":false",
          TASK_READY, 1, 13, 2, 0.5, "e" },
        { "\"t\":16,\"event\":\"start\",\"attempt\":2,\"rank\":4", TASK_RUNNING, 2, 16, 0, 0.5, "e" },
        { "\"t\":20,\"event\":\"done\",\"attempt\":2,\"rank\":4,\"seconds\":3.5", TASK_DONE, 2, 16.5, 3.5, 0, NULL },
        { "\"t\":21,\"event\":\"stopped\",\"rank\":4", TASK_READY, 0, 16.5, 3.5, 0, NULL },
        { "\"t\":22,\"event\":\"failed\",\"attempt\":1,\"seconds\":1,\"final\":true", TASK_FAILED, 1, 16.5, 1, 0, "" },
    };
    char text[4096];
    int used = snprintf(text, sizeof text, "%s", begun);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct plan_task *t = &p->tasks[0];
        used += snprintf(text + used, sizeof text - (size_t)used, "{%s,\"id\":\"" ID0 "\"}\n", steps[i].event);
        put(text);
        assert_int_equal(journal_replay(path, p, NULL, NULL, NULL, &err), 0);
        assert_true(t->state == steps[i].state && t->attempts == steps[i].attempts && t->start == steps[i].start);
        assert_true(t->seconds == steps[i].seconds && t->saved == steps[i].saved && t->rank == 4);
        assert_int_equal(t->error != NULL, steps[i].error != NULL);
        assert_true(t->error == NULL || strcmp(t->error, steps[i].error) == 0);
    }
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
                                        cmocka_unit_test(plan_file),     cmocka_unit_test(events),
                                        cmocka_unit_test(states) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
