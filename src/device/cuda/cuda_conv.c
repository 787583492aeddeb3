/* Convolutions by cuDNN: activations NHWC, weights KRSC (c_out, kernel, kernel,
 * c_in), what the tensor cores read without a transposition. These want a multiple
 * of some channels in an input: where it has others (an image has three), cuDNN
 * works on copies with zeros behind them.
 *
 * In bf16 the weights, which are float, are rounded for every product, and what
 * cuDNN leaves of their gradient becomes float again.
 *
 * The algorithm of each shape is the fastest of the deterministic ones within a
 * bound of working memory, measured when the convolution is planned. Bias,
 * residual and ReLU follow in one pass of our own. */
#include "device/cuda/cuda_device.h"

#include <stdio.h>

#include "base/mem.h"
#include "device/cuda/launch.h"
#include "device/host.h"

#define WORKSPACE_MAX ((size_t)256 << 20)

enum { CANDIDATES = 16 };

enum pass { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT, PASSES };

static const char *const pass_names[PASSES] = { "forward", "backward_data", "backward_weight" };

/* One of the three products, ready to run. */
struct product {
    cudnnConvolutionDescriptor_t desc; /* the math type is the descriptor's, and differs */
    int algorithm;
    size_t workspace;
};

struct conv {
    struct cuda_device *cuda;
    struct conv_desc d;
    enum precision precision;
    int oh, ow;
    int c_in; /* as cuDNN sees it: d.c_in, or more */
    size_t at_x, scratch; /* copies: of the weights, then of x; bytes of both */
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    struct product product[PASSES];
};

/* cuDNN measures into three structs of the same members. */
struct candidate {
    int algorithm, math;
    bool usable;
    float milliseconds;
};

/* Memory to measure in. */
struct trial {
    void *x, *w, *y;
    struct cuda_buffer workspace;
};

/* Pixels of x and y; rows of c_in weights. */
static size_t rows_x(const struct conv *v)
{
    return (size_t)v->d.n * v->d.h * v->d.w;
}

static size_t rows_y(const struct conv *v)
{
    return (size_t)v->d.n * v->oh * v->ow;
}

static size_t rows_w(const struct conv *v)
{
    return (size_t)v->d.c_out * v->d.kernel * v->d.kernel;
}

static size_t element(const struct conv *v)
{
    return v->precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
}

static bool wider(const struct conv *v)
{
    return v->c_in != v->d.c_in;
}

/* Channels of an input that the precision's tensor cores read: 16 bytes of them. */
static int aligned_channels(enum precision precision, int c)
{
    const int multiple = precision == PRECISION_BF16 ? 8 : precision == PRECISION_TF32 ? 4 : 1;
    return (c + multiple - 1) / multiple * multiple;
}

#define TAKE(results, n, out)                                                                                         \
    for (int i_ = 0; i_ < (n); i_++)                                                                                  \
        (out)[i_] = (struct candidate){ (int)(results)[i_].algo, (int)(results)[i_].mathType,                         \
                                        (results)[i_].status == CUDNN_STATUS_SUCCESS &&                               \
                                            (results)[i_].determinism == CUDNN_DETERMINISTIC &&                       \
                                            (results)[i_].memory <= WORKSPACE_MAX,                                    \
                                        (results)[i_].time }

static int find(struct conv *v, enum pass pass, const struct trial *t, struct candidate *out, int *n, struct err *err)
{
    cudnnHandle_t handle = v->cuda->cudnn;
    cudnnConvolutionDescriptor_t desc = v->product[pass].desc;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;

    *n = 0;
    if (pass == FORWARD) {
        cudnnConvolutionFwdAlgoPerf_t results[CANDIDATES];
        status = cudnnFindConvolutionForwardAlgorithmEx(handle, v->x, t->x, v->w, t->w, desc, v->y, t->y, CANDIDATES,
                                                        n, results, t->workspace.at, WORKSPACE_MAX);
        TAKE(results, *n, out);
    } else if (pass == BACKWARD_DATA) {
        cudnnConvolutionBwdDataAlgoPerf_t results[CANDIDATES];
        status = cudnnFindConvolutionBackwardDataAlgorithmEx(handle, v->w, t->w, v->y, t->y, desc, v->x, t->x,
                                                             CANDIDATES, n, results, t->workspace.at, WORKSPACE_MAX);
        TAKE(results, *n, out);
    } else {
        cudnnConvolutionBwdFilterAlgoPerf_t results[CANDIDATES];
        status = cudnnFindConvolutionBackwardFilterAlgorithmEx(handle, v->x, t->x, v->y, t->y, desc, v->w, t->w,
                                                               CANDIDATES, n, results, t->workspace.at, WORKSPACE_MAX);
        TAKE(results, *n, out);
    }
    return cuda_check_cudnn(status, "measuring the algorithms of a convolution", err);
}

