/* Fingerprints by libcrypto's EVP interface. */
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

struct hash {
    EVP_MD_CTX *context;
    bool failed; /* a part could not be added: there is no digest */
};

struct hash *hash_create(struct err *err)
{
    struct hash *h = mem_alloc(1, sizeof *h, err);
    if (h == NULL)
        return NULL;
    h->context = EVP_MD_CTX_new();
    if (h->context != NULL && EVP_DigestInit_ex(h->context, EVP_sha256(), NULL) == 1)
        return h;
    err_set(err, "cannot start SHA-256");
    hash_destroy(h);
    return NULL;
}

void hash_add(struct hash *h, const void *data, size_t bytes)
{
    h->failed |= EVP_DigestUpdate(h->context, data, bytes) != 1;
}

void hash_add_string(struct hash *h, const char *s)
{
    hash_add(h, s, strlen(s) + 1);
}

int hash_finish(struct hash *h, char hex[HASH_HEX], struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    bool failed = EVP_DigestFinal_ex(h->context, digest, NULL) != 1 || h->failed;
    hash_destroy(h);
    if (failed)
        return err_set(err, "SHA-256 could not be computed");
    for (unsigned int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

void hash_destroy(struct hash *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->context);
    mem_free(h);
}

int hash_bytes(const void *data, size_t bytes, char hex[HASH_HEX], struct err *err)
{
    struct hash *h = hash_create(err);
    if (h == NULL)
        return -1;
    hash_add(h, data, bytes);
    return hash_finish(h, hex, err);
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
    rc = hash_finish(h, hex, err);
out:
    fclose(f);
    return rc;
}
