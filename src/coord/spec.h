/* What a worker must know of a run and of one task, as text: it travels over
 * MPI to the worker and through a file descriptor to the child, so that
 * thousands of children need not read a plan of thousands of tasks. */
#ifndef DINF_COORD_SPEC_H
#define DINF_COORD_SPEC_H

#include "plan/plan.h"

struct run_settings {
    char dir[PATH_MAX]; /* run directory, absolute */
    char device[OPTION_NAME];
    int threads;            /* of every task */
    int sharing;            /* tasks at a time on a GPU; 0: any number */
    double task_seconds;    /* time limit of an attempt; 0: none */
    double grace_seconds;   /* between asking a task to stop and killing it */
    double silence_seconds; /* without news from a busy rank, or from rank 0, before it is given up; 0: any */
    bool in_process;        /* run tasks in the ranks themselves: for debugging */
};

char *settings_print(const struct run_settings *s, struct err *err); /* mem_free */
int settings_parse(const char *text, struct run_settings *s, struct err *err);

struct task_spec {
    cJSON *json; /* owns what follows */
    const char *id, *name;
    const struct task_kind *kind;
    const cJSON *params;
    const cJSON *contents; /* NULL: not known */
    const char *result;    /* digest of the result if it is done already; "" */
    struct task_input *inputs;
    int n_inputs;
};

/* The inputs' digests are those that `plan` has of their tasks. mem_free. */
char *spec_print(const struct plan *plan, const struct plan_task *task, struct err *err);
int spec_parse(const char *text, struct task_spec *spec, struct err *err);
void spec_fini(struct task_spec *spec);

#endif
