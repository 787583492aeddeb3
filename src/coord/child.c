/* Children: spawn, pipe, time limit, and what their end means. */
#include "coord/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/stop.h"
#include "coord/process.h"
#include "coord/words.h"

/* A file in memory with the text, at its beginning: a child can read it without
 * anybody writing at the same time. */
static int memory_file(const char *text, struct err *err)
{
    size_t left = strlen(text);
    int fd = memfd_create("dinf-task", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot make a memory file");
    while (left > 0) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(err, "cannot write a memory file");
            close(fd);
            return -1;
        }
        text += n;
        left -= (size_t)n;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

int child_start(struct child *c, const struct run_settings *settings, const char *id, const char *spec, int attempt,
                struct err *err)
{
    int rc = -1, input = -1, log = -1, ends[2] = { -1, -1 };
    memset(c, 0, sizeof *c);
    c->pipe = -1;
    if (fs_path(c->log, sizeof c->log, err, "%s/logs/%s.log", settings->dir, id) != 0)
        return -1;
    input = memory_file(spec, err);
    if (input < 0)
        return -1;
    log = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log < 0) {
        err_errno(err, "cannot open %s", c->log);
        goto out;
    }
    c->log_start = lseek(log, 0, SEEK_END);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_errno(err, "cannot make a pipe");
        goto out;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    char attempt_text[16], threads_text[16], sharing_text[16], pipe_text[16];
    snprintf(attempt_text, sizeof attempt_text, "%d", attempt);
    snprintf(threads_text, sizeof threads_text, "%d", settings->threads);
    snprintf(sharing_text, sizeof sharing_text, "%d", settings->sharing);
    snprintf(pipe_text, sizeof pipe_text, "%d", PROCESS_EXTRA_FD);
    const char *const argv[] = { "dinf",
                                 "task",
                                 settings->dir,
                                 id,
                                 "--spec-fd",
                                 "0",
                                 "--progress-fd",
                                 pipe_text,
                                 "--attempt",
                                 attempt_text,
                                 "--threads",
                                 threads_text,
                                 "--ranks-per-gpu",
                                 sharing_text,
                                 "--device",
                                 settings->device,
                                 NULL };
    if (process_spawn(&c->pid, argv, settings->threads, input, log, ends[1], err) != 0)
        goto out;
    c->pipe = ends[0];
    ends[0] = -1;
    c->started = c->polled = clock_monotonic();
    c->limit = settings->task_seconds;
    c->grace = settings->grace_seconds;
    rc = 0;
out:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    if (log >= 0)
        close(log);
    close(input);
    return rc;
}

/* Reads what the pipe holds; complete lines become the report. */
static void read_pipe(struct child *c, struct task_report *report, bool *fresh)
{
    while (c->pipe >= 0) {
        ssize_t n = read(c->pipe, c->line + c->used, sizeof c->line - 1 - c->used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* nothing now */
        if (n == 0) {
            close(c->pipe);
            c->pipe = -1;
            return;
        }
        c->used += (size_t)n;
        c->line[c->used] = '\0';
        char *begin = c->line, *end;
        while ((end = strchr(begin, '\n')) != NULL) {
            *end = '\0';
            const char *error = report_error(begin);
            if (report_parse(begin, report) == 0) {
                *fresh = true;
                c->waiting = report->waiting;
            } else if (error != NULL) {
                snprintf(c->words, sizeof c->words, "%s", error);
            }
            begin = end + 1;
        }
        c->used -= (size_t)(begin - c->line);
        memmove(c->line, begin, c->used + 1);
        if (c->used == sizeof c->line - 1)
            c->used = 0; /* no line is that long: noise */
    }
}

static void describe_end(const struct child *c, int status, struct attempt_end *end)
{
    char words[sizeof end->error - 128] = "";
    end->outcome = OUTCOME_FAILED;
    end->error[0] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE) {
        end->outcome = OUTCOME_DONE;
        return;
    }
    if (c->timed_out) {
        snprintf(end->error, sizeof end->error, "exceeded the time limit of %g s%s", c->limit,
                 c->killed > 0 ? " and had to be killed" : "");
        return;
    }
    /* asked to stop and not done: whatever it left is what the next run finds. A
     * batch system signals rank and child at once: then the child may end before
     * its rank has asked it. */
    bool asked = c->stop_sent > 0 || stop_requested();
    if (asked && (c->killed > 0 || (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STOPPED) ||
                  (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM))) {
        end->outcome = OUTCOME_STOPPED;
        return;
    }
    char how[64];
    words_end(status, how, sizeof how);
    words_last(c->log, c->log_start, words, sizeof words);
    if (words[0] == '\0') /* the log could not be written */
        snprintf(words, sizeof words, "%s", c->words);
    if (WIFSIGNALED(status)) {
        snprintf(end->error, sizeof end->error, "%s%s%s%s", how,
                 WTERMSIG(status) == SIGKILL ? ", out of memory perhaps" : "", words[0] ? "; last line: " : "", words);
    } else if (WEXITSTATUS(status) == EXIT_STOPPED) {
        snprintf(end->error, sizeof end->error, "stopped by a signal that did not come from the coordinator");
    } else if (words[0]) {
        snprintf(end->error, sizeof end->error, "%s", words);
    } else {
        snprintf(end->error, sizeof end->error, "%s without a message", how);
    }
}

