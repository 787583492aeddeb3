/* What people give in place of the file that is wanted. */
#ifndef DINF_STORE_FILE_KIND_H
#define DINF_STORE_FILE_KIND_H

#include <stddef.h>

/* A phrase that says what a file that begins so is and what to do; NULL if it could be safetensors. */
const char *file_kind(const void *bytes, size_t n);

/* Likewise where a file of another format is wanted: empty, compressed, a pointer to the file or a page about it. */
const char *file_mishap(const void *bytes, size_t n);

#endif
