/* Making, locking and reading a run directory. */
#include "coord/rundir.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

static const double lock_wait = 5; /* seconds: ranks of a killed launcher die within */
static const double leftover_age = 600; /* seconds: a file that is still being written is younger */

bool rundir_has_result(void *dir, const char *id)
{
    char path[PATH_MAX];
    return task_path(dir, id, ".h5", path, NULL) == 0 && fs_exists(path);
}

/* Results depend on the device and on the threads in their last bits, but a task's
 * identity does not: one directory keeps to what it was started with. */
static int same_arithmetic(const char *dir, const struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    struct plan *before = NULL;
    struct err unreadable;
    if (fs_path(path, sizeof path, err, "%s/plan.json", dir) != 0)
        return -1;
    if (!fs_exists(path) || plan_read(path, &before, &unreadable) != 0)
        return 0; /* new, or broken: it is written anew */
    const struct campaign *was = &before->campaign, *is = &plan->campaign;
    int rc = 0;
    if (was->threads != is->threads)
        rc = err_set(err, "%s was started with threads = %lld, not %lld: keep to it, or take another --out", dir,
                     (long long)was->threads, (long long)is->threads);
    else if (strcmp(was->device, is->device) != 0)
        rc = err_set(err, "%s was started with device = \"%s\", not \"%s\": keep to it, or take another --out", dir,
                     was->device, is->device);
    plan_destroy(before);
    return rc;
}

int rundir_open(const char *dir, const struct plan *plan, char absolute[PATH_MAX], struct run_lock **lock,
                struct err *err)
{
    static const char *const folders[] = { "tasks", "work", "logs", "data" };
    char path[PATH_MAX];
    if (fs_mkdirs(dir, err) != 0)
        return -1;
    if (realpath(dir, absolute) == NULL)
        return err_errno(err, "cannot resolve %s", dir);
    *lock = lock_take(absolute, lock_wait, err);
    if (*lock == NULL)
        return -1;
    if (same_arithmetic(absolute, plan, err) != 0)
        goto failed;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (fs_path(path, sizeof path, err, "%s/%s", absolute, folders[i]) != 0 || fs_mkdirs(path, err) != 0)
            goto failed;
    if (fs_path(path, sizeof path, err, "%s/tasks", absolute) != 0 ||
        fs_remove_temporaries(path, leftover_age, err) != 0 ||
        fs_remove_temporaries(absolute, leftover_age, err) != 0)
        goto failed;
    if (fs_path(path, sizeof path, err, "%s/config.cfg", absolute) != 0 ||
        fs_write_atomic(path, plan->config, strlen(plan->config), err) != 0 ||
        fs_path(path, sizeof path, err, "%s/plan.json", absolute) != 0 || plan_write(plan, path, err) != 0)
        goto failed;
    return 0;
failed:
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
