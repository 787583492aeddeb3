/* A run directory whose config has changed since the last run. */
#ifndef DINF_COORD_CHANGE_H
#define DINF_COORD_CHANGE_H

#include "plan/plan.h"

/* Where the tasks of DIR are others than `before` had: says which are new and which have
 * gone (counts, and a few names), and keeps the former results.h5 as results-HASH.h5,
 * HASH the first 12 digits of the former config's (its attribute config_hash). */
int change_note(const char *dir, struct plan *before, struct plan *plan, struct err *err);

#endif
