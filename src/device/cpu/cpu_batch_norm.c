/* Batch norm with residual and ReLU on blocked activations. It is bound by
 * memory, so the work goes block of channels by block of channels: what the
 * first pass (sums) has read, the second (elements) finds in the cache. Images
 * are shared out among the threads, whose sums are added in their order. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "device/cpu/cpu.h"
#include "device/cpu/layout.h"
#include "device/host.h"
#include "device/kernels.h"

enum {
    BLOCK_MAX = 16,
    STRETCH = 64,          /* pixels summed in float at a time */
    CACHE_BYTES = 4 << 20, /* what one round of both passes may touch */
};

/* Constants of one block of channels. */
struct channels {
    float mean[BLOCK_MAX], scale[BLOCK_MAX], slope[BLOCK_MAX], offset[BLOCK_MAX];
};

struct plane_kernels {
    void (*add_moments)(int area, const float *x, const float *center, double *sum, double *squares);
    void (*apply)(int area, const float *restrict x, const float *restrict residual, const struct channels *k,
                  bool relu, float *restrict y);
    void (*add_products)(int area, const float *x, const float *y, const float *dy, const float *dy2, const float *mean,
                         float *keep, double *sum, double *product);
    void (*input_gradient)(int area, const float *x, const float *y, const float *dy, const float *dy2,
                           const struct channels *k, float *dx);
};

#define BLOCK 16
#include "device/cpu/cpu_batch_norm_block.h"
#define BLOCK 8
#include "device/cpu/cpu_batch_norm_block.h"
#define BLOCK 1
#include "device/cpu/cpu_batch_norm_block.h"

/* What one thread found for one block. */
struct partial {
    double first[BLOCK_MAX], second[BLOCK_MAX];
};

struct batch_norm {
    struct batch_norm_desc d;
    int threads, block, blocks, area;
    const struct plane_kernels *kernels;
    struct partial *partials; /* [blocks][threads] */
};

struct batch_norm *cpu_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err)
{
    if (host_check_batch_norm(d, err) != 0)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    const int block = cpu_const(dev)->block;
    bn->d = *d;
    bn->threads = dev->threads;
    bn->block = layout_block(block, d->c);
    bn->blocks = layout_blocks(block, d->c);
    bn->area = d->h * d->w;
    bn->kernels = bn->block == 16 ? &plane_kernels_16 : bn->block == 8 ? &plane_kernels_8 : &plane_kernels_1;
    bn->partials = mem_alloc((size_t)bn->blocks * bn->threads, sizeof *bn->partials, err);
    if (bn->partials == NULL) {
        mem_free(bn);
        return NULL;
    }
    return bn;
}

void cpu_batch_norm_destroy(struct batch_norm *bn)
{
    if (bn == NULL)
        return;
    mem_free(bn->partials);
    mem_free(bn);
}

static size_t plane(const struct batch_norm *bn, int image, int block)
{
    return ((size_t)image * bn->blocks + block) * bn->area * bn->block;
}

/* Channels of block k, at most bn->block. */
static int channels_of(const struct batch_norm *bn, int k)
{
    int left = bn->d.c - k * bn->block;
    return left < bn->block ? left : bn->block;
}

/* Blocks that fit into the cache together, `streams` tensors of them. */
static int blocks_at_once(const struct batch_norm *bn, int streams)
{
    double bytes = (double)bn->d.n * bn->area * bn->block * sizeof(float) * streams;
    int blocks = bytes * bn->blocks <= CACHE_BYTES ? bn->blocks : (int)(CACHE_BYTES / bytes);
    return blocks < 1 ? 1 : blocks;
}

/* Images of thread t of `threads`: [*first, *last). */
static void share(int n, int t, int threads, int *first, int *last)
{
    *first = (int)((int64_t)n * t / threads);
    *last = (int)((int64_t)n * (t + 1) / threads);
}

/* The threads' sums of block k together, in their order. */
static struct partial combine(const struct batch_norm *bn, int k, int threads)
{
    struct partial sum = { { 0 }, { 0 } };

    for (int t = 0; t < threads; t++) {
        const struct partial *p = &bn->partials[(size_t)k * bn->threads + t];
        for (int l = 0; l < bn->block; l++) {
            sum.first[l] += p->first[l];
            sum.second[l] += p->second[l];
        }
    }
    return sum;
}

