/* The journal: the only record of what happened, so every line is either on disk
 * and whole or not there. */
#include "plan/journal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

struct journal {
    int fd;
    bool sync;
    char *path;
};

/* Cuts the file behind its last newline; *whole: bytes that stay. */
static int cut_torn_line(int fd, const char *path, struct err *err)
{
    off_t end = lseek(fd, 0, SEEK_END), keep = end;
    char block[4096];
    bool found = false;
    while (keep > 0 && !found) {
        size_t n = keep < (off_t)sizeof block ? (size_t)keep : sizeof block;
        if (pread(fd, block, n, keep - (off_t)n) != (ssize_t)n)
            return err_errno(err, "cannot read %s", path);
        const char *newline = memrchr(block, '\n', n);
        found = newline != NULL;
        keep -= found ? (off_t)(block + n - newline - 1) : (off_t)n;
    }
    if (end < 0 || (keep < end && ftruncate(fd, keep) != 0))
        return err_errno(err, "cannot cut the torn last line of %s", path);
    return 0;
}

struct journal *journal_open(const char *path, struct err *err)
{
    struct journal *j = mem_alloc(1, sizeof *j, err);
    if (j == NULL)
        return NULL;
    j->sync = true;
    j->path = mem_strdup(path, err);
    j->fd = -1;
    if (j->path == NULL || fs_clear_place(path, err) != 0) {
        journal_close(j);
        return NULL;
    }
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (j->fd < 0)
        err_errno(err, "cannot open %s", path);
    if (j->fd < 0 || cut_torn_line(j->fd, path, err) != 0) {
        journal_close(j);
        return NULL;
    }
    return j;
}

void journal_close(struct journal *j)
{
    if (j == NULL)
        return;
    if (j->fd >= 0) {
        if (!j->sync)
            fdatasync(j->fd);
        close(j->fd);
    }
    mem_free(j->path);
    mem_free(j);
}

void journal_set_sync(struct journal *j, bool on)
{
    j->sync = on;
}

int journal_sync(struct journal *j, struct err *err)
{
    return fdatasync(j->fd) != 0 ? err_errno(err, "cannot flush %s", j->path) : 0;
}

/* Takes the event over. */
static int append(struct journal *j, cJSON *event, bool sync, struct err *err)
{
    int rc = -1;
    char *text = NULL, *line = NULL;
    if (event == NULL || (text = cJSON_PrintUnformatted(event)) == NULL) {
        err_set(err, "out of memory");
        goto out;
    }
    line = mem_printf(err, "%s\n", text);
    if (line == NULL)
        goto out;
    off_t before = lseek(j->fd, 0, SEEK_END);
    for (size_t at = 0, n = strlen(line); at < n;) {
        ssize_t w = write(j->fd, line + at, n - at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0) {
            err_errno(err, "cannot write %s", j->path);
            if (before < 0 || ftruncate(j->fd, before) != 0)
                err_prefix(err, "and the line stays torn");
            goto out;
        }
        at += (size_t)w;
    }
    rc = sync && j->sync ? journal_sync(j, err) : 0;
out:
    mem_free(line);
    cJSON_free(text);
    cJSON_Delete(event);
    return rc;
}

static cJSON *event_create(const char *name)
{
    cJSON *o = cJSON_CreateObject();
    if (o != NULL && cJSON_AddNumberToObject(o, "t", clock_wall()) != NULL &&
        cJSON_AddStringToObject(o, "event", name) != NULL)
        return o;
    cJSON_Delete(o);
    return NULL;
}

static cJSON *task_event(const char *name, const struct plan_task *t, bool ended)
{
    cJSON *o = event_create(name);
    if (o != NULL && cJSON_AddStringToObject(o, "id", t->id) != NULL &&
        cJSON_AddNumberToObject(o, "attempt", t->attempts) != NULL &&
        cJSON_AddNumberToObject(o, "rank", t->rank) != NULL &&
        (!ended || cJSON_AddNumberToObject(o, "seconds", t->seconds) != NULL))
        return o;
    cJSON_Delete(o);
    return NULL;
}

static cJSON *with(cJSON *o, cJSON *added)
{
    if (o != NULL && added == NULL) {
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

int journal_run(struct journal *j, int ranks, const char *host, const char *revision, struct err *err)
{
    cJSON *o = event_create("run");
    o = with(o, cJSON_AddNumberToObject(o, "ranks", ranks));
    o = with(o, cJSON_AddStringToObject(o, "host", host));
    o = with(o, cJSON_AddStringToObject(o, "revision", revision));
    return append(j, o, true, err);
}

int journal_start(struct journal *j, const struct plan_task *task, struct err *err)
{
    return append(j, task_event("start", task, false), false, err);
}

int journal_done(struct journal *j, const struct plan_task *task, struct err *err)
{
    cJSON *o = task_event("done", task, true);
    if (task->result[0] != '\0')
        o = with(o, cJSON_AddStringToObject(o, "result", task->result));
    if (task->weights[0] != '\0')
        o = with(o, cJSON_AddStringToObject(o, "weights", task->weights));
    return append(j, o, true, err);
}

int journal_failed(struct journal *j, const struct plan_task *task, const char *host, bool final, struct err *err)
{
    cJSON *o = task_event("failed", task, true);
    o = with(o, cJSON_AddStringToObject(o, "host", host));
    o = with(o, cJSON_AddStringToObject(o, "error", task->error == NULL ? "" : task->error));
    o = with(o, cJSON_AddBoolToObject(o, "final", final));
    return append(j, o, true, err);
}

int journal_stopped(struct journal *j, const struct plan_task *task, const char *why, struct err *err)
{
    cJSON *o = task_event("stopped", task, true);
    o = with(o, cJSON_AddNumberToObject(o, "saved", task->saved));
    if (why != NULL)
        o = with(o, cJSON_AddStringToObject(o, "why", why));
    return append(j, o, true, err);
}

int journal_reopened(struct journal *j, const struct plan_task *task, const char *why, struct err *err)
{
    cJSON *o = event_create("reopened");
    o = with(o, cJSON_AddStringToObject(o, "id", task->id));
    o = with(o, cJSON_AddStringToObject(o, "why", why));
    return append(j, o, true, err);
}

int journal_end(struct journal *j, int done, int failed, int skipped, struct err *err)
{
    cJSON *o = event_create("end");
    o = with(o, cJSON_AddNumberToObject(o, "done", done));
    o = with(o, cJSON_AddNumberToObject(o, "failed", failed));
    o = with(o, cJSON_AddNumberToObject(o, "skipped", skipped));
    return append(j, o, true, err);
}
