/* Fingerprints by libcrypto's EVP interface. */
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

/* `struct hash` is never defined: its address is that of an EVP_MD_CTX. */
static EVP_MD_CTX *context(struct hash *h)
{
    return (EVP_MD_CTX *)h;
}

struct hash *hash_create(struct err *err)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        err_set(err, "cannot start SHA-256");
        return NULL;
    }
    return (struct hash *)ctx;
}

void hash_add(struct hash *h, const void *data, size_t bytes)
{
    EVP_DigestUpdate(context(h), data, bytes);
}

void hash_add_string(struct hash *h, const char *s)
{
    hash_add(h, s, strlen(s) + 1);
}

void hash_finish(struct hash *h, char hex[HASH_HEX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    EVP_DigestFinal_ex(context(h), digest, &n);
    for (unsigned int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    hash_destroy(h);
}

void hash_destroy(struct hash *h)
{
    EVP_MD_CTX_free(context(h));
}

int hash_bytes(const void *data, size_t bytes, char hex[HASH_HEX], struct err *err)
{
    struct hash *h = hash_create(err);
    if (h == NULL)
        return -1;
    hash_add(h, data, bytes);
    hash_finish(h, hex);
    return 0;
}

int hash_file(const char *path, char hex[HASH_HEX], struct err *err)
{
    int rc = -1, fd = fs_open_regular(path, NULL, err);
    if (fd < 0)
        return -1;
    FILE *f = fdopen(fd, "rb");
    if (f == NULL) {
        err_errno(err, "cannot open %s", path);
        close(fd);
        return -1;
    }
    struct hash *h = hash_create(err);
    if (h == NULL)
        goto out;
    static const size_t chunk = 1 << 16;
    char buffer[1 << 16];
    size_t n;
    while ((n = fread(buffer, 1, chunk, f)) > 0)
        hash_add(h, buffer, n);
    if (ferror(f)) {
        err_errno(err, "cannot read %s", path);
        hash_destroy(h);
        goto out;
    }
    hash_finish(h, hex);
    rc = 0;
out:
    fclose(f);
    return rc;
}
