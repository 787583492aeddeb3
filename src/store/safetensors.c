/* Encoders and optimiser states are exchanged with PyTorch users as safetensors:
 * flat, memory-mapped, and without code inside. Files may come from anywhere. */
#include "store/safetensors.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/half.h"
#include "base/mem.h"
#include "store/file_kind.h"
#include "store/json_scan.h"

static const int64_t header_cap = 100000000; /* of the reference implementation */
enum { PREFIX = 8 };

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [TENSOR_F32] = { "F32", 4 },   [TENSOR_F64] = { "F64", 8 },         [TENSOR_F16] = { "F16", 2 },
    [TENSOR_BF16] = { "BF16", 2 }, [TENSOR_I64] = { "I64", 8 },         [TENSOR_I32] = { "I32", 4 },
    [TENSOR_U8] = { "U8", 1 },     [TENSOR_BOOL] = { "BOOL", 1 },       [TENSOR_I8] = { "I8", 1 },
    [TENSOR_I16] = { "I16", 2 },   [TENSOR_U16] = { "U16", 2 },         [TENSOR_U32] = { "U32", 4 },
    [TENSOR_U64] = { "U64", 8 },   [TENSOR_F8_E4M3] = { "F8_E4M3", 1 }, [TENSOR_F8_E5M2] = { "F8_E5M2", 1 },
};
enum { N_TYPES = sizeof types / sizeof types[0] };

size_t tensor_type_size(enum tensor_type type)
{
    return types[type].size;
}

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

int64_t tensor_elements(const struct tensor_view *t)
{
    return (int64_t)(t->bytes / types[t->type].size);
}

/* Bytes of a shape; -1 if a dimension is negative or the product overflows. */
static int shape_bytes(const struct tensor_view *t, int64_t *bytes)
{
    int64_t total = (int64_t)types[t->type].size;
    bool empty = false;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0)
            return -1;
        empty = empty || t->dims[i] == 0;
        if (t->dims[i] > 0 && __builtin_mul_overflow(total, t->dims[i], &total))
            return -1;
    }
    *bytes = empty ? 0 : total;
    return 0;
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b, void *tensors)
{
    const struct tensor_view *t = tensors;
    return strcmp(t[*(const int *)a].name, t[*(const int *)b].name);
}

/* Order of the tensors by name (mem_free); two equal names are an error. */
static int *sort_names(const struct tensor_view *tensors, int n, struct err *err)
{
    int *order = mem_alloc((size_t)n, sizeof *order, err);
    if (order == NULL)
        return NULL;
    for (int i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, (size_t)n, sizeof *order, compare_names, (void *)(uintptr_t)tensors);
    for (int i = 1; i < n; i++)
        if (strcmp(tensors[order[i - 1]].name, tensors[order[i]].name) == 0) {
            err_set(err, "two tensors are called \"%.200s\"", tensors[order[i]].name);
            mem_free(order);
            return NULL;
        }
    return order;
}

