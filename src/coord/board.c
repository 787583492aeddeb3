/* The status file and the progress: for people, so that nothing here ends a run. */
#include "coord/board.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "conf/json.h"

int board_init(struct board *b, const char *dir, const struct plan *plan, const struct seats *seats, bool alone,
               struct err *err)
{
    *b = (struct board){ .plan = plan, .seats = seats, .dir = dir, .began = clock_monotonic(), .every = 1 };
    b->snapshot.workers = mem_alloc((size_t)seats->n, sizeof *b->snapshot.workers, err);
    b->progress = b->snapshot.workers != NULL ? progress_create(plan->n_tasks, alone, err) : NULL;
    return b->progress != NULL ? 0 : -1;
}

void board_fini(struct board *b)
{
    progress_destroy(b->progress);
    snapshot_fini(&b->snapshot);
}

/* Where the names of hosts do not all fit, the last word is "...". */
void board_note_host(struct board *b, const char *host)
{
    static const char more[] = " ...";
    char *hosts = b->snapshot.hosts;
    size_t used = strlen(hosts), n = strlen(host), size = sizeof b->snapshot.hosts;
    for (const char *p = hosts; n > 0 && (p = strstr(p, host)) != NULL; p += n)
        if ((p == hosts || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return;
    if (used >= strlen(more) && strcmp(hosts + used - strlen(more), more) == 0)
        return;
    bool fits = used + 1 + n + sizeof more <= size;
    snprintf(hosts + used, size - used, "%s%s", used > 0 ? " " : "", fits ? host : more + 1);
}

static int take_snapshot(struct board *b, struct err *err)
{
    struct snapshot *s = &b->snapshot;
    double now = clock_monotonic();
    s->n_workers = 0;
    s->workers_total = 0;
    for (int rank = b->seats->first; rank < b->seats->n; rank++) {
        const struct seat *seat = &b->seats->v[rank];
        s->workers_total += seat->present;
        if (seat->task < 0)
            continue;
        struct snapshot_worker *w = &s->workers[s->n_workers++];
        w->rank = rank;
        w->attempt = seat->attempt;
        w->seconds = now - seat->started;
        w->report = seat->report;
        snprintf(w->host, sizeof w->host, "%s", seat->host);
        snprintf(w->task, sizeof w->task, "%s", b->plan->tasks[seat->task].name);
    }
    s->stopping = b->stopping;
    s->elapsed = now - b->began;
    return snapshot_estimate(s, b->plan, clock_wall(), err);
}

static int write_status(struct board *b, struct err *err)
{
    int rc = -1;
    char path[PATH_MAX];
    cJSON *o = snapshot_to_json(&b->snapshot, err);
    char *text = o != NULL ? json_canonical(o, err) : NULL;
    if (text != NULL && fs_path(path, sizeof path, err, "%s/status.json", b->dir) == 0)
        rc = fs_write_atomic(path, text, strlen(text), err);
    mem_free(text);
    cJSON_Delete(o);
    return rc;
}

/* The status is for people: a run does not end because it cannot be written, and says
 * so every ten minutes. */
static void moan(struct board *b, const struct err *err)
{
    double now = clock_monotonic();
    if (b->moaned > 0 && now - b->moaned < 600)
        return;
    b->moaned = now;
    progress_say(b->progress, "warning: the status could not be written, and the run goes on: %s", err->text);
}

/* Now and then; how often follows from what it costs. Not more seldom than twice a
 * minute: `dinf status` tells of longer silence. */
void board_show(struct board *b, bool now)
{
    double start = clock_monotonic();
    if (!now && start - b->shown < b->every)
        return;
    struct err problem = { .text = "" };
    if (take_snapshot(b, &problem) != 0 || write_status(b, &problem) != 0)
        moan(b, &problem);
    progress_update(b->progress, &b->snapshot);
    b->shown = clock_monotonic();
    double cost = b->shown - start;
    b->every = fmin(fmax(50 * cost, 1), 30);
}
