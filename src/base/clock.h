/* Time. */
#ifndef DINF_BASE_CLOCK_H
#define DINF_BASE_CLOCK_H

#include <stddef.h>

double clock_monotonic(void); /* seconds, for durations */
double clock_wall(void);      /* seconds since the epoch */
void clock_sleep(double seconds);

/* "3 h 12 min", "4 min 05 s", "12.3 s"; for people. Writes into `out`, returns it. */
const char *clock_duration(double seconds, char *out, size_t size);

#endif
