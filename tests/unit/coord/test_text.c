/* coord: reports, specs, snapshots and frames: what they say and that it fits. */
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
#include "coord/screen.h"
#include "coord/snapshot.h"
#include "coord/spec.h"
#include "coord/words.h"

static void report_round_trip(void **state)
{
    (void)state;
    struct task_progress p = { .fraction = 0.25, .loss = NAN, .rate = 640.5, .unit = "images" };
    struct task_report r, back;
    char line[256];
    snprintf(p.what, sizeof p.what, "epoch 3/150\nof many");
    report_from_progress(&r, &p);
    int n = report_print(&r, line, sizeof line);
    assert_int_equal(n, strlen(line));
    assert_ptr_equal(strchr(line, '\n'), line + n - 1); /* one line whatever the task says */
    assert_int_equal(report_parse(line, &back), 0);
    assert_true(back.fraction == 0.25 && isnan(back.loss) && back.rate == 640.5);
    assert_string_equal(back.unit, "images");
    assert_string_equal(back.what, "epoch 3/150 of many");
    p.unit = NULL;
    p.what[0] = '\0';
    report_from_progress(&r, &p);
    report_print(&r, line, sizeof line);
    assert_int_equal(report_parse(line, &back), 0);
    assert_string_equal(back.unit, "");
    assert_string_equal(back.what, "");
}

static void report_refuses_noise(void **state)
{
    (void)state;
    static const char *const noise[] = { "",      "progress",      "progress x y z - a", "progress 0.1 0.2",
                                         "hello", "progress 1 2 3" };
    struct task_report r;
    report_init(&r);
    r.fraction = 0.5;
    for (size_t i = 0; i < sizeof noise / sizeof noise[0]; i++)
        assert_int_equal(report_parse(noise[i], &r), -1);
    assert_true(r.fraction == 0.5);
}

static void lines_of_the_pipe(void **state)
{
    (void)state;
    struct task_report r;
    char line[600], text[600];
    report_init(&r);
    assert_true(r.fraction == 0 && isnan(r.loss) && isnan(r.rate) && r.what[0] == '\0' && r.unit[0] == '\0' &&
                !r.waiting);
    assert_string_equal((report_print(&r, line, sizeof line), line), "progress 0 nan nan - \n");
    r = (struct task_report){
        .fraction = 0.1234567, .loss = 1, .rate = 1e9, .what = "a\rb", .unit = "u", .waiting = true
    };
    assert_int_equal(report_print(&r, line, sizeof line), strlen("waiting 0.123457 1 1e+09 u a b\n"));
    assert_string_equal(line, "waiting 0.123457 1 1e+09 u a b\n");
    assert_int_equal(report_parse(line, &r), 0);
    assert_true(r.waiting && r.rate == 1e9);
    assert_int_equal(report_parse("progress 1 2 3 u", &r), 0);
    assert_true(!r.waiting && r.what[0] == '\0');
    assert_int_equal(report_parse("waiting2 1 2 3 u x", &r), -1);
    assert_int_equal(report_parse("Progress 1 2 3 u x", &r), -1);
    memset(text, 'w', sizeof text);
    text[sizeof text - 1] = '\0';
    snprintf(line, sizeof line, "progress 1 2 3 %.15s %.80s", "0123456789abcdefgh", text);
    assert_int_equal(report_parse(line, &r), 0);
    assert_string_equal(r.unit, "0123456789abcde");
    assert_int_equal(strlen(r.what), 63);
    /* errors in a line that a pipe takes at once */
    assert_int_equal(report_print_error("a\nb\r", line, sizeof line), 11);
    assert_string_equal(line, "error a b \n" + 0);
    assert_string_equal(report_error("error a b"), "a b");
    assert_null(report_error("errors a"));
    assert_null(report_error("progress 1 2 3 u"));
    assert_int_equal(report_print_error(text, line, sizeof line), 6 + 399 + 1);
    struct task_progress p = { .fraction = 0.5, .loss = 2, .rate = 3, .waiting = true, .unit = "images" };
    snprintf(p.what, sizeof p.what, "why");
    report_from_progress(&r, &p);
    assert_true(r.fraction == 0.5 && r.loss == 2 && r.rate == 3 && r.waiting);
    assert_string_equal(r.what, "why");
}

