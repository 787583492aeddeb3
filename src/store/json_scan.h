/* A scanner for the little JSON that a safetensors header may hold. A general
 * parser builds a tree of whatever it is sent, keeps the last of two equal keys
 * and rounds integers; here each is an error, and the work is linear in the text. */
#ifndef DINF_STORE_JSON_SCAN_H
#define DINF_STORE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct json_scan {
    const char *begin, *p, *end;
    char *strings, *strings_end; /* decoded strings, NUL-terminated; freed by json_scan_fini */
};

/* `text` (n bytes) is borrowed. It must be valid UTF-8. */
int json_scan_init(struct json_scan *s, const char *text, size_t n, struct err *err);
void json_scan_fini(struct json_scan *s);

/* Skips blanks; true if `c` is next (and then takes it). */
bool json_take(struct json_scan *s, char c);
/* As json_take, but anything else is an error. */
int json_expect(struct json_scan *s, char c, struct err *err);
/* A string without NUL characters; *out lives until json_scan_fini. */
int json_string(struct json_scan *s, const char **out, struct err *err);
/* An integer of plain digits, 0 .. INT64_MAX. */
int json_count(struct json_scan *s, int64_t *out, struct err *err);
/* Nothing but blanks may be left. */
int json_end(struct json_scan *s, struct err *err);

bool utf8_valid(const char *text, size_t n);

#endif
