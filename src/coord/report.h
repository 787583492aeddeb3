/* What a running task says of itself, and how an attempt ended: the vocabulary
 * between child, worker and leader. */
#ifndef DINF_COORD_REPORT_H
#define DINF_COORD_REPORT_H

#include "tasks/task.h"

enum outcome {
    OUTCOME_DONE,
    OUTCOME_STOPPED,
    OUTCOME_FAILED,
    OUTCOME_STUCK, /* failed, and its process cannot be ended: the rank is not to be given another */
};

struct task_report {
    double fraction, loss, rate; /* NaN: unknown */
    char what[64], unit[16];
    bool waiting; /* for others: this time is not the task's */
};

void report_init(struct task_report *r);
void report_from_progress(struct task_report *r, const struct task_progress *p);

/* One line of text, for the pipe between a child and its worker:
 * "progress FRACTION LOSS RATE UNIT WHAT...", "waiting ..." likewise. Returns its length, newline
 * included. */
int report_print(const struct task_report *r, char *out, size_t size);
/* Likewise "error TEXT", cut to a line that the pipe takes at once: where the log cannot be written, nothing else
 * tells. */
int report_print_error(const char *text, char *out, size_t size);
/* Its text, or NULL if the line is something else. */
const char *report_error(const char *line);
/* 0, or -1 if the line is something else; r is then untouched. */
int report_parse(const char *line, struct task_report *r);

#endif
