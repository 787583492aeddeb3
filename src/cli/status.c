/* dinf status: what became of a run so far, from any shell at any time. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "coord/frame.h"
#include "coord/rundir.h"
#include "plan/journal.h"

struct status_options {
    bool json, all;
};

static const struct option table[] = {
    { "json", OPTION_BOOL, offsetof(struct status_options, json), "false", 0, 0, NULL, NULL,
      "one JSON object on standard output" },
    { "all", OPTION_BOOL, offsetof(struct status_options, all), "false", 0, 0, NULL, NULL, "a line for every task" },
    OPTION_END,
};

static const char usage[] = "status DIR [--json] [--all]";
static const double silence = 60; /* seconds without news after which a run seems dead */

/* The running tasks' details, if the run that wrote them is still at it. */
static int read_details(const char *dir, struct snapshot *s, struct err *err)
{
    char path[PATH_MAX], *text = NULL;
    int rc = -1;
    memset(s, 0, sizeof *s);
    if (fs_path(path, sizeof path, err, "%s/status.json", dir) != 0)
        return -1;
    if (!fs_exists(path))
        return 0;
    if (fs_read(path, &text, NULL, err) != 0)
        return -1;
    cJSON *o = cJSON_Parse(text);
    rc = snapshot_from_json(o, s, err);
    cJSON_Delete(o);
    mem_free(text);
    return rc;
}

static void print_failures(const struct plan *plan, bool all)
{
    int shown = 0, more = 0;
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        if (t->state != TASK_FAILED)
            continue;
        if (++shown > 20 && !all) {
            more++;
            continue;
        }
        printf("failed  %s (attempt %d): %s\n        log: logs/%s.log\n", t->name, t->attempts,
               t->error != NULL ? t->error : "no message", t->id);
    }
    if (more > 0)
        printf("        and %d more (--all)\n", more);
}

static void print_tasks(const struct plan *plan)
{
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        char time[32] = "";
        if (t->state == TASK_DONE)
            clock_duration(t->seconds, time, sizeof time);
        printf("%-8s %.12s  %-10s %s\n", task_state_name(t->state), t->id, time, t->name);
    }
}

static void print_text(const char *dir, const struct plan *plan, const struct snapshot *s,
                       const struct journal_summary *summary, bool live, bool all)
{
    char text[16384], ago[32];
    frame_render(s, 80, 60, text, sizeof text);
    fputs(text, stdout);
    if (summary->runs == 0)
        printf("not started yet: %s\n", dir);
    else if (live)
        printf("running on %s, %d rank%s\n", s->hosts[0] ? s->hosts : summary->host, summary->ranks,
               summary->ranks == 1 ? "" : "s");
    else
        printf("%s; last news %s ago%s\n", summary->running ? "the run was killed" : "not running",
               clock_duration(clock_wall() - summary->last, ago, sizeof ago),
               s->waiting + s->ready + s->running > 0 ? "; the same command goes on" : "");
    print_failures(plan, all);
    if (all)
        print_tasks(plan);
}

static int print_json(const struct plan *plan, const struct snapshot *s, const struct journal_summary *summary,
                      bool live, struct err *err)
{
    int rc = -1;
    cJSON *o = snapshot_to_json(s, err), *list = NULL;
    if (o == NULL || cJSON_AddBoolToObject(o, "live", live) == NULL ||
        cJSON_AddNumberToObject(o, "runs", summary->runs) == NULL ||
        (list = cJSON_AddArrayToObject(o, "tasks")) == NULL)
        goto out;
    for (int i = 0; i < plan->n_tasks; i++) {
        const struct plan_task *t = &plan->tasks[i];
        cJSON *row = cJSON_CreateObject();
        if (row == NULL || !cJSON_AddItemToArray(list, row) || cJSON_AddStringToObject(row, "id", t->id) == NULL ||
            cJSON_AddStringToObject(row, "kind", t->kind->name) == NULL ||
            cJSON_AddStringToObject(row, "name", t->name) == NULL ||
            cJSON_AddStringToObject(row, "state", task_state_name(t->state)) == NULL ||
            cJSON_AddNumberToObject(row, "attempts", t->attempts) == NULL ||
            cJSON_AddNumberToObject(row, "seconds", t->seconds) == NULL ||
            cJSON_AddStringToObject(row, "error", t->error != NULL ? t->error : "") == NULL)
            goto out;
    }
    char *text = json_canonical(o, err);
    if (text != NULL) {
        puts(text);
        rc = 0;
    }
    mem_free(text);
out:
    cJSON_Delete(o);
    return rc;
}

/* Of a run that was killed nothing is running any more. */
static void interrupt(struct plan *plan, struct snapshot *s)
{
    s->n_workers = 0;
    s->stopping = false;
    for (int i = 0; i < plan->n_tasks; i++)
        if (plan->tasks[i].state == TASK_RUNNING)
            plan->tasks[i].state = TASK_READY;
}

int cli_status(int argc, char **argv)
{
    struct err err = { .text = "" };
    struct status_options o;
    struct plan *plan = NULL;
    struct snapshot s = { .workers = NULL };
    struct journal_summary summary;
    const char *dir = NULL;
    int n = 0;
    static const char *const lines[] = { "all", NULL };
    bool given[sizeof table / sizeof *table];
    int rc = cli_parse_given(argc, argv, usage,
                             "What is done, running and failed in a run directory, and how long the rest\n"
                             "takes.",
                             table, &o, given, &dir, 1, &n, &err);
    if (rc == 1)
        return EXIT_DONE;
    if (rc == 0 && o.json)
        rc = cli_check_unused(table, given, lines, "--json has every task", &err);
    if (rc == 0 && n != 1)
        rc = err_set(&err, "a run directory is wanted (usage: dinf %s)", usage);
    if (rc == 0)
        rc = rundir_read(dir, &plan, &summary, &err);
    if (rc == 0)
        rc = read_details(dir, &s, &err);
    if (rc == 0) {
        bool live = summary.running && clock_wall() - s.time < silence;
        if (!live)
            interrupt(plan, &s);
        if (s.workers_total == 0)
            s.workers_total = summary.ranks > 1 ? summary.ranks - 1 : 1;
        rc = snapshot_estimate(&s, plan, live ? s.time : clock_wall(), &err);
        if (rc == 0 && o.json)
            rc = print_json(plan, &s, &summary, live, &err);
        else if (rc == 0)
            print_text(dir, plan, &s, &summary, live, o.all);
    }
    snapshot_fini(&s);
    plan_destroy(plan);
    return rc == 0 ? EXIT_DONE : cli_error(&err);
}
