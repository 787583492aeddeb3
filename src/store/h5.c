/* HDF5 prints stacks of its own functions at users and needs ten calls for one
 * dataset; both are dealt with here, once. */
#include "store/h5.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

enum { CHUNK_BYTES = 1 << 18, DEFLATE = 4 };

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *arg)
{
    const char **text = arg;
    if (n == 0)
        *text = e->desc;
    return 0;
}

int h5_fail(struct err *err, const char *format, ...)
{
    const char *why = NULL;
    char what[1024], reason[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &why);
    snprintf(reason, sizeof reason, "%s", why == NULL ? "HDF5 gave no reason" : why);
    H5Eclear2(H5E_DEFAULT);
    const char *hint = strstr(reason, "lock file") == NULL
                           ? ""
                           : " (on a network file system without locks, set HDF5_USE_FILE_LOCKING=FALSE)";
    return err_set(err, "%s: %s%s", what, reason, hint);
}

/* Strong closing: a file is closed with whatever is still open in it. */
static hid_t file_access(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0)
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    return access;
}

hid_t h5_create(const char *path, struct err *err)
{
    hid_t access = file_access();
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file < 0)
        h5_fail(err, "cannot create %s", path);
    H5Pclose(access);
    return file;
}

hid_t h5_open(const char *path, struct err *err)
{
    int fd = fs_open_regular(path, NULL, err); /* HDF5 would wait for a pipe's writer */
    if (fd < 0)
        return -1;
    close(fd);
    hid_t access = file_access();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0)
        h5_fail(err, "cannot open %s", path);
    H5Pclose(access);
    return file;
}

/* Variable-length UTF-8, for attributes; H5Tclose. */
static hid_t string_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static int put_attribute(hid_t object, const char *name, hid_t type, hid_t memory, hid_t space, const void *value,
                         struct err *err)
{
    hid_t a = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    int rc = a < 0 || H5Awrite(a, memory, value) < 0 ? h5_fail(err, "cannot write the attribute %s", name) : 0;
    if (a >= 0)
        H5Aclose(a);
    H5Sclose(space);
    return rc;
}

int h5_put_string(hid_t object, const char *name, const char *value, struct err *err)
{
    hid_t type = string_type();
    int rc = put_attribute(object, name, type, type, H5Screate(H5S_SCALAR), &value, err);
    H5Tclose(type);
    return rc;
}

int h5_put_strings(hid_t object, const char *name, const char *const *values, size_t n, struct err *err)
{
    hsize_t dims = n;
    const char **all = mem_alloc(n, sizeof *all, err);
    if (all == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        all[i] = values[i] == NULL ? "" : values[i];
    hid_t type = string_type();
    int rc = put_attribute(object, name, type, type, H5Screate_simple(1, &dims, NULL), all, err);
    H5Tclose(type);
    mem_free(all);
    return rc;
}

int h5_put_object(hid_t object, const cJSON *values, struct err *err)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, values)
    {
        int rc;
        if (cJSON_IsString(v)) {
            rc = h5_put_string(object, v->string, v->valuestring, err);
        } else if (cJSON_IsNumber(v) && v->valuedouble == rint(v->valuedouble) && fabs(v->valuedouble) <= 0x1p53) {
            int64_t whole = (int64_t)v->valuedouble;
            rc = put_attribute(object, v->string, H5T_STD_I64LE, H5T_NATIVE_INT64, H5Screate(H5S_SCALAR), &whole, err);
        } else if (cJSON_IsNumber(v)) {
            rc = put_attribute(object, v->string, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, H5Screate(H5S_SCALAR),
                               &v->valuedouble, err);
        } else {
            char *text = cJSON_PrintUnformatted(v);
            rc = text == NULL ? err_set(err, "out of memory") : h5_put_string(object, v->string, text, err);
            cJSON_free(text);
        }
        if (rc != 0)
            return -1;
    }
    return 0;
}

