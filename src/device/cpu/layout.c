/* Between plain and blocked forms; the only place that spells them out. */
#include "device/cpu/layout.h"

#include <string.h>

void layout_pack(int block, int threads, int n, int c, int area, const float *plain, float *act)
{
    const int b = layout_block(block, c), blocks = layout_blocks(block, c);

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int i = 0; i < n; i++)
        for (int k = 0; k < blocks; k++)
            for (int p = 0; p < area; p++)
                for (int l = 0; l < b; l++) {
                    int channel = k * b + l;
                    act[(((size_t)i * blocks + k) * area + p) * b + l] =
                        channel < c ? plain[((size_t)i * c + channel) * area + p] : 0;
                }
}

size_t layout_weight_floats(int block, int c_out, int c_in, int kernel)
{
    int ob = (c_out + block - 1) / block, b = layout_block(block, c_in);
    return (size_t)ob * block * layout_blocks(block, c_in) * b * kernel * kernel;
}

/* Place of weight (o, i, position q of kernel^2) in the packed form. */
static size_t weight_at(int block, int c_in, int area, int o, int i, int q)
{
    size_t place;
    if (c_in <= LAYOUT_PLAIN_CHANNELS)
        place = ((size_t)(o / block) * area + q) * c_in + i;
    else
        place = (((size_t)(o / block) * layout_blocks(block, c_in) + i / block) * area + q) * block + i % block;
    return place * block + o % block;
}

void layout_weight_pack(int block, int c_out, int c_in, int kernel, const float *oihw, float *packed)
{
    const int area = kernel * kernel;

    memset(packed, 0, layout_weight_floats(block, c_out, c_in, kernel) * sizeof *packed);
    for (int o = 0; o < c_out; o++)
        for (int i = 0; i < c_in; i++)
            for (int q = 0; q < area; q++)
                packed[weight_at(block, c_in, area, o, i, q)] = oihw[((size_t)o * c_in + i) * area + q];
}

void layout_weight_unpack(int block, int c_out, int c_in, int kernel, const float *packed, float *oihw)
{
    const int area = kernel * kernel;

    for (int o = 0; o < c_out; o++)
        for (int i = 0; i < c_in; i++)
            for (int q = 0; q < area; q++)
                oihw[((size_t)o * c_in + i) * area + q] = packed[weight_at(block, c_in, area, o, i, q)];
}
