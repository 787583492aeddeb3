/* A crash or an endless loop ends the child, and the parent says so. */
#include "coord/guard.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "coord/process.h"

struct guard *guard_create(struct err *err)
{
    struct guard *g = mmap(NULL, sizeof *g, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (g != MAP_FAILED)
        return g;
    err_errno(err, "cannot map memory");
    return NULL;
}

void guard_destroy(struct guard *g)
{
    if (g != NULL)
        munmap(g, sizeof *g);
}

void guard_at(struct guard *g, int at, double bytes)
{
    struct rusage used;
    struct rlimit limit;
    g->at = at;
    if (at < 0) { /* what a campaign's size decides has no limit here */
        if (getrlimit(RLIMIT_CPU, &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_CPU, &limit);
        }
        return;
    }
    if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0)
        return;
    rlim_t seconds = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 11 + (rlim_t)(bytes / 5e6);
    if (limit.rlim_max == RLIM_INFINITY || seconds < limit.rlim_max)
        limit.rlim_cur = seconds;
    setrlimit(RLIMIT_CPU, &limit);
}

static _Noreturn void be_child(struct guard *g, pid_t parent, int (*body)(void *, struct guard *), void *arg)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU };
    const struct rlimit none = { 0, 0 };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        raise(SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        signal(deadly[i], SIG_DFL);
    guard_at(g, -1, 0);
    g->done = body(arg, g) == 0;
    _exit(0);
}

int guard_run(struct guard *g, int (*body)(void *arg, struct guard *g), void *arg)
{
    int status = 0;
    pid_t parent = getpid(), got;
    *g = (struct guard){ .at = -1 };
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(&g->err, "cannot start a child process");
    if (pid == 0)
        be_child(g, parent, body, arg);
    for (double pause = 2e-4; (got = waitpid(pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR);
         pause = fmin(2 * pause, 0.02)) {
        if (stop_requested()) {
            process_kill(pid, NULL); /* one that hangs in the system is left behind */
            return STOPPED;
        }
        clock_sleep(pause);
    }
    if (g->done)
        return 0;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (number == SIGKILL || number == SIGTERM) { /* of somebody, or of the system that is short of memory */
        g->at = -1;
        return err_set(&g->err, "the child process was killed");
    }
    if (number != 0)
        return number == SIGXCPU ? err_set(&g->err, "reading it does not come to an end")
                                 : err_set(&g->err, "reading it ends in signal %d (%s)", number, strsignal(number));
    return g->err.text[0] != '\0' ? -1 : err_set(&g->err, "reading it fails without a message");
}
