/* The commands. Each gets argv with argv[0] its own name, handles --help, and
 * returns an exit status of base/stop.h; errors go to standard error as one
 * "error: ..." line. */
#ifndef DINF_CLI_CLI_H
#define DINF_CLI_CLI_H

#include <stdbool.h>

#include "base/err.h"
#include "base/stop.h"
#include "conf/option.h"

int cli_run(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_task(int argc, char **argv);
int cli_collect(int argc, char **argv);
int cli_audit(int argc, char **argv);
int cli_embed(int argc, char **argv);
int cli_compare(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_generate(int argc, char **argv);

/* What `dinf --version` prints. */
void cli_version(void);

/* "error: TEXT" on standard error; returns EXIT_USAGE. */
int cli_error(const struct err *err);

/* Options of one command: flags "--name value" (or --name=value) bound to a
 * struct by an option table; a boolean option is a flag without value. Other
 * words are operands, written to `operands` (at most `max`).
 * Returns -1 and a message on anything unknown or missing; 1 if --help was
 * asked for (and printed, with `usage` and `help` first); else 0. */
int cli_parse(int argc, char **argv, const char *usage, const char *help, const struct option *table, void *out,
              const char **operands, int max, int *n_operands, struct err *err);

/* The same; given[i] says whether row i of the table was on the command line. */
int cli_parse_given(int argc, char **argv, const char *usage, const char *help, const struct option *table, void *out,
                    bool *given, const char **operands, int max, int *n_operands, struct err *err);

/* -1 if one of `names` (ended by NULL) was given: "--NAME has no effect: WHY". What has none is refused, because its
 * user would take the result for another. */
int cli_check_unused(const struct option *table, const bool *given, const char *const *names, const char *why,
                     struct err *err);

/* 0 means all processors that this process may run on, or that its control group grants. */
int cli_threads(int64_t wanted);

#endif
