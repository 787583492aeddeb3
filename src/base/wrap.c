/* Terminals break lines within words, and a report is read beside others. */
#include "base/wrap.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { RIGHT = 79, ROW_TEXT = 4096 };

/* Characters, not bytes. */
static int width(const char *text, int bytes)
{
    int n = 0;
    for (int i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

void wrap_print(const char *text, int at, int left)
{
    static const char blanks[] = " \n";
    int column = at;
    text += strspn(text, blanks);
    for (bool first = true; *text != '\0'; first = false) {
        const int bytes = (int)strcspn(text, blanks), wide = width(text, bytes);
        if (column + !first + wide > RIGHT && column > left) {
            printf("\n%*s", left, "");
            column = left;
        } else if (!first) {
            putchar(' ');
            column++;
        }
        printf("%.*s", bytes, text);
        column += wide;
        text += bytes;
        text += strspn(text, blanks);
    }
    putchar('\n');
}

void wrap_row(const char *label, int left, const char *format, ...)
{
    char text[ROW_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    wrap_print(text, printf("%-*s ", left - 1, label), left);
}
