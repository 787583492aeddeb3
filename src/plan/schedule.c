/* Who runs next. Longest remaining path first: a list schedule by that priority
 * is never longer than twice the optimum and in practice close to it. */
#include "plan/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "plan/edges.h"
#include "plan/heap.h"

struct schedule {
    struct plan *plan;
    struct edges edges;
    int *pending;      /* inputs that are not done */
    int *stack;        /* for skipping */
    struct heap ready; /* key: minus the remaining path */
    struct heap later; /* ready, but not before a time: the key */
    struct schedule_counts counts;
};

void schedule_paths(struct plan *plan)
{
    for (int i = 0; i < plan->n_tasks; i++)
        plan->tasks[i].path = plan->tasks[i].cost;
    for (int i = plan->n_tasks - 1; i >= 0; i--) { /* dependants stand behind */
        const struct plan_task *t = &plan->tasks[i];
        for (int k = 0; k < t->n_inputs; k++) {
            struct plan_task *from = &plan->tasks[t->input_tasks[k]];
            if (from->path < from->cost + t->path)
                from->path = from->cost + t->path;
        }
    }
}

static int *counter(struct schedule *s, enum task_state state)
{
    int *counters[] = { &s->counts.waiting, &s->counts.ready,  &s->counts.running,
                        &s->counts.done,    &s->counts.failed, &s->counts.skipped };
    return counters[state];
}

static bool is_final(enum task_state state)
{
    return state == TASK_DONE || state == TASK_FAILED || state == TASK_SKIPPED;
}

static void set_state(struct schedule *s, int task, enum task_state state)
{
    struct plan_task *t = &s->plan->tasks[task];
    --*counter(s, t->state);
    ++*counter(s, state);
    s->counts.cost_done += t->cost * (is_final(state) - is_final(t->state));
    t->state = state;
}

static void make_ready(struct schedule *s, int task)
{
    set_state(s, task, TASK_READY);
    heap_push(&s->ready, -s->plan->tasks[task].path, task);
}

struct schedule *schedule_create(struct plan *plan, struct err *err)
{
    struct schedule *s = mem_alloc(1, sizeof *s, err);
    if (s == NULL)
        return NULL;
    s->plan = plan;
    s->pending = mem_alloc((size_t)plan->n_tasks, sizeof *s->pending, err);
    s->stack = mem_alloc((size_t)plan->n_tasks, sizeof *s->stack, err);
    if (s->pending == NULL || s->stack == NULL || edges_init(&s->edges, plan, err) != 0 ||
        heap_init(&s->ready, plan->n_tasks, err) != 0 || heap_init(&s->later, plan->n_tasks, err) != 0) {
        schedule_destroy(s);
        return NULL;
    }
    schedule_paths(plan);
    s->counts.total = plan->n_tasks;
    for (int i = 0; i < plan->n_tasks; i++) {
        struct plan_task *t = &plan->tasks[i];
        s->counts.cost_total += t->cost;
        if (t->state == TASK_DONE) {
            s->counts.done++;
            s->counts.cost_done += t->cost;
            continue;
        }
        t->state = TASK_WAITING;
        t->attempts = 0;
        s->counts.waiting++;
        for (int k = 0; k < t->n_inputs; k++)
            s->pending[i] += plan->tasks[t->input_tasks[k]].state != TASK_DONE;
        if (s->pending[i] == 0)
            make_ready(s, i);
    }
    return s;
}

void schedule_destroy(struct schedule *s)
{
    if (s == NULL)
        return;
    edges_fini(&s->edges);
    heap_fini(&s->ready);
    heap_fini(&s->later);
    mem_free(s->pending);
    mem_free(s->stack);
    mem_free(s);
}

int schedule_next(struct schedule *s)
{
    return s->ready.n == 0 ? -1 : heap_pop(&s->ready).index;
}

void schedule_started(struct schedule *s, int task, int rank, double wall)
{
    struct plan_task *t = &s->plan->tasks[task];
    assert(t->state == TASK_READY);
    set_state(s, task, TASK_RUNNING);
    t->attempts++;
    t->rank = rank;
    t->start = wall;
    t->seconds = 0;
}

static void set_error(struct plan_task *t, const char *error)
{
    char *copy = error == NULL ? NULL : mem_strdup(error, NULL);
    mem_free(t->error);
    t->error = copy;
}

