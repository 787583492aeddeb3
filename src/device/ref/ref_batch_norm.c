/* Batch normalisation (Ioffe and Szegedy, 2015) by its definition, with the
 * optional residual and ReLU behind it; the conventions are PyTorch's. */
#include "device/ref/ref.h"

#include <math.h>

#include "base/mem.h"
#include "device/host.h"

struct batch_norm {
    struct batch_norm_desc d;
    int threads;
};

struct batch_norm *ref_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err)
{
    if (host_check_batch_norm(d, err) != 0)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    bn->d = *d;
    bn->threads = dev->threads;
    return bn;
}

void ref_batch_norm_destroy(struct batch_norm *bn)
{
    mem_free(bn);
}

/* Index of the p-th pixel of channel c of image i. */
static size_t at(const struct batch_norm_desc *d, int i, int c, int p)
{
    return ((size_t)i * d->c + c) * d->h * d->w + p;
}

/* One channel of y from its mean and the inverse of its standard deviation. */
static void normalize(const struct batch_norm_desc *d, int c, double mean, double invstd, double gamma, double beta,
                      const float *x, const float *residual, float *y)
{
    for (int i = 0; i < d->n; i++)
        for (int p = 0; p < d->h * d->w; p++) {
            size_t j = at(d, i, c, p);
            double value = gamma * (x[j] - mean) * invstd + beta;
            if (d->add)
                value += residual[j];
            y[j] = (float)(d->relu && value < 0 ? 0 : value);
        }
}

int ref_batch_norm_forward(struct batch_norm *bn, const void *x_act, const void *residual_act, const float *gamma,
                           const float *beta, float *running_mean, float *running_var, float *save_mean,
                           float *save_invstd, void *y_act, struct err *err)
{
    const float *x = x_act;
    const float *residual = residual_act;
    float *y = y_act;
    const struct batch_norm_desc *d = &bn->d;
    const double count = (double)d->n * d->h * d->w;

    if (host_check_statistics(d, err) != 0)
        return -1;
#pragma omp parallel for num_threads(bn->threads)
    for (int c = 0; c < d->c; c++) {
        double mean = 0, squares = 0;
        for (int i = 0; i < d->n; i++)
            for (int p = 0; p < d->h * d->w; p++)
                mean += x[at(d, i, c, p)];
        mean /= count;
        for (int i = 0; i < d->n; i++)
            for (int p = 0; p < d->h * d->w; p++) {
                double deviation = x[at(d, i, c, p)] - mean;
                squares += deviation * deviation;
            }
        double invstd = 1 / sqrt(squares / count + d->epsilon);
        save_mean[c] = (float)mean;
        save_invstd[c] = (float)invstd;
        running_mean[c] = (float)((1 - d->momentum) * running_mean[c] + d->momentum * mean);
        running_var[c] = (float)((1 - d->momentum) * running_var[c] + d->momentum * squares / (count - 1));
        normalize(d, c, mean, invstd, gamma[c], beta[c], x, residual, y);
    }
    return 0;
}

int ref_batch_norm_infer(struct batch_norm *bn, const void *x_act, const void *residual_act, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y_act,
                         struct err *err)
{
    const float *x = x_act;
    const float *residual = residual_act;
    float *y = y_act;
    (void)err;
    const struct batch_norm_desc *d = &bn->d;

#pragma omp parallel for num_threads(bn->threads)
    for (int c = 0; c < d->c; c++)
        normalize(d, c, running_mean[c], 1 / sqrt(running_var[c] + d->epsilon), gamma[c], beta[c], x, residual, y);
    return 0;
}

int ref_batch_norm_backward(struct batch_norm *bn, const void *x_act, const void *y_act, const void *dy_act,
                            const void *dy2_act, const float *gamma, const float *beta, const float *save_mean,
                            const float *save_invstd, void *dx_act, void *dresidual_act, float *dgamma, float *dbeta,
                            struct err *err)
{
    (void)beta;
    const float *x = x_act;
    const float *y = y_act;
    const float *dy = dy_act;
    const float *dy2 = dy2_act;
    float *dx = dx_act;
    float *dresidual = dresidual_act;
    (void)err;
    const struct batch_norm_desc *d = &bn->d;
    const double count = (double)d->n * d->h * d->w;

#pragma omp parallel for num_threads(bn->threads)
    for (int c = 0; c < d->c; c++) {
        const double mean = save_mean[c], invstd = save_invstd[c];
        double sum = 0, product = 0; /* of the gradient g, and of g times the normalised x */
        for (int i = 0; i < d->n; i++)
            for (int p = 0; p < d->h * d->w; p++) {
                size_t j = at(d, i, c, p);
                double g = d->relu && y[j] <= 0 ? 0 : (double)dy[j] + (dy2 != NULL ? dy2[j] : 0);
                sum += g;
                product += g * (x[j] - mean) * invstd;
            }
        for (int i = 0; i < d->n; i++)
            for (int p = 0; p < d->h * d->w; p++) {
                size_t j = at(d, i, c, p);
                double g = d->relu && y[j] <= 0 ? 0 : (double)dy[j] + (dy2 != NULL ? dy2[j] : 0);
                double normalised = (x[j] - mean) * invstd;
                if (d->add)
                    dresidual[j] = (float)g;
                dx[j] = (float)(gamma[c] * invstd * (g - sum / count - normalised * product / count));
            }
        dgamma[c] = (float)product;
        dbeta[c] = (float)sum;
    }
    return 0;
}
