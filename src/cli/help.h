/* What --help prints. */
#ifndef DINF_CLI_HELP_H
#define DINF_CLI_HELP_H

#include "conf/option.h"

/* Lines, each ended by a newline, that help_print shows last: examples of the command
 * that runs. NULL: none. */
void help_set_examples(const char *lines);

/* "usage: dinf USAGE", the text, the options of the table (may be NULL or empty), and the examples. */
void help_print(const char *usage, const char *text, const struct option *table);

#endif
