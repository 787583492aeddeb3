/* dinf task: one task of a run in this process. Workers start it for every
 * attempt; people use it to debug one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "coord/failure.h"
#include "coord/guard.h"
#include "coord/process.h"
#include "coord/report.h"
#include "coord/rundir.h"
#include "coord/spec.h"
#include "tasks/execute.h"
#include "tasks/files.h"

struct task_options {
    char device[OPTION_TEXT];
    int64_t threads, ranks_per_gpu, attempt, progress_fd, spec_fd;
};

#define OPTION(name, type, preset, min, max, help)                                                                     \
    OPTION_OF(struct task_options, name, type, preset, min, max, NULL, NULL, help)
static const struct option table[] = {
    OPTION(device, OPTION_STRING, "", 0, 0, "in place of the campaign's; see `dinf list devices`"),
    OPTION(threads, OPTION_INT, "0", 0, 4096, "in place of the campaign's; 0: the campaign's"),
    OPTION(ranks_per_gpu, OPTION_INT, "0", 0, 4096, "tasks at a time on a GPU; 0: any number"),
    OPTION(attempt, OPTION_INT, "1", 1, 1000000, "which attempt this is (workers count them)"),
    OPTION(progress_fd, OPTION_INT, "-1", -1, 1000000, "for workers: descriptor for progress lines; -1: log lines"),
    OPTION(spec_fd, OPTION_INT, "-1", -1, 1000000,
           "for workers: descriptor with the task's description; -1: DIR/plan.json"),
    OPTION_END,
};

static const char usage[] = "task DIR ID [--device D] [--threads N]";
static const double lock_wait = 10; /* seconds */

static int read_all(int fd, char **text, struct err *err)
{
    size_t used = 0, room = 1 << 16;
    char *buffer = mem_alloc(room, 1, err);
    while (buffer != NULL) {
        if (used + 1 == room) {
            char *grown = mem_grow(buffer, room, 2 * room, 1, err);
            if (grown == NULL)
                break;
            buffer = grown;
            room *= 2;
        }
        ssize_t n = read(fd, buffer + used, room - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(err, "cannot read the task's description");
            break;
        }
        if (n == 0) {
            *text = buffer;
            return 0;
        }
        used += (size_t)n;
    }
    mem_free(buffer);
    return -1;
}

static int describe_from_plan(const char *dir, const char *word, struct task_options *o, char **text, struct err *err)
{
    struct plan *plan = NULL;
    if (rundir_read(dir, &plan, NULL, err) != 0)
        return -1;
    int i = plan_find(plan, word, err);
    *text = i >= 0 ? spec_print(plan, &plan->tasks[i], err) : NULL;
    if (o->device[0] == '\0')
        snprintf(o->device, sizeof o->device, "%s", plan->campaign.device);
    if (o->threads == 0)
        o->threads = plan->campaign.threads;
    plan_destroy(plan);
    return *text != NULL ? 0 : -1;
}

/* Two processes on one task's work folder would tread on each other: a child
 * that outlived its killed run for a moment, or a person's. The lock dies with
 * the process. */
static int hold_task(const char *dir, const char *id, struct err *err)
{
    char path[PATH_MAX];
    double end = clock_monotonic() + lock_wait;
    if (fs_path(path, sizeof path, err, "%s/logs", dir) != 0 || fs_mkdirs(path, err) != 0 ||
        fs_path(path, sizeof path, err, "%s/logs/%s.log", dir, id) != 0)
        return -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return 0; /* a file system without such locks */
        if (clock_monotonic() > end) {
            close(fd);
            return err_set(err, "this task is being run by another process");
        }
        clock_sleep(0.05);
    }
    return 0; /* held until the process ends */
}

static int progress_fd = -1;
static double progress_last;

static void on_progress(const struct task_context *ctx, const struct task_progress *p)
{
    struct task_report report;
    char line[256];
    double now = clock_monotonic();
    (void)ctx;
    if (now - progress_last < (progress_fd >= 0 ? 0.2 : 5))
        return;
    progress_last = now;
    report_from_progress(&report, p);
    int n = report_print(&report, line, sizeof line);
    if (progress_fd < 0)
        log_info("%.*s", n - 1, line);
    else if (write(progress_fd, line, (size_t)n) < 0 && errno == EPIPE)
        progress_fd = -1; /* nobody listens any more */
}

