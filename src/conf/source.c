/* The text of a config before libconfig sees it.
 *
 * libconfig 1.5 resolves every @include against one folder and wraps integers
 * beyond 32 bits without a word. So includes are put in place here, each relative
 * to the file that has it, and integer literals are checked while that is done. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "conf/character.h"
#include "conf/internal.h"

enum { INCLUDE_DEPTH = 10, NESTING = 64, TOKEN = 80 };

enum mode { MODE_PLAIN, MODE_STRING, MODE_LINE_COMMENT, MODE_BLOCK_COMMENT };

struct scan {
    struct conf *conf;
    struct source *out;
    struct err *err;
    enum mode mode;
    int nesting;
    bool too_deep, no_memory;
};

static int add_text(struct source *s, const char *text, size_t n, struct err *err)
{
    if (s->used + n + 1 > s->size) {
        size_t size = 2 * (s->used + n + 1);
        char *grown = mem_grow(s->text, s->used, size, 1, err);
        if (grown == NULL)
            return -1;
        s->text = grown;
        s->size = size;
    }
    memcpy(s->text + s->used, text, n);
    s->used += n;
    s->text[s->used] = 0;
    return 0;
}

static int add_line(struct source *s, const char *text, size_t n, const char *file, int line, struct err *err)
{
    if (s->n_lines == s->max_lines) {
        int max = s->max_lines * 2 + 64;
        struct source_line *grown = mem_grow(s->lines, (size_t)s->n_lines, (size_t)max, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        s->lines = grown;
        s->max_lines = max;
    }
    s->lines[s->n_lines++] = (struct source_line){ file, line };
    return add_text(s, text, n, err) != 0 || add_text(s, "\n", 1, err) != 0 ? -1 : 0;
}

/* Length of the number at s; *integer: what libconfig will read as an integer. */
static size_t number_length(const char *s, const char *end, bool *integer)
{
    const char *p = s;
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p + 1 < end && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        for (p += 2; p < end && isxdigit((unsigned char)*p);)
            p++;
        *integer = true;
        return (size_t)(p - s);
    }
    const char *digits = p;
    while (p < end && isdigit((unsigned char)*p))
        p++;
    *integer = p > digits;
    if (p < end && *p == '.') {
        *integer = false;
        for (p++; p < end && isdigit((unsigned char)*p);)
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        *integer = false;
        p++;
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        while (p < end && isdigit((unsigned char)*p))
            p++;
    }
    return (size_t)(p - s);
}

