/* From each task to those that depend on it. */
#ifndef DINF_PLAN_EDGES_H
#define DINF_PLAN_EDGES_H

#include "plan/plan.h"

/* Dependants of task i: to[first[i]] .. to[first[i + 1] - 1], once for each input. */
struct edges {
    int *first; /* (n_tasks + 1) */
    int *to;
};

int edges_init(struct edges *e, const struct plan *plan, struct err *err);
void edges_fini(struct edges *e);

#endif
