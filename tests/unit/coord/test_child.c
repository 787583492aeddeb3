/* coord: attempts in processes of their own. This program is its own child:
 * started as `... task DIR ID ...` it does what the spec on its standard input
 * says. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/stop.h"
#include "coord/child.h"
#include "coord/process.h"

static char dir[] = "/tmp/dinf-child.XXXXXX";

/* ---- in the child ---- */

static const char *const launchers[] = {
    "OMPI_COMM_WORLD_RANK", "PMIX_RANK",         "PMI_RANK",         "ORTE_X",          "OPAL_X",
    "SLURM_PMI_FD",         "SLURM_MPI_TYPE",    "OMP_PROC_BIND",    "OMP_PLACES",      "OMP_DYNAMIC",
    "OMP_THREAD_LIMIT",     "GOMP_CPU_AFFINITY", "GOTO_NUM_THREADS", "DNNL_NUM_THREADS"
};
enum { LAUNCHERS = sizeof launchers / sizeof launchers[0] };

static int environment_is_clean(void)
{
    char parent[32];
    snprintf(parent, sizeof parent, "%ld", (long)getppid());
    for (size_t i = 0; i < LAUNCHERS; i++)
        if (getenv(launchers[i]) != NULL)
            return 0;
    if (getenv("SLURM_JOB_ID") == NULL || getenv("OMP_SCHEDULE") == NULL || strcmp(getenv("DINF_PARENT"), parent) != 0)
        return 0;
    return getenv("OMPI_COMM_WORLD_RANK") == NULL && getenv("PMIX_RANK") == NULL && getenv("PMI_RANK") == NULL &&
           getenv("OMP_THREAD_LIMIT") == NULL && getenv("OMP_DYNAMIC") == NULL && getenv("KEPT") != NULL &&
           strcmp(getenv("OMP_NUM_THREADS"), "3") == 0 && strcmp(getenv("OPENBLAS_NUM_THREADS"), "3") == 0 &&
           fcntl(4, F_GETFD) == -1 && getpgrp() == getpid();
}

/* What child_start promises: DIR ID, what it was told, and no signal ignored or held back. */
static bool is_called_well(int argc, char **argv)
{
    static const char *const words[] = { "--spec-fd", "0", "--progress-fd",   "3", "--attempt", "7",
                                         "--threads", "3", "--ranks-per-gpu", "5", "--device",  "cpu" };
    struct sigaction usr;
    sigset_t held;
    if (argc != 16 || strcmp(argv[1], "task") != 0 || strncmp(argv[2], "/tmp/dinf-child.", 16) != 0 ||
        strcmp(argv[3], "called") != 0)
        return false;
    for (int i = 0; i < 12; i++)
        if (strcmp(argv[4 + i], words[i]) != 0)
            return false;
    return sigaction(SIGUSR2, NULL, &usr) == 0 && usr.sa_handler == SIG_DFL &&
           sigprocmask(SIG_SETMASK, NULL, &held) == 0 && sigismember(&held, SIGUSR1) == 0;
}

