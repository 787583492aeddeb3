/* Representations of images that somebody else has already prepared. */
#ifndef DINF_NN_EMBED_PLAIN_H
#define DINF_NN_EMBED_PLAIN_H

#include "nn/nn.h"

/* x (n, 3, h, w) plain, host, resized and normalised by the caller: the encoder's
 * own pipeline is not applied. out (n, dim) host. STOPPED if a stop was requested. */
int encoder_embed_plain(struct encoder *e, const float *x, int64_t n, int h, int w, int batch, float *out,
                        struct err *err);

#endif
