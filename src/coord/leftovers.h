/* What killed processes leave in a run directory. */
#ifndef DINF_COORD_LEFTOVERS_H
#define DINF_COORD_LEFTOVERS_H

#include "plan/plan.h"

/* Removes temporary files of the dead in DIR, in tasks/, encoders/ and in tasks' folders in
 * work/; and the folders in work/ of tasks that are done, and of tasks that the plan has no
 * more if nothing is in them, or nothing has changed in them for a week. `age`:
 * a dead process's file is removed that nobody has written to for so many seconds, or
 * for five. The caller holds the lock, and none of its tasks runs. What
 * cannot be removed is left with a warning. */
void leftovers_remove(const char *dir, struct plan *plan, double age);

#endif
