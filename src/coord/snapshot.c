/* Counts, estimates, and their JSON. */
#include "coord/snapshot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { KINDS_MAX = 64 };

/* Seconds per estimated second, by kind of task, from what is done. */
struct pace {
    const struct task_kind *kind[KINDS_MAX];
    double seconds[KINDS_MAX], cost[KINDS_MAX];
    int n;
    double all_seconds, all_cost;
};

static int kind_index(struct pace *p, const struct task_kind *kind)
{
    for (int i = 0; i < p->n; i++)
        if (p->kind[i] == kind)
            return i;
    if (p->n == KINDS_MAX)
        return KINDS_MAX - 1;
    p->kind[p->n] = kind;
    return p->n++;
}

static void measure_pace(struct pace *p, const struct plan *plan)
{
    memset(p, 0, sizeof *p);
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        int k = kind_index(p, t->kind);
        if (t->state != TASK_DONE)
            continue;
        p->seconds[k] += t->seconds;
        p->cost[k] += t->cost;
        p->all_seconds += t->seconds;
        p->all_cost += t->cost;
    }
}

static double expected(struct pace *p, const struct plan_task *t)
{
    int k = kind_index(p, t->kind);
    if (p->cost[k] > 0)
        return t->cost * p->seconds[k] / p->cost[k];
    return p->all_cost > 0 ? t->cost * p->all_seconds / p->all_cost : t->cost;
}

/* Workers are in the order of their ranks. */
static const struct snapshot_worker *worker_of(const struct snapshot *s, const struct plan_task *t)
{
    int low = 0, high = s->n_workers;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (s->workers[middle].rank < t->rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n_workers && s->workers[low].rank == t->rank ? &s->workers[low] : NULL;
}

static double remaining_of(struct pace *p, const struct snapshot *s, const struct plan_task *t, double now)
{
    double whole = expected(p, t) * (1 - t->saved);
    if (t->state != TASK_RUNNING)
        return whole;
    const struct snapshot_worker *w = worker_of(s, t);
    double so_far = w != NULL ? w->seconds : now - t->start, f = w != NULL ? w->report.fraction : 0;
    if (f - t->saved > 0.02) /* of this attempt's own work */
        return so_far * (1 - f) / (f - t->saved);
    return whole > so_far ? whole - so_far : 0;
}

static void count(struct snapshot *s, enum task_state state)
{
    switch (state) {
    case TASK_WAITING:
        s->waiting++;
        break;
    case TASK_READY:
        s->ready++;
        break;
    case TASK_RUNNING:
        s->running++;
        break;
    case TASK_DONE:
        s->done++;
        break;
    case TASK_FAILED:
        s->failed++;
        break;
    case TASK_SKIPPED:
        s->skipped++;
        break;
    }
}

int snapshot_estimate(struct snapshot *s, const struct plan *plan, double now, struct err *err)
{
    struct pace pace;
    double work = 0, behind = 0, longest = 0;
    /* when a task's last input will be there, from now */
    double *end = mem_alloc((size_t)plan->n_tasks, sizeof *end, err);
    if (end == NULL)
        return -1;
    snprintf(s->campaign, sizeof s->campaign, "%s", plan->campaign.name);
    s->time = now;
    s->total = plan->n_tasks;
    s->waiting = s->ready = s->running = s->done = s->failed = s->skipped = 0;
    measure_pace(&pace, plan);
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        count(s, t->state);
        if (t->state == TASK_DONE) {
            behind += t->seconds;
            continue;
        }
        if (t->state == TASK_FAILED || t->state == TASK_SKIPPED)
            continue;
        double left = remaining_of(&pace, s, t, now), begin = 0;
        behind += expected(&pace, t) * t->saved;
        for (int j = 0; j < t->n_inputs; j++)
            begin = end[t->input_tasks[j]] > begin ? end[t->input_tasks[j]] : begin;
        end[i] = begin + left;
        longest = end[i] > longest ? end[i] : longest;
        work += left;
    }
    for (int i = 0; i < s->n_workers; i++)
        behind += s->workers[i].seconds;
    mem_free(end);
    double even = work / (s->workers_total > 0 ? s->workers_total : 1);
    s->left = even > longest ? even : longest;
    s->fraction = behind + work > 0 ? behind / (behind + work) : 1;
    return 0;
}

static bool add_number(cJSON *o, const char *name, double v)
{
    return (isfinite(v) ? cJSON_AddNumberToObject(o, name, v) : cJSON_AddNullToObject(o, name)) != NULL;
}

