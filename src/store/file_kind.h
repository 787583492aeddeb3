/* What people give in place of a safetensors file. */
#ifndef DINF_STORE_FILE_KIND_H
#define DINF_STORE_FILE_KIND_H

#include <stddef.h>

/* A phrase that says what a file that begins so is and what to do; NULL if it could be safetensors. */
const char *file_kind(const void *bytes, size_t n);

#endif