/* The fastest usable one; where only full fp32 will do, of those measured with it. */
static const struct candidate *fastest(const struct candidate *c, int n, bool full)
{
    const struct candidate *best = NULL;
    for (int strict = full; strict >= 0 && !best; strict--)
        for (int i = 0; i < n; i++)
            if (c[i].usable && (!strict || c[i].math == (int)CUDNN_FMA_MATH) &&
                (!best || c[i].milliseconds < best->milliseconds))
                best = &c[i];
    return best;
}

static void trial_fini(struct cuda_device *cuda, struct trial *t)
{
    cuda_free(&cuda->base, t->x);
    cuda_free(&cuda->base, t->w);
    cuda_free(&cuda->base, t->y);
    cuda_free(&cuda->base, t->workspace.at);
}

static int measure(struct conv *v, enum pass pass, struct cuda_choice *choice, struct err *err)
{
    struct device *dev = &v->cuda->base;
    struct candidate candidates[CANDIDATES];
    struct trial t = { 0 };
    int n = 0, rc = -1;

    if (!(t.x = cuda_alloc(dev, rows_x(v) * v->c_in * element(v), err)) ||
        !(t.w = cuda_alloc(dev, rows_w(v) * v->c_in * element(v), err)) ||
        !(t.y = cuda_alloc(dev, rows_y(v) * v->d.c_out * element(v), err)) ||
        !cuda_buffer_reserve(&t.workspace, WORKSPACE_MAX, err))
        goto out;
    for (int round = 0; round < 2; round++) /* the first one loads kernels */
        if (find(v, pass, &t, candidates, &n, err) != 0)
            goto out;
    const struct candidate *best = fastest(candidates, n, v->precision == PRECISION_FP32);
    if (!best) {
        err_set(err, "cuDNN has no deterministic algorithm (of %d) that needs at most %zu MiB", n, WORKSPACE_MAX >> 20);
        goto out;
    }
    choice->algorithm = best->algorithm;
    choice->math = v->precision == PRECISION_FP32 ? (int)CUDNN_FMA_MATH : best->math;
    rc = 0;
out:
    trial_fini(v->cuda, &t);
    return rc;
}

static cudnnStatus_t workspace_size(struct conv *v, enum pass pass, size_t *bytes)
{
    const struct product *p = &v->product[pass];
    switch (pass) {
    case FORWARD:
        return cudnnGetConvolutionForwardWorkspaceSize(v->cuda->cudnn, v->x, v->w, p->desc, v->y,
                                                       (cudnnConvolutionFwdAlgo_t)p->algorithm, bytes);
    case BACKWARD_DATA:
        return cudnnGetConvolutionBackwardDataWorkspaceSize(v->cuda->cudnn, v->w, v->y, p->desc, v->x,
                                                            (cudnnConvolutionBwdDataAlgo_t)p->algorithm, bytes);
    default:
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(v->cuda->cudnn, v->x, v->y, p->desc, v->w,
                                                              (cudnnConvolutionBwdFilterAlgo_t)p->algorithm, bytes);
    }
}

/* The math that algorithms are measured with. */
static cudnnMathType_t math_of(enum precision precision)
{
    return precision == PRECISION_FP32   ? CUDNN_FMA_MATH
           : precision == PRECISION_TF32 ? CUDNN_DEFAULT_MATH
                                         : CUDNN_TENSOR_OP_MATH;
}

