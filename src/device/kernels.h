/* The mathematics of the fast devices' own kernels, once: bodies for one element
 * or one row, launched by OpenMP loops on the cpu device and usable in CUDA
 * kernels. Sums over a row run in a fixed number of partial sums, so that they
 * vectorise and do not depend on alignment. */
#ifndef DINF_DEVICE_KERNELS_H
#define DINF_DEVICE_KERNELS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h" /* DINF_HD */

/* -- batch norm. Deviations from the mean come first: the form scale x + shift
 *    would lose digits where the mean is far from zero. -- */

static inline DINF_HD float kernel_batch_norm(float x, float mean, float scale, float beta)
{
    return (x - mean) * scale + beta; /* scale = gamma / standard deviation */
}

/* The derivative is affine in the gradient g and the deviation. With m values a
 * channel: slope = -scale invstd sum(g xhat) / m, offset = -scale sum(g) / m. */
static inline DINF_HD float kernel_batch_norm_backward(float g, float x, float mean, float scale, float slope,
                                                       float offset)
{
    return scale * g + slope * (x - mean) + offset;
}

/* -- elements -- */

static inline DINF_HD float kernel_relu(float x)
{
    return x < 0 ? 0 : x; /* keeps NaN */
}

/* Gradient through y = relu(...). */
static inline DINF_HD float kernel_relu_backward(float y, float dy)
{
    return y <= 0 ? 0 : dy;
}

/* Adam (Kingma and Ba, 2015) as torch.optim.Adam; constants of one step. */
struct kernel_adam {
    float beta1, beta2, rest1, rest2, step_size, root_correction, epsilon, weight_decay;
};

static inline DINF_HD struct kernel_adam kernel_adam_constants(double lr, double beta1, double beta2, double epsilon,
                                                               double weight_decay, int64_t step)
{
    struct kernel_adam k;
    k.beta1 = (float)beta1;
    k.beta2 = (float)beta2;
    k.rest1 = (float)(1 - beta1);
    k.rest2 = (float)(1 - beta2);
    k.step_size = (float)(lr / (1 - pow(beta1, (double)step)));
    k.root_correction = (float)(1 / sqrt(1 - pow(beta2, (double)step)));
    k.epsilon = (float)epsilon;
    k.weight_decay = (float)weight_decay;
    return k;
}

static inline DINF_HD void kernel_adam(const struct kernel_adam *k, float *w, float g, float *m, float *v)
{
    float gradient = g + k->weight_decay * *w;
    float first = k->beta1 * *m + k->rest1 * gradient;
    float second = k->beta2 * *v + k->rest2 * gradient * gradient;
    *m = first;
    *v = second;
    *w -= k->step_size * first / (sqrtf(second) * k->root_correction + k->epsilon);
}

/* -- rows -- */

enum { KERNEL_LANES = 16 };

/* x . y in double */
static inline DINF_HD double kernel_dot(int d, const float *x, const float *y)
{
    double lanes[KERNEL_LANES] = { 0 }, sum = 0;
    int j = 0;

    for (; j + KERNEL_LANES <= d; j += KERNEL_LANES)
        for (int l = 0; l < KERNEL_LANES; l++)
            lanes[l] += (double)x[j + l] * y[j + l];
    for (int l = 0; j < d; j++, l++)
        lanes[l] += (double)x[j] * y[j];
    for (int l = 0; l < KERNEL_LANES; l++)
        sum += lanes[l];
    return sum;
}

static inline DINF_HD double kernel_sum(size_t n, const float *x)
{
    double lanes[KERNEL_LANES] = { 0 }, sum = 0;
    size_t j = 0;

    for (; j + KERNEL_LANES <= n; j += KERNEL_LANES)
        for (int l = 0; l < KERNEL_LANES; l++)
            lanes[l] += x[j + l];
    for (int l = 0; j < n; j++, l++)
        lanes[l] += x[j];
    for (int l = 0; l < KERNEL_LANES; l++)
        sum += lanes[l];
    return sum;
}

/* Returns 1 / max(|x|, 1e-12). */
static inline DINF_HD float kernel_normalize_row(int d, const float *x, float *y)
{
    double inverse = 1 / fmax(sqrt(kernel_dot(d, x, x)), 1e-12);
    float factor = (float)inverse;

    for (int j = 0; j < d; j++)
        y[j] = x[j] * factor;
    return factor;
}

static inline DINF_HD void kernel_normalize_row_backward(int d, const float *y, float inverse, const float *dy,
                                                         float *dx)
{
    float dot = (float)kernel_dot(d, y, dy);

    for (int j = 0; j < d; j++)
        dx[j] = inverse * (dy[j] - y[j] * dot);
}

/* Cross-entropy of one row of logits, see device.h; returns the loss. */
static inline DINF_HD float kernel_contrastive_row(int m, float *row, int32_t positive, int32_t row_group,
                                                   const int32_t *group, float scale)
{
    const float chosen = row[positive];
    float largest = chosen;

    for (int j = 0; j < m; j++) {
        float value = group[j] == row_group ? largest : row[j]; /* the positive is in `largest` already */
        largest = value > largest ? value : largest;
    }
    for (int j = 0; j < m; j++)
        row[j] = group[j] == row_group ? 0 : expf(row[j] - largest);
    row[positive] = expf(chosen - largest);

    double sum = kernel_sum((size_t)m, row);
    float factor = (float)(scale / sum);
    for (int j = 0; j < m; j++)
        row[j] *= factor;
    row[positive] -= scale;
    return (float)(log(sum) + ((double)largest - chosen));
}

/* Mean squared difference of one row; returns the loss. */
static inline DINF_HD float kernel_mse_row(int d, const float *z, const float *target, float scale, float *dz)
{
    float factor = scale * 2 / (float)d;
    double lanes[KERNEL_LANES] = { 0 }, sum = 0;

    for (int j = 0; j < d; j += KERNEL_LANES)
        for (int l = 0; l < KERNEL_LANES && j + l < d; l++) {
            float difference = z[j + l] - target[j + l];
            lanes[l] += (double)difference * difference;
            dz[j + l] = factor * difference;
        }
    for (int l = 0; l < KERNEL_LANES; l++)
        sum += lanes[l];
    return (float)(sum / d);
}

#endif
