/* coord: what a run directory may be, and what it keeps to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "coord/rundir.h"
#include "unit/plan/graph.h"

static char root[] = "/tmp/dinf-rundir.XXXXXX";

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

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(fs_write_atomic(at(name), text, strlen(text), NULL), 0);
}

/* Tasks begin .. end - 1 of one long campaign. */
static struct plan *tasks(int begin, int end)
{
    struct plan *plan = graph_create();
    for (int i = begin; i < end; i++) {
        int t = graph_task(plan, 1, -1, -1);
        snprintf(plan->tasks[t].id, TASK_ID, "%032x", i);
    }
    plan->campaign.trials = plan->campaign.threads = 1;
    snprintf(plan->campaign.device, sizeof plan->campaign.device, "ref");
    return plan;
}

/* Opens root/NAME with the plan, which is then destroyed; NULL: refused, with this sentence in it. */
static void open_run(const char *name, struct plan *plan, const char *refusal)
{
    struct err err = { "" };
    char absolute[PATH_MAX];
    struct run_lock *lock;
    int rc = rundir_open(at(name), plan, absolute, &lock, &err);
    if ((rc == 0) != (refusal == NULL) || (rc != 0 && strstr(err.text, refusal) == NULL))
        fail_msg("%s: %d, \"%s\"", name, rc, err.text);
    lock_release(lock);
    plan_destroy(plan);
}

static void grows_but_stays_itself(void **state)
{
    (void)state;
    open_run("a", tasks(0, 3), NULL);
    assert_true(fs_exists(at("a/plan.json")) && fs_exists(at("a/config.cfg")) && fs_exists(at("a/tasks")));
    assert_false(fs_exists(at("a/data")));
    open_run("a", tasks(0, 3), NULL);
    open_run("a", tasks(2, 9), NULL); /* one in common */
    open_run("a", tasks(20, 22), "holds the campaign \"test\", which shares no task with this one");
    struct plan *other = tasks(2, 9);
    other->campaign.threads = 2;
    open_run("a", other, "was started with threads = 1, not 2");
    open_run("a", tasks(8, 9), NULL); /* what was refused has changed nothing */
}

static void foreign_folders(void **state)
{
    (void)state;
    assert_int_equal(fs_mkdirs(at("b"), NULL), 0);
    put("b/config.cfg", "mine = 1;");
    open_run("b", tasks(0, 1), "is no run directory (it has no plan.json), but is not empty");
    char *text;
    assert_int_equal(fs_read(at("b/config.cfg"), &text, NULL, NULL), 0);
    assert_string_equal(text, "mine = 1;");
    mem_free(text);
    assert_false(fs_exists(at("b/lock")));
}

/* Killed while it began: the same command goes on. */
static void half_made(void **state)
{
    (void)state;
    assert_int_equal(fs_mkdirs(at("c"), NULL), 0);
    put("c/lock", "");
    put("c/plan.json.tmp.123", "{");
    open_run("c", tasks(0, 1), NULL);
    assert_int_equal(fs_mkdirs(at("d"), NULL), 0);
    put("d/plan.json", "garbage");
    open_run("d", tasks(0, 1), NULL);
}

/* Removed while it went on: what was written later is a run's, unless something else is there as well. */
static void removed(void **state)
{
    (void)state;
    assert_int_equal(fs_mkdirs(at("e/logs"), NULL), 0);
    open_run("e", tasks(0, 1), "is no run directory (it has no plan.json), but is not empty");
    put("e/status.json", "{}");
    put("e/notes.txt", "mine");
    open_run("e", tasks(0, 1), "is no run directory (it has no plan.json), but is not empty");
    assert_int_equal(remove(at("e/notes.txt")), 0);
    open_run("e", tasks(0, 1), NULL);
}

int main(void)
{
    const struct CMUnitTest cases[] = { cmocka_unit_test(grows_but_stays_itself), cmocka_unit_test(foreign_folders),
                                        cmocka_unit_test(half_made), cmocka_unit_test(removed) };
    return cmocka_run_group_tests(cases, make_root, remove_root);
}
