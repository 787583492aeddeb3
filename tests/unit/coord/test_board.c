/* coord: what a run shows: how often, how much of it, the block of a terminal, names of hosts, estimates. */
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

#include "base/fs.h"
#include "base/mem.h"
#include "coord/board.h"
#include "coord/screen.h"
#include "unit/coord/stage.h"
#include "unit/plan/graph.h"

static char root[] = "/tmp/dinf-board.XXXXXX";
static struct err err;

static void begin(void)
{
    stage_now = 1000;
    stage_disk = 0;
    stage_log[0] = '\0';
    setenv("DINF_PROGRESS", "plain", 1);
}

/* ---- lines ---- */

static void few_lines(void **state)
{
    (void)state;
    for (int n = 200; n <= 201; n++) {
        begin();
        struct progress *p = progress_create(n, true, &err);
        progress_task(p, "task %d", 5);
        assert_int_equal(stage_says("task 5\n"), n == 200);
        progress_say(p, "said %d", 6);
        assert_int_equal(stage_says("said 6\n"), 1);
        for (int i = 0; i < 60; i++) {
            progress_failure(p, "failure %d", i);
            assert_int_equal(stage_says("further failures are not shown here"), i >= 49);
        }
        assert_int_equal(stage_says("failure "), 50);
        assert_int_equal(stage_says("failure 49\n"), 1);
        progress_destroy(p);
    }
    progress_destroy(NULL);
}

/* Each 30 s, in long runs each tenth of the time, and each 15 minutes at least. */
static void summaries(void **state)
{
    (void)state;
    static const struct {
        double elapsed, pause;
    } rows[] = { { 10, 30 }, { 290, 30 }, { 600, 60 }, { 5000, 500 }, { 8900, 890 }, { 20000, 900 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin();
        struct snapshot s = { .total = 3, .done = 1, .running = 2, .left = NAN };
        struct progress *p = progress_create(3, true, &err);
        s.elapsed = rows[i].elapsed;
        stage_now += 29.9;
        progress_update(p, &s);
        assert_int_equal(stage_says("1 of 3 done, 2 running, 0 remaining\n"), 0);
        stage_now += 0.2;
        progress_update(p, &s);
        assert_int_equal(stage_says("1 of 3 done, 2 running, 0 remaining\n"), 1);
        stage_now += rows[i].pause - 0.1;
        progress_update(p, &s);
        assert_int_equal(stage_says("1 of 3 done"), 1);
        stage_now += 0.2;
        progress_update(p, &s);
        assert_int_equal(stage_says("1 of 3 done"), 2);
        progress_destroy(p);
    }
}

static void a_terminal(void **state)
{
    (void)state;
    char text[8192], block[3000], again[3000], wanted[9200];
    struct snapshot_worker workers[3];
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < 3; i++) {
        workers[i].rank = i + 1;
        snprintf(workers[i].task, sizeof workers[i].task, "mock:%d", i);
    }
    struct snapshot s = {
        .campaign = "demo", .fraction = 0.5, .total = 3, .running = 3, .left = 5, .workers = workers, .n_workers = 3
    };
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    begin();
    setenv("DINF_PROGRESS", "terminal", 1);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    struct progress *p = progress_create(3, true, &err);
    progress_say(p, "first"); /* nothing is drawn yet */
    progress_update(p, &s);
    s.fraction = 0.75;
    s.n_workers = 1;
    progress_update(p, &s);
    progress_say(p, "a line");
    progress_destroy(p);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    s.fraction = 0.5;
    s.n_workers = 3; /* without its size: 80 x 24, of which a column and a row are left */
    int lines = screen_render(&s, 79, 23, block, sizeof block);
    assert_int_equal(lines, 5);
    s.fraction = 0.75;
    s.n_workers = 1;
    assert_int_equal(screen_render(&s, 79, 23, again, sizeof again), 3);
    snprintf(wanted, sizeof wanted, "%s\033[5A\r\033[J%s\033[3A\r\033[J%s", block, again, again);
    assert_string_equal(text, wanted);
    assert_int_equal(stage_says("first\n"), 1);
    assert_int_equal(stage_says("a line\n"), 1);
}

/* ---- frames ---- */

static void repeat(char *out, char c, int n)
{
    memset(out, c, (size_t)n);
    out[n] = '\0';
}