/* An error sentence for an integer literal that would be wrapped, or NULL. */
static const char *integer_problem(const char *token, bool marked, char *out, size_t size)
{
    const char *digits = token + (*token == '-' || *token == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    errno = 0;
    long long v = strtoll(token, NULL, hex ? 16 : 10);
    if (errno == ERANGE) {
        snprintf(out, size, "%s does not fit in 64 bits", token);
        return out;
    }
    if (!marked && (v > INT32_MAX || v < INT32_MIN)) {
        snprintf(out, size, "%s does not fit in 32 bits; write %sL", token, token);
        return out;
    }
    return NULL;
}

/* Checks the number at s and returns its length, suffix included. */
static size_t check_number(const char *s, const char *end, char *problem, size_t size)
{
    bool integer;
    size_t n = number_length(s, end, &integer), suffix = 0;
    problem[0] = 0;
    while (s + n + suffix < end && suffix < 2 && s[n + suffix] == 'L')
        suffix++;
    if (integer) {
        char token[TOKEN];
        if (n >= sizeof token)
            snprintf(problem, size, "%.20s... does not fit in 64 bits", s);
        else {
            memcpy(token, s, n);
            token[n] = 0;
            integer_problem(token, suffix > 0, problem, size);
        }
    }
    return n + suffix;
}

void source_check_value(struct conf *conf, const struct conf_node *node, const char *text)
{
    char problem[256];
    const char *end = text + strlen(text);
    bool quoted = false;
    for (const char *p = text; p < end;) {
        if (*p == '"')
            quoted = !quoted;
        if (!quoted && (isdigit((unsigned char)*p) || ((*p == '-' || *p == '+') && isdigit((unsigned char)p[1])))) {
            p += check_number(p, end, problem, sizeof problem);
            if (problem[0] != 0)
                conf_error(conf, node, "%s", problem);
        } else if (!quoted && isalpha((unsigned char)*p)) {
            while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_'))
                p++;
        } else {
            p += *p == '\\' && p + 1 < end ? 2 : 1;
        }
    }
}

/* From 1, in characters: text is known to be UTF-8. */
static int column_of(const char *start, const char *p)
{
    int column = 1;
    for (; start < p; start++)
        column += (*start & 0xC0) != 0x80;
    return column;
}

/* In a string: for errors of the line to name. Its length in bytes. */
static size_t scan_character(struct scan *s, const char *start, const char *p, const char *end, const char *file,
                             int line)
{
    uint32_t code = 0;
    size_t n = character_decode(p, (size_t)(end - p), &code);
    if (character_find(code) != NULL && conf_mark(s->conf, file, line, column_of(start, p), code, s->err) != 0)
        s->no_memory = true;
    return n > 0 ? n : 1;
}

/* Outside of strings and comments nothing but ASCII has a meaning; said once a line. */
static void foreign_character(struct scan *s, const char *start, const char *p, const char *end, const char *file,
                              int line)
{
    char name[CHARACTER_TEXT];
    uint32_t code = 0;
    character_decode(p, (size_t)(end - p), &code);
    const struct character *c = character_find(code);
    character_text(code, name);
    if (c != NULL)
        conf_error_at(s->conf, file, line, "column %d has a %s: write %s in its place", column_of(start, p), name,
                      c->instead);
    else
        conf_error_at(s->conf, file, line, "column %d has the %s outside of a string", column_of(start, p), name);
}

static bool is_foreign(char c)
{
    return (unsigned char)c >= 0x7F || ((unsigned char)c < ' ' && strchr("\t\r\n\f", c) == NULL);
}

/* Follows the tokens of one line. */
static void scan_line(struct scan *s, const char *p, const char *end, const char *file, int line)
{
    char problem[256];
    bool foreign = false;
    const char *start = p;
    if (s->mode == MODE_LINE_COMMENT)
        s->mode = MODE_PLAIN;
    while (p < end) {
        char c = *p, next = (char)(p + 1 < end ? p[1] : 0);
        if (s->mode == MODE_STRING) {
            if (c == '"')
                s->mode = MODE_PLAIN;
            p += c == '\\' ? 2 : scan_character(s, start, p, end, file, line);
        } else if (s->mode == MODE_BLOCK_COMMENT) {
            bool closes = c == '*' && next == '/';
            if (closes)
                s->mode = MODE_PLAIN;
            p += closes ? 2 : 1;
        } else if (c == '#' || (c == '/' && next == '/')) {
            s->mode = MODE_LINE_COMMENT;
            return;
        } else if (c == '/' && next == '*') {
            s->mode = MODE_BLOCK_COMMENT;
            p += 2;
        } else if (c == '"') {
            s->mode = MODE_STRING;
            p++;
        } else if (isdigit((unsigned char)c) || ((c == '-' || c == '+' || c == '.') && isdigit((unsigned char)next))) {
            p += check_number(p, end, problem, sizeof problem);
            if (problem[0] != 0)
                conf_error_at(s->conf, file, line, "%s", problem);
        } else if (isalpha((unsigned char)c) || c == '*') {
            while (p < end && (isalnum((unsigned char)*p) || *p == '-' || *p == '_' || *p == '*'))
                p++;
        } else if (is_foreign(c)) {
            if (!foreign)
                foreign_character(s, start, p, end, file, line);
            foreign = true;
            p++;
        } else {
            if (c == '@')
                conf_error_at(s->conf, file, line, "@include \"FILE\" must stand on a line of its own");
            if (c == '{' || c == '(' || c == '[')
                s->nesting++;
            if (c == '}' || c == ')' || c == ']')
                s->nesting--;
            if (s->nesting > NESTING && !s->too_deep) {
                s->too_deep = true;
                conf_error_at(s->conf, file, line, "brackets are nested more than %d deep", (int)NESTING);
            }
            p++;
        }
    }
}

/* `@include "PATH"` alone on a line: its path into `out`; 1 if so, -1 if it is malformed. */
static int include_path(const char *p, const char *end, char *out, size_t size)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if ((size_t)(end - p) < 8 || memcmp(p, "@include", 8) != 0)
        return 0;
    p += 8;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    const char *close = p < end && *p == '"' ? memchr(p + 1, '"', (size_t)(end - p - 1)) : NULL;
    if (close == NULL || (size_t)(close - p) > size || close == p + 1)
        return -1;
    memcpy(out, p + 1, (size_t)(close - p - 1));
    out[close - p - 1] = 0;
    for (p = close + 1; p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == ';');)
        p++;
    return p == end || *p == '#' || *p == '/' ? 1 : -1;
}