static void last_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int from;
        const char *words;
    } rows[] = { { "", 0, "" },
                 { "\n \n", 0, "" },
                 { "a\n  b \n\n", 0, "b " },
                 { "a\nerror: b\nc\n", 0, "b" },
                 { "error: a\nerror: b\nc", 0, "b" },
                 { "error: a\n  error: b\n", 0, "a" }, /* that is somebody's text */
                 { "error: a\nb\n", 9, "b" },
                 { "error: a\n", 9, "" },
                 { "error: \nx\n", 0, "" },
                 { "errors: a\n", 0, "errors: a" } };
    char path[] = "/tmp/dinf-words.XXXXXX", out[64], *bytes = malloc(20001);
    int fd = mkstemp(path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), strlen(rows[i].text));
        words_last(path, rows[i].from, out, sizeof out);
        assert_string_equal(out, rows[i].words);
    }
    /* of a long log the last 8192 bytes */
    for (int before = 8191; before <= 8192; before++) {
        memset(bytes, '\n', 20000);
        memcpy(bytes, "error: the reason", 17);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes + 17, 100, 0), 100);
        assert_int_equal(pwrite(fd, bytes, 17, 100), 17);
        assert_int_equal(pwrite(fd, bytes + 17, (size_t)(before - 17), 117), before - 17);
        words_last(path, 0, out, sizeof out);
        assert_string_equal(out, "the reason");
        assert_int_equal(pwrite(fd, "\n\n", 2, 100 + before), 2);
        words_last(path, 0, out, sizeof out);
        assert_string_equal(out, before == 8191 ? "rror: the reason" : "ror: the reason");
    }
    close(fd);
    unlink(path);
    free(bytes);
    words_last("/nowhere/x.log", 0, out, sizeof out);
    assert_string_equal(out, "");
    words_end(9, out, sizeof out);
    assert_string_equal(out, "killed by signal 9 (Killed)");
    words_end(3 << 8, out, sizeof out);
    assert_string_equal(out, "exit status 3");
}

static void spec_round_trip(void **state)
{
    (void)state;
    struct err err;
    struct task_input inputs[2] = { { .role = "members", .id = "aa" }, { .role = "held \"out\"", .id = "bb" } };
    struct plan_task task = { .id = "0123456789abcdef0123456789abcdef",
                              .name = (char *)"mock:\xc3\xa4/1",
                              .kind = task_kind_find("mock"),
                              .inputs = inputs,
                              .n_inputs = 2 };
    struct task_spec spec;
    task.params = cJSON_Parse("{\"seconds\":0.1,\"index\":4294967297}");
    struct plan_task made[2] = { { .result = "11", .weights = "22" }, { .result = "33" } };
    struct plan plan = { .tasks = made, .n_tasks = 2 };
    int from[2] = { 1, 0 };
    task.input_tasks = from;
    task.contents = cJSON_Parse("{\"dataset\":\"44\"}");
    char *text = spec_print(&plan, &task, &err);
    assert_non_null(text);
    assert_int_equal(spec_parse(text, &spec, &err), 0);
    assert_string_equal(spec.id, task.id);
    assert_string_equal(spec.name, task.name);
    assert_ptr_equal(spec.kind, task.kind);
    assert_int_equal(spec.n_inputs, 2);
    assert_string_equal(spec.inputs[1].role, inputs[1].role);
    assert_string_equal(spec.inputs[1].id, "bb");
    assert_string_equal(spec.inputs[0].result, "33");
    assert_string_equal(spec.inputs[0].weights, "");
    assert_string_equal(spec.inputs[1].result, "11");
    assert_string_equal(spec.inputs[1].weights, "22");
    assert_true(cJSON_Compare(spec.contents, task.contents, true));
    assert_true(cJSON_Compare(spec.params, task.params, true));
    assert_string_equal(spec.result, ""); /* it is not done */
    spec_fini(&spec);
    mem_free(text);
    snprintf(task.result, sizeof task.result, "55");
    text = spec_print(&plan, &task, &err);
    assert_int_equal(spec_parse(text, &spec, &err), 0);
    assert_string_equal(spec.result, "");
    spec_fini(&spec);
    mem_free(text);
    task.state = TASK_DONE;
    text = spec_print(&plan, &task, &err);
    assert_int_equal(spec_parse(text, &spec, &err), 0);
    assert_string_equal(spec.result, "55");
    spec_fini(&spec);
    mem_free(text);
    cJSON_Delete(task.params);
    cJSON_Delete(task.contents);
}

