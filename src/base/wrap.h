/* Text for people, in 80 columns. */
#ifndef DINF_BASE_WRAP_H
#define DINF_BASE_WRAP_H

/* Prints the words of `text` (UTF-8) to standard output: the first at column `at`, where
 * the cursor stands; lines end before column 80, further ones begin at column `left`. A
 * word that is longer stands alone. Blanks and newlines between words become one blank;
 * a newline ends the text. */
void wrap_print(const char *text, int at, int left);

/* The same for a row of a report: `label` in a column of `left`, the formatted text beside it. */
void wrap_row(const char *label, int left, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
