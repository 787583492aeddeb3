/* Our own CUDA kernels, as host functions that put them on a stream: what cuDNN,
 * cuBLAS and cuSOLVER do not do. None allocates, copies to the host or waits, so
 * all may be captured in a CUDA graph.
 *
 * Rules. Pointers are device memory unless they say host. Activations are NHWC,
 * bfloat16 under PRECISION_BF16, else float.
 * Shapes have been checked by the caller; activations are 16-byte aligned; any
 * extent may be 0, then nothing is launched (and sums are 0). All return 0, or -1 and a sentence if the launch
 * was refused (or an earlier call on this context has failed). Sums run in an
 * order that depends on shapes alone: no atomics. A workspace belongs to one
 * call at a time on one stream and needs no initial contents. */
#ifndef DINF_DEVICE_CUDA_LAUNCH_H
#define DINF_DEVICE_CUDA_LAUNCH_H

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "base/err.h"
#ifdef __cplusplus
}
#endif

#include "device/augment_body.h"
#include "device/device.h"
#include "device/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- kernels_layout.cu -- */

/* plain (n, c, h, w) -> NHWC */
int cuda_pack(cudaStream_t stream, const struct act_desc *d, const float *plain, void *act, struct err *err);
/* y (rows, c) = y + bias (c) [NULL: none] + residual (rows, c) [NULL: none], then
 * relu if asked, in place: what a convolution without epilogue lacks;
 * rows = n h w of the output. */
int cuda_conv_epilogue(cudaStream_t stream, enum precision precision, size_t rows, int c, const float *bias,
                       const void *residual, bool relu, void *y, struct err *err);
/* y (rows, d_y) of elements `to` = the first columns of x (rows, d_x) of elements
 * `from`; columns of y beyond d_x become zero */
int cuda_copy_columns(cudaStream_t stream, size_t rows, enum precision from, int d_x, const void *x, enum precision to,
                      int d_y, void *y, struct err *err);

/* -- kernels_pool.cu: the slots of device.h; `where` is the pixel y w + x of the input -- */

int cuda_max_pool_forward(cudaStream_t stream, const struct act_desc *d, const void *x, void *y, int32_t *where,
                          struct err *err);
int cuda_max_pool_backward(cudaStream_t stream, const struct act_desc *d, const void *dy, const void *dy2,
                           const int32_t *where, void *dx, struct err *err);
int cuda_avg_pool_forward(cudaStream_t stream, const struct act_desc *d, const void *x, float *y, struct err *err);
int cuda_avg_pool_backward(cudaStream_t stream, const struct act_desc *d, const float *dy, void *dx, struct err *err);

/* -- kernels_batch_norm.cu: the slots of device.h -- */

size_t cuda_batch_norm_workspace(const struct batch_norm_desc *d); /* bytes, at least 1 */
int cuda_batch_norm_moments(cudaStream_t stream, const struct batch_norm_desc *d, void *workspace, const void *x,
                            double *own, struct err *err);
int cuda_batch_norm_finish(cudaStream_t stream, const struct batch_norm_desc *d, int ranks, double *results,
                           float *running_mean, float *running_var, float *save_mean, float *save_invstd,
                           struct err *err);
int cuda_batch_norm_apply(cudaStream_t stream, const struct batch_norm_desc *d, const void *x, const void *residual,
                          const float *gamma, const float *beta, const double *results, void *y, struct err *err);
int cuda_batch_norm_infer(cudaStream_t stream, const struct batch_norm_desc *d, const void *x, const void *residual,
                          const float *gamma, const float *beta, const float *running_mean, const float *running_var,
                          void *y, struct err *err);
int cuda_batch_norm_products(cudaStream_t stream, const struct batch_norm_desc *d, void *workspace,
                             const struct batch_norm_backward *b, double *own, struct err *err);
int cuda_batch_norm_finish_backward(cudaStream_t stream, const struct batch_norm_desc *d, int ranks, int rank,
                                    const struct batch_norm_backward *b, double *results, struct err *err);
int cuda_batch_norm_input_gradient(cudaStream_t stream, const struct batch_norm_desc *d,
                                   const struct batch_norm_backward *b, const double *results, struct err *err);

/* -- kernels_ops.cu: ops.def; workspace of CUDA_OP_WORKSPACE bytes -- */