static void spec_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"mock\"}",
        "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"none\",\"params\":{}}",
        "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"mock\",\"params\":{},\"inputs\":[{}]}",
        "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"mock\",\"params\":{},\"inputs\":[{\"role\":\"r\"}]}",
        "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"mock\",\"params\":{},\"inputs\":[{\"id\":\"r\"}]}",
        "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"mock\",\"params\":[]}",
        "{\"name\":\"b\",\"kind\":\"mock\",\"params\":{}}",
        "{\"id\":\"a\",\"kind\":\"mock\",\"params\":{}}",
        "{\"id\":\"a\",\"name\":\"b\",\"params\":{}}",
        "{\"id\":\"0123456789abcdef0123456789abcdef0\",\"name\":\"b\",\"kind\":\"mock\",\"params\":{}}",
    };
    struct task_spec spec;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = { .text = "" };
        assert_int_equal(spec_parse(bad[i], &spec, &err), -1);
        assert_true(err.text[0] != '\0');
    }
}

static void settings_round_trip(void **state)
{
    (void)state;
    struct err err;
    struct run_settings back, s = { .dir = "/a b/c",
                                    .device = "cpu",
                                    .threads = 3,
                                    .sharing = 4,
                                    .task_seconds = 0.1,
                                    .grace_seconds = 60,
                                    .silence_seconds = 7,
                                    .in_process = true };
    char *text = settings_print(&s, &err);
    assert_int_equal(settings_parse(text, &back, &err), 0);
    assert_memory_equal(&s, &back, sizeof s);
    mem_free(text);
    assert_int_equal(settings_parse("{}", &back, &err), -1);
    assert_int_equal(settings_parse("{\"dir\":\"/x\"}", &back, &err), -1);
    assert_int_equal(settings_parse("{\"device\":\"cpu\"}", &back, &err), -1);
    assert_int_equal(settings_parse("{\"dir\":\"/x\",\"device\":\"cpu\"}", &back, &err), 0);
    assert_true(back.threads == 0 && back.sharing == 0 && back.task_seconds == 0 && !back.in_process);
    char longest[PATH_MAX + 64]; /* a path of PATH_MAX - 1 characters fits */
    for (int n = PATH_MAX - 1; n <= PATH_MAX; n++) {
        int at = snprintf(longest, sizeof longest, "{\"device\":\"cpu\",\"dir\":\"");
        memset(longest + at, 'd', (size_t)n);
        snprintf(longest + at + n, sizeof longest - (size_t)(at + n), "\"}");
        assert_int_equal(settings_parse(longest, &back, &err), n < PATH_MAX ? 0 : -1);
    }
}

/* A chain of two and one beside it, on two workers: 4 s are done, and a task of
 * the same kind and half the cost is expected to take half of them. */