const struct tensor_view *safetensors_find(const struct safetensors *s, const char *name)
{
    int low = 0, high = s->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int c = strcmp(s->tensors[s->by_name[middle]].name, name);
        if (c == 0)
            return &s->tensors[s->by_name[middle]];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- reading ---- */

struct reader {
    struct json_scan scan;
    const char *data; /* behind the header */
    int64_t data_bytes;
    int capacity;
    struct safetensors *out;
};

static int read_metadata(struct reader *r, struct err *err)
{
    struct json_scan *s = &r->scan;
    if (r->out->metadata != NULL)
        return err_set(err, "the header has two __metadata__ entries");
    r->out->metadata = cJSON_CreateObject();
    if (r->out->metadata == NULL)
        return err_set(err, "out of memory");
    if (json_expect(s, '{', err) != 0)
        return -1;
    if (json_take(s, '}'))
        return 0;
    do {
        const char *key, *value;
        if (json_string(s, &key, err) != 0 || json_expect(s, ':', err) != 0 || json_string(s, &value, err) != 0)
            return err_prefix(err, "__metadata__");
        if (cJSON_AddStringToObject(r->out->metadata, key, value) == NULL)
            return err_set(err, "out of memory");
    } while (json_take(s, ','));
    return json_expect(s, '}', err);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_metadata_keys(const cJSON *metadata, struct err *err)
{
    int n = cJSON_GetArraySize(metadata), i = 0;
    const char **keys = mem_alloc((size_t)n, sizeof *keys, err);
    if (keys == NULL)
        return -1;
    const cJSON *item;
    cJSON_ArrayForEach(item, metadata) keys[i++] = item->string;
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    int rc = 0;
    for (i = 1; i < n && rc == 0; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            rc = err_set(err, "__metadata__ has two entries \"%.200s\"", keys[i]);
    mem_free(keys);
    return rc;
}

static int read_type(struct json_scan *s, struct tensor_view *t, struct err *err)
{
    const char *name;
    if (json_string(s, &name, err) != 0)
        return -1;
    for (int i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0) {
            t->type = (enum tensor_type)i;
            return 0;
        }
    return err_set(err, "type \"%.40s\" is not supported (BOOL, whole numbers and F64, F32, F16, BF16, F8 are)", name);
}

static int read_shape(struct json_scan *s, struct tensor_view *t, struct err *err)
{
    t->rank = 0;
    if (json_expect(s, '[', err) != 0)
        return -1;
    if (json_take(s, ']'))
        return 0;
    do {
        if (t->rank == TENSOR_RANK_MAX)
            return err_set(err, "more than %d dimensions", TENSOR_RANK_MAX);
        if (json_count(s, &t->dims[t->rank++], err) != 0)
            return -1;
    } while (json_take(s, ','));
    return json_expect(s, ']', err);
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} in any order. */
static int read_entry(struct reader *r, struct tensor_view *t, struct err *err)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4, ALL = 7 };
    struct json_scan *s = &r->scan;
    int seen = 0;
    int64_t begin = 0, end = 0, bytes;
    if (json_expect(s, '{', err) != 0)
        return -1;
    do {
        const char *key;
        if (json_string(s, &key, err) != 0 || json_expect(s, ':', err) != 0)
            return -1;
        int bit = strcmp(key, "dtype") == 0          ? DTYPE
                  : strcmp(key, "shape") == 0        ? SHAPE
                  : strcmp(key, "data_offsets") == 0 ? OFFSETS
                                                     : 0;
        if (bit == 0 || (seen & bit) != 0)
            return err_set(err, "%s key \"%.40s\"", bit == 0 ? "unknown" : "repeated", key);
        seen |= bit;
        if (bit == DTYPE && read_type(s, t, err) != 0)
            return -1;
        if (bit == SHAPE && read_shape(s, t, err) != 0)
            return -1;
        if (bit == OFFSETS &&
            (json_expect(s, '[', err) != 0 || json_count(s, &begin, err) != 0 || json_expect(s, ',', err) != 0 ||
             json_count(s, &end, err) != 0 || json_expect(s, ']', err) != 0))
            return -1;
    } while (json_take(s, ','));
    if (json_expect(s, '}', err) != 0)
        return -1;
    if (seen != ALL)
        return err_set(err, "dtype, shape and data_offsets must all be given");
    if (shape_bytes(t, &bytes) != 0)
        return err_set(err, "the shape is too large");
    if (begin > end || end > r->data_bytes)
        return err_set(err, "data_offsets [%lld, %lld] are not within the file's %lld bytes of data", (long long)begin,
                       (long long)end, (long long)r->data_bytes);
    if (end - begin != bytes)
        return err_set(err, "data_offsets span %lld bytes, but the shape needs %lld", (long long)(end - begin),
                       (long long)bytes);
    t->data = r->data + begin;
    t->bytes = (size_t)bytes;
    return 0;
}

static int read_header(struct reader *r, struct err *err)
{
    struct json_scan *s = &r->scan;
    struct safetensors *out = r->out;
    if (json_expect(s, '{', err) != 0)
        return -1;
    if (!json_take(s, '}')) {
        do {
            const char *name;
            if (json_string(s, &name, err) != 0 || json_expect(s, ':', err) != 0)
                return -1;
            if (strcmp(name, "__metadata__") == 0) {
                if (read_metadata(r, err) != 0)
                    return -1;
                continue;
            }
            if (out->n == r->capacity) {
                int more = r->capacity == 0 ? 64 : 2 * r->capacity;
                void *grown = mem_grow(out->tensors, (size_t)out->n, (size_t)more, sizeof *out->tensors, err);
                if (grown == NULL)
                    return -1;
                out->tensors = grown;
                r->capacity = more;
            }
            struct tensor_view *t = &out->tensors[out->n];
            t->name = name;
            if (read_entry(r, t, err) != 0)
                return err_prefix(err, "tensor \"%.200s\"", name);
            out->n++;
        } while (json_take(s, ','));
        if (json_expect(s, '}', err) != 0)
            return -1;
    }
    return json_end(s, err);
}

static int compare_places(const void *a, const void *b, void *tensors)
{
    const struct tensor_view *t = tensors, *x = &t[*(const int *)a], *y = &t[*(const int *)b];
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The tensors must tile the data: each byte belongs to exactly one. */
static int check_tiling(const struct reader *r, struct err *err)
{
    const struct safetensors *out = r->out;
    int *order = mem_alloc((size_t)out->n, sizeof *order, err);
    if (order == NULL)
        return -1;
    for (int i = 0; i < out->n; i++)
        order[i] = i;
    qsort_r(order, (size_t)out->n, sizeof *order, compare_places, out->tensors);
    int rc = 0;
    const char *at = r->data, *end = r->data + r->data_bytes;
    for (int i = 0; i < out->n && rc == 0; i++) {
        const struct tensor_view *t = &out->tensors[order[i]];
        if ((const char *)t->data < at)
            rc = err_set(err, "tensor \"%.200s\" overlaps another one", t->name);
        else if ((const char *)t->data > at)
            rc = err_set(err, "a hole of %td bytes before tensor \"%.200s\"", (const char *)t->data - at, t->name);
        at = (const char *)t->data + t->bytes;
    }
    if (rc == 0 && at != end)
        rc = err_set(err, "%td bytes behind the last tensor belong to none", end - at);
    mem_free(order);
    return rc;
}

/* Foreign files need not be aligned; what is not is copied, so that callers may
 * read elements through a pointer of their type. */
static int align_tensors(struct safetensors *out, struct err *err)
{
    size_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (int i = 0; i < out->n; i++) {
            struct tensor_view *t = &out->tensors[i];
            if ((uintptr_t)t->data % types[t->type].size == 0)
                continue;
            if (pass == 1) {
                memcpy((char *)out->copies + at, t->data, t->bytes);
                t->data = (char *)out->copies + at;
            }
            at += (t->bytes + 7) / 8 * 8;
        }
        total = at;
        if (pass == 0) {
            if (total == 0)
                return 0;
            out->copies = mem_alloc(total, 1, err);
            if (out->copies == NULL)
                return -1;
        }
    }
    return 0;
}

int safetensors_parse(const void *bytes, size_t n, const char *what, struct safetensors *out, struct err *err)
{
    *out = (struct safetensors){ 0 };
    struct reader r = { .out = out };
    int rc = -1;
    const char *other = file_kind(bytes, n);
    if (other != NULL) {
        err_set(err, "%s", other);
        goto out;
    }
    if (n < PREFIX) {
        err_set(err, "too short for a safetensors file (%zu bytes)", n);
        goto out;
    }
    const unsigned char *b = bytes;
    uint64_t header = 0;
    for (int i = PREFIX - 1; i >= 0; i--)
        header = header << 8 | b[i];
    if (header > (uint64_t)header_cap) {
        err_set(err, "not a safetensors file, or the header is longer than %lld bytes", (long long)header_cap);
        goto out;
    }
    if (header > n - PREFIX) {
        err_set(err, "truncated: the header should have %llu bytes, the file has %zu behind its length",
                (unsigned long long)header, n - PREFIX);
        goto out;
    }
    r.data = (const char *)b + PREFIX + header;
    r.data_bytes = (int64_t)(n - PREFIX - header);
    if (json_scan_init(&r.scan, (const char *)b + PREFIX, (size_t)header, err) != 0)
        goto out;
    if (header == 0 || b[PREFIX] != '{') {
        err_set(err, "not a safetensors file: the header does not begin with '{'");
        goto out;
    }
    if (read_header(&r, err) != 0)
        goto out;
    out->by_name = sort_names(out->tensors, out->n, err);
    if (out->by_name == NULL)
        goto out;
    if (out->metadata != NULL && check_metadata_keys(out->metadata, err) != 0)
        goto out;
    if (check_tiling(&r, err) != 0 || align_tensors(out, err) != 0)
        goto out;
    rc = 0;
out:
    out->strings = r.scan.strings; /* the tensors' names */
    if (rc != 0) {
        err_prefix(err, "%s", what);
        safetensors_close(out);
    }
    return rc;
}

int safetensors_open(const char *path, struct safetensors *out, struct err *err)
{
    int rc = -1;
    void *map = NULL;
    size_t bytes = 0;
    *out = (struct safetensors){ 0 };
    int fd = fs_open_regular(path, &bytes, err);
    if (fd < 0)
        return -1;
    if (bytes > 0) {
        map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            map = NULL;
            err_errno(err, "cannot map %s", path);
            goto out;
        }
    }
    rc = safetensors_parse(map == NULL ? "" : map, bytes, path, out, err);
    if (rc == 0) {
        out->map = map;
        out->map_bytes = bytes;
        map = NULL;
    }
out:
    if (map != NULL)
        munmap(map, bytes);
    close(fd);
    return rc;
}

