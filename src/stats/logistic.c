/* A handful of features and some hundred rows: Newton's method converges in a few
 * steps. A step that does not lower the objective is halved until it does. */
#include "stats/logistic.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "device/linalg.h"

/* log(1 + exp(v)) */
static double softplus(double v)
{
    return v > 0.0 ? v + log1p(exp(-v)) : log1p(exp(v));
}

void logistic_score(const double *coefficients, const double *x, int64_t n, int64_t d, double *logit)
{
    for (int64_t i = 0; i < n; i++) {
        logit[i] = coefficients[d];
        for (int64_t c = 0; c < d; c++)
            logit[i] += coefficients[c] * x[i * d + c];
    }
}

static double objective(const double *w, const double *x, const uint8_t *label, int64_t n, int64_t d, double ridge,
                        double *logit)
{
    double sum = 0.0;
    logistic_score(w, x, n, d, logit);
    for (int64_t i = 0; i < n; i++)
        sum += softplus(label[i] ? -logit[i] : logit[i]);
    for (int64_t c = 0; c < d; c++)
        sum += 0.5 * ridge * w[c] * w[c];
    return sum;
}

/* gradient (m) and lower triangle of the Hessian (m, m), m = d + 1, at w. */
static void derivatives(const double *w, const double *x, const uint8_t *label, const double *logit, int64_t n,
                        int64_t d, double ridge, double *gradient, double *hessian)
{
    int64_t m = d + 1;
    memset(gradient, 0, (size_t)m * sizeof *gradient);
    memset(hessian, 0, (size_t)(m * m) * sizeof *hessian);
    for (int64_t i = 0; i < n; i++) {
        const double *row = x + i * d;
        double p = 1.0 / (1.0 + exp(-logit[i])), slope = p - (label[i] ? 1.0 : 0.0), curvature = p * (1.0 - p);
        for (int64_t a = 0; a < m; a++) {
            double xa = a < d ? row[a] : 1.0;
            gradient[a] += slope * xa;
            for (int64_t b = 0; b <= a; b++)
                hessian[a * m + b] += curvature * xa * (b < d ? row[b] : 1.0);
        }
    }
    for (int64_t c = 0; c < d; c++) {
        gradient[c] += ridge * w[c];
        hessian[c * m + c] += ridge;
    }
    hessian[d * m + d] += 1e-12 * (double)n; /* separable data: the intercept's curvature vanishes */
}

/* step (m), host: gradient becomes Hessian^-1 gradient. */
static int newton_step(struct device *dev, int64_t m, const double *hessian, double *gradient, struct err *err)
{
    const struct device_ops *ops = dev->ops;
    size_t square = (size_t)(m * m) * sizeof *hessian, line = (size_t)m * sizeof *gradient;
    int info = 0, rc = -1;
    double *h = ops->alloc(dev, square, err);
    double *g = h != NULL ? ops->alloc(dev, line, err) : NULL;
    double *step = g != NULL ? ops->alloc(dev, line, err) : NULL;
    if (step == NULL || ops->upload(dev, h, hessian, square, err) != 0 ||
        ops->upload(dev, g, gradient, line, err) != 0 || ops->linalg->dpotrf(dev, (int)m, h, (int)m, &info, err) != 0)
        goto out;
    if (info != 0) {
        err_set(err, "the logistic regression's Hessian is singular at order %d", info);
        goto out;
    }
    /* y = L^-1 g, then L^-T y = (row y) L^-1 */
    if (ops->linalg->dtrsm(dev, 1, (int)m, h, (int)m, g, (int)m, err) != 0 ||
        ops->linalg->dtrtri(dev, (int)m, h, (int)m, err) != 0 || ops->download(dev, gradient, g, line, err) != 0)
        goto out;
    /* The strict upper triangle still holds zeros, so the whole square is L^-1. */
    if (ops->linalg->dgemm(dev, TRANS_NO, TRANS_NO, 1, (int)m, (int)m, 1.0, g, (int)m, h, (int)m, 0.0, step, (int)m,
                           err) != 0 ||
        ops->download(dev, gradient, step, line, err) != 0)
        goto out;
    rc = 0;
out:
    if (step != NULL)
        ops->free(dev, step);
    if (g != NULL)
        ops->free(dev, g);
    if (h != NULL)
        ops->free(dev, h);
    return rc;
}

int logistic_fit(struct device *dev, const double *x, const uint8_t *label, int64_t n, int64_t d, double ridge,
                 double *coefficients, struct err *err)
{
    enum { NEWTON_STEPS = 100, HALVINGS = 40 };
    int64_t m = d + 1, ones = 0;
    int rc = -1;
    for (int64_t i = 0; i < n; i++)
        ones += label[i] != 0;
    if (ones == 0 || ones == n)
        return err_set(err, "a logistic regression needs both labels");
    double *hessian = mem_alloc((size_t)m, (size_t)m * sizeof *hessian, err);
    double *step = mem_alloc((size_t)m, sizeof *step, err);
    double *trial = mem_alloc((size_t)m, sizeof *trial, err);
    double *logit = mem_alloc((size_t)n, sizeof *logit, err);
    if (hessian == NULL || step == NULL || trial == NULL || logit == NULL)
        goto out;
    memset(coefficients, 0, (size_t)m * sizeof *coefficients);
    double value = objective(coefficients, x, label, n, d, ridge, logit);
    bool better = true;
    for (int s = 0; s < NEWTON_STEPS && better; s++) {
        derivatives(coefficients, x, label, logit, n, d, ridge, step, hessian);
        if (newton_step(dev, m, hessian, step, err) != 0)
            goto out;
        double scale = 1.0, next = value;
        better = false;
        for (int h = 0; h < HALVINGS && !better; h++, scale *= 0.5) {
            for (int64_t c = 0; c < m; c++)
                trial[c] = coefficients[c] - scale * step[c];
            next = objective(trial, x, label, n, d, ridge, logit);
            better = next < value;
        }
        if (better) {
            memcpy(coefficients, trial, (size_t)m * sizeof *coefficients);
            value = next;
        }
    }
    rc = 0;
out:
    mem_free(logit);
    mem_free(trial);
    mem_free(step);
    mem_free(hessian);
    return rc;
}
