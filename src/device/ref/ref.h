/* Inside the ref device: the slots, one file a theme. Everything here is a
 * plain loop with sums in double, written to be obviously right: it is what the
 * other devices are checked against, and shares no arithmetic with them. */
#ifndef DINF_DEVICE_REF_H
#define DINF_DEVICE_REF_H

#include "device/device.h"

/* ref_conv.c */
struct conv *ref_conv_create(struct device *dev, const struct conv_desc *d, struct err *err);
void ref_conv_destroy(struct conv *conv);
size_t ref_conv_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel);
int ref_conv_weight_copy(struct device *dev, int c_out, int c_in, int kernel, const float *from, float *to,
                         struct err *err);
int ref_conv_forward(struct conv *conv, const void *x, const float *weight, const float *bias, const void *residual,
                     void *y, struct err *err);
int ref_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx, struct err *err);
int ref_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight, struct err *err);

/* ref_batch_norm.c */
struct batch_norm *ref_batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err);
void ref_batch_norm_destroy(struct batch_norm *bn);
int ref_batch_norm_rounds(const struct batch_norm *bn);
int ref_batch_norm_moments(struct batch_norm *bn, int round, const void *x, double *own, struct err *err);
int ref_batch_norm_finish(struct batch_norm *bn, int round, int ranks, double *results, float *running_mean,
                          float *running_var, float *save_mean, float *save_invstd, struct err *err);
int ref_batch_norm_apply(struct batch_norm *bn, int round, const void *x, const void *residual, const float *gamma,
                         const float *beta, const double *results, void *y, struct err *err);
int ref_batch_norm_infer(struct batch_norm *bn, const void *x, const void *residual, const float *gamma,
                         const float *beta, const float *running_mean, const float *running_var, void *y,
                         struct err *err);
int ref_batch_norm_products(struct batch_norm *bn, int round, const struct batch_norm_backward *b, double *own,
                            struct err *err);
int ref_batch_norm_finish_backward(struct batch_norm *bn, int round, int ranks, int rank,
                                   const struct batch_norm_backward *b, double *results, struct err *err);
int ref_batch_norm_input_gradient(struct batch_norm *bn, int round, const struct batch_norm_backward *b,
                                  const double *results, struct err *err);

/* ref_pool.c */
int ref_max_pool_forward(struct device *dev, const struct act_desc *d, const void *x, void *y, int32_t *where,
                         struct err *err);
int ref_max_pool_backward(struct device *dev, const struct act_desc *d, const void *dy, const void *dy2,
                          const int32_t *where, void *dx, struct err *err);
int ref_avg_pool_forward(struct device *dev, const struct act_desc *d, const void *x, float *y, struct err *err);
int ref_avg_pool_backward(struct device *dev, const struct act_desc *d, const float *dy, void *dx, struct err *err);

/* ref_matrix.c */
int ref_gemm(struct device *dev, const struct gemm *g, struct err *err);
int ref_linear(struct device *dev, const struct linear *l, struct err *err);

/* ref_ops.c */
#define OP(class, name) int ref_##name(struct device *dev, const struct name *given, struct err *err);
#include "device/ops.def"
#undef OP

#endif
