/* What a run looks like at one moment: counts, time left, what runs where. Shown
 * by the run itself and, through DIR/status.json, by `dinf status`. */
#ifndef DINF_COORD_SNAPSHOT_H
#define DINF_COORD_SNAPSHOT_H

#include "coord/report.h"
#include "plan/plan.h"

struct snapshot_worker {
    int rank, attempt;
    double seconds; /* of this attempt so far */
    char host[64], task[160];
    struct task_report report;
};

struct snapshot {
    char campaign[OPTION_NAME];
    double time;     /* seconds since the epoch */
    double elapsed;  /* seconds of this run */
    double left;     /* estimated seconds to the end; NaN: no idea */
    double fraction; /* of the estimated work */
    int total, waiting, ready, running, done, failed, skipped;
    int workers_total; /* workers of this run, idle ones included */
    bool stopping;
    struct snapshot_worker *workers; /* busy ones, by rank */
    int n_workers;
    char hosts[1024]; /* of the ranks, separated by spaces; "..." ends what is cut */
};

/* Counts and estimates from the plan's states: costs are scaled by what the
 * finished tasks of each kind took; running tasks by their own reports. workers
 * and n_workers must be set before (they carry the reports; `task` is the plan's
 * name of a task), workers_total too. */
int snapshot_estimate(struct snapshot *s, const struct plan *plan, double now, struct err *err);

cJSON *snapshot_to_json(const struct snapshot *s, struct err *err);
/* Fills s, workers included; snapshot_fini. */
int snapshot_from_json(const cJSON *o, struct snapshot *s, struct err *err);
void snapshot_fini(struct snapshot *s);

#endif
