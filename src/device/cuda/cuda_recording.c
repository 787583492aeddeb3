/* A training step as one launch: what was queued between begin and end becomes a
 * CUDA graph. Its nodes hold addresses, those of the shared buffers too, which
 * therefore must not move while a recording is in use. */
#include "device/cuda/cuda_device.h"

#include "base/mem.h"

struct recording {
    struct cuda_device *cuda;
    cudaGraphExec_t graph;
    unsigned workspace_moved, scratch_moved; /* as they were */
};

static int begin(struct device *dev, struct err *err)
{
    return cuda_check(cudaStreamBeginCapture(cuda_of(dev)->stream, cudaStreamCaptureModeThreadLocal),
                      "recording a step", err);
}

static void destroy(struct recording *r)
{
    if (r == NULL)
        return;
    if (r->graph != NULL)
        cudaGraphExecDestroy(r->graph);
    mem_free(r);
}

static struct recording *end(struct device *dev, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    cudaGraph_t captured = NULL;
    struct recording *r = NULL;

    if (cuda_check(cudaStreamEndCapture(cuda->stream, &captured), "recording a step", err) != 0)
        goto out;
    r = mem_alloc(1, sizeof *r, err);
    if (r == NULL)
        goto out;
    r->cuda = cuda;
    r->workspace_moved = cuda->workspace.moved;
    r->scratch_moved = cuda->scratch.moved;
    if (cuda_check(cudaGraphInstantiate(&r->graph, captured, 0), "preparing a recorded step", err) != 0) {
        destroy(r);
        r = NULL;
    }
out:
    if (captured != NULL)
        cudaGraphDestroy(captured);
    return r;
}

static int replay(struct recording *r, struct err *err)
{
    if (r->workspace_moved != r->cuda->workspace.moved || r->scratch_moved != r->cuda->scratch.moved)
        return err_set(err, "a recorded step is out of date: working memory has moved since");
    return cuda_check(cudaGraphLaunch(r->graph, r->cuda->stream), "running a recorded step", err);
}

const struct device_recording cuda_recording = { .begin = begin, .end = end, .replay = replay, .destroy = destroy };