static bool add_worker(cJSON *list, const struct snapshot_worker *w)
{
    cJSON *o = cJSON_CreateObject();
    return o != NULL && cJSON_AddItemToArray(list, o) && add_number(o, "rank", w->rank) &&
           cJSON_AddStringToObject(o, "host", w->host) != NULL && cJSON_AddStringToObject(o, "task", w->task) != NULL &&
           add_number(o, "attempt", w->attempt) && add_number(o, "seconds", w->seconds) &&
           add_number(o, "fraction", w->report.fraction) && add_number(o, "loss", w->report.loss) &&
           add_number(o, "rate", w->report.rate) && cJSON_AddStringToObject(o, "unit", w->report.unit) != NULL &&
           cJSON_AddStringToObject(o, "what", w->report.what) != NULL;
}

cJSON *snapshot_to_json(const struct snapshot *s, struct err *err)
{
    cJSON *o = cJSON_CreateObject();
    bool ok = o != NULL && cJSON_AddStringToObject(o, "campaign", s->campaign) != NULL &&
              add_number(o, "time", s->time) && add_number(o, "elapsed", s->elapsed) &&
              add_number(o, "left", s->left) && add_number(o, "fraction", s->fraction) &&
              add_number(o, "total", s->total) && add_number(o, "waiting", s->waiting) &&
              add_number(o, "ready", s->ready) && add_number(o, "running", s->running) &&
              add_number(o, "done", s->done) && add_number(o, "failed", s->failed) &&
              add_number(o, "skipped", s->skipped) && add_number(o, "workers_total", s->workers_total) &&
              cJSON_AddBoolToObject(o, "stopping", s->stopping) != NULL &&
              cJSON_AddStringToObject(o, "hosts", s->hosts) != NULL;
    cJSON *list = ok ? cJSON_AddArrayToObject(o, "workers") : NULL;
    ok = list != NULL;
    for (int i = 0; ok && i < s->n_workers; i++)
        ok = add_worker(list, &s->workers[i]);
    if (!ok) {
        err_set(err, "out of memory");
        cJSON_Delete(o);
        return NULL;
    }
    return o;
}

static double number(const cJSON *o, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static int integer(const cJSON *o, const char *name)
{
    double v = number(o, name);
    return v > -2e9 && v < 2e9 ? (int)v : 0; /* NaN: 0 */
}

static void string(const cJSON *o, const char *name, char *out, size_t size)
{
    const char *v = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
    snprintf(out, size, "%s", v != NULL ? v : "");
}

int snapshot_from_json(const cJSON *o, struct snapshot *s, struct err *err)
{
    memset(s, 0, sizeof *s);
    if (!cJSON_IsObject(o))
        return err_set(err, "the status is not a JSON object");
    string(o, "campaign", s->campaign, sizeof s->campaign);
    string(o, "hosts", s->hosts, sizeof s->hosts);
    s->time = number(o, "time");
    s->elapsed = number(o, "elapsed");
    s->left = number(o, "left");
    s->fraction = number(o, "fraction");
    s->total = integer(o, "total");
    s->waiting = integer(o, "waiting");
    s->ready = integer(o, "ready");
    s->running = integer(o, "running");
    s->done = integer(o, "done");
    s->failed = integer(o, "failed");
    s->skipped = integer(o, "skipped");
    s->workers_total = integer(o, "workers_total");
    s->stopping = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "stopping"));
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "workers"), *item;
    s->workers = mem_alloc((size_t)cJSON_GetArraySize(list), sizeof *s->workers, err);
    if (s->workers == NULL)
        return -1;
    cJSON_ArrayForEach(item, list)
    {
        struct snapshot_worker *w = &s->workers[s->n_workers++];
        w->rank = integer(item, "rank");
        w->attempt = integer(item, "attempt");
        w->seconds = number(item, "seconds");
        string(item, "host", w->host, sizeof w->host);
        string(item, "task", w->task, sizeof w->task);
        w->report.fraction = number(item, "fraction");
        w->report.loss = number(item, "loss");
        w->report.rate = number(item, "rate");
        string(item, "unit", w->report.unit, sizeof w->report.unit);
        string(item, "what", w->report.what, sizeof w->report.what);
    }
    return 0;
}

void snapshot_fini(struct snapshot *s)
{
    mem_free(s->workers);
    s->workers = NULL;
    s->n_workers = 0;
}
