/* The mathematics of one element that several operations and both fast devices share; whole operations that are
 * written once are in ops/ (ops.def). */
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

/* A NaN is not larger than anything. */
static inline DINF_HD float kernel_larger(float a, float b)
{
    return b > a ? b : a;
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
