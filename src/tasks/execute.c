/* One task, start to end, in this process. */
#include "tasks/execute.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "device/device.h"
#include "tasks/files.h"
#include "tasks/provenance.h"
#include "tasks/gpu_share.h"

static int check_file(const char *path, const char *planned, const char *what, struct err *err)
{
    char hex[HASH_HEX];
    if (planned[0] == '\0')
        return 0;
    if (hash_file(path, hex, err) != 0)
        return -1;
    return strcmp(hex, planned) == 0 ? 0 : err_set(err, "%s %s: its SHA-256 is not the recorded one", path, what);
}

/* Files that the parameters name are those that the plan saw. */
static int check_contents(const struct task_context *ctx, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, ctx->contents)
    {
        const char *file = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(ctx->params, item->string));
        if (file != NULL && cJSON_IsString(item) &&
            check_file(file, item->valuestring, "has changed since the run began", err) != 0)
            return -1;
    }
    return 0;
}

/* The inputs are the files that their tasks left. */
static int check_inputs(const struct task_context *ctx, struct err *err)
{
    static const char damaged[] = "is damaged or another task's";
    char path[PATH_MAX];
    for (int i = 0; i < ctx->n_inputs; i++) {
        const struct task_input *input = &ctx->inputs[i];
        if (task_path(ctx->dir, input->id, ".h5", path, err) != 0 ||
            check_file(path, input->result, damaged, err) != 0 ||
            task_path(ctx->dir, input->id, ".safetensors", path, err) != 0 ||
            check_file(path, input->weights, damaged, err) != 0 || task_files_check(ctx->dir, input->id, err) != 0)
            return -1;
    }
    return 0;
}

int task_execute(struct task_context *ctx, const struct task_kind *kind, const char *device, int threads,
                 struct err *err)
{
    int rc = -1;
    struct device *dev = NULL;
    struct device_options options;
    cJSON *provenance = NULL;
    struct gpu_share share = { -1, -1, -1 };
    char result[PATH_MAX], folder[PATH_MAX], choices[PATH_MAX];
    if (task_path(ctx->dir, ctx->id, ".h5", result, err) != 0 ||
        fs_path(folder, sizeof folder, err, "%s/tasks", ctx->dir) != 0 ||
        fs_path(ctx->work, sizeof ctx->work, err, "%s/work/%s", ctx->dir, ctx->id) != 0)
        return -1;
    if (ctx->result != NULL && ctx->result[0] != '\0' && check_file(result, ctx->result, "", err) == 0)
        return fs_remove_tree(ctx->work, err);
    /* What stands there is damaged, or nobody has looked whether it is whole. */
    if ((fs_exists(result) && task_files_set_aside(ctx->dir, ctx->id, err) != 0) || check_inputs(ctx, err) != 0 ||
        check_contents(ctx, err) != 0)
        return -1;
    if (fs_mkdirs(folder, err) != 0 || fs_mkdirs(ctx->work, err) != 0)
        return -1;
    if (kind->needs_device) {
        if (fs_path(choices, sizeof choices, err, "%s/cuda-choices", ctx->dir) != 0)
            goto out;
        if (device_options_read(threads, &options, err) != 0)
            goto out;
        if (options.choices == NULL)
            options.choices = choices; /* measured once for all tasks of the run */
        dev = device_open_with(device, &options, err);
        if (dev == NULL)
            goto out;
    }
    provenance = provenance_create(ctx, kind, dev, threads, err);
    if (provenance == NULL)
        goto out;
    ctx->device = dev;
    ctx->gpu_share = &share;
    ctx->provenance = provenance;
    rc = dev == NULL ? 0 : gpu_share_enter(ctx, &share, err);
    if (rc == 0)
        rc = kind->run(ctx, err);
    ctx->gpu_share = NULL;
    ctx->device = NULL;
    ctx->provenance = NULL;
    if (rc == 0 && !fs_exists(result))
        rc = err_set(err, "the %s task left no result at %s", kind->name, result);
    if (rc == 0 && check_contents(ctx, err) != 0) { /* changed while it was read, perhaps */
        rc = -1;
        fs_remove_tree(result, NULL);
    }
    if (rc == 0)
        rc = fs_remove_tree(ctx->work, err);
out:
    cJSON_Delete(provenance);
    device_close(dev);
    gpu_share_leave(&share);
    return rc;
}
