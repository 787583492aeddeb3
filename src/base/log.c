/* Logging: lines small enough to be written at once. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char log_name[32];

void log_set_name(const char *name)
{
    snprintf(log_name, sizeof log_name, "%s", name != NULL ? name : "");
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = { "info", "warning", "error" };
    char line[4096];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    size_t n = strftime(line, sizeof line, "%H:%M:%S ", &tm);
    if (log_name[0])
        n += (size_t)snprintf(line + n, sizeof line - n, "%s: ", log_name);
    if (level != LOG_INFO)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s: ", names[level]);
    va_list ap;
    va_start(ap, format);
    int m = vsnprintf(line + n, sizeof line - n - 1, format, ap);
    va_end(ap);
    if (m < 0)
        return;
    n += (size_t)m;
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    ssize_t rc = write(STDERR_FILENO, line, n);
    (void)rc; /* a log that cannot be written has nowhere to complain */
}
