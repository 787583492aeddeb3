/* The plan for people (80 columns) and for programs. */
#include "plan/print.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "plan/schedule.h"

enum { LISTED = 60, WIDTH = 79 };

static int workers_of(int ranks)
{
    return ranks > 1 ? ranks - 1 : 1;
}

static void print_kinds(FILE *out, const struct plan *plan)
{
    fprintf(out, "%-20s %8s %14s %14s\n", "kind", "tasks", "estimated", "longest");
    for (int k = 0; task_kinds[k] != NULL; k++) {
        int n = 0;
        double sum = 0, longest = 0;
        char total[32], most[32];
        for (int i = 0; i < plan->n_tasks; i++) {
            const struct plan_task *t = &plan->tasks[i];
            if (t->kind != task_kinds[k])
                continue;
            n++;
            sum += t->cost;
            longest = t->cost > longest ? t->cost : longest;
        }
        if (n > 0)
            fprintf(out, "%-20s %8d %14s %14s\n", task_kinds[k]->name, n, clock_duration(sum, total, sizeof total),
                    clock_duration(longest, most, sizeof most));
    }
}

/* "victim" of "train:victim": what is left after the kind. */
static const char *short_name(const struct plan_task *t)
{
    const char *colon = strchr(t->name, ':');
    return colon == NULL ? t->name : colon + 1;
}

/* One line a task, its inputs by number: nothing stands before what it needs. */
static void print_task(FILE *out, const struct plan *plan, int i)
{
    const struct plan_task *t = &plan->tasks[i];
    char inputs[128] = "", cost[32];
    size_t used = 0;
    for (int k = 0; k < t->n_inputs && used < sizeof inputs; k++)
        used +=
            (size_t)snprintf(inputs + used, sizeof inputs - used, "%s%d", k == 0 ? " <- " : ",", t->input_tasks[k] + 1);
    clock_duration(t->cost, cost, sizeof cost);
    int room = WIDTH - 5 - 1 - 8 - 1 - 18 - 1 - (int)strlen(inputs) - 1 - (int)strlen(cost);
    int n = (int)strlen(short_name(t));
    if (room < 8)
        room = 8;
    if (n <= room)
        fprintf(out, "%5d %.8s %-18s %s%s%*s %s\n", i + 1, t->id, t->kind->name, short_name(t), inputs, room - n, "",
                cost);
    else
        fprintf(out, "%5d %.8s %-18s %.*s...%s %s\n", i + 1, t->id, t->kind->name, room - 3, short_name(t), inputs,
                cost);
}

static void print_simulation(FILE *out, const struct simulation *s, int ranks)
{
    char makespan[32], bound[32], path[32], work[32];
    clock_duration(s->makespan, makespan, sizeof makespan);
    clock_duration(s->lower_bound, bound, sizeof bound);
    clock_duration(s->critical_path, path, sizeof path);
    clock_duration(s->work, work, sizeof work);
    fprintf(out, "work %s, longest chain %s\n", work, path);
    if (ranks > 1)
        fprintf(out, "on %d ranks (one coordinates, %d work): ", ranks, workers_of(ranks));
    else
        fprintf(out, "on 1 rank: ");
    fprintf(out, "about %s,\n%.2f times the least possible (%s), %.0f%% busy\n", makespan,
            s->lower_bound > 0 ? s->makespan / s->lower_bound : 1, bound, 100 * s->utilisation);
    fprintf(out, "Estimates are for one thread of a present-day core; a run corrects them by what\n"
                 "it measures.\n");
}

int plan_print(FILE *out, const struct plan *plan, int ranks, struct err *err)
{
    struct simulation s;
    const struct campaign *c = &plan->campaign;
    if (ranks < 1)
        return err_set(err, "the number of ranks must be at least 1, not %d", ranks);
    if (schedule_simulate(plan, workers_of(ranks), &s, err) != 0)
        return -1;
    fprintf(out, "campaign %.60s: %d task%s, seed %lld, %lld trial%s, %lld thread%s a task\n\n", c->name, plan->n_tasks,
            plan->n_tasks == 1 ? "" : "s", (long long)c->seed, (long long)c->trials, c->trials == 1 ? "" : "s",
            (long long)c->threads, c->threads == 1 ? "" : "s");
    print_kinds(out, plan);
    fprintf(out, "\n%5s %-8s %-18s %s\n", "task", "id", "kind", "name <- tasks it needs");
    int shown = plan->n_tasks > LISTED ? LISTED - 1 : plan->n_tasks;
    for (int i = 0; i < shown; i++)
        print_task(out, plan, i);
    if (shown < plan->n_tasks)
        fprintf(out, "      ... and %d more (--json lists all)\n", plan->n_tasks - shown);
    fprintf(out, "\n");
    print_simulation(out, &s, ranks);
    return ferror(out) ? err_errno(err, "cannot write") : 0;
}

