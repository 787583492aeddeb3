/* What a config keeps beside its tree: what is wrong with it, and names of files. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
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

static void add_error(struct conf *conf, const char *file, int line, const char *format, va_list ap)
{
    char text[2048];
    int n = line > 0 ? snprintf(text, sizeof text, "%.1000s:%d: ", file, line)
                     : snprintf(text, sizeof text, "%.1000s: ", file);
    vsnprintf(text + n, sizeof text - (size_t)n, format, ap);
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