static void estimates(void **state)
{
    (void)state;
    struct err err;
    const struct task_kind *mock = task_kind_find("mock");
    int after[] = { 1 };
    struct task_input input = { .role = "after" };
    struct plan_task tasks[] = {
        { .kind = mock, .cost = 2, .state = TASK_DONE, .seconds = 4 },
        { .kind = mock, .cost = 3, .state = TASK_RUNNING, .rank = 5, .start = 100 },
        { .kind = mock, .cost = 1, .state = TASK_WAITING, .inputs = &input, .input_tasks = after, .n_inputs = 1 },
        { .kind = mock, .cost = 9, .state = TASK_FAILED },
    };
    struct plan plan = { .tasks = tasks, .n_tasks = 4 };
    struct snapshot_worker workers[] = { { .rank = 2 }, { .rank = 5, .seconds = 3, .report = { .fraction = 0.25 } } };
    struct snapshot s = { .workers = workers, .n_workers = 2, .workers_total = 2 };
    assert_int_equal(snapshot_estimate(&s, &plan, 103, &err), 0);
    assert_int_equal(s.total, 4);
    assert_int_equal(s.done, 1);
    assert_int_equal(s.running, 1);
    assert_int_equal(s.waiting, 1);
    assert_int_equal(s.failed, 1);
    /* 3 s for a quarter: 9 s are left of it, then 2 s for the one behind it */
    assert_true(fabs(s.left - 11) < 1e-9);
    assert_true(fabs(s.fraction - 7.0 / 18.0) < 1e-9);
    s.workers_total = 1;
    s.n_workers = 0; /* no report: by its cost, 6 s, 3 of them over */
    assert_int_equal(snapshot_estimate(&s, &plan, 103, &err), 0);
    assert_true(fabs(s.left - 5) < 1e-9);
    tasks[1].saved = 0.5; /* half of it was there before: all of the report's quarter above is this attempt's */
    workers[1].report.fraction = 0.75;
    s.n_workers = s.workers_total = 2;
    assert_int_equal(snapshot_estimate(&s, &plan, 103, &err), 0);
    assert_true(fabs(s.left - (3 + 2)) < 1e-9);
    assert_true(fabs(s.fraction - (4 + 3 + 3) / (4.0 + 3 + 3 + 3 + 2)) < 1e-9);
    tasks[1].state = TASK_READY; /* stopped: 3 of its 6 s are over */
    s.n_workers = 0;
    assert_int_equal(snapshot_estimate(&s, &plan, 103, &err), 0);
    assert_true(fabs(s.left - (3 + 2)) < 1e-9);
    assert_true(fabs(s.fraction - (4 + 3) / (4.0 + 3 + 3 + 2)) < 1e-9);
}

static struct snapshot example(struct snapshot_worker *workers, int n)
{
    struct snapshot s = { .campaign = "demo",
                          .fraction = 0.47,
                          .left = 190,
                          .total = 40,
                          .done = 12,
                          .failed = 1,
                          .running = n,
                          .waiting = 20,
                          .workers = workers,
                          .n_workers = n,
                          .workers_total = n };
    for (int i = 0; i < n; i++) {
        workers[i] = (struct snapshot_worker){ .rank = i + 1,
                                               .attempt = 1 + i % 2,
                                               .seconds = 61.5,
                                               .report = { .fraction = 0.5, .loss = 3.25, .rate = 640 } };
        snprintf(workers[i].task, sizeof workers[i].task,
                 "steal:victim.\xc3\xbc"
                 "berlang.half.members.%d",
                 i);
        snprintf(workers[i].report.what, sizeof workers[i].report.what, "epoch %d/150", i);
        snprintf(workers[i].report.unit, sizeof workers[i].report.unit, "images");
    }
    return s;
}

static void frames_fit(void **state)
{
    (void)state;
    static struct snapshot_worker workers[200];
    static char out[65536];
    static const int n_workers[] = { 0, 1, 7, 8, 200 };
    for (int columns = 20; columns <= 200; columns += 7)
        for (int rows = 1; rows <= 40; rows += 3)
            for (size_t k = 0; k < sizeof n_workers / sizeof n_workers[0]; k++) {
                struct snapshot s = example(workers, n_workers[k]);
                int lines = screen_render(&s, columns, rows, out, sizeof out), seen = 0;
                assert_true(lines <= rows);
                for (char *line = out; *line != '\0'; seen++) {
                    char *end = strchr(line, '\n');
                    assert_non_null(end);
                    int width = 0;
                    for (char *c = line; c < end; c++)
                        width += ((unsigned char)*c & 0xC0) != 0x80;
                    assert_true(width <= columns);
                    line = end + 1;
                }
                assert_int_equal(seen, lines);
            }
}

