/* dinf status: what became of a run so far, from any shell at any time. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "coord/screen.h"
#include "coord/lock.h"
#include "coord/outline.h"
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
/* Seconds without news after which that is worth a word; a lock on another host is then
 * not believed any more. */
static const double silence = 60;

struct view {
    const char *dir;
    struct plan *plan;
    struct snapshot snapshot;
    struct journal_summary summary;
    enum lock_state lock;
    struct lock_holder holder;
    bool live;
    double news;         /* seconds since the last; NaN: none, or the clock was set back meanwhile */
    char missing[2][64]; /* what could not be read, "" where nothing is missing */
};

static int read_plan(struct view *v, struct err *err)
{
    char journal[PATH_MAX];
    struct err why = { .text = "" };
    if (rundir_read(v->dir, &v->plan, &v->summary, &why) == 0)
        return 0;
    if (fs_path(journal, sizeof journal, err, "%s/journal.jsonl", v->dir) != 0)
        return -1;
    if (!fs_exists(journal) || outline_read(v->dir, &v->plan, NULL) != 0) {
        *err = why;
        return -1;
    }
    snprintf(v->missing[0], sizeof v->missing[0], "plan.json");
    log_warn("%s/plan.json is lost or damaged: what follows is from the journal, which has no names, and only the "
             "tasks that began; `dinf run` with the config writes the plan again",
             v->dir);
    return journal_replay(journal, v->plan, rundir_has_result, (void *)v->dir, &v->summary, err);
}

/* Details of running tasks; the status is for people, and all that matters is in the journal. */
static void read_details(struct view *v)
{
    char path[PATH_MAX], *text = NULL;
    struct err why = { .text = "it is not there" };
    if (fs_path(path, sizeof path, NULL, "%s/status.json", v->dir) != 0 || (!fs_exists(path) && v->summary.runs == 0))
        return;
    cJSON *o = fs_exists(path) && fs_read(path, &text, NULL, &why) == 0 ? cJSON_Parse(text) : NULL;
    if (text != NULL && o == NULL)
        err_set(&why, "it is damaged");
    if (o == NULL || snapshot_from_json(o, &v->snapshot, &why) != 0) {
        snprintf(v->missing[1], sizeof v->missing[1], "status.json");
        log_warn("%s is left out: %s", path, why.text);
    }
    cJSON_Delete(o);
    mem_free(text);
}

/* The lock is believed, not the clock. What another host's process holds may not be
 * seen from here: its news are believed while they are fresh. */
