/* Memory: 64-byte aligned (so that results of vector code do not depend on
 * where a buffer happens to lie), overflow-checked, freed by mem_free. */
#ifndef DINF_BASE_MEM_H
#define DINF_BASE_MEM_H

#include <stddef.h>

#include "base/err.h"

/* n elements of `size` bytes, zeroed; NULL and a message on overflow or lack of
 * memory. n = 0 gives a valid pointer that must be freed. */
void *mem_alloc(size_t n, size_t size, struct err *err);

/* Grows to n elements keeping the first `old`; the rest is zeroed. On failure
 * NULL, and `p` stays valid. */
void *mem_grow(void *p, size_t old, size_t n, size_t size, struct err *err);

char *mem_strdup(const char *s, struct err *err);

/* printf into a new string. */
char *mem_printf(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

void mem_free(void *p);

#endif
