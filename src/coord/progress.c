/* Progress on standard error, for a person at a terminal or for a log file. */
#include "coord/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "coord/screen.h"

enum { FEW_TASKS = 200, MANY_FAILURES = 50 };

struct progress {
    int terminal; /* descriptor to ask for its size; -1: plain lines */
    int drawn;    /* lines of the block on the screen */
    bool few;
    int failures;
    double next_summary, interval;
    char block[16384];
};

/* mpirun passes standard error through a pipe; the terminal is at the other end,
 * which this rank finds as its parent's. */
static int launchers_terminal(void)
{
    char link[64], target[256];
    snprintf(link, sizeof link, "/proc/%ld/fd/2", (long)getppid());
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return -1;
    target[n] = '\0';
    if (strncmp(target, "/dev/pts/", 9) != 0 && strncmp(target, "/dev/tty", 8) != 0)
        return -1;
    int fd = open(target, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && !isatty(fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int find_terminal(bool alone)
{
    const char *wish = getenv("DINF_PROGRESS");
    if (wish != NULL && strcmp(wish, "plain") == 0)
        return -1;
    if (wish != NULL && strcmp(wish, "terminal") == 0)
        return STDERR_FILENO;
    if (isatty(STDERR_FILENO))
        return STDERR_FILENO;
    return alone ? -1 : launchers_terminal();
}

struct progress *progress_create(int n_tasks, bool alone, struct err *err)
{
    struct progress *p = mem_alloc(1, sizeof *p, err);
    if (p == NULL)
        return NULL;
    p->terminal = find_terminal(alone);
    p->few = n_tasks <= FEW_TASKS;
    p->interval = 30;
    p->next_summary = clock_monotonic() + p->interval;
    return p;
}

void progress_destroy(struct progress *p)
{
    if (p == NULL)
        return;
    if (p->terminal >= 0 && p->terminal != STDERR_FILENO)
        close(p->terminal);
    mem_free(p);
}

static void put(const char *text, size_t n)
{
    while (n > 0) {
        ssize_t m = write(STDERR_FILENO, text, n);
        if (m < 0 && errno == EINTR)
            continue;
        if (m <= 0)
            return; /* nobody is watching any more */
        text += m;
        n -= (size_t)m;
    }
}

static void erase(struct progress *p)
{
    char code[32];
    if (p->drawn > 0)
        put(code, (size_t)snprintf(code, sizeof code, "\033[%dA\r\033[J", p->drawn));
    p->drawn = 0;
}

static void say(struct progress *p, const char *format, va_list ap)
{
    char line[2048];
    vsnprintf(line, sizeof line, format, ap);
    bool redraw = p->drawn > 0;
    erase(p);
    log_info("%s", line);
    if (redraw) {
        put(p->block, strlen(p->block));
        for (const char *c = p->block; *c != '\0'; c++)
            p->drawn += *c == '\n';
    }
}

void progress_say(struct progress *p, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(p, format, ap);
    va_end(ap);
}

void progress_task(struct progress *p, const char *format, ...)
{
    if (!p->few)
        return;
    va_list ap;
    va_start(ap, format);
    say(p, format, ap);
    va_end(ap);
}

void progress_failure(struct progress *p, const char *format, ...)
{
    if (++p->failures > MANY_FAILURES)
        return;
    va_list ap;
    va_start(ap, format);
    say(p, format, ap);
    va_end(ap);
    if (p->failures == MANY_FAILURES)
        progress_say(p, "further failures are not shown here: `dinf status` and the journal have them");
}

static void redraw(struct progress *p, const struct snapshot *s)
{
    struct winsize size = { 0 };
    int columns = 80, rows = 24;
    if (ioctl(p->terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        columns = size.ws_col;
        rows = size.ws_row;
    }
    erase(p);
    /* one column less: a line that fills the last one wraps on some terminals;
     * one row less: the cursor stands below the block */
    p->drawn = screen_render(s, columns - 1, rows - 1, p->block, sizeof p->block);
    put(p->block, strlen(p->block));
}

void progress_update(struct progress *p, const struct snapshot *s)
{
    if (p->terminal >= 0) {
        redraw(p, s);
        return;
    }
    if (clock_monotonic() < p->next_summary)
        return;
    char line[256];
    screen_summary(s, line, sizeof line);
    log_info("%s", line);
    /* a day's run should not fill a log: 30 s, and later every tenth of the time */
    double tenth = s->elapsed / 10;
    p->interval = tenth < 30 ? 30 : tenth > 900 ? 900 : tenth;
    p->next_summary = clock_monotonic() + p->interval;
}
