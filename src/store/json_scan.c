/* Headers of foreign weight files are the first untrusted bytes that dinf
 * meets: see json_scan.h for why this is not a general JSON parser. */
#include "store/json_scan.h"

#include <string.h>

#include "base/mem.h"

bool utf8_valid(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;
    while (p < end) {
        unsigned char c = *p++;
        if (c < 0x80)
            continue;
        int more = c >= 0xC2 && c <= 0xDF ? 1 : (c & 0xF0) == 0xE0 ? 2 : c >= 0xF0 && c <= 0xF4 ? 3 : 0;
        if (more == 0 || end - p < more)
            return false;
        /* the second byte excludes overlong forms, surrogates and what lies beyond U+10FFFF */
        unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (p[0] < low || p[0] > high)
            return false;
        for (int i = 1; i < more; i++)
            if ((p[i] & 0xC0) != 0x80)
                return false;
        p += more;
    }
    return true;
}

int json_scan_init(struct json_scan *s, const char *text, size_t n, struct err *err)
{
    *s = (struct json_scan){ .begin = text, .p = text, .end = text + n };
    if (!utf8_valid(text, n))
        return err_set(err, "the header is not valid UTF-8");
    /* a decoded string and its NUL are never longer than the quoted string */
    s->strings = s->strings_end = mem_alloc(n, 1, err);
    return s->strings == NULL ? -1 : 0;
}

void json_scan_fini(struct json_scan *s)
{
    mem_free(s->strings);
    s->strings = NULL;
}

static int scan_error(const struct json_scan *s, const char *what, struct err *err)
{
    return err_set(err, "the header is not as it should be at byte %td: %s", s->p - s->begin, what);
}

static void skip_blanks(struct json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

bool json_take(struct json_scan *s, char c)
{
    skip_blanks(s);
    if (s->p >= s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

int json_expect(struct json_scan *s, char c, struct err *err)
{
    if (json_take(s, c))
        return 0;
    char what[] = "expected ' '";
    what[sizeof what - 3] = c;
    return scan_error(s, what, err);
}

static int hex4(struct json_scan *s, uint32_t *out)
{
    if (s->end - s->p < 4)
        return -1;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = *s->p++;
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return -1;
        v = v << 4 | digit;
    }
    *out = v;
    return 0;
}

static char *utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* What follows a backslash. */
static int json_escape(struct json_scan *s, struct err *err)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->p >= s->end)
        return scan_error(s, "the text ends inside a string", err);
    char c = *s->p++;
    if (c != 'u') {
        const char *at = c == '\0' ? NULL : strchr(from, c);
        if (at == NULL)
            return scan_error(s, "unknown escape in a string", err);
        *s->strings_end++ = to[at - from];
        return 0;
    }
    uint32_t code, low;
    if (hex4(s, &code) != 0)
        return scan_error(s, "\\u wants four hexadecimal digits", err);
    if (code == 0)
        return scan_error(s, "a NUL character in a string", err);
    if (code >= 0xD800 && code <= 0xDFFF) {
        bool pair = code < 0xDC00 && s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u';
        if (pair) {
            s->p += 2;
            pair = hex4(s, &low) == 0 && low >= 0xDC00 && low <= 0xDFFF;
        }
        if (!pair)
            return scan_error(s, "half of a surrogate pair in a string", err);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    s->strings_end = utf8_put(s->strings_end, code);
    return 0;
}

int json_string(struct json_scan *s, const char **out, struct err *err)
{
    if (!json_take(s, '"'))
        return scan_error(s, "expected a string", err);
    char *start = s->strings_end;
    for (;;) {
        if (s->p >= s->end)
            return scan_error(s, "the text ends inside a string", err);
        char c = *s->p++;
        if (c == '"')
            break;
        if ((unsigned char)c < 0x20)
            return scan_error(s, "a control character in a string", err);
        if (c != '\\')
            *s->strings_end++ = c;
        else if (json_escape(s, err) != 0)
            return -1;
    }
    *s->strings_end++ = '\0';
    *out = start;
    return 0;
}

int json_count(struct json_scan *s, int64_t *out, struct err *err)
{
    skip_blanks(s);
    const char *start = s->p;
    int64_t v = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s->p - '0', &v))
            return scan_error(s, "the number is too large", err);
    if (s->p == start || (*start == '0' && s->p - start > 1))
        return scan_error(s, "expected a whole number that is not negative", err);
    *out = v;
    return 0;
}

int json_end(struct json_scan *s, struct err *err)
{
    skip_blanks(s);
    return s->p == s->end ? 0 : scan_error(s, "text behind the closing brace", err);
}
