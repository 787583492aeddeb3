/* Which images of a query set the victim is asked about. */
#ifndef DINF_TASKS_QUERY_H
#define DINF_TASKS_QUERY_H

#include <stdint.h>

/* order (n): the query set's images in the order of the queries; a budget of N takes
 * the first N. */
void query_order(uint64_t seed, int64_t n, uint32_t *order);

#endif
