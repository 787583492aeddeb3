/* Child processes made of this very executable, or of DINF_PROGRAM. */
#ifndef DINF_COORD_PROCESS_H
#define DINF_COORD_PROCESS_H

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

/* In the child: die when the process that spawned it dies, however it does. Does
 * nothing in a process that process_spawn did not start. */
void process_follow_parent(void);

#endif
