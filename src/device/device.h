/* The one interface to compute: every network operation, loss and optimiser
 * kernel that the rest of dinf uses. Three implementations: ref (naive C, the
 * oracle), cpu (oneDNN, OpenBLAS, OpenMP), cuda (cuDNN, cuBLAS, own kernels).
 *
 * Memory. Pointers handed to slots are device memory from `alloc` unless the
 * slot says host. On ref and cpu device memory is host memory.
 *
 * Activations (images), `void *` here, are of their descriptor's precision, in the layout
 *     [n][ceil(c / B)][h][w][B],   B = channel_block(dev, c),
 * B = 1 is NCHW (ref), B = c is NHWC (cuda), B = 16 or 8 is oneDNN's blocked
 * layout (cpu). Channels beyond c in the last block are zero and stay zero.
 * "Plain" means row-major floats without blocks. Weights, their gradients,
 * statistics and everything plain are float whatever the precision.
 *
 * Operations that depend on shapes are planned once (`*_create` from a
 * descriptor: the device picks algorithm and workspace and may refuse, with a
 * message) and then run many times. Slots return 0 or -1 with a message. Every
 * device fills every slot but those that say that they may be NULL.
 *
 * Determinism: on one device with one number of threads, equal inputs give
 * equal bits. */
#ifndef DINF_DEVICE_DEVICE_H
#define DINF_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/version.h"

struct device;
struct device_linalg; /* device/linalg.h: double-precision linear algebra for stats */
struct conv;          /* private to the device */
struct batch_norm;
struct recording;
struct augment_view; /* device/augment_body.h */
struct augment_target;

enum precision {
    PRECISION_FP32, /* the only one that every device has */
    PRECISION_TF32, /* convolutions and products of matrices round their factors to 10 bits */
    PRECISION_BF16, /* the same, and activations with their gradients are bfloat16 */
};
/* Of one element of an activation. */
static inline size_t precision_bytes(enum precision precision)
{
    return precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float);
}
extern const char *const precision_names[]; /* in this order; NULL-terminated */

/* Where y = the sum over inputs; see conv_create. */
enum conv_epilogue {
    CONV_PLAIN,         /* y = conv(x) */
    CONV_BIAS,          /* y = conv(x) + bias            (inference, folded batch norm) */
    CONV_BIAS_RELU,     /* y = relu(conv(x) + bias) */
    CONV_BIAS_ADD_RELU, /* y = relu(conv(x) + bias + residual) */
};

/* n images of c channels, as an activation. */
struct act_desc {
    int n, c, h, w;
    enum precision precision;
};

struct conv_desc {
    int n, c_in, h, w; /* input */
    int c_out;
    int kernel, stride, padding; /* square; no bias in training, dilation 1, groups 1 */
    enum conv_epilogue epilogue;
    enum precision precision;
    bool training;       /* backward_* will be called */
    bool input_gradient; /* backward_data will be called */
};
/* Output size: (h + 2 padding - kernel) / stride + 1. */

struct batch_norm_desc {
    int n, c, h, w;
    int groups; /* the images are so many equal runs, each with statistics of its own; 0: one */
    enum precision precision;
    bool relu;                /* y = relu(bn(x) [+ residual]) */
    bool add;                 /* a residual is added before the relu */
    double epsilon, momentum; /* PyTorch's: running = (1 - momentum) running + momentum batch */
};

static inline int batch_norm_groups(const struct batch_norm_desc *d)
{
    return d->groups > 1 ? d->groups : 1;
}

/* What the gradient through a batch norm is made of, and what it becomes. */
struct batch_norm_backward {
    const void *x, *y;                    /* as forward had and left them */
    const void *dy, *dy2;                 /* the gradient at y is their sum; dy2 may be NULL */
    const float *gamma, *beta;            /* (c), forward's: where there is no residual, they and x tell the ReLU's
                                             side too, so that a device need not read y */
    const float *save_mean, *save_invstd; /* (groups, c) */
    void *dx, *dresidual;                 /* dx may be dy; dresidual if `add`: the masked gradient */
    float *dgamma, *dbeta;                /* (c) */
};

