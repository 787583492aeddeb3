/* The two ways to run a task behind one interface. */
#include "coord/runner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "tasks/execute.h"

void runner_init(struct runner *r, const struct run_settings *settings)
{
    memset(r, 0, sizeof *r);
    r->settings = settings;
    r->task = -1;
    r->child.pipe = -1;
    report_init(&r->report);
}

bool runner_busy(const struct runner *r)
{
    return r->task >= 0;
}

/* The runner whose task runs in this process: progress has no argument for it. */
static struct runner *here;

static void tick_here(const struct task_context *ctx, const struct task_progress *p)
{
    (void)ctx;
    report_from_progress(&here->report, p);
    if (here->tick != NULL)
        here->tick(here->arg, &here->report);
}

static void run_here(struct runner *r, const struct task_spec *spec)
{
    struct err err = { .text = "" };
    struct task_context ctx = { .dir = r->settings->dir,
                                .id = spec->id,
                                .name = spec->name,
                                .params = spec->params,
                                .contents = spec->contents,
                                .result = spec->result,
                                .inputs = spec->inputs,
                                .n_inputs = spec->n_inputs,
                                .attempt = r->attempt,
                                .sharing = r->settings->sharing,
                                .progress = tick_here };
    double start = clock_monotonic();
    here = r;
    int rc = task_execute(&ctx, spec->kind, r->settings->device, r->settings->threads, &err);
    here = NULL;
    r->end.outcome = rc == 0 ? OUTCOME_DONE : rc == STOPPED ? OUTCOME_STOPPED : OUTCOME_FAILED;
    r->end.seconds = clock_monotonic() - start;
    snprintf(r->end.error, sizeof r->end.error, "%.*s", (int)sizeof r->end.error - 1, rc == -1 ? err.text : "");
    r->ended = true;
}

static void never_started(struct runner *r, const struct err *err)
{
    r->end.outcome = OUTCOME_FAILED;
    r->end.seconds = 0;
    snprintf(r->end.error, sizeof r->end.error, "%.*s", (int)sizeof r->end.error - 1, err->text);
    r->ended = true;
}

void runner_start(struct runner *r, int task, int attempt, const char *text)
{
    struct err err = { .text = "" };
    struct task_spec spec;
    r->task = task;
    r->attempt = attempt;
    r->ended = false;
    report_init(&r->report);
    if (spec_parse(text, &spec, &err) != 0) {
        never_started(r, &err);
        return;
    }
    if (r->settings->in_process || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(spec.params, "in_process")))
        run_here(r, &spec);
    else if (child_start(&r->child, r->settings, spec.id, text, attempt, &err) != 0)
        never_started(r, &err);
    spec_fini(&spec);
}

int runner_poll(struct runner *r, double wait, bool *fresh, struct attempt_end *end)
{
    *fresh = false;
    if (r->task < 0)
        return 0;
    if (r->ended)
        *end = r->end;
    else if (child_poll(&r->child, wait, &r->report, fresh, end) == 0)
        return 0;
    r->ended = false;
    r->task = -1;
    return 1;
}

void runner_stop(struct runner *r)
{
    child_stop(&r->child);
}

void runner_kill(struct runner *r)
{
    child_kill(&r->child);
    r->task = -1;
}