static int child_main(int argc, char **argv)
{
    char what[64] = "";
    process_follow_parent();
    if (read(0, what, sizeof what - 1) < 0)
        return 9;
    if (strcmp(what, "done") == 0)
        return environment_is_clean() ? 0 : 8;
    if (strcmp(what, "called") == 0)
        return is_called_well(argc, argv) ? 0 : 6;
    if (strcmp(what, "prints") == 0) {
        printf("error: to standard output\n");
        fflush(stdout);
        return 1;
    }
    if (strcmp(what, "talks") == 0)
        return printf("well done\n") > 0 ? 0 : 1;
    if (strcmp(what, "killed") == 0)
        raise(SIGKILL);
    if (strcmp(what, "noise") == 0) { /* longer than any line, and then a line */
        for (int i = 0; i < 60; i++)
            dprintf(3, "0123456789");
        usleep(50000);
        dprintf(3, "\nprogress 0.25 1 2 - after\nprogress 0.75 1 2 - last\n");
        pause();
    }
    if (strcmp(what, "fail") == 0) {
        fprintf(stderr, "some noise\nerror: first\nerror: the reason\nmore noise\n");
        return 1;
    }
    if (strcmp(what, "launched") == 0)
        return getenv("LAUNCHED") != NULL ? 0 : 7;
    if (strcmp(what, "silent") == 0)
        return 3;
    if (strcmp(what, "abort") == 0) {
        fprintf(stderr, "assertion broken\n\n");
        signal(SIGABRT, SIG_DFL);
        raise(SIGABRT);
    }
    if (strcmp(what, "report") == 0) {
        dprintf(3, "noise\nprogress 0.5 1.25 100 images epo");
        usleep(50000);
        dprintf(3, "ch 1/2\n");
        pause();
    }
    if (strcmp(what, "fulldisk") == 0) { /* its log takes nothing */
        dprintf(3, "error No space for this\n");
        return 1;
    }
    if (strcmp(what, "waits") == 0) {
        for (int i = 0; i < 24; i++) {
            dprintf(3, "waiting 0 0 0 - for a GPU\n");
            usleep(100000);
        }
        dprintf(3, "progress 0 0 0 - works\n");
        usleep(100000);
        return 0;
    }
    if (strcmp(what, "deaf") == 0) {
        signal(SIGTERM, SIG_IGN);
        dprintf(3, "progress 0 0 0 - ready\n");
    }
    if (strcmp(what, "saves") == 0) {
        stop_install();
        dprintf(3, "progress 0 0 0 - ready\n");
        while (!stop_requested())
            usleep(1000);
        return EXIT_STOPPED;
    }
    for (;;)
        pause();
}

/* ---- in the parent ---- */

