/* EM for Gaussian mixtures. A workspace holds the centred data and the current
 * parameters on the device; the passes over the rows are slots of the device,
 * what is left here is of the size of the parameters. */
#include "stats/gmm.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "device/linalg.h"
#include "stats/kmeans.h"
#include "stats/rows.h"

enum { LLOYD_ITERATIONS = 10 };

#define LOG_2PI 1.8378770664093454836

void gmm_fini(struct gmm *g)
{
    if (g == NULL)
        return;
    mem_free(g->weight);
    mem_free(g->mean);
    mem_free(g->cov);
    memset(g, 0, sizeof *g);
}

static size_t cov_size(enum covariance covariance, int64_t d)
{
    return covariance == COVARIANCE_FULL ? (size_t)d * (size_t)d : (size_t)d;
}

static int gmm_create(struct gmm *g, int64_t k, int64_t d, enum covariance covariance, struct err *err)
{
    *g = (struct gmm){ .components = k, .d = d, .covariance = covariance };
    g->weight = mem_alloc((size_t)k, sizeof *g->weight, err);
    g->mean = mem_alloc((size_t)k, (size_t)d * sizeof *g->mean, err);
    g->cov = mem_alloc((size_t)k, cov_size(covariance, d) * sizeof *g->cov, err);
    if (g->weight != NULL && g->mean != NULL && g->cov != NULL)
        return 0;
    gmm_fini(g);
    return -1;
}

int gmm_init(struct gmm *out, int64_t k, int64_t d, enum covariance covariance, const double *weight,
             const double *mean, const double *cov, struct err *err)
{
    if (gmm_create(out, k, d, covariance, err) != 0)
        return -1;
    memcpy(out->weight, weight, (size_t)k * sizeof *weight);
    memcpy(out->mean, mean, (size_t)(k * d) * sizeof *mean);
    memcpy(out->cov, cov, (size_t)k * cov_size(covariance, d) * sizeof *cov);
    return 0;
}

/* -- the workspace -- */

/* Device buffers, in the order of em_sizes. A diagonal mixture has precision and
 * linear where a full one has whiten and centre, see linalg.h. */
enum em_buffer { EM_SHAPE, EM_PLACE, EM_OFFSET, EM_LOGLIK, EM_RESP, EM_COUNT, EM_SUM, EM_SQUARE, EM_BUFFERS };

struct em {
    struct device_rows rows;
    int64_t n, d, k;
    enum covariance covariance;
    double *buffer[EM_BUFFERS];
    double *host; /* as many doubles as the largest of shape, loglik and resp */
};

static void em_fini(struct em *em)
{
    for (int i = 0; i < EM_BUFFERS; i++)
        if (em->buffer[i] != NULL)
            em->rows.dev->ops->free(em->rows.dev, em->buffer[i]);
    mem_free(em->host);
    device_rows_fini(&em->rows);
}

/* Doubles of each buffer. */
static void em_sizes(int64_t n, int64_t d, int64_t k, enum covariance covariance, size_t sizes[EM_BUFFERS])
{
    const bool full = covariance == COVARIANCE_FULL;
    const size_t kd = (size_t)(k * d), nk = (size_t)(n * k);
    for (int i = 0; i < EM_BUFFERS; i++)
        sizes[i] = (size_t)k; /* EM_OFFSET, EM_COUNT */
    sizes[EM_SHAPE] = (size_t)k * cov_size(covariance, d);
    sizes[EM_PLACE] = sizes[EM_SUM] = kd;
    sizes[EM_LOGLIK] = (size_t)n;
    sizes[EM_RESP] = full ? nk : 1;
    sizes[EM_SQUARE] = full ? 1 : kd;
}

size_t gmm_memory(int64_t n, int64_t d, int64_t components, enum covariance covariance)
{
    size_t sizes[EM_BUFFERS], doubles = (size_t)(n * d);
    em_sizes(n, d, components, covariance, sizes);
    for (int i = 0; i < EM_BUFFERS; i++)
        doubles += sizes[i];
    return doubles * sizeof(double) + kmeans_memory(n, d, components);
}

