/* One task, start to end, in this process. */
#include "tasks/execute.h"

#include <stdlib.h>

#include "base/fs.h"
#include "device/device.h"
#include "tasks/provenance.h"
#include "tasks/room.h"

int task_execute(struct task_context *ctx, const struct task_kind *kind, const char *device, int threads,
                 struct err *err)
{
    int rc = -1;
    struct device *dev = NULL;
    cJSON *provenance = NULL;
    struct room room = { -1, -1, -1 };
    char result[PATH_MAX], folder[PATH_MAX], choices[PATH_MAX];
    if (task_path(ctx->dir, ctx->id, ".h5", result, err) != 0 ||
        fs_path(folder, sizeof folder, err, "%s/tasks", ctx->dir) != 0 ||
        fs_path(ctx->work, sizeof ctx->work, err, "%s/work/%s", ctx->dir, ctx->id) != 0)
        return -1;
    if (fs_exists(result)) /* perhaps since just before the end of an earlier attempt */
        return fs_remove_tree(ctx->work, err);
    if (fs_mkdirs(folder, err) != 0 || fs_mkdirs(ctx->work, err) != 0)
        return -1;
    if (kind->needs_device) {
        if (fs_path(choices, sizeof choices, err, "%s/cuda-choices", ctx->dir) != 0)
            goto out;
        setenv("DINF_CUDA_CHOICES", choices, 0); /* measured once for all tasks of the run */
        dev = device_open(device, threads, err);
        if (dev == NULL)
            goto out;
    }
    provenance = provenance_create(ctx, kind, dev, threads, err);
    if (provenance == NULL)
        goto out;
    ctx->device = dev;
    ctx->room = &room;
    ctx->provenance = provenance;
    rc = dev == NULL ? 0 : room_enter(ctx, &room, err);
    if (rc == 0)
        rc = kind->run(ctx, err);
    ctx->room = NULL;
    ctx->device = NULL;
    ctx->provenance = NULL;
    if (rc == 0 && !fs_exists(result))
        rc = err_set(err, "the %s task left no result at %s", kind->name, result);
    if (rc == 0)
        rc = fs_remove_tree(ctx->work, err);
out:
    cJSON_Delete(provenance);
    device_close(dev);
    room_leave(&room);
    return rc;
}