static void frames_say(void **state)
{
    (void)state;
    struct snapshot_worker workers[9];
    char out[4096];
    struct snapshot s = example(workers, 9);
    assert_int_equal(screen_render(&s, 100, 6, out, sizeof out), 6);
    assert_non_null(strstr(out, " 47%"));
    assert_non_null(strstr(out, "12 of 40 done, 1 failed, 0 skipped, 9 running, 20 remaining, 3 min 10 s left"));
    assert_non_null(strstr(out, "epoch 2/150  loss 3.25  640 images/s"));
    assert_non_null(strstr(out, "and 6 more workers"));
    s.fraction = 0.9999; /* 100 only when it is over */
    screen_render(&s, 100, 6, out, sizeof out);
    assert_non_null(strstr(out, " 99%"));
    s.left = NAN;
    s.fraction = NAN;
    screen_render(&s, 80, 24, out, sizeof out);
    assert_null(strstr(out, "nan"));
}

/* In 80 columns names give way: everything else of a long training's line is whole. */
static void frames_keep_numbers(void **state)
{
    (void)state;
    struct snapshot_worker workers[3];
    char out[4096];
    struct snapshot s = example(workers, 3);
    for (int i = 0; i < 3; i++) {
        workers[i].rank = 1000 + i;
        workers[i].report = (struct task_report){ .fraction = 0.625, .loss = 0.04321, .rate = i == 0 ? 61.3 : 12626.4 };
        snprintf(workers[i].report.what, sizeof workers[i].report.what, "epoch %d/1000", 98 + i);
        snprintf(workers[i].report.unit, sizeof workers[i].report.unit, "images");
    }
    for (int columns = 79; columns <= 80; columns++) {
        screen_render(&s, columns, 24, out, sizeof out);
        assert_non_null(strstr(out, " 62%  epoch 98/1000   loss 0.04321  61.3 images/s\n"));
        assert_non_null(strstr(out, " 62%  epoch 99/1000   loss 0.04321  12626 images/s\n"));
        assert_non_null(strstr(out, " 62%  epoch 100/1000  loss 0.04321  12626 images/s\n"));
        /* with its end: that is where names differ */
        assert_non_null(
            strstr(out, columns == 79 ? " 1001  steal:..rs.1 (try 2)   62%" : " 1001  steal:..ers.1 (try 2)   62%"));
    }
    screen_render(&s, 200, 24, out, sizeof out); /* with room enough nothing is cut */
    assert_non_null(strstr(out, "  steal:victim.\xc3\xbc"
                                "berlang.half.members.1 (try 2)  [####..]  62%  epoch"));
    assert_non_null(strstr(out, "12626 images/s  1 min 01 s\n"));
}

static void snapshot_round_trip(void **state)
{
    (void)state;
    struct err err;
    struct snapshot_worker workers[3];
    struct snapshot s = example(workers, 3), back;
    workers[1].report.loss = NAN;
    snprintf(s.hosts, sizeof s.hosts, "n0 n1");
    s.stopping = true;
    cJSON *o = snapshot_to_json(&s, &err);
    char *text = cJSON_PrintUnformatted(o);
    cJSON *again = cJSON_Parse(text);
    assert_int_equal(snapshot_from_json(again, &back, &err), 0);
    assert_int_equal(back.n_workers, 3);
    assert_int_equal(back.workers[2].rank, 3);
    assert_string_equal(back.workers[2].task, workers[2].task);
    assert_string_equal(back.workers[2].report.what, workers[2].report.what);
    assert_true(isnan(back.workers[1].report.loss) && back.workers[0].report.loss == 3.25);
    assert_string_equal(back.hosts, "n0 n1");
    assert_true(back.stopping && back.left == 190 && back.done == 12);
    snapshot_fini(&back);
    cJSON_Delete(again);
    cJSON_free(text);
    cJSON_Delete(o);
    assert_int_equal(snapshot_from_json(NULL, &back, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_the_pipe),   cmocka_unit_test(last_words),
        cmocka_unit_test(report_round_trip),   cmocka_unit_test(report_refuses_noise),
        cmocka_unit_test(spec_round_trip),     cmocka_unit_test(spec_refuses),
        cmocka_unit_test(settings_round_trip), cmocka_unit_test(estimates),
        cmocka_unit_test(frames_fit),          cmocka_unit_test(frames_say),
        cmocka_unit_test(frames_keep_numbers), cmocka_unit_test(snapshot_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
