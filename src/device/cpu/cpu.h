/* Inside the cpu device: what its slots share. */
#ifndef DINF_DEVICE_CPU_H
#define DINF_DEVICE_CPU_H

#include "device/cpu/onednn.h"
#include "device/device.h"

struct cpu_device {
    struct device base;
    int block; /* of channels, see layout.h */
    struct onednn *onednn;
};

/* `dev` is the first member. */
static inline const struct cpu_device *cpu_const(const struct device *dev)
{
    return (const struct cpu_device *)dev;
}

/* Loops over less than this many floats are not worth waking threads for. */
enum { CPU_WORTH_THREADS = 16384 };

/* cpu_batch_norm.c */
struct batch_norm *cpu_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err);
void cpu_batch_norm_destroy(struct batch_norm *bn);
int cpu_batch_norm_rounds(const struct batch_norm *bn);
int cpu_batch_norm_moments(struct batch_norm *bn, int round, const void *x, double *own, struct err *err);
int cpu_batch_norm_finish(struct batch_norm *bn, int round, int ranks, double *results, float *running_mean,
                          float *running_var, float *save_mean, float *save_invstd, struct err *err);
int cpu_batch_norm_apply(struct batch_norm *bn, int round, const void *x, const void *residual, const float *gamma,
                         const float *beta, const double *results, void *y, struct err *err);
int cpu_batch_norm_infer(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y,
                         struct err *err);
int cpu_batch_norm_products(struct batch_norm *bn, int round, const struct batch_norm_backward *b, double *own,
                            struct err *err);
int cpu_batch_norm_finish_backward(struct batch_norm *bn, int round, int ranks, int rank,
                                   const struct batch_norm_backward *b, double *results, struct err *err);
int cpu_batch_norm_input_gradient(struct batch_norm *bn, int round, const struct batch_norm_backward *b,
                                  const double *results, struct err *err);

/* cpu_pool.c */
int cpu_max_pool_forward(struct device *dev, const struct act_desc *d, const void *x, void *y, int32_t *where,
                         struct err *err);
int cpu_max_pool_backward(struct device *dev, const struct act_desc *d, const void *dy, const void *dy2,
                          const int32_t *where, void *dx, struct err *err);
int cpu_avg_pool_forward(struct device *dev, const struct act_desc *d, const void *x, float *y, struct err *err);
int cpu_avg_pool_backward(struct device *dev, const struct act_desc *d, const float *dy, void *dx, struct err *err);

/* cpu_matrix.c */
int cpu_gemm(struct device *dev, const struct gemm *g, struct err *err);
int cpu_linear(struct device *dev, const struct linear *l, struct err *err);

/* cpu_ops.c */
#define OP(class, name) int cpu_##name(struct device *dev, const struct name *given, struct err *err);
#include "device/ops.def"
#undef OP

#endif
