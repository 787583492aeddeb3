/* A plan from the journal alone, for those who ask about a run whose plan.json is lost. */
#ifndef DINF_COORD_OUTLINE_H
#define DINF_COORD_OUTLINE_H

#include "plan/plan.h"

/* The tasks that DIR/journal.jsonl names, sorted: ids and (after journal_replay)
 * states, nothing of what they are: the name is the beginning of the id, the kind is
 * "unknown", and nothing depends on anything. Tasks that never began are not there. */
int outline_read(const char *dir, struct plan **plan, struct err *err);

#endif
