/* Convolution by its definition: y[o] = sum over inputs and kernel positions of
 * w x, and its two derivatives, each a sum for one element of the result.
 * Activations are NCHW, weights OIHW. */
#include "device/ref/ref.h"

#include <string.h>

#include "base/mem.h"
#include "device/host.h"

struct conv {
    struct conv_desc d;
    int oh, ow;
    int threads;
};

struct conv *ref_conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    if (host_check_conv(d, err) != 0)
        return NULL;
    struct conv *conv = mem_alloc(1, sizeof *conv, err);
    if (conv == NULL)
        return NULL;
    conv->d = *d;
    conv->oh = host_conv_out(d, d->h);
    conv->ow = host_conv_out(d, d->w);
    conv->threads = dev->threads;
    return conv;
}

void ref_conv_destroy(struct conv *conv)
{
    mem_free(conv);
}

size_t ref_conv_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel)
{
    (void)dev;
    return (size_t)c_out * c_in * kernel * kernel * sizeof(float);
}

int ref_conv_weight_copy(struct device *dev, int c_out, int c_in, int kernel, const float *from, float *to,
                         struct err *err)
{
    (void)err;
    memcpy(to, from, ref_conv_weight_bytes(dev, c_out, c_in, kernel));
    return 0;
}

static size_t at(int i, int c, int y, int x, int channels, int h, int w)
{
    return (((size_t)i * channels + c) * h + y) * w + x;
}

static bool inside(int y, int x, int h, int w)
{
    return y >= 0 && y < h && x >= 0 && x < w;
}

int ref_conv_forward(struct conv *conv, const void *x_act, const float *weight, const float *bias,
                     const void *residual_act, void *y_act, struct err *err)
{
    const float *x = x_act;
    const float *residual = residual_act;
    float *y = y_act;
    (void)err;
    const struct conv_desc d = conv->d;
    const int k = d.kernel, oh = conv->oh, ow = conv->ow;
    const bool relu = d.epilogue == CONV_BIAS_RELU || d.epilogue == CONV_BIAS_ADD_RELU;

#pragma omp parallel for collapse(2) num_threads(conv->threads)
    for (int i = 0; i < d.n; i++)
        for (int o = 0; o < d.c_out; o++)
            for (int py = 0; py < oh; py++)
                for (int px = 0; px < ow; px++) {
                    double sum = d.epilogue != CONV_PLAIN ? bias[o] : 0;
                    for (int c = 0; c < d.c_in; c++)
                        for (int ky = 0; ky < k; ky++)
                            for (int kx = 0; kx < k; kx++) {
                                int iy = py * d.stride + ky - d.padding, ix = px * d.stride + kx - d.padding;
                                if (inside(iy, ix, d.h, d.w))
                                    sum += (double)x[at(i, c, iy, ix, d.c_in, d.h, d.w)] *
                                           weight[at(o, c, ky, kx, d.c_in, k, k)];
                            }
                    size_t out = at(i, o, py, px, d.c_out, oh, ow);
                    if (d.epilogue == CONV_BIAS_ADD_RELU)
                        sum += residual[out];
                    y[out] = (float)(relu && sum < 0 ? 0 : sum);
                }
    return 0;
}

int ref_conv_backward_data(struct conv *conv, const void *dy_act, const float *weight, void *dx_act, struct err *err)
{
    const float *dy = dy_act;
    float *dx = dx_act;
    (void)err;
    const struct conv_desc d = conv->d;
    const int k = d.kernel, oh = conv->oh, ow = conv->ow;

#pragma omp parallel for collapse(2) num_threads(conv->threads)
    for (int i = 0; i < d.n; i++)
        for (int c = 0; c < d.c_in; c++)
            for (int iy = 0; iy < d.h; iy++)
                for (int ix = 0; ix < d.w; ix++) {
                    double sum = 0;
                    for (int ky = 0; ky < k; ky++)
                        for (int kx = 0; kx < k; kx++) {
                            int sy = iy + d.padding - ky,
                                sx = ix + d.padding - kx; /* stride times the output's place */
                            if (sy % d.stride || sx % d.stride || !inside(sy / d.stride, sx / d.stride, oh, ow))
                                continue;
                            for (int o = 0; o < d.c_out; o++)
                                sum += (double)dy[at(i, o, sy / d.stride, sx / d.stride, d.c_out, oh, ow)] *
                                       weight[at(o, c, ky, kx, d.c_in, k, k)];
                        }
                    dx[at(i, c, iy, ix, d.c_in, d.h, d.w)] = (float)sum;
                }
    return 0;
}

int ref_conv_backward_weight(struct conv *conv, const void *x_act, const void *dy_act, float *dweight, struct err *err)
{
    const float *x = x_act;
    const float *dy = dy_act;
    (void)err;
    const struct conv_desc d = conv->d;
    const int k = d.kernel, oh = conv->oh, ow = conv->ow;

#pragma omp parallel for collapse(2) num_threads(conv->threads)
    for (int o = 0; o < d.c_out; o++)
        for (int c = 0; c < d.c_in; c++)
            for (int ky = 0; ky < k; ky++)
                for (int kx = 0; kx < k; kx++) {
                    double sum = 0;
                    for (int i = 0; i < d.n; i++)
                        for (int py = 0; py < oh; py++)
                            for (int px = 0; px < ow; px++) {
                                int iy = py * d.stride + ky - d.padding, ix = px * d.stride + kx - d.padding;
                                if (inside(iy, ix, d.h, d.w))
                                    sum += (double)x[at(i, c, iy, ix, d.c_in, d.h, d.w)] *
                                           dy[at(i, o, py, px, d.c_out, oh, ow)];
                            }
                    dweight[at(o, c, ky, kx, d.c_in, k, k)] = (float)sum;
                }
    return 0;
}
