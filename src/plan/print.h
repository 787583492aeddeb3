/* What `dinf plan` and `dinf bench schedule` print. */
#ifndef DINF_PLAN_PRINT_H
#define DINF_PLAN_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "plan/plan.h"

/* Tasks by kind with counts and estimated cost, the graph (every task with its
 * inputs, shared ones once; long plans are shortened), and the simulated
 * makespan on `ranks` workers against its lower bound. 80 columns. */
int plan_print(FILE *out, const struct plan *plan, int ranks, struct err *err);
/* The same as one JSON object: {"campaign", "tasks": [...], "simulation": {...}}. */
int plan_print_json(FILE *out, const struct plan *plan, int ranks, int gpus, struct err *err);

/* Simulated makespan over its lower bound for 64 .. 4096 ranks on synthetic
 * campaigns, and the seconds that scheduling itself took; to standard output. */
int plan_bench_schedule(bool json, struct err *err);

#endif
