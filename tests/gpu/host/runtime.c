/* The CUDA runtime on the host: what the cuda device calls, with memory of the
 * host and everything done when it is queued, or at every replay of a graph it was
 * captured into. New memory holds NaN (the first MiB of it). A machine of one GPU with HOST_GPU_MIB MiB
 * (default 1024).
 *
 * cudaGetLastError and cudaGetErrorString are the grid emulator's. */
#include <cuda_runtime_api.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "host.h"

enum { HEADER = 256, FILLED = 8 << 20 };

static size_t used, pinned, peak;
static int graphs;

static size_t total(void)
{
    const char *text = getenv("HOST_GPU_MIB");
    return (text != NULL ? (size_t)strtoul(text, NULL, 10) : 1024) << 20;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    if (capture_going_on())
        return cudaErrorStreamCaptureUnsupported;
    if (used + bytes > total())
        return cudaErrorMemoryAllocation;
    char *p = aligned_alloc(HEADER, HEADER + (bytes + HEADER - 1) / HEADER * HEADER);
    if (p == NULL)
        return cudaErrorMemoryAllocation;
    memcpy(p, &bytes, sizeof bytes);
    memset(p + HEADER, 0xff, bytes < FILLED ? bytes : FILLED);
    used += bytes;
    peak = used > peak ? used : peak;
    *out = p + HEADER;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    if (p != NULL) {
        size_t bytes;
        memcpy(&bytes, (char *)p - HEADER, sizeof bytes);
        used -= bytes;
        free((char *)p - HEADER);
    }
    return cudaSuccess;
}

size_t host_gpu_used(void)
{
    return used + pinned;
}

size_t host_gpu_peak(void)
{
    size_t was = peak;
    peak = used;
    return was;
}

cudaError_t cudaMallocHost(void **out, size_t bytes)
{
    pinned++;
    *out = malloc(bytes);
    return *out != NULL ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *p)
{
    pinned--;
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *free_bytes = total() - used;
    *total_bytes = total();
    return cudaSuccess;
}

struct transfer {
    void *to;
    const void *from; /* NULL: `value` everywhere */
    int value;
    size_t bytes;
};

static void transfer(const void *args)
{
    const struct transfer *t = args;
    if (t->from != NULL)
        memcpy(t->to, t->from, t->bytes);
    else
        memset(t->to, t->value, t->bytes);
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    (void)kind, (void)stream;
    const struct transfer t = { .to = dst, .from = src, .bytes = bytes };
    capture_queue(transfer, &t, sizeof t);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *dst, int value, size_t bytes, cudaStream_t stream)
{
    (void)stream;
    const struct transfer t = { .to = dst, .value = value, .bytes = bytes };
    capture_queue(transfer, &t, sizeof t);
    return cudaSuccess;
}

static int thing;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = (cudaStream_t)&thing;
    return cudaSuccess;
}

/* HOST_GPU_FAULT: what is wrong with this GPU. */
static bool fault(const char *name)
{
    const char *text = getenv("HOST_GPU_FAULT");
    return text != NULL && strcmp(text, name) == 0;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (fault("lost"))
        return cudaErrorIllegalAddress;
    if (capture_going_on())
        return cudaErrorStreamCaptureUnsupported;
    return stream == (cudaStream_t)&thing ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

/* -- graphs: what was captured is what is launched -- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    (void)mode;
    if (cudaStreamSynchronize(stream) != cudaSuccess || fault("no recording"))
        return cudaErrorIllegalState;
    capture_begin();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    (void)stream;
    *graph = (cudaGraph_t)capture_end();
    return *graph != NULL ? cudaSuccess : cudaErrorIllegalState;
}

/* Takes the graph's contents over: its own end comes before that of what was made of it. */
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    *out = (cudaGraphExec_t)graph;
    graphs++;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    (void)graph;
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream)
{
    (void)stream;
    capture_replay((const struct capture *)graph);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph)
{
    graphs--;
    capture_free((struct capture *)graph);
    return cudaSuccess;
}

int host_graphs(void)
{
    return graphs;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    return cudaStreamSynchronize(stream);
}

/* Time passes only as libraries say that their work takes some. */
static double milliseconds;

void host_spend(double ms)
{
    milliseconds += ms;
}

/* The stream was waited for, and is idle until the next product. */
static bool idle;

bool host_was_idle(void)
{
    const bool was = idle;
    idle = false;
    return was;
}

struct CUevent_st {
    double at; /* < 0: never recorded */
};

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    (void)flags;
    *event = malloc(sizeof **event);
    (*event)->at = -1;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, 0);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    event->at = milliseconds;
    return cudaStreamSynchronize(stream);
}

cudaError_t cudaEventElapsedTime(float *out, cudaEvent_t begin, cudaEvent_t end)
{
    *out = (float)(end->at - begin->at);
    return begin->at < 0 || end->at < 0 ? cudaErrorInvalidResourceHandle : cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (capture_going_on())
        return cudaErrorStreamCaptureUnsupported;
    idle = true;
    return event != NULL ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

/* Two of three questions come too early, as on a GPU that is still at work. */
cudaError_t cudaEventQuery(cudaEvent_t event)
{
    static unsigned asked;
    return asked++ % 3 < 2 ? cudaErrorNotReady : cudaEventSynchronize(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    cudaError_t status = cudaEventSynchronize(event);
    free(event);
    return status;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = fault("none") ? 0 : 1;
    return fault("old driver") ? cudaErrorInsufficientDriver
           : fault("taken")    ? cudaErrorDevicesUnavailable
                               : cudaSuccess;
}

cudaError_t cudaInitDevice(int device, unsigned flags, unsigned which)
{
    (void)flags;
    return which == cudaInitDeviceFlagsAreValid ? cudaSetDevice(device) : cudaErrorInvalidValue;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? fault("old") ? 7 : 9 : 0;
    return cudaSetDevice(device);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "GPU on the host");
    return cudaSetDevice(device);
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int size, int device)
{
    snprintf(id, (size_t)size, "0000:00:00.0");
    return cudaSetDevice(device);
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = fault("old driver") ? 11040 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaStreamSynchronize((cudaStream_t)&thing);
}

cudaError_t cudaPeekAtLastError(void)
{
    return cudaSuccess;
}

const char *cudaGetErrorName(cudaError_t error)
{
    (void)error;
    return "an error";
}
