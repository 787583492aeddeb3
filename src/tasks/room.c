/* Locks and free memory, asked again and again until there is room. */
#include "tasks/room.h"

#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "device/device.h"

static const double poll_seconds = 0.3;

/* A file of this machine for this device: "gpu" and what tells it from others. */
static int open_lock(const struct device *dev, const char *what, int number)
{
    const char *folder = getenv("TMPDIR");
    char path[512];
    size_t n = (size_t)snprintf(path, sizeof path, "%s/dinf-", folder != NULL && folder[0] == '/' ? folder : "/tmp");
    for (const char *c = dev->description; *c != 0 && n + 32 < sizeof path; c++)
        path[n++] = (char)(isalnum((unsigned char)*c) ? *c : '-');
    snprintf(path + n, sizeof path - n, ".%s%d", what, number);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        log_warn("cannot open %s: tasks that share the GPU do not see each other", path);
    return fd;
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd); /* unlocks */
    *fd = -1;
}

static bool try_lock(int fd)
{
    return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool take_slot(const struct task_context *ctx, struct room *room)
{
    if (ctx->sharing == 0)
        return true;
    for (int i = 0; i < ctx->sharing; i++) {
        room->slot = open_lock(ctx->device, "slot", i);
        if (try_lock(room->slot))
            return true;
        drop(&room->slot);
    }
    return false;
}

/* 1: the memory is there, and kept from others; 0: not now. */
static int take_memory(const struct task_context *ctx, size_t bytes, struct room *room, struct err *err)
{
    size_t free, total;
    room->memory = open_lock(ctx->device, "memory", 0);
    if (!try_lock(room->memory)) {
        drop(&room->memory);
        return 0;
    }
    if (ctx->device->ops->memory(ctx->device, &free, &total, err) != 0)
        return -1;
    if (bytes > total)
        return err_set(err,
                       "this task needs about %zu MiB of GPU memory, the GPU has %zu MiB: use smaller batches or a "
                       "smaller encoder",
                       bytes >> 20, total >> 20);
    if (bytes <= free)
        return 1;
    drop(&room->memory);
    return 0;
}

static void report_waiting(const struct task_context *ctx)
{
    struct task_progress p = { .loss = NAN, .rate = NAN, .what = "waiting for the GPU" };
    if (ctx->progress != NULL)
        ctx->progress(ctx, &p);
}

int room_take(const struct task_context *ctx, size_t bytes, struct room *room, struct err *err)
{
    *room = (struct room){ -1, -1 };
    size_t free, total;
    if (ctx->device->ops->memory(ctx->device, &free, &total, err) != 0)
        return -1;
    if (total == SIZE_MAX) /* the host's memory: ranks are as many as its cores */
        return 0;
    bool placed = false;
    for (;;) {
        placed = placed || take_slot(ctx, room);
        int there = !placed ? 0 : bytes == 0 ? 1 : take_memory(ctx, bytes, room, err);
        if (there == 1)
            return 0;
        if (there < 0 || stop_requested()) {
            room_leave(room);
            return there < 0 ? -1 : STOPPED;
        }
        report_waiting(ctx);
        clock_sleep(poll_seconds);
    }
}

void room_settled(struct room *room)
{
    drop(&room->memory);
}

void room_leave(struct room *room)
{
    drop(&room->memory);
    drop(&room->slot);
}
