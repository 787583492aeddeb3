/* The errors of four libraries, each as one sentence that says what to do. */
#include "device/cuda/cuda_device.h"

#include <string.h>

static int out_of_memory(const char *what, struct err *err)
{
    size_t free = 0, total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess)
        return err_set(err, "%s: the GPU is out of memory; use smaller batches or fewer ranks on this GPU", what);
    return err_set(err,
                   "%s: the GPU is out of memory (%zu MiB of its %zu MiB are free); use smaller batches or fewer "
                   "ranks on this GPU",
                   what, free >> 20, total >> 20);
}

static int driver_too_old(const char *what, struct err *err)
{
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    if (driver == 0)
        return err_set(err, "%s: no GPU driver is installed here", what);
    return err_set(err,
                   "%s: the GPU driver is too old: it serves CUDA %d.%d, and this binary was built with CUDA "
                   "%d.%d",
                   what, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
}

int cuda_check(cudaError_t status, const char *what, struct err *err)
{
    if (status == cudaSuccess)
        return 0;
    cudaGetLastError(); /* clears what can be cleared, so that it is not reported again by the next call */
    switch (status) {
    case cudaErrorMemoryAllocation:
        return out_of_memory(what, err);
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
        return driver_too_old(what, err);
    case cudaErrorNoDevice:
        return err_set(err, "%s: no GPU is visible here", what);
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidKernelImage:
        return err_set(err,
                       "%s: this binary has no code for this GPU's architecture (it has 8.0, 9.0 and what can be "
                       "derived from 9.0)",
                       what);
    case cudaErrorDevicesUnavailable:
        return err_set(err, "%s: the GPU is taken by another process that does not share it", what);
    case cudaErrorECCUncorrectable:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsConnectionFailed:
    case cudaErrorMpsServerNotReady:
        return err_set(err, "%s: the GPU is lost to this process: %s", what, cudaGetErrorString(status));
    default:
        return err_set(err, "%s: %s (%s)", what, cudaGetErrorString(status), cudaGetErrorName(status));
    }
}

/* What asking for the context's state may answer that is no state of the GPU: a step is
 * being recorded, where nothing may be waited for, or there is no GPU and none is meant. */
static bool says_nothing(cudaError_t status)
{
    return status == cudaErrorStreamCaptureUnsupported || status == cudaErrorStreamCaptureInvalidated ||
           status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice;
}

/* The libraries hide an error of the runtime behind a status of their own. Each has a
 * runtime in itself, so that ours has seen no error of theirs: it must be asked. */
static bool runtime_error(const char *what, struct err *err)
{
    cudaError_t status = cudaPeekAtLastError();
    if (status == cudaSuccess)
        status = cudaDeviceSynchronize();
    if (says_nothing(status)) {
        cudaGetLastError();
        return false;
    }
    return cuda_check(status, what, err) != 0;
}

int cuda_check_cudnn(cudnnStatus_t status, const char *what, struct err *err)
{
    if (status == CUDNN_STATUS_SUCCESS)
        return 0;
    char more[256] = "";
    cudnnGetLastErrorString(more, sizeof more);
    if (runtime_error(what, err))
        return -1;
    more[strcspn(more, "\n")] = 0;
    return err_set(err, "%s: cuDNN says %s%s%s", what, cudnnGetErrorString(status), more[0] ? ": " : "", more);
}

int cuda_check_cublas(cublasStatus_t status, const char *what, struct err *err)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return 0;
    if (runtime_error(what, err))
        return -1;
    if (status == CUBLAS_STATUS_ALLOC_FAILED)
        return out_of_memory(what, err);
    return err_set(err, "%s: cuBLAS says %s", what, cublasGetStatusString(status));
}

int cuda_check_cusolver(cusolverStatus_t status, const char *what, struct err *err)
{
    if (status == CUSOLVER_STATUS_SUCCESS)
        return 0;
    if (runtime_error(what, err))
        return -1;
    if (status == CUSOLVER_STATUS_ALLOC_FAILED)
        return out_of_memory(what, err);
    return err_set(err, "%s: cuSOLVER refuses with status %d", what, (int)status);
}
