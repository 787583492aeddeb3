/* Naive linear algebra: loops as in the definitions, one thread, so that every
 * faster device has something plain to be compared with. */
#include "device/linalg_tables.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static int ref_dgemm(struct device *dev, enum trans ta, enum trans tb, int m, int n, int k, double alpha,
                     const double *a, int lda, const double *b, int ldb, double beta, double *c, int ldc,
                     struct err *err)
{
    (void)dev, (void)err;
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0.0;
            for (int l = 0; l < k; l++) {
                double x = ta == TRANS_YES ? a[(size_t)l * lda + i] : a[(size_t)i * lda + l];
                double y = tb == TRANS_YES ? b[(size_t)j * ldb + l] : b[(size_t)l * ldb + j];
                sum += x * y;
            }
            double *out = &c[(size_t)i * ldc + j];
            *out = alpha * sum + (beta == 0.0 ? 0.0 : beta * *out);
        }
    }
    return 0;
}

static int ref_dpotrf(struct device *dev, int d, double *a, int lda, int *info, struct err *err)
{
    (void)dev, (void)err;
    *info = 0;
    for (int j = 0; j < d; j++) {
        double *row = a + (size_t)j * lda, pivot = row[j];
        for (int l = 0; l < j; l++)
            pivot -= row[l] * row[l];
        if (!(pivot > 0.0)) {
            *info = j + 1;
            return 0;
        }
        row[j] = sqrt(pivot);
        for (int i = j + 1; i < d; i++) {
            double *below = a + (size_t)i * lda, sum = below[j];
            for (int l = 0; l < j; l++)
                sum -= below[l] * row[l];
            below[j] = sum / row[j];
        }
    }
    return 0;
}

static int ref_dtrtri(struct device *dev, int d, double *a, int lda, struct err *err)
{
    (void)dev, (void)err;
    for (int i = 0; i < d; i++) {
        double *row = a + (size_t)i * lda, diagonal = 1.0 / row[i];
        for (int j = 0; j < i; j++) { /* rows above are inverted already; row[l], l > j, still is L's */
            double sum = 0.0;
            for (int l = j; l < i; l++)
                sum += row[l] * a[(size_t)l * lda + j];
            row[j] = -diagonal * sum;
        }
        row[i] = diagonal;
    }
    return 0;
}

static int ref_whitening_factors(struct device *dev, int k, int d, double *a, int *info, struct err *err)
{
    for (int j = 0; j < k; j++) {
        double *matrix = a + (size_t)j * d * d;
        ref_dpotrf(dev, d, matrix, d, &info[j], err);
        if (info[j] == 0)
            ref_dtrtri(dev, d, matrix, d, err);
    }
    return 0;
}

static int ref_dtrsm(struct device *dev, int n, int d, const double *l, int ldl, double *x, int ldx, struct err *err)
{
    (void)dev, (void)err;
    for (int r = 0; r < n; r++) {
        double *row = x + (size_t)r * ldx;
        for (int i = 0; i < d; i++) {
            double sum = row[i];
            for (int j = 0; j < i; j++)
                sum -= l[(size_t)i * ldl + j] * row[j];
            row[i] = sum / l[(size_t)i * ldl + i];
        }
    }
    return 0;
}

static double log_sum_exp(int k, double *x)
{
    double top = -INFINITY, sum = 0.0;
    for (int j = 0; j < k; j++)
        top = fmax(top, x[j]);
    if (top == -INFINITY) {
        memset(x, 0, (size_t)k * sizeof *x);
        return top;
    }
    for (int j = 0; j < k; j++)
        sum += exp(x[j] - top);
    double all = top + log(sum);
    for (int j = 0; j < k; j++)
        x[j] = exp(x[j] - all);
    return all;
}