void safetensors_close(struct safetensors *s)
{
    if (s == NULL)
        return;
    mem_free(s->tensors);
    mem_free(s->by_name);
    mem_free(s->strings);
    mem_free(s->copies);
    cJSON_Delete(s->metadata);
    if (s->map != NULL)
        munmap(s->map, s->map_bytes);
    *s = (struct safetensors){ 0 };
}

int tensor_to_float(const struct tensor_view *t, float *out, struct err *err)
{
    int64_t n = tensor_elements(t);
    switch (t->type) {
    case TENSOR_F32:
        memcpy(out, t->data, t->bytes);
        return 0;
    case TENSOR_F64: {
        const double *x = t->data;
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)x[i];
        return 0;
    }
    case TENSOR_F16: {
        const uint16_t *x = t->data;
        for (int64_t i = 0; i < n; i++)
            out[i] = half_to_float(x[i]);
        return 0;
    }
    case TENSOR_BF16: {
        const uint16_t *x = t->data;
        for (int64_t i = 0; i < n; i++) {
            uint32_t bits = (uint32_t)x[i] << 16;
            memcpy(&out[i], &bits, sizeof bits);
        }
        return 0;
    }
    default:
        return err_set(err, "tensor \"%.200s\" has type %s where floating-point numbers are expected", t->name,
                       types[t->type].name);
    }
}

