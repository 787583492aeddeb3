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

/* What one thread found for one block of one group. */
struct partial {
    double first[BLOCK_MAX], second[BLOCK_MAX];
};

struct batch_norm {
    struct batch_norm_desc d;
    int threads, block, blocks, area;
    const struct plane_kernels *kernels;
    int at_once;              /* blocks of a round */
    struct partial *partials; /* [groups][blocks][threads] */
};

/* Blocks that fit into the cache together, `streams` tensors of them. */
static int blocks_at_once(const struct batch_norm *bn, int streams)
{
    double bytes = (double)bn->d.n * bn->area * bn->block * sizeof(float) * streams;
    int blocks = bytes * bn->blocks <= CACHE_BYTES ? bn->blocks : (int)(CACHE_BYTES / bytes);
    return blocks < 1 ? 1 : blocks;
}

struct batch_norm *cpu_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err)
{
    if (host_check_batch_norm(d, err) != 0)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    const int block = cpu_const(dev)->block;
    bn->d = *d;
    bn->d.groups = batch_norm_groups(d);
    bn->threads = dev->threads;
    bn->block = layout_block(block, d->c);
    bn->blocks = layout_blocks(block, d->c);
    bn->area = d->h * d->w;
    bn->kernels = bn->block == 16 ? &plane_kernels_16 : bn->block == 8 ? &plane_kernels_8 : &plane_kernels_1;
    bn->at_once = blocks_at_once(bn, d->add ? 5 : 4); /* backward's */
    bn->partials = mem_alloc((size_t)bn->d.groups * bn->blocks * bn->threads, sizeof *bn->partials, err);
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

/* Images of group g that are thread t's of `threads`: [*first, *last). */
static void share(const struct batch_norm *bn, int g, int t, int threads, int *first, int *last)
{
    const int n = bn->d.n / bn->d.groups;
    *first = n * g + (int)((int64_t)n * t / threads);
    *last = n * g + (int)((int64_t)n * (t + 1) / threads);
}

static struct partial *partial_of(const struct batch_norm *bn, int g, int k, int t)
{
    return &bn->partials[((size_t)g * bn->blocks + k) * bn->threads + t];
}

/* The threads' sums of block k of group g together, in their order. */
static struct partial combine(const struct batch_norm *bn, int g, int k, int threads)
{
    struct partial sum = { { 0 }, { 0 } };

