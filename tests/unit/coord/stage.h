/* A clock that is turned by hand, a log that can be read, a stop that can be taken back: in place of those of base/,
 * for tests of what waits for minutes. Included by one file of a program. */
#ifndef TESTS_UNIT_COORD_STAGE_H
#define TESTS_UNIT_COORD_STAGE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"

static const double stage_epoch = 1.7e9;
static double stage_now = 1000, stage_end = 1e6; /* clock_monotonic; when a test has taken too long */
static double stage_real;                        /* real seconds slept for each second */
static bool stage_stopped;
static double stage_stop_at = 1e9; /* a signal asks for a stop then */
static char stage_log[1 << 18];

double clock_monotonic(void)
{
    return stage_now;
}

double clock_wall(void)
{
    return stage_epoch + stage_now;
}

void clock_sleep(double seconds)
{
    if (stage_now > stage_end)
        fail_msg("it does not come to an end: %s", stage_log);
    stage_now += seconds > 0 ? seconds : 0;
    if (stage_real > 0)
        usleep((useconds_t)(1e6 * stage_real * seconds));
}

const char *clock_duration(double seconds, char *out, size_t size)
{
    snprintf(out, size, "%.0f s", seconds);
    return out;
}

static double stage_disk; /* seconds of an fsync: nothing here outlives the test */

int fsync(int fd)
{
    (void)fd;
    stage_now += stage_disk;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

void stop_install(void)
{
}

bool stop_requested(void)
{
    return stage_stopped || stage_now >= stage_stop_at;
}

void stop_request(void)
{
    stage_stopped = true;
}

void log_set_name(const char *name)
{
    (void)name;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const names[] = { "", "warning: ", "error: " };
    size_t used = strlen(stage_log);
    used += (size_t)snprintf(stage_log + used, sizeof stage_log - used, "%s", names[level]);
    va_list ap;
    va_start(ap, format);
    if (used < sizeof stage_log - 4096)
        used += (size_t)vsnprintf(stage_log + used, 2048, format, ap);
    va_end(ap);
    snprintf(stage_log + used, sizeof stage_log - used, "\n");
}

/* How often the log says so. */
static inline int stage_says(const char *what)
{
    int n = 0;
    for (const char *p = stage_log; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

#endif
