/* A Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } behind a short
 * prefix. NumPy's own writer is not the only one, so that blanks and commas may stand anywhere. */
#include "store/npy_header.h"

#include <stdio.h>
#include <string.h>

#include "store/file_kind.h"

enum { MAGIC = 6 };

static const struct {
    const char *code; /* of numpy's descr, less the byte order */
    const char *name;
    size_t size;
    enum npy_kind kind;
} types[NPY_STORED] = {
    [BOOL] = { "b1", "bool", 1, NPY_BOOL },     [I8] = { "i1", "int8", 1, NPY_INTEGER },
    [I16] = { "i2", "int16", 2, NPY_INTEGER },  [I32] = { "i4", "int32", 4, NPY_INTEGER },
    [I64] = { "i8", "int64", 8, NPY_INTEGER },  [U8] = { "u1", "uint8", 1, NPY_INTEGER },
    [U16] = { "u2", "uint16", 2, NPY_INTEGER }, [U32] = { "u4", "uint32", 4, NPY_INTEGER },
    [U64] = { "u8", "uint64", 8, NPY_INTEGER }, [F16] = { "f2", "float16", 2, NPY_FLOAT },
    [F32] = { "f4", "float32", 4, NPY_FLOAT },  [F64] = { "f8", "float64", 8, NPY_FLOAT },
};

/* By the letter of descr: what arrays that are no numbers hold. */
static const struct {
    char letter;
    const char *is;
} others[] = {
    { 'c', "complex numbers" },
    { 'O', "Python objects" },
    { 'U', "text" },
    { 'S', "text" },
    { 'M', "times" },
    { 'm', "times" },
    { 'f', "long floats" },
    { 'V', "raw bytes, as bfloat16 is saved" },
};

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
        if (s->p < s->end && *s->p == 'L')
            s->p++; /* a long of Python 2 */
        out->dims[out->rank++] = v;
        comma = take(s, ",");
        if (!comma && out->rank == 1)
            return err_set(err, "the shape is not a tuple"); /* (3) is a number in Python */
    }
    return 0;
}

static int take_type(const char *descr, struct npy *out, struct err *err)
{
    char order = descr[0];
    for (int i = 0; i < NPY_STORED && order != '\0'; i++)
        if (strcmp(descr + 1, types[i].code) == 0 && strchr("<>=|", order) != NULL) {
            out->stored = i;
            out->kind = types[i].kind;
            out->dtype = types[i].name;
            out->swapped = order == '>' && types[i].size > 1;
            return 0;
        }
    const char *is = "unknown";
    for (size_t i = 0; i < sizeof others / sizeof others[0] && order != '\0'; i++)
        if (descr[1] == others[i].letter)
            is = others[i].is;
    return err_set(err, "type '%s' (%s) is not supported: bool, integers, and floats of 16, 32 and 64 bits are", descr,
                   is);
}

static int parse_header(const char *text, size_t n, struct npy *out, struct err *err)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    struct scan s = { text, text + n };
    char key[32], descr[64];
    int seen = 0;
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
            return err_set(err, "an array of records: save one of its fields by itself");
        if (bit == DESCR && take_type(descr, out, err) != 0)
            return -1;
        if (bit == ORDER && !take(&s, "False") && !(out->fortran = take(&s, "True")))
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
    size_t total = types[out->stored].size;
    for (int i = 0; i < out->rank; i++)
        if (__builtin_mul_overflow(total, (size_t)out->dims[i], &total))
            return err_set(err, "the shape is too large");
    out->stored_bytes = total;
    return 0;
}

static int not_one(const unsigned char *b, size_t n, struct err *err)
{
    enum { SAFETENSORS = 8 }; /* the length of its header is before */
    const char *is = n > SAFETENSORS && b[SAFETENSORS] == '{' ? "a safetensors file" : file_mishap(b, n);
    if (is == NULL && n >= 4 && memcmp(b, "PK\3\4", 4) == 0)
        is = "a ZIP archive, as numpy.savez writes .npz: save one array by numpy.save";
    if (is == NULL && n >= 4 && memcmp(b, "\211HDF", 4) == 0)
        is = "an HDF5 file";
    if (is == NULL && n >= 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5)
        is = "a pickle: save the array by numpy.save";
    return err_set(err, "not a .npy file%s%s", is != NULL ? " but " : "", is != NULL ? is : "");
}

/* Where header and data begin. */
static int parse_prefix(const unsigned char *b, size_t n, size_t *header, size_t *data, struct err *err)
{
    if (n < MAGIC + 4 || memcmp(b, "\x93NUMPY", MAGIC) != 0)
        return not_one(b, n, err);
    int major = b[6];
    if (major < 1 || major > 3 || b[7] != 0)
        return err_set(err, "version %d.%d of the .npy format is unknown", major, b[7]);
    *header = major == 1 ? 10 : NPY_PREFIX_MAX;
    if (n < *header)
        return err_set(err, "truncated in the header");
    size_t length = 0;
    for (size_t i = *header; i > 8; i--)
        length = length << 8 | b[i - 1];
    if (length > NPY_HEADER_MAX)
        return err_set(err, "a header of %zu bytes is no array's", length);
    *data = *header + length;
    return 0;
}

int npy_header(const unsigned char *b, size_t n, uint64_t file_bytes, struct npy *out, size_t *data, struct err *err)
{
    size_t header;
    *out = (struct npy){ 0 };
    if (parse_prefix(b, n, &header, data, err) != 0)
        return -1;
    if (*data > n)
        return err_set(err, "truncated in the header");
    if (parse_header((const char *)b + header, *data - header, out, err) != 0)
        return -1;
    uint64_t have = file_bytes - *data;
    if (have < out->stored_bytes)
        return err_set(err, "truncated: the shape needs %zu bytes of data, the file has %llu", out->stored_bytes,
                       (unsigned long long)have);
    if (have > out->stored_bytes)
        return err_set(err, "oversized: the shape needs %zu bytes of data, the file has %llu: one array a file",
                       out->stored_bytes, (unsigned long long)have);
    return 0;
}

size_t npy_item(const struct npy *a)
{
    return types[a->stored].size;
}

bool npy_is_single(const struct npy *a)
{
    return a->stored != F64 && (a->kind == NPY_FLOAT || types[a->stored].size <= 2);
}

void npy_shape(const struct npy *a, char out[NPY_SHAPE])
{
    int at = snprintf(out, NPY_SHAPE, "(");
    for (int i = 0; i < a->rank; i++)
        at += snprintf(out + at, NPY_SHAPE - (size_t)at, "%s%lld", i > 0 ? ", " : "", (long long)a->dims[i]);
    snprintf(out + at, NPY_SHAPE - (size_t)at, a->rank == 1 ? ",)" : ")");
}
