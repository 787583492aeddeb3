/* Making, locking and reading a run directory. */
#include "coord/rundir.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "coord/change.h"

static const double lock_wait = 5; /* seconds: ranks of a killed launcher die within */

bool rundir_has_result(void *dir, const char *id)
{
    char path[PATH_MAX];
    return task_path(dir, id, ".h5", path, NULL) == 0 && fs_exists(path);
}

/* What a run leaves where its directory was removed while it went on. */
static bool is_remnant(const char *name)
{
    static const char *const names[] = { "status.json", "results.h5", "cuda-choices", "tasks",
                                         "work",        "logs",       "encoders" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* A folder with files but without plan.json is somebody else's. A run that was
 * killed while it began has left its lock and temporary files at most: plan.json is
 * the first that is written. A journal says that it is a run directory whose plan.json was
 * lost, and so does status.json where all else is a run's, too. */
static int check_foreign(const char *dir, struct err *err)
{
    char journal[PATH_MAX];
    if (fs_path(journal, sizeof journal, err, "%s/journal.jsonl", dir) != 0)
        return -1;
    if (fs_exists(journal))
        return 0;
    DIR *d = opendir(dir);
    if (d == NULL)
        return err_errno(err, "cannot open %s", dir);
    bool status = false, remnant = false, foreign = false;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || lock_is_file(e->d_name) || fs_is_temporary(e->d_name))
            continue;
        status |= strcmp(e->d_name, "status.json") == 0;
        remnant |= is_remnant(e->d_name);
        foreign |= !is_remnant(e->d_name);
    }
    closedir(d);
    if (foreign || (remnant && !status))
        return err_set(err, "%s is no run directory (it has no plan.json), but is not empty: take another --out", dir);
    return 0;
}

static bool share_task(struct plan *before, const struct plan *plan)
{
    for (int i = 0; i < plan->n_tasks; i++)
        if (plan_index(before, plan->tasks[i].id) >= 0)
            return true;
    return false;
}

/* One directory keeps to one campaign, which may grow and change in part; and, since
 * results depend on the device and on the threads in their last bits, but a task's
 * identity does not, to what it was started with. `former`: the plan that is there, or
 * NULL; plan_destroy. */
static int check_before(const char *dir, const struct plan *plan, struct plan **former, struct err *err)
{
    char path[PATH_MAX];
    struct plan *before = NULL;
    *former = NULL;
    struct err unreadable;
    if (fs_path(path, sizeof path, err, "%s/plan.json", dir) != 0)
        return -1;
    if (!fs_exists(path))
        return check_foreign(dir, err);
    if (plan_read(path, &before, &unreadable) != 0)
        return 0; /* broken: it is written anew */
    const struct campaign *was = &before->campaign, *is = &plan->campaign;
    int rc = 0;
    if (!share_task(before, plan))
        rc = err_set(err, "%s holds the campaign \"%s\", which shares no task with this one: take another --out", dir,
                     was->name);
    else if (was->threads != is->threads)
        rc = err_set(err, "%s was started with threads = %lld, not %lld: keep to it, or take another --out", dir,
                     (long long)was->threads, (long long)is->threads);
    else if (strcmp(was->device, "auto") != 0 && strcmp(was->device, is->device) != 0)
        rc = err_set(err, "%s was started with device = \"%s\", not \"%s\": keep to it, or take another --out", dir,
                     was->device, is->device);
    if (rc == 0)
        *former = before;
    else
        plan_destroy(before);
    return rc;
}

/* In the order that check_foreign relies on. */
static int write_all(const char *dir, const struct plan *plan, struct err *err)
{
    static const char *const folders[] = { "tasks", "work", "logs" };
    char path[PATH_MAX];
    if (fs_path(path, sizeof path, err, "%s/plan.json", dir) != 0 || fs_clear_place(path, err) != 0 ||
        plan_write(plan, path, err) != 0 || fs_path(path, sizeof path, err, "%s/config.cfg", dir) != 0 ||
        fs_clear_place(path, err) != 0 || fs_write_atomic(path, plan->config, strlen(plan->config), err) != 0)
        return -1;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (fs_path(path, sizeof path, err, "%s/%s", dir, folders[i]) != 0 || fs_mkdirs(path, err) != 0)
            return -1;
    return 0;
}

int rundir_open(const char *dir, struct plan *plan, char absolute[PATH_MAX], struct run_lock **lock, struct err *err)
{
    struct plan *before;
    *lock = NULL;
    if (fs_mkdirs(dir, err) != 0)
        return -1;
    if (realpath(dir, absolute) == NULL)
        return err_errno(err, "cannot resolve %s", dir);
    /* before the lock, which is a file, and again in case that another run began meanwhile */
    if (check_before(absolute, plan, &before, err) != 0)
        return -1;
    plan_destroy(before);
    *lock = lock_take(absolute, lock_wait, err);
    if (*lock == NULL)
        return -1;
    int rc = check_before(absolute, plan, &before, err);
    if (rc == 0 && before != NULL)
        rc = change_note(absolute, before, plan, err);
    plan_destroy(before);
    if (rc == 0 && write_all(absolute, plan, err) == 0)
        return 0;
    lock_release(*lock);
    *lock = NULL;
    return -1;
}

int rundir_read(const char *dir, struct plan **plan, struct journal_summary *summary, struct err *err)
{
    char path[PATH_MAX];
    *plan = NULL;
    if (fs_path(path, sizeof path, err, "%s/plan.json", dir) != 0)
        return -1;
    if (!fs_exists(path))
        return err_set(err, "%s is not a run directory: it has no plan.json", dir);
    if (plan_read(path, plan, err) != 0)
        return -1;
    if (fs_path(path, sizeof path, err, "%s/journal.jsonl", dir) != 0 ||
        journal_replay(path, *plan, rundir_has_result, (void *)dir, summary, err) != 0) {
        plan_destroy(*plan);
        *plan = NULL;
        return -1;
    }
    return 0;
}