static void heads(void **state)
{
    (void)state;
    static const struct {
        double fraction;
        int columns, full, width;
        const char *percent;
    } rows[] = { { 0.47, 40, 13, 28, "  47%" }, { 0.5, 80, 34, 68, "  50%" },   { 1, 40, 28, 28, " 100%" },
                 { 0, 40, 0, 28, "   0%" },     { -1, 40, 0, 28, "   0%" },     { 7, 40, 28, 28, " 100%" },
                 { NAN, 40, 0, 28, "   0%" },   { 0.5, 300, 50, 100, "  50%" }, { 0.999, 40, 28, 28, "  99%" },
                 { 0.5, 10, 4, 8, "  50%" },    { 0.009, 80, 1, 68, "   0%" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct snapshot s = { .campaign = "demo", .fraction = rows[i].fraction };
        char out[512], full[128], rest[128], wanted[512];
        repeat(full, '#', rows[i].full);
        repeat(rest, '.', rows[i].width - rows[i].full);
        snprintf(wanted, sizeof wanted, "demo [%s%s]%s\n", full, rest, rows[i].percent);
        assert_int_equal(screen_render(&s, rows[i].columns, 1, out, sizeof out), 1);
        assert_string_equal(out, wanted);
        assert_int_equal(screen_render(&s, rows[i].columns, 0, out, sizeof out), 0);
        assert_string_equal(out, "");
    }
}

static void one_line(void **state)
{
    (void)state;
    static const struct {
        struct snapshot s;
        const char *text;
    } rows[] = {
        { { .total = 5, .done = 2, .waiting = 1, .ready = 1, .running = 1, .left = 90 },
          "2 of 5 done, 1 running, 2 remaining, 90 s left" },
        { { .total = 5, .done = 4, .running = 1, .left = 90 }, "4 of 5 done, 1 running, 0 remaining, 90 s left" },
        { { .total = 5, .done = 4, .ready = 1, .left = 90 }, "4 of 5 done, 0 running, 1 remaining, 90 s left" },
        { { .total = 5, .done = 4, .waiting = 1, .left = INFINITY }, "4 of 5 done, 0 running, 1 remaining" },
        { { .total = 5, .done = 5, .left = 0 }, "5 of 5 done, 0 running, 0 remaining" },
        { { .total = 5, .done = 4, .running = 1, .left = 90, .stopping = true },
          "4 of 5 done, 1 running, 0 remaining, stopping" },
        { { .total = 5, .done = 4, .failed = 1 }, "4 of 5 done, 1 failed, 0 skipped, 0 running, 0 remaining" },
        { { .total = 5, .done = 4, .skipped = 1 }, "4 of 5 done, 0 failed, 1 skipped, 0 running, 0 remaining" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[256];
        screen_summary(&rows[i].s, line, sizeof line);
        assert_string_equal(line, rows[i].text);
    }
}

/* Rows of workers: rank, name, bar, share, what, loss, rate, time, each column as wide as its widest. */
static void rows_of_workers(void **state)
{
    (void)state;
    struct snapshot_worker w[3] = {
        { .rank = 1,
          .attempt = 1,
          .seconds = 5,
          .task = "train:a",
          .report = { .fraction = 0.5, .loss = 1.5, .rate = 999.4 } },
        { .rank = 12,
          .attempt = 2,
          .seconds = 1234,
          .task = "b",
          .report = { .fraction = 1, .loss = NAN, .rate = 999.6 } },
        { .rank = 123,
          .attempt = 1,
          .seconds = 0,
          .task = "c",
          .report = { .fraction = NAN, .loss = 12345678, .rate = NAN } },
    };
    snprintf(w[0].report.what, sizeof w[0].report.what, "epoch 1/2");
    snprintf(w[1].report.unit, sizeof w[1].report.unit, "images");
    struct snapshot s = { .campaign = "demo", .workers = w, .n_workers = 3, .left = NAN, .total = 3, .running = 3 };
    char out[4096];
    assert_int_equal(screen_render(&s, 110, 9, out, sizeof out), 5);
    const char *body = strstr(out, "remaining\n") + strlen("remaining\n");
    assert_string_equal(body, "    1  train:a    [###...]  50%  epoch 1/2  loss 1.5        999 steps/s    5 s\n"
                              "   12  b (try 2)  [######] 100%                             1000 images/s  1234 s\n"
                              "  123  c          [......]   0%             loss 1.235e+07                 0 s\n");
    /* where there is no room: first the time goes, then the bar, then names shrink */
    static const struct {
        int columns;
        const char *line;
    } narrow[] = { { 82, "    1  train:a    [###...]  50%  epoch 1/2  loss 1.5        999 steps/s    5 s\n" },
                   { 81, "    1  train:a    [###...]  50%  epoch 1/2  loss 1.5        999 steps/s    5 s\n" },
                   { 80, "    1  train:a    [###...]  50%  epoch 1/2  loss 1.5        999 steps/s\n" },
                   { 73, "    1  train:a    [###...]  50%  epoch 1/2  loss 1.5        999 steps/s\n" },
                   { 72, "    1  train:a     50%  epoch 1/2  loss 1.5        999 steps/s\n" },
                   { 64, "    1  train:a     50%  epoch 1/2  loss 1.5        999 steps/s\n" },
                   { 63, "   12  b ..y 2)  100%                             1000 images/s\n" } };
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        screen_render(&s, narrow[i].columns, 9, out, sizeof out);
        if (strstr(out, narrow[i].line) == NULL)
            fail_msg("%d columns: %s", narrow[i].columns, out);
    }
    /* more than there are rows */
    for (int rows = 2; rows <= 6; rows++) {
        int lines = screen_render(&s, 110, rows, out, sizeof out);
        assert_int_equal(lines, rows < 5 ? rows : 5);
        assert_int_equal(strstr(out, "train:a") != NULL, rows >= 4);
        assert_int_equal(strstr(out, "and 3 more workers\n") != NULL, rows == 3);
        assert_int_equal(strstr(out, "and 2 more workers\n") != NULL, rows == 4);
    }
    /* a name that is too long loses its middle: a third of what stays is its beginning */
    snprintf(w[0].task, sizeof w[0].task, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ");
    s.n_workers = 1;
    w[0].report = (struct task_report){ .fraction = 0, .loss = NAN, .rate = NAN };
    screen_render(&s, 40, 9, out, sizeof out);
    assert_non_null(strstr(out, "    1  01234..zABCDEFGHIJ  [......]   0%\n"));
}

/* ---- the board ---- */

static void hosts(void **state)
{
    (void)state;
    struct board b = { .dir = root };
    board_note_host(&b, "node1");
    board_note_host(&b, "node10");
    board_note_host(&b, "node1");
    board_note_host(&b, "ode1");
    board_note_host(&b, "node10");
    assert_string_equal(b.snapshot.hosts, "node1 node10 ode1");
    struct board c = { .dir = root };
    char name[32], all[2048] = "";
    int n = 0;
    for (; n < 200; n++) { /* names of 7 bytes and a blank: 127 of them are 1015 bytes, and " ..." fits */
        snprintf(name, sizeof name, "host%03d", n);
        board_note_host(&c, name);
    }
    for (n = 0; n < 127; n++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%shost%03d", n > 0 ? " " : "", n);
    strcat(all, " ...");
    assert_string_equal(c.snapshot.hosts, all);
    board_note_host(&c, "x");
    assert_string_equal(c.snapshot.hosts, all);
}

static double number(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name)->valuedouble;
}

static cJSON *status(void)
{
    char path[PATH_MAX], *text;
    snprintf(path, sizeof path, "%s/status.json", root);
    assert_int_equal(fs_read(path, &text, NULL, &err), 0);
    cJSON *o = cJSON_Parse(text);
    mem_free(text);
    assert_non_null(o);
    return o;
}

/* Once a second, but so that it costs a fiftieth of the time at most, and each 30 s at least. */
static void how_often(void **state)
{
    (void)state;
    static const struct {
        double disk, every; /* two of them for a file */
    } rows[] = { { 0, 1 }, { 0.005, 1 }, { 0.05, 5 }, { 0.25, 25 }, { 2, 30 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin();
        struct plan *plan = graph_create();
        graph_task(plan, 1, -1, -1);
        graph_task(plan, 1, 0, -1);
        struct seats seats = { .v = NULL };
        assert_int_equal(seats_init(&seats, 3, &err), 0);
        seats.v[1].present = seats.v[2].present = true;
        seats.v[2].task = 0;
        seats.v[2].attempt = 4;
        seats.v[2].started = 990;
        seats.v[2].report.fraction = 0.5;
        plan->tasks[0].state = TASK_RUNNING;
        plan->tasks[0].rank = 2;
        snprintf(seats.v[2].host, sizeof seats.v[2].host, "node2");
        struct board b;
        assert_int_equal(board_init(&b, root, plan, &seats, true, &err), 0);
        stage_disk = rows[i].disk;
        double before = stage_now;
        board_show(&b, false);
        cJSON *o = status();
        assert_true(number(o, "time") == stage_epoch + before && number(o, "elapsed") == 0);
        assert_true(number(o, "workers_total") == 2 && number(o, "running") == 1 && number(o, "waiting") == 1);
        const cJSON *w = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "workers"), 0);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "workers")), 1);
        assert_true(number(w, "rank") == 2 && number(w, "attempt") == 4 && number(w, "seconds") == 10);
        assert_string_equal(cJSON_GetObjectItem(w, "host")->valuestring, "node2");
        assert_string_equal(cJSON_GetObjectItem(w, "task")->valuestring, "mock:0");
        assert_true(number(o, "left") == 10 + 1); /* half of it took 10 s */
        cJSON_Delete(o);
        assert_true(fabs(stage_now - before - 2 * rows[i].disk) < 1e-9);
        before = stage_now;
        stage_now += rows[i].every - 0.01;
        board_show(&b, false);
        o = status();
        assert_true(number(o, "elapsed") == 0);
        cJSON_Delete(o);
        stage_now = before + rows[i].every + 0.01;
        board_show(&b, false);
        o = status();
        assert_true(fabs(number(o, "elapsed") - (before + rows[i].every + 0.01 - 1000)) < 1e-9);
        cJSON_Delete(o);
        board_show(&b, true); /* at once */
        o = status();
        assert_true(number(o, "elapsed") > before + rows[i].every + 0.005 - 1000);
        cJSON_Delete(o);
        board_fini(&b);
        seats_fini(&seats);
        plan_destroy(plan);
    }
}

