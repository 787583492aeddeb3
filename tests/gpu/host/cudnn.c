/* cuDNN's convolutions on the host, by their definition: NHWC activations, KRSC
 * weights, float or bfloat16, as the descriptors say; inputs of bfloat16 must have
 * a multiple of 8 channels. Of three algorithms two must not be chosen: a fast one
 * that is not deterministic, and in fp32 one of lower precision. */
#include <cudnn.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "device/kernels.h"
#include "host.h"

enum { NOT_DETERMINISTIC, GOOD, ROUNDS, WORKSPACE = 4096 };

struct cudnnTensorStruct {
    cudnnDataType_t type;
    int n, c, h, w;
};

struct cudnnFilterStruct {
    cudnnDataType_t type;
    int k, c, r, s;
};

struct cudnnConvolutionStruct {
    int padding, stride;
    cudnnMathType_t math;
};

static int open_descriptors;

int host_cudnn_open(void)
{
    return open_descriptors;
}

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_SUCCESS ? "success" : "an error";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "of cuDNN on the host");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    static int thing;
    *handle = (cudnnHandle_t)&thing;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    (void)handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    (void)handle;
    return stream ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

#define DESCRIPTOR(Create, Destroy, type) \
    cudnnStatus_t Create(type *out)       \
    {                                     \
        *out = calloc(1, sizeof **out);   \
        open_descriptors++;               \
        return CUDNN_STATUS_SUCCESS;      \
    }                                     \
    cudnnStatus_t Destroy(type desc)      \
    {                                     \
        free(desc);                       \
        open_descriptors--;               \
        return CUDNN_STATUS_SUCCESS;      \
    }

DESCRIPTOR(cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor, cudnnTensorDescriptor_t)
DESCRIPTOR(cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor, cudnnFilterDescriptor_t)
DESCRIPTOR(cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor, cudnnConvolutionDescriptor_t)

static bool known(cudnnDataType_t type)
{
    return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16;
}

static size_t bytes_of(cudnnDataType_t type)
{
    return type == CUDNN_DATA_BFLOAT16 ? 2 : sizeof(float);
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format, cudnnDataType_t type,
                                         int n, int c, int h, int w)
{
    *t = (struct cudnnTensorStruct){ type, n, c, h, w };
    return format == CUDNN_TENSOR_NHWC && known(type) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t f, cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int k, int c, int h, int w)
{
    *f = (struct cudnnFilterStruct){ type, k, c, h, w };
    if (type == CUDNN_DATA_BFLOAT16 && c % 8 != 0)
        return CUDNN_STATUS_NOT_SUPPORTED;
    return format == CUDNN_TENSOR_NHWC && known(type) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t v, int pad_h, int pad_w, int u, int stride,
                                              int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t type)
{
    assert(pad_h == pad_w && u == stride && dilation_h == 1 && dilation_w == 1 && type == CUDNN_DATA_FLOAT);
    *v = (struct cudnnConvolutionStruct){ pad_h, stride, CUDNN_DEFAULT_MATH };
    return mode == CUDNN_CROSS_CORRELATION ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t v, cudnnMathType_t math)
{
    v->math = math;
    return CUDNN_STATUS_SUCCESS;
}

/* The three results of a measurement, the fastest first. */
#define RESULTS(type, algo_t)                                                                                      \
    assert(requested >= 3 && size >= WORKSPACE && workspace);                                                      \
    *returned = 3;                                                                                                 \
    results[0] = (type){ .algo = (algo_t)NOT_DETERMINISTIC, .time = 1, .determinism = CUDNN_NON_DETERMINISTIC,     \
                         .mathType = CUDNN_FMA_MATH };                                                             \
    results[1] = (type){ .algo = (algo_t)ROUNDS, .time = 2, .determinism = CUDNN_DETERMINISTIC,                    \
                         .mathType = CUDNN_DEFAULT_MATH };                                                         \
    results[2] = (type){ .algo = (algo_t)GOOD, .time = 3, .memory = WORKSPACE, .determinism = CUDNN_DETERMINISTIC, \
                         .mathType = CUDNN_FMA_MATH };                                                             \
    return CUDNN_STATUS_SUCCESS

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd,
                                                     const void *x, const cudnnFilterDescriptor_t wd, const void *w,
                                                     const cudnnConvolutionDescriptor_t v,
                                                     const cudnnTensorDescriptor_t yd, void *y, const int requested,
                                                     int *returned, cudnnConvolutionFwdAlgoPerf_t *results,
                                                     void *workspace, size_t size)
{
    (void)handle, (void)v;
    memset(y, 0xff, (size_t)yd->n * yd->c * yd->h * yd->w * bytes_of(yd->type));
    assert(x && w && xd->c == wd->c);
    RESULTS(cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t);
}

cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t wd, const void *w, const cudnnTensorDescriptor_t yd,
    const void *dy, const cudnnConvolutionDescriptor_t v, const cudnnTensorDescriptor_t xd, void *dx,
    const int requested, int *returned, cudnnConvolutionBwdDataAlgoPerf_t *results, void *workspace, size_t size)
{
    (void)handle, (void)v;
    memset(dx, 0xff, (size_t)xd->n * xd->c * xd->h * xd->w * bytes_of(xd->type));
    assert(w && dy && yd->c == wd->k);
    RESULTS(cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t);
}

cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t xd, const void *x, const cudnnTensorDescriptor_t yd,
    const void *dy, const cudnnConvolutionDescriptor_t v, const cudnnFilterDescriptor_t wd, void *dw,
    const int requested, int *returned, cudnnConvolutionBwdFilterAlgoPerf_t *results, void *workspace, size_t size)
{
    (void)handle, (void)v;
    memset(dw, 0xff, (size_t)wd->k * wd->c * wd->r * wd->s * bytes_of(wd->type));
    assert(x && dy && xd->c == wd->c && yd->c == wd->k);
    RESULTS(cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t);
}

/* In fp32 the exact algorithm; otherwise the fastest that is deterministic. */
static bool allowed(cudnnDataType_t type, int algorithm, const struct cudnnConvolutionStruct *v)
{
    if (type == CUDNN_DATA_BFLOAT16 || v->math != CUDNN_FMA_MATH)
        return algorithm == ROUNDS && v->math != CUDNN_FMA_MATH;
    return algorithm == GOOD;
}

