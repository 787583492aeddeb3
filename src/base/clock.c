/* Clocks and durations for people. */
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

static double read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

void clock_sleep(double seconds)
{
    if (!(seconds > 0))
        return;
    struct timespec t = { (time_t)seconds, (long)((seconds - floor(seconds)) * 1e9) };
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

const char *clock_duration(double s, char *out, size_t size)
{
    if (!isfinite(s))
        snprintf(out, size, "?");
    else if (s < 10)
        snprintf(out, size, "%.1f s", s);
    else if (s < 60)
        snprintf(out, size, "%.0f s", s);
    else if (s < 3600)
        snprintf(out, size, "%d min %02d s", (int)(s / 60), (int)s % 60);
    else if (s < 48 * 3600.0)
        snprintf(out, size, "%d h %02d min", (int)(s / 3600), (int)(s / 60) % 60);
    else
        snprintf(out, size, "%.1f days", s / 86400);
    return out;
}