enum trans { TRANS_NO, TRANS_YES };

/* One side of a product: a row-major matrix, or its transpose. */
struct factor {
    const float *at;
    int ld; /* leading dimension, as stored */
    enum trans trans;
};

/* C (m, n) = alpha op(A) op(B) + beta C; row-major; beta = 0 overwrites whatever was there. */
struct gemm {
    enum precision precision; /* of the factors: fp32 or coarser */
    int m, n, k;
    float alpha;
    struct factor a, b;
    float beta;
    float *c;
    int ldc;
};

/* y (n, out) = x (n, in) weight (out, in)^T + bias (out), then relu if asked */
struct linear {
    enum precision precision;
    int n, out, in;
    const float *x, *weight, *bias;
    bool relu;
    float *y;
};

#include "device/every_op.h"

/* Device memory beside what is allocated by `alloc`, in bytes: buffers that all calls
 * of a device share, each as large as the largest request. */
struct device_needs {
    size_t workspace; /* of the libraries */
    size_t scratch;   /* of the device's own code */
};

struct device_ops {
    const char *name;

    /* -- memory: zeroed; 64-byte aligned; host pointers are plain memory -- */
    void *(*alloc)(struct device *, size_t bytes, struct err *);
    void (*free)(struct device *, void *);
    int (*upload)(struct device *, void *dst, const void *host, size_t bytes, struct err *);
    int (*download)(struct device *, void *host, const void *src, size_t bytes, struct err *);
    int (*copy)(struct device *, void *dst, const void *src, size_t bytes, struct err *);
    int (*sync)(struct device *, struct err *); /* waits; reports errors of earlier calls */
    /* `upload` of at most some MiB and everything that computes may be queued; the
     * host's array is free again when upload returns. */
    /* Free and total memory in bytes; SIZE_MAX both where it is the host's. */
    int (*memory)(struct device *, size_t *free, size_t *total, struct err *);
    /* A look at one double without waiting: `look` asks for its value as of the
     * work queued so far; `seen` gives 1 and the value, 0 if it is not there yet
     * (never if `wait`), or -1. One question at a time. */
    int (*look)(struct device *, const double *src, struct err *);
    int (*seen)(struct device *, bool wait, double *value, struct err *);

    /* -- a sequence of calls recorded once and replayed as one; NULL: it would
     *    gain nothing here -- */
    const struct device_recording *recording;

    /* -- layout -- */
    int (*channel_block)(const struct device *, int c);
    /* plain (n, c, h, w) -> activation layout */
    int (*pack)(struct device *, const struct act_desc *, const float *plain, void *act, struct err *);

    /* -- convolution. Weights live in the device's own packed form of
     *    conv_weight_bytes bytes, elementwise compatible with gradients and
     *    optimiser state (padding is zero and its gradient is zero); the packed
     *    form of one (c_out, c_in, kernel) is the same for every n, h, w. -- */
    struct conv *(*conv_create)(struct device *, const struct conv_desc *, struct err *);
    void (*conv_destroy)(struct conv *);
    /* Raises *needs to what the convolution's calls may take besides their operands */
    void (*conv_needs)(const struct device *, const struct conv_desc *, struct device_needs *needs);
    size_t (*conv_weight_bytes)(const struct device *, int c_out, int c_in, int kernel);
    int (*conv_weight_pack)(struct device *, int c_out, int c_in, int kernel, const float *oihw /* host */,
                            float *packed, struct err *);
    int (*conv_weight_unpack)(struct device *, int c_out, int c_in, int kernel, const float *packed,
                              float *oihw /* host */, struct err *);
    /* bias (c_out) and residual (like y) only where the epilogue has them, else NULL */
    int (*conv_forward)(struct conv *, const void *x, const float *weight, const float *bias, const void *residual,
                        void *y, struct err *);
    int (*conv_backward_data)(struct conv *, const void *dy, const float *weight, void *dx, struct err *);
    int (*conv_backward_weight)(struct conv *, const void *x, const void *dy, float *dweight, struct err *);