static int prepare(struct conv *v, enum pass pass, struct err *err)
{
    const struct conv_desc *d = &v->d;
    struct product *p = &v->product[pass];
    struct cuda_choice choice;
    char key[256];

    if (cuda_check_cudnn(cudnnCreateConvolutionDescriptor(&p->desc), "planning a convolution", err) != 0 ||
        cuda_check_cudnn(cudnnSetConvolution2dDescriptor(p->desc, d->padding, d->padding, d->stride, d->stride, 1, 1,
                                                         CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                         "planning a convolution", err) != 0 ||
        cuda_check_cudnn(cudnnSetConvolutionMathType(p->desc, math_of(v->precision)), "planning a convolution",
                         err) != 0)
        return -1;
    snprintf(key, sizeof key, "%s %s %s n%d c%d h%d w%d k%d f%d s%d p%d", v->cuda->model,
             precision_names[v->precision], pass_names[pass], d->n, d->c_in, d->h, d->w, d->c_out, d->kernel,
             d->stride, d->padding);
    if (!cuda_choices_find(v->cuda->choices, key, &choice) &&
        (measure(v, pass, &choice, err) != 0 || cuda_choices_keep(v->cuda->choices, key, &choice, err) != 0))
        return -1;
    p->algorithm = choice.algorithm;
    if (cuda_check_cudnn(cudnnSetConvolutionMathType(p->desc, (cudnnMathType_t)choice.math), "planning a convolution",
                         err) != 0 ||
        cuda_check_cudnn(workspace_size(v, pass, &p->workspace), "planning a convolution", err) != 0)
        return -1;
    return cuda_buffer_reserve(&v->cuda->workspace, p->workspace, err) ? 0 : -1;
}

static int describe(struct conv *v, struct err *err)
{
    const struct conv_desc *d = &v->d;
    const char *what = "describing a convolution";
    const cudnnDataType_t type = v->precision == PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;

    if (cuda_check_cudnn(cudnnCreateTensorDescriptor(&v->x), what, err) != 0 ||
        cuda_check_cudnn(cudnnCreateTensorDescriptor(&v->y), what, err) != 0 ||
        cuda_check_cudnn(cudnnCreateFilterDescriptor(&v->w), what, err) != 0 ||
        cuda_check_cudnn(cudnnSetTensor4dDescriptor(v->x, CUDNN_TENSOR_NHWC, type, d->n, v->c_in, d->h, d->w), what,
                         err) != 0 ||
        cuda_check_cudnn(cudnnSetTensor4dDescriptor(v->y, CUDNN_TENSOR_NHWC, type, d->n, d->c_out, v->oh, v->ow), what,
                         err) != 0 ||
        cuda_check_cudnn(cudnnSetFilter4dDescriptor(v->w, type, CUDNN_TENSOR_NHWC, d->c_out, v->c_in, d->kernel,
                                                    d->kernel), what, err) != 0)
        return -1;
    return 0;
}

struct conv *cuda_conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    if (host_check_conv(d, err) != 0)
        return NULL;
    struct conv *v = mem_alloc(1, sizeof *v, err);
    if (!v)
        return NULL;
    v->cuda = cuda_of(dev);
    v->d = *d;
    v->oh = host_conv_out(d, d->h);
    v->ow = host_conv_out(d, d->w);
    v->precision = dev->precision;
    v->c_in = aligned_channels(v->precision, d->c_in);
    cuda_part(&v->scratch, rows_w(v) * v->c_in * element(v));
    v->at_x = cuda_part(&v->scratch, wider(v) ? rows_x(v) * v->c_in * element(v) : 0);
    if (!cuda_buffer_reserve(&v->cuda->scratch, v->scratch, err)) {
        mem_free(v);
        return NULL;
    }
    if (describe(v, err) != 0 || prepare(v, FORWARD, err) != 0 ||
        (d->training && prepare(v, BACKWARD_WEIGHT, err) != 0) ||
        (d->input_gradient && prepare(v, BACKWARD_DATA, err) != 0)) {
        err_prefix(err, "convolution of %d x %d x %d x %d to %d channels, kernel %d, stride %d", d->n, d->c_in, d->h,
                   d->w, d->c_out, d->kernel, d->stride);
        cuda_conv_destroy(v);
        return NULL;
    }
    return v;
}

void cuda_conv_destroy(struct conv *v)
{
    if (!v)
        return;
    for (int i = 0; i < PASSES; i++)
        if (v->product[i].desc)
            cudnnDestroyConvolutionDescriptor(v->product[i].desc);
    if (v->w)
        cudnnDestroyFilterDescriptor(v->w);
    if (v->y)
        cudnnDestroyTensorDescriptor(v->y);
    if (v->x)
        cudnnDestroyTensorDescriptor(v->x);
    mem_free(v);
}

size_t cuda_conv_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel)
{
    (void)dev;
    return (size_t)c_out * c_in * kernel * kernel * sizeof(float);
}

/* `to_packed`: OIHW -> OHWI, else back. Both on the host. */
static void transpose(int c_out, int c_in, int kernel, const float *from, float *to, bool to_packed)
{
    const size_t area = (size_t)kernel * kernel, in = (size_t)c_in;

    for (size_t o = 0; o < (size_t)c_out; o++)
        for (size_t i = 0; i < in; i++)
            for (size_t p = 0; p < area; p++) {
                size_t plain = (o * in + i) * area + p, packed = (o * area + p) * in + i;
                to[to_packed ? packed : plain] = from[to_packed ? plain : packed];
            }
}

int cuda_conv_weight_pack(struct device *dev, int c_out, int c_in, int kernel, const float *oihw, float *packed,
                          struct err *err)
{
    const size_t bytes = cuda_conv_weight_bytes(dev, c_out, c_in, kernel);
    float *host = mem_alloc(bytes, 1, err);
    if (!host)
        return -1;
    transpose(c_out, c_in, kernel, oihw, host, true);
    int rc = cuda_upload(dev, packed, host, bytes, err);
    mem_free(host);
    return rc;
}