void schedule_done(struct schedule *s, int task, double seconds)
{
    struct plan_task *t = &s->plan->tasks[task];
    assert(t->state == TASK_RUNNING);
    t->seconds = seconds;
    set_error(t, NULL);
    set_state(s, task, TASK_DONE);
    for (int e = s->edges.first[task]; e < s->edges.first[task + 1]; e++) {
        int to = s->edges.to[e];
        if (--s->pending[to] == 0 && s->plan->tasks[to].state == TASK_WAITING)
            make_ready(s, to);
    }
}

static void skip(struct schedule *s, int task, const struct plan_task *cause)
{
    char *why = mem_printf(NULL, "%s failed", cause->name);
    set_state(s, task, TASK_SKIPPED);
    set_error(&s->plan->tasks[task], why);
    mem_free(why);
}

static void skip_dependants(struct schedule *s, int task)
{
    int n = 0;
    s->stack[n++] = task;
    while (n > 0) {
        int from = s->stack[--n];
        for (int e = s->edges.first[from]; e < s->edges.first[from + 1]; e++) {
            int to = s->edges.to[e];
            if (s->plan->tasks[to].state != TASK_WAITING)
                continue;
            skip(s, to, &s->plan->tasks[task]);
            s->stack[n++] = to;
        }
    }
}

/* A task that nobody runs and that is to be run: its inputs say whether it is ready, waits or is skipped. */
static void settle(struct schedule *s, int task, struct heap *queue, double key)
{
    const struct plan_task *t = &s->plan->tasks[task];
    for (int k = 0; k < t->n_inputs; k++) {
        const struct plan_task *from = &s->plan->tasks[t->input_tasks[k]];
        if (from->state != TASK_FAILED && from->state != TASK_SKIPPED)
            continue;
        skip(s, task, from);
        skip_dependants(s, task);
        return;
    }
    set_state(s, task, s->pending[task] > 0 ? TASK_WAITING : TASK_READY);
    if (s->pending[task] == 0)
        heap_push(queue, key, task);
}

bool schedule_failed(struct schedule *s, int task, double seconds, const char *error, int64_t retries, double due)
{
    struct plan_task *t = &s->plan->tasks[task];
    assert(t->state == TASK_RUNNING);
    t->seconds = seconds;
    set_error(t, error);
    if (t->attempts <= retries) {
        settle(s, task, &s->later, due);
        return t->state == TASK_SKIPPED; /* an input that was to be made anew has failed */
    }
    set_state(s, task, TASK_FAILED);
    skip_dependants(s, task);
    return true;
}

void schedule_defer(struct schedule *s, int task, double due)
{
    assert(s->plan->tasks[task].state == TASK_READY);
    heap_push(&s->later, due, task);
}

void schedule_wake(struct schedule *s, double now)
{
    while (s->later.n > 0 && s->later.items[0].key <= now) {
        int task = heap_pop(&s->later).index;
        heap_push(&s->ready, -s->plan->tasks[task].path, task);
    }
}

void schedule_requeue(struct schedule *s, int task)
{
    struct plan_task *t = &s->plan->tasks[task];
    assert(t->state == TASK_RUNNING || t->state == TASK_READY);
    if (t->state == TASK_RUNNING)
        t->attempts--;
    settle(s, task, &s->ready, -t->path);
}

void schedule_reopen(struct schedule *s, int task)
{
    struct plan_task *t = &s->plan->tasks[task];
    assert(t->state == TASK_DONE);
    t->attempts = 0;
    s->pending[task] = 0; /* nobody counted while it was done */
    for (int k = 0; k < t->n_inputs; k++)
        s->pending[task] += s->plan->tasks[t->input_tasks[k]].state != TASK_DONE;
    for (int e = s->edges.first[task]; e < s->edges.first[task + 1]; e++) {
        int to = s->edges.to[e];
        s->pending[to]++;
        if (s->plan->tasks[to].state != TASK_READY)
            continue;
        heap_remove(&s->ready, to);
        heap_remove(&s->later, to);
        set_state(s, to, TASK_WAITING);
    }
    settle(s, task, &s->ready, -t->path);
}

bool schedule_finished(const struct schedule *s)
{
    return s->counts.waiting + s->counts.ready + s->counts.running == 0;
}

struct schedule_counts schedule_counts(const struct schedule *s)
{
    return s->counts;
}