static cudnnStatus_t workspace_of(cudnnDataType_t type, int algorithm, const struct cudnnConvolutionStruct *v,
                                  size_t *bytes)
{
    *bytes = WORKSPACE;
    return allowed(type, algorithm, v) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd,
                                                      const cudnnFilterDescriptor_t wd,
                                                      const cudnnConvolutionDescriptor_t v,
                                                      const cudnnTensorDescriptor_t yd,
                                                      cudnnConvolutionFwdAlgo_t algorithm, size_t *bytes)
{
    (void)handle, (void)wd, (void)yd;
    return workspace_of(xd->type, algorithm, v, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, const cudnnFilterDescriptor_t wd,
                                                           const cudnnTensorDescriptor_t yd,
                                                           const cudnnConvolutionDescriptor_t v,
                                                           const cudnnTensorDescriptor_t xd,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm, size_t *bytes)
{
    (void)handle, (void)wd, (void)yd;
    return workspace_of(xd->type, algorithm, v, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd,
                                                             const cudnnTensorDescriptor_t yd,
                                                             const cudnnConvolutionDescriptor_t v,
                                                             const cudnnFilterDescriptor_t wd,
                                                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *bytes)
{
    (void)handle, (void)wd, (void)yd;
    return workspace_of(xd->type, algorithm, v, bytes);
}

static cudnnStatus_t check_run(const void *alpha, const void *beta, cudnnDataType_t type, int algorithm,
                               const struct cudnnConvolutionStruct *v, void *workspace, size_t size)
{
    assert(*(const float *)alpha == 1 && *(const float *)beta == 0);
    return allowed(type, algorithm, v) && workspace && size >= WORKSPACE ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

static float get(cudnnDataType_t type, const void *p, size_t i)
{
    return type == CUDNN_DATA_BFLOAT16 ? kernel_from_bf16(((const uint16_t *)p)[i]) : ((const float *)p)[i];
}

static void put(cudnnDataType_t type, void *p, size_t i, double value)
{
    if (type == CUDNN_DATA_BFLOAT16)
        ((uint16_t *)p)[i] = kernel_to_bf16((float)value);
    else
        ((float *)p)[i] = (float)value;
}

/* One product; descriptors as they are when it is queued. */
struct convolution {
    struct cudnnTensorStruct xd, yd;
    struct cudnnFilterStruct wd;
    struct cudnnConvolutionStruct v;
    const void *x, *w, *y; /* one is NULL: the result */
    void *result, *workspace;
    size_t workspace_bytes;
};

/* The one of x, w and y that is NULL is the result: sums of products of the other
 * two, over all that the definition of a convolution multiplies. */
static void convolve(const void *args)
{
    const struct convolution *o = args;
    const struct cudnnTensorStruct *xd = &o->xd, *yd = &o->yd;
    const struct cudnnFilterStruct *wd = &o->wd;
    const void *x = o->x, *w = o->w, *y = o->y;
    size_t count = !x ? (size_t)xd->n * xd->c * xd->h * xd->w
                   : !w ? (size_t)wd->k * wd->c * wd->r * wd->s
                        : (size_t)yd->n * yd->c * yd->h * yd->w;
    size_t outputs = (size_t)yd->n * yd->h * yd->w * yd->c;
    double *sums = calloc(count, sizeof *sums);

    memset(o->workspace, 0xff, o->workspace_bytes);
    for (size_t iy = 0; iy < outputs; iy++) {
        int k = (int)(iy % yd->c), ox = (int)(iy / yd->c % yd->w), oy = (int)(iy / yd->c / yd->w % yd->h);
        size_t n = iy / yd->c / yd->w / yd->h;
        for (int r = 0; r < wd->r; r++)
            for (int s = 0; s < wd->s; s++) {
                int py = oy * o->v.stride + r - o->v.padding, px = ox * o->v.stride + s - o->v.padding;
                if (py < 0 || py >= xd->h || px < 0 || px >= xd->w)
                    continue;
                size_t ix = ((n * xd->h + py) * xd->w + px) * xd->c;
                size_t iw = (((size_t)k * wd->r + r) * wd->s + s) * wd->c;
                for (int c = 0; c < wd->c; c++, ix++, iw++)
                    sums[!x ? ix : !w ? iw : iy] += (x ? (double)get(xd->type, x, ix) : 1) *
                                                    (w ? get(wd->type, w, iw) : 1) * (y ? get(yd->type, y, iy) : 1);
            }
    }
    for (size_t i = 0; i < count; i++)
        put(xd->type, o->result, i, sums[i]);
    free(sums);
}

static void queue(const struct cudnnTensorStruct *xd, const struct cudnnFilterStruct *wd,
                  const struct cudnnTensorStruct *yd, const struct cudnnConvolutionStruct *v, const void *x,
                  const void *w, const void *y, void *result, void *workspace, size_t size)
{
    const struct convolution o = { .xd = *xd, .yd = *yd, .wd = *wd, .v = *v, .x = x, .w = w, .y = y,
                                   .result = result, .workspace = workspace, .workspace_bytes = size };
    assert(xd->type == wd->type && xd->type == yd->type && wd->c == xd->c && wd->k == yd->c);
    capture_queue(convolve, &o, sizeof o);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd,
                                      const void *x, const cudnnFilterDescriptor_t wd, const void *w,
                                      const cudnnConvolutionDescriptor_t v, cudnnConvolutionFwdAlgo_t algorithm,
                                      void *workspace, size_t size, const void *beta,
                                      const cudnnTensorDescriptor_t yd, void *y)
{
    (void)handle;
    queue(xd, wd, yd, v, x, w, NULL, y, workspace, size);
    return check_run(alpha, beta, xd->type, algorithm, v, workspace, size);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t wd,
                                           const void *w, const cudnnTensorDescriptor_t yd, const void *dy,
                                           const cudnnConvolutionDescriptor_t v,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace, size_t size,
                                           const void *beta, const cudnnTensorDescriptor_t xd, void *dx)
{
    (void)handle;
    queue(xd, wd, yd, v, NULL, w, dy, dx, workspace, size);
    return check_run(alpha, beta, xd->type, algorithm, v, workspace, size);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd,
                                             const void *x, const cudnnTensorDescriptor_t yd, const void *dy,
                                             const cudnnConvolutionDescriptor_t v,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void *workspace, size_t size,
                                             const void *beta, const cudnnFilterDescriptor_t wd, void *dw)
{
    (void)handle;
    queue(xd, wd, yd, v, x, NULL, dy, dw, workspace, size);
    return check_run(alpha, beta, xd->type, algorithm, v, workspace, size);
}
