/* Taking in weights: what the plan asks of the kind. */
#ifndef DINF_TASKS_IMPORT_H
#define DINF_TASKS_IMPORT_H

#include <cjson/cJSON.h>

#include "base/err.h"

/* What was left open becomes a number: the input size by the stem. */
int import_settle(cJSON *params, struct err *err);

#endif
