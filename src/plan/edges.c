/* Inputs are stored with the task that needs them; the schedule asks the other way round. */
#include "plan/edges.h"

#include <string.h>

#include "base/mem.h"

int edges_init(struct edges *e, const struct plan *plan, struct err *err)
{
    size_t total = 0;
    for (int i = 0; i < plan->n_tasks; i++)
        total += (size_t)plan->tasks[i].n_inputs;
    e->first = mem_alloc((size_t)plan->n_tasks + 2, sizeof *e->first, err);
    e->to = mem_alloc(total, sizeof *e->to, err);
    if (e->first == NULL || e->to == NULL) {
        edges_fini(e);
        return -1;
    }
    /* counting sort, one place ahead so that filling moves each start to its own place */
    for (int i = 0; i < plan->n_tasks; i++)
        for (int k = 0; k < plan->tasks[i].n_inputs; k++)
            e->first[plan->tasks[i].input_tasks[k] + 2]++;
    for (int i = 2; i <= plan->n_tasks + 1; i++)
        e->first[i] += e->first[i - 1];
    for (int i = 0; i < plan->n_tasks; i++)
        for (int k = 0; k < plan->tasks[i].n_inputs; k++)
            e->to[e->first[plan->tasks[i].input_tasks[k] + 1]++] = i;
    return 0;
}

void edges_fini(struct edges *e)
{
    mem_free(e->first);
    mem_free(e->to);
    *e = (struct edges){ 0 };
}
