/* Runs one task at a time: in a child process, or (tasks and runs that ask for
 * it) in this one. Worker ranks have one, and so has rank 0 when it is alone. */
#ifndef DINF_COORD_RUNNER_H
#define DINF_COORD_RUNNER_H

#include "coord/child.h"

struct runner {
    const struct run_settings *settings;
    /* Called with every report of a task that runs in this process, where nobody
     * polls meanwhile. */
    void (*tick)(void *arg, const struct task_report *report);
    void *arg;

    int task, attempt; /* task: -1 when idle */
    struct child child;
    struct task_report report;
    bool ended; /* in-process: `end` waits for runner_poll */
    struct attempt_end end;
};

void runner_init(struct runner *r, const struct run_settings *settings);
bool runner_busy(const struct runner *r);

/* Starts attempt `attempt` of the task that `spec` describes; a task that cannot
 * even be started has failed, which runner_poll then says. In-process it returns
 * when the task is through. */
void runner_start(struct runner *r, int task, int attempt, const char *spec);

/* Waits at most `wait` seconds. 1: the attempt ended as `end` says and the
 * runner is idle; 0: not yet, *fresh tells whether r->report is new. */
int runner_poll(struct runner *r, double wait, bool *fresh, struct attempt_end *end);

void runner_stop(struct runner *r);
void runner_kill(struct runner *r);

#endif
