/* Half-written files have names of their own, so that they do no harm; they take room. */
#include "coord/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

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
        if (task >= 0 && plan->tasks[task].state != TASK_DONE)
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