int cuda_conv_weight_unpack(struct device *dev, int c_out, int c_in, int kernel, const float *packed, float *oihw,
                            struct err *err)
{
    const size_t bytes = cuda_conv_weight_bytes(dev, c_out, c_in, kernel);
    float *host = mem_alloc(bytes, 1, err);
    if (!host)
        return -1;
    int rc = cuda_download(dev, host, packed, bytes, err);
    if (rc == 0)
        transpose(c_out, c_in, kernel, host, oihw, false);
    mem_free(host);
    return rc;
}

static const float one = 1, none = 0;

/* The place of the weights' copy; x's is at_x behind it. */
static char *scratch_of(struct conv *v, struct err *err)
{
    return cuda_buffer_reserve(&v->cuda->scratch, v->scratch, err);
}

/* The weights as cuDNN reads them: a copy in scratch if they are not so already. */
static const void *weights_in(struct conv *v, const float *weight, char *scratch, struct err *err)
{
    if (v->precision != PRECISION_BF16 && !wider(v))
        return weight;
    return cuda_copy_columns(v->cuda->stream, rows_w(v), PRECISION_FP32, v->d.c_in, weight, v->precision, v->c_in,
                             scratch, err) == 0
               ? scratch
               : NULL;
}

/* Likewise the input. */
static const void *input(struct conv *v, const void *x, char *scratch, struct err *err)
{
    if (!wider(v))
        return x;
    return cuda_copy_columns(v->cuda->stream, rows_x(v), v->precision, v->d.c_in, x, v->precision, v->c_in,
                             scratch + v->at_x, err) == 0
               ? scratch + v->at_x
               : NULL;
}

int cuda_conv_forward(struct conv *v, const void *x, const float *weight, const float *bias, const void *residual,
                      void *y, struct err *err)
{
    const struct product *p = &v->product[FORWARD];
    const enum conv_epilogue epilogue = v->d.epilogue;
    char *scratch = scratch_of(v, err);
    const void *w = scratch ? weights_in(v, weight, scratch, err) : NULL, *in = w ? input(v, x, scratch, err) : NULL;

    if (!in || cuda_check_cudnn(cudnnConvolutionForward(v->cuda->cudnn, &one, v->x, in, v->w, w, p->desc,
                                                        (cudnnConvolutionFwdAlgo_t)p->algorithm,
                                                        v->cuda->workspace.at, p->workspace, &none, v->y, y),
                                "convolution", err) != 0)
        return -1;
    if (epilogue == CONV_PLAIN)
        return 0;
    return cuda_conv_epilogue(v->cuda->stream, v->precision, rows_y(v), v->d.c_out, bias,
                              epilogue == CONV_BIAS_ADD_RELU ? residual : NULL, epilogue != CONV_BIAS, y, err);
}

int cuda_conv_backward_data(struct conv *v, const void *dy, const float *weight, void *dx, struct err *err)
{
    const struct product *p = &v->product[BACKWARD_DATA];
    char *scratch = scratch_of(v, err);
    const void *w = scratch ? weights_in(v, weight, scratch, err) : NULL;
    void *out = wider(v) ? scratch + v->at_x : dx;

    if (!w || cuda_check_cudnn(cudnnConvolutionBackwardData(v->cuda->cudnn, &one, v->w, w, v->y, dy, p->desc,
                                                            (cudnnConvolutionBwdDataAlgo_t)p->algorithm,
                                                            v->cuda->workspace.at, p->workspace, &none, v->x, out),
                               "gradient of a convolution at its input", err) != 0)
        return -1;
    if (!wider(v))
        return 0;
    return cuda_copy_columns(v->cuda->stream, rows_x(v), v->precision, v->c_in, out, v->precision, v->d.c_in, dx, err);
}

int cuda_conv_backward_weight(struct conv *v, const void *x, const void *dy, float *dweight, struct err *err)
{
    const struct product *p = &v->product[BACKWARD_WEIGHT];
    const bool copied = v->precision == PRECISION_BF16 || wider(v);
    char *scratch = scratch_of(v, err);
    const void *in = scratch ? input(v, x, scratch, err) : NULL;
    void *out = copied ? (void *)scratch : dweight;

    if (!in || cuda_check_cudnn(cudnnConvolutionBackwardFilter(v->cuda->cudnn, &one, v->x, in, v->y, dy, p->desc,
                                                               (cudnnConvolutionBwdFilterAlgo_t)p->algorithm,
                                                               v->cuda->workspace.at, p->workspace, &none, v->w, out),
                                "gradient of a convolution at its weights", err) != 0)
        return -1;
    if (!copied)
        return 0;
    return cuda_copy_columns(v->cuda->stream, rows_w(v), v->precision, v->c_in, out, PRECISION_FP32, v->d.c_in, dweight,
                             err);
}