    /* -- batch norm (+ add)(+ relu). Biased variance normalises, unbiased goes into the running variance, as
     *    PyTorch. Three steps forward and three backward, so that between the first and the second several ranks
     *    with equally many images can put one another's results behind their own: `results` (ranks, groups, 2, c) are
     *    doubles in device memory, this rank's the block `rank`. The channels are worked off in `rounds`, which a
     *    device chooses so that the second pass finds in its cache what the first has read: a round's three steps may
     *    run before the next round's. -- */
    struct batch_norm *(*batch_norm_create)(struct device *, const struct batch_norm_desc *, struct err *);
    void (*batch_norm_destroy)(struct batch_norm *);
    int (*batch_norm_rounds)(const struct batch_norm *);
    /* Of every channel. What results hold between the steps is the device's own affair. */
    int (*batch_norm_moments)(struct batch_norm *, int round, const void *x, double *own, struct err *);
    /* The first block becomes what `apply` takes, over all ranks. running_* (c) are updated group by
     * group; save_* (groups, c) are for backward. */
    int (*batch_norm_finish)(struct batch_norm *, int round, int ranks, double *results, float *running_mean,
                             float *running_var, float *save_mean, float *save_invstd, struct err *);
    /* residual NULL unless add */
    int (*batch_norm_apply)(struct batch_norm *, int round, const void *x, const void *residual, const float *gamma,
                            const float *beta, const double *results, void *y, struct err *);
    int (*batch_norm_infer)(struct batch_norm *, const void *x, const void *residual, const float *gamma,
                            const float *beta, const float *running_mean, const float *running_var, void *y,
                            struct err *);
    /* Of every channel: of the gradient behind the ReLU, and of it with the deviation from the mean. */
    int (*batch_norm_products)(struct batch_norm *, int round, const struct batch_norm_backward *, double *own,
                               struct err *);
    /* dgamma and dbeta, of this rank's images; the first block becomes what dx is made of. */
    int (*batch_norm_finish_backward)(struct batch_norm *, int round, int ranks, int rank,
                                      const struct batch_norm_backward *, double *results, struct err *);
    int (*batch_norm_input_gradient)(struct batch_norm *, int round, const struct batch_norm_backward *,
                                     const double *results, struct err *);

    /* -- pooling; `in` describes x. max: kernel 3, stride 2, padding 1 (ImageNet
     *    stem); `where` has as many int32 as y. avg: global, y plain (n, c). -- */
    int (*max_pool_forward)(struct device *, const struct act_desc *in, const void *x, void *y, int32_t *where,
                            struct err *);
    int (*max_pool_backward)(struct device *, const struct act_desc *in, const void *dy, const void *dy2,
                             const int32_t *where, void *dx, struct err *);
    int (*avg_pool_forward)(struct device *, const struct act_desc *in, const void *x, float *y, struct err *);
    int (*avg_pool_backward)(struct device *, const struct act_desc *in, const float *dy, void *dx, struct err *);

    /* -- products of matrices -- */
    int (*gemm)(struct device *, const struct gemm *, struct err *);
    int (*linear)(struct device *, const struct linear *, struct err *);

    /* -- what is written once for every device: its rows and columns, sums and elements. Each may be NULL: who needs
     *    one asks device_lacks before there is work. -- */
#define OP(class, name) int (*name)(struct device *, const struct name *, struct err *);
#include "device/ops.def"
#undef OP

