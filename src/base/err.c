/* Error messages: formatted once, where the failure is understood. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return -1;
    va_list ap;
    va_start(ap, format);
    vsnprintf(err->text, sizeof err->text, format, ap);
    va_end(ap);
    return -1;
}

/* err->text = prefix ": " rest, cut where it is full; rest may be err->text. */
static void err_join(struct err *err, const char *prefix, const char *rest)
{
    size_t size = sizeof err->text, n = strnlen(prefix, size - 1), m = strnlen(rest, size - 1);
    size_t at = n + 2 < size ? n + 2 : size - 1;
    if (m > size - 1 - at)
        m = size - 1 - at;
    memmove(err->text + at, rest, m);
    err->text[at + m] = '\0';
    if (n + 2 < size)
        memcpy(err->text + n, ": ", 2);
    else
        n = size - 1;
    memcpy(err->text, prefix, n);
}

int err_prefix(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return -1;
    char prefix[sizeof err->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(prefix, sizeof prefix, format, ap);
    va_end(ap);
    err_join(err, prefix, err->text);
    return -1;
}

int err_errno(struct err *err, const char *format, ...)
{
    int saved = errno;
    if (err == NULL)
        return -1;
    char prefix[sizeof err->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(prefix, sizeof prefix, format, ap);
    va_end(ap);
    err_join(err, prefix, strerror(saved));
    return -1;
}
