/* Arrays as whoever wrote them has them: any type, either byte order, either order of the axes. */
#include "store/npy.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/half.h"
#include "base/mem.h"
#include "store/npy_header.h"

/* ---- one element ---- */

#define LOADED(type)                                                                                                   \
    {                                                                                                                  \
        type v;                                                                                                        \
        memcpy(&v, p, sizeof v);                                                                                       \
        return v;                                                                                                      \
    }

/* Bits of a stored integer or bool; those of uint64 beyond 63 bits come out negative. */
static int64_t whole_of(int stored, const unsigned char *p)
{
    switch (stored) {
    case BOOL:
        return *p != 0;
    case I8:
        LOADED(int8_t)
    case I16:
        LOADED(int16_t)
    case I32:
        LOADED(int32_t)
    case U8:
        return *p;
    case U16:
        LOADED(uint16_t)
    case U32:
        LOADED(uint32_t)
    default:
        LOADED(int64_t)
    }
}

static double real_of(int stored, const unsigned char *p)
{
    uint16_t half;
    switch (stored) {
    case F16:
        memcpy(&half, p, sizeof half);
        return half_to_float(half);
    case F32:
        LOADED(float)
    case F64:
        LOADED(double)
    case U64:
        return (double)(uint64_t)whole_of(stored, p);
    default:
        return (double)whole_of(stored, p);
    }
}

/* "element [2, 0] is 300, not 0 to 255" */
static int out_of_range(const struct npy *a, size_t index, int64_t v, struct err *err)
{
    char place[NPY_SHAPE] = "", value[32];
    int64_t at[NPY_RANK_MAX];
    int n = 0;
    for (int i = a->rank; i-- > 0; index /= (size_t)a->dims[i])
        at[i] = (int64_t)(index % (size_t)a->dims[i]);
    for (int i = 0; i < a->rank; i++)
        n += snprintf(place + n, sizeof place - (size_t)n, "%s%lld", i > 0 ? ", " : "", (long long)at[i]);
    if (a->stored == U64)
        snprintf(value, sizeof value, "%llu", (unsigned long long)v);
    else
        snprintf(value, sizeof value, "%lld", (long long)v);
    return err_set(err, "element [%s] is %s, %s", place, value, a->type == NPY_U8 ? "not 0 to 255" : "too large");
}

static int store(struct npy *a, size_t index, const unsigned char *p, struct err *err)
{
    if (a->type == NPY_F32) {
        ((float *)a->data)[index] = (float)real_of(a->stored, p);
    } else if (a->type == NPY_F64) {
        ((double *)a->data)[index] = real_of(a->stored, p);
    } else {
        int64_t v = whole_of(a->stored, p);
        if ((a->stored == U64 && v < 0) || (a->type == NPY_U8 && (v < 0 || v > UINT8_MAX)))
            return out_of_range(a, index, v, err);
        if (a->type == NPY_U8)
            ((uint8_t *)a->data)[index] = (uint8_t)v;
        else
            ((int64_t *)a->data)[index] = v;
    }
    return 0;
}

/* ---- all of them ---- */

static void swap_elements(unsigned char *p, size_t bytes, size_t size)
{
    for (size_t at = 0; at < bytes; at += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char c = p[at + i];
            p[at + i] = p[at + size - 1 - i];
            p[at + size - 1 - i] = c;
        }
}

/* Data behind the header, in a file or in memory. */
struct source {
    FILE *f;
    const unsigned char *bytes; /* if f is NULL */
};

static int take(struct source *s, void *out, size_t n, struct err *err)
{
    if (s->f == NULL) {
        memcpy(out, s->bytes, n);
        s->bytes += n;
        return 0;
    }
    if (fread(out, 1, n, s->f) == n)
        return 0;
    return ferror(s->f) ? err_errno(err, "not all of it can be read") : err_set(err, "not all of it can be read");
}

/* Where the file's elements belong in memory, one after the other. */
struct walk {
    const struct npy *a;
    size_t index, stride[NPY_RANK_MAX];
    int64_t at[NPY_RANK_MAX];
};

static struct walk walk_begin(const struct npy *a)
{
    struct walk w = { .a = a };
    size_t stride = 1;
    for (int i = a->rank; i-- > 0; stride *= (size_t)a->dims[i])
        w.stride[i] = stride;
    return w;
}

static void walk_on(struct walk *w)
{
    if (!w->a->fortran) {
        w->index++;
        return;
    }
    for (int i = 0; i < w->a->rank; i++) {
        w->index += w->stride[i];
        if (++w->at[i] < w->a->dims[i])
            return;
        w->index -= w->stride[i] * (size_t)w->a->dims[i];
        w->at[i] = 0;
    }
}

static int convert(struct npy *a, size_t count, struct source *from, struct err *err)
{
    const size_t item = npy_item(a);
    unsigned char piece[1 << 14];
    struct walk w = walk_begin(a);
    while (count > 0) {
        size_t n = count < sizeof piece / item ? count : sizeof piece / item;
        if (take(from, piece, n * item, err) != 0)
            return -1;
        if (a->swapped)
            swap_elements(piece, n * item, item);
        for (size_t k = 0; k < n; k++, walk_on(&w))
            if (store(a, w.index, piece + k * item, err) != 0)
                return -1;
        count -= n;
    }
    return 0;
}

