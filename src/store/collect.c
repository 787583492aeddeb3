/* results.h5 is what people open, at any moment of a run. It is never edited:
 * each time it is built anew from the finished tasks' files and renamed into
 * place. Tables are copied, arrays are linked. */
#include "store/collect.h"

#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/frame.h"
#include "store/h5.h"

struct collector {
    hid_t out;
    char folder[PATH_MAX]; /* of the file being written, absolute */
    const struct collect_task *tasks;
    const struct collect_watch *watch;
    bool *first_victim; /* per task: is its victim the first that its encoder was held against? */
    char **devices;     /* per task: as its file says; NULL: no file, or none said */
    struct frames *frames;
    bool pack;
    /* the task being taken in */
    const struct collect_task *task;
    hid_t file;
    char link[PATH_MAX]; /* its file, relative to folder */
    char loglik[1024];   /* its group under /loglik, "" until needed */
    struct err *err;
};

static void now_at(const struct collector *c, int task)
{
    if (c->watch != NULL)
        c->watch->at(c->watch->arg, task);
}

static const char *label(const struct collect_task *t, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(t->labels, name));
}

/* The encoder that a task is about: it makes it ("name") or uses it ("encoder"). */
static const char *encoder_label(const struct collect_task *t)
{
    const char *encoder = label(t, "encoder");
    return encoder != NULL ? encoder : label(t, "name");
}

/* ---- victims ---- */

struct pair {
    const char *encoder, *victim;
    int task;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = strcmp(x->encoder, y->encoder);
    return c != 0 ? c : x->task - y->task;
}

/* Decided from all tasks, done or not, so that paths stay what they are while a run goes on. */
static int find_first_victims(struct collector *c, int n, struct err *err)
{
    struct pair *pairs = mem_alloc((size_t)n, sizeof *pairs, err);
    c->first_victim = mem_alloc((size_t)n, sizeof *c->first_victim, err);
    if (pairs == NULL || c->first_victim == NULL) {
        mem_free(pairs);
        return -1;
    }
    size_t m = 0;
    for (int i = 0; i < n; i++) {
        const char *encoder = label(&c->tasks[i], "encoder"), *victim = label(&c->tasks[i], "victim");
        if (encoder != NULL && victim != NULL)
            pairs[m++] = (struct pair){ encoder, victim, i };
        else
            c->first_victim[i] = true;
    }
    qsort(pairs, m, sizeof *pairs, compare_pairs);
    const char *first = NULL;
    for (size_t i = 0; i < m; i++) {
        if (i == 0 || strcmp(pairs[i].encoder, pairs[i - 1].encoder) != 0)
            first = pairs[i].victim;
        c->first_victim[pairs[i].task] = strcmp(pairs[i].victim, first) == 0;
    }
    mem_free(pairs);
    return 0;
}

/* ---- links ---- */

/* One component of an HDF5 path. */
static void component(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s", name);
    for (char *p = out; *p != '\0'; p++)
        if (*p == '/')
            *p = '_';
    if (out[0] == '\0' || strcmp(out, ".") == 0)
        snprintf(out, size, "_");
}

static bool link_exists(hid_t file, const char *path)
{
    char part[PATH_MAX];
    for (const char *p = path + 1; p != NULL;) {
        p = strchr(p, '/');
        snprintf(part, sizeof part, "%.*s", p == NULL ? INT_MAX : (int)(p - path), path);
        if (H5Lexists(file, part, H5P_DEFAULT) <= 0)
            return false;
        if (p != NULL)
            p++;
    }
    return true;
}

static hid_t creating_groups(void)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_char_encoding(links, H5T_CSET_UTF8);
    return links;
}

