/* coord: one task at a time, in this process or in a child: how it ends, and what is known of it meanwhile. The clock
 * is turned by hand. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
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
#include "coord/runner.h"
#include "unit/coord/stage.h"

#define ID "0123456789abcdef0123456789abcdef"

static char root[] = "/tmp/dinf-runner.XXXXXX";
static struct run_settings settings;
static struct runner runner;
static int ticks;
static double last_fraction;

/* In the child: as `dinf task DIR ID ...`. */
static int child_main(void)
{
    char text[4096] = "";
    if (read(0, text, sizeof text - 1) <= 0 || strstr(text, ID) == NULL)
        return 9;
    if (strstr(text, "\"hang\":1") != NULL)
        for (;;)
            pause();
    dprintf(3, "progress 0.5 1 2 steps half\n");
    return strstr(text, "\"fail\":1") != NULL ? 5 : 0;
}

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static const char *spec(const char *params)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "{\"id\":\"" ID "\",\"name\":\"mock:x/0\",\"kind\":\"mock\",\"params\":{%s},\"inputs\":[]}", params);
    return text;
}

static void tick(void *arg, const struct task_report *report)
{
    assert_ptr_equal(arg, &ticks);
    ticks++;
    last_fraction = report->fraction;
}

static void begin(bool in_process)
{
    static const char *const folders[] = { "tasks", "work", "logs" };
    assert_int_equal(fs_remove_tree(root, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fs_mkdirs(at(folders[i]), NULL), 0);
    settings = (struct run_settings){ .device = "ref", .threads = 1, .grace_seconds = 1, .in_process = in_process };
    snprintf(settings.dir, sizeof settings.dir, "%s", root);
    runner_init(&runner, &settings);
    runner.tick = tick;
    runner.arg = &ticks;
    ticks = 0;
    stage_stopped = false;
    stage_now = 1000;
    stage_end = 1e6;
    stage_real = in_process ? 0 : 1;
    assert_true(!runner_busy(&runner) && runner.child.pid == 0 && isnan(runner.report.loss));
}

static void here(void **state)
{
    (void)state;
    struct attempt_end end;
    bool fresh = true;
    begin(true);
    assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 0); /* nothing runs */
    assert_false(fresh);
    runner_start(&runner, 7, 3, spec("\"seconds\":8,\"steps\":4,\"index\":5"));
    assert_true(runner_busy(&runner) && runner.task == 7 && runner.attempt == 3);
    assert_true(ticks == 4 && last_fraction == 1 && runner.report.fraction == 1);
    assert_string_equal(runner.report.what, "step 4/4");
    assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 1);
    assert_int_equal(end.outcome, OUTCOME_DONE);
    assert_string_equal(end.error, "");
    assert_true(end.seconds >= 8 && end.seconds < 8.5 && !runner_busy(&runner));
    assert_true(fs_exists(at("tasks/" ID ".h5")));
    assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 0);
    begin(true); /* what asks for it runs here, too */
    settings.in_process = false;
    runner.tick = NULL;
    runner_start(&runner, 0, 2, spec("\"in_process\":true,\"fail\":2"));
    assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 1);
    assert_int_equal(end.outcome, OUTCOME_FAILED);
    assert_string_equal(end.error, "mock failure 2 of 2");
    begin(true);
    stage_stopped = true;
    runner_start(&runner, 0, 1, spec("\"seconds\":8"));
    assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 1);
    assert_int_equal(end.outcome, OUTCOME_STOPPED);
    assert_string_equal(end.error, "");
}

/* What cannot even be started has failed, and is said by the next poll. */
static void never_started(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = { { "{", "a task's description is not JSON: {" },
                 { "{\"id\":\"a\",\"name\":\"b\",\"kind\":\"none\",\"params\":{}}",
                   "no kind of task is called 'none'" } };
    struct attempt_end end = { .seconds = 5 };
    bool fresh;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < 2; i++) {
            begin(k == 1);
            runner_start(&runner, 4, 1, rows[i].text);
            assert_true(runner_busy(&runner));
            assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 1);
            assert_true(end.outcome == OUTCOME_FAILED && end.seconds == 0);
            assert_string_equal(end.error, rows[i].says);
        }
    begin(false);
    assert_int_equal(fs_remove_tree(at("logs"), NULL), 0);
    runner_start(&runner, 4, 1, spec(""));
    assert_int_equal(runner_poll(&runner, 0, &fresh, &end), 1);
    assert_int_equal(end.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(end.error, "logs/" ID ".log: No such file or directory"));
    assert_false(runner_busy(&runner));
}

static void elsewhere(void **state)
{
    (void)state;
    struct attempt_end end;
    bool fresh, any = false;
    for (int fails = 0; fails < 2; fails++) {
        begin(false);
        runner_start(&runner, 2, 1, spec(fails ? "\"fail\":1" : ""));
        assert_true(runner_busy(&runner) && runner.child.pid > 0);
        while (runner_poll(&runner, 0.005, &fresh, &end) == 0) {
            any |= fresh;
            clock_sleep(0.002);
        }
        any |= fresh;
        assert_true(any && runner.report.fraction == 0.5 && ticks == 0);
        assert_int_equal(end.outcome, fails ? OUTCOME_FAILED : OUTCOME_DONE);
        assert_string_equal(end.error, fails ? "exit status 5 without a message" : "");
        assert_true(!runner_busy(&runner) && runner.child.pid == 0);
    }
    begin(false);
    runner_start(&runner, 2, 1, spec("\"hang\":1"));
    assert_true(isnan(runner.report.loss) && runner.report.fraction == 0); /* not that of the task before */
    assert_int_equal(runner_poll(&runner, 0.001, &fresh, &end), 0);
    runner_stop(&runner);
    while (runner_poll(&runner, 0.005, &fresh, &end) == 0)
        clock_sleep(0.002);
    assert_int_equal(end.outcome, OUTCOME_STOPPED);
    runner_stop(&runner); /* nothing runs */
    runner_start(&runner, 2, 1, spec("\"hang\":1"));
    const pid_t pid = runner.child.pid;
    runner_kill(&runner);
    assert_true(!runner_busy(&runner) && kill(pid, 0) != 0);
    runner_kill(&runner);
}

static int make_root(void **state)
{
    (void)state;
    unsetenv("DINF_PROGRAM");
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return fs_remove_tree(root, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "task") == 0)
        return child_main();
    const struct CMUnitTest tests[] = { cmocka_unit_test(here), cmocka_unit_test(never_started),
                                        cmocka_unit_test(elsewhere) };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