static int em_init(struct em *em, struct device *dev, const double *x, int64_t n, int64_t d, const double *shift,
                   int64_t k, enum covariance covariance, struct err *err)
{
    size_t sizes[EM_BUFFERS];
    em_sizes(n, d, k, covariance, sizes);
    const size_t nk = sizes[EM_RESP], shape = sizes[EM_SHAPE], host = shape > (size_t)n ? shape : (size_t)n;
    memset(em, 0, sizeof *em);
    if (device_rows_init(&em->rows, dev, x, n, d, shift, err) != 0)
        return -1;
    em->n = n;
    em->d = d;
    em->k = k;
    em->covariance = covariance;
    em->host = mem_alloc(nk > host ? nk : host, sizeof *em->host, err);
    if (em->host == NULL)
        goto fail;
    for (int i = 0; i < EM_BUFFERS; i++) {
        em->buffer[i] = dev->ops->alloc(dev, sizes[i] * sizeof(double), err);
        if (em->buffer[i] == NULL)
            goto fail;
    }
    return 0;
fail:
    em_fini(em);
    return -1;
}

static int em_upload(struct em *em, enum em_buffer to, const double *from, size_t n, struct err *err)
{
    struct device *dev = em->rows.dev;
    return dev->ops->upload(dev, em->buffer[to], from, n * sizeof *from, err);
}

static int em_download(struct em *em, enum em_buffer from, double *to, size_t n, struct err *err)
{
    struct device *dev = em->rows.dev;
    return dev->ops->download(dev, to, em->buffer[from], n * sizeof *to, err);
}

static int singular(int64_t component, int64_t order, struct err *err)
{
    return err_set(err,
                   "the covariance of mixture component %lld is singular (at dimension %lld): raise the "
                   "regularization or lower the number of components",
                   (long long)component + 1, (long long)order);
}

/* Puts the parameters of g on the device in the form that the E step reads. */
static int diag_set(struct em *em, const struct gmm *g, struct err *err)
{
    int64_t k = em->k, d = em->d;
    double *linear = mem_alloc((size_t)(k * d), sizeof *linear, err);
    double *offset = mem_alloc((size_t)k, sizeof *offset, err);
    int rc = -1;
    if (linear == NULL || offset == NULL)
        goto out;
    for (int64_t j = 0; j < k; j++) {
        double log_det = 0.0, quadratic = 0.0;
        for (int64_t c = 0; c < d; c++) {
            int64_t at = j * d + c;
            if (!(g->cov[at] > 0.0)) {
                singular(j, c + 1, err);
                goto out;
            }
            double m = g->mean[at] - em->rows.shift[c];
            em->host[at] = 1.0 / g->cov[at];
            linear[at] = m * em->host[at];
            log_det += log(g->cov[at]);
            quadratic += m * linear[at];
        }
        offset[j] = log(g->weight[j]) - 0.5 * ((double)d * LOG_2PI + log_det + quadratic);
    }
    if (em_upload(em, EM_SHAPE, em->host, (size_t)(k * d), err) == 0 &&
        em_upload(em, EM_PLACE, linear, (size_t)(k * d), err) == 0 &&
        em_upload(em, EM_OFFSET, offset, (size_t)k, err) == 0)
        rc = 0;
out:
    mem_free(offset);
    mem_free(linear);
    return rc;
}

static int full_set(struct em *em, const struct gmm *g, struct err *err)
{
    struct device *dev = em->rows.dev;
    const struct device_linalg *la = dev->ops->linalg;
    int64_t k = em->k, d = em->d, dd = d * d;
    double *mean = em->buffer[EM_SUM]; /* free until the M step */
    double *offset = mem_alloc((size_t)k, sizeof *offset, err);
    int *info = mem_alloc((size_t)k, sizeof *info, err);
    int rc = -1;
    if (offset == NULL || info == NULL)
        goto out;
    for (int64_t row = 0; row < k * d; row++) /* lower triangles, zeros above */
        for (int64_t c = 0; c < d; c++)
            em->host[row * d + c] = c <= row % d ? g->cov[row * d + c] : 0.0;
    if (em_upload(em, EM_SHAPE, em->host, (size_t)(k * dd), err) != 0)
        goto out;
    for (int64_t i = 0; i < k * d; i++)
        em->host[i] = g->mean[i] - em->rows.shift[i % d];
    if (em_upload(em, EM_SUM, em->host, (size_t)(k * d), err) != 0)
        goto out;
    if (la->whitening_factors(dev, (int)k, (int)d, em->buffer[EM_SHAPE], info, err) != 0)
        goto out;
    for (int64_t j = 0; j < k; j++) {
        double *shape = em->buffer[EM_SHAPE] + j * dd;
        if (info[j] != 0) {
            singular(j, info[j], err);
            goto out;
        }
        if (la->dgemm(dev, TRANS_NO, TRANS_YES, 1, (int)d, (int)d, 1.0, mean + j * d, (int)d, shape, (int)d, 0.0,
                      em->buffer[EM_PLACE] + j * d, (int)d, err) != 0 ||
            dev->ops->download(dev, em->host, shape, (size_t)dd * sizeof *em->host, err) != 0)
            goto out;
        double half_log_det = 0.0;
        for (int64_t c = 0; c < d; c++)
            half_log_det -= log(em->host[c * d + c]);
        offset[j] = log(g->weight[j]) - 0.5 * (double)d * LOG_2PI - half_log_det;
    }
    rc = em_upload(em, EM_OFFSET, offset, (size_t)k, err);
out:
    mem_free(info);
    mem_free(offset);
    return rc;
}

