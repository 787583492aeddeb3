/* coord: what is removed of the files and folders that killed processes leave, by their ages. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "coord/leftovers.h"
#include "unit/plan/graph.h"

static char root[] = "/tmp/dinf-leftovers.XXXXXX";

static const char *at(const char *name)
{
    static char path[2048];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* So many seconds ago. */
static void age(const char *name, double seconds)
{
    struct timespec then;
    clock_gettime(CLOCK_REALTIME, &then);
    then.tv_sec -= (time_t)seconds;
    const struct timespec times[2] = { then, then };
    assert_int_equal(utimensat(AT_FDCWD, at(name), times, 0), 0);
}

static void put(const char *name, double seconds)
{
    assert_int_equal(fs_write_atomic(at(name), "x", 1, NULL), 0);
    age(name, seconds);
}

static void folder(const char *name)
{
    assert_int_equal(fs_mkdirs(at(name), NULL), 0);
}

/* Two tasks, the first of them done. */
static struct plan *begin(void)
{
    assert_int_equal(fs_remove_tree(root, NULL), 0);
    folder("tasks");
    folder("encoders");
    folder("work");
    struct plan *plan = graph_create();
    graph_task(plan, 1, -1, -1);
    graph_task(plan, 1, -1, -1);
    plan->tasks[0].state = TASK_DONE;
    return plan;
}

static long a_dead_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}

/* Ten minutes for whoever lives, five seconds for the dead, or as long as the run took. */
static void temporary_files(void **state)
{
    (void)state;
    static const char *const folders[] = { "", "tasks/", "encoders/", "work/ID/" };
    const long dead = a_dead_process();
    static const struct {
        double old, run;   /* of the file, and of the run */
        bool alive, stays; /* nobody can say of a number that is none that it is dead */
    } rows[] = { { 590, INFINITY, true, true }, { 610, INFINITY, true, false }, { 4, INFINITY, false, true },
                 { 7, INFINITY, false, false }, { 4, 2, false, false },         { 1, 3, false, true },
                 { 7, 100, false, false } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct plan *plan = begin();
        char name[4][256], work[128];
        snprintf(work, sizeof work, "work/%s", plan->tasks[1].id);
        folder(work);
        for (int k = 0; k < 4; k++) {
            const char *in = k < 3 ? folders[k] : work;
            snprintf(name[k], sizeof name[k], "%s%sx.h5.tmp.%ld", in, k == 3 ? "/" : "",
                     rows[i].alive ? 99999999999L : dead);
            put(name[k], rows[i].old);
        }
        put("tasks/x.h5", 1e6); /* what is whole stays whatever its age */
        leftovers_remove(root, plan, rows[i].run);
        for (int k = 0; k < 4; k++)
            if (fs_exists(at(name[k])) != rows[i].stays)
                fail_msg("%s after %g s: %d", name[k], rows[i].old, rows[i].stays);
        assert_true(fs_exists(at("tasks/x.h5")));
        plan_destroy(plan);
    }
}

/* Of tasks that are done, at once; of those that the plan lacks, empty ones, and others after a week. */
static void folders_of_tasks(void **state)
{
    (void)state;
    const double day = 24 * 3600;
    struct plan *plan = begin();
    char done[128], waits[128], name[256];
    snprintf(done, sizeof done, "work/%s", plan->tasks[0].id);
    snprintf(waits, sizeof waits, "work/%s", plan->tasks[1].id);
    const char *const folders[] = { done, waits, "work/empty", "work/young", "work/old", "work/future" };
    for (size_t i = 0; i < 6; i++) {
        folder(folders[i]);
        snprintf(name, sizeof name, "%s/checkpoint", folders[i]);
        if (i != 2)
            put(name, 0);
    }
    age("work/young", 6.9 * day);
    age("work/old", 7.1 * day);
    age("work/future", -8 * day);
    age(waits, 30 * day);
    folder("work/.hidden");
    leftovers_remove(root, plan, INFINITY);
    static const bool stays[] = { false, true, false, true, false, false };
    for (size_t i = 0; i < 6; i++)
        if (fs_exists(at(folders[i])) != stays[i])
            fail_msg("%s: %d", folders[i], stays[i]);
    assert_true(fs_exists(at("work/.hidden")));
    snprintf(name, sizeof name, "%s/checkpoint", waits);
    assert_true(fs_exists(at(name)));
    plan_destroy(plan);
}

/* Nothing is there: nothing is said, either. */
static void nothing(void **state)
{
    (void)state;
    struct plan *plan = begin();
    assert_int_equal(fs_remove_tree(root, NULL), 0);
    char text[64];
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    leftovers_remove(root, plan, INFINITY);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 0);
    fclose(file);
    plan_destroy(plan);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(temporary_files), cmocka_unit_test(folders_of_tasks),
                                        cmocka_unit_test(nothing) };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