    for (int t = 0; t < threads; t++) {
        const struct partial *p = partial_of(bn, g, k, t);
        for (int l = 0; l < bn->block; l++) {
            sum.first[l] += p->first[l];
            sum.second[l] += p->second[l];
        }
    }
    return sum;
}

static double count_of(const struct batch_norm *bn)
{
    return (double)(bn->d.n / bn->d.groups) * bn->area;
}

/* Blocks of a round: [*first, *last). */
static void blocks_of(const struct batch_norm *bn, int round, int *first, int *last)
{
    *first = round * bn->at_once;
    *last = *first + bn->at_once < bn->blocks ? *first + bn->at_once : bn->blocks;
}

int cpu_batch_norm_rounds(const struct batch_norm *bn)
{
    return (bn->blocks + bn->at_once - 1) / bn->at_once;
}

/* Results of channel c of group g of a rank: the first of two; the other is c of d behind. */
static size_t result(const struct batch_norm *bn, int rank, int g, int c)
{
    return ((size_t)rank * bn->d.groups + g) * 2 * bn->d.c + c;
}

int cpu_batch_norm_moments(struct batch_norm *bn, int round, const void *x_act, double *own, struct err *err)
{
    const float *x = x_act;
    const double count = count_of(bn);
    int k0, k1, used = 1;
    if (host_check_statistics(&bn->d, err) != 0)
        return -1;
    blocks_of(bn, round, &k0, &k1);
#pragma omp parallel num_threads(bn->threads)
    {
        const int t = omp_get_thread_num(), threads = omp_get_num_threads();
#pragma omp single nowait
        used = threads;
        for (int g = 0; g < bn->d.groups; g++) {
            int first, last, origin, none;
            share(bn, g, t, threads, &first, &last);
            share(bn, g, 0, 1, &origin, &none);
            for (int k = k0; k < k1; k++) {
                struct partial mine = { { 0 }, { 0 } };
                /* the first pixel as center: no digits are lost where the mean is far from zero */
                for (int i = first; i < last; i++)
                    bn->kernels->add_moments(bn->area, x + plane(bn, i, k), x + plane(bn, origin, k), mine.first,
                                             mine.second);
                *partial_of(bn, g, k, t) = mine;
            }
        }
    }
    for (int g = 0; g < bn->d.groups; g++) {
        int origin, none;
        share(bn, g, 0, 1, &origin, &none);
        for (int k = k0; k < k1; k++) {
            const struct partial sum = combine(bn, g, k, used);
            const float *center = x + plane(bn, origin, k);
            for (int l = 0; l < channels_of(bn, k); l++) {
                const size_t at = result(bn, 0, g, k * bn->block + l);
                const double offset = sum.first[l] / count;
                own[at] = center[l] + offset;
                own[at + bn->d.c] = fmax(sum.second[l] / count - offset * offset, 0);
            }
        }
    }
    return 0;
}

/* Channels of a round: [*first, *last). */
static void channels_in(const struct batch_norm *bn, int round, int *first, int *last)
{
    blocks_of(bn, round, first, last);
    *first *= bn->block;
    *last = *last * bn->block < bn->d.c ? *last * bn->block : bn->d.c;
}

int cpu_batch_norm_finish(struct batch_norm *bn, int round, int ranks, double *results, float *running_mean,
                          float *running_var, float *save_mean, float *save_invstd, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const double count = count_of(bn) * ranks;
    int first, last;
    (void)err;
    channels_in(bn, round, &first, &last);
    for (int g = 0; g < d->groups; g++)
        for (int c = first; c < last; c++) {
            const size_t own = result(bn, 0, g, c);
            double mean = 0, variance = 0;
            for (int r = 0; r < ranks; r++)
                mean += results[result(bn, r, g, c)] / ranks;
            for (int r = 0; r < ranks; r++) {
                const double deviation = results[result(bn, r, g, c)] - mean;
                variance += (results[result(bn, r, g, c) + d->c] + deviation * deviation) / ranks;
            }
            const double unbiased = variance * count / (count - 1);
            results[own] = mean;
            results[own + d->c] = 1 / sqrt(variance + d->epsilon);
            save_mean[g * d->c + c] = (float)mean;
            save_invstd[g * d->c + c] = (float)results[own + d->c];
            running_mean[c] = (float)((1 - d->momentum) * running_mean[c] + d->momentum * mean);
            running_var[c] = (float)((1 - d->momentum) * running_var[c] + d->momentum * unbiased);
        }
    return 0;
}

int cpu_batch_norm_apply(struct batch_norm *bn, int round, const void *x_act, const void *residual_act,
                         const float *gamma, const float *beta, const double *results, void *y_act, struct err *err)
{
    const float *x = x_act, *residual = residual_act;
    float *y = y_act;
    const struct batch_norm_desc *d = &bn->d;
    int k0, k1;
    (void)err;
    blocks_of(bn, round, &k0, &k1);
#pragma omp parallel num_threads(bn->threads)
    for (int g = 0; g < d->groups; g++) {
        int first, last;
        share(bn, g, omp_get_thread_num(), omp_get_num_threads(), &first, &last);
        for (int k = k0; k < k1; k++) {
            struct channels constants = { 0 };
            for (int l = 0; l < channels_of(bn, k); l++) {
                const int c = k * bn->block + l;
                constants.mean[l] = (float)results[result(bn, 0, g, c)];
                constants.scale[l] = (float)(gamma[c] * results[result(bn, 0, g, c) + d->c]);
                constants.offset[l] = beta[c];
            }
            for (int i = first; i < last; i++) {
                const size_t at = plane(bn, i, k);
                bn->kernels->apply(bn->area, x + at, d->add ? residual + at : NULL, &constants, d->relu, y + at);
            }
        }
    }
    return 0;
}

int cpu_batch_norm_infer(struct batch_norm *bn, const void *x_act, const void *residual_act, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y_act,
                         struct err *err)
{
    const float *x = x_act, *residual = residual_act;
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

int cpu_batch_norm_products(struct batch_norm *bn, int round, const struct batch_norm_backward *b, double *own,
                            struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const float *x = b->x, *y = b->y, *dy = b->dy, *dy2 = b->dy2;
    float *dresidual = b->dresidual;
    int k0, k1, used = 1;
    (void)err;
    blocks_of(bn, round, &k0, &k1);
#pragma omp parallel num_threads(bn->threads)
    {
        const int t = omp_get_thread_num(), threads = omp_get_num_threads();
#pragma omp single nowait
        used = threads;
        for (int g = 0; g < d->groups; g++) {
            int first, last;
            share(bn, g, t, threads, &first, &last);
            for (int k = k0; k < k1; k++) {
                struct partial mine = { { 0 }, { 0 } };
                float mean[BLOCK_MAX] = { 0 };
                memcpy(mean, b->save_mean + g * d->c + k * bn->block, (size_t)channels_of(bn, k) * sizeof *mean);
                for (int i = first; i < last; i++) {
                    const size_t at = plane(bn, i, k);
                    bn->kernels->add_products(bn->area, x + at, d->relu ? y + at : NULL, dy + at,
                                              dy2 != NULL ? dy2 + at : NULL, mean, d->add ? dresidual + at : NULL,
                                              mine.first, mine.second);
                }
                *partial_of(bn, g, k, t) = mine;
            }
        }
    }
    for (int g = 0; g < d->groups; g++)
        for (int k = k0; k < k1; k++) {
            const struct partial sum = combine(bn, g, k, used);
            for (int l = 0; l < channels_of(bn, k); l++) {
                const size_t at = result(bn, 0, g, k * bn->block + l);
                own[at] = sum.first[l];
                own[at + d->c] = sum.second[l];
            }
        }
    return 0;
}

/* The first block becomes offset and slope, see kernels.h. */
int cpu_batch_norm_finish_backward(struct batch_norm *bn, int round, int ranks, int rank,
                                   const struct batch_norm_backward *b, double *results, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const double count = count_of(bn) * ranks;
    int first_channel, last_channel;
    (void)err;
    channels_in(bn, round, &first_channel, &last_channel);
    for (int c = first_channel; c < last_channel; c++) {
        double dgamma = 0, dbeta = 0;
        for (int g = 0; g < d->groups; g++) {
            const double invstd = b->save_invstd[g * d->c + c], scale = b->gamma[c] * invstd;
            double sum = 0, product = 0;
            for (int r = 0; r < ranks; r++) {
                sum += results[result(bn, r, g, c)];
                product += results[result(bn, r, g, c) + d->c];
            }
            dgamma += results[result(bn, rank, g, c) + d->c] * invstd;
            dbeta += results[result(bn, rank, g, c)];
            results[result(bn, 0, g, c)] = -scale * sum / count;
            results[result(bn, 0, g, c) + d->c] = -scale * invstd * invstd * product / count;
        }
        b->dgamma[c] = (float)dgamma;
        b->dbeta[c] = (float)dbeta;
    }
    return 0;
}

int cpu_batch_norm_input_gradient(struct batch_norm *bn, int round, const struct batch_norm_backward *b,
                                  const double *results, struct err *err)
{
    const struct batch_norm_desc *d = &bn->d;
    const float *x = b->x, *y = b->y, *dy = b->dy, *dy2 = b->dy2, *dresidual = b->dresidual;
    float *dx = b->dx;
    int k0, k1;
    (void)err;
    blocks_of(bn, round, &k0, &k1);
#pragma omp parallel num_threads(bn->threads)
    for (int g = 0; g < d->groups; g++) {
        int first, last;
        share(bn, g, omp_get_thread_num(), omp_get_num_threads(), &first, &last);
        for (int k = k0; k < k1; k++) {
            struct channels constants = { 0 };
            for (int l = 0; l < channels_of(bn, k); l++) {
                const int c = k * bn->block + l;
                const double invstd = b->save_invstd[g * d->c + c], scale = b->gamma[c] * invstd;
                constants.mean[l] = b->save_mean[g * d->c + c];
                constants.scale[l] = (float)scale;
                constants.offset[l] = (float)results[result(bn, 0, g, c)];
                constants.slope[l] = (float)results[result(bn, 0, g, c) + d->c];
            }
            for (int i = first; i < last; i++) {
                const size_t at = plane(bn, i, k);
                if (d->add) /* `products` has left the masked gradient there */
                    bn->kernels->input_gradient(bn->area, x + at, NULL, dresidual + at, NULL, &constants, dx + at);
                else
                    bn->kernels->input_gradient(bn->area, x + at, d->relu ? y + at : NULL, dy + at,
                                                dy2 != NULL ? dy2 + at : NULL, &constants, dx + at);
            }
        }
    }
    return 0;
}
