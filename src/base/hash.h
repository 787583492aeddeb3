/* SHA-256 fingerprints (OpenSSL's libcrypto). */
#ifndef DINF_BASE_HASH_H
#define DINF_BASE_HASH_H

#include <stddef.h>

#include "base/err.h"

enum { HASH_HEX = 65 }; /* 64 hexadecimal digits and NUL */

struct hash;
struct hash *hash_create(struct err *err);
void hash_add(struct hash *h, const void *data, size_t bytes);
/* Adds the string with its NUL, so that ("ab","c") and ("a","bc") differ. */
void hash_add_string(struct hash *h, const char *s);
/* Finishes and destroys; -1 if anything could not be added. */
int hash_finish(struct hash *h, char hex[HASH_HEX], struct err *err);
void hash_destroy(struct hash *h); /* NULL-safe */

int hash_bytes(const void *data, size_t bytes, char hex[HASH_HEX], struct err *err);
int hash_file(const char *path, char hex[HASH_HEX], struct err *err);

#endif
