/* How good and how fast the schedule is, on campaigns that nobody has to run. */
#include "plan/print.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "plan/schedule.h"

struct shape {
    const char *name, *help;
    int victims, thefts, evaluations; /* thefts a victim; evaluations a theft */
};

static const struct shape shapes[] = {
    { "wide", "10 victims, 200 thefts each, 4 evaluations a theft", 10, 200, 4 },
    { "deep", "40 victims, 20 thefts each, 11 evaluations a theft", 40, 20, 11 },
    { "single", "1 victim, 3333 thefts, 2 evaluations a theft", 1, 3333, 2 },
};

static void add(struct plan *plan, int input, double cost, struct task_input *inputs, int *input_tasks)
{
    int i = plan->n_tasks++;
    struct plan_task *t = &plan->tasks[i];
    t->cost = cost;
    t->ranks = 1;
    if (input < 0)
        return;
    t->inputs = &inputs[i];
    t->input_tasks = &input_tasks[i];
    t->input_tasks[0] = input;
    t->n_inputs = 1;
}

/* Costs in seconds, spread as in real campaigns: budgets differ by a factor of 100. */
static void fill(struct plan *plan, const struct shape *shape, struct task_input *inputs, int *input_tasks)
{
    struct rng r = rng_at(1, RNG_MOCK, 0, 0, 0);
    for (int v = 0; v < shape->victims; v++) {
        int victim = plan->n_tasks, answers = victim + 1;
        add(plan, -1, 1800 * (0.5 + rng_double(&r)), inputs, input_tasks);
        add(plan, victim, 60, inputs, input_tasks);
        for (int k = 0; k < shape->thefts; k++) {
            double x = rng_double(&r);
            int theft = plan->n_tasks;
            add(plan, answers, 9 + 900 * x * x * x, inputs, input_tasks);
            for (int e = 0; e < shape->evaluations; e++)
                add(plan, theft, 5 + 20 * rng_double(&r), inputs, input_tasks);
        }
    }
}

/* Wall seconds to hand out and finish every task once, without any work. */
static int overhead(struct plan *plan, double *seconds, struct err *err)
{
    double start = clock_monotonic();
    struct schedule *s = schedule_create(plan, err);
    if (s == NULL)
        return -1;
    for (int i = schedule_next(s); i >= 0; i = schedule_next(s)) {
        schedule_started(s, i, 1, 0);
        schedule_done(s, i, 0);
    }
    *seconds = clock_monotonic() - start;
    int rc = schedule_finished(s) ? 0 : err_set(err, "the schedule left tasks behind");
    schedule_destroy(s);
    return rc;
}

static int bench_shape(const struct shape *shape, bool json, bool *first, struct err *err)
{
    int rc = -1, n = shape->victims * (2 + shape->thefts * (1 + shape->evaluations));
    double seconds;
    struct plan plan = { 0 };
    struct task_input *inputs = mem_alloc((size_t)n, sizeof *inputs, err);
    int *input_tasks = mem_alloc((size_t)n, sizeof *input_tasks, err);
    plan.tasks = mem_alloc((size_t)n, sizeof *plan.tasks, err);
    if (inputs == NULL || input_tasks == NULL || plan.tasks == NULL)
        goto out;
    fill(&plan, shape, inputs, input_tasks);
    if (overhead(&plan, &seconds, err) != 0)
        goto out;
    if (!json)
        printf("%s: %s;\n  %d tasks, %.1f us each to schedule\n"
               "  %6s %12s %12s %9s %12s %6s %10s\n",
               shape->name, shape->help, n, 1e6 * seconds / n, "ranks", "makespan s", "bound s", "ratio", "releases",
               "busy", "took s");
    for (int ranks = 64; ranks <= 4096; ranks *= 2) {
        struct simulation s;
        double start = clock_monotonic();
        if (schedule_simulate(&plan, ranks, &s, err) != 0)
            goto out;
        double took = clock_monotonic() - start;
        if (json)
            printf("%s{\"shape\":\"%s\",\"tasks\":%d,\"ranks\":%d,\"makespan\":%.6g,"
                   "\"lower_bound\":%.6g,\"ratio\":%.6g,"
                   "\"release_bound\":%.6g,\"utilisation\":%.6g,\"simulation_seconds\":%.6g,\"microseconds_per_task\":%"
                   ".6g}",
                   *first ? "" : ",", shape->name, n, ranks, s.makespan, s.lower_bound, s.makespan / s.lower_bound,
                   s.release_bound, s.utilisation, took, 1e6 * seconds / n);
        else
            printf("  %6d %12.1f %12.1f %9.4f %12.4f %5.0f%% %10.4f\n", ranks, s.makespan, s.lower_bound,
                   s.makespan / s.lower_bound, s.makespan / s.release_bound, 100 * s.utilisation, took);
        *first = false;
    }
    rc = 0;
out:
    mem_free(plan.tasks);
    mem_free(inputs);
    mem_free(input_tasks);
    return rc;
}

int plan_bench_schedule(bool json, struct err *err)
{
    bool first = true;
    if (json)
        printf("{\"schedule\":[");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (bench_shape(&shapes[i], json, &first, err) != 0)
            return -1;
    if (json)
        printf("]}\n");
    else
        printf("bound: max(longest chain, work / ranks); releases: the bound that knows that\n"
               "work cannot begin before what it needs\n");
    return 0;
}
