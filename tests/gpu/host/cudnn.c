/* cuDNN's convolutions on the host, by their definition: NHWC activations, KRSC
 * weights, as the descriptors say. Of three algorithms two must not be chosen:
 * a fast one that is not deterministic, and one of lower precision. */
#include <cudnn.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

enum { NOT_DETERMINISTIC, GOOD, ROUNDS, WORKSPACE = 4096 };

struct cudnnTensorStruct {
    int n, c, h, w;
};

struct cudnnFilterStruct {
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

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format, cudnnDataType_t type,
                                         int n, int c, int h, int w)
{
    *t = (struct cudnnTensorStruct){ n, c, h, w };
    return format == CUDNN_TENSOR_NHWC && type == CUDNN_DATA_FLOAT ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t f, cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int k, int c, int h, int w)
{
    *f = (struct cudnnFilterStruct){ k, c, h, w };
    return format == CUDNN_TENSOR_NHWC && type == CUDNN_DATA_FLOAT ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
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
    memset(y, 0xff, (size_t)yd->n * yd->c * yd->h * yd->w * sizeof(float));
    assert(x && w && xd->c == wd->c);
    RESULTS(cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t);
}

cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t handle, const cudnnFilterDescriptor_t wd, const void *w, const cudnnTensorDescriptor_t yd,
    const void *dy, const cudnnConvolutionDescriptor_t v, const cudnnTensorDescriptor_t xd, void *dx,
    const int requested, int *returned, cudnnConvolutionBwdDataAlgoPerf_t *results, void *workspace, size_t size)
{
    (void)handle, (void)v;
    memset(dx, 0xff, (size_t)xd->n * xd->c * xd->h * xd->w * sizeof(float));
    assert(w && dy && yd->c == wd->k);
    RESULTS(cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t);
}

cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t handle, const cudnnTensorDescriptor_t xd, const void *x, const cudnnTensorDescriptor_t yd,
    const void *dy, const cudnnConvolutionDescriptor_t v, const cudnnFilterDescriptor_t wd, void *dw,
    const int requested, int *returned, cudnnConvolutionBwdFilterAlgoPerf_t *results, void *workspace, size_t size)
{
    (void)handle, (void)v;
    memset(dw, 0xff, (size_t)wd->k * wd->c * wd->r * wd->s * sizeof(float));
    assert(x && dy && xd->c == wd->c && yd->c == wd->k);
    RESULTS(cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t);
}

static cudnnStatus_t workspace_of(int algorithm, const struct cudnnConvolutionStruct *v, size_t *bytes)
{
    *bytes = WORKSPACE;
    return algorithm == GOOD && v->math == CUDNN_FMA_MATH ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd,
                                                      const cudnnFilterDescriptor_t wd,
                                                      const cudnnConvolutionDescriptor_t v,
                                                      const cudnnTensorDescriptor_t yd,
                                                      cudnnConvolutionFwdAlgo_t algorithm, size_t *bytes)
{
    (void)handle, (void)xd, (void)wd, (void)yd;
    return workspace_of(algorithm, v, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, const cudnnFilterDescriptor_t wd,
                                                           const cudnnTensorDescriptor_t yd,
                                                           const cudnnConvolutionDescriptor_t v,
                                                           const cudnnTensorDescriptor_t xd,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm, size_t *bytes)
{
    (void)handle, (void)xd, (void)wd, (void)yd;
    return workspace_of(algorithm, v, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t xd,
                                                             const cudnnTensorDescriptor_t yd,
                                                             const cudnnConvolutionDescriptor_t v,
                                                             const cudnnFilterDescriptor_t wd,
                                                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *bytes)
{
    (void)handle, (void)xd, (void)wd, (void)yd;
    return workspace_of(algorithm, v, bytes);
}

static cudnnStatus_t check_run(const void *alpha, const void *beta, int algorithm,
                               const struct cudnnConvolutionStruct *v, void *workspace, size_t size)
{
    assert(*(const float *)alpha == 1 && *(const float *)beta == 0);
    if (algorithm != GOOD || v->math != CUDNN_FMA_MATH || !workspace || size < WORKSPACE)
        return CUDNN_STATUS_BAD_PARAM;
    memset(workspace, 0xff, size);
    return CUDNN_STATUS_SUCCESS;
}

/* The one of x, w and y that is NULL is the result: sums of products of the other
 * two, over all that the definition of a convolution multiplies. */
static void convolve(const struct cudnnTensorStruct *xd, const struct cudnnFilterStruct *wd,
                     const struct cudnnTensorStruct *yd, const struct cudnnConvolutionStruct *v, const float *x,
                     const float *w, const float *y, float *result)
{
    size_t count = !x ? (size_t)xd->n * xd->c * xd->h * xd->w
                   : !w ? (size_t)wd->k * wd->c * wd->r * wd->s
                        : (size_t)yd->n * yd->c * yd->h * yd->w;
    size_t outputs = (size_t)yd->n * yd->h * yd->w * yd->c;
    double *sums = calloc(count, sizeof *sums);

    for (size_t iy = 0; iy < outputs; iy++) {
        int k = (int)(iy % yd->c), ox = (int)(iy / yd->c % yd->w), oy = (int)(iy / yd->c / yd->w % yd->h);
        size_t n = iy / yd->c / yd->w / yd->h;
        for (int r = 0; r < wd->r; r++)
            for (int s = 0; s < wd->s; s++) {
                int py = oy * v->stride + r - v->padding, px = ox * v->stride + s - v->padding;
                if (py < 0 || py >= xd->h || px < 0 || px >= xd->w)
                    continue;
                size_t ix = ((n * xd->h + py) * xd->w + px) * xd->c;
                size_t iw = (((size_t)k * wd->r + r) * wd->s + s) * wd->c;
                for (int c = 0; c < wd->c; c++, ix++, iw++)
                    sums[!x ? ix : !w ? iw : iy] += (x ? (double)x[ix] : 1) * (w ? w[iw] : 1) * (y ? y[iy] : 1);
            }
    }
    for (size_t i = 0; i < count; i++)
        result[i] = (float)sums[i];
    free(sums);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd,
                                      const void *x, const cudnnFilterDescriptor_t wd, const void *w,
                                      const cudnnConvolutionDescriptor_t v, cudnnConvolutionFwdAlgo_t algorithm,
                                      void *workspace, size_t size, const void *beta,
                                      const cudnnTensorDescriptor_t yd, void *y)
{
    (void)handle;
    convolve(xd, wd, yd, v, x, w, NULL, y);
    return check_run(alpha, beta, algorithm, v, workspace, size);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t wd,
                                           const void *w, const cudnnTensorDescriptor_t yd, const void *dy,
                                           const cudnnConvolutionDescriptor_t v,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace, size_t size,
                                           const void *beta, const cudnnTensorDescriptor_t xd, void *dx)
{
    (void)handle;
    convolve(xd, wd, yd, v, NULL, w, dy, dx);
    return check_run(alpha, beta, algorithm, v, workspace, size);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd,
                                             const void *x, const cudnnTensorDescriptor_t yd, const void *dy,
                                             const cudnnConvolutionDescriptor_t v,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void *workspace, size_t size,
                                             const void *beta, const cudnnFilterDescriptor_t wd, void *dw)
{
    (void)handle;
    convolve(xd, wd, yd, v, x, NULL, dy, dw);
    return check_run(alpha, beta, algorithm, v, workspace, size);
}
