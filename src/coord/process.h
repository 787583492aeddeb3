/* Child processes made of this very executable, or of DINF_PROGRAM. */
#ifndef DINF_COORD_PROCESS_H
#define DINF_COORD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

enum { PROCESS_EXTRA_FD = 3 }; /* where the child finds `extra` */

/* Starts `dinf argv[1]...` (argv ends with NULL) in a process group of its own,
 * without the launcher's variables in its environment (it is no rank), with
 * OMP_NUM_THREADS and OPENBLAS_NUM_THREADS = threads. input, output and extra
 * become its standard input, its standard output and error, and descriptor 3; -1:
 * /dev/null, and no descriptor 3. They stay open here, and must not be inherited
 * otherwise: open them close-on-exec. */
int process_spawn(pid_t *pid, const char *const argv[], int threads, int input, int output, int extra, struct err *err);

/* Kills the process and waits for its end, but not for ever: a process that hangs in the
 * system (a lost mount, a driver) does not die. False: it is still there. `status`: as for
 * waitpid, may be NULL. */
bool process_kill(pid_t pid, int *status);
static const double process_patience = 3; /* seconds that a killed process has for its end */

/* In the child: die when the process that spawned it dies, however it does. Does
 * nothing in a process that process_spawn did not start. */
void process_follow_parent(void);

#endif
