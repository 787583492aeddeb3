/* The cuda device: what is one call to a kernel or to cuBLAS, the table of
 * slots, and the way from a GPU to an open device. */
#include "device/cuda/cuda_device.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "dinf_revision.h"
#include "device/cuda/launch.h"
#include "device/host.h"

static cudaStream_t stream(struct device *dev)
{
    return cuda_of(dev)->stream;
}

/* -- layout and pooling -- */

static int channel_block(const struct device *dev, int c)
{
    (void)dev;
    return c;
}

static int pack(struct device *dev, const struct act_desc *d, const float *plain, void *act, struct err *err)
{
    return cuda_pack(stream(dev), d, plain, act, err);
}

static int max_pool_forward(struct device *dev, const struct act_desc *d, const void *x, void *y, int32_t *where,
                            struct err *err)
{
    return cuda_max_pool_forward(stream(dev), d, x, y, where, err);
}

static int max_pool_backward(struct device *dev, const struct act_desc *d, const void *dy, const void *dy2,
                             const int32_t *where, void *dx, struct err *err)
{
    return cuda_max_pool_backward(stream(dev), d, dy, dy2, where, dx, err);
}

static int avg_pool_forward(struct device *dev, const struct act_desc *d, const void *x, float *y, struct err *err)
{
    return cuda_avg_pool_forward(stream(dev), d, x, y, err);
}

static int avg_pool_backward(struct device *dev, const struct act_desc *d, const float *dy, void *dx, struct err *err)
{
    return cuda_avg_pool_backward(stream(dev), d, dy, dx, err);
}

/* -- batch norm -- */

struct batch_norm {
    struct cuda_device *cuda;
    struct batch_norm_desc d;
    size_t workspace;
};

static struct batch_norm *batch_norm_create(struct device *dev, const struct batch_norm_desc *d, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    if (host_check_batch_norm(d, err) != 0 ||
        cuda_buffer_reserve(&cuda->scratch, cuda_batch_norm_workspace(d), err) == NULL)
        return NULL;
    struct batch_norm *bn = mem_alloc(1, sizeof *bn, err);
    if (bn == NULL)
        return NULL;
    bn->cuda = cuda;
    bn->d = *d;
    bn->workspace = cuda_batch_norm_workspace(d);
    return bn;
}

static void batch_norm_destroy(struct batch_norm *bn)
{
    mem_free(bn);
}

static void *batch_norm_workspace(struct batch_norm *bn, struct err *err)
{
    return cuda_buffer_reserve(&bn->cuda->scratch, bn->workspace, err);
}

static cudaStream_t batch_norm_stream(const struct batch_norm *bn)
{
    return bn->cuda->stream;
}

#include "device/cuda/batch_norm_slots.h"

/* -- matrices -- */

/* cuBLAS counts columns first: row-major C = A B is C' = B' A'. */
int cuda_gemm(struct device *dev, const struct gemm *g, struct err *err)
{
    const cublasOperation_t left = g->b.trans == TRANS_YES ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t right = g->a.trans == TRANS_YES ? CUBLAS_OP_T : CUBLAS_OP_N;
    if (g->m == 0 || g->n == 0)
        return 0;
    const cublasComputeType_t compute =
        g->precision == PRECISION_FP32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    return cuda_check_cublas(cublasGemmEx(cuda_of(dev)->cublas, left, right, g->n, g->m, g->k, &g->alpha, g->b.at,
                                          CUDA_R_32F, g->b.ld, g->a.at, CUDA_R_32F, g->a.ld, &g->beta, g->c, CUDA_R_32F,
                                          g->ldc, compute, CUBLAS_GEMM_DEFAULT),
                             "product of matrices", err);
}

static void augment_needs(const struct device *dev, const struct augment_target *target, int n,
                          struct device_needs *needs)
{
    (void)dev;
    const size_t bytes = cuda_augment_workspace(target, n);
    needs->scratch = bytes > needs->scratch ? bytes : needs->scratch;
}

static int augment(struct device *dev, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views,
                   int n, const struct augment_target *target, void *out, struct err *err)
{
    (void)c; /* three, see augment_check */
    void *scratch = cuda_buffer_reserve(&cuda_of(dev)->scratch, cuda_augment_workspace(target, n), err);
    if (scratch == NULL)
        return -1;
    return cuda_augment(stream(dev), pixels, h, w, views, n, target, scratch, out, err);
}

/* -- what is written once for every device -- */

#define OP(class, name)                                                                                                \
    static int name(struct device *dev, const struct name *given, struct err *err)                                     \
    {                                                                                                                  \
        void *workspace = cuda_buffer_reserve(&cuda_of(dev)->scratch, CUDA_OP_WORKSPACE, err);                         \
        return workspace != NULL ? cuda_##name(stream(dev), given, workspace, err) : -1;                               \
    }
#include "device/ops.def"
#undef OP

/* -- opening and closing -- */

