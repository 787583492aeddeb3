/* Making, locking and reading a run directory. */
#include "coord/rundir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop.h"

static const double lock_wait = 5;      /* seconds: ranks of a killed launcher die within */
static const double leftover_age = 600; /* seconds: a file that a living process still writes is younger */

bool rundir_has_result(void *dir, const char *id)
{
    char path[PATH_MAX];
    return task_path(dir, id, ".h5", path, NULL) == 0 && fs_exists(path);
}

/* A folder with files but without plan.json is somebody else's. A run that was
 * killed while it began has left its lock and temporary files at most: plan.json is
 * the first that is written. A journal says that it is a run directory whose plan.json was lost. */
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
    int rc = 0;
    for (const struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && !lock_is_file(e->d_name) && !fs_is_temporary(e->d_name))
            rc =
                err_set(err, "%s is no run directory (it has no plan.json), but is not empty: take another --out", dir);
    closedir(d);
    return rc;
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
 * identity does not, to what it was started with. */
static int check_before(const char *dir, const struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    struct plan *before = NULL;
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
    plan_destroy(before);
    return rc;
}

/* A whole file, also where a folder is in its place: that is set aside. */
static int write_file(const char *dir, const char *name, const struct plan *plan, struct err *err)
{
    char path[PATH_MAX], aside[PATH_MAX];
    struct stat st;
    if (fs_path(path, sizeof path, err, "%s/%s", dir, name) != 0)
        return -1;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (fs_path(aside, sizeof aside, err, "%s.damaged", path) != 0 || fs_remove_tree(aside, err) != 0)
            return -1;
        log_warn("%s is a folder and becomes %s", path, aside);
        if (rename(path, aside) != 0)
            return err_errno(err, "cannot rename %s", path);
    }
    return strcmp(name, "plan.json") == 0 ? plan_write(plan, path, err)
                                          : fs_write_atomic(path, plan->config, strlen(plan->config), err);
}

/* In the order that check_foreign relies on. */
static int write_all(const char *dir, const struct plan *plan, struct err *err)
{
    static const char *const folders[] = { "tasks", "work", "logs" };
    char path[PATH_MAX];
    if (write_file(dir, "plan.json", plan, err) != 0 || write_file(dir, "config.cfg", plan, err) != 0)
        return -1;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (fs_path(path, sizeof path, err, "%s/%s", dir, folders[i]) != 0 || fs_mkdirs(path, err) != 0)
            return -1;
    return fs_path(path, sizeof path, err, "%s/tasks", dir) != 0 ||
                   fs_remove_temporaries(path, leftover_age, err) != 0 ||
                   fs_remove_temporaries(dir, leftover_age, err) != 0
               ? -1
               : 0;
}

int rundir_open(const char *dir, const struct plan *plan, char absolute[PATH_MAX], struct run_lock **lock,
                struct err *err)
{
    *lock = NULL;
    if (fs_mkdirs(dir, err) != 0)
        return -1;
    if (realpath(dir, absolute) == NULL)
        return err_errno(err, "cannot resolve %s", dir);
    /* before the lock, which is a file, and again in case that another run began meanwhile */
    if (check_before(absolute, plan, err) != 0)
        return -1;
    *lock = lock_take(absolute, lock_wait, err);
    if (*lock == NULL)
        return -1;
    if (check_before(absolute, plan, err) == 0 && write_all(absolute, plan, err) == 0)
        return 0;
    lock_release(*lock);
    *lock = NULL;
    return -1;
}

void rundir_tidy(const char *dir)
{
    char path[PATH_MAX];
    fs_remove_temporaries(dir, leftover_age, NULL);
    if (fs_path(path, sizeof path, NULL, "%s/tasks", dir) == 0)
        fs_remove_temporaries(path, leftover_age, NULL);
    DIR *d = fs_path(path, sizeof path, NULL, "%s/work", dir) == 0 ? opendir(path) : NULL;
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR); /* one with files refuses */
    if (d != NULL)
        closedir(d);
}

/* The file's digest; "" if there is none of this name. */
static int digest_file(const char *dir, const char *id, const char *suffix, char hex[HASH_HEX], struct err *err)
{
    char path[PATH_MAX];
    hex[0] = '\0';
    if (task_path(dir, id, suffix, path, err) != 0)
        return -1;
    return fs_exists(path) ? hash_file(path, hex, err) : 0;
}

int rundir_digest(const char *dir, struct plan_task *task, struct err *err)
{
    return digest_file(dir, task->id, ".h5", task->result, err) != 0 ||
                   digest_file(dir, task->id, ".safetensors", task->weights, err) != 0
               ? -1
               : 0;
}

static int remove_results(const char *dir, const char *id, struct err *err)
{
    static const char *const suffixes[] = { ".h5", ".safetensors" };
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (task_path(dir, id, suffixes[i], path, err) != 0 || fs_remove_tree(path, err) != 0)
            return -1;
    return 0;
}

int rundir_verify(const char *dir, struct plan *plan, struct err *err)
{
    for (int i = 0; i < plan->n_tasks && !stop_requested(); i++) {
        struct plan_task *t = &plan->tasks[i], found = { 0 };
        bool lost = t->state != TASK_DONE && t->result[0] != '\0';
        if (t->state != TASK_DONE && !lost)
            continue;
        struct err why = { .text = "" };
        snprintf(found.id, sizeof found.id, "%s", t->id);
        bool readable = rundir_digest(dir, &found, &why) == 0 && found.result[0] != '\0';
        if (readable && t->result[0] == '\0') {
            memcpy(t->result, found.result, sizeof t->result);
            memcpy(t->weights, found.weights, sizeof t->weights);
        }
        if (readable && !lost && strcmp(t->result, found.result) == 0 && strcmp(t->weights, found.weights) == 0)
            continue;
        log_warn("the files of %s (tasks/%s) are damaged, missing or another task's: it is done again", t->name, t->id);
        if (remove_results(dir, t->id, err) != 0)
            return -1;
        t->state = TASK_WAITING;
        t->attempts = 0;
        t->result[0] = t->weights[0] = '\0';
    }
    return 0;
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