char *h5_get_string(hid_t object, const char *name, size_t i, struct err *err)
{
    char *text = NULL;
    if (H5Aexists(object, name) <= 0)
        return NULL;
    hid_t a = H5Aopen(object, name, H5P_DEFAULT), type = string_type(), space = H5Aget_space(a);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    char **all = n > 0 ? mem_alloc((size_t)n, sizeof *all, err) : NULL;
    if (all != NULL && H5Aread(a, type, all) >= 0) {
        if (i < (size_t)n && all[i] != NULL)
            text = mem_strdup(all[i], err);
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, all);
    }
    mem_free(all);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(a);
    return text;
}

hid_t h5_transfer(size_t bytes)
{
    enum { LEAST = 1 << 12, MOST = 1 << 20 };
    size_t buffer =
        bytes > MOST / 2 ? MOST : 2 * bytes; /* text of any length takes 16 bytes in the file, 8 in memory */
    hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    H5Pset_buffer(transfer, buffer < LEAST ? LEAST : buffer, NULL, NULL);
    return transfer;
}

/* Filters need chunks: about CHUNK_BYTES each, whole rows where they fit. */
static void layout_chunked(hid_t layout, int rank, const int64_t *dims, size_t element)
{
    hsize_t chunk[H5S_MAX_RANK];
    uint64_t bytes = element;
    for (int i = rank - 1; i >= 0; i--) {
        uint64_t fit = bytes >= CHUNK_BYTES ? 1 : CHUNK_BYTES / bytes;
        uint64_t want = dims[i] < 1 ? 1 : (uint64_t)dims[i];
        chunk[i] = want < fit ? want : fit;
        bytes *= chunk[i];
    }
    H5Pset_chunk(layout, rank, chunk);
    H5Pset_shuffle(layout);
    H5Pset_deflate(layout, DEFLATE);
    H5Pset_fletcher32(layout);
}

hid_t h5_write_dataset(hid_t file, const char *path, hid_t type, hid_t memory, const void *data, int rank,
                       const int64_t *dims, struct err *err)
{
    hsize_t size[H5S_MAX_RANK] = { 0 }, most[H5S_MAX_RANK] = { 0 };
    size_t bytes = H5Tget_size(memory);
    for (int i = 0; i < rank; i++) {
        size[i] = (hsize_t)dims[i];
        bytes *= (size_t)dims[i];
        /* a chunk may not exceed a fixed dimension, and no chunk is empty */
        most[i] = dims[i] == 0 ? H5S_UNLIMITED : size[i];
    }
    hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, size, most);
    hid_t transfer = h5_transfer(bytes), layout = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    H5Pset_char_encoding(links, H5T_CSET_UTF8);
    H5Pset_obj_track_times(layout, false); /* equal results, equal bytes */
    if (rank > 0)
        layout_chunked(layout, rank, dims, H5Tget_size(type));
    hid_t d = H5Dcreate2(file, path, type, space, links, layout, H5P_DEFAULT);
    if (d < 0 || (bytes > 0 && H5Dwrite(d, memory, H5S_ALL, H5S_ALL, transfer, data) < 0)) {
        h5_fail(err, "cannot write %s", path);
        if (d >= 0)
            H5Dclose(d);
        d = -1;
    }
    H5Pclose(links);
    H5Pclose(layout);
    H5Pclose(transfer);
    H5Sclose(space);
    return d;
}

int h5_write(hid_t file, const char *path, const char *description, const char *unit, hid_t type, hid_t memory,
             const void *data, int rank, const int64_t *dims, struct err *err)
{
    hid_t d = h5_write_dataset(file, path, type, memory, data, rank, dims, err);
    if (d < 0)
        return -1;
    int rc = h5_put_string(d, "description", description, err);
    if (rc == 0 && unit != NULL)
        rc = h5_put_string(d, "units", unit, err);
    H5Dclose(d);
    return rc;
}

void result_library(struct library *out)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    out->name = "hdf5";
    snprintf(out->version, sizeof out->version, "%u.%u.%u", major, minor, release);
}
