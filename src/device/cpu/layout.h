/* Where things lie on the cpu device.
 *
 * Activations: [n][ceil(c / B)][h][w][B]. B is the processor's block (16 or 8),
 * but 1 (plain NCHW) for images of at most LAYOUT_PLAIN_CHANNELS channels: the
 * first convolution reads those as they are, three channels blown up to a block
 * would cost five times the memory.
 *
 * Weights: OIhw<B>i<B>o, [ceil(o / B)][ceil(i / B)][kh][kw][B i][B o]; where the
 * input is plain, Ohwi<B>o, [ceil(o / B)][kh][kw][i][B o]. These are the forms
 * that oneDNN's kernels for AVX-512 and AVX2 want in the forward pass and for
 * the gradient of the weights. Padding is zero. */
#ifndef DINF_DEVICE_CPU_LAYOUT_H
#define DINF_DEVICE_CPU_LAYOUT_H

#include <stddef.h>

enum { LAYOUT_PLAIN_CHANNELS = 3 };

/* B for activations of c channels, given the processor's block. */
static inline int layout_block(int block, int c)
{
    return c <= LAYOUT_PLAIN_CHANNELS ? 1 : block;
}

/* Blocks of channels. */
static inline int layout_blocks(int block, int c)
{
    int b = layout_block(block, c);
    return (c + b - 1) / b;
}

/* Floats of an activation of n images of c channels and `area` pixels. */
static inline size_t layout_floats(int block, int n, int c, size_t area)
{
    return (size_t)n * layout_blocks(block, c) * layout_block(block, c) * area;
}

void layout_pack(int block, int threads, int n, int c, int area, const float *plain, float *act);

size_t layout_weight_floats(int block, int c_out, int c_in, int kernel);
void layout_weight_pack(int block, int c_out, int c_in, int kernel, const float *oihw, float *packed);
void layout_weight_unpack(int block, int c_out, int c_in, int kernel, const float *packed, float *oihw);

#endif
