/* Room on a device that several processes share: so many tasks at a time, and each
 * only when the memory it needs is free. Rank 0 hands out tasks without knowing of
 * GPUs; a task that finds no room waits for one of the others to end.
 *
 * The others are found by locks on files of this machine, which end with their
 * process however it ends. */
#ifndef DINF_TASKS_ROOM_H
#define DINF_TASKS_ROOM_H

#include "tasks/task.h"

struct room {
    int slot, memory; /* locked files, -1: none */
};

/* Waits for a place among ctx->sharing tasks (0: any number) on ctx->device, then
 * for `bytes` of its memory (0: none is needed). Until room_settled nobody else is let in, so
 * that what was free is still so when it is allocated. STOPPED; -1 if the device
 * never has so much memory. */
int room_take(const struct task_context *ctx, size_t bytes, struct room *room, struct err *err);
/* The memory has been allocated. */
void room_settled(struct room *room);
void room_leave(struct room *room);

#endif