static int em_set(struct em *em, const struct gmm *g, struct err *err)
{
    return em->covariance == COVARIANCE_FULL ? full_set(em, g, err) : diag_set(em, g, err);
}

/* E step under the parameters that were set; the diagonal one also leaves the
 * sums of its M step. */
static int em_expect(struct em *em, bool sums, struct err *err)
{
    struct device *dev = em->rows.dev;
    const struct device_linalg *la = dev->ops->linalg;
    double **b = em->buffer;
    int d = (int)em->d, k = (int)em->k;
    if (em->covariance == COVARIANCE_FULL)
        return la->gmm_full_logprob(dev, em->n, d, k, em->rows.x, b[EM_SHAPE], b[EM_PLACE], b[EM_OFFSET], b[EM_LOGLIK],
                                    b[EM_RESP], err);
    return la->gmm_diag_pass(dev, em->n, d, k, em->rows.x, b[EM_SHAPE], b[EM_PLACE], b[EM_OFFSET], b[EM_LOGLIK],
                             sums ? b[EM_COUNT] : NULL, b[EM_SUM], b[EM_SQUARE], err);
}

static int em_loglik(struct em *em, double *mean, struct err *err)
{
    if (em_download(em, EM_LOGLIK, em->host, (size_t)em->n, err) != 0)
        return -1;
    double sum = 0.0;
    for (int64_t i = 0; i < em->n; i++)
        sum += em->host[i];
    *mean = sum / (double)em->n;
    return isfinite(*mean) ? 0 : err_set(err, "the log-likelihood of the mixture is not finite (%g)", *mean);
}

/* Weights and means from count and sums of centred rows; returns the counts'
 * divisors in `divisor` (k). As scikit-learn, an empty component gets a count of
 * ten rounding errors, so that nothing is divided by zero. */
static void weights_and_means(const struct em *em, const double *count, const double *sum, double *divisor,
                              struct gmm *g)
{
    double total = 0.0;
    for (int64_t j = 0; j < em->k; j++) {
        divisor[j] = count[j] + 10.0 * DBL_EPSILON;
        total += divisor[j];
        for (int64_t c = 0; c < em->d; c++)
            g->mean[j * em->d + c] = sum[j * em->d + c] / divisor[j] + em->rows.shift[c];
    }
    for (int64_t j = 0; j < em->k; j++)
        g->weight[j] = divisor[j] / total;
}

static int diag_maximize(struct em *em, double regularization, struct gmm *g, struct err *err)
{
    int64_t k = em->k, d = em->d;
    int rc = -1;
    double *count = mem_alloc((size_t)k, 2 * sizeof *count, err);
    double *sum = mem_alloc((size_t)(k * d), sizeof *sum, err);
    if (count == NULL || sum == NULL || em_download(em, EM_COUNT, count, (size_t)k, err) != 0 ||
        em_download(em, EM_SUM, sum, (size_t)(k * d), err) != 0 ||
        em_download(em, EM_SQUARE, em->host, (size_t)(k * d), err) != 0)
        goto out;
    weights_and_means(em, count, sum, count + k, g);
    for (int64_t i = 0; i < k * d; i++) {
        double m = sum[i] / count[k + i / d];
        g->cov[i] = fmax(em->host[i] / count[k + i / d] - m * m, 0.0) + regularization;
    }
    rc = 0;
out:
    mem_free(sum);
    mem_free(count);
    return rc;
}

/* From the responsibilities on the device: means first, then the scatter around
 * them, which does not cancel. */
