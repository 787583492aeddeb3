/* A task's results become one file that is complete or absent: it is written
 * under a temporary name and renamed when it is closed and on the disk. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/h5.h"
#include "store/result.h"

struct result {
    hid_t file;
    char path[PATH_MAX], tmp[PATH_MAX];
};

struct result *result_create(const char *path, const cJSON *provenance, struct err *err)
{
    struct result *r = mem_alloc(1, sizeof *r, err);
    if (r == NULL)
        return NULL;
    r->file = -1;
    if (fs_path(r->path, sizeof r->path, err, "%s", path) != 0 || fs_temporary(path, r->tmp, sizeof r->tmp, err) != 0)
        goto fail;
    r->file = h5_create(r->tmp, err);
    if (r->file < 0)
        goto fail;
    if (h5_put_object(r->file, provenance, err) != 0) {
        err_prefix(err, "%s", path);
        goto fail;
    }
    return r;
fail:
    result_abandon(r);
    return NULL;
}

static int named(const struct result *r, int rc, struct err *err)
{
    return rc == 0 ? 0 : err_prefix(err, "%s", r->path);
}

int result_table(struct result *r, const char *path, const char *description, const struct column *columns,
                 const void *rows, size_t row_size, size_t n, struct err *err)
{
    return named(r, h5_write_table(r->file, path, description, columns, rows, row_size, n, err), err);
}

int result_float(struct result *r, const char *path, const char *description, const char *unit, const float *data,
                 int rank, const int64_t *dims, struct err *err)
{
    return named(r, h5_write(r->file, path, description, unit, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, data, rank, dims, err),
                 err);
}

int result_double(struct result *r, const char *path, const char *description, const char *unit, const double *data,
                  int rank, const int64_t *dims, struct err *err)
{
    return named(
        r, h5_write(r->file, path, description, unit, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, data, rank, dims, err), err);
}

int result_int(struct result *r, const char *path, const char *description, const char *unit, const int64_t *data,
               int rank, const int64_t *dims, struct err *err)
{
    return named(r, h5_write(r->file, path, description, unit, H5T_STD_I64LE, H5T_NATIVE_INT64, data, rank, dims, err),
                 err);
}

int result_commit(struct result *r, struct err *err)
{
    herr_t closed = H5Fclose(r->file);
    r->file = -1;
    int rc = closed < 0 ? h5_fail(err, "cannot write %s", r->tmp) : fs_commit(r->tmp, r->path, err);
    result_abandon(r); /* after the rename there is no temporary file to remove */
    return rc;
}

void result_abandon(struct result *r)
{
    if (r == NULL)
        return;
    if (r->file >= 0)
        H5Fclose(r->file);
    if (r->tmp[0] != '\0')
        unlink(r->tmp);
    mem_free(r);
}
