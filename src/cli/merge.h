/* Option tables of commands that build on a module's table. */
#ifndef DINF_CLI_MERGE_H
#define DINF_CLI_MERGE_H

#include "conf/option.h"

enum { MERGED_OPTIONS = 128 };

/* The rows of both tables, the end mark included; both describe one struct. */
void options_merge(const struct option *first, const struct option *second, struct option out[MERGED_OPTIONS]);

#endif