static int full_maximize(struct em *em, double regularization, struct gmm *g, struct err *err)
{
    struct device *dev = em->rows.dev;
    const struct device_linalg *la = dev->ops->linalg;
    int64_t n = em->n, k = em->k, d = em->d, dd = d * d;
    double **b = em->buffer;
    int rc = -1;
    double *count = mem_alloc((size_t)k, 2 * sizeof *count, err);
    double *sum = mem_alloc((size_t)(k * d), sizeof *sum, err);
    if (count == NULL || sum == NULL)
        goto out;
    if (la->dgemm(dev, TRANS_YES, TRANS_NO, (int)k, (int)d, (int)n, 1.0, b[EM_RESP], (int)k, em->rows.x, (int)d, 0.0,
                  b[EM_SUM], (int)d, err) != 0 ||
        em_download(em, EM_SUM, sum, (size_t)(k * d), err) != 0 ||
        em_download(em, EM_RESP, em->host, (size_t)(n * k), err) != 0)
        goto out;
    for (int64_t i = 0; i < n * k; i++)
        count[i % k] += em->host[i];
    weights_and_means(em, count, sum, count + k, g);
    for (int64_t i = 0; i < k * d; i++)
        sum[i] /= count[k + i / d];
    if (em_upload(em, EM_SUM, sum, (size_t)(k * d), err) != 0)
        goto out;
    for (int64_t j = 0; j < k; j++) {
        double *scatter = b[EM_SHAPE], *cov = g->cov + j * dd;
        if (la->weighted_scatter(dev, n, (int)d, em->rows.x, b[EM_RESP] + j, (int)k, b[EM_SUM] + j * d, scatter, err) !=
                0 ||
            dev->ops->download(dev, cov, scatter, (size_t)dd * sizeof *cov, err) != 0)
            goto out;
        for (int64_t r = 0; r < d; r++) {
            for (int64_t c = 0; c <= r; c++) {
                cov[r * d + c] /= count[k + j];
                cov[c * d + r] = cov[r * d + c];
            }
            cov[r * d + r] += regularization;
        }
    }
    rc = 0;
out:
    mem_free(sum);
    mem_free(count);
    return rc;
}

static int em_maximize(struct em *em, double regularization, struct gmm *g, struct err *err)
{
    return em->covariance == COVARIANCE_FULL ? full_maximize(em, regularization, g, err)
                                             : diag_maximize(em, regularization, g, err);
}

/* One iteration: E step under g, *loglik its mean, M step into g. */
static int em_iterate(struct em *em, double regularization, struct gmm *g, double *loglik, struct err *err)
{
    if (em_set(em, g, err) != 0 || em_expect(em, true, err) != 0 || em_loglik(em, loglik, err) != 0)
        return -1;
    return em_maximize(em, regularization, g, err);
}

/* -- starts -- */

/* M step from labels. `mean` (k, d) are the labels' means (of empty ones,
 * wherever they stood). */
static int start_labels(struct em *em, const int32_t *label, const int64_t *count, const double *mean,
                        double regularization, struct gmm *g, struct err *err)
{
    int64_t n = em->n, k = em->k, d = em->d;
    if (em->covariance == COVARIANCE_FULL) {
        memset(em->host, 0, (size_t)(n * k) * sizeof *em->host);
        for (int64_t i = 0; i < n; i++)
            em->host[i * k + label[i]] = 1.0;
        if (em_upload(em, EM_RESP, em->host, (size_t)(n * k), err) != 0)
            return -1;
        return full_maximize(em, regularization, g, err);
    }
    memcpy(g->mean, mean, (size_t)(k * d) * sizeof *mean);
    memset(g->cov, 0, (size_t)(k * d) * sizeof *g->cov);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t c = 0; c < d; c++) {
            double apart = em->rows.host[i * d + c] - mean[label[i] * d + c];
            g->cov[label[i] * d + c] += apart * apart;
        }
    }
    for (int64_t i = 0; i < k * d; i++)
        g->cov[i] = g->cov[i] / ((double)count[i / d] + 10.0 * DBL_EPSILON) + regularization;
    for (int64_t j = 0; j < k; j++)
        g->weight[j] = ((double)count[j] + 10.0 * DBL_EPSILON) / (double)n;
    return 0;
}