static double square_distance(int d, const double *a, const double *b)
{
    double sum = 0.0;
    for (int c = 0; c < d; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

static int ref_square_distances(struct device *dev, int64_t n, int d, const double *x, int m, const double *c,
                                double *out, struct err *err)
{
    (void)dev, (void)err;
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            out[i * m + j] = square_distance(d, x + i * d, c + (size_t)j * d);
    return 0;
}

static int ref_nearest_rows(struct device *dev, int64_t n, int d, const double *x, int64_t *index, double *distance,
                            struct err *err)
{
    (void)dev, (void)err;
    for (int64_t i = 0; i < n; i++) {
        int64_t nearest = i;
        distance[i] = INFINITY;
        for (int64_t j = 0; j < n; j++) {
            double s = j == i ? INFINITY : square_distance(d, x + i * d, x + j * d);
            if (s < distance[i]) {
                distance[i] = s;
                nearest = j;
            }
        }
        if (nearest == i)
            distance[i] = NAN;
        if (index != NULL)
            index[i] = nearest;
    }
    return 0;
}

static int ref_gmm_diag_pass(struct device *dev, int64_t n, int d, int k, const double *x, const double *precision,
                             const double *linear, const double *offset, double *loglik, double *count, double *sum,
                             double *sum_square, struct err *err)
{
    (void)dev;
    double *row = mem_alloc((size_t)k, sizeof *row, err);
    if (row == NULL)
        return -1;
    if (count != NULL) {
        memset(count, 0, (size_t)k * sizeof *count);
        memset(sum, 0, (size_t)k * d * sizeof *sum);
        memset(sum_square, 0, (size_t)k * d * sizeof *sum_square);
    }
    for (int64_t i = 0; i < n; i++) {
        const double *v = x + i * d;
        for (int j = 0; j < k; j++) {
            row[j] = offset[j];
            for (int c = 0; c < d; c++) {
                size_t at = (size_t)j * d + c;
                row[j] += linear[at] * v[c] - 0.5 * precision[at] * v[c] * v[c];
            }
        }
        loglik[i] = log_sum_exp(k, row);
        for (int j = 0; count != NULL && j < k; j++) {
            count[j] += row[j];
            for (int c = 0; c < d; c++) {
                sum[(size_t)j * d + c] += row[j] * v[c];
                sum_square[(size_t)j * d + c] += row[j] * v[c] * v[c];
            }
        }
    }
    mem_free(row);
    return 0;
}

static int ref_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                                const double *centre, const double *offset, double *loglik, double *resp,
                                struct err *err)
{
    (void)dev, (void)err;
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < k; j++) {
            double quadratic = 0.0;
            for (int r = 0; r < d; r++) {
                const double *w = whiten + ((size_t)j * d + r) * d;
                double y = -centre[(size_t)j * d + r];
                for (int c = 0; c <= r; c++)
                    y += w[c] * x[i * d + c];
                quadratic += y * y;
            }
            resp[i * k + j] = offset[j] - 0.5 * quadratic;
        }
        loglik[i] = log_sum_exp(k, resp + i * k);
    }
    return 0;
}

static int ref_weighted_scatter(struct device *dev, int64_t n, int d, const double *x, const double *weight, int stride,
                                const double *centre, double *scatter, struct err *err)
{
    (void)dev, (void)err;
    for (int r = 0; r < d; r++) {
        for (int c = 0; c <= r; c++) {
            double sum = 0.0;
            for (int64_t i = 0; i < n; i++)
                sum += weight[i * stride] * (x[i * d + r] - centre[r]) * (x[i * d + c] - centre[c]);
            scatter[(size_t)r * d + c] = sum;
        }
    }
    return 0;
}

const struct device_linalg ref_linalg = {
    .dgemm = ref_dgemm,
    .dpotrf = ref_dpotrf,
    .dtrtri = ref_dtrtri,
    .dtrsm = ref_dtrsm,
    .whitening_factors = ref_whitening_factors,
    .square_distances = ref_square_distances,
    .nearest_rows = ref_nearest_rows,
    .gmm_diag_pass = ref_gmm_diag_pass,
    .gmm_full_logprob = ref_gmm_full_logprob,
    .weighted_scatter = ref_weighted_scatter,
};
