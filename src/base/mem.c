/* Aligned, checked allocation. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, bytes) ((void)(p), (void)(bytes))
#endif

void *mem_alloc(size_t n, size_t size, struct err *err)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - 64) {
        err_set(err, "cannot allocate %zu x %zu bytes: the size overflows", n, size);
        return NULL;
    }
    size_t rounded = bytes == 0 ? 64 : (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, rounded);
    if (p == NULL) {
        err_set(err, "out of memory: %zu bytes wanted", bytes);
        return NULL;
    }
    memset(p, 0, rounded);
    ASAN_POISON_MEMORY_REGION((char *)p + bytes, rounded - bytes); /* what is beyond is nobody's */
    return p;
}

void *mem_grow(void *p, size_t old, size_t n, size_t size, struct err *err)
{
    void *q = mem_alloc(n, size, err);
    if (q == NULL)
        return NULL;
    if (p != NULL)
        memcpy(q, p, (old < n ? old : n) * size);
    mem_free(p);
    return q;
}

char *mem_strdup(const char *s, struct err *err)
{
    size_t n = strlen(s) + 1;
    char *copy = mem_alloc(n, 1, err);
    if (copy != NULL)
        memcpy(copy, s, n);
    return copy;
}

char *mem_printf(struct err *err, const char *format, ...)
{
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    char *s = n < 0 ? NULL : mem_alloc((size_t)n + 1, 1, err);
    if (s != NULL)
        vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

void mem_free(void *p)
{
    free(p);
}
