/* Batch normalisation (Ioffe and Szegedy, 2015) by its definition, with the
 * optional residual and ReLU behind it; the conventions are PyTorch's. */
#include "device/ref/ref.h"

#include <math.h>

#include "base/mem.h"
#include "device/host.h"

struct batch_norm {
    struct batch_norm_desc d;
    int threads, ranks; /* ranks: of the last finish_backward */
};

struct batch_norm *ref_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err)
{
    if (host_check_batch_norm(d, err) != 0)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    bn->d = *d;
    bn->d.groups = batch_norm_groups(d);
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

/* Images of group g: [first(g), first(g + 1)). */
static int first(const struct batch_norm_desc *d, int g)
{
    return d->n / d->groups * g;
}

/* Values of a channel in a group. */
static double count_of(const struct batch_norm_desc *d)
{
    return (double)d->n / d->groups * d->h * d->w;
}

/* Results of channel c of group g in a rank's block: the first of two; the other is d->c behind. */
static size_t result(const struct batch_norm_desc *d, int rank, int g, int c)
{
    return ((size_t)rank * d->groups + g) * 2 * d->c + c;
}

int ref_batch_norm_rounds(const struct batch_norm *bn)
{
    (void)bn;
    return 1;
}

int ref_batch_norm_moments(struct batch_norm *bn, int round, const void *x_act, double *own, struct err *err)
{
    const float *x = x_act;
    const struct batch_norm_desc *d = &bn->d;
    (void)round;
    if (host_check_statistics(d, err) != 0)
        return -1;
#pragma omp parallel for collapse(2) num_threads(bn->threads)
    for (int g = 0; g < d->groups; g++)
        for (int c = 0; c < d->c; c++) {
            double mean = 0, squares = 0;
            for (int i = first(d, g); i < first(d, g + 1); i++)
                for (int p = 0; p < d->h * d->w; p++)
                    mean += x[at(d, i, c, p)];
            mean /= count_of(d);
            for (int i = first(d, g); i < first(d, g + 1); i++)
                for (int p = 0; p < d->h * d->w; p++) {
                    double deviation = x[at(d, i, c, p)] - mean;
                    squares += deviation * deviation;
                }
            own[result(d, 0, g, c)] = mean;
            own[result(d, 0, g, c) + d->c] = squares;
        }
    return 0;
}

int ref_batch_norm_finish(struct batch_norm *bn, int round, int ranks, double *results, float *running_mean,
                          float *running_var, float *save_mean, float *save_invstd, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const double count = count_of(d) * ranks;
    (void)round;
    (void)err;
    for (int g = 0; g < d->groups; g++)
        for (int c = 0; c < d->c; c++) {
            double mean = 0, squares = 0;
            for (int r = 0; r < ranks; r++)
                mean += results[result(d, r, g, c)] / ranks;
            for (int r = 0; r < ranks; r++) {
                double deviation = results[result(d, r, g, c)] - mean;
                squares += results[result(d, r, g, c) + d->c] + count_of(d) * deviation * deviation;
            }
            double invstd = 1 / sqrt(squares / count + d->epsilon);
            save_mean[g * d->c + c] = (float)mean;
            save_invstd[g * d->c + c] = (float)invstd;
            running_mean[c] = (float)((1 - d->momentum) * running_mean[c] + d->momentum * mean);
            running_var[c] = (float)((1 - d->momentum) * running_var[c] + d->momentum * squares / (count - 1));
            results[result(d, 0, g, c)] = mean;
            results[result(d, 0, g, c) + d->c] = invstd;
        }
    return 0;
}

/* One channel of images [from, to) of y from its mean and the inverse of its standard deviation. */
static void normalize(const struct batch_norm_desc *d, int from, int to, int c, double mean, double invstd,
                      double gamma, double beta, const float *x, const float *residual, float *y)
{
    for (int i = from; i < to; i++)
        for (int p = 0; p < d->h * d->w; p++) {
            size_t j = at(d, i, c, p);
            double value = gamma * (x[j] - mean) * invstd + beta;
            if (d->add)
                value += residual[j];
            y[j] = (float)(d->relu && value < 0 ? 0 : value);
        }
}

int ref_batch_norm_apply(struct batch_norm *bn, int round, const void *x, const void *residual, const float *gamma,
                         const float *beta, const double *results, void *y, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    (void)round;
    (void)err;
#pragma omp parallel for collapse(2) num_threads(bn->threads)
    for (int g = 0; g < d->groups; g++)
        for (int c = 0; c < d->c; c++)
            normalize(d, first(d, g), first(d, g + 1), c, results[result(d, 0, g, c)],
                      results[result(d, 0, g, c) + d->c], gamma[c], beta[c], x, residual, y);
    return 0;
}

int ref_batch_norm_infer(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y,
                         struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    (void)err;
#pragma omp parallel for num_threads(bn->threads)
    for (int c = 0; c < d->c; c++)
        normalize(d, 0, d->n, c, running_mean[c], 1 / sqrt(running_var[c] + d->epsilon), gamma[c], beta[c], x, residual,
                  y);
    return 0;
}

/* The gradient behind the ReLU. */
static double gradient(const struct batch_norm_desc *d, const struct batch_norm_backward *b, size_t j)
{
    const float *y = b->y, *dy = b->dy, *dy2 = b->dy2;
    return d->relu && y[j] <= 0 ? 0 : (double)dy[j] + (dy2 != NULL ? dy2[j] : 0);
}

int ref_batch_norm_products(struct batch_norm *bn, int round, const struct batch_norm_backward *b, double *own,
                            struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const float *x = b->x;
    float *dresidual = b->dresidual;
    (void)round;
    (void)err;
#pragma omp parallel for collapse(2) num_threads(bn->threads)
    for (int g = 0; g < d->groups; g++)
        for (int c = 0; c < d->c; c++) {
            const double mean = b->save_mean[g * d->c + c], invstd = b->save_invstd[g * d->c + c];
            double sum = 0, product = 0; /* of the gradient, and of it times the normalised x */
            for (int i = first(d, g); i < first(d, g + 1); i++)
                for (int p = 0; p < d->h * d->w; p++) {
                    size_t j = at(d, i, c, p);
                    double dz = gradient(d, b, j);
                    sum += dz;
                    product += dz * (x[j] - mean) * invstd;
                    if (d->add)
                        dresidual[j] = (float)dz;
                }
            own[result(d, 0, g, c)] = sum;
            own[result(d, 0, g, c) + d->c] = product;
        }
    return 0;
}

int ref_batch_norm_finish_backward(struct batch_norm *bn, int round, int ranks, int rank,
                                   const struct batch_norm_backward *b, double *results, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    (void)round;
    (void)err;
    bn->ranks = ranks;
    for (int c = 0; c < d->c; c++) {
        double dgamma = 0, dbeta = 0;
        for (int g = 0; g < d->groups; g++) {
            dbeta += results[result(d, rank, g, c)];
            dgamma += results[result(d, rank, g, c) + d->c];
            for (int r = 1; r < ranks; r++) {
                results[result(d, 0, g, c)] += results[result(d, r, g, c)];
                results[result(d, 0, g, c) + d->c] += results[result(d, r, g, c) + d->c];
            }
        }
        b->dgamma[c] = (float)dgamma;
        b->dbeta[c] = (float)dbeta;
    }
    return 0;
}

int ref_batch_norm_input_gradient(struct batch_norm *bn, int round, const struct batch_norm_backward *b,
                                  const double *results, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const double count = count_of(d) * bn->ranks;
    const float *x = b->x;
    float *dx = b->dx;
    (void)round;
    (void)err;
#pragma omp parallel for collapse(2) num_threads(bn->threads)
    for (int g = 0; g < d->groups; g++)
        for (int c = 0; c < d->c; c++) {
            const double mean = b->save_mean[g * d->c + c], invstd = b->save_invstd[g * d->c + c];
            const double sum = results[result(d, 0, g, c)], product = results[result(d, 0, g, c) + d->c];
            for (int i = first(d, g); i < first(d, g + 1); i++)
                for (int p = 0; p < d->h * d->w; p++) {
                    size_t j = at(d, i, c, p);
                    double normalised = (x[j] - mean) * invstd;
                    dx[j] = (float)(b->gamma[c] * invstd *
                                    (gradient(d, b, j) - sum / count - normalised * product / count));
                }
        }
    return 0;
}
