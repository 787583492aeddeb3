/* Whose a result file is, and whether all of it can be read: HDF5 checks its arrays only when they are read. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/h5.h"
#include "store/result.h"

enum { BLOCK_BYTES = 1 << 24 };

int h5_check_task(hid_t file, const char *path, const char *task, bool may_lack, struct err *err)
{
    int rc = 0;
    char *made_by = h5_get_string(file, "task", 0, NULL);
    if (made_by == NULL)
        rc = may_lack ? 0 : err_set(err, "%s does not say which task made it", path);
    else if (strcmp(made_by, task) != 0)
        rc = err_set(err, "%s is the result of another task, %.40s", path, made_by);
    mem_free(made_by);
    return rc;
}

static bool has_pointers(hid_t type)
{
    return H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tis_variable_str(type) > 0 || H5Tget_class(type) == H5T_COMPOUND;
}

/* Reads what `space` selects of a dataset, or an attribute whole. */
static int read_all(hid_t object, bool attribute, hid_t memory, hid_t space, size_t bytes, struct err *err)
{
    void *buffer = mem_alloc(bytes > 0 ? bytes : 1, 1, err);
    if (buffer == NULL)
        return -1;
    hssize_t n = H5Sget_select_npoints(space);
    const hsize_t count = n < 0 ? 0 : (hsize_t)n;
    hid_t flat = H5Screate_simple(1, &count, NULL);
    herr_t read =
        attribute ? H5Aread(object, memory, buffer) : H5Dread(object, memory, flat, space, H5P_DEFAULT, buffer);
    if (read >= 0 && has_pointers(memory))
        H5Dvlen_reclaim(memory, flat, H5P_DEFAULT, buffer);
    H5Sclose(flat);
    mem_free(buffer);
    return read < 0 ? h5_fail(err, "cannot be read") : 0;
}

/* Rows in blocks, so that arrays of any size can be read. */
static int read_blocks(hid_t dataset, hid_t memory, hid_t space, struct err *err)
{
    hsize_t dims[H5S_MAX_RANK] = { 0 }, begin[H5S_MAX_RANK] = { 0 }, count[H5S_MAX_RANK];
    size_t element = H5Tget_size(memory), row = element;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank <= 0)
        return rank < 0 ? h5_fail(err, "has no shape") : read_all(dataset, false, memory, space, element, err);
    for (int i = 1; i < rank; i++)
        if (__builtin_mul_overflow(row, (size_t)dims[i], &row))
            return err_set(err, "is too large");
    memcpy(count, dims, sizeof count);
    hsize_t step = row == 0 || row > BLOCK_BYTES ? 1 : BLOCK_BYTES / row;
    for (; begin[0] < dims[0] && row > 0; begin[0] += count[0]) {
        count[0] = dims[0] - begin[0] < step ? dims[0] - begin[0] : step;
        if (H5Sselect_hyperslab(space, H5S_SELECT_SET, begin, NULL, count, NULL) < 0)
            return h5_fail(err, "cannot be read");
        if (read_all(dataset, false, memory, space, (size_t)count[0] * row, err) != 0)
            return -1;
    }
    return 0;
}

static herr_t read_attribute(hid_t object, const char *name, const H5A_info_t *info, void *err)
{
    (void)info;
    hid_t a = H5Aopen(object, name, H5P_DEFAULT);
    if (a < 0)
        return h5_fail(err, "attribute %s", name);
    hid_t type = H5Aget_type(a), space = H5Aget_space(a), memory = H5Tget_native_type(type, H5T_DIR_ASCEND);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    int rc = memory < 0 || n < 0 || n > BLOCK_BYTES
                 ? h5_fail(err, "attribute %s", name)
                 : read_all(a, true, memory, space, (size_t)n * H5Tget_size(memory), err);
    H5Tclose(memory);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(a);
    return rc;
}

static herr_t read_object(hid_t file, const char *name, const H5O_info_t *info, void *err)
{
    hid_t object = H5Oopen(file, name, H5P_DEFAULT);
    if (object < 0)
        return h5_fail(err, "/%s cannot be opened", name);
    herr_t rc = H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, read_attribute, err);
    if (rc == 0 && info->type == H5O_TYPE_DATASET) {
        hid_t type = H5Dget_type(object), space = H5Dget_space(object),
              memory = H5Tget_native_type(type, H5T_DIR_ASCEND);
        rc = memory < 0 ? h5_fail(err, "has no type") : read_blocks(object, memory, space, err);
        H5Tclose(memory);
        H5Sclose(space);
        H5Tclose(type);
    }
    H5Oclose(object);
    if (rc == 0)
        return 0;
    struct err *why = err; /* empty where HDF5 ended the iteration by itself */
    return why->text[0] != '\0' ? err_prefix(err, "/%s", name) : h5_fail(err, "/%s cannot be read", name);
}

int result_check_task(const char *path, const char *task, struct err *err)
{
    hid_t file = h5_open(path, err);
    if (file < 0)
        return -1;
    int rc = h5_check_task(file, path, task, false, err);
    H5Fclose(file);
    return rc;
}

int result_check_whole(const char *path, const char *task, bool *encoder, char weights[HASH_HEX], struct err *err)
{
    hid_t file = h5_open(path, err);
    if (file < 0)
        return -1;
    int rc = h5_check_task(file, path, task, false, err);
    if (rc == 0)
        err->text[0] = '\0';
    if (rc == 0 && H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, read_object, err, H5O_INFO_BASIC) < 0)
        rc = err->text[0] != '\0' ? err_prefix(err, "%s", path) : h5_fail(err, "cannot read %s", path);
    *encoder = rc == 0 && H5Lexists(file, "encoders", H5P_DEFAULT) > 0;
    char *digest = rc == 0 ? h5_get_string(file, RESULT_WEIGHTS, 0, NULL) : NULL;
    snprintf(weights, HASH_HEX, "%s", digest == NULL ? "" : digest);
    mem_free(digest);
    H5Fclose(file);
    return rc;
}
