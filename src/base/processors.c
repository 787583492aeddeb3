/* Threads beyond what a process may use wait for each other. */
#include "base/processors.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"

void processors_allowed(cpu_set_t *set)
{
    CPU_ZERO(set);
    if (sched_getaffinity(0, sizeof *set, set) != 0)
        CPU_ZERO(set);
}

/* The numbers in a small file; how many there are. */
static int read_numbers(const char *folder, const char *name, double *first, double *second)
{
    char path[PATH_MAX], text[128];
    if (fs_path(path, sizeof path, NULL, "%s/%s", folder, name) != 0)
        return 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    n = (size_t)sscanf(text, "%lf %lf", first, second); /* "max" is none */
    return n <= 2 ? (int)n : 0;
}

static double granted_by(const char *folder)
{
    double quota, period, unused, least = INFINITY;
    if (read_numbers(folder, "cpu.max", &quota, &period) == 2 && quota > 0 && period > 0)
        least = quota / period;
    if (read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused) >= 1 && quota > 0 &&
        read_numbers(folder, "cpu.cfs_period_us", &period, &unused) >= 1 && period > 0)
        least = fmin(least, quota / period);
    return least;
}

/* The group's folder and those above it, up to `top`. */
static double least_of(const char *top, const char *group)
{
    char folder[PATH_MAX];
    double least = INFINITY;
    if (fs_path(folder, sizeof folder, NULL, "%s%s", top, group) != 0)
        return least;
    for (size_t n = strlen(folder); n >= strlen(top);) {
        folder[n] = '\0';
        least = fmin(least, granted_by(folder));
        while (n > 0 && folder[--n] != '/')
            ;
        if (n == 0)
            break;
    }
    return least;
}

/* Lines are NUMBER:CONTROLLERS:GROUP; version 2 has no controllers. */
double processors_granted(const char *groups, const char *root)
{
    char line[PATH_MAX], top[PATH_MAX];
    double least = INFINITY;
    FILE *f = fopen(groups, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        controllers++;
        if (*controllers == '\0') {
            least = fmin(least, least_of(root, group));
            continue;
        }
        bool has_cpu = false;
        for (const char *p = controllers; p != NULL; p = strchr(p, ','))
            has_cpu |= strncmp(p += *p == ',', "cpu", 3) == 0 && (p[3] == ',' || p[3] == '\0');
        if (has_cpu && fs_path(top, sizeof top, NULL, "%s/%s", root, controllers) == 0)
            least = fmin(least, least_of(top, group));
        if (has_cpu && fs_path(top, sizeof top, NULL, "%s/cpu", root) == 0)
            least = fmin(least, least_of(top, group));
    }
    if (f != NULL)
        fclose(f);
    return least;
}

int processors_count(const cpu_set_t *set)
{
    double granted = processors_granted("/proc/self/cgroup", "/sys/fs/cgroup");
    int n = CPU_COUNT(set);
    if (n == 0)
        return 0;
    return granted < n ? (int)fmax(ceil(granted), 1) : n;
}
