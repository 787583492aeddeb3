/* What every result says about where it comes from. */
#ifndef DINF_TASKS_PROVENANCE_H
#define DINF_TASKS_PROVENANCE_H

#include "device/device.h"
#include "tasks/task.h"

/* Strings and numbers: version, revision, host, device, threads, task id, kind,
 * name, attempt and its parameters as canonical JSON, inputs. `dev` may be NULL. */
cJSON *provenance_create(const struct task_context *ctx, const struct task_kind *kind, const struct device *dev,
                         int threads, struct err *err);

#endif
