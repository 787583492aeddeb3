/* A wrong file is named for what it is: "not a safetensors file" leaves its owner to guess. */
#include "store/file_kind.h"

#include <string.h>
#include <strings.h>

#define CONVERT "analysis/to_safetensors.py IN OUT.safetensors converts it"

/* First bytes; text is compared without regard to case. */
struct kind {
    const char *bytes;
    size_t n;
    const char *is;
};

/* What any file can turn into on its way. */
static const struct kind mishaps[] = {
    { "version https://git-lfs", 23, "a git-lfs pointer in place of the file: `git lfs pull` fetches it" },
    { "<!doctype html", 14, "an HTML page, as a download that went wrong leaves it: fetch the file itself" },
    { "<html", 5, "an HTML page, as a download that went wrong leaves it: fetch the file itself" },
    { "<?xml", 5, "an XML text, as a download that went wrong leaves it: fetch the file itself" },
    { "\037\213", 2, "compressed by gzip: unpack it first" },
    { "BZh", 3, "compressed by bzip2: unpack it first" },
    { "\3757zXZ", 6, "compressed by xz: unpack it first" },
    { "\x28\xb5\x2f\xfd", 4, "compressed by zstd: unpack it first" },
    { "7z\xbc\xaf\x27\x1c", 6, "a 7z archive: unpack it first" },
};

/* Weights in other formats. */
static const struct kind weights[] = {
    { "\211HDF\r\n\032\n", 8, "an HDF5 file, as Keras writes weights: a safetensors file is wanted" },
    { "\223NUMPY", 6, "a NumPy .npy file: a safetensors file is wanted" },
    { "GGUF", 4, "a GGUF file: a safetensors file is wanted" },
};

/* The first that fits, or NULL. */
static const char *find(const struct kind *kinds, size_t n_kinds, const unsigned char *b, size_t n)
{
    for (size_t i = 0; i < n_kinds; i++)
        if (n >= kinds[i].n && strncasecmp((const char *)b, kinds[i].bytes, kinds[i].n) == 0)
            return kinds[i].is;
    return NULL;
}

const char *file_mishap(const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    if (n == 0)
        return "an empty file";
    if (n >= 262 && memcmp(b + 257, "ustar", 5) == 0)
        return "a tar archive: unpack it first";
    return find(mishaps, sizeof mishaps / sizeof mishaps[0], b, n);
}

/* The name of a ZIP's first member ends with `tail`; it stands behind 30 bytes, of which 26 and 27 are its length. */
static int zip_holds(const unsigned char *b, size_t n, const char *tail)
{
    size_t length = n >= 30 ? b[26] | (size_t)b[27] << 8 : 0, m = strlen(tail);
    return length >= m && n >= 30 + length && memcmp(b + 30 + length - m, tail, m) == 0;
}

const char *file_kind(const void *bytes, size_t n)
{
    enum { HEADER = 8 };
    const unsigned char *b = bytes;
    /* the length of a safetensors file's header can begin with any of the short marks, but then its text follows */
    if (n > HEADER && b[HEADER] == '{')
        return NULL;
    const char *is = file_mishap(b, n);
    if (is == NULL)
        is = find(weights, sizeof weights / sizeof weights[0], b, n);
    if (is != NULL)
        return is;
    if (n >= 4 && memcmp(b, "PK\3\4", 4) == 0)
        return zip_holds(b, n, ".npy") ? "a NumPy .npz archive: a safetensors file is wanted"
                                       : "a ZIP archive, as torch.save writes it: " CONVERT;
    if (n >= 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5) /* the protocol */
        return "a pickle, as older versions of torch.save write it: " CONVERT;
    return NULL;
}
