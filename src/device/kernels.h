/* The mathematics of the fast devices' own kernels, once: bodies for one element
 * or one row, launched by OpenMP loops on the cpu device and used in CUDA
 * kernels. Sums over a row run in a fixed number of partial sums, so that they
 * vectorise and do not depend on alignment; a CUDA block shares a row's sums out
 * among its threads, so the rows' bodies are made of bodies for elements. */
#ifndef DINF_DEVICE_KERNELS_H
#define DINF_DEVICE_KERNELS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/rng.h" /* DINF_HD */
#include "device/device.h"

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

/* -- bfloat16: the upper half of a float -- */

/* To the nearest, ties to even; a NaN stays one. */
static inline DINF_HD uint16_t kernel_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (x != x)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline DINF_HD float kernel_from_bf16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
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

static inline DINF_HD struct kernel_adam kernel_adam_constants(const struct adam_step *at)
{
    struct kernel_adam k;
    k.beta1 = (float)at->beta1;
    k.beta2 = (float)at->beta2;
    k.rest1 = (float)(1 - at->beta1);
    k.rest2 = (float)(1 - at->beta2);
    k.step_size = (float)(at->lr / (1 - pow(at->beta1, (double)at->step)));
    k.root_correction = (float)(1 / sqrt(1 - pow(at->beta2, (double)at->step)));
    k.epsilon = (float)at->epsilon;
    k.weight_decay = (float)at->weight_decay;
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

/* 1 / max(|x|, 1e-12) from |x|^2 */
static inline DINF_HD float kernel_inverse_norm(double square)
{
    return (float)(1 / fmax(sqrt(square), 1e-12));
}

/* dot = y . dy */
static inline DINF_HD float kernel_normalize_backward(float y, float inverse, float dy, float dot)
{
    return inverse * (dy - y * dot);
}

/* Returns 1 / max(|x|, 1e-12). */
static inline DINF_HD float kernel_normalize_row(int d, const float *x, float *y)
{
    float factor = kernel_inverse_norm(kernel_dot(d, x, x));

    for (int j = 0; j < d; j++)
        y[j] = x[j] * factor;
    return factor;
}

static inline DINF_HD void kernel_normalize_row_backward(int d, const float *y, float inverse, const float *dy,
                                                         float *dx)
{
    float dot = (float)kernel_dot(d, y, dy);

    for (int j = 0; j < d; j++)
        dx[j] = kernel_normalize_backward(y[j], inverse, dy[j], dot);
}

/* Cross-entropy of a row of logits, see device.h. `masked`: the column is ignored;
 * the positive is handled apart from the others. */
static inline DINF_HD float kernel_contrastive_largest(float largest, float logit, bool masked)
{
    float value = masked ? largest : logit;
    return value > largest ? value : largest;
}

static inline DINF_HD float kernel_contrastive_exp(float logit, float largest, bool masked)
{
    return masked ? 0 : expf(logit - largest);
}

/* sum of the exponentials */
static inline DINF_HD float kernel_contrastive_loss(double sum, float largest, float chosen)
{
    return (float)(log(sum) + ((double)largest - chosen));
}

/* One row; returns the loss. */
static inline DINF_HD float kernel_contrastive_row(int m, float *row, int32_t positive, int32_t row_group,
                                                   const int32_t *group, float scale)
{
    const float chosen = row[positive];
    float largest = chosen;

    for (int j = 0; j < m; j++)
        largest = kernel_contrastive_largest(largest, row[j], group[j] == row_group);
    for (int j = 0; j < m; j++)
        row[j] = kernel_contrastive_exp(row[j], largest, group[j] == row_group);
    row[positive] = expf(chosen - largest);

    double sum = kernel_sum((size_t)m, row);
    float factor = (float)(scale / sum);
    for (int j = 0; j < m; j++)
        row[j] *= factor;
    row[positive] -= scale;
    return kernel_contrastive_loss(sum, largest, chosen);
}

/* Squared difference of one element; its gradient is factor = 2 scale / d times the difference. */
static inline DINF_HD double kernel_mse(float z, float target, float factor, float *dz)
{
    float difference = z - target;
    *dz = factor * difference;
    return (double)difference * difference;
}

/* Mean squared difference of one row; returns the loss. */
static inline DINF_HD float kernel_mse_row(int d, const float *z, const float *target, float scale, float *dz)
{
    float factor = scale * 2 / (float)d;
    double lanes[KERNEL_LANES] = { 0 }, sum = 0;

    for (int j = 0; j < d; j += KERNEL_LANES)
        for (int l = 0; l < KERNEL_LANES && j + l < d; l++)
            lanes[l] += kernel_mse(z[j + l], target[j + l], factor, &dz[j + l]);
    for (int l = 0; l < KERNEL_LANES; l++)
        sum += lanes[l];
    return (float)(sum / d);
}

/* log sum_j exp(x[j]) of one row in double; x becomes exp(x - that), zeros if all are -infinity. */
static inline DINF_HD double kernel_log_sum_exp_row(int k, double *x)
{
    double top = -INFINITY, sum = 0;

    for (int j = 0; j < k; j++)
        top = fmax(top, x[j]);
    if (top == -INFINITY) {
        for (int j = 0; j < k; j++)
            x[j] = 0;
        return top;
    }
    for (int j = 0; j < k; j++)
        sum += exp(x[j] - top);
    const double all = top + log(sum);
    for (int j = 0; j < k; j++)
        x[j] = exp(x[j] - all);
    return all;
}

#endif