/* It is for people: said each ten minutes. */
static void cannot_be_written(void **state)
{
    (void)state;
    begin();
    struct plan *plan = graph_create();
    graph_task(plan, 1, -1, -1);
    struct seats seats = { .v = NULL };
    struct board b;
    assert_int_equal(seats_init(&seats, 1, &err), 0);
    assert_int_equal(board_init(&b, "/nowhere", plan, &seats, true, &err), 0);
    for (int i = 0; i < 1300; i++, stage_now += 1)
        board_show(&b, true);
    assert_int_equal(stage_says("warning: the status could not be written, and the run goes on: "), 3);
    board_fini(&b);
    seats_fini(&seats);
    plan_destroy(plan);
}

/* ---- estimates ---- */

static double left_of(struct plan_task *tasks, int n, struct snapshot *s)
{
    struct plan plan = { .tasks = tasks, .n_tasks = n };
    assert_int_equal(snapshot_estimate(s, &plan, 110, &err), 0);
    return s->left;
}

static void paces(void **state)
{
    (void)state;
    const struct task_kind *mock = task_kind_find("mock"), *train = task_kind_find("train"),
                           *embed = task_kind_find("embed");
    struct snapshot s = { .workers_total = 1 };
    /* nothing is done: as estimated */
    struct plan_task none[] = { { .kind = mock, .cost = 3, .state = TASK_READY },
                                { .kind = train, .cost = 4, .state = TASK_WAITING } };
    assert_true(left_of(none, 2, &s) == 7 && s.fraction == 0 && s.ready == 1 && s.waiting == 1 && s.total == 2);
    /* each kind has its own pace; of others that of all that is done */
    struct plan_task some[] = { { .kind = mock, .cost = 2, .state = TASK_DONE, .seconds = 6 },
                                { .kind = train, .cost = 4, .state = TASK_DONE, .seconds = 2 },
                                { .kind = mock, .cost = 5, .state = TASK_READY },
                                { .kind = train, .cost = 8, .state = TASK_READY },
                                { .kind = embed, .cost = 3, .state = TASK_READY },
                                { .kind = mock, .cost = 99, .state = TASK_FAILED },
                                { .kind = mock, .cost = 99, .state = TASK_SKIPPED } };
    assert_true(fabs(left_of(some, 7, &s) - (15 + 4 + 4)) < 1e-9);
    assert_true(fabs(s.fraction - 8.0 / (8 + 23)) < 1e-9);
    assert_true(s.done == 2 && s.failed == 1 && s.skipped == 1 && s.ready == 3);
    s.workers_total = 2; /* the longest, or the work on all */
    assert_true(fabs(left_of(some, 7, &s) - 15) < 1e-9);
    s.workers_total = 0;
    assert_true(fabs(left_of(some, 7, &s) - 23) < 1e-9);
    struct plan_task all[] = { { .kind = mock, .cost = 0, .state = TASK_DONE } };
    assert_true(left_of(all, 1, &s) == 0 && s.fraction == 1);
    /* a running one by its own report, from 2 % of its work on */
    struct snapshot_worker w[] = {
        { .rank = 1 }, { .rank = 3, .seconds = 8 }, { .rank = 4 }, { .rank = 9, .seconds = 1 }
    };
    struct plan_task running[] = { { .kind = mock, .cost = 20, .state = TASK_RUNNING, .rank = 3, .start = 103 } };
    s = (struct snapshot){ .workers = w, .n_workers = 4, .workers_total = 1 };
    w[1].report.fraction = 0.02;
    assert_true(fabs(left_of(running, 1, &s) - 12) < 1e-9);
    w[1].report.fraction = 0.2;
    assert_true(fabs(left_of(running, 1, &s) - 32) < 1e-9);
    running[0].saved = 0.185;
    assert_true(fabs(left_of(running, 1, &s) - (20 * 0.815 - 8)) < 1e-9);
    running[0].saved = 0;
    running[0].rank = 2; /* nobody's report: since its start */
    assert_true(fabs(left_of(running, 1, &s) - 13) < 1e-9);
    running[0].rank = 9;
    assert_true(fabs(left_of(running, 1, &s) - 19) < 1e-9);
    running[0].rank = 10;
    running[0].start = 50; /* it takes longer than it should: no idea */
    assert_true(left_of(running, 1, &s) == 0);
    running[0].rank = 1;
    assert_true(fabs(left_of(running, 1, &s) - 20) < 1e-9);
}