static int make_dir(void **state)
{
    char logs[64];
    (void)state;
    for (size_t i = 0; i < LAUNCHERS; i++)
        setenv(launchers[i], "1", 1);
    setenv("SLURM_JOB_ID", "1", 1);
    setenv("OMP_SCHEDULE", "static", 1);
    setenv("DINF_PARENT", "1", 1);
    setenv("OPENBLAS_NUM_THREADS", "66", 1);
    setenv("KEPT", "1", 1);
    unsetenv("DINF_PROGRAM"); /* these tests may run inside a bundle */
    for (int fd = 3; fd < 256; fd++)
        close(fd); /* what a test was started with is not the children's to have */
    setenv("OMP_NUM_THREADS", "77", 1);
    setenv("OMP_THREAD_LIMIT", "1", 1);
    setenv("OMP_DYNAMIC", "true", 1);
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(logs, sizeof logs, "%s/logs", dir);
    return mkdir(logs, 0777);
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

static struct child start(const char *what, double limit, double grace)
{
    struct err err = { .text = "" };
    struct child c;
    struct run_settings settings = { .device = "cpu", .threads = 3, .task_seconds = limit, .grace_seconds = grace };
    snprintf(settings.dir, sizeof settings.dir, "%s", dir);
    assert_int_equal(child_start(&c, &settings, what, what, 1, &err), 0);
    return c;
}

/* Starts it and waits until it says that it is ready for signals. */
static struct child start_ready(const char *what, double grace)
{
    struct child c = start(what, 0, grace);
    struct task_report report;
    struct attempt_end end;
    bool fresh = false;
    for (int i = 0; i < 2000 && !fresh; i++)
        assert_int_equal(child_poll(&c, 0.005, &report, &fresh, &end), 0);
    return c;
}

static struct attempt_end finish(struct child *c)
{
    struct attempt_end end = { .seconds = -1 };
    struct task_report report;
    bool fresh;
    for (int i = 0; i < 2000; i++)
        if (child_poll(c, 0.005, &report, &fresh, &end) == 1)
            return end;
    fail_msg("the child does not end");
    return end;
}

static void expect(const char *what, enum outcome outcome, const char *error)
{
    struct child c = start(what, 0, 1);
    struct attempt_end end = finish(&c);
    assert_int_equal(end.outcome, outcome);
    assert_string_equal(end.error, error);
    assert_int_equal(c.pid, 0);
}

static void ends(void **state)
{
    (void)state;
    expect("done", OUTCOME_DONE, "");
    expect("fail", OUTCOME_FAILED, "the reason");
    expect("silent", OUTCOME_FAILED, "exit status 3 without a message");
    expect("fulldisk", OUTCOME_FAILED, "No space for this");
    expect("abort", OUTCOME_FAILED, "killed by signal 6 (Aborted); last line: assertion broken");
    expect("prints", OUTCOME_FAILED, "to standard output");
    expect("killed", OUTCOME_FAILED, "killed by signal 9 (Killed), out of memory perhaps");
}

static void is_called(void **state)
{
    (void)state;
    struct err err = { .text = "" };
    struct child c;
    struct run_settings settings = {
        .device = "cpu", .threads = 3, .sharing = 5, .task_seconds = 60, .grace_seconds = 1
    };
    sigset_t some, before;
    snprintf(settings.dir, sizeof settings.dir, "%s", dir);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigprocmask(SIG_BLOCK, &some, &before);
    assert_int_equal(child_start(&c, &settings, "called", "called", 7, &err), 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR2, SIG_DFL);
    struct attempt_end end = finish(&c);
    assert_string_equal(end.error, "");
    assert_int_equal(end.outcome, OUTCOME_DONE);
    assert_true(end.seconds > 0 && end.seconds < 60);
}

/* What is no line of the pipe's is passed over; of several the last counts. */
static void noise(void **state)
{
    (void)state;
    struct child c = start("noise", 0, 1);
    struct task_report report;
    struct attempt_end end;
    bool fresh = false;
    report_init(&report);
    for (int i = 0; i < 1000 && !fresh; i++)
        assert_int_equal(child_poll(&c, 0.005, &report, &fresh, &end), 0);
    assert_true(fresh && report.fraction == 0.75);
    assert_string_equal(report.what, "last");
    double before = clock_monotonic(); /* nothing new: no longer than asked */
    assert_int_equal(child_poll(&c, 0.05, &report, &fresh, &end), 0);
    double waited = clock_monotonic() - before;
    assert_true(!fresh && waited >= 0.045 && waited < 10);
    child_kill(&c);
}

static void logs(void **state)
{
    char path[64];
    (void)state;
    expect("done", OUTCOME_DONE, "");
    snprintf(path, sizeof path, "%s/logs/done.log", dir);
    assert_false(fs_exists(path)); /* it said nothing */
    expect("fail", OUTCOME_FAILED, "the reason");
    snprintf(path, sizeof path, "%s/logs/fail.log", dir);
    assert_true(fs_exists(path));
    expect("talks", OUTCOME_DONE, "");
    snprintf(path, sizeof path, "%s/logs/talks.log", dir);
    assert_true(fs_exists(path));
}

static void last_words_are_of_this_attempt(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/logs/silent.log", dir);
    assert_int_equal(fs_write_atomic(path, "error: of yesterday\n", 20, NULL), 0);
    expect("silent", OUTCOME_FAILED, "exit status 3 without a message");
}

/* Time in which a task waits for others is not its own, also where it is longer than the limit. */
static void waiting_is_not_counted(void **state)
{
    (void)state;
    struct child c = start("waits", 2, 1);
    struct attempt_end end = finish(&c);
    assert_int_equal(end.outcome, OUTCOME_DONE);
    assert_true(end.seconds < 2);
}

static void reports_come_in_pieces(void **state)
{
    (void)state;
    struct child c = start("report", 0, 1);
    struct task_report report;
    struct attempt_end end;
    bool fresh = false;
    report_init(&report);
    for (int i = 0; i < 1000 && !fresh; i++)
        assert_int_equal(child_poll(&c, 0.005, &report, &fresh, &end), 0);
    assert_true(fresh && report.fraction == 0.5 && report.loss == 1.25 && report.rate == 100);
    assert_string_equal(report.what, "epoch 1/2");
    child_kill(&c);
    assert_int_equal(c.pid, 0);
    child_kill(&c); /* nothing to kill */
}

static void stops(void **state)
{
    (void)state;
    struct child c = start_ready("saves", 5);
    child_stop(&c);
    assert_int_equal(finish(&c).outcome, OUTCOME_STOPPED);
    c = start_ready("deaf", 0.1);
    child_stop(&c);
    assert_int_equal(finish(&c).outcome, OUTCOME_STOPPED);
    /* asked by somebody else: that is a failure */
    c = start_ready("saves", 5);
    kill(c.pid, SIGTERM);
    struct attempt_end end = finish(&c);
    assert_int_equal(end.outcome, OUTCOME_FAILED);
    assert_non_null(strstr(end.error, "did not come from the coordinator"));
}

static void limits(void **state)
{
    (void)state;
    struct child c = start("saves", 1, 5);
    struct attempt_end end = finish(&c);
    assert_int_equal(end.outcome, OUTCOME_FAILED);
    assert_string_equal(end.error, "exceeded the time limit of 1 s");
    c = start("deaf", 1, 0.1);
    end = finish(&c);
    assert_int_equal(end.outcome, OUTCOME_FAILED);
    assert_string_equal(end.error, "exceeded the time limit of 1 s and had to be killed");
    assert_true(end.seconds >= 1.1);
}

/* As in an unpacked bundle: a script starts the program, and no executable tells which. */
/* Holds the process as a debugger does that never looks: killed, it stays, as one would
 * that hangs in the system. 0: not possible here. */
static pid_t hold(pid_t pid)
{
    int ends[2];
    char c = 'n';
    assert_int_equal(pipe(ends), 0);
    pid_t holder = fork();
    if (holder == 0) {
        c = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? 'y' : 'n';
        if (write(ends[1], &c, 1) == 1 && c == 'y')
            pause();
        _exit(0);
    }
    assert_int_equal(read(ends[0], &c, 1), 1);
    close(ends[0]);
    close(ends[1]);
    if (c == 'y')
        return holder;
    waitpid(holder, NULL, 0);
    return 0;
}

static void a_process_that_does_not_die(void **state)
{
    (void)state;
    struct task_report report;
    struct attempt_end end;
    bool fresh;
    for (int asked = 0; asked < 2; asked++) {
        struct child c = start("deaf", asked ? 0 : 0.5, 0.1);
        pid_t pid = c.pid, holder = hold(pid);
        if (holder == 0) {
            child_kill(&c);
            skip();
        }
        if (asked)
            child_stop(&c);
        double begin = clock_monotonic();
        while (child_poll(&c, 0.005, &report, &fresh, &end) == 0)
            assert_true(clock_monotonic() - begin < 20);
        assert_int_equal(end.outcome, asked ? OUTCOME_STOPPED : OUTCOME_STUCK);
        if (!asked)
            assert_non_null(strstr(end.error, "does not die"));
        assert_int_equal(c.pid, 0);
        assert_false(process_kill(pid, NULL)); /* and waits no longer than this */
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
        assert_true(process_kill(pid, NULL));
    }
}

static void another_program(void **state)
{
    char self[256] = "", path[64], text[512];
    (void)state;
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    snprintf(path, sizeof path, "%s/launch", dir);
    snprintf(text, sizeof text, "#!/bin/sh\nLAUNCHED=1 exec '%s' \"$@\"\n", self);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
    assert_int_equal(chmod(path, 0755), 0);
    expect("launched", OUTCOME_FAILED, "exit status 7 without a message");
    setenv("DINF_PROGRAM", path, 1);
    expect("launched", OUTCOME_DONE, "");
    expect("done", OUTCOME_DONE, "");
    setenv("DINF_PROGRAM", "/nowhere/dinf", 1);
    struct err err = { .text = "" };
    struct child c;
    struct run_settings settings = { .device = "cpu", .threads = 3 };
    snprintf(settings.dir, sizeof settings.dir, "%s", dir);
    assert_int_equal(child_start(&c, &settings, "lost", "lost", 1, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere/dinf"));
    setenv("DINF_PROGRAM", "", 1);
    expect("done", OUTCOME_DONE, "");
    unsetenv("DINF_PROGRAM");
}

/* The last test: a stop cannot be taken back. */
static void a_signal_to_all_is_a_stop(void **state)
{
    (void)state;
    struct child c = start_ready("saves", 5);
    kill(c.pid, SIGTERM);
    stop_request();
    assert_int_equal(finish(&c).outcome, OUTCOME_STOPPED);
    expect("fail", OUTCOME_FAILED, "the reason");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "task") == 0)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends),
        cmocka_unit_test(logs),
        cmocka_unit_test(is_called),
        cmocka_unit_test(noise),
        cmocka_unit_test(stops),
        cmocka_unit_test(last_words_are_of_this_attempt),
        cmocka_unit_test(limits),
        cmocka_unit_test(waiting_is_not_counted),
        cmocka_unit_test(reports_come_in_pieces),
        cmocka_unit_test(a_process_that_does_not_die),
        cmocka_unit_test(another_program),
        cmocka_unit_test(a_signal_to_all_is_a_stop),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
