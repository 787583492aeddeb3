/* How many processors this process may use. */
#ifndef DINF_BASE_PROCESSORS_H
#define DINF_BASE_PROCESSORS_H

#include <sched.h>

/* The set that the system lets this process run on (taskset, cpusets, a launcher's
 * binding); empty if that is not known. */
void processors_allowed(cpu_set_t *set);

/* Processors' worth of time that control groups grant, INFINITY without a limit: the least
 * of the group and of those above it, of version 2 (cpu.max) and 1 (cpu.cfs_quota_us,
 * cpu.cfs_period_us). `groups`: as /proc/self/cgroup; `root`: as /sys/fs/cgroup. */
double processors_granted(const char *groups, const char *root);

/* Of `set` no more than what is granted to this process, at least 1; 0 for an empty set: not known. */
int processors_count(const cpu_set_t *set);

#endif
