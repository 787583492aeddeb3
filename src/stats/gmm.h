/* Gaussian mixtures by expectation-maximisation, in double precision.
 *
 * The iteration is scikit-learn's (GaussianMixture, version 1.2): from the same
 * start the mean log-likelihood agrees to rounding after every iteration. All
 * results depend on the inputs, the seed and dev->threads alone. */
#ifndef DINF_STATS_GMM_H
#define DINF_STATS_GMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

enum covariance { COVARIANCE_FULL, COVARIANCE_DIAG };

struct gmm_options {
    int64_t components;
    enum covariance covariance;
    uint64_t seed;
    int64_t starts;         /* >= 1; the start with the best log-likelihood wins */
    int64_t max_iterations; /* >= 1, per start */
    double tolerance;       /* stops when the mean log-likelihood changes by less */
    double regularization;  /* added to the diagonal of every covariance, >= 0 */
};

struct gmm {
    int64_t components, d;
    enum covariance covariance;
    double *weight;     /* (components), sum 1 */
    double *mean;       /* (components, d) */
    double *cov;        /* diag: (components, d) variances; full: (components, d, d) symmetric */
    double loglik;      /* mean over rows at the last E step, before the last M step */
    int64_t iterations; /* of the winning start */
    bool converged;
};

void gmm_fini(struct gmm *g); /* NULL-safe; a zeroed struct is fine */

/* Fits to x (n, d) row-major from k-means++ starts (greedy, followed by a few
 * iterations of Lloyd). Fewer rows than components, values that are not finite
 * and covariances that are singular in spite of the regularisation are errors;
 * constant columns and repeated rows are not. */
int gmm_fit(struct device *dev, const double *x, int64_t n, int64_t d, const struct gmm_options *options,
            struct gmm *out, struct err *err);

/* Estimated seconds of gmm_fit on one thread (calibration: gmm.c). */
double gmm_fit_seconds(int64_t n, int64_t d, const struct gmm_options *options);

/* Free parameters of a mixture. */
int64_t gmm_parameters(int64_t components, int64_t d, enum covariance covariance);

/* Device memory of gmm_fit and gmm_score, in bytes. */
size_t gmm_memory(int64_t n, int64_t d, int64_t components, enum covariance covariance);

/* A mixture from parameters, shaped as in struct gmm, which are copied. */
int gmm_init(struct gmm *out, int64_t components, int64_t d, enum covariance covariance, const double *weight,
             const double *mean, const double *cov, struct err *err);

/* A mixture from a hard assignment of every row to the nearest of the given
 * means (components, d): the M step after k-means. */
int gmm_init_means(struct device *dev, const double *x, int64_t n, int64_t d, const double *mean, int64_t components,
                   enum covariance covariance, double regularization, struct gmm *out, struct err *err);

/* Exactly `iterations` iterations of EM from where g stands. loglik (iterations)
 * gets the mean log-likelihood of every E step, before its M step (NULL: not
 * wanted). */
int gmm_iterate(struct device *dev, const double *x, int64_t n, int64_t d, struct gmm *g, int64_t iterations,
                double regularization, double *loglik, struct err *err);

/* scores (n) = log density of every row of x (n, d), in nats. */
int gmm_score(struct device *dev, const struct gmm *g, const double *x, int64_t n, int64_t d, double *scores,
              struct err *err);

struct gmm_bench_result {
    double seconds_per_iteration; /* median over the iterations, E and M step, without the start */
    int64_t iterations;
    double loglik; /* mean log-likelihood under the final parameters */
};

/* `iterations` timed iterations of EM from `means` (components, d; NULL: from
 * one k-means++ start by the seed), regularisation 1e-6. */
int gmm_bench(struct device *dev, const double *x, int64_t n, int64_t d, int64_t components, enum covariance covariance,
              int64_t iterations, uint64_t seed, const double *means, struct gmm_bench_result *out, struct err *err);

#endif
