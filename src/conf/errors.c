/* What a config keeps beside its tree: what is wrong with it, and names of files. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/character.h"
#include "conf/internal.h"

static int append_string(char ***list, int *n, char *s, struct err *err)
{
    if (s == NULL)
        return -1;
    size_t used = (size_t)*n;
    if ((used & (used - 1)) == 0) {
        char **grown = mem_grow(*list, used, used == 0 ? 1 : 2 * used, sizeof *grown, err);
        if (grown == NULL) {
            mem_free(s);
            return -1;
        }
        *list = grown;
    }
    (*list)[(*n)++] = s;
    return 0;
}

const char *conf_keep_name(struct conf *conf, const char *name, struct err *err)
{
    return append_string(&conf->files, &conf->n_files, mem_strdup(name, err), err) != 0
               ? NULL
               : conf->files[conf->n_files - 1];
}

struct conf_mark {
    const char *file; /* one of conf->files */
    int line, column;
    uint32_t code;
};

int conf_mark(struct conf *conf, const char *file, int line, int column, uint32_t code, struct err *err)
{
    size_t n = (size_t)conf->n_marks;
    struct conf_mark *grown = mem_grow(conf->marks, n, n + 1, sizeof *grown, err);
    if (grown == NULL)
        return -1;
    conf->marks = grown;
    conf->marks[conf->n_marks++] = (struct conf_mark){ file, line, column, code };
    return 0;
}

/* "; column 7 of the line has a ..." if a name that looks right is not. */
static void add_mark(const struct conf *conf, const char *file, int line, char *out, size_t size)
{
    char name[CHARACTER_TEXT];
    for (int i = 0; i < conf->n_marks; i++) {
        const struct conf_mark *m = &conf->marks[i];
        if (m->line != line || strcmp(m->file, file) != 0)
            continue;
        character_text(m->code, name);
        snprintf(out, size, "; column %d has a %s", m->column, name);
        return;
    }
}

static void add_error(struct conf *conf, const char *file, int line, const char *format, va_list ap)
{
    char text[2048];
    int n = line > 0 ? snprintf(text, sizeof text, "%.1000s:%d: ", file, line)
                     : snprintf(text, sizeof text, "%.1000s: ", file);
    vsnprintf(text + n, sizeof text - (size_t)n, format, ap);
    add_mark(conf, file, line, text + strlen(text), sizeof text - strlen(text));
    for (int i = 0; i < conf->n_errors; i++)
        if (strcmp(conf->errors[i], text) == 0)
            return; /* a sweep meets the same mistake in every combination */
    append_string(&conf->errors, &conf->n_errors, mem_strdup(text, NULL), NULL);
}

void conf_error_at(struct conf *conf, const char *file, int line, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add_error(conf, file, line, format, ap);
    va_end(ap);
}

void conf_error(struct conf *conf, const struct conf_node *node, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    add_error(conf, node->file, node->line, format, ap);
    va_end(ap);
}