static cJSON *simulation_json(const struct simulation *s, int ranks)
{
    cJSON *o = cJSON_CreateObject();
    if (o != NULL && cJSON_AddNumberToObject(o, "ranks", ranks) != NULL &&
        cJSON_AddNumberToObject(o, "workers", workers_of(ranks)) != NULL &&
        cJSON_AddNumberToObject(o, "makespan", s->makespan) != NULL &&
        cJSON_AddNumberToObject(o, "critical_path", s->critical_path) != NULL &&
        cJSON_AddNumberToObject(o, "work", s->work) != NULL &&
        cJSON_AddNumberToObject(o, "lower_bound", s->lower_bound) != NULL &&
        cJSON_AddNumberToObject(o, "utilisation", s->utilisation) != NULL)
        return o;
    cJSON_Delete(o);
    return NULL;
}

static cJSON *task_json(const struct plan_task *t)
{
    cJSON *o = cJSON_CreateObject(), *inputs = NULL;
    bool good = o != NULL && cJSON_AddStringToObject(o, "id", t->id) != NULL &&
                cJSON_AddStringToObject(o, "kind", t->kind->name) != NULL &&
                cJSON_AddStringToObject(o, "name", t->name) != NULL &&
                cJSON_AddNumberToObject(o, "cost", t->cost) != NULL &&
                cJSON_AddNumberToObject(o, "path", t->path) != NULL &&
                (inputs = cJSON_AddObjectToObject(o, "inputs")) != NULL &&
                cJSON_AddItemReferenceToObject(o, "params", t->params) &&
                cJSON_AddItemReferenceToObject(o, "labels", t->labels);
    for (int k = 0; good && k < t->n_inputs; k++)
        good = cJSON_AddStringToObject(inputs, t->inputs[k].role, t->inputs[k].id) != NULL;
    if (good)
        return o;
    cJSON_Delete(o);
    return NULL;
}

int plan_print_json(FILE *out, const struct plan *plan, int ranks, int gpus, struct err *err)
{
    struct simulation s;
    if (ranks < 1)
        return err_set(err, "the number of ranks must be at least 1, not %d", ranks);
    if (schedule_simulate(plan, workers_of(ranks), &s, err) != 0)
        return -1;
    cJSON *root = cJSON_CreateObject(), *simulation = simulation_json(&s, ranks);
    cJSON *tasks = root == NULL ? NULL : cJSON_AddArrayToObject(root, "tasks");
    bool good = tasks != NULL && simulation != NULL &&
                cJSON_AddStringToObject(root, "campaign", plan->campaign.name) != NULL &&
                cJSON_AddStringToObject(root, "config_hash", plan->config_hash) != NULL &&
                cJSON_AddStringToObject(root, "device", plan->campaign.device) != NULL &&
                cJSON_AddNumberToObject(root, "gpus", gpus) != NULL &&
                cJSON_AddNumberToObject(root, "threads", (double)plan->campaign.threads) != NULL &&
                cJSON_AddNumberToObject(root, "ranks_per_gpu", (double)plan->campaign.ranks_per_gpu) != NULL;
    for (int i = 0; good && i < plan->n_tasks; i++) {
        cJSON *task = task_json(&plan->tasks[i]);
        good = task != NULL && cJSON_AddItemToArray(tasks, task);
        if (!good)
            cJSON_Delete(task);
    }
    if (good && cJSON_AddItemToObject(root, "simulation", simulation))
        simulation = NULL;
    else
        good = false;
    if (!good)
        err_set(err, "out of memory");
    char *text = good ? json_canonical(root, err) : NULL;
    if (text != NULL)
        fprintf(out, "%s\n", text);
    bool written = text != NULL;
    mem_free(text);
    cJSON_Delete(simulation);
    cJSON_Delete(root);
    return written ? 0 : -1;
}
