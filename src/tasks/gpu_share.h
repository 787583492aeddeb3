/* Room on a device that several processes share: so many tasks at a time, and each
 * only when the memory it needs is free. Rank 0 hands out tasks without knowing of
 * GPUs; a task that finds no place waits for one of the others to end.
 *
 * The others are found by locks on files of this machine, which end with their
 * process however it ends. */
#ifndef DINF_TASKS_GPU_SHARE_H
#define DINF_TASKS_GPU_SHARE_H

#include "tasks/task.h"

struct gpu_share {
    int slot, memory, user; /* locked files, -1: none */
};

/* Waits for a place among ctx->sharing tasks (0: any number) on ctx->device. 0, STOPPED
 * or -1. */
int gpu_share_enter(const struct task_context *ctx, struct gpu_share *share, struct err *err);

/* Waits until as much of the device's memory is free as `need` says (asked anew each
 * time: what a task needs may depend on what is free), or nobody else holds any: then
 * waiting longer would help nobody. Until gpu_share_settled nobody else is let in, so that
 * what was free is still so when it is allocated. 0, STOPPED, or -1: also if the
 * device has not so much memory at all. */
int gpu_share_reserve(const struct task_context *ctx, struct gpu_share *share,
                      int (*need)(void *arg, size_t *bytes, struct err *err), void *arg, struct err *err);
/* The memory has been allocated. */
void gpu_share_settled(struct gpu_share *share);
void gpu_share_leave(struct gpu_share *share);

#endif