static void as_json(void **state)
{
    (void)state;
    struct snapshot_worker w[2] = {
        { .rank = 3, .attempt = 2, .seconds = 1.5, .host = "h", .task = "t" },
        { .rank = 4, .report = { .fraction = 0.25, .loss = NAN, .rate = 7, .unit = "u", .what = "w" } }
    };
    struct snapshot s = { .campaign = "c",
                          .time = 5,
                          .elapsed = 6,
                          .left = NAN,
                          .fraction = 0.5,
                          .total = 21,
                          .waiting = 1,
                          .ready = 2,
                          .running = 3,
                          .done = 4,
                          .failed = 5,
                          .skipped = 6,
                          .workers_total = 7,
                          .workers = w,
                          .n_workers = 2,
                          .hosts = "h g" },
                    back;
    cJSON *o = snapshot_to_json(&s, &err);
    char *text = cJSON_PrintUnformatted(o);
    assert_string_equal(
        text,
        "{\"campaign\":\"c\",\"time\":5,\"elapsed\":6,\"left\":null,\"fraction\":0.5,\"total\":21,\"waiting\":1,"
        "\"ready\":2,\"running\":3,\"done\":4,\"failed\":5,\"skipped\":6,\"workers_total\":7,\"stopping\":false,"
        "\"hosts\":\"h g\",\"workers\":[{\"rank\":3,\"host\":\"h\",\"task\":\"t\",\"attempt\":2,\"seconds\":1.5,"
        "\"fraction\":0,\"loss\":0,\"rate\":0,\"unit\":\"\",\"what\":\"\"},{\"rank\":4,\"host\":\"\",\"task\":\"\","
        "\"attempt\":0,\"seconds\":0,\"fraction\":0.25,\"loss\":null,\"rate\":7,\"unit\":\"u\",\"what\":\"w\"}]}");
    cJSON_free(text);
    assert_int_equal(snapshot_from_json(o, &back, &err), 0);
    cJSON_Delete(o);
    o = snapshot_to_json(&back, &err);
    cJSON *first = snapshot_to_json(&s, &err);
    assert_true(cJSON_Compare(o, first, true));
    cJSON_Delete(first);
    cJSON_Delete(o);
    assert_true(isnan(back.left) && back.n_workers == 2 && !back.stopping);
    snapshot_fini(&back);
    assert_true(back.workers == NULL && back.n_workers == 0);
    o = cJSON_Parse("{\"total\":3e9,\"done\":-3e9,\"failed\":1999999999,\"ready\":\"x\",\"workers\":[{}]}");
    assert_int_equal(snapshot_from_json(o, &back, &err), 0);
    assert_true(back.total == 0 && back.done == 0 && back.failed == 1999999999 && back.ready == 0 && back.skipped == 0);
    assert_true(isnan(back.time) && back.n_workers == 1 && isnan(back.workers[0].report.loss) &&
                back.campaign[0] == '\0');
    snapshot_fini(&back);
    cJSON_Delete(o);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_lines), cmocka_unit_test(summaries), cmocka_unit_test(a_terminal),
        cmocka_unit_test(heads),     cmocka_unit_test(one_line),  cmocka_unit_test(rows_of_workers),
        cmocka_unit_test(hosts),     cmocka_unit_test(how_often), cmocka_unit_test(cannot_be_written),
        cmocka_unit_test(paces),     cmocka_unit_test(as_json),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