static void judge(struct view *v)
{
    struct snapshot *s = &v->snapshot;
    double now = clock_wall(), last = fmax(s->time, v->summary.last);
    v->news = last > 0 && last <= now ? now - last : NAN;
    v->lock = lock_probe(v->dir, &v->holder);
    v->live = v->lock == LOCK_HELD || (v->lock == LOCK_ELSEWHERE && v->summary.running && v->news < silence);
    if (v->live && s->time >= v->summary.run_start)
        return;
    /* nothing is running any more, or the details are of the run before */
    s->n_workers = 0;
    s->stopping = false;
    for (int i = 0; !v->live && i < v->plan->n_tasks; i++)
        if (v->plan->tasks[i].state == TASK_RUNNING)
            v->plan->tasks[i].state = TASK_READY;
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

static void print_life(const struct view *v)
{
    const struct snapshot *s = &v->snapshot;
    const struct journal_summary *j = &v->summary;
    char ago[32] = "", news[64] = "; when the last news came is not known, the clock was set back";
    if (!isnan(v->news))
        snprintf(news, sizeof news, "; last news %s ago", clock_duration(v->news, ago, sizeof ago));
    if (v->live && j->runs == 0)
        printf("starting on %s\n", v->holder.host);
    else if (v->live)
        printf("running on %s, %d rank%s%s%s%s\n", s->hosts[0] ? s->hosts : j->host, j->ranks, j->ranks == 1 ? "" : "s",
               v->news > silence ? ", no news for " : "", v->news > silence ? ago : "",
               v->lock == LOCK_ELSEWHERE ? " (its news are fresh; whether it lives cannot be seen from this host)"
                                         : "");
    else if (j->runs == 0)
        printf("not started yet: %s\n", v->dir);
    else if (v->lock == LOCK_ELSEWHERE && j->running)
        printf("no news from the run on %s: it was killed or hangs%s\n", v->holder.host, news);
    else
        printf("%s%s%s\n", j->running ? "the run was killed" : "not running", news,
               s->waiting + s->ready + s->running > 0 ? "; the same command goes on" : "");
}

static void print_text(const struct view *v, bool all)
{
    char text[16384];
    screen_render(&v->snapshot, 80, 60, text, sizeof text);
    fputs(text, stdout);
    print_life(v);
    print_failures(v->plan, all);
    if (all)
        print_tasks(v->plan);
}

static int add_life(cJSON *o, const struct view *v)
{
    static const char *const locks[] = { "free", "held", "elsewhere" };
    cJSON *missing = NULL;
    if (cJSON_AddBoolToObject(o, "live", v->live) == NULL ||
        cJSON_AddStringToObject(o, "lock", locks[v->lock]) == NULL ||
        (isnan(v->news) ? cJSON_AddNullToObject(o, "news_seconds")
                        : cJSON_AddNumberToObject(o, "news_seconds", v->news)) == NULL ||
        cJSON_AddNumberToObject(o, "runs", v->summary.runs) == NULL ||
        (missing = cJSON_AddArrayToObject(o, "missing")) == NULL)
        return -1;
    for (int i = 0; i < 2; i++)
        if (v->missing[i][0] != '\0' && !cJSON_AddItemToArray(missing, cJSON_CreateString(v->missing[i])))
            return -1;
    return 0;
}

static int print_json(const struct view *v, struct err *err)
{
    int rc = -1;
    const struct plan *plan = v->plan;
    cJSON *o = snapshot_to_json(&v->snapshot, err), *list = NULL;
    if (o == NULL || add_life(o, v) != 0 || (list = cJSON_AddArrayToObject(o, "tasks")) == NULL)
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

static int show(struct view *v, const struct status_options *o, struct err *err)
{
    struct snapshot *s = &v->snapshot;
    if (read_plan(v, err) != 0)
        return -1;
    read_details(v);
    judge(v);
    if (s->workers_total == 0)
        s->workers_total = v->summary.ranks > 1 ? v->summary.ranks - 1 : 1;
    int total = s->total;
    bool outline = v->missing[0][0] != '\0';
    if (outline)
        snprintf(v->plan->campaign.name, sizeof v->plan->campaign.name, "%s", s->campaign);
    if (snapshot_estimate(s, v->plan, v->live && s->time > 0 ? s->time : clock_wall(), err) != 0)
        return -1;
    if (outline && total > s->total) { /* the run knew how many there are */
        s->waiting += total - s->total;
        s->total = total;
    }
    if (o->json)
        return print_json(v, err);
    print_text(v, o->all);
    return 0;
}

int cli_status(int argc, char **argv)
{
    struct err err = { .text = "" };
    struct status_options o;
    struct view v = { .plan = NULL };
    const char *dir = NULL;
    int n = 0;
    static const char *const lines[] = { "all", NULL };
    bool given[sizeof table / sizeof *table];
    int rc = cli_parse_given(argc, argv, usage,
                             "What is done, running and failed in a run directory, and how long the rest\n"
                             "takes. It runs if its lock is held, however old its news.\n\n"
                             "Exit status: 0; 1 tasks have failed; 2 usage, or no run directory.",
                             table, &o, given, &dir, 1, &n, &err);
    if (rc == 1)
        return EXIT_DONE;
    if (rc == 0 && o.json)
        rc = cli_check_unused(table, given, lines, "--json has every task", &err);
    if (rc == 0 && n != 1)
        rc = err_set(&err, "a run directory is wanted (usage: dinf %s)", usage);
    v.dir = dir;
    if (rc == 0)
        rc = show(&v, &o, &err);
    int status = rc != 0 ? cli_error(&err) : v.snapshot.failed > 0 ? EXIT_TASKS_FAILED : EXIT_DONE;
    snapshot_fini(&v.snapshot);
    plan_destroy(v.plan);
    return status;
}