struct chain {
    const struct chain *outer;
    const char *file;
    int depth;
};

static int read_file(struct scan *s, const char *path, const char *from, int from_line, const struct chain *outer);

static int read_include(struct scan *s, const char *name, const char *file, int line, const struct chain *outer)
{
    const char *slash = strrchr(file, '/');
    char path[4096];
    int n = name[0] == '/' || slash == NULL ? snprintf(path, sizeof path, "%s", name)
                                            : snprintf(path, sizeof path, "%.*s/%s", (int)(slash - file), file, name);
    if (n < 0 || (size_t)n >= sizeof path) {
        conf_error_at(s->conf, file, line, "the path of the included file is too long");
        return 0;
    }
    for (const struct chain *c = outer; c != NULL; c = c->outer)
        if (strcmp(c->file, path) == 0) {
            conf_error_at(s->conf, file, line, "%s includes itself", path);
            return 0;
        }
    if (outer->depth >= INCLUDE_DEPTH) {
        conf_error_at(s->conf, file, line, "includes are nested more than %d deep", (int)INCLUDE_DEPTH);
        return 0;
    }
    return read_file(s, path, file, line, outer);
}

static int read_file(struct scan *s, const char *path, const char *from, int from_line, const struct chain *outer)
{
    int rc = -1;
    char *data = NULL, name[4096];
    size_t bytes = 0;
    struct err why;
    const char *file = conf_keep_name(s->conf, path, s->err);
    struct chain chain = { outer, file, outer == NULL ? 0 : outer->depth + 1 };
    if (file == NULL)
        return -1;
    if (fs_read(path, &data, &bytes, &why) != 0) {
        conf_error_at(s->conf, from == NULL ? path : from, from_line, "%s", why.text);
        return 0;
    }
    if (memchr(data, 0, bytes) != NULL) {
        conf_error_at(s->conf, file, 0, "this is not text: it holds a zero byte");
        rc = 0;
        goto out;
    }
    static const char mark[] = "\xEF\xBB\xBF"; /* Windows editors begin UTF-8 text with it */
    size_t skip = bytes >= 3 && memcmp(data, mark, 3) == 0 ? 3 : 0;
    int line = character_not_utf8(data + skip, bytes - skip);
    if (line > 0) {
        conf_error_at(s->conf, file, line, "this is not UTF-8 text");
        rc = 0;
        goto out;
    }
    line = 1;
    for (const char *p = data + skip, *end = data + bytes; p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            stop = end;
        int include =
            s->mode == MODE_STRING || s->mode == MODE_BLOCK_COMMENT ? 0 : include_path(p, stop, name, sizeof name);
        if (include < 0)
            conf_error_at(s->conf, file, line, "@include wants a file name in quotes and nothing else on its line");
        if (include == 1 && read_include(s, name, file, line, &chain) != 0)
            goto out;
        if (include == 0) {
            scan_line(s, p, stop, file, line);
            if (s->no_memory || add_line(s->out, p, (size_t)(stop - p), file, line, s->err) != 0)
                goto out;
        }
        p = stop + 1;
    }
    if (s->mode == MODE_STRING || s->mode == MODE_BLOCK_COMMENT) {
        conf_error_at(s->conf, file, line - 1, "the file ends inside a %s",
                      s->mode == MODE_STRING ? "string" : "comment");
        s->mode = MODE_PLAIN;
    }
    rc = 0;
out:
    mem_free(data);
    return rc;
}

int source_read(struct conf *conf, const char *path, struct source *out, struct err *err)
{
    *out = (struct source){ 0 };
    struct scan s = { .conf = conf, .out = out, .err = err, .mode = MODE_PLAIN };
    return add_text(out, "", 0, err) != 0 ? -1 : read_file(&s, path, NULL, 0, NULL);
}

void source_fini(struct source *s)
{
    mem_free(s->text);
    mem_free(s->lines);
    *s = (struct source){ 0 };
}