/* ---- writing ---- */

/* Header text with the given offsets, and in *size its length. */
static char *header_text(const struct tensor_view *tensors, int n, const int64_t *begin, const cJSON *metadata,
                         struct err *err)
{
    cJSON *header = cJSON_CreateObject();
    char *text = NULL;
    if (header == NULL ||
        (metadata != NULL && !cJSON_AddItemToObject(header, "__metadata__", cJSON_Duplicate(metadata, true)))) {
        err_set(err, "out of memory");
        goto out;
    }
    for (int i = 0; i < n; i++) {
        const struct tensor_view *t = &tensors[i];
        char entry[512], shape[200] = "";
        for (int k = 0, at = 0; k < t->rank; k++)
            at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%lld", k > 0 ? "," : "", (long long)t->dims[k]);
        snprintf(entry, sizeof entry, "{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%lld,%lld]}",
                 types[t->type].name, shape, (long long)begin[i], (long long)begin[i] + (long long)t->bytes);
        if (cJSON_AddRawToObject(header, t->name, entry) == NULL) {
            err_set(err, "out of memory");
            goto out;
        }
    }
    text = cJSON_PrintUnformatted(header);
    if (text == NULL)
        err_set(err, "out of memory");
out:
    cJSON_Delete(header);
    return text;
}