/* g from `lloyd` iterations of Lloyd from the means (k, d), which move. */
static int start_means(struct em *em, double *mean, int lloyd, double regularization, struct gmm *g, struct err *err)
{
    int rc = -1;
    int32_t *label = mem_alloc((size_t)em->n, sizeof *label, err);
    int64_t *count = mem_alloc((size_t)em->k, sizeof *count, err);
    if (label == NULL || count == NULL)
        goto out;
    for (int i = 0; i <= lloyd; i++) {
        if (kmeans_assign(&em->rows, mean, em->k, label, err) != 0)
            goto out;
        kmeans_update(&em->rows, label, em->k, count, mean);
    }
    rc = start_labels(em, label, count, mean, regularization, g, err);
out:
    mem_free(count);
    mem_free(label);
    return rc;
}

static int start_seeded(struct em *em, uint64_t seed, int64_t start, double regularization, struct gmm *g,
                        struct err *err)
{
    double *mean = mem_alloc((size_t)em->k, (size_t)em->d * sizeof *mean, err);
    if (mean == NULL)
        return -1;
    int rc = kmeans_plus_plus(&em->rows, em->k, rng_at(seed, RNG_GMM, (uint32_t)start, 0, 0), mean, err);
    if (rc == 0)
        rc = start_means(em, mean, LLOYD_ITERATIONS, regularization, g, err);
    mem_free(mean);
    return rc;
}

/* -- public -- */

static int check_data(const double *x, int64_t n, int64_t d, int64_t k, struct err *err)
{
    if (k < 1 || d < 1)
        return err_set(err, "a mixture needs at least one component and one dimension (%lld, %lld)", (long long)k,
                       (long long)d);
    if (n < k)
        return err_set(err, "a mixture of %lld components needs at least as many rows; there are %lld", (long long)k,
                       (long long)n);
    if (n > INT32_MAX || d > INT32_MAX / 2 || k > INT32_MAX / 2)
        return err_set(err, "%lld rows of %lld columns are too many for a mixture", (long long)n, (long long)d);
    return rows_check(x, n, d, "the data of a mixture", err);
}

int gmm_fit(struct device *dev, const double *x, int64_t n, int64_t d, const struct gmm_options *options,
            struct gmm *out, struct err *err)
{
    struct em em;
    struct gmm trial = { 0 };
    double best = -INFINITY;
    int rc = -1;
    assert(options->starts >= 1 && options->max_iterations >= 1);
    memset(out, 0, sizeof *out);
    if (check_data(x, n, d, options->components, err) != 0 ||
        em_init(&em, dev, x, n, d, NULL, options->components, options->covariance, err) != 0)
        return -1;
    for (int64_t start = 0; start < options->starts; start++) {
        double before = -INFINITY;
        if (gmm_create(&trial, em.k, d, em.covariance, err) != 0 ||
            start_seeded(&em, options->seed, start, options->regularization, &trial, err) != 0)
            goto out;
        while (trial.iterations < options->max_iterations && !trial.converged) {
            if (em_iterate(&em, options->regularization, &trial, &trial.loglik, err) != 0)
                goto out;
            trial.iterations++;
            trial.converged = fabs(trial.loglik - before) < options->tolerance;
            before = trial.loglik;
        }
        if (trial.loglik > best) {
            best = trial.loglik;
            gmm_fini(out);
            *out = trial;
            memset(&trial, 0, sizeof trial);
        }
        gmm_fini(&trial);
    }
    rc = 0;
out:
    gmm_fini(&trial);
    em_fini(&em);
    if (rc != 0)
        gmm_fini(out);
    return rc;
}

/* Calibrated by `dinf bench gmm --threads 1` (n 300 to 50,000, d 64 to 2048, 10 and 20
 * components) and `dinf audit` on a core of an AMD EPYC with AVX-512: within a factor of
 * 3. The number of iterations is a guess: most starts end after 5 to 40. */
double gmm_fit_seconds(int64_t n, int64_t d, const struct gmm_options *options)
{
    const double per_distance = 2e-10, per_product = 2.5e-11, per_factor = 6e-11, usual_iterations = 12;
    double nkd = (double)n * (double)options->components * (double)d;
    double kd3 = (double)options->components * (double)d * (double)d * (double)d;
    double start = (2 * LLOYD_ITERATIONS + 4) * per_distance * nkd;
    double iteration =
        options->covariance == COVARIANCE_FULL ? per_product * nkd * (double)d + per_factor * kd3 : per_distance * nkd;
    return (double)options->starts * (start + fmin(usual_iterations, (double)options->max_iterations) * iteration);
}

int64_t gmm_parameters(int64_t components, int64_t d, enum covariance covariance)
{
    const int64_t shape = covariance == COVARIANCE_FULL ? d * (d + 1) / 2 : d;
    return components * (d + shape) + components - 1;
}

