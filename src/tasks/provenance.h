/* What every result says about where it comes from. */
#ifndef DINF_TASKS_PROVENANCE_H
#define DINF_TASKS_PROVENANCE_H

#include "device/device.h"
#include "tasks/task.h"

/* Strings and numbers: version, revision, host, device, threads, task id, kind,
 * name, its parameters as canonical JSON, inputs, versions of libraries. Nothing
 * that differs between an interrupted and an undisturbed run (the journal has
 * attempts and times). `dev` may be NULL. */
cJSON *provenance_create(const struct task_context *ctx, const struct task_kind *kind, const struct device *dev,
                         int threads, struct err *err);

/* Adds "library_NAME" = version for each library that results may depend on
 * (MPI is coord's). -1: out of memory. */
int provenance_libraries(cJSON *object);

#endif
