/* coord: what a run directory may be, and what it keeps to. */
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
#include "coord/change.h"
#include "coord/outline.h"
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

/* Each of them may have been written after the directory was removed. */
static void remnants(void **state)
{
    static const char *const names[] = { "results.h5",  "cuda-choices", "tasks",     "work",    "logs",   "encoders",
                                         "status.json", "lock",         "lock.held", "x.tmp.5", ".hidden" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int status = 0; status < 2; status++) {
            char name[64];
            assert_int_equal(fs_remove_tree(at("f"), NULL), 0);
            assert_int_equal(fs_mkdirs(at("f"), NULL), 0);
            snprintf(name, sizeof name, "f/%s", names[i]);
            put(name, "");
            if (status)
                put("f/status.json", "{}");
            if (i >= 2 && i <= 5) { /* folders */
                assert_int_equal(remove(at(name)), 0);
                assert_int_equal(fs_mkdirs(at(name), NULL), 0);
            }
            open_run("f", tasks(0, 1), status || i >= 6 ? NULL : "is no run directory (it has no plan.json)");
        }
    assert_int_equal(fs_remove_tree(at("f"), NULL), 0); /* the journal says whose it is */
    assert_int_equal(fs_mkdirs(at("f"), NULL), 0);
    put("f/journal.jsonl", "");
    put("f/anything", "");
    open_run("f", tasks(0, 1), NULL);
}

static struct plan *on(const char *device, int threads)
{
    struct plan *plan = tasks(0, 1);
    snprintf(plan->campaign.device, sizeof plan->campaign.device, "%s", device);
    plan->campaign.threads = threads;
    return plan;
}

static void keeps_to_its_device(void **state)
{
    (void)state;
    open_run("g", on("auto", 1), NULL);
    open_run("g", on("cpu", 1), NULL); /* then it is known */
    open_run("g", on("ref", 1), "was started with device = \"cpu\", not \"ref\"");
    open_run("g", on("cpu", 2), "was started with threads = 1, not 2");
    open_run("g", on("cpu", 1), NULL);
}

/* What the journal knows where the plan was lost. */
static void outlines(void **state)
{
    (void)state;
    struct err err;
    struct plan *plan;
    assert_int_equal(fs_mkdirs(at("h"), NULL), 0);
    assert_int_equal(outline_read(at("h"), &plan, &err), -1);
    put("h/journal.jsonl",
        "{\"id\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2\"}\n{\"event\":\"run\"}\n"
        "{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1\"}\nnoise\n{\"id\":\"short\"}\n"
        "{\"id\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2\"}\n{\"id\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2\"}\n"
        "{\"id\":\"ccccccccccccccccccccccccccccccc33\"}\n{\"id\":\"ddddddddddddddddddddddddddddddd4\"}");
    assert_int_equal(outline_read(at("h"), &plan, &err), 0);
    assert_int_equal(plan->n_tasks, 2);
    assert_string_equal(plan->tasks[0].id, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1");
    assert_string_equal(plan->tasks[1].id, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2");
    assert_string_equal(plan->tasks[1].name, "bbbbbbbbbbbb");
    assert_string_equal(plan->tasks[1].kind->name, "unknown");
    assert_true(plan->tasks[1].cost == 1 && plan->tasks[1].state == TASK_WAITING);
    plan_destroy(plan);
    put("h/journal.jsonl", "");
    assert_int_equal(outline_read(at("h"), &plan, &err), 0);
    assert_int_equal(plan->n_tasks, 0);
    plan_destroy(plan);
}

static char *changed(struct plan *before, struct plan *plan)
{
    struct err err = { "" };
    static char text[4096];
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    int rc = change_note(at("i"), before, plan, &err);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    plan_destroy(before);
    plan_destroy(plan);
    assert_int_equal(rc, 0);
    return text;
}

/* How many are new, gone and kept, and the first names; what was collected stays beside the new. */
static void changes(void **state)
{
    (void)state;
    assert_int_equal(fs_mkdirs(at("i"), NULL), 0);
    put("i/results.h5", "old");
    assert_string_equal(changed(tasks(0, 3), tasks(0, 3)), "");
    const char *text = changed(tasks(0, 3), tasks(1, 6));
    assert_non_null(
        strstr(text, "the config has changed: 3 tasks are new (mock:2, mock:3, mock:4), 1 gone (mock:0), 2 kept\n"));
    assert_true(fs_exists(at("i/results.h5"))); /* nobody knows of what config they are */
    text = changed(tasks(0, 6), tasks(1, 2));
    assert_non_null(
        strstr(text, "the config has changed: 0 tasks are new, 5 gone (mock:0, mock:2, mock:3, ...), 1 kept\n"));
    struct plan *before = tasks(0, 1);
    snprintf(before->config_hash, sizeof before->config_hash, "0123456789abcdef0123456789abcdef");
    text = changed(before, tasks(0, 2));
    assert_non_null(strstr(text, "the config has changed: 1 task is new (mock:1), 0 gone, 1 kept\n"));
    assert_non_null(strstr(text, "the results so far are kept as results-0123456789ab.h5\n"));
    assert_true(fs_exists(at("i/results-0123456789ab.h5")) && !fs_exists(at("i/results.h5")));
    before = tasks(0, 1);
    snprintf(before->config_hash, sizeof before->config_hash, "0123456789abcdef0123456789abcdef");
    assert_null(strstr(changed(before, tasks(0, 2)), "are kept as")); /* there are none now */
}

int main(void)
{
    const struct CMUnitTest cases[] = { cmocka_unit_test(grows_but_stays_itself),
                                        cmocka_unit_test(foreign_folders),
                                        cmocka_unit_test(half_made),
                                        cmocka_unit_test(removed),
                                        cmocka_unit_test(remnants),
                                        cmocka_unit_test(keeps_to_its_device),
                                        cmocka_unit_test(outlines),
                                        cmocka_unit_test(changes) };
    return cmocka_run_group_tests(cases, make_root, remove_root);
}
