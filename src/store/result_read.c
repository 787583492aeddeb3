/* Arrays out of result files: of tasks' inputs, and of files that users name. */
#include <stdbool.h>

#include "base/mem.h"
#include "store/h5.h"
#include "store/result.h"

static const char *class_name(H5T_class_t c)
{
    return c == H5T_FLOAT ? "floating-point numbers" : "integers";
}

/* The array as elements of the memory type `memory` (of `size` bytes). */
static int read_array(const char *file, const char *path, H5T_class_t class, hid_t memory, size_t size, int rank,
                      int64_t *dims, void **data, struct err *err)
{
    int rc = -1;
    hid_t d = -1, type = -1, space = -1;
    void *buffer = NULL;
    hid_t f = h5_open(file, err);
    if (f < 0)
        return -1;
    d = H5Dopen2(f, path, H5P_DEFAULT);
    if (d < 0) {
        h5_fail(err, "%s has no readable array %s", file, path);
        goto out;
    }
    type = H5Dget_type(d);
    space = H5Dget_space(d);
    if (H5Tget_class(type) != class) {
        err_set(err, "%s:%s does not hold %s", file, path, class_name(class));
        goto out;
    }
    if (H5Sget_simple_extent_ndims(space) != rank) {
        err_set(err, "%s:%s has %d dimensions where %d are expected", file, path, H5Sget_simple_extent_ndims(space),
                rank);
        goto out;
    }
    hsize_t extent[H5S_MAX_RANK];
    H5Sget_simple_extent_dims(space, extent, NULL);
    size_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (extent[i] > INT64_MAX || __builtin_mul_overflow(n, (size_t)extent[i], &n)) {
            err_set(err, "%s:%s is too large", file, path);
            goto out;
        }
        dims[i] = (int64_t)extent[i];
    }
    buffer = mem_alloc(n, size, err);
    if (buffer == NULL) {
        err_prefix(err, "%s:%s", file, path);
        goto out;
    }
    if (n > 0 && H5Dread(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer) < 0) {
        h5_fail(err, "cannot read %s:%s", file, path);
        goto out;
    }
    *data = buffer;
    buffer = NULL;
    rc = 0;
out:
    mem_free(buffer);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (d >= 0)
        H5Dclose(d);
    H5Fclose(f);
    return rc;
}

int result_read_float(const char *file, const char *path, int rank, int64_t *dims, float **data, struct err *err)
{
    void *p;
    if (read_array(file, path, H5T_FLOAT, H5T_NATIVE_FLOAT, sizeof **data, rank, dims, &p, err) != 0)
        return -1;
    *data = p;
    return 0;
}

int result_read_double(const char *file, const char *path, int rank, int64_t *dims, double **data, struct err *err)
{
    void *p;
    if (read_array(file, path, H5T_FLOAT, H5T_NATIVE_DOUBLE, sizeof **data, rank, dims, &p, err) != 0)
        return -1;
    *data = p;
    return 0;
}

int result_read_int(const char *file, const char *path, int rank, int64_t *dims, int64_t **data, struct err *err)
{
    void *p;
    if (read_array(file, path, H5T_INTEGER, H5T_NATIVE_INT64, sizeof **data, rank, dims, &p, err) != 0)
        return -1;
    *data = p;
    return 0;
}
