/* One cut of the members may be lucky; and whoever cuts may choose. */
#include "stats/splits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double splits_merge(double *log10_p, int64_t n)
{
    if (n == 1)
        return log10_p[0];
    qsort(log10_p, (size_t)n, sizeof *log10_p, by_value);
    const double low = log10_p[(n - 1) / 2], high = log10_p[n / 2];
    /* log10 of 2 (10^low + 10^high) / 2, of numbers that 10^x may not hold */
    return fmin(0.0, high + log10(1.0 + (isinf(low) ? 0.0 : pow(10.0, low - high))));
}

/* The rows of fit and members, cut anew. */
static int cut(const struct inference_data *data, const double *pool, uint64_t seed, struct inference_data *out,
               double **rows, struct err *err)
{
    const int64_t n = data->n_fit + data->n_members;
    uint32_t *order = mem_alloc((size_t)n, sizeof *order, err);
    if (order == NULL)
        return -1;
    inference_split(seed, n, data->n_fit, order);
    *rows = rows_gather(pool, order, n, data->d, err);
    mem_free(order);
    *out = *data;
    out->fit = *rows;
    out->members = *rows + data->n_fit * data->d;
    return *rows != NULL ? 0 : -1;
}

static int further_split(struct device *dev, const struct statistic *statistic, const struct inference_data *data,
                         const double *pool, const struct inference_options *options, struct inference_result *r,
                         struct err *err)
{
    struct inference_data again;
    double *rows = NULL;
    int rc = -1;
    if (cut(data, pool, (uint64_t)options->seed, &again, &rows, err) == 0 &&
        statistic->run(dev, &again, options, r, err) == 0)
        rc = 0;
    mem_free(rows);
    return rc;
}

static void judge(struct splits *out, double *log10_p, double alpha)
{
    out->log10_p_merged = splits_merge(log10_p, out->n);
    out->p_merged = pow(10.0, out->log10_p_merged);
    if (out->n == 1)
        out->p_merged = out->p[0];
    out->verdict = out->p_merged < alpha ? "stolen" : "inconclusive";
}

static void refuse(struct splits *out, const struct inference_result *r)
{
    out->p_merged = out->log10_p_merged = NAN;
    out->verdict = r->verdict;
    snprintf(out->reason, sizeof out->reason, "%s", r->reason);
}

int splits_run(struct device *dev, const struct statistic *statistic, const struct inference_data *data,
               const struct inference_options *options, int64_t n, struct inference_result *own, struct splits *out,
               struct err *err)
{
    struct inference_options o = *options;
    const size_t row = (size_t)data->d * sizeof(double);
    double log10_p[SPLITS_MAX], *pool = NULL;
    int rc = -1;
    memset(out, 0, sizeof *out);
    if (statistic->run(dev, data, options, own, err) != 0)
        return -1;
    out->n = 1;
    out->p[0] = own->p_value;
    log10_p[0] = own->log10_p;
    if (own->reason[0] != '\0') {
        refuse(out, own);
        return 0;
    }
    if (n > 1) {
        pool = mem_alloc((size_t)(data->n_fit + data->n_members), row, err);
        if (pool == NULL)
            goto out;
        memcpy(pool, data->fit, (size_t)data->n_fit * row);
        memcpy(pool + data->n_fit * data->d, data->members, (size_t)data->n_members * row);
    }
    for (; out->n < n; out->n++) {
        struct inference_result r = { 0 };
        o.seed = options->seed + out->n;
        if (further_split(dev, statistic, data, pool, &o, &r, err) != 0)
            goto out;
        out->p[out->n] = r.p_value;
        log10_p[out->n] = r.log10_p;
        const bool violated = r.reason[0] != '\0';
        if (violated)
            refuse(out, &r);
        inference_result_fini(&r);
        if (violated) {
            out->n++;
            rc = 0;
            goto out;
        }
    }
    judge(out, log10_p, options->alpha);
    rc = 0;
out:
    mem_free(pool);
    if (rc != 0)
        inference_result_fini(own);
    return rc;
}
