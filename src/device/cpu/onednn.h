/* All that the cpu device wants of oneDNN: convolutions on blocked activations.
 * Written for the C API of 2.x; only onednn.c includes dnnl.h, so that another
 * version means another file. */
#ifndef DINF_DEVICE_CPU_ONEDNN_H
#define DINF_DEVICE_CPU_ONEDNN_H

#include "device/device.h"

struct onednn; /* engine, stream and the scratchpad that all convolutions share */

/* threads: what every convolution runs with. block: onednn_block(). */
struct onednn *onednn_create(int threads, struct err *err);
void onednn_destroy(struct onednn *dnn);

/* Channels in a block of the layout that suits this processor: 16 or 8. */
int onednn_block(void);
/* "2.6.3" */
void onednn_version(char *out, size_t size);
/* "AVX-512", "AVX2", "AVX", "SSE4.1" or "SSE2": the most that its kernels may use here. oneDNN asks
 * the processor for features, never for its model, so that a processor it does not know is no
 * slower; ONEDNN_MAX_CPU_ISA lowers it. */
const char *onednn_vectors(void);

/* The conv_* slots of device.h. Activations as cpu/layout.h has them, weights
 * in its packed form. Not for several threads at once. */
struct conv *onednn_conv_create(struct onednn *dnn, const struct conv_desc *d, struct err *err);
void onednn_conv_destroy(struct conv *conv);
int onednn_conv_forward(struct conv *conv, const void *x, const float *weight, const float *bias, const void *residual,
                        void *y, struct err *err);
int onednn_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx, struct err *err);
int onednn_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight, struct err *err);

enum onednn_pass { ONEDNN_FORWARD, ONEDNN_BACKWARD_DATA, ONEDNN_BACKWARD_WEIGHT, ONEDNN_PASSES };

/* What oneDNN runs for this pass, "jit:avx512_core"; NULL if the pass was not
 * planned. Names that begin with "ref" are never planned: see onednn.c. */
const char *onednn_conv_implementation(const struct conv *conv, enum onednn_pass pass);

#endif
