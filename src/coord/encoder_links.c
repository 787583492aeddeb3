/* Weights lie under ids, since names may change while a result stays. People look for
 * names. */
#include "coord/encoder_links.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "conf/json.h"

static const char up[] = "../tasks/";

int encoder_link_name(const struct plan_task *task, char *out, size_t size, struct err *err)
{
    enum { LONGEST = 200, SHORT_ID = 8 }; /* file systems take 255 bytes */
    char safe[LONGEST + 1];
    const char *name = json_text(task->labels, "name", "");
    bool same = name[0] != '\0';
    size_t n = 0;
    for (; name[n] != '\0' && n < LONGEST; n++) {
        bool good = (unsigned char)name[n] >= ' ' && name[n] != '/' && name[n] != 0x7f && (n > 0 || name[n] != '.');
        safe[n] = (char)(good ? name[n] : '_');
        same &= good;
    }
    same &= name[n] == '\0';
    while (name[n] != '\0' && n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80)
        n--; /* no half of a character */
    safe[n] = '\0';
    return fs_path(out, size, err, "%s%s%.*s.safetensors", safe, same ? "" : "-", same ? 0 : SHORT_ID, task->id);
}

/* Is `path` a link of ours? 1; 0: nothing is there; -1: something else is. */
static int is_ours(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return errno == ENOENT ? 0 : -1;
    target[n] = '\0';
    return strncmp(target, up, sizeof up - 1) == 0 ? 1 : -1;
}

int encoder_link(const char *dir, const struct plan_task *task, struct err *err)
{
    char weights[PATH_MAX], folder[PATH_MAX], name[NAME_MAX + 1], path[PATH_MAX], target[PATH_MAX], tmp[PATH_MAX];
    if (task_path(dir, task->id, ".safetensors", weights, err) != 0)
        return -1;
    if (!fs_exists(weights))
        return 0;
    if (encoder_link_name(task, name, sizeof name, err) != 0 ||
        fs_path(folder, sizeof folder, err, "%s/encoders", dir) != 0 || fs_mkdirs(folder, err) != 0 ||
        fs_path(path, sizeof path, err, "%s/%s", folder, name) != 0 || fs_temporary(path, tmp, sizeof tmp, err) != 0 ||
        fs_path(target, sizeof target, err, "%s%s.safetensors", up, task->id) != 0)
        return -1;
    if (is_ours(path) < 0)
        return err_set(err, "%s is in the way of a link to tasks/%s.safetensors", path, task->id);
    unlink(tmp);
    if (symlink(target, tmp) != 0 || rename(tmp, path) != 0) {
        err_errno(err, "cannot link %s", path);
        unlink(tmp);
        return -1;
    }
    return 0;
}

static bool is_wanted(const struct plan *plan, const char *name)
{
    char wanted[NAME_MAX + 1];
    for (int i = 0; i < plan->n_tasks; i++)
        if (plan->tasks[i].state == TASK_DONE && encoder_link_name(&plan->tasks[i], wanted, sizeof wanted, NULL) == 0 &&
            strcmp(wanted, name) == 0)
            return true;
    return false;
}

/* Those of encoders that the plan has no more, or that are to be made again. */
static int remove_stale(const char *folder, const struct plan *plan, struct err *err)
{
    char path[PATH_MAX];
    DIR *d = opendir(folder);
    if (d == NULL)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", folder);
    int rc = 0;
    for (const struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        rc = fs_path(path, sizeof path, err, "%s/%s", folder, e->d_name);
        if (rc == 0 && is_ours(path) == 1 && !is_wanted(plan, e->d_name) && unlink(path) != 0)
            rc = err_errno(err, "cannot remove %s", path);
    }
    closedir(d);
    return rc;
}

int encoder_links_renew(const char *dir, const struct plan *plan, struct err *err)
{
    char folder[PATH_MAX];
    if (fs_path(folder, sizeof folder, err, "%s/encoders", dir) != 0 || remove_stale(folder, plan, err) != 0)
        return -1;
    for (int i = 0; i < plan->n_tasks; i++)
        if (plan->tasks[i].state == TASK_DONE && encoder_link(dir, &plan->tasks[i], err) != 0)
            return -1;
    return 0;
}