static void close_cuda(struct device *dev)
{
    struct cuda_device *cuda = cuda_of(dev);
    /* The libraries of a lost GPU are left alone: the process ends, and shall not hang first. */
    const bool lost = cuda->stream != NULL && cudaStreamSynchronize(cuda->stream) != cudaSuccess;
    cuda_memory_fini(cuda);
    cuda_choices_destroy(cuda->choices);
    if (cuda->cusolver != NULL && !lost)
        cusolverDnDestroy(cuda->cusolver);
    if (cuda->cublas_lt != NULL && !lost)
        cublasLtDestroy(cuda->cublas_lt);
    if (cuda->cublas != NULL && !lost)
        cublasDestroy(cuda->cublas);
    cudaFree(cuda->blas_workspace);
    if (cuda->cudnn != NULL && !lost)
        cudnnDestroy(cuda->cudnn);
    if (cuda->stream != NULL)
        cudaStreamDestroy(cuda->stream);
    mem_free(cuda);
}

static const struct device_ops ops = {
    .name = "cuda",
    .alloc = cuda_alloc,
    .free = cuda_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .copy = cuda_copy,
    .sync = cuda_sync,
    .memory = cuda_memory_left,
    .look = cuda_look,
    .seen = cuda_seen,
    .recording = &cuda_recording,
    .channel_block = channel_block,
    .pack = pack,
    .conv_create = cuda_conv_create,
    .conv_destroy = cuda_conv_destroy,
    .conv_needs = cuda_conv_needs,
    .conv_weight_bytes = cuda_conv_weight_bytes,
    .conv_weight_pack = cuda_conv_weight_pack,
    .conv_weight_unpack = cuda_conv_weight_unpack,
    .conv_forward = cuda_conv_forward,
    .conv_backward_data = cuda_conv_backward_data,
    .conv_backward_weight = cuda_conv_backward_weight,
    .batch_norm_create = batch_norm_create,
    .batch_norm_destroy = batch_norm_destroy,
    .batch_norm_rounds = batch_norm_rounds,
    .batch_norm_moments = batch_norm_moments,
    .batch_norm_finish = batch_norm_finish,
    .batch_norm_apply = batch_norm_apply,
    .batch_norm_infer = batch_norm_infer,
    .batch_norm_products = batch_norm_products,
    .batch_norm_finish_backward = batch_norm_finish_backward,
    .batch_norm_input_gradient = batch_norm_input_gradient,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .avg_pool_forward = avg_pool_forward,
    .avg_pool_backward = avg_pool_backward,
    .gemm = cuda_gemm,
    .linear = cuda_linear,
#define OP(class, name) .name = name,
#include "device/ops.def"
#undef OP
    .augment = augment,
    .augment_needs = augment_needs,
    .linalg = &cuda_linalg,
    .close = close_cuda,
};

static int ask_count(int *n, struct err *err)
{
    if (cuda_check(cudaGetDeviceCount(n), "looking for a GPU", err) != 0)
        return -1;
    return *n < 1 ? cuda_check(cudaErrorNoDevice, "looking for a GPU", err) : 0;
}

static int check_architecture(int index, struct err *err)
{
    int major = 0, minor = 0;

    if (cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index), "asking the GPU", err) ||
        cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index), "asking the GPU", err))
        return -1;
    if (major < 8)
        return err_set(err, "the GPU's architecture %d.%d is not supported; 8.0 (A100) is the oldest", major, minor);
    return 0;
}

/* The first one stands for all. */
static int available(struct err *err)
{
    int n = 0;
    return ask_count(&n, err) == 0 ? check_architecture(0, err) : -1;
}

static int start(struct cuda_device *cuda, const struct device_options *options, struct err *err)
{
    const char *what = "starting the GPU";
    int n = 0;

    /* Whoever waits sleeps: with several ranks on a GPU there are fewer cores than waiters. */
    if (ask_count(&n, err) != 0)
        return -1;
    cuda->index = options->local_rank % n;
    if (check_architecture(cuda->index, err) != 0 ||
        cuda_check(cudaInitDevice(cuda->index, cudaDeviceScheduleBlockingSync, cudaInitDeviceFlagsAreValid), what,
                   err) != 0 ||
        cuda_check(cudaSetDevice(cuda->index), what, err) != 0 ||
        cuda_check(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking), what, err) != 0 ||
        cuda_check_cudnn(cudnnCreate(&cuda->cudnn), what, err) != 0 ||
        cuda_check_cudnn(cudnnSetStream(cuda->cudnn, cuda->stream), what, err) != 0 ||
        cuda_check_cublas(cublasCreate(&cuda->cublas), what, err) != 0 ||
        cuda_check_cublas(cublasSetStream(cuda->cublas, cuda->stream), what, err) != 0 ||
        cuda_check(cudaMalloc(&cuda->blas_workspace, CUDA_BLAS_WORKSPACE), what, err) != 0 ||
        cuda_check_cublas(cublasSetWorkspace(cuda->cublas, cuda->blas_workspace, CUDA_BLAS_WORKSPACE), what, err) !=
            0 ||
        cuda_check_cublas(cublasLtCreate(&cuda->cublas_lt), what, err) != 0)
        return -1;
    cuda->choices = cuda_choices_create(options->choices, err);
    return cuda->choices != NULL ? cuda_memory_init(cuda, err) : -1;
}

