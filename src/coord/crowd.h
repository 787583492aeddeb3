/* Threads of a host's tasks against its processors. */
#ifndef DINF_COORD_CROWD_H
#define DINF_COORD_CROWD_H

#include <stdbool.h>
#include <stddef.h>

/* Of one host, as a rank there sees it. */
struct crowd {
    int workers;    /* ranks that run tasks */
    int processors; /* that its ranks may use, together; 0: not known */
    int own;        /* that this rank may use; 0: not known */
    int slurm;      /* Slurm's --cpus-per-task; 0: none */
};

/* Where tasks of so many threads have fewer processors, a sentence that names both
 * numbers and says what to do; false: they have enough. */
bool crowd_describe(const struct crowd *c, const char *host, int threads, char *out, size_t size);

#endif