static int check_result(void *arg, struct guard *g)
{
    const struct task_context *ctx = arg;
    char path[PATH_MAX];
    struct stat st;
    if (task_path(ctx->dir, ctx->id, ".h5", path, &g->err) != 0)
        return -1;
    if (stat(path, &st) == 0)
        guard_at(g, 0, (double)st.st_size);
    return task_files_whole(ctx->dir, ctx->id, &g->err);
}

/* A result that no journal has a digest of, left just before the end of a run perhaps, or of an earlier version: where
 * it is whole the task is done with it, *taken. */
static int take_over(struct task_context *ctx, bool *taken, struct err *err)
{
    char path[PATH_MAX], work[PATH_MAX];
    *taken = false;
    if (ctx->result[0] != '\0' || task_path(ctx->dir, ctx->id, ".h5", path, err) != 0 || !fs_exists(path))
        return 0;
    struct guard *g = guard_create(err);
    if (g == NULL)
        return -1;
    int rc = guard_run(g, check_result, ctx);
    *taken = rc == 0;
    bool unsaid = rc == -1 && ctx->attempt == 1 && failure_of_system(g->err.text); /* the next attempt may say more */
    if (unsaid)
        *err = g->err;
    else if (rc == -1)
        log_warn("%s: the task is done again (kept: tasks/%s.*.damaged)", g->err.text, ctx->id);
    guard_destroy(g);
    if (!*taken)
        return rc == STOPPED ? STOPPED : unsaid ? -1 : 0;
    log_info("%s was there, whole, and is taken over", path);
    return fs_path(work, sizeof work, err, "%s/work/%s", ctx->dir, ctx->id) != 0 ? -1 : fs_remove_tree(work, err);
}

static int run(const char *dir, const struct task_options *o, const struct task_spec *spec, struct err *err)
{
    struct task_context ctx = { .dir = dir,
                                .id = spec->id,
                                .name = spec->name,
                                .params = spec->params,
                                .contents = spec->contents,
                                .result = spec->result,
                                .inputs = spec->inputs,
                                .n_inputs = spec->n_inputs,
                                .attempt = (int)o->attempt,
                                .sharing = (int)o->ranks_per_gpu,
                                .progress = on_progress };
    progress_fd = (int)o->progress_fd;
    if (progress_fd >= 0) /* a reader that is slow loses reports, and stops nobody */
        fcntl(progress_fd, F_SETFL, O_NONBLOCK);
    bool taken;
    if (hold_task(dir, spec->id, err) != 0)
        return -1;
    int rc = take_over(&ctx, &taken, err);
    if (rc != 0 || taken)
        return rc;
    return task_execute(&ctx, spec->kind, o->device[0] ? o->device : "auto", o->threads > 0 ? (int)o->threads : 1, err);
}

/* On standard error, which is the log, and to the worker: the log may be on a full disk. */
static void tell(const struct err *err)
{
    char line[512];
    cli_error(err);
    int n = report_print_error(err->text, line, sizeof line);
    if (progress_fd >= 0 && write(progress_fd, line, (size_t)n) < 0)
        log_warn("the error could not be reported: %s", strerror(errno));
}

int cli_task(int argc, char **argv)
{
    struct err err = { .text = "" };
    struct task_options o;
    struct task_spec spec = { .json = NULL };
    const char *words[2] = { NULL, NULL };
    char *text = NULL;
    int n = 0;
    stop_install();
    process_follow_parent();
    int rc = cli_parse(argc, argv, usage,
                       "Runs one task of a run directory in this process and leaves its result there.\n"
                       "ID: its id, the beginning of it, or its name. Exit status: 0 done, 1 failed,\n"
                       "75 stopped with its state saved.",
                       table, &o, words, 2, &n, &err);
    if (rc == 1)
        return EXIT_DONE;
    if (rc == 0 && n != 2)
        rc = err_set(&err, "a run directory and a task are wanted (usage: dinf %s)", usage);
    if (rc == 0)
        rc = o.spec_fd >= 0 ? read_all((int)o.spec_fd, &text, &err)
                            : describe_from_plan(words[0], words[1], &o, &text, &err);
    if (rc == 0)
        rc = spec_parse(text, &spec, &err);
    if (rc != 0) {
        mem_free(text);
        return cli_error(&err);
    }
    rc = run(words[0], &o, &spec, &err);
    if (rc == -1)
        tell(&err);
    spec_fini(&spec);
    mem_free(text);
    return rc == 0 ? EXIT_DONE : rc == STOPPED ? EXIT_STOPPED : EXIT_TASKS_FAILED;
}
