/* coord: the run lock, both ways, between processes. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "coord/lock.h"

typedef struct run_lock *take_lock(const char *dir, double wait, struct err *err);

static char dir[] = "/tmp/dinf-lock.XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

/* A process that takes the lock, says so, and waits to be killed. */
static pid_t start_holder(take_lock *take)
{
    int ends[2];
    char c;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err;
        if (take(dir, 0, &err) == NULL || write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], &c, 1), 1);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void kill_holder(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void excludes_and_names(take_lock *take)
{
    struct err err = { .text = "" };
    char holder[32], host[256] = "";
    pid_t pid = start_holder(take);
    gethostname(host, sizeof host - 1);
    snprintf(holder, sizeof holder, "process %ld on ", (long)pid);
    assert_null(take(dir, 0.2, &err));
    assert_non_null(strstr(err.text, holder));
    assert_non_null(strstr(err.text, host));
    kill_holder(pid);
    /* killed, so that nobody released it: still it can be had */
    struct run_lock *lock = take(dir, 1, &err);
    assert_non_null(lock);
    lock_release(lock);
    lock = take(dir, 1, &err);
    assert_non_null(lock);
    lock_release(lock);
}

static void by_flock(void **state)
{
    (void)state;
    excludes_and_names(lock_take);
}

static void by_creation(void **state)
{
    (void)state;
    excludes_and_names(lock_take_by_creation);
}

static void waits_for_the_dying(void **state)
{
    (void)state;
    struct err err;
    pid_t pid = start_holder(lock_take);
    pid_t killer = fork();
    if (killer == 0) {
        usleep(300000);
        kill(pid, SIGKILL);
        _exit(0);
    }
    struct run_lock *lock = lock_take(dir, 5, &err);
    assert_non_null(lock);
    lock_release(lock);
    waitpid(killer, NULL, 0);
    waitpid(pid, NULL, 0);
}

static void another_host_is_believed(void **state)
{
    (void)state;
    struct err err = { .text = "" };
    char path[256];
    snprintf(path, sizeof path, "%s/lock.held", dir);
    assert_int_equal(fs_write_atomic(path, "elsewhere 1234\n", 15, &err), 0);
    assert_null(lock_take_by_creation(dir, 0.2, &err));
    assert_non_null(strstr(err.text, "process 1234 on elsewhere"));
    assert_non_null(strstr(err.text, "lock.held"));
    unlink(path);
}

/* Who asks takes nothing, and does not wait. */
static void is_seen_without_taking_it(take_lock *take)
{
    struct lock_holder holder;
    pid_t pid = start_holder(take);
    assert_int_equal(lock_probe(dir, &holder), LOCK_HELD);
    assert_int_equal(holder.pid, pid);
    assert_int_equal(lock_probe(dir, NULL), LOCK_HELD);
    kill(pid, SIGSTOP); /* frozen is not dead */
    assert_int_equal(lock_probe(dir, NULL), LOCK_HELD);
    kill_holder(pid);
    assert_int_equal(lock_probe(dir, NULL), LOCK_FREE);
    struct run_lock *lock = take(dir, 1, NULL);
    assert_non_null(lock);
    assert_int_equal(lock_probe(dir, NULL), LOCK_HELD);
    lock_release(lock);
    assert_int_equal(lock_probe(dir, NULL), LOCK_FREE);
}

static void probes(void **state)
{
    (void)state;
    is_seen_without_taking_it(lock_take);
    is_seen_without_taking_it(lock_take_by_creation);
    assert_int_equal(lock_probe("/nonexistent/folder", NULL), LOCK_FREE);
}

static void probes_of_another_host(void **state)
{
    static const char *const names[] = { "lock", "lock.held" };
    struct lock_holder holder;
    char path[256];
    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(fs_write_atomic(path, "elsewhere 1234\n", 15, NULL), 0);
        assert_int_equal(lock_probe(dir, &holder), LOCK_ELSEWHERE);
        assert_string_equal(holder.host, "elsewhere");
        assert_int_equal(holder.pid, 1234);
        unlink(path);
    }
}

