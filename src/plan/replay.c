/* From the journal back to the states: the only way state is ever restored. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/json.h"
#include "plan/journal.h"

struct replay {
    struct plan *plan;
    struct journal_summary summary;
};

static void set_error(struct plan_task *t, const char *text)
{
    mem_free(t->error);
    t->error = text == NULL ? NULL : mem_strdup(text, NULL);
}

/* A run begins: what was running was interrupted, what had failed is tried again. */
static void begin_run(struct replay *r, const cJSON *event)
{
    r->summary.runs++;
    r->summary.running = true;
    r->summary.run_start = json_number(event, "t", 0);
    r->summary.ranks = (int)json_number(event, "ranks", 0);
    snprintf(r->summary.host, sizeof r->summary.host, "%s", json_text(event, "host", ""));
    snprintf(r->summary.revision, sizeof r->summary.revision, "%s", json_text(event, "revision", ""));
    for (int i = 0; i < r->plan->n_tasks; i++) {
        struct plan_task *t = &r->plan->tasks[i];
        if (t->state == TASK_DONE)
            continue;
        t->state = TASK_WAITING;
        t->attempts = 0;
    }
}

static void apply(struct replay *r, const cJSON *event)
{
    const char *name = json_text(event, "event", "");
    double when = json_number(event, "t", 0);
    if (r->summary.first == 0)
        r->summary.first = when;
    r->summary.last = when;
    if (strcmp(name, "run") == 0) {
        begin_run(r, event);
        return;
    }
    if (strcmp(name, "end") == 0) {
        r->summary.running = false;
        return;
    }
    int i = plan_index(r->plan, json_text(event, "id", ""));
    if (i < 0)
        return;
    struct plan_task *t = &r->plan->tasks[i];
    int attempt = (int)json_number(event, "attempt", 0);
    t->rank = (int)json_number(event, "rank", t->rank);
    if (strcmp(name, "start") == 0) {
        t->state = TASK_RUNNING;
        t->attempts = attempt;
        t->start = when;
        t->seconds = 0;
    } else if (strcmp(name, "done") == 0) {
        t->state = TASK_DONE;
        t->attempts = attempt;
        t->seconds = json_number(event, "seconds", 0);
        t->start = when - t->seconds;
        t->saved = 0;
        snprintf(t->result, sizeof t->result, "%s", json_text(event, "result", ""));
        snprintf(t->weights, sizeof t->weights, "%s", json_text(event, "weights", ""));
        set_error(t, NULL);
    } else if (strcmp(name, "failed") == 0) {
        t->state = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(event, "final")) ? TASK_FAILED : TASK_WAITING;
        t->attempts = attempt;
        t->seconds = json_number(event, "seconds", 0);
        set_error(t, json_text(event, "error", ""));
    } else if (strcmp(name, "stopped") == 0) {
        t->state = TASK_WAITING;
        t->attempts = attempt > 0 ? attempt - 1 : 0;
        t->saved = json_number(event, "saved", 0);
    } else if (strcmp(name, "reopened") == 0) {
        t->state = TASK_WAITING;
        t->attempts = 0;
        t->result[0] = t->weights[0] = '\0';
    }
}

/* Done without a result is not done; then READY, WAITING and SKIPPED by the inputs. */
static void settle(struct plan *plan, bool (*exists)(void *, const char *), void *arg)
{
    for (int i = 0; i < plan->n_tasks; i++) {
        struct plan_task *t = &plan->tasks[i];
        if (t->state == TASK_DONE && exists != NULL && !exists(arg, t->id)) {
            t->state = TASK_WAITING;
            t->attempts = 0;
        }
        if (t->state != TASK_WAITING && t->state != TASK_READY)
            continue;
        t->state = TASK_READY;
        for (int k = 0; k < t->n_inputs; k++) {
            enum task_state from = plan->tasks[t->input_tasks[k]].state;
            if (from == TASK_FAILED || from == TASK_SKIPPED)
                t->state = TASK_SKIPPED;
            else if (from != TASK_DONE && t->state == TASK_READY)
                t->state = TASK_WAITING;
        }
    }
}

int journal_replay(const char *path, struct plan *plan, bool (*exists)(void *arg, const char *id), void *arg,
                   struct journal_summary *summary, struct err *err)
{
    int line = 1, left_out = 0, first = 0;
    char *text = NULL;
    size_t bytes = 0;
    struct replay r = { .plan = plan };
    for (int i = 0; i < plan->n_tasks; i++) {
        plan->tasks[i].state = TASK_WAITING;
        plan->tasks[i].attempts = 0;
        plan->tasks[i].rank = -1;
        plan->tasks[i].saved = 0;
        plan->tasks[i].result[0] = plan->tasks[i].weights[0] = '\0';
        set_error(&plan->tasks[i], NULL);
    }
    r.summary.unreadable = fs_exists(path) && fs_read(path, &text, &bytes, err) != 0;
    if (r.summary.unreadable)
        log_warn("the journal is left out: %s", err->text);
    for (const char *p = text, *newline; bytes > 0 && (newline = memchr(p, '\n', bytes)) != NULL; line++) {
        size_t n = (size_t)(newline - p);
        const char *rest = NULL;
        cJSON *event = cJSON_ParseWithLengthOpts(p, n, &rest, false);
        if (cJSON_IsObject(event) && rest == newline)
            apply(&r, event);
        else if (left_out++ == 0)
            first = line;
        cJSON_Delete(event);
        bytes -= n + 1;
        p = newline + 1;
    }
    if (left_out > 0)
        log_warn("%s: %d damaged line%s left out, the first is line %d", path, left_out,
                 left_out == 1 ? " is" : "s are", first);
    settle(plan, exists, arg);
    if (summary != NULL)
        *summary = r.summary;
    mem_free(text);
    return 0;
}