int gmm_init_means(struct device *dev, const double *x, int64_t n, int64_t d, const double *mean, int64_t k,
                   enum covariance covariance, double regularization, struct gmm *out, struct err *err)
{
    struct em em;
    int rc = -1;
    memset(out, 0, sizeof *out);
    if (check_data(x, n, d, k, err) != 0 || em_init(&em, dev, x, n, d, NULL, k, covariance, err) != 0)
        return -1;
    double *moving = mem_alloc((size_t)k, (size_t)d * sizeof *moving, err);
    if (moving != NULL && gmm_create(out, k, d, covariance, err) == 0) {
        memcpy(moving, mean, (size_t)(k * d) * sizeof *mean);
        rc = start_means(&em, moving, 0, regularization, out, err);
    }
    mem_free(moving);
    em_fini(&em);
    if (rc != 0)
        gmm_fini(out);
    return rc;
}

int gmm_iterate(struct device *dev, const double *x, int64_t n, int64_t d, struct gmm *g, int64_t iterations,
                double regularization, double *loglik, struct err *err)
{
    struct em em;
    assert(g->d == d);
    if (check_data(x, n, d, g->components, err) != 0 ||
        em_init(&em, dev, x, n, d, NULL, g->components, g->covariance, err) != 0)
        return -1;
    int rc = 0;
    for (int64_t i = 0; rc == 0 && i < iterations; i++) {
        rc = em_iterate(&em, regularization, g, &g->loglik, err);
        g->iterations++;
        if (loglik != NULL)
            loglik[i] = g->loglik;
    }
    em_fini(&em);
    return rc;
}

int gmm_score(struct device *dev, const struct gmm *g, const double *x, int64_t n, int64_t d, double *scores,
              struct err *err)
{
    struct em em;
    if (g->d != d)
        return err_set(err, "the mixture has %lld dimensions, the rows to score have %lld", (long long)g->d,
                       (long long)d);
    if (n == 0)
        return 0;
    if (rows_check(x, n, d, "the data to score", err) != 0 ||
        em_init(&em, dev, x, n, d, NULL, g->components, g->covariance, err) != 0)
        return -1;
    int rc = em_set(&em, g, err) == 0 && em_expect(&em, false, err) == 0 &&
                     em_download(&em, EM_LOGLIK, scores, (size_t)n, err) == 0
                 ? 0
                 : -1;
    em_fini(&em);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int gmm_bench(struct device *dev, const double *x, int64_t n, int64_t d, int64_t components, enum covariance covariance,
              int64_t iterations, uint64_t seed, const double *means, struct gmm_bench_result *out, struct err *err)
{
    const double regularization = 1e-6;
    struct em em;
    struct gmm g = { 0 };
    int rc = -1;
    if (iterations < 1)
        return err_set(err, "the number of iterations must be at least 1, not %lld", (long long)iterations);
    if (check_data(x, n, d, components, err) != 0 || em_init(&em, dev, x, n, d, NULL, components, covariance, err) != 0)
        return -1;
    double *seconds = mem_alloc((size_t)iterations, sizeof *seconds, err);
    double *moving = mem_alloc((size_t)components, (size_t)d * sizeof *moving, err);
    if (seconds == NULL || moving == NULL || gmm_create(&g, components, d, covariance, err) != 0)
        goto out;
    if (means != NULL)
        memcpy(moving, means, (size_t)(components * d) * sizeof *means);
    if ((means != NULL ? start_means(&em, moving, 0, regularization, &g, err)
                       : start_seeded(&em, seed, 0, regularization, &g, err)) != 0)
        goto out;
    for (int64_t i = 0; i < iterations; i++) {
        double begin = clock_monotonic();
        if (em_iterate(&em, regularization, &g, &g.loglik, err) != 0)
            goto out;
        seconds[i] = clock_monotonic() - begin;
    }
    if (em_set(&em, &g, err) != 0 || em_expect(&em, false, err) != 0 || em_loglik(&em, &out->loglik, err) != 0)
        goto out;
    qsort(seconds, (size_t)iterations, sizeof *seconds, by_value);
    out->seconds_per_iteration = seconds[iterations / 2];
    out->iterations = iterations;
    rc = 0;
out:
    gmm_fini(&g);
    mem_free(moving);
    mem_free(seconds);
    em_fini(&em);
    return rc;
}