/* The header has been read. */
static int read_data(struct npy *a, enum npy_type type, struct source *from, struct err *err)
{
    static const size_t size[] = { [NPY_U8] = 1, [NPY_I64] = 8, [NPY_F32] = 4, [NPY_F64] = 8 };
    static const int same[] = { [NPY_U8] = U8, [NPY_I64] = I64, [NPY_F32] = F32, [NPY_F64] = F64 };
    const size_t count = a->stored_bytes / npy_item(a);
    if ((type == NPY_U8 && a->kind != NPY_INTEGER) || (type == NPY_I64 && a->kind == NPY_FLOAT))
        return err_set(err, "holds %s where integers are wanted", a->dtype);
    a->type = type;
    a->bytes = count * size[type]; /* mem_alloc finds an overflow */
    a->data = mem_alloc(count, size[type], err);
    if (a->data == NULL)
        return -1;
    int rc;
    if (a->stored == same[type] && (!a->fortran || a->rank < 2)) {
        rc = take(from, a->data, a->bytes, err);
        if (rc == 0 && a->swapped)
            swap_elements(a->data, a->bytes, size[type]);
    } else {
        rc = convert(a, count, from, err);
    }
    if (rc != 0) {
        mem_free(a->data);
        a->data = NULL;
    }
    return rc;
}

int npy_parse(const void *bytes, size_t n, const char *what, enum npy_type type, struct npy *out, struct err *err)
{
    size_t data;
    if (npy_header(bytes, n, n, out, &data, err) != 0)
        return err_prefix(err, "%s", what);
    struct source from = { .bytes = (const unsigned char *)bytes + data };
    return read_data(out, type, &from, err) != 0 ? err_prefix(err, "%s", what) : 0;
}

/* Opens and checks all but the data; the stream then stands at the data. */
static FILE *open_checked(const char *path, struct npy *out, struct err *err)
{
    size_t size;
    unsigned char *head = NULL;
    int fd = fs_open_regular(path, &size, err);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "rb");
    if (f == NULL) {
        if (fd >= 0) {
            err_errno(err, "cannot open %s", path);
            close(fd);
        }
        return NULL;
    }
    head = mem_alloc(NPY_PREFIX_MAX + NPY_HEADER_MAX, 1, err);
    if (head == NULL)
        goto fail;
    size_t data, got = fread(head, 1, NPY_PREFIX_MAX + NPY_HEADER_MAX, f);
    if (npy_header(head, got, (uint64_t)size, out, &data, err) != 0) {
        err_prefix(err, "%s", path);
        goto fail;
    }
    if (fseeko(f, (off_t)data, SEEK_SET) != 0) {
        err_errno(err, "cannot read %s", path);
        goto fail;
    }
    mem_free(head);
    return f;
fail:
    mem_free(head);
    fclose(f);
    return NULL;
}

int npy_describe(const char *path, struct npy *out, struct err *err)
{
    FILE *f = open_checked(path, out, err);
    if (f == NULL)
        return -1;
    fclose(f);
    return 0;
}

int npy_read(const char *path, enum npy_type type, struct npy *out, struct err *err)
{
    FILE *f = open_checked(path, out, err);
    if (f == NULL)
        return -1;
    struct source from = { .f = f };
    int rc = read_data(out, type, &from, err);
    fclose(f);
    return rc != 0 ? err_prefix(err, "%s", path) : 0;
}

/* ---- writing ---- */

int npy_write_float(const char *path, const float *data, int rank, const int64_t *dims, struct err *err)
{
    char header[512], shape[256] = "", tmp[PATH_MAX];
    size_t n = 1;
    int at = 0;
    for (int i = 0; i < rank; i++) {
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%lld,%s", (long long)dims[i], i + 1 < rank ? " " : "");
        n *= (size_t)dims[i];
    }
    if (rank > 1)
        shape[at - 1] = '\0'; /* (3, 4), but (3,) */
    /* version 1.0: the data begin at a multiple of 64, and a newline ends the header */
    int length = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    unsigned char prefix[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 0xFF), (unsigned char)(padded >> 8)
    };
    if (fs_temporary(path, tmp, sizeof tmp, err) != 0)
        return -1;
    FILE *f = fopen(tmp, "wbe");
    if (f == NULL)
        return err_errno(err, "cannot create %s", tmp);
    bool good = fwrite(prefix, 1, sizeof prefix, f) == sizeof prefix &&
                fprintf(f, "%-*s\n", padded - 1, header) == padded && (n == 0 || fwrite(data, sizeof *data, n, f) == n);
    if (!good)
        err_errno(err, "cannot write %s", tmp);
    if (fclose(f) != 0 && good) {
        err_errno(err, "cannot write %s", tmp);
        good = false;
    }
    if (!good || fs_commit(tmp, path, err) != 0) {
        unlink(tmp);
        return -1;
    }
    return 0;
}
