/* CIFAR comes in three versions, packed, in a folder of its own: a path can be wrong in many ways. */
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "data/readers/cifar.h"

static bool has(const char *folder, const char *name)
{
    char path[CIFAR_PATH];
    struct err ignored;
    return fs_path(path, sizeof path, &ignored, "%s/%s", folder, name) == 0 && fs_exists(path);
}

static bool has_files(const struct cifar_variant *v, const char *folder)
{
    bool any = has(folder, v->test);
    for (int i = 0; i < v->n_train; i++)
        any = any || has(folder, v->train[i]);
    return any;
}

static bool ends_with(const char *text, const char *tail)
{
    size_t n = strlen(text), m = strlen(tail);
    return n >= m && strcmp(text + n - m, tail) == 0;
}

static int not_a_folder(const struct cifar_variant *v, const char *path, struct err *err)
{
    static const char *const packed[] = { ".tar.gz", ".tgz", ".tar", ".zip" };
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (ends_with(path, packed[i]))
            return err_set(err, "%s is an archive: unpack that of the binary version, %s, and give the folder %s", path,
                           v->archive, v->folder);
    return err_set(err, "%s is not a folder: the one with %s is wanted, %s", path, v->test, v->folder);
}

int cifar_folder(const struct cifar_variant *v, const char *path, char out[CIFAR_PATH], struct err *err)
{
    struct stat st;
    char inner[CIFAR_PATH];
    if (stat(path, &st) != 0)
        return err_errno(err, "cannot open %s", path);
    if (!S_ISDIR(st.st_mode))
        return not_a_folder(v, path, err);
    if (has_files(v, path))
        return fs_path(out, CIFAR_PATH, err, "%s", path);
    if (fs_path(inner, sizeof inner, err, "%s/%s", path, v->folder) != 0)
        return -1;
    if (has_files(v, inner))
        return fs_path(out, CIFAR_PATH, err, "%s", inner);
    if (has(path, v->archive))
        return err_set(err, "%s holds %s: unpack it and give the folder %s", path, v->archive, v->folder);
    if (has(path, v->other_file))
        return err_set(err, "%s holds no %s: format = \"%s\" reads what is there", path, v->name, v->other);
    for (int i = 0; v->foreign[i] != NULL; i++)
        if (has(path, v->foreign[i]))
            return err_set(
                err,
                "%s holds %s, which is another version of %s: the binary version is wanted, the folder %s of "
                "%s",
                path, v->foreign[i], v->name, v->folder, v->archive);
    return err_set(err, "%s has no %s: the folder of %s's binary version is wanted, %s", path, v->test, v->name,
                   v->folder);
}
