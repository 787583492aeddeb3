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

static void err_join(struct err *err, const char *prefix, const char *rest)
{
    char old[sizeof err->text];
    snprintf(old, sizeof old, "%s", rest);
    int n = snprintf(err->text, sizeof err->text, "%s: ", prefix);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, "%s", old);
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
