/* Names alone do not say whose a file is: files can be exchanged. */
#include "tasks/files.h"

#include <limits.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "conf/json.h"
#include "store/result.h"
#include "store/safetensors.h"
#include "tasks/task.h"

static const char *const suffixes[] = { ".h5", ".safetensors" };

static int check_weights(const char *path, const char *id, struct err *err)
{
    struct safetensors file;
    if (safetensors_open(path, &file, err) != 0)
        return -1;
    cJSON *provenance = cJSON_Parse(json_text(file.metadata, "provenance", ""));
    const char *made_by = json_text(provenance, "task", "");
    int rc = made_by[0] == '\0'         ? err_set(err, "%s does not say which task made it", path)
             : strcmp(made_by, id) != 0 ? err_set(err, "%s has the weights of another task, %.40s", path, made_by)
                                        : 0;
    cJSON_Delete(provenance);
    safetensors_close(&file);
    return rc;
}

int task_files_check(const char *dir, const char *id, struct err *err)
{
    char result[PATH_MAX], weights[PATH_MAX];
    if (task_path(dir, id, suffixes[0], result, err) != 0 || task_path(dir, id, suffixes[1], weights, err) != 0)
        return -1;
    if (fs_exists(result) && result_check_task(result, id, err) != 0)
        return -1;
    return fs_exists(weights) ? check_weights(weights, id, err) : 0;
}

int task_files_whole(const char *dir, const char *id, struct err *err)
{
    char result[PATH_MAX], weights[PATH_MAX], recorded[HASH_HEX], hex[HASH_HEX];
    bool encoder;
    if (task_path(dir, id, suffixes[0], result, err) != 0 || task_path(dir, id, suffixes[1], weights, err) != 0 ||
        result_check_whole(result, id, &encoder, recorded, err) != 0)
        return -1;
    if (!encoder)
        return 0;
    if (check_weights(weights, id, err) != 0 || hash_file(weights, hex, err) != 0)
        return -1;
    return recorded[0] == '\0' || strcmp(recorded, hex) == 0
               ? 0
               : err_set(err, "%s has not the weights that %s was written with", weights, result);
}

int task_files_set_aside(const char *dir, const char *id, struct err *err)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (task_path(dir, id, suffixes[i], path, err) != 0 || fs_set_aside(path, err) != 0)
            return -1;
    return 0;
}
