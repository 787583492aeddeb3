/* Digests are the journal's; the files may change behind its back, before a run and during it. */
#include "coord/contents.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "coord/failure.h"
#include "tasks/files.h"

enum { REOPENED_MAX = 2 };

int contents_init(struct contents *c, const char *dir, struct plan *plan, struct journal *journal, struct err *err)
{
    *c = (struct contents){ .dir = dir, .plan = plan, .journal = journal };
    c->reopened = mem_alloc((size_t)plan->n_tasks, sizeof *c->reopened, err);
    c->distrusted = mem_alloc((size_t)plan->n_tasks, sizeof *c->distrusted, err);
    return c->reopened == NULL || c->distrusted == NULL ? -1 : 0;
}

void contents_fini(struct contents *c)
{
    mem_free(c->reopened);
    mem_free(c->distrusted);
    *c = (struct contents){ .dir = NULL };
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

static int digest_files(const char *dir, const char *id, char result[HASH_HEX], char weights[HASH_HEX], struct err *err)
{
    return digest_file(dir, id, ".h5", result, err) != 0 ? -1 : digest_file(dir, id, ".safetensors", weights, err);
}

int contents_digest(const char *dir, struct plan_task *task, struct err *err)
{
    if (digest_files(dir, task->id, task->result, task->weights, err) != 0)
        return -1;
    return task->result[0] != '\0' ? 0 : err_set(err, "tasks/%s.h5 is gone", task->id);
}

/* What is wrong with the files of a task that has digests: 1 and a few words; 0: nothing; -1: they cannot be read. */
static int compare(const struct contents *c, const struct plan_task *t, char *why, size_t size, struct err *err)
{
    char result[HASH_HEX], weights[HASH_HEX];
    if (digest_files(c->dir, t->id, result, weights, err) != 0)
        return -1;
    const char *suffix = strcmp(result, t->result) != 0 ? ".h5" : ".safetensors";
    if ((suffix[1] == 'h' ? result : weights)[0] == '\0')
        snprintf(why, size, "tasks/%s%s is missing", t->id, suffix);
    else
        snprintf(why, size, "tasks/%s%s is damaged or another task's", t->id, suffix);
    return strcmp(result, t->result) != 0 || strcmp(weights, t->weights) != 0;
}

static bool is_there(const struct contents *c, const char *id, const char *suffix)
{
    char path[PATH_MAX];
    return task_path(c->dir, id, suffix, path, NULL) == 0 && fs_exists(path);
}

/* Files aside, a line in the journal and one for people. The state is the caller's. */
static int reopen(struct contents *c, int task, const char *why, struct err *err)
{
    struct plan_task *t = &c->plan->tasks[task];
    char kept[64] = "";
    if (is_there(c, t->id, ".h5") || is_there(c, t->id, ".safetensors"))
        snprintf(kept, sizeof kept, " (kept: tasks/%s.*.damaged)", t->id);
    log_warn("%s: %s is done again%s", why, t->name, kept);
    t->result[0] = t->weights[0] = '\0';
    c->reopened[task]++;
    return task_files_set_aside(c->dir, t->id, err) != 0 ? -1 : journal_reopened(c->journal, t, why, err);
}

/* The same, with some patience for what passes. */
static int compare_again(const struct contents *c, const struct plan_task *t, char *why, size_t size, struct err *err)
{
    for (int attempt = 1;; attempt++) {
        int wrong = compare(c, t, why, size, err);
        if (wrong >= 0 || !failure_passes(err->text) || attempt == 4)
            return wrong;
        clock_sleep(0.25 * attempt);
    }
}

int contents_verify(struct contents *c, bool in_process, struct err *err)
{
    int unknown = 0;
    for (int i = 0; i < c->plan->n_tasks && !stop_requested(); i++) {
        struct plan_task *t = &c->plan->tasks[i];
        char why[256];
        struct err unreadable;
        if (t->result[0] != '\0') {
            int wrong = compare_again(c, t, why, sizeof why, &unreadable);
            if (wrong == 0)
                continue;
            if (wrong < 0 && failure_passes(unreadable.text))
                return err_set(err, "%s: nobody knows whether it is damaged; moved away, it is computed again",
                               unreadable.text);
            if (reopen(c, i, wrong < 0 ? unreadable.text : why, err) != 0)
                return -1;
        } else {
            unknown += is_there(c, t->id, ".h5");
        }
        t->state = TASK_WAITING;
        t->attempts = 0;
    }
    if (unknown > 0)
        log_warn("the journal has no digest of %d result%s: %s %s", unknown, unknown == 1 ? "" : "s",
                 unknown == 1 ? "it is" : "they are",
                 in_process ? "computed again, as tasks in ranks cannot try whether a file can be read"
                            : "read through, and taken over if whole");
    return 0;
}

/* 1: reopened, also in the schedule; 0: that has been tried too often. */
static int reopen_running(struct contents *c, int task, const char *why, struct err *err)
{
    if (c->reopened[task] >= REOPENED_MAX)
        return 0;
    if (reopen(c, task, why, err) != 0)
        return -1;
    schedule_reopen(c->schedule, task);
    return 1;
}

static int blame_input(struct contents *c, int input, const char *error, bool last, struct err *err)
{
    const struct plan_task *t = &c->plan->tasks[input];
    char why[256];
    struct err ignored;
    if (t->state != TASK_DONE)
        return 1; /* it had to be reopened already */
    if (strstr(error, t->id) == NULL)
        return 0;
    int wrong = compare(c, t, why, sizeof why, &ignored);
    /* once: if the same bytes come again, they are not to blame */
    if (wrong == 0 && last && !c->distrusted[input] && !failure_of_system(error)) {
        snprintf(why, sizeof why, "tasks/%s cannot be used", t->id);
        wrong = c->distrusted[input] = true;
    }
    return wrong > 0 ? reopen_running(c, input, why, err) : 0;
}

int contents_blame(struct contents *c, int task, const char *error, bool last, struct err *err)
{
    const struct plan_task *t = &c->plan->tasks[task];
    int n = 0;
    for (int k = 0; k < t->n_inputs; k++) {
        int blamed = blame_input(c, t->input_tasks[k], error, last, err);
        if (blamed < 0)
            return -1;
        n += blamed;
    }
    return n;
}

int contents_left_out(struct contents *c, const char *list, struct err *err)
{
    char id[TASK_ID], what[16];
    int n = 0, used = 0;
    for (; sscanf(list, "%32s %15s%n", id, what, &used) == 2; list += used) {
        int i = plan_index(c->plan, id);
        char why[256];
        struct err ignored;
        if (i < 0 || c->plan->tasks[i].state != TASK_DONE)
            continue;
        int wrong = compare(c, &c->plan->tasks[i], why, sizeof why, &ignored);
        if (wrong == 0 && strcmp(what, "unreadable") == 0) {
            snprintf(why, sizeof why, "tasks/%s.h5 cannot be read", id);
            wrong = 1;
        }
        int reopened = wrong > 0 ? reopen_running(c, i, why, err) : 0;
        if (reopened < 0)
            return -1;
        n += reopened;
    }
    return n;
}