static void enforce_limits(struct child *c, double now)
{
    if (c->limit > 0 && c->stop_sent <= 0 && now - c->started > c->limit) {
        c->timed_out = true;
        child_stop(c);
    }
    if (c->stop_sent > 0 && c->killed <= 0 && now - c->stop_sent > c->grace) {
        c->killed = now;
        kill(c->pid, SIGKILL);
    }
}

/* Killed, and still there. After a stop that is an end like another: what it saved stays. */
static void describe_stuck(const struct child *c, struct attempt_end *end)
{
    end->outcome = c->timed_out ? OUTCOME_STUCK : OUTCOME_STOPPED;
    snprintf(end->error, sizeof end->error,
             "exceeded the time limit of %g s, and its process %ld does not die: it hangs in the system", c->limit,
             (long)c->pid);
}

int child_poll(struct child *c, double wait, struct task_report *report, bool *fresh, struct attempt_end *end)
{
    const double now = clock_monotonic();
    *fresh = false;
    if (c->waiting)
        c->started += now - c->polled;
    c->polled = now;
    enforce_limits(c, now);
    if (c->pipe >= 0 && wait > 0) {
        struct pollfd p = { .fd = c->pipe, .events = POLLIN };
        poll(&p, 1, (int)(wait * 1e3 + 0.999));
    }
    read_pipe(c, report, fresh);
    int status;
    pid_t got = waitpid(c->pid, &status, WNOHANG);
    bool stuck = got == 0 && c->killed > 0 && now - c->killed > process_patience;
    if (got == 0 && !stuck) {
        if (c->pipe < 0 && wait > 0) /* it closed the pipe: its end is near */
            clock_sleep(2e-4);
        return 0;
    }
    end->seconds = clock_monotonic() - c->started;
    if (stuck) {
        describe_stuck(c, end);
    } else if (got < 0) {
        end->outcome = OUTCOME_FAILED;
        snprintf(end->error, sizeof end->error, "lost the child process %ld: %s", (long)c->pid, strerror(errno));
    } else {
        describe_end(c, status, end);
    }
    if (c->pipe >= 0)
        close(c->pipe);
    struct stat st;
    if (end->outcome == OUTCOME_DONE && stat(c->log, &st) == 0 && st.st_size == 0)
        unlink(c->log); /* said nothing */
    c->pid = 0;
    c->pipe = -1;
    return 1;
}

void child_stop(struct child *c)
{
    if (c->pid == 0 || c->stop_sent > 0)
        return;
    c->stop_sent = clock_monotonic();
    kill(c->pid, SIGTERM);
}

void child_kill(struct child *c)
{
    if (c->pid == 0)
        return;
    if (!process_kill(c->pid, NULL))
        log_warn("process %ld does not die and is left behind: it hangs in the system", (long)c->pid);
    if (c->pipe >= 0)
        close(c->pipe);
    c->pid = 0;
    c->pipe = -1;
}
