/* Errors: a function that can fail returns 0 or -1 and fills the caller's
 * `struct err` with one sentence a user can act on. Nothing below main.c exits. */
#ifndef DINF_BASE_ERR_H
#define DINF_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

struct err {
    char text[2048];
};

/* Formats the message into `err` (which may be NULL) and returns -1, so that
 * callers can write `return err_set(err, ...)`. Truncated if too long. */
int err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the message already in `err`; returns -1. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Like err_set, with ": " and the text of `errno` appended; returns -1. */
int err_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
