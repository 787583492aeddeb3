/* Half-written files have names of their own, so that they do no harm; they take room. */
#include "coord/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

static const double oldest = 600; /* seconds: a file that is still being written is younger, whoever writes it */
static const double quiet = 5;    /* seconds: so long after its last write a file of a dead process is nobody's;
                                     until then another host's process of that number may be at it */

static void sweep(const char *folder, double age)
{
    struct err err;
    if (fs_exists(folder) && fs_remove_temporaries(folder, oldest, fmin(quiet, age), &err) != 0)
        log_warn("%s", err.text);
}

/* A training's checkpoint is days of work, and who has taken its task out of the config may put it back. */
static const double forgotten = 7 * 24 * 3600.0; /* seconds since the folder last changed */

/* May what a task that the plan lacks has saved be removed? A folder without anything may at once. */
static bool is_forgotten(const char *path)
{
    struct stat st;
    return rmdir(path) == 0 || (stat(path, &st) == 0 && fabs(clock_wall() - (double)st.st_mtime) > forgotten);
}

static void sweep_work(const char *dir, struct plan *plan, double age)
{
    char path[PATH_MAX];
    struct err err;
    if (fs_path(path, sizeof path, NULL, "%s/work", dir) != 0)
        return;
    DIR *d = opendir(path);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        int task = plan_index(plan, e->d_name);
        if (e->d_name[0] == '.' || fs_path(path, sizeof path, NULL, "%s/work/%s", dir, e->d_name) != 0)
            continue;
        const bool done = task >= 0 && plan->tasks[task].state == TASK_DONE;
        if (!done && !(task < 0 && is_forgotten(path)))
            sweep(path, age);
        else if (fs_remove_tree(path, &err) != 0)
            log_warn("%s", err.text);
    }
    if (d != NULL)
        closedir(d);
}

void leftovers_remove(const char *dir, struct plan *plan, double age)
{
    static const char *const folders[] = { "", "/tasks", "/encoders" };
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (fs_path(path, sizeof path, NULL, "%s%s", dir, folders[i]) == 0)
            sweep(path, age);
    sweep_work(dir, plan, age);
}