static int check_writable(const struct tensor_view *tensors, int n, const cJSON *metadata, struct err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, metadata) if (!cJSON_IsString(item) || item->string == NULL) return err_set(
        err, "metadata \"%s\" is not a string", item->string == NULL ? "" : item->string);
    for (int i = 0; i < n; i++) {
        const struct tensor_view *t = &tensors[i];
        int64_t bytes;
        if (strcmp(t->name, "__metadata__") == 0 || !utf8_valid(t->name, strlen(t->name)))
            return err_set(err, "a tensor cannot be called \"%.200s\"", t->name);
        if (t->rank < 0 || t->rank > TENSOR_RANK_MAX || shape_bytes(t, &bytes) != 0 || (size_t)bytes != t->bytes)
            return err_set(err, "the shape of tensor \"%.200s\" does not fit its %zu bytes", t->name, t->bytes);
    }
    int *order = sort_names(tensors, n, err);
    if (order == NULL)
        return -1;
    mem_free(order);
    return 0;
}

static int write_file(const char *path, const char *header, const struct tensor_view *tensors, int n, struct err *err)
{
    size_t length = strlen(header), padded = (length + 7) / 8 * 8;
    if (padded > (size_t)header_cap)
        return err_set(err, "the header would be longer than %lld bytes", (long long)header_cap);
    char tmp[PATH_MAX];
    if (fs_temporary(path, tmp, sizeof tmp, err) != 0)
        return -1;
    FILE *f = fopen(tmp, "wbe");
    if (f == NULL)
        return err_errno(err, "cannot create %s", tmp);
    unsigned char prefix[PREFIX];
    for (int i = 0; i < PREFIX; i++)
        prefix[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    bool good = fwrite(prefix, 1, PREFIX, f) == PREFIX && fwrite(header, 1, length, f) == length &&
                fwrite("       ", 1, padded - length, f) == padded - length;
    for (size_t size = 8; size >= 1; size /= 2)
        for (int i = 0; i < n && good; i++)
            if (types[tensors[i].type].size == size && tensors[i].bytes > 0)
                good = fwrite(tensors[i].data, 1, tensors[i].bytes, f) == tensors[i].bytes;
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

int safetensors_write(const char *path, const struct tensor_view *tensors, int n, const cJSON *metadata,
                      struct err *err)
{
    int rc = -1;
    char *header = NULL;
    int64_t *begin = mem_alloc((size_t)n, sizeof *begin, err), at = 0;
    if (begin == NULL)
        return -1;
    if (check_writable(tensors, n, metadata, err) != 0) {
        err_prefix(err, "cannot write %s", path);
        goto out;
    }
    for (size_t size = 8; size >= 1; size /= 2)
        for (int i = 0; i < n; i++)
            if (types[tensors[i].type].size == size) {
                begin[i] = at;
                at += (int64_t)tensors[i].bytes;
            }
    header = header_text(tensors, n, begin, metadata, err);
    if (header == NULL)
        goto out;
    rc = write_file(path, header, tensors, n, err);
out:
    cJSON_free(header);
    mem_free(begin);
    return rc;
}
