/* The resolved config as text: what a run's config.cfg and results.h5 keep. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/internal.h"
#include "conf/number.h"

static void write_string(FILE *f, const char *s)
{
    putc('"', f);
    for (; *s != 0; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", f);
        else if (c < 0x20)
            fprintf(f, "\\x%02X", c);
        else
            putc(c, f);
    }
    putc('"', f);
}

static void write_value(FILE *f, const struct conf_node *node, int depth)
{
    char number[NUMBER_TEXT];
    switch (node->type) {
    case CONF_INT:
        fprintf(f, "%lld%s", (long long)node->value.integer,
                node->value.integer > INT32_MAX || node->value.integer < INT32_MIN ? "L" : "");
        break;
    case CONF_FLOAT:
        number_print(node->value.real, number);
        fprintf(f, "%s%s", number, strpbrk(number, ".e") == NULL ? ".0" : "");
        break;
    case CONF_BOOL:
        fputs(node->value.boolean ? "true" : "false", f);
        break;
    case CONF_STRING:
        write_string(f, node->value.string);
        break;
    case CONF_LIST:
        fputs("(", f);
        for (int i = 0; i < node->n; i++) {
            bool group = node->children[i]->type == CONF_GROUP;
            if (group)
                fprintf(f, "\n%*s", 4 * depth, "");
            else if (i > 0)
                putc(' ', f);
            write_value(f, node->children[i], depth + 1);
            if (i + 1 < node->n)
                putc(',', f);
        }
        fputs(")", f);
        break;
    case CONF_GROUP:
        fputs("{\n", f);
        for (int i = 0; i < node->n; i++) {
            fprintf(f, "%*s%s = ", 4 * depth, "", node->children[i]->name);
            write_value(f, node->children[i], depth + 1);
            fputs(";\n", f);
        }
        fprintf(f, "%*s}", 4 * (depth - 1), "");
        break;
    }
}

char *conf_write(const struct conf_node *root, struct err *err)
{
    char *text = NULL, *copy = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        err_set(err, "out of memory");
        return NULL;
    }
    for (int i = 0; i < root->n; i++) {
        fprintf(f, "%s = ", root->children[i]->name);
        write_value(f, root->children[i], 1);
        fputs(";\n", f);
    }
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed)
        err_set(err, "out of memory");
    else
        copy = mem_strdup(text, err);
    free(text);
    return copy;
}
