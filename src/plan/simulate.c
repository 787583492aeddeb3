/* What the schedule would take with the estimated costs: events in order of time. */
#include "plan/edges.h"
#include "plan/heap.h"
#include "plan/schedule.h"

#include <stdlib.h>

#include "base/mem.h"

static double simulate(const struct plan *plan, const double *path, const struct edges *edges, int *pending,
                       struct heap *ready, struct heap *running, int workers)
{
    double now = 0;
    for (int i = 0; i < plan->n_tasks; i++) {
        pending[i] = plan->tasks[i].n_inputs;
        if (pending[i] == 0)
            heap_push(ready, -path[i], i);
    }
    while (ready->n > 0 || running->n > 0) {
        while (ready->n > 0 && running->n < workers) {
            int i = heap_pop(ready).index;
            heap_push(running, now + plan->tasks[i].cost, i);
        }
        struct heap_item first = heap_pop(running);
        now = first.key;
        for (int e = edges->first[first.index]; e < edges->first[first.index + 1]; e++)
            if (--pending[edges->to[e]] == 0)
                heap_push(ready, -path[edges->to[e]], edges->to[e]);
    }
    return now;
}

struct release {
    double earliest, cost;
};

static int later_first(const void *a, const void *b)
{
    double x = ((const struct release *)a)->earliest, y = ((const struct release *)b)->earliest;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* While a victim is trained its thefts cannot run, however many ranks there are:
 * a bound that knows this says how good the schedule is, not how serial the campaign. */
static int release_bound(const struct plan *plan, int workers, double *bound, struct err *err)
{
    size_t n = (size_t)plan->n_tasks;
    struct release *r = mem_alloc(n, sizeof *r, err);
    double *earliest = mem_alloc(n, sizeof *earliest, err), work = 0;
    if (r == NULL || earliest == NULL) {
        mem_free(r);
        mem_free(earliest);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const struct plan_task *t = &plan->tasks[i];
        for (int k = 0; k < t->n_inputs; k++) {
            int from = t->input_tasks[k];
            double ready = earliest[from] + plan->tasks[from].cost;
            earliest[i] = ready > earliest[i] ? ready : earliest[i];
        }
        r[i] = (struct release){ earliest[i], t->cost };
    }
    qsort(r, n, sizeof *r, later_first);
    for (size_t i = 0; i < n; i++) {
        work += r[i].cost;
        if (*bound < r[i].earliest + work / workers)
            *bound = r[i].earliest + work / workers;
    }
    mem_free(r);
    mem_free(earliest);
    return 0;
}

int schedule_simulate(const struct plan *plan, int workers, struct simulation *out, struct err *err)
{
    int rc = -1;
    struct edges edges = { 0 };
    struct heap ready = { 0 }, running = { 0 };
    size_t n = (size_t)plan->n_tasks;
    int *pending = mem_alloc(n, sizeof *pending, err);
    double *path = mem_alloc(n, sizeof *path, err);
    *out = (struct simulation){ 0 };
    if (pending == NULL || path == NULL || edges_init(&edges, plan, err) != 0 ||
        heap_init(&ready, plan->n_tasks, err) != 0 || heap_init(&running, plan->n_tasks, err) != 0)
        goto out;
    for (int i = plan->n_tasks - 1; i >= 0; i--) {
        double longest = 0;
        for (int e = edges.first[i]; e < edges.first[i + 1]; e++)
            if (longest < path[edges.to[e]])
                longest = path[edges.to[e]];
        path[i] = plan->tasks[i].cost + longest;
        out->work += plan->tasks[i].cost;
        if (out->critical_path < path[i])
            out->critical_path = path[i];
    }
    out->makespan = simulate(plan, path, &edges, pending, &ready, &running, workers);
    out->lower_bound = out->work / workers > out->critical_path ? out->work / workers : out->critical_path;
    out->release_bound = out->lower_bound;
    if (release_bound(plan, workers, &out->release_bound, err) != 0)
        goto out;
    out->utilisation = out->makespan > 0 ? out->work / (workers * out->makespan) : 1;
    rc = 0;
out:
    edges_fini(&edges);
    heap_fini(&ready);
    heap_fini(&running);
    mem_free(pending);
    mem_free(path);
    return rc;
}
