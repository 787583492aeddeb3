/* Who may still be writing a file. */
#ifndef DINF_BASE_WRITER_H
#define DINF_BASE_WRITER_H

#include <stdbool.h>

/* May process `pid` of this host have written something at `when` (clock_wall) and go on with it? It lives, is no
 * zombie that nobody has waited for, and has not got the number later than that. Where the system does not say
 * when the process began: true if it lives. */
bool writer_lives(long pid, double when);

#endif
