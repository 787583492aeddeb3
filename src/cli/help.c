/* Every command's --help has one form. The examples stand in the table of commands, so
 * that no command can do without. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

static const char *examples;

void help_set_examples(const char *lines)
{
    examples = lines;
}

/* One line of a command's usage, broken before column 80 where an option begins. */
static void print_usage(const char *usage)
{
    enum { RIGHT = 79 };
    static const char head[] = "usage: dinf ";
    int column = printf("%s", head), left = column + (int)strcspn(usage, " ") + 1;
    while (*usage != '\0') {
        size_t n = strcspn(usage, " ");
        while (usage[n] == ' ' && usage[n + 1] != '[') /* the value of an option stays with it */
            n += 1 + strcspn(usage + n + 1, " ");
        if (column > left && column + 1 + (int)n > RIGHT) {
            printf("\n%*s", left, "");
            column = left;
        } else if (column > (int)sizeof head - 1) {
            putchar(' ');
            column++;
        }
        column += printf("%.*s", (int)n, usage);
        usage += n + (usage[n] == ' ');
    }
    putchar('\n');
}

void help_print(const char *usage, const char *text, const struct option *table)
{
    print_usage(usage);
    printf("\n%s\n", text);
    if (table != NULL && table[0].name != NULL) {
        printf("\noptions:\n");
        options_print(table, "  ", "--");
    }
    if (examples != NULL)
        printf("\nexamples:\n%s", examples);
}
