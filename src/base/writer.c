/* Numbers of processes come again, and in a container a dead process may keep its number for long. */
#include "base/writer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"

static const double clock_slack = 2; /* seconds: times of files and of processes come from different clocks */

/* State and age [s] as /proc tells them, see proc(5). */
static bool describe(long pid, char *state, double *age)
{
    char path[64], text[1024];
    double uptime = -1;
    unsigned long long began; /* clock ticks after the system's start */
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    const char *name_end = strrchr(text, ')'); /* the name may hold blanks and brackets */
    if (name_end == NULL ||
        sscanf(name_end + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", state,
               &began) != 2)
        return false;
    f = fopen("/proc/uptime", "re");
    if (f != NULL && fscanf(f, "%lf", &uptime) != 1)
        uptime = -1;
    if (f != NULL)
        fclose(f);
    *age = uptime - (double)began / (double)sysconf(_SC_CLK_TCK);
    return uptime >= 0;
}

bool writer_lives(long pid, double when)
{
    char state;
    double age;
    if (pid <= 0 || pid > INT_MAX)
        return true; /* no number of a process: nobody knows */
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return false;
    if (!describe(pid, &state, &age))
        return true;
    return state != 'Z' && state != 'X' && clock_wall() - age <= when + clock_slack;
}
