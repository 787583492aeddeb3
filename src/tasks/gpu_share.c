/* Locks and free memory, asked again and again until there is enough. */
#include "tasks/gpu_share.h"

#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
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

/* What a process on the GPU takes besides what its task says: the libraries' code, which
 * is loaded as it is used, and buffers of the device. Not measured yet: a context with cuDNN
 * and cuBLAS is expected to take 450 to 650 MiB, cuBLAS's working memory 32 more, and the
 * rest is margin, because a task that runs out of memory has failed and one that waits has not. */
static const size_t overhead = (size_t)768 << 20;

/* A file of this machine for this device; -1 (and a warning, once) if it cannot be
 * opened: then tasks do not see each other, and memory may run out. */
static int open_lock(const struct device *dev, const char *what, int number)
{
    static bool warned;
    const char *folder = getenv("TMPDIR");
    char path[512];
    size_t n = (size_t)snprintf(path, sizeof path, "%s/dinf-", folder != NULL && folder[0] == '/' ? folder : "/tmp");
    for (const char *c = dev->description; *c != 0 && n + 32 < sizeof path; c++)
        path[n++] = (char)(isalnum((unsigned char)*c) ? *c : '-');
    snprintf(path + n, sizeof path - n, ".%s%d", what, number);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 && !warned)
        log_warn("cannot open %s: tasks that share the GPU do not see each other", path);
    warned = warned || fd < 0;
    return fd;
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd); /* unlocks */
    *fd = -1;
}

static bool try_lock(int fd, int how)
{
    return fd < 0 || flock(fd, how | LOCK_NB) == 0;
}

/* Only devices with memory of their own are shared so; ranks are as many as the
 * host's cores. */
static int is_shared(struct device *dev, bool *shared, struct err *err)
{
    size_t free, total;
    int rc = dev->ops->memory(dev, &free, &total, err);
    *shared = rc == 0 && total != SIZE_MAX;
    return rc;
}

static void report(const struct task_context *ctx, bool waiting)
{
    struct task_progress p = { .loss = NAN, .rate = NAN, .waiting = waiting };
    if (waiting)
        snprintf(p.what, sizeof p.what, "waiting for the GPU");
    if (ctx->progress != NULL)
        ctx->progress(ctx, &p);
}

/* 0; STOPPED after a signal. */
static int wait_a_little(const struct task_context *ctx)
{
    report(ctx, true);
    clock_sleep(poll_seconds);
    return stop_requested() ? STOPPED : 0;
}

static bool take_slot(const struct task_context *ctx, struct gpu_share *share)
{
    for (int i = 0; i < ctx->sharing; i++) {
        share->slot = open_lock(ctx->device, "slot", i);
        if (try_lock(share->slot, LOCK_EX))
            return true;
        drop(&share->slot);
    }
    return false;
}

int gpu_share_enter(const struct task_context *ctx, struct gpu_share *share, struct err *err)
{
    bool shared;
    *share = (struct gpu_share){ -1, -1, -1 };
    if (is_shared(ctx->device, &shared, err) != 0)
        return -1;
    bool waited = false;
    while (shared && ctx->sharing > 0 && !take_slot(ctx, share)) {
        waited = true;
        if (wait_a_little(ctx) != 0)
            return STOPPED;
    }
    if (waited)
        report(ctx, false); /* from here on it is the task's own time */
    return 0;
}

/* 1: the memory is there, or nobody else's; 0: not now. The lock is held. */
static int enough(const struct task_context *ctx, struct gpu_share *share, size_t bytes, struct err *err)
{
    size_t free, total;
    if (ctx->device->ops->memory(ctx->device, &free, &total, err) != 0)
        return -1;
    if (bytes > total)
        return err_set(err,
                       "this task needs about %zu MiB of GPU memory, the GPU has %zu MiB: use smaller batches or a "
                       "smaller encoder",
                       bytes >> 20, total >> 20);
    share->user = open_lock(ctx->device, "user", 0);
    bool alone = try_lock(share->user, LOCK_EX);
    if ((bytes + overhead <= free || alone) && try_lock(share->user, LOCK_SH))
        return 1;
    drop(&share->user);
    return 0;
}

int gpu_share_reserve(const struct task_context *ctx, struct gpu_share *share,
                      int (*need)(void *arg, size_t *bytes, struct err *err), void *arg, struct err *err)
{
    bool shared;
    if (is_shared(ctx->device, &shared, err) != 0)
        return -1;
    bool waited = false;
    while (shared) {
        size_t bytes;
        share->memory = open_lock(ctx->device, "memory", 0);
        if (try_lock(share->memory, LOCK_EX)) {
            int there = need(arg, &bytes, err) != 0 ? -1 : enough(ctx, share, bytes, err);
            if (there > 0 && waited)
                report(ctx, false);
            if (there != 0)
                return there < 0 ? -1 : 0;
        }
        drop(&share->memory);
        waited = true;
        if (wait_a_little(ctx) != 0)
            return STOPPED;
    }
    return 0;
}

void gpu_share_settled(struct gpu_share *share)
{
    drop(&share->memory);
}

void gpu_share_leave(struct gpu_share *share)
{
    drop(&share->memory);
    drop(&share->user);
    drop(&share->slot);
}
