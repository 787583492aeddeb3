/* When and how results.h5 is rebuilt. */
#include "coord/results.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "base/version.h"
#include "coord/failure.h"
#include "coord/guard.h"
#include "coord/process.h"
#include "coord/snapshot.h"
#include "coord/transport.h"
#include "coord/words.h"
#include "store/collect.h"
#include "tasks/provenance.h"

#define COLLECTED_FORMAT "%d collected\n" /* before the lines of what is left out */

/* The hosts of the last run, from its status file; empty if there is none. */
static void read_hosts(const char *dir, char *out, size_t size)
{
    char path[PATH_MAX], *text = NULL;
    struct snapshot s = { .workers = NULL };
    out[0] = '\0';
    if (fs_path(path, sizeof path, NULL, "%s/status.json", dir) != 0 || !fs_exists(path) ||
        fs_read(path, &text, NULL, NULL) != 0)
        return;
    cJSON *o = cJSON_Parse(text);
    if (snapshot_from_json(o, &s, NULL) == 0)
        snprintf(out, size, "%s", s.hosts);
    snapshot_fini(&s);
    cJSON_Delete(o);
    mem_free(text);
}

static cJSON *root_attributes(const char *dir, const struct plan *plan, struct err *err)
{
    char hosts[1024];
    struct library mpi;
    read_hosts(dir, hosts, sizeof hosts);
    transport_library(&mpi);
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || cJSON_AddNumberToObject(o, "schema_version", RESULTS_SCHEMA) == NULL ||
        cJSON_AddStringToObject(o, "campaign", plan->campaign.name) == NULL ||
        cJSON_AddStringToObject(o, "config", plan->config) == NULL ||
        cJSON_AddStringToObject(o, "config_hash", plan->config_hash) == NULL ||
        cJSON_AddNumberToObject(o, "seed", (double)plan->campaign.seed) == NULL ||
        cJSON_AddNumberToObject(o, "threads", (double)plan->campaign.threads) == NULL ||
        cJSON_AddStringToObject(o, "dinf_version", dinf_version()) == NULL ||
        cJSON_AddStringToObject(o, "revision", dinf_revision()) == NULL ||
        cJSON_AddStringToObject(o, "hosts", hosts) == NULL ||
        cJSON_AddStringToObject(o, "library_mpi", mpi.version) == NULL || provenance_libraries(o) != 0) {
        err_set(err, "out of memory");
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

/* Is the file the one that the task left? Runs of earlier versions recorded no digest. */
static bool is_whole(const char *path, const struct plan_task *t)
{
    char hex[HASH_HEX];
    struct err why;
    if (t->result[0] == '\0')
        return true;
    return hash_file(path, hex, &why) == 0 && strcmp(hex, t->result) == 0;
}

struct collection {
    char out[PATH_MAX], tmp[PATH_MAX];
    struct collect_task *tasks;
    int n;
    const cJSON *root;
    bool pack;
    struct guard *guard;
};

static void file_begins(void *arg, int task)
{
    const struct collection *c = arg;
    struct stat st;
    bool known = task >= 0 && stat(c->tasks[task].file, &st) == 0;
    guard_at(c->guard, task, known ? (double)st.st_size : 0);
}

static int write_tables(void *arg, struct guard *g)
{
    const struct collection *c = arg;
    const struct collect_watch watch = { file_begins, arg };
    return collect_write(c->tmp, c->out, c->tasks, c->n, c->root, c->pack, &watch, &g->err);
}

static void leave_out(struct collect_task *t, const char *why)
{
    log_warn("%s and left out: `dinf run` does %s again", why, t->name);
    t->file = NULL;
    t->state = task_state_name(TASK_WAITING);
    t->error = "its result file is damaged or missing";
}

/* Files that end the reading, by an error or a crash, are left out one by one. */
static int write_what_can_be_read(struct collection *c, enum left_out *left_out, struct err *err)
{
    for (;;) {
        int rc = guard_run(c->guard, write_tables, c), at = c->guard->at;
        if (rc == 0 && fs_commit(c->tmp, c->out, err) == 0)
            return 0;
        unlink(c->tmp);
        if (rc == 0)
            return -1;
        if (rc == STOPPED)
            return err_set(err, "a stop was asked for");
        if (at < 0 || failure_of_system(c->guard->err.text)) {
            *err = c->guard->err;
            return -1;
        }
        char why[sizeof err->text];
        snprintf(why, sizeof why, "%.1000s is unreadable (%.1000s)", c->tasks[at].file, c->guard->err.text);
        leave_out(&c->tasks[at], why);
        left_out[at] = LEFT_OUT_UNREADABLE;
    }
}

int results_collect(const char *dir, const struct plan *plan, bool pack, enum left_out *left_out, struct err *err)
{
    int rc = -1, n = plan->n_tasks;
    char path[PATH_MAX], why[PATH_MAX + 16];
    struct collection c = { .n = n, .pack = pack };
    cJSON *root = NULL;
    char **files = mem_alloc((size_t)n, sizeof *files, err);
    c.tasks = mem_alloc((size_t)n, sizeof *c.tasks, err);
    if (files == NULL || c.tasks == NULL)
        goto out;
    for (int i = 0; i < n; i++) {
        const struct plan_task *t = &plan->tasks[i];
        left_out[i] = LEFT_IN;
        c.tasks[i] = (struct collect_task){ .id = t->id,
                                            .kind = t->kind->name,
                                            .name = t->name,
                                            .state = task_state_name(t->state),
                                            .device = plan->campaign.device,
                                            .error = t->error,
                                            .attempt = t->attempts,
                                            .rank = t->rank,
                                            .start = t->start,
                                            .seconds = t->seconds,
                                            .labels = t->labels };
        /* done, says the journal, but its file was not there when the journal was read */
        const bool lost = t->state != TASK_DONE && t->state != TASK_RUNNING && t->result[0] != '\0';
        if (t->state != TASK_DONE && !lost)
            continue;
        if (task_path(dir, t->id, ".h5", path, err) != 0 || (files[i] = mem_strdup(path, err)) == NULL)
            goto out;
        c.tasks[i].file = files[i];
        if (!lost && is_whole(path, t))
            continue;
        snprintf(why, sizeof why, "%s is %s", path, lost ? "missing" : "damaged");
        leave_out(&c.tasks[i], why);
        left_out[i] = LEFT_OUT_DAMAGED;
    }
    c.guard = guard_create(err);
    c.root = root = c.guard != NULL ? root_attributes(dir, plan, err) : NULL;
    if (root != NULL && fs_path(c.out, sizeof c.out, err, "%s/results.h5", dir) == 0 &&
        fs_clear_place(c.out, err) == 0 && fs_temporary(c.out, c.tmp, sizeof c.tmp, err) == 0)
        rc = write_what_can_be_read(&c, left_out, err);
out:
    guard_destroy(c.guard);
    cJSON_Delete(root);
    for (int i = 0; files != NULL && i < n; i++)
        mem_free(files[i]);
    mem_free(files);
    mem_free(c.tasks);
    return rc;
}

int results_print_left_out(const struct plan *plan, const enum left_out *left_out, int fd, struct err *err)
{
    int n = 0;
    for (int i = 0; i < plan->n_tasks; i++)
        n += plan->tasks[i].state == TASK_DONE && left_out[i] == LEFT_IN;
    if (dprintf(fd, COLLECTED_FORMAT, n) < 0)
        return err_errno(err, "cannot say what is collected");
    for (int i = 0; i < plan->n_tasks; i++)
        if (left_out[i] != LEFT_IN &&
            dprintf(fd, "%s %s\n", plan->tasks[i].id, left_out[i] == LEFT_OUT_DAMAGED ? "damaged" : "unreadable") < 0)
            return err_errno(err, "cannot say what is left out");
    return 0;
}

void results_init(struct results *r, const char *dir)
{
    memset(r, 0, sizeof *r);
    r->dir = dir;
    r->list = -1;
    r->ended = clock_monotonic();
    r->stale = true;
}

/* Ends the child, if one is at work, and removes what it has half written. */
static void kill_child(struct results *r)
{
    char tmp[PATH_MAX];
    if (r->pid == 0)
        return;
    if (!process_kill(r->pid, NULL))
        log_warn("process %ld does not die and is left behind: it hangs in the system", (long)r->pid);
    else if (fs_path(tmp, sizeof tmp, NULL, "%s/results.h5.tmp.%ld", r->dir, (long)r->pid) == 0)
        unlink(tmp);
    r->pid = 0;
    r->stale = true;
}

static void forget_list(struct results *r)
{
    if (r->list >= 0)
        close(r->list);
    mem_free(r->left_out);
    r->left_out = NULL;
    r->list = -1;
}

void results_fini(struct results *r)
{
    kill_child(r);
    forget_list(r);
}

static int spawn(struct results *r, struct err *err)
{
    char log[PATH_MAX], list[16];
    if (fs_path(log, sizeof log, err, "%s/logs/collect.log", r->dir) != 0)
        return -1;
    r->list = memfd_create("dinf-collected", MFD_CLOEXEC);
    if (r->list < 0)
        return err_errno(err, "cannot make a memory file");
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(err, "cannot open %s", log);
    snprintf(list, sizeof list, "%d", PROCESS_EXTRA_FD);
    const char *const argv[] = { "dinf", "collect", r->dir, "--left-out-fd", list, NULL };
    int rc = process_spawn(&r->pid, argv, 1, -1, fd, r->list, err);
    close(fd);
    return rc;
}

/* Results are stale until a rebuild has begun; one that could not begin counts as one that has failed. */
static int start(struct results *r, struct err *err)
{
    forget_list(r);
    r->started = clock_monotonic();
    if (spawn(r, err) == 0) {
        r->stale = false;
        return 0;
    }
    r->pid = 0;
    r->ended = r->started;
    return -1;
}

/* What the child has taken in, and what it has left out. */
static int read_list(struct results *r)
{
    struct stat st;
    int used = 0;
    if (fstat(r->list, &st) != 0)
        return -1;
    char *text = mem_alloc((size_t)st.st_size + 1, 1, NULL);
    if (text == NULL || pread(r->list, text, (size_t)st.st_size, 0) != st.st_size ||
        sscanf(text, COLLECTED_FORMAT "%n", &r->collected, &used) != 1 || used == 0) {
        mem_free(text);
        return -1;
    }
    if (text[used] == '\0') {
        mem_free(text);
        return 0;
    }
    memmove(text, text + used, strlen(text + used) + 1);
    r->left_out = text;
    return 0;
}

/* Takes note of the end of the child; flags as for waitpid. */
static int reap(struct results *r, int flags, struct err *err)
{
    int status = 0;
    pid_t got;
    while ((got = waitpid(r->pid, &status, flags)) < 0 && errno == EINTR)
        ;
    if (got == 0)
        return 0;
    r->pid = 0;
    r->ended = clock_monotonic();
    r->took = r->ended - r->started;
    const int ended = got > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    r->stale |= ended != EXIT_DONE;
    if ((ended == EXIT_DONE || ended == EXIT_TASKS_FAILED) && read_list(r) == 0)
        return 0;
    r->stale = true;
    char log[PATH_MAX], words[512], how[64] = "nobody knows how it ended";
    words[0] = '\0';
    if (got > 0)
        words_end(status, how, sizeof how);
    if (fs_path(log, sizeof log, NULL, "%s/logs/collect.log", r->dir) == 0)
        words_last(log, 0, words, sizeof words);
    return err_set(err, "results.h5 could not be rebuilt: dinf collect %s %s (%s)",
                   words[0] != '\0' ? "says:" : "said nothing:", words[0] != '\0' ? words : how,
                   words[0] != '\0' ? how : "logs/collect.log is empty");
}

int results_poll(struct results *r, struct err *err)
{
    if (r->pid != 0)
        return reap(r, WNOHANG, err);
    double pause = 20 * r->took > 30 ? 20 * r->took : 30;
    if (!r->stale || clock_monotonic() - r->ended < pause)
        return 0;
    return start(r, err);
}

/* Waits for the child, but neither for ever nor against a signal. */
static int wait_for(struct results *r, struct err *err)
{
    double limit = 600 + 100 * r->took;
    while (r->pid != 0) {
        bool late = clock_monotonic() - r->started > limit;
        if (late || stop_requested()) {
            kill_child(r);
            return err_set(err,
                           late ? "results.h5 could not be rebuilt within %.0f s"
                                : "results.h5 was not rebuilt: a stop was asked for within %.0f s",
                           clock_monotonic() - r->started);
        }
        if (reap(r, WNOHANG, err) != 0)
            return -1;
        if (r->tick != NULL)
            r->tick(r->arg);
        if (r->pid != 0)
            clock_sleep(0.01);
    }
    return 0;
}

int results_finish(struct results *r, struct err *err)
{
    if (r->pid != 0)
        wait_for(r, NULL); /* a failure is made good now, or told then */
    if (!r->stale || r->left_out != NULL)
        return 0;
    for (int attempt = 1;; attempt++) { /* a file may be busy, or the system short of something */
        if (start(r, err) == 0 && wait_for(r, err) == 0)
            return 0;
        if (attempt == 4 || stop_requested())
            return -1;
        clock_sleep(0.25 * attempt);
    }
}
