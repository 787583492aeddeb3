/* Convolutions by cuDNN: activations NHWC, weights KRSC (c_out, kernel, kernel,
 * c_in), what the tensor cores read without a transposition.
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
    int oh, ow;
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
    void *x, *w, *y, *workspace;
};

static size_t floats_x(const struct conv *v)
{
    return (size_t)v->d.n * v->d.h * v->d.w * v->d.c_in;
}

static size_t floats_y(const struct conv *v)
{
    return (size_t)v->d.n * v->oh * v->ow * v->d.c_out;
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
                                                        n, results, t->workspace, WORKSPACE_MAX);
        TAKE(results, *n, out);
    } else if (pass == BACKWARD_DATA) {
        cudnnConvolutionBwdDataAlgoPerf_t results[CANDIDATES];
        status = cudnnFindConvolutionBackwardDataAlgorithmEx(handle, v->w, t->w, v->y, t->y, desc, v->x, t->x,
                                                             CANDIDATES, n, results, t->workspace, WORKSPACE_MAX);
        TAKE(results, *n, out);
    } else {
        cudnnConvolutionBwdFilterAlgoPerf_t results[CANDIDATES];
        status = cudnnFindConvolutionBackwardFilterAlgorithmEx(handle, v->x, t->x, v->y, t->y, desc, v->w, t->w,
                                                               CANDIDATES, n, results, t->workspace, WORKSPACE_MAX);
        TAKE(results, *n, out);
    }
    return cuda_check_cudnn(status, "measuring the algorithms of a convolution", err);
}

/* The fastest usable one; where only full fp32 will do, of those measured with it. */
static const struct candidate *fastest(const struct candidate *c, int n, bool tf32)
{
    const struct candidate *best = NULL;
    for (int strict = !tf32; strict >= 0 && !best; strict--)
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
    cuda_free(&cuda->base, t->workspace);
}

static int measure(struct conv *v, enum pass pass, struct cuda_choice *choice, struct err *err)
{
    struct device *dev = &v->cuda->base;
    struct candidate candidates[CANDIDATES];
    struct trial t = { 0 };
    int n = 0, rc = -1;

    if (!(t.x = cuda_alloc(dev, floats_x(v) * sizeof(float), err)) ||
        !(t.w = cuda_alloc(dev, cuda_conv_weight_bytes(dev, v->d.c_out, v->d.c_in, v->d.kernel), err)) ||
        !(t.y = cuda_alloc(dev, floats_y(v) * sizeof(float), err)) ||
        !(t.workspace = cuda_alloc(dev, WORKSPACE_MAX, err)))
        goto out;
    for (int round = 0; round < 2; round++) /* the first one loads kernels */
        if (find(v, pass, &t, candidates, &n, err) != 0)
            goto out;
    const struct candidate *best = fastest(candidates, n, v->cuda->tf32);
    if (!best) {
        err_set(err, "cuDNN has no deterministic algorithm (of %d) that needs at most %zu MiB", n, WORKSPACE_MAX >> 20);
        goto out;
    }
    choice->algorithm = best->algorithm;
    choice->math = v->cuda->tf32 ? best->math : (int)CUDNN_FMA_MATH;
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
        cuda_check_cudnn(cudnnSetConvolutionMathType(p->desc, v->cuda->tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH),
                         "planning a convolution", err) != 0)
        return -1;
    snprintf(key, sizeof key, "%s %s %s n%d c%d h%d w%d k%d f%d s%d p%d", v->cuda->model,
             v->cuda->tf32 ? "tf32" : "fp32", pass_names[pass], d->n, d->c_in, d->h, d->w, d->c_out, d->kernel,
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

    if (cuda_check_cudnn(cudnnCreateTensorDescriptor(&v->x), what, err) != 0 ||
        cuda_check_cudnn(cudnnCreateTensorDescriptor(&v->y), what, err) != 0 ||
        cuda_check_cudnn(cudnnCreateFilterDescriptor(&v->w), what, err) != 0 ||
        cuda_check_cudnn(cudnnSetTensor4dDescriptor(v->x, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, d->n, d->c_in, d->h,
                                                    d->w), what, err) != 0 ||
        cuda_check_cudnn(cudnnSetTensor4dDescriptor(v->y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, d->n, d->c_out, v->oh,
                                                    v->ow), what, err) != 0 ||
        cuda_check_cudnn(cudnnSetFilter4dDescriptor(v->w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC, d->c_out, d->c_in,
                                                    d->kernel, d->kernel), what, err) != 0)
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

int cuda_conv_forward(struct conv *v, const float *x, const float *weight, const float *bias, const float *residual,
                      float *y, struct err *err)
{
    const struct product *p = &v->product[FORWARD];
    const enum conv_epilogue epilogue = v->d.epilogue;

    if (cuda_check_cudnn(cudnnConvolutionForward(v->cuda->cudnn, &one, v->x, x, v->w, weight, p->desc,
                                                 (cudnnConvolutionFwdAlgo_t)p->algorithm, v->cuda->workspace.at,
                                                 p->workspace, &none, v->y, y),
                         "convolution", err) != 0)
        return -1;
    if (epilogue == CONV_PLAIN)
        return 0;
    return cuda_conv_epilogue(v->cuda->stream, (size_t)v->d.n * v->oh * v->ow, v->d.c_out, bias,
                              epilogue == CONV_BIAS_ADD_RELU ? residual : NULL, epilogue != CONV_BIAS, y, err);
}

int cuda_conv_backward_data(struct conv *v, const float *dy, const float *weight, float *dx, struct err *err)
{
    const struct product *p = &v->product[BACKWARD_DATA];

    return cuda_check_cudnn(cudnnConvolutionBackwardData(v->cuda->cudnn, &one, v->w, weight, v->y, dy, p->desc,
                                                         (cudnnConvolutionBwdDataAlgo_t)p->algorithm,
                                                         v->cuda->workspace.at, p->workspace, &none, v->x, dx),
                            "gradient of a convolution at its input", err);
}

int cuda_conv_backward_weight(struct conv *v, const float *x, const float *dy, float *dweight, struct err *err)
{
    const struct product *p = &v->product[BACKWARD_WEIGHT];

    return cuda_check_cudnn(cudnnConvolutionBackwardFilter(v->cuda->cudnn, &one, v->x, x, v->y, dy, p->desc,
                                                           (cudnnConvolutionBwdFilterAlgo_t)p->algorithm,
                                                           v->cuda->workspace.at, p->workspace, &none, v->w, dweight),
                            "gradient of a convolution at its weights", err);
}
