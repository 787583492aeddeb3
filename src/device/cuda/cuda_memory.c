/* Memory slots, and the buffers that calls share.
 *
 * Uploads go through page-locked memory and leave the host free at once, up to a
 * size that no step of a training exceeds; larger ones are copied by the runtime. */
#include "device/cuda/cuda_device.h"

#include <stdio.h>
#include <string.h>

static int create_event(cudaEvent_t *event, struct err *err)
{
    return cuda_check(cudaEventCreateWithFlags(event, cudaEventDisableTiming | cudaEventBlockingSync),
                      "creating an event", err);
}

int cuda_memory_init(struct cuda_device *cuda, struct err *err)
{
    for (int i = 0; i < CUDA_STAGES; i++) {
        struct cuda_stage *s = &cuda->stage[i];
        if (cuda_check(cudaMallocHost(&s->host, CUDA_STAGE_BYTES), "page-locking memory", err) != 0 ||
            create_event(&s->copied, err) != 0)
            return -1;
        s->bytes = CUDA_STAGE_BYTES;
    }
    void *looked = NULL;
    if (cuda_check(cudaMallocHost(&looked, sizeof *cuda->looked), "page-locking memory", err) != 0)
        return -1;
    cuda->looked = looked;
    return create_event(&cuda->look_done, err);
}

void cuda_memory_fini(struct cuda_device *cuda)
{
    for (int i = 0; i < CUDA_STAGES; i++) {
        if (cuda->stage[i].copied != NULL)
            cudaEventDestroy(cuda->stage[i].copied);
        if (cuda->stage[i].host != NULL)
            cudaFreeHost(cuda->stage[i].host);
    }
    if (cuda->look_done != NULL)
        cudaEventDestroy(cuda->look_done);
    if (cuda->looked != NULL)
        cudaFreeHost(cuda->looked);
    cudaFree(cuda->workspace.at);
    cudaFree(cuda->scratch.at);
}

static void *allocate(size_t bytes, struct err *err)
{
    char what[64];
    void *p = NULL;
    snprintf(what, sizeof what, "allocating %zu MiB", (bytes >> 20) + 1);
    /* cudaMalloc answers 0 bytes with no pointer; the interface promises one */
    return cuda_check(cudaMalloc(&p, bytes ? bytes : 1), what, err) == 0 ? p : NULL;
}

void *cuda_alloc(struct device *dev, size_t bytes, struct err *err)
{
    void *p = allocate(bytes, err);
    if (p != NULL && cuda_zero(dev, p, bytes, err) != 0) {
        cudaFree(p);
        return NULL;
    }
    return p;
}

/* Waits for the work that was queued: cudaFree does. */
void cuda_free(struct device *dev, void *p)
{
    (void)dev;
    if (p != NULL)
        cudaFree(p);
}

static int grow(struct cuda_stage *s, size_t bytes, struct err *err)
{
    void *host = NULL;
    if (cuda_check(cudaMallocHost(&host, bytes), "page-locking memory", err) != 0)
        return -1;
    cudaFreeHost(s->host);
    s->host = host;
    s->bytes = bytes;
    return 0;
}

static int upload_staged(struct cuda_device *cuda, void *dst, const void *host, size_t bytes, struct err *err)
{
    struct cuda_stage *s = &cuda->stage[cuda->next_stage];
    cuda->next_stage = (cuda->next_stage + 1) % CUDA_STAGES;
    if (cuda_check(cudaEventSynchronize(s->copied), "waiting for an upload", err) != 0 ||
        (bytes > s->bytes && grow(s, bytes, err) != 0))
        return -1;
    memcpy(s->host, host, bytes);
    if (cuda_check(cudaMemcpyAsync(dst, s->host, bytes, cudaMemcpyHostToDevice, cuda->stream), "uploading", err) != 0)
        return -1;
    return cuda_check(cudaEventRecord(s->copied, cuda->stream), "uploading", err);
}

int cuda_upload(struct device *dev, void *dst, const void *host, size_t bytes, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    if (bytes == 0)
        return 0;
    if (bytes <= CUDA_STAGE_BYTES_MAX)
        return upload_staged(cuda, dst, host, bytes, err);
    if (cuda_check(cudaMemcpyAsync(dst, host, bytes, cudaMemcpyHostToDevice, cuda->stream), "uploading", err) != 0)
        return -1;
    return cuda_sync(dev, err); /* the caller may change its array when this returns, page-locked or not */
}

int cuda_download(struct device *dev, void *host, const void *src, size_t bytes, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    if (bytes == 0)
        return 0;
    if (cuda_check(cudaMemcpyAsync(host, src, bytes, cudaMemcpyDeviceToHost, cuda->stream), "downloading", err) != 0)
        return -1;
    return cuda_sync(dev, err);
}

int cuda_copy(struct device *dev, void *dst, const void *src, size_t bytes, struct err *err)
{
    if (bytes == 0 || dst == src)
        return 0;
    return cuda_check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, cuda_of(dev)->stream),
                      "copying on the GPU", err);
}

int cuda_zero(struct device *dev, void *dst, size_t bytes, struct err *err)
{
    if (bytes == 0)
        return 0;
    return cuda_check(cudaMemsetAsync(dst, 0, bytes, cuda_of(dev)->stream), "clearing GPU memory", err);
}

int cuda_sync(struct device *dev, struct err *err)
{
    return cuda_check(cudaStreamSynchronize(cuda_of(dev)->stream), "computing on the GPU", err);
}

int cuda_memory_left(struct device *dev, size_t *free, size_t *total, struct err *err)
{
    (void)dev;
    return cuda_check(cudaMemGetInfo(free, total), "asking for the GPU's memory", err);
}

int cuda_look(struct device *dev, const double *src, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    if (cuda_check(cudaMemcpyAsync(cuda->looked, src, sizeof *src, cudaMemcpyDeviceToHost, cuda->stream), "downloading",
                   err) != 0)
        return -1;
    return cuda_check(cudaEventRecord(cuda->look_done, cuda->stream), "downloading", err);
}

int cuda_seen(struct device *dev, bool wait, double *value, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    cudaError_t status = wait ? cudaEventSynchronize(cuda->look_done) : cudaEventQuery(cuda->look_done);
    if (status == cudaErrorNotReady) {
        cudaGetLastError(); /* no error, and shall not be taken for one by the next launch */
        return 0;
    }
    if (cuda_check(status, "computing on the GPU", err) != 0)
        return -1;
    *value = *cuda->looked;
    return 1;
}

void *cuda_buffer_reserve(struct cuda_buffer *buffer, size_t bytes, struct err *err)
{
    if (buffer->at != NULL && bytes <= buffer->bytes)
        return buffer->at;
    cudaFree(buffer->at); /* waits: nothing uses it any more */
    buffer->at = allocate(bytes, err);
    buffer->moved++;
    buffer->bytes = buffer->at != NULL ? bytes : 0;
    return buffer->at;
}
