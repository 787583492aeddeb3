/* More threads than processors are slower than as many: one thread of a task that waits holds up the others. */
#include "coord/crowd.h"

#include <stdio.h>

bool crowd_describe(const struct crowd *c, const char *host, int threads, char *out, size_t size)
{
    int own = c->own;
    if (c->slurm > 0 && (own == 0 || c->slurm < own))
        own = c->slurm;
    if (own > 0 && threads > own) {
        snprintf(out, size,
                 "campaign.threads = %d, but a task on %s may use %d processor%s, and its threads take turns: give "
                 "each task %d (sbatch --cpus-per-task=%d, mpirun --bind-to none), or set campaign.threads = %d",
                 threads, host, own, own == 1 ? "" : "s", threads, threads, own);
        return true;
    }
    long wanted = (long)c->workers * threads;
    if (c->processors == 0 || wanted <= c->processors)
        return false;
    int fit = c->processors / threads > 0 ? c->processors / threads : 1, fewer = c->processors / c->workers;
    int n = snprintf(out, size,
                     "%d workers with campaign.threads = %d on %s want %ld processors, and may use %d: start no more "
                     "than %d worker%s there",
                     c->workers, threads, host, wanted, c->processors, fit, fit == 1 ? "" : "s");
    if (fewer > 0 && n > 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, ", or set campaign.threads = %d", fewer);
    return true;
}
