/* Running one task in this process: what `dinf task` and tests do. */
#ifndef DINF_TASKS_EXECUTE_H
#define DINF_TASKS_EXECUTE_H

#include "tasks/task.h"

/* Fills ctx->work, makes that folder, opens the device if the kind needs one,
 * runs the kind, and on success removes the folder. ctx: every other member is
 * the caller's. Returns what the kind returned (0, STOPPED, -1). A result that
 * exists already is success at once; what an attempt killed just before its end
 * left in the folder goes, too. */
int task_execute(struct task_context *ctx, const struct task_kind *kind, const char *device, int threads,
                 struct err *err);

#endif
