/* .npy is how NumPy and PyTorch users hand arrays over: numpy.lib.format,
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/matrix_file.h"

enum { MAGIC = 6, PREFIX_MAX = 12, HEADER_MAX = 65536 };

static const struct {
    const char *code; /* of numpy's descr, less the byte order */
    size_t size;
} types[] = { [NPY_F32] = { "f4", 4 }, [NPY_F64] = { "f8", 8 }, [NPY_U8] = { "u1", 1 }, [NPY_I64] = { "i8", 8 } };
enum { N_TYPES = sizeof types / sizeof types[0] };

/* ---- header: a Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } ---- */

struct scan {
    const char *p, *end;
};

static bool take(struct scan *s, const char *token)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
    size_t n = strlen(token);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, token, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A quoted string without escapes, cut to `size`. */
static bool take_string(struct scan *s, char *out, size_t size)
{
    if (!take(s, "'") && !take(s, "\""))
        return false;
    char quote = s->p[-1];
    size_t n = 0;
    for (; s->p < s->end && *s->p != quote; s->p++) {
        if (*s->p == '\\' || *s->p == '\n')
            return false;
        if (n + 1 < size)
            out[n++] = *s->p;
    }
    if (s->p >= s->end)
        return false;
    s->p++;
    out[n] = '\0';
    return true;
}

static int take_shape(struct scan *s, struct npy *out, struct err *err)
{
    out->rank = 0;
    if (!take(s, "("))
        return err_set(err, "the shape is not a tuple");
    bool comma = true;
    while (!take(s, ")")) {
        if (!comma || out->rank == NPY_RANK_MAX)
            return err_set(err, comma ? "more than %d dimensions" : "the shape is not a tuple of at most %d numbers",
                           NPY_RANK_MAX);
        int64_t v = 0;
        const char *start = s->p;
        for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
            if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s->p - '0', &v))
                return err_set(err, "a dimension is too large");
        if (s->p == start)
            return err_set(err, "the shape holds something that is no number");
        out->dims[out->rank++] = v;
        comma = take(s, ",");
        if (!comma && out->rank == 1)
            return err_set(err, "the shape is not a tuple"); /* (3) is a number in Python */
    }
    return 0;
}

static int take_type(const char *descr, struct npy *out, bool *swapped, struct err *err)
{
    char order = descr[0];
    for (int i = 0; i < N_TYPES && order != '\0'; i++)
        if (strcmp(descr + 1, types[i].code) == 0 && strchr("<>=|", order) != NULL) {
            out->type = (enum npy_type)i;
            *swapped = order == '>' && types[i].size > 1;
            return 0;
        }
    return err_set(err, "type '%s' is not supported (float32, float64, uint8 and int64 are)", descr);
}

static int parse_header(const char *text, size_t n, struct npy *out, bool *swapped, struct err *err)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    struct scan s = { text, text + n };
    char key[32], descr[64];
    int seen = 0;
    bool fortran = false;
    if (!take(&s, "{"))
        return err_set(err, "the header is not a dictionary");
    while (!take(&s, "}")) {
        if (!take_string(&s, key, sizeof key) || !take(&s, ":"))
            return err_set(err, "the header is not a dictionary of descr, fortran_order and shape");
        int bit = strcmp(key, "descr") == 0           ? DESCR
                  : strcmp(key, "fortran_order") == 0 ? ORDER
                  : strcmp(key, "shape") == 0         ? SHAPE
                                                      : 0;
        if (bit == 0 || (seen & bit) != 0)
            return err_set(err, "the header has %s key '%s'", bit == 0 ? "the unknown" : "twice the", key);
        seen |= bit;
        if (bit == DESCR && !take_string(&s, descr, sizeof descr))
            return err_set(err, "records are not supported, only plain arrays");
        if (bit == DESCR && take_type(descr, out, swapped, err) != 0)
            return -1;
        if (bit == ORDER && !take(&s, "False") && !(fortran = take(&s, "True")))
            return err_set(err, "fortran_order is neither True nor False");
        if (bit == SHAPE && take_shape(&s, out, err) != 0)
            return -1;
        if (!take(&s, ",")) {
            if (!take(&s, "}"))
                return err_set(err, "the header has no end");
            break;
        }
    }
    take(&s, "");
    if (s.p != s.end)
        return err_set(err, "text behind the header's closing brace");
    if (seen != ALL)
        return err_set(err, "descr, fortran_order and shape must all be given");
    if (fortran && out->rank > 1)
        return err_set(err, "the array is in Fortran order: save it with numpy.ascontiguousarray");
    size_t total = types[out->type].size;
    for (int i = 0; i < out->rank; i++)
        if (__builtin_mul_overflow(total, (size_t)out->dims[i], &total))
            return err_set(err, "the shape is too large");
    out->bytes = total;
    return 0;
}

