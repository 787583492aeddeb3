/* audit and compare work on representations that someone else computed: this is
 * where they are read and refused if they are not a finite matrix. */
#include "store/matrix_file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/result.h"

static int check_finite(const double *x, int64_t n, int64_t d, const char *spec, struct err *err)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            if (!isfinite(x[i * d + j]))
                return err_set(err, "%s: row %lld, column %lld (from 0) is %s", spec, (long long)i, (long long)j,
                               isnan(x[i * d + j]) ? "not a number" : "infinite");
    return 0;
}

static int read_npy(const char *path, int64_t *n, int64_t *d, double **data, struct err *err)
{
    struct npy a;
    if (npy_read(path, &a, err) != 0)
        return -1;
    int rc = -1;
    if (a.rank != 2 || (a.type != NPY_F32 && a.type != NPY_F64)) {
        err_set(err, "%s: a 2-d array of float32 or float64 is expected, this is %d-d%s", path, a.rank,
                a.type == NPY_F32 || a.type == NPY_F64 ? "" : " and of integers");
        goto out;
    }
    *n = a.dims[0];
    *d = a.dims[1];
    if (a.type == NPY_F64) {
        *data = a.data;
        a.data = NULL;
    } else {
        const float *x = a.data;
        size_t count = a.bytes / sizeof *x;
        *data = mem_alloc(count, sizeof **data, err);
        if (*data == NULL)
            goto out;
        for (size_t i = 0; i < count; i++)
            (*data)[i] = x[i];
    }
    rc = 0;
out:
    mem_free(a.data);
    return rc;
}

/* FILE.h5:/path, cut at the last ":/". */
static int read_h5(const char *spec, int64_t *n, int64_t *d, double **data, struct err *err)
{
    char file[PATH_MAX];
    const char *cut = NULL;
    for (const char *p = spec; (p = strstr(p, ":/")) != NULL; p++)
        cut = p;
    if (cut == NULL)
        return err_set(err, "%s: not a file, and not FILE.h5:/path either", spec);
    if (fs_path(file, sizeof file, err, "%.*s", (int)(cut - spec), spec) != 0)
        return -1;
    int64_t dims[2];
    if (result_read_double(file, cut + 1, 2, dims, data, err) != 0)
        return -1;
    *n = dims[0];
    *d = dims[1];
    return 0;
}

int matrix_read(const char *spec, int64_t *n, int64_t *d, double **data, struct err *err)
{
    *data = NULL;
    const char *h5[] = { ".h5", ".hdf5" };
    for (size_t i = 0; i < sizeof h5 / sizeof h5[0]; i++) {
        size_t length = strlen(spec), tail = strlen(h5[i]);
        if (length > tail && strcmp(spec + length - tail, h5[i]) == 0 && fs_exists(spec))
            return err_set(err, "%s: say which array of the file, as in %s:/representations/ENCODER/SET", spec, spec);
    }
    int rc = fs_exists(spec) ? read_npy(spec, n, d, data, err) : read_h5(spec, n, d, data, err);
    if (rc == 0 && (*n == 0 || *d == 0))
        rc = err_set(err, "%s is empty: %lld rows of %lld columns", spec, (long long)*n, (long long)*d);
    if (rc == 0)
        rc = check_finite(*data, *n, *d, spec, err);
    if (rc != 0) {
        mem_free(*data);
        *data = NULL;
    }
    return rc;
}
