/* A mixture's likelihood has many local maxima; k-means++ and a few iterations
 * of Lloyd put the start near a good one. */
#include "stats/kmeans.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "device/linalg.h"

/* distance (n, m), host, = squared distances of the rows to m centres (m, d). */
static int distances(const struct device_rows *rows, const double *centre, int64_t m, double *distance, struct err *err)
{
    struct device *dev = rows->dev;
    const struct device_ops *ops = dev->ops;
    int64_t n = rows->n, d = rows->d;
    size_t centre_bytes = (size_t)(m * d) * sizeof *centre, bytes = (size_t)(n * m) * sizeof *distance;
    int rc = -1;
    double *shifted = mem_alloc((size_t)m, (size_t)d * sizeof *shifted, err);
    double *c = shifted != NULL ? ops->alloc(dev, centre_bytes, err) : NULL;
    double *out = c != NULL ? ops->alloc(dev, bytes, err) : NULL;
    if (out == NULL)
        goto out;
    for (int64_t i = 0; i < m * d; i++)
        shifted[i] = centre[i] - rows->shift[i % d];
    if (ops->upload(dev, c, shifted, centre_bytes, err) == 0 &&
        ops->linalg->square_distances(dev, n, (int)d, rows->x, (int)m, c, out, err) == 0 &&
        ops->download(dev, distance, out, bytes, err) == 0)
        rc = 0;
out:
    if (out != NULL)
        ops->free(dev, out);
    if (c != NULL)
        ops->free(dev, c);
    mem_free(shifted);
    return rc;
}

/* Candidates for each further centre. */
static int trials_for(int64_t k)
{
    return 2 + (int)log((double)k);
}

/* A row drawn with probability proportional to weight (sum `total`); uniform if
 * all weights are zero. */
static int64_t draw(struct rng *rng, const double *weight, int64_t n, double total)
{
    if (!(total > 0.0))
        return (int64_t)rng_below(rng, (uint32_t)n);
    double left = rng_double(rng) * total;
    int64_t last = 0;
    for (int64_t i = 0; i < n; i++) {
        if (weight[i] <= 0.0)
            continue;
        last = i;
        left -= weight[i];
        if (left < 0.0)
            return i;
    }
    return last;
}

int kmeans_plus_plus(const struct device_rows *rows, int64_t k, struct rng rng, double *centre, struct err *err)
{
    const double *x = rows->host;
    int64_t n = rows->n, d = rows->d;
    int trials = trials_for(k), rc = -1;
    double *closest = mem_alloc((size_t)n, sizeof *closest, err);
    double *distance = mem_alloc((size_t)n, (size_t)trials * sizeof *distance, err);
    double *candidate = mem_alloc((size_t)trials, (size_t)d * sizeof *candidate, err);
    size_t row = (size_t)d * sizeof *x;
    double total = 0.0;
    if (closest == NULL || distance == NULL || candidate == NULL)
        goto out;
    memcpy(centre, x + (int64_t)rng_below(&rng, (uint32_t)n) * d, row);
    if (distances(rows, centre, 1, closest, err) != 0)
        goto out;
    for (int64_t i = 0; i < n; i++)
        total += closest[i];
    for (int64_t j = 1; j < k; j++) {
        double best_total = INFINITY;
        int best = 0;
        for (int t = 0; t < trials; t++)
            memcpy(candidate + t * d, x + draw(&rng, closest, n, total) * d, row);
        if (distances(rows, candidate, trials, distance, err) != 0)
            goto out;
        for (int t = 0; t < trials; t++) {
            double sum = 0.0;
            for (int64_t i = 0; i < n; i++)
                sum += fmin(closest[i], distance[i * trials + t]);
            if (sum < best_total) {
                best_total = sum;
                best = t;
            }
        }
        for (int64_t i = 0; i < n; i++)
            closest[i] = fmin(closest[i], distance[i * trials + best]);
        total = best_total;
        memcpy(centre + j * d, candidate + best * d, row);
    }
    rc = 0;
out:
    mem_free(candidate);
    mem_free(distance);
    mem_free(closest);
    return rc;
}

int kmeans_assign(const struct device_rows *rows, const double *centre, int64_t k, int32_t *label, struct err *err)
{
    int64_t n = rows->n;
    double *distance = mem_alloc((size_t)n, (size_t)k * sizeof *distance, err);
    if (distance == NULL)
        return -1;
    int rc = distances(rows, centre, k, distance, err);
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        label[i] = 0;
        for (int64_t j = 1; j < k; j++)
            if (distance[i * k + j] < distance[i * k + label[i]])
                label[i] = (int32_t)j;
    }
    mem_free(distance);
    return rc;
}

void kmeans_update(const struct device_rows *rows, const int32_t *label, int64_t k, int64_t *count, double *centre)
{
    const double *x = rows->host;
    int64_t n = rows->n, d = rows->d;
    memset(count, 0, (size_t)k * sizeof *count);
    for (int64_t i = 0; i < n; i++)
        count[label[i]]++;
    for (int64_t j = 0; j < k; j++)
        if (count[j] > 0)
            memset(centre + j * d, 0, (size_t)d * sizeof *centre);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            centre[label[i] * d + c] += x[i * d + c];
    for (int64_t j = 0; j < k; j++)
        for (int64_t c = 0; count[j] > 0 && c < d; c++)
            centre[j * d + c] /= (double)count[j];
}

size_t kmeans_memory(int64_t n, int64_t d, int64_t k)
{
    const int64_t trials = trials_for(k), most = k > trials ? k : trials; /* centres at a time */
    return (size_t)(most * (n + d)) * sizeof(double);
}