int cpu_batch_norm_forward(struct batch_norm *bn, const void *x_act, const void *residual_act, const float *gamma,
                           const float *beta, float *running_mean, float *running_var, float *save_mean,
                           float *save_invstd, void *y_act, struct err *err)
{
    const float *x = x_act;
    const float *residual = residual_act;
    float *y = y_act;
    const struct batch_norm_desc *d = &bn->d;
    const double count = (double)d->n * bn->area;
    const int at_once = blocks_at_once(bn, d->add ? 3 : 2);

    if (host_check_statistics(d, err) != 0)
        return -1;
#pragma omp parallel num_threads(bn->threads)
    {
        const int t = omp_get_thread_num(), threads = omp_get_num_threads();
        int first, last;
        share(d->n, t, threads, &first, &last);

        for (int k0 = 0; k0 < bn->blocks; k0 += at_once) {
            const int k1 = k0 + at_once < bn->blocks ? k0 + at_once : bn->blocks;
            for (int k = k0; k < k1; k++) {
                struct partial mine = { { 0 }, { 0 } };
                /* the first pixel as center: no digits are lost where the mean is far from zero */
                for (int i = first; i < last; i++)
                    bn->kernels->add_moments(bn->area, x + plane(bn, i, k), x + plane(bn, 0, k), mine.first,
                                             mine.second);
                bn->partials[(size_t)k * bn->threads + t] = mine;
            }
#pragma omp barrier
            for (int k = k0; k < k1; k++) {
                const struct partial sum = combine(bn, k, threads);
                const float *center = x + plane(bn, 0, k);
                struct channels constants = { 0 };
                for (int l = 0; l < channels_of(bn, k); l++) {
                    const int c = k * bn->block + l;
                    const double offset = sum.first[l] / count, mean = center[l] + offset;
                    const double variance = fmax(sum.second[l] / count - offset * offset, 0);
                    const double invstd = 1 / sqrt(variance + d->epsilon);
                    constants.mean[l] = (float)mean;
                    constants.scale[l] = (float)(gamma[c] * invstd);
                    constants.offset[l] = beta[c];
                    if (t == 0) {
                        const double unbiased = variance * count / (count - 1);
                        save_mean[c] = (float)mean;
                        save_invstd[c] = (float)invstd;
                        running_mean[c] = (float)((1 - d->momentum) * running_mean[c] + d->momentum * mean);
                        running_var[c] = (float)((1 - d->momentum) * running_var[c] + d->momentum * unbiased);
                    }
                }
                for (int i = first; i < last; i++) {
                    const size_t at = plane(bn, i, k);
                    bn->kernels->apply(bn->area, x + at, d->add ? residual + at : NULL, &constants, d->relu, y + at);
                }
            }
        }
    }
    return 0;
}

int cpu_batch_norm_infer(struct batch_norm *bn, const void *x_act, const void *residual_act, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y_act,
                         struct err *err)
{
    const float *x = x_act;
    const float *residual = residual_act;
    float *y = y_act;
    (void)err;
    const struct batch_norm_desc *d = &bn->d;

#pragma omp parallel for collapse(2) num_threads(bn->threads) schedule(static)
    for (int i = 0; i < d->n; i++)
        for (int k = 0; k < bn->blocks; k++) {
            const size_t at = plane(bn, i, k);
            struct channels constants = { 0 };
            for (int l = 0; l < channels_of(bn, k); l++) {
                const int c = k * bn->block + l;
                constants.mean[l] = running_mean[c];
                constants.scale[l] = (float)(gamma[c] / sqrt(running_var[c] + d->epsilon));
                constants.offset[l] = beta[c];
            }
            bn->kernels->apply(bn->area, x + at, d->add ? residual + at : NULL, &constants, d->relu, y + at);
        }
    return 0;
}

int cpu_batch_norm_backward(struct batch_norm *bn, const void *x_act, const void *y_act, const void *dy_act,
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
    const double count = (double)d->n * bn->area;
    const int at_once = blocks_at_once(bn, 3 + (dy2 != NULL) + d->add);

#pragma omp parallel num_threads(bn->threads)
    {
        const int t = omp_get_thread_num(), threads = omp_get_num_threads();
        int first, last;
        share(d->n, t, threads, &first, &last);

        for (int k0 = 0; k0 < bn->blocks; k0 += at_once) {
            const int k1 = k0 + at_once < bn->blocks ? k0 + at_once : bn->blocks;
            for (int k = k0; k < k1; k++) {
                struct partial mine = { { 0 }, { 0 } };
                float mean[BLOCK_MAX] = { 0 };
                memcpy(mean, save_mean + k * bn->block, (size_t)channels_of(bn, k) * sizeof *mean);
                for (int i = first; i < last; i++) {
                    const size_t at = plane(bn, i, k);
                    bn->kernels->add_products(bn->area, x + at, d->relu ? y + at : NULL, dy + at,
                                              dy2 != NULL ? dy2 + at : NULL, mean, d->add ? dresidual + at : NULL,
                                              mine.first, mine.second);
                }
                bn->partials[(size_t)k * bn->threads + t] = mine;
            }
#pragma omp barrier
            for (int k = k0; k < k1; k++) {
                const struct partial sum = combine(bn, k, threads);
                struct channels constants = { 0 };
                for (int l = 0; l < channels_of(bn, k); l++) {
                    const int c = k * bn->block + l;
                    const double invstd = save_invstd[c], scale = gamma[c] * invstd;
                    constants.mean[l] = save_mean[c];
                    constants.scale[l] = (float)scale;
                    constants.slope[l] = (float)(-scale * invstd * invstd * sum.second[l] / count);
                    constants.offset[l] = (float)(-scale * sum.first[l] / count);
                    if (t == 0) {
                        dgamma[c] = (float)(sum.second[l] * invstd);
                        dbeta[c] = (float)sum.first[l];
                    }
                }
                for (int i = first; i < last; i++) {
                    const size_t at = plane(bn, i, k);
                    if (d->add) /* the first pass has left the masked gradient there */
                        bn->kernels->input_gradient(bn->area, x + at, NULL, dresidual + at, NULL, &constants, dx + at);
                    else
                        bn->kernels->input_gradient(bn->area, x + at, d->relu ? y + at : NULL, dy + at,
                                                    dy2 != NULL ? dy2 + at : NULL, &constants, dx + at);
                }
            }
        }
    }
    return 0;
}