static void version(int packed, int thousands, char *out, size_t size)
{
    snprintf(out, size, "%d.%d", packed / thousands, packed % thousands / (thousands / 100));
}

static int describe(struct cuda_device *cuda, struct err *err)
{
    struct cudaDeviceProp p;
    char pci[20] = "", part[20] = "", runtime[16], cudnn[24];
    int number = 0;

    if (cuda_check(cudaGetDeviceProperties(&p, cuda->index), "asking the GPU", err) != 0 ||
        cuda_check(cudaDeviceGetPCIBusId(pci, sizeof pci, cuda->index), "asking the GPU", err) != 0 ||
        cuda_check(cudaRuntimeGetVersion(&number), "asking the GPU", err) != 0)
        return -1;
    version(number, 1000, runtime, sizeof runtime);
    version((int)cudnnGetVersion(), 10000, cudnn, sizeof cudnn);
    snprintf(cuda->model, sizeof cuda->model, "%.64s cuDNN %zu", p.name, cudnnGetVersion());
    if (strstr(p.name, " MIG ") != NULL) /* parts of one GPU have its PCI id */
        snprintf(part, sizeof part, ", part %02x%02x%02x%02x", (unsigned char)p.uuid.bytes[0],
                 (unsigned char)p.uuid.bytes[1], (unsigned char)p.uuid.bytes[2], (unsigned char)p.uuid.bytes[3]);
    snprintf(cuda->base.description, sizeof cuda->base.description, "%.48s, PCI %s%s, CUDA %s, cuDNN %s", p.name, pci,
             part, runtime, cudnn);
    return 0;
}

static struct device *open_cuda(const struct device_options *options, struct err *err)
{
    struct cuda_device *cuda = mem_alloc(1, sizeof *cuda, err);

    if (cuda == NULL)
        return NULL;
    cuda->ops = ops;
    if (options->unrecorded)
        cuda->ops.recording = NULL;
    cuda->base.ops = &cuda->ops;
    cuda->base.threads = options->threads;
    if (start(cuda, options, err) != 0 || describe(cuda, err) != 0) {
        close_cuda(&cuda->base);
        return NULL;
    }
    return &cuda->base;
}

static int libraries(struct library *out, int max)
{
    int n = 0, runtime = 0, parts[3] = { 0 };

    if (n < max && cudaRuntimeGetVersion(&runtime) == cudaSuccess) {
        out[n].name = "cuda";
        version(runtime, 1000, out[n].version, sizeof out[n].version);
        n++;
    }
    if (n < max) {
        int all = (int)cudnnGetVersion(); /* 91900 */
        out[n].name = "cudnn";
        snprintf(out[n].version, sizeof out[n].version, "%d.%d.%d", all / 10000, all / 100 % 100, all % 100);
        n++;
    }
    if (n < max && cublasGetProperty(MAJOR_VERSION, &parts[0]) == CUBLAS_STATUS_SUCCESS &&
        cublasGetProperty(MINOR_VERSION, &parts[1]) == CUBLAS_STATUS_SUCCESS &&
        cublasGetProperty(PATCH_LEVEL, &parts[2]) == CUBLAS_STATUS_SUCCESS) {
        out[n].name = "cublas";
        snprintf(out[n].version, sizeof out[n].version, "%d.%d.%d", parts[0], parts[1], parts[2]);
        n++;
    }
    if (n < max && cusolverGetProperty(MAJOR_VERSION, &parts[0]) == CUSOLVER_STATUS_SUCCESS &&
        cusolverGetProperty(MINOR_VERSION, &parts[1]) == CUSOLVER_STATUS_SUCCESS &&
        cusolverGetProperty(PATCH_LEVEL, &parts[2]) == CUSOLVER_STATUS_SUCCESS) {
        out[n].name = "cusolver";
        snprintf(out[n].version, sizeof out[n].version, "%d.%d.%d", parts[0], parts[1], parts[2]);
        n++;
    }
    return n;
}

static int count_gpus(void)
{
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

/* What the library is loaded for, see device/cuda_library.c. */
extern const struct device_kind dinf_cuda_device;

__attribute__((visibility("default"))) const struct device_kind dinf_cuda_device = {
    .revision = DINF_REVISION,
    .name = "cuda",
    .help = "cuDNN, cuBLAS and own kernels on an NVIDIA GPU",
    .available = available,
    .open = open_cuda,
    .libraries = libraries,
    .precisions = 1 << PRECISION_FP32 | 1 << PRECISION_TF32 | 1 << PRECISION_BF16,
    .count = count_gpus,
};