/* /loglik/ENCODER; @VICTIM for its second victim and later; #2 where the same pair was tested with other options. */
static int loglik_group(struct collector *c, struct err *err)
{
    char encoder[256], victim[256];
    component(encoder, sizeof encoder, encoder_label(c->task));
    component(victim, sizeof victim, label(c->task, "victim") == NULL ? "" : label(c->task, "victim"));
    bool first = c->first_victim[c->task - c->tasks];
    for (int k = 1;; k++) {
        char count[16] = "";
        if (k > 1)
            snprintf(count, sizeof count, "#%d", k);
        if (fs_path(c->loglik, sizeof c->loglik, err, "/loglik/%s%s%s%s", encoder, first ? "" : "@",
                    first ? "" : victim, count) != 0)
            return -1;
        if (!link_exists(c->out, c->loglik))
            break;
    }
    hid_t links = creating_groups(), group = H5Gcreate2(c->out, c->loglik, links, H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(links);
    if (group < 0)
        return h5_fail(err, "cannot create %s", c->loglik);
    int rc = h5_put_object(group, c->task->labels, err);
    H5Gclose(group);
    return rc;
}

/* Where an array of a task's file goes: 1 and `out`; 0: it stays in the file; -1. */
static int destination(struct collector *c, const char *name, char *out, size_t size, struct err *err)
{
    static const char *const roots[] = { "curves", "loglik", "representations" };
    enum { CURVES, LOGLIK, REPRESENTATIONS, NONE } root;
    const char *rest = NULL;
    for (root = CURVES; root < NONE; root++) {
        size_t n = strlen(roots[root]);
        if (strncmp(name, roots[root], n) == 0 && (name[n] == '/' || name[n] == '\0')) {
            rest = name + n;
            break;
        }
    }
    if (root == NONE)
        return 0;
    char encoder[256], set[256];
    if (encoder_label(c->task) == NULL || (root == REPRESENTATIONS && label(c->task, "set") == NULL)) {
        now_at(c, -1);
        return err_set(err, "its labels do not say which %s /%s belongs to",
                       encoder_label(c->task) == NULL ? "encoder" : "set", name);
    }
    component(encoder, sizeof encoder, encoder_label(c->task));
    int rc;
    if (root == CURVES) {
        rc = fs_path(out, size, err, "/curves/%s%s", encoder, rest);
    } else if (root == REPRESENTATIONS) {
        component(set, sizeof set, label(c->task, "set"));
        rc = fs_path(out, size, err, "/representations/%s/%s%s", encoder, set, rest);
    } else {
        if (c->loglik[0] == '\0' && loglik_group(c, err) != 0)
            return -1;
        rc = fs_path(out, size, err, "%s%s", c->loglik, rest);
    }
    return rc == 0 ? 1 : -1;
}

static int place_array(struct collector *c, const char *name, const char *to, struct err *err)
{
    if (link_exists(c->out, to)) {
        now_at(c, -1);
        return err_set(err, "%s is taken by another task's array", to);
    }
    hid_t links = creating_groups();
    int rc = 0;
    if (c->pack && H5Ocopy(c->file, name, c->out, to, H5P_DEFAULT, links) < 0)
        rc = h5_fail(err, "cannot copy /%s to %s", name, to);
    else if (!c->pack && H5Lcreate_external(c->link, name, c->out, to, links, H5P_DEFAULT) < 0)
        rc = h5_fail(err, "cannot link %s", to);
    H5Pclose(links);
    return rc;
}

/* `path` as seen from the absolute folder `from`; both resolved. */
static int relative_path(const char *from, const char *path, char *out, size_t size, struct err *err)
{
    char full[PATH_MAX];
    if (realpath(path, full) == NULL)
        return err_errno(err, "cannot open %s", path);
    size_t common = 0, i = 0;
    for (; from[i] != '\0' && from[i] == full[i]; i++)
        if (from[i] == '/')
            common = i + 1;
    if (from[i] == '\0' && full[i] == '/')
        common = i + 1;
    char up[PATH_MAX] = "";
    size_t at = 0;
    if (common <= strlen(from) && strcmp(from, "/") != 0)
        for (const char *p = from + common - 1; p != NULL && at + 4 < sizeof up; p = strchr(p + 1, '/'))
            at += (size_t)snprintf(up + at, sizeof up - at, "../");
    return fs_path(out, size, err, "%s%s", up, full + common);
}

/* ---- taking in ---- */

static herr_t take_object(hid_t file, const char *name, const H5O_info_t *info, void *arg)
{
    struct collector *c = arg;
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    char to[PATH_MAX];
    int linked = destination(c, name, to, sizeof to, c->err);
    if (linked < 0)
        return -1;
    if (linked == 1)
        return place_array(c, name, to, c->err);
    hid_t d = H5Dopen2(file, name, H5P_DEFAULT);
    if (d < 0)
        return h5_fail(c->err, "cannot read /%s", name);
    hid_t type = H5Dget_type(d);
    int rc = 0;
    if (H5Tget_class(type) == H5T_COMPOUND) {
        char path[PATH_MAX];
        rc = fs_path(path, sizeof path, c->err, "/%s", name);
        if (rc == 0)
            rc = frames_add(c->frames, path, d, c->task->labels, c->err);
    }
    H5Tclose(type);
    H5Dclose(d);
    return rc;
}

static int take_task(struct collector *c, const struct collect_task *t, struct err *err)
{
    c->task = t;
    c->err = err;
    c->loglik[0] = '\0';
    now_at(c, (int)(t - c->tasks));
    if (relative_path(c->folder, t->file, c->link, sizeof c->link, err) != 0)
        return -1;
    c->file = h5_open(t->file, err);
    if (c->file < 0)
        return -1;
    c->devices[t - c->tasks] = h5_get_string(c->file, "device", 0, err);
    err->text[0] = '\0';
    int rc = h5_check_task(c->file, t->file, t->id, true, err);
    if (rc == 0 && H5Ovisit2(c->file, H5_INDEX_NAME, H5_ITER_INC, take_object, c, H5O_INFO_BASIC) < 0)
        rc = err->text[0] != '\0' ? err_prefix(err, "%s", t->file) : h5_fail(err, "cannot read %s", t->file);
    H5Fclose(c->file);
    if (rc == 0)
        now_at(c, -1);
    return rc;
}

/* ---- /tasks ---- */

struct task_row {
    const char *id, *kind, *name, *state, *device, *error;
    int64_t attempt, rank;
    double start, seconds;
};

static const struct column task_columns[] = {
    { "id", COLUMN_STRING, offsetof(struct task_row, id), NULL, "hash of what the task computes" },
    { "kind", COLUMN_STRING, offsetof(struct task_row, kind), NULL, "kind of task" },
    { "name", COLUMN_STRING, offsetof(struct task_row, name), NULL, "name for people" },
    { "state", COLUMN_STRING, offsetof(struct task_row, state), NULL,
      "waiting, ready, running, done, failed or skipped" },
    { "attempt", COLUMN_INT, offsetof(struct task_row, attempt), NULL, "attempts so far" },
    { "rank", COLUMN_INT, offsetof(struct task_row, rank), NULL, "rank that ran it last; -1: none" },
    { "device", COLUMN_STRING, offsetof(struct task_row, device), NULL,
      "device that it ran on; of an unfinished task the one asked for" },
    { "start", COLUMN_FLOAT, offsetof(struct task_row, start), "s", "start of the last attempt since 1970-01-01 UTC" },
    { "seconds", COLUMN_FLOAT, offsetof(struct task_row, seconds), "s", "duration of the last attempt" },
    { "error", COLUMN_STRING, offsetof(struct task_row, error), NULL, "last failure" },
    { NULL, COLUMN_INT, 0, NULL, NULL },
};

static int write_tasks(const struct collector *c, int n, struct err *err)
{
    struct task_row *rows = mem_alloc((size_t)n, sizeof *rows, err);
    if (rows == NULL)
        return -1;
    for (int i = 0; i < n; i++) {
        const struct collect_task *t = &c->tasks[i];
        const char *device = c->devices[i] != NULL ? c->devices[i] : t->device;
        rows[i] = (struct task_row){
            t->id,      t->kind, t->name,  t->state,  device == NULL ? "" : device, t->error == NULL ? "" : t->error,
            t->attempt, t->rank, t->start, t->seconds
        };
    }
    int rc = h5_write_table(c->out, "/tasks", "the campaign's tasks", task_columns, rows, sizeof *rows, (size_t)n, err);
    mem_free(rows);
    return rc;
}

int collect_write(const char *tmp, const char *out, const struct collect_task *tasks, int n, const cJSON *root,
                  bool pack, const struct collect_watch *watch, struct err *err)
{
    int rc = -1;
    struct err local;
    char folder[PATH_MAX];
    struct collector c = { .out = -1, .tasks = tasks, .watch = watch, .pack = pack };
    if (err == NULL)
        err = &local;
    if (fs_path(folder, sizeof folder, err, "%s", out) != 0)
        return -1;
    if (realpath(dirname(folder), c.folder) == NULL)
        return err_errno(err, "cannot write %s", out);
    c.frames = frames_create(err);
    c.devices = mem_alloc((size_t)n, sizeof *c.devices, err);
    if (c.frames == NULL || c.devices == NULL || find_first_victims(&c, n, err) != 0)
        goto out;
    c.out = h5_create(tmp, err);
    if (c.out < 0 || h5_put_object(c.out, root, err) != 0)
        goto out;
    for (int i = 0; i < n; i++)
        if (tasks[i].file != NULL && take_task(&c, &tasks[i], err) != 0) {
            err_prefix(err, "task %s", tasks[i].name);
            goto out;
        }
    if (write_tasks(&c, n, err) != 0 || frames_write(c.frames, c.out, err) != 0)
        goto out;
    herr_t closed = H5Fclose(c.out);
    c.out = -1;
    rc = closed < 0 ? h5_fail(err, "cannot write %s", tmp) : 0;
out:
    if (c.out >= 0)
        H5Fclose(c.out);
    if (rc != 0)
        unlink(tmp);
    frames_destroy(c.frames);
    mem_free(c.first_victim);
    for (int i = 0; c.devices != NULL && i < n; i++)
        mem_free(c.devices[i]);
    mem_free(c.devices);
    return rc;
}
