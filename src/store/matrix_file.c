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

int matrix_shape(const struct npy *a, const char *path, struct err *err)
{
    char shape[NPY_SHAPE];
    npy_shape(a, shape);
    if (a->rank != 2)
        return err_set(err, "%s: representations are an array (n, d), one row an image; this has the shape %s", path,
                       shape);
    if (a->dims[0] < 1 || a->dims[1] < 1)
        return err_set(err, "%s is empty: its shape is %s", path, shape);
    if (a->dims[0] > INT32_MAX || a->dims[1] > INT32_MAX)
        return err_set(err, "%s is too large: its shape is %s, and at most %d rows and columns are possible", path,
                       shape, INT32_MAX);
    return 0;
}

static int read_npy(const char *path, int64_t *n, int64_t *d, double **data, struct err *err)
{
    struct npy a;
    if (npy_describe(path, &a, err) != 0 || matrix_shape(&a, path, err) != 0 || npy_read(path, NPY_F64, &a, err) != 0)
        return -1;
    *data = a.data;
    *n = a.dims[0];
    *d = a.dims[1];
    return matrix_shape(&a, path, err); /* of the file that was read */
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
    if (rc == 0 && (*n > INT32_MAX || *d > INT32_MAX))
        rc = err_set(err, "%s is too large: %lld rows of %lld columns, and at most %d of each are possible", spec,
                     (long long)*n, (long long)*d, INT32_MAX);
    if (rc == 0)
        rc = check_finite(*data, *n, *d, spec, err);
    if (rc != 0) {
        mem_free(*data);
        *data = NULL;
    }
    return rc;
}
