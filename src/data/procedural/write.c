/* The procedural set as files that any CIFAR-10 loader opens. */
#include <stdio.h>

#include "base/fs.h"
#include "base/mem.h"
#include "data/procedural/procedural.h"

enum { FILES = 5, RECORD = 1 + PROCEDURAL_PIXELS, PATH = 1024 };

static int write_file(const struct procedural_options *o, int64_t begin, int64_t n, const char *path, struct err *err)
{
    uint8_t *bytes = mem_alloc((size_t)n, RECORD, err);
    if (bytes == NULL)
        return -1;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        uint32_t index = (uint32_t)(begin + i);
        bytes[i * RECORD] = (uint8_t)procedural_label(o, index);
        procedural_render(o, index, bytes + i * RECORD + 1);
    }
    int rc = fs_write_atomic(path, bytes, (size_t)n * RECORD, err);
    mem_free(bytes);
    return rc;
}

/* Of the files 0 .. FILES, in the folder; the last one is the test batch. */
static int file_path(char path[PATH], const char *folder, int f, struct err *err)
{
    return f < FILES ? fs_path(path, PATH, err, "%s/data_batch_%d.bin", folder, f + 1)
                     : fs_path(path, PATH, err, "%s/test_batch.bin", folder);
}

int procedural_write(const struct procedural_options *o, const char *folder, struct err *err)
{
    char path[PATH];
    if (o->count < FILES)
        return err_set(err, "count = %d images cannot fill the %d files of CIFAR-10", (int)o->count, (int)FILES);
    if (fs_mkdirs(folder, err) != 0)
        return -1;
    for (int f = 0; f <= FILES; f++)
        if (file_path(path, folder, f, err) != 0 || fs_check_output(path, err) != 0)
            return -1;
    for (int f = 0; f < FILES; f++) {
        int64_t from = o->count * f / FILES, to = o->count * (f + 1) / FILES;
        if (file_path(path, folder, f, err) != 0 || write_file(o, o->begin + from, to - from, path, err) != 0)
            return -1;
    }
    if (file_path(path, folder, FILES, err) != 0)
        return -1;
    return write_file(o, o->begin + o->count, o->count / FILES, path, err);
}
