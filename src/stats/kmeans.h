/* k-means, as a start for mixtures. Centres are host memory and not shifted. */
#ifndef DINF_STATS_KMEANS_H
#define DINF_STATS_KMEANS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/rng.h"
#include "stats/device_rows.h"

/* centre (k, d) = k of the rows, n >= k, chosen by greedy k-means++ (Arthur
 * and Vassilvitskii 2007; of 2 + log k candidates the one that lowers the
 * potential most). */
int kmeans_plus_plus(const struct device_rows *rows, int64_t k, struct rng rng, double *centre, struct err *err);

/* label (n) = nearest centre (k, d), ties to the lower index. */
int kmeans_assign(const struct device_rows *rows, const double *centre, int64_t k, int32_t *label, struct err *err);

/* centre = mean of the rows that carry its label; a centre without rows stays. */
void kmeans_update(const struct device_rows *rows, const int32_t *label, int64_t k, int64_t *count, double *centre);

/* Device memory that these take besides the rows, in bytes. */
size_t kmeans_memory(int64_t n, int64_t d, int64_t k);

#endif