/* Where header and data begin; `n` bytes of the file are at hand. */
static int parse_prefix(const unsigned char *b, size_t n, size_t *header, size_t *data, struct err *err)
{
    if (n < MAGIC + 4 || memcmp(b, "\x93NUMPY", MAGIC) != 0)
        return err_set(err, "not a .npy file");
    int major = b[6];
    if (major < 1 || major > 3 || b[7] != 0)
        return err_set(err, "version %d.%d of the .npy format is unknown", major, b[7]);
    *header = major == 1 ? 10 : PREFIX_MAX;
    if (n < *header)
        return err_set(err, "truncated in the header");
    size_t length = 0;
    for (size_t i = *header; i > 8; i--)
        length = length << 8 | b[i - 1];
    if (length > HEADER_MAX)
        return err_set(err, "a header of %zu bytes is no array's", length);
    *data = *header + length;
    return 0;
}

static int parse_all(const unsigned char *b, size_t n, uint64_t file_bytes, struct npy *out, size_t *data,
                     bool *swapped, struct err *err)
{
    size_t header;
    *out = (struct npy){ 0 };
    if (parse_prefix(b, n, &header, data, err) != 0)
        return -1;
    if (*data > n)
        return err_set(err, "truncated in the header");
    if (parse_header((const char *)b + header, *data - header, out, swapped, err) != 0)
        return -1;
    uint64_t have = file_bytes - *data;
    if (have != out->bytes)
        return err_set(err, "%s: the shape needs %zu bytes of data, the file has %llu",
                       have < out->bytes ? "truncated" : "oversized", out->bytes, (unsigned long long)have);
    return 0;
}

static void swap_elements(unsigned char *p, size_t bytes, size_t size)
{
    for (size_t at = 0; at < bytes; at += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char c = p[at + i];
            p[at + i] = p[at + size - 1 - i];
            p[at + size - 1 - i] = c;
        }
}

int npy_parse(const void *bytes, size_t n, const char *what, struct npy *out, struct err *err)
{
    size_t data;
    bool swapped = false;
    if (parse_all(bytes, n, n, out, &data, &swapped, err) != 0)
        return err_prefix(err, "%s", what);
    out->data = mem_alloc(out->bytes, 1, err);
    if (out->data == NULL)
        return err_prefix(err, "%s", what);
    memcpy(out->data, (const char *)bytes + data, out->bytes);
    if (swapped)
        swap_elements(out->data, out->bytes, types[out->type].size);
    return 0;
}

/* Opens and checks all but the data; the stream then stands at the data. */
static FILE *open_checked(const char *path, struct npy *out, bool *swapped, struct err *err)
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
    head = mem_alloc(PREFIX_MAX + HEADER_MAX, 1, err);
    if (head == NULL)
        goto fail;
    size_t data, got = fread(head, 1, PREFIX_MAX + HEADER_MAX, f);
    if (parse_all(head, got, (uint64_t)size, out, &data, swapped, err) != 0) {
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
    bool swapped = false;
    FILE *f = open_checked(path, out, &swapped, err);
    if (f == NULL)
        return -1;
    fclose(f);
    return 0;
}

int npy_read(const char *path, struct npy *out, struct err *err)
{
    bool swapped = false;
    FILE *f = open_checked(path, out, &swapped, err);
    if (f == NULL)
        return -1;
    int rc = -1;
    out->data = mem_alloc(out->bytes, 1, err);
    if (out->data == NULL) {
        err_prefix(err, "%s", path);
    } else if (fread(out->data, 1, out->bytes, f) != out->bytes) {
        err_set(err, "cannot read all of %s", path);
        mem_free(out->data);
        out->data = NULL;
    } else {
        if (swapped)
            swap_elements(out->data, out->bytes, types[out->type].size);
        rc = 0;
    }
    fclose(f);
    return rc;
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
                fprintf(f, "%-*s\n", padded - 1, header) == padded && fwrite(data, sizeof *data, n, f) == n;
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
