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
int cpu_batch_norm_forward(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                           const float *beta, float *running_mean, float *running_var, float *save_mean,
                           float *save_invstd, void *y, struct err *err);
int cpu_batch_norm_infer(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y,
                         struct err *err);
int cpu_batch_norm_backward(struct batch_norm *bn, const void *x, const void *y, const void *dy, const void *dy2,
                            const float *gamma, const float *beta, const float *save_mean, const float *save_invstd,
                            void *dx, void *dresidual, float *dgamma, float *dbeta, struct err *err);

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