/* A full disk, here by a limit on file sizes, leaves no lock of nobody behind. */
static void nothing_stays_of_a_lock_that_failed(void **state)
{
    (void)state;
    char path[256];
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        struct err err = { .text = "" };
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &none) != 0)
            _exit(2);
        _exit(lock_take_by_creation(dir, 0, &err) == NULL && strstr(err.text, "cannot write") != NULL ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    snprintf(path, sizeof path, "%s/lock.held", dir);
    assert_false(fs_exists(path));
}

static void names(void **state)
{
    static const char *const ours[] = { "lock", "lock.held", "lock.held.123" }, *const others[] = { "locks", "lock.",
                                                                                                    "loc", "" };
    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_true(lock_is_file(ours[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(lock_is_file(others[i]));
}

/* The lock says who holds it; that of a dead one is in nobody's way, that of a living one is. */
static void what_the_file_says(void **state)
{
    (void)state;
    struct err err = { .text = "" };
    char path[256], host[256] = "", wanted[512], *text;
    gethostname(host, sizeof host - 1);
    struct run_lock *lock = lock_take(dir, 0, &err);
    snprintf(path, sizeof path, "%s/lock", dir);
    snprintf(wanted, sizeof wanted, "%s %ld\n", host, (long)getpid());
    assert_int_equal(fs_read(path, &text, NULL, &err), 0);
    assert_string_equal(text, wanted);
    free(text);
    lock_release(lock);
    assert_true(fs_exists(path)); /* it stays, and is not held */
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    waitpid(dead, NULL, 0);
    struct lock_holder holder;
    snprintf(path, sizeof path, "%s/lock.held", dir);
    for (int alive = 0; alive < 2; alive++) {
        snprintf(wanted, sizeof wanted, "%s %ld\n", host, (long)(alive ? getpid() : dead));
        assert_int_equal(fs_write_atomic(path, wanted, strlen(wanted), &err), 0);
        assert_int_equal(lock_probe(dir, &holder), alive ? LOCK_HELD : LOCK_FREE);
        assert_int_equal(holder.pid, alive ? getpid() : dead);
        lock = lock_take_by_creation(dir, alive ? 0 : 0.2, &err);
        assert_int_equal(lock == NULL, alive);
        lock_release(lock);
        assert_int_equal(fs_exists(path), alive);
    }
    snprintf(wanted, sizeof wanted, "(remove %s if that run is gone)", path);
    assert_non_null(strstr(err.text, wanted));
    assert_int_equal(fs_write_atomic(path, "half a line", 11, &err), 0); /* whoever that is */
    assert_null(lock_take_by_creation(dir, 0, &err));
    assert_non_null(strstr(err.text, "is in use by another run (remove "));
    unlink(path);
    assert_int_equal(symlink("/nowhere/at-all", path), 0); /* gone, or never to be read */
    assert_null(lock_take_by_creation(dir, 0, &err));
    snprintf(wanted, sizeof wanted, "%s is in use by another run", dir);
    assert_string_equal(err.text, wanted);
    unlink(path);
    /* gives up after as long as it was told to wait */
    pid_t pid = start_holder(lock_take);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_null(lock_take(dir, 0.5, &err));
    clock_gettime(CLOCK_MONOTONIC, &end);
    double waited = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    assert_true(waited >= 0.5 && waited < 20);
    kill_holder(pid);
}

static void a_folder_that_is_not_there(void **state)
{
    (void)state;
    struct err err = { .text = "" };
    assert_null(lock_take("/nonexistent/folder", 0, &err));
    assert_true(err.text[0] != '\0');
    lock_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_flock),
        cmocka_unit_test(by_creation),
        cmocka_unit_test(waits_for_the_dying),
        cmocka_unit_test(another_host_is_believed),
        cmocka_unit_test(probes),
        cmocka_unit_test(probes_of_another_host),
        cmocka_unit_test(nothing_stays_of_a_lock_that_failed),
        cmocka_unit_test(a_folder_that_is_not_there),
        cmocka_unit_test(names),
        cmocka_unit_test(what_the_file_says),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