    /* -- augmentation: view i of `views` (device memory, checked by augment_check)
     *    reads image views[i].image of `pixels` (uint8, plain (count, c, h, w),
     *    device memory) and writes row i of out (n, c, target->h, target->w) in
     *    activation layout, normalised by the target's mean and std. -- */
    int (*augment)(struct device *, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views, int n,
                   const struct augment_target *target, void *out, struct err *);
    /* As conv_needs, for n views */
    void (*augment_needs)(const struct device *, const struct augment_target *target, int n,
                          struct device_needs *needs);

    const struct device_linalg *linalg;
    void (*close)(struct device *);
};

/* Between begin and end nothing runs and nothing may wait, allocate or fail for
 * reasons of the data: uploads, downloads, looks and plans stay outside. What was
 * queued in between must have run once before, so that all is loaded and has its
 * memory. A replay repeats it on the same addresses. */
struct device_recording {
    int (*begin)(struct device *, struct err *);
    struct recording *(*end)(struct device *, struct err *); /* also after a failure in between: then NULL */
    int (*replay)(struct recording *, struct err *);
    void (*destroy)(struct recording *);
};

/* Every device begins with this; the rest is its own. */
struct device {
    const struct device_ops *ops;
    unsigned precisions; /* bit p: it has enum precision p */
    int threads;
    double looked;         /* devices on the host: what `look` saw */
    char description[128]; /* "AMD EPYC, 2 threads, oneDNN 2.6.3", for provenance */
};

/* How a device is opened. */
struct device_options {
    int threads;         /* at least 1 */
    int local_rank;      /* which of this machine's processes this one is: it takes GPU rank modulo the visible ones */
    const char *choices; /* file that keeps the choices of algorithms of a run; NULL: none; copied */
    bool unrecorded;     /* steps are queued call by call, for finding faults: `recording` is NULL */
};

/* One row of devices.def. */
struct device_kind {
    /* First, so that it can be read whatever else changes: what a loaded library was built from; NULL: linked in. */
    const char *revision;
    const char *name, *help;
    /* 0: usable here; -1 and why not */
    int (*available)(struct err *);
    struct device *(*open)(const struct device_options *, struct err *);
    /* Fills at most `max`, returns how many; NULL: no library but C's */
    int (*libraries)(struct library *out, int max);
    unsigned precisions; /* bit p: it has enum precision p */
    int (*count)(void);  /* how many of it this process sees; NULL: it is the machine's one */
};

extern const struct device_kind *const device_kinds[]; /* NULL-terminated */

/* name: a row's, or "auto" (the fastest that is available). */
struct device *device_open_with(const char *name, const struct device_options *options, struct err *err);
/* With what whoever started this process has set: DINF_LOCAL_RANK (0), DINF_CUDA_CHOICES (none), DINF_CUDA_GRAPHS (0 is
 * `unrecorded`). -1: a rank that is no number. */
int device_options_read(int threads, struct device_options *options, struct err *err);
/* Both in one. */
struct device *device_open(const char *name, int threads, struct err *err);
/* 0 if a device of this name exists and can be used here. */
int device_check(const char *name, struct err *err);
/* Whether the device of this name has the precision of that name. */
bool device_has_precision(const char *name, const char *precision);
/* -1 and a sentence if the open device lacks the precision. */
int device_supports(const struct device *dev, enum precision precision, struct err *err);
/* The first of the operations of ops.def named in `wanted` (ended by NULL) that the device has not; NULL: it has all.
 */
const char *device_lacks(const struct device *dev, const char *const *wanted);
/* GPUs that this process sees, if the device of this name is one; else 0. */
int device_gpus(const char *name);
void device_close(struct device *dev);

/* -1 and a sentence unless all n views (host) are inside images of c channels and
 * h x w pixels: what the augment slot relies on. */
int augment_check(int c, int h, int w, const struct augment_view *views, int n, struct err *err);

/* The device that "auto" takes here; `why`: the faster ones that cannot be used and
 * what they lack ("" if there is none). */
const char *device_auto(char *why, size_t size);

/* The libraries of all devices: fills at most `max`, returns how many. */
int device_libraries(struct library *out, int max);

#endif
