/* Preprocessing of representations that several statistics share. */
#include "stats/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int rows_check(const double *x, int64_t n, int64_t d, const char *what, struct err *err)
{
    for (int64_t i = 0; i < n * d; i++) {
        if (!isfinite(x[i]))
            return err_set(err, "%s has a value that is not finite (%g) in row %lld, column %lld", what, x[i],
                           (long long)(i / d), (long long)(i % d));
    }
    return 0;
}

bool rows_constant_parts(const double *const *parts, const int64_t *n, int n_parts, int64_t d)
{
    for (int64_t c = 0; c < d; c++) {
        double low = INFINITY, high = -INFINITY;
        for (int p = 0; p < n_parts; p++)
            for (int64_t i = 0; i < n[p]; i++) {
                low = fmin(low, parts[p][i * d + c]);
                high = fmax(high, parts[p][i * d + c]);
                if (high - low > 0x1p-22 * fmax(fabs(low), fabs(high)))
                    return false;
            }
    }
    return true;
}

bool rows_constant(const double *x, int64_t n, int64_t d)
{
    return rows_constant_parts(&x, &n, 1, d);
}

void rows_normalize(double *x, int64_t n, int64_t d)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = x + i * d, top = 0.0, sum = 0.0;
        for (int64_t c = 0; c < d; c++)
            top = fmax(top, fabs(row[c]));
        if (top == 0.0)
            continue;
        for (int64_t c = 0; c < d; c++) /* scaled by the largest: no overflow, no underflow */
            sum += row[c] / top * (row[c] / top);
        double norm = sqrt(sum);
        for (int64_t c = 0; c < d; c++)
            row[c] = row[c] / top / norm;
    }
}

void rows_mean(const double *x, int64_t n, int64_t d, double *mean)
{
    memset(mean, 0, (size_t)d * sizeof *mean);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            mean[c] += x[i * d + c];
    for (int64_t c = 0; c < d; c++)
        mean[c] /= (double)n;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void rows_order_ascending(uint32_t *order, int64_t n)
{
    qsort(order, (size_t)n, sizeof *order, ascending);
}

double *rows_gather(const double *x, const uint32_t *order, int64_t n, int64_t d, struct err *err)
{
    double *out = mem_alloc((size_t)n, (size_t)d * sizeof *out, err);
    for (int64_t i = 0; out != NULL && i < n; i++)
        memcpy(out + i * d, x + order[i] * d, (size_t)d * sizeof *out);
    return out;
}

double *rows_widen(const double *x, int64_t n, int64_t d, int64_t wide, struct err *err)
{
    double *out = mem_alloc((size_t)n, (size_t)wide * sizeof *out, err);
    for (int64_t i = 0; out != NULL && i < n; i++)
        memcpy(out + i * wide, x + i * d, (size_t)d * sizeof *out);
    return out;
}

int rows_centre_normalize(double *x, int64_t n, int64_t d, struct err *err)
{
    double *mean = mem_alloc((size_t)d, sizeof *mean, err);
    if (mean == NULL)
        return -1;
    rows_mean(x, n, d, mean);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] -= mean[c];
    rows_normalize(x, n, d);
    mem_free(mean);
    return 0;
}

/* flat[c]: do the values of column c differ by no more than the rounding of numbers of
 * their size? Of float32 where all of them are such numbers, else of float64. Dividing by
 * such a spread would turn rounding into a column like any other. */
static void flat_columns(double *const *parts, const int64_t *n, int n_parts, int64_t d, bool *flat)
{
    for (int64_t c = 0; c < d; c++) {
        double low = INFINITY, high = -INFINITY;
        bool single = true;
        for (int p = 0; p < n_parts; p++)
            for (int64_t i = 0; i < n[p]; i++) {
                const double v = parts[p][i * d + c];
                low = fmin(low, v);
                high = fmax(high, v);
                single = single && (double)(float)v == v;
            }
        flat[c] = high - low <= (single ? 0x1p-22 : 0x1p-50) * fmax(fabs(low), fabs(high));
    }
}

int rows_standardize(double *const *parts, const int64_t *n, int n_parts, int64_t d, struct err *err)
{
    int64_t total = 0;
    bool *flat = mem_alloc((size_t)d, sizeof *flat, err);
    double *mean = flat != NULL ? mem_alloc((size_t)d, 2 * sizeof *mean, err) : NULL,
           *variance = mean != NULL ? mean + d : NULL;
    if (mean == NULL) {
        mem_free(flat);
        return -1;
    }
    flat_columns(parts, n, n_parts, d, flat);
    for (int p = 0; p < n_parts; p++) {
        total += n[p];
        for (int64_t i = 0; i < n[p] * d; i++)
            mean[i % d] += parts[p][i];
    }
    for (int64_t c = 0; c < d; c++)
        mean[c] /= (double)total;
    for (int p = 0; p < n_parts; p++)
        for (int64_t i = 0; i < n[p] * d; i++) {
            parts[p][i] -= mean[i % d];
            variance[i % d] += parts[p][i] * parts[p][i];
        }
    for (int64_t c = 0; c < d; c++)
        variance[c] = !flat[c] && variance[c] > 0.0 ? 1.0 / sqrt(variance[c] / (double)total) : 0.0;
    for (int p = 0; p < n_parts; p++)
        for (int64_t i = 0; i < n[p] * d; i++)
            parts[p][i] *= variance[i % d];
    mem_free(mean);
    mem_free(flat);
    return 0;
}

const char *const rows_preparations[] = { "l2", "standardize", "none", NULL };

int rows_prepare(const char *how, double *const *parts, const int64_t *n, int n_parts, int64_t d, struct err *err)
{
    if (strcmp(how, "none") == 0)
        return 0;
    if (strcmp(how, "standardize") == 0 && rows_standardize(parts, n, n_parts, d, err) != 0)
        return -1;
    for (int p = 0; p < n_parts; p++)
        rows_normalize(parts[p], n[p], d);
    return 0;
}
