/* Small plans made by hand, for tests of what does not look at configs. */
#ifndef TESTS_UNIT_PLAN_GRAPH_H
#define TESTS_UNIT_PLAN_GRAPH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/plan.h"

static inline struct plan *graph_create(void)
{
    struct plan *plan = mem_alloc(1, sizeof *plan, NULL);
    plan->tasks = mem_alloc(20000, sizeof *plan->tasks, NULL);
    snprintf(plan->campaign.name, sizeof plan->campaign.name, "test");
    plan->campaign.retries = 1;
    plan->config = mem_strdup("", NULL);
    return plan;
}

/* Inputs are indices of earlier tasks, -1 ends them. */
static inline int graph_task(struct plan *plan, double cost, int a, int b)
{
    int i = plan->n_tasks++, inputs[2] = { a, b };
    struct plan_task *t = &plan->tasks[i];
    char name[32];
    snprintf(t->id, sizeof t->id, "%032x", i + 0x1000);
    snprintf(name, sizeof name, "mock:%d", i);
    t->name = mem_strdup(name, NULL);
    t->kind = task_kind_find("mock");
    t->params = cJSON_CreateObject();
    t->labels = cJSON_CreateObject();
    t->inputs = mem_alloc(2, sizeof *t->inputs, NULL);
    t->input_tasks = mem_alloc(2, sizeof *t->input_tasks, NULL);
    t->cost = cost;
    t->ranks = 1;
    for (int k = 0; k < 2 && inputs[k] >= 0; k++) {
        t->input_tasks[k] = inputs[k];
        snprintf(t->inputs[k].id, TASK_ID, "%s", plan->tasks[inputs[k]].id);
        snprintf(t->inputs[k].role, sizeof t->inputs[k].role, "in%d", k);
        t->n_inputs++;
    }
    t->state = t->n_inputs == 0 ? TASK_READY : TASK_WAITING;
    return i;
}

#endif
