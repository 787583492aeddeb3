/* Inside the cuda device: one GPU, one stream, cuDNN, cuBLAS and cuSOLVER bound
 * to it. All work is queued on the stream; what needs an answer (download)
 * waits for it. Slots are grouped as in the cpu device, one file a theme; the
 * kernels of this project are behind launch.h. */
#ifndef DINF_DEVICE_CUDA_DEVICE_H
#define DINF_DEVICE_CUDA_DEVICE_H

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <cusolverDn.h>

#include "device/device.h"
#include "device/linalg.h"

/* Memory on the GPU that grows to the largest request and is shared by
 * everything on the stream: contents do not outlive the call that asked. */
struct cuda_buffer {
    void *at;
    size_t bytes;
    unsigned moved; /* how often it has got another address */
};

/* Page-locked memory that uploads go through, so that the caller's array is free
 * again at once and the stream need not be waited for: a ring, whose length bounds
 * how far the host runs ahead. Each grows to what it is asked for, up to the size of
 * what a step sends; what is larger comes once and is waited for. */
enum { CUDA_STAGES = 4, CUDA_STAGE_BYTES = 1 << 20, CUDA_STAGE_BYTES_MAX = 8 << 20 };

struct cuda_stage {
    void *host;
    size_t bytes;
    cudaEvent_t copied; /* the GPU has read it */
};

enum { CUDA_BLAS_WORKSPACE = 32 << 20 };

struct cuda_choices;

struct cuda_device {
    struct device base;
    struct device_ops ops; /* base.ops: the table, without recordings if the environment says so */
    int index;             /* among the visible GPUs */
    char model[96];        /* what choices of algorithms hold for: the GPU's name and cuDNN's version */
    cudaStream_t stream;
    cudnnHandle_t cudnn;
    cublasHandle_t cublas;
    cublasLtHandle_t cublas_lt;
    void *blas_workspace;         /* CUDA_BLAS_WORKSPACE bytes: always the same, so that a recording may use it */
    cusolverDnHandle_t cusolver;  /* NULL until a factorisation asks: trainings never do */
    struct cuda_buffer workspace; /* of cuDNN */
    struct cuda_buffer scratch;   /* of slots: temporaries of one call */
    struct cuda_stage stage[CUDA_STAGES];
    int next_stage;
    double *looked; /* page-locked: what `look` asked for */
    cudaEvent_t look_done;
    struct cuda_choices *choices;
};

static inline struct cuda_device *cuda_of(struct device *dev)
{
    return (struct cuda_device *)dev;
}

/* -- cuda_error.c: 0, or -1 and one sentence. `what`: "uploading", say. -- */
int cuda_check(cudaError_t status, const char *what, struct err *err);
int cuda_check_cudnn(cudnnStatus_t status, const char *what, struct err *err);
int cuda_check_cublas(cublasStatus_t status, const char *what, struct err *err);
int cuda_check_cusolver(cusolverStatus_t status, const char *what, struct err *err);

/* -- cuda_memory.c -- */
int cuda_memory_init(struct cuda_device *cuda, struct err *err);
void cuda_memory_fini(struct cuda_device *cuda);
void *cuda_alloc(struct device *dev, size_t bytes, struct err *err);
void cuda_free(struct device *dev, void *p);
int cuda_upload(struct device *dev, void *dst, const void *host, size_t bytes, struct err *err);
int cuda_download(struct device *dev, void *host, const void *src, size_t bytes, struct err *err);
int cuda_copy(struct device *dev, void *dst, const void *src, size_t bytes, struct err *err);
int cuda_zero(struct device *dev, void *dst, size_t bytes, struct err *err);
int cuda_sync(struct device *dev, struct err *err);
int cuda_memory_left(struct device *dev, size_t *free, size_t *total, struct err *err);
int cuda_look(struct device *dev, const double *src, struct err *err);
int cuda_seen(struct device *dev, bool wait, double *value, struct err *err);
/* At least `bytes` bytes, with what was there before or not; NULL and a message.
 * bytes = 0 is answered with a valid pointer. */
void *cuda_buffer_reserve(struct cuda_buffer *buffer, size_t bytes, struct err *err);

/* Parts of one reservation: offsets that keep every part aligned. */
static inline size_t cuda_part(size_t *total, size_t bytes)
{
    size_t at = *total;
    *total += (bytes + 255) / 256 * 256;
    return at;
}

/* -- cuda_choices.c: what was once measured to be the fastest -- */
enum { CUDA_KEY_MAX = 256, CUDA_CHOICE_MAX = 256 }; /* bytes, with the 0 */

/* `path` (NULL: none) is a file that keeps choices from run to run, because
 * another algorithm rounds otherwise; it is read here. */
struct cuda_choices *cuda_choices_create(const char *path, struct err *err);
void cuda_choices_destroy(struct cuda_choices *choices);
/* Copies the choice for `key` (one line of text, as keys are; `size` bytes fit). */
bool cuda_choices_find(struct cuda_choices *choices, const char *key, char *choice, size_t size);
/* Keeps `choice` for `key`, or, if another process was first to write one into the
 * file, replaces `choice` by that one. */
int cuda_choices_keep(struct cuda_choices *choices, const char *key, char *choice, size_t size, struct err *err);

/* -- cuda_conv.c -- */
struct conv *cuda_conv_create(struct device *dev, const struct conv_desc *d, struct err *err);
void cuda_conv_destroy(struct conv *conv);
void cuda_conv_needs(const struct device *dev, const struct conv_desc *d, struct device_needs *needs);
size_t cuda_conv_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel);
int cuda_conv_weight_pack(struct device *dev, int c_out, int c_in, int kernel, const float *oihw, float *packed,
                          struct err *err);
int cuda_conv_weight_unpack(struct device *dev, int c_out, int c_in, int kernel, const float *packed, float *oihw,
                            struct err *err);
int cuda_conv_forward(struct conv *conv, const void *x, const float *weight, const float *bias, const void *residual,
                      void *y, struct err *err);
int cuda_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx, struct err *err);
int cuda_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight, struct err *err);

/* -- cuda.c: the slots -- */
int cuda_gemm(struct device *dev, const struct gemm *g, struct err *err);

/* -- cuda_linear.c -- */
int cuda_linear(struct device *dev, const struct linear *l, struct err *err);

/* -- cuda_recording.c -- */
extern const struct device_recording cuda_recording;

/* -- cuda_linalg.c -- */
extern const struct device_linalg cuda_linalg;
int cuda_dgemm(struct device *dev, enum trans ta, enum trans tb, int m, int n, int k, double alpha, const double *a,
               int lda, const double *b, int ldb, double beta, double *c, int ldc, struct err *err);
int cuda_dsyrk(struct device *dev, int n, int d, double alpha, const double *a, int lda, double beta, double *c,
               int ldc, struct err *err);

/* -- cuda_passes.c: the passes over rows of device/linalg.h -- */
int cuda_nearest_rows(struct device *dev, int64_t n, int d, const double *x, int64_t *index, double *distance,
                      struct err *err);
int cuda_gmm_diag_pass(struct device *dev, int64_t n, int d, int k, const double *x, const double *precision,
                       const double *linear, const double *offset, double *loglik, double *count, double *sum,
                       double *sum_square, struct err *err);
int cuda_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                          const double *centre, const double *offset, double *loglik, double *resp, struct err *err);
int cuda_weighted_scatter(struct device *dev, int64_t n, int d, const double *x, const double *weight, int stride,
                          const double *centre, double *scatter, struct err *err);

#endif
