/* What `run` and `plan` share: a config with its --set words, to a plan. */
#ifndef DINF_CLI_OVERRIDES_H
#define DINF_CLI_OVERRIDES_H

#include "base/err.h"
#include "plan/plan.h"

enum { OVERRIDES_MAX = 256 };

struct overrides {
    const char *v[OVERRIDES_MAX];
    int n;
};

/* Moves every "--set X" and "--set=X" out of argv into `out`. */
int overrides_take(int *argc, char **argv, struct overrides *out, struct err *err);

/* Reads the config and builds the plan. Every error of the config goes to
 * standard error, one "error: ..." line each; then -1, and err is empty. */
int config_to_plan(const char *path, const struct overrides *set, struct plan **plan, struct err *err);

#endif
