/* safetensors files: u64 little-endian header length, JSON header, data; see the
 * format's own description (https://huggingface.co/docs/safetensors). Reading is
 * strict: range, overlap, holes, overflow, duplicate keys, UTF-8 and the
 * 100,000,000-byte header cap are checked, and every message names the file. */
#ifndef DINF_STORE_SAFETENSORS_H
#define DINF_STORE_SAFETENSORS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The later ones are only passed over: a checkpoint may hold them beside its weights. */
enum tensor_type {
    TENSOR_F32,
    TENSOR_F64,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_U8,
    TENSOR_BOOL,
    TENSOR_I8,
    TENSOR_I16,
    TENSOR_U16,
    TENSOR_U32,
    TENSOR_U64,
    TENSOR_F8_E4M3,
    TENSOR_F8_E5M2
};
enum { TENSOR_RANK_MAX = 8 };

struct tensor_view {
    const char *name;
    enum tensor_type type;
    int rank;
    int64_t dims[TENSOR_RANK_MAX];
    const void *data; /* aligned to the element's size (when read: always, whatever the file's layout) */
    size_t bytes;
};

/* Writes atomically (temporary name, fsync, rename). Metadata: an object of
 * strings, or NULL. The header lists the tensors in the given order; the data are
 * laid out by falling element size, so that all are aligned without holes. */
int safetensors_write(const char *path, const struct tensor_view *tensors, int n, const cJSON *metadata,
                      struct err *err);

struct safetensors {
    struct tensor_view *tensors; /* in the header's order; data points into the map */
    int n;
    cJSON *metadata;              /* object of strings, or NULL */
    void *map, *strings, *copies; /* private */
    size_t map_bytes;
    int *by_name; /* private: order of names, for safetensors_find */
};
int safetensors_open(const char *path, struct safetensors *out, struct err *err);
/* From memory (fuzzing): `bytes` is borrowed until safetensors_close; `what` names it in messages. */
int safetensors_parse(const void *bytes, size_t n, const char *what, struct safetensors *out, struct err *err);
/* NULL-safe; also after a failed open. */
void safetensors_close(struct safetensors *s);
/* NULL if there is none of this name. */
const struct tensor_view *safetensors_find(const struct safetensors *s, const char *name);
/* Any float type to float32; `out` has as many elements as the tensor. */
int tensor_to_float(const struct tensor_view *t, float *out, struct err *err);

size_t tensor_type_size(enum tensor_type type);
const char *tensor_type_name(enum tensor_type type); /* "F32", ... */
int64_t tensor_elements(const struct tensor_view *t);

#endif