enum { CUDA_OP_WORKSPACE = 512 * 8 };
#define OP(class, name) int cuda_##name(cudaStream_t stream, const struct name *a, void *workspace, struct err *err);
#include "device/ops.def"
#undef OP

/* -- kernels_augment.cu -- */

/* Bytes of workspace for n views; 0 (workspace may be NULL) where a view fits
 * shared memory. It does not grow with n beyond some hundred views. */
size_t cuda_augment_workspace(const struct augment_target *target, int n);
/* The slot of device.h for 3 channels, but `views` is device memory; the caller
 * has checked that image and crop are inside `pixels`. Refuses targets whose
 * blur is wider than 129 pixels (more than 1,300 pixels a side). */
int cuda_augment(cudaStream_t stream, const uint8_t *pixels, int h, int w, const struct augment_view *views, int n,
                 const struct augment_target *target /* host */, void *workspace, void *out, struct err *err);

/* -- kernels_linalg.cu: double precision, row-major; parts of device/linalg.h -- */

/* y = x^2; elements; y may be x */
int cuda_square(cudaStream_t stream, size_t n, const double *x, double *y, struct err *err);
/* y (n) = log sum_j exp(x (n, k) + offset (k) [NULL: 0]) for every row, without overflow; x becomes the
 * responsibilities, exp(x + offset - y). A row of -infinity gives y = -infinity and zeros. */
int cuda_log_sum_exp_rows(cudaStream_t stream, int64_t n, int k, const double *offset, double *x, double *y,
                          struct err *err);
int cuda_square_distances(cudaStream_t stream, int64_t n, int d, const double *x, int m, const double *c, double *out,
                          struct err *err);
/* out (n) = |x_i|^2, x (n, d) */
int cuda_square_norms(cudaStream_t stream, int64_t n, int d, const double *x, double *out, struct err *err);
/* One tile of a nearest-row search. product (ni, nj), row-major with leading
 * dimension ld, holds x_i . x_j of rows i0.. and j0.. of x (n, d); square (n) the
 * squared norms. Distances that cancel are computed from x. Takes the nearest other row of each row i0 .. i0 + ni - 1
 * among the tile's columns into best_distance (n) and best_index (n), after those that are there (`first`: nothing is
 * there yet). Ties go to the lower index, whatever the order of the tiles. */
int cuda_nearest_tile(cudaStream_t stream, int d, const double *x, int64_t i0, int ni, int64_t j0, int nj,
                      const double *product, int ld, const double *square, bool first, double *best_distance,
                      int64_t *best_index, struct err *err);
/* distance (n) = |x_i - x_index[i]|^2 from differences; NaN where index[i] is no row */
int cuda_indexed_distances(cudaStream_t stream, int64_t n, int d, const double *x, const int64_t *index,
                           double *distance, struct err *err);
/* out[i * stride] = *offset - |y_i - centre|^2 / 2 for rows y (n, d), centre (d): log
 * densities of one component whose whitened rows are y (resp + j, stride k) */
int cuda_quadratic_rows(cudaStream_t stream, int64_t n, int d, const double *y, const double *centre,
                        const double *offset, double *out, int stride, struct err *err);
/* out (n, d) = sqrt(weight[i * stride]) (x_i - centre): scatter is then out^T out */
int cuda_weighted_rows(cudaStream_t stream, int64_t n, int d, const double *x, const double *weight, int stride,
                       const double *centre, double *out, struct err *err);
/* sums (d) = column sums of x (n, d) [+ sums, if add]; workspace of cuda_column_sums_workspace bytes */
size_t cuda_column_sums_workspace(int64_t n, int d);
int cuda_column_sums(cudaStream_t stream, int64_t n, int d, const double *x, bool add, void *workspace, double *sums,
                     struct err *err);
/* Lower triangles, with the diagonal, of `count` matrices (d, d), `step` doubles
 * apart on each side: dst = src, the strict upper one is not written. */
int cuda_lower_copy(cudaStream_t stream, int count, int d, const double *src, int ld_src, size_t step_src, double *dst,
                    int ld_dst, size_t step_dst, struct err *err);
/* `count` identity matrices, `step` doubles apart */
int cuda_identity(cudaStream_t stream, int count, int d, double *a, int lda, size_t step, struct err *err);

#ifdef __cplusplus
}
#endif

#endif
