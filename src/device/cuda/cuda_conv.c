/* Convolutions by cuDNN: activations NHWC, weights KRSC (c_out, kernel, kernel,
 * c_in), what the tensor cores read without a transposition. These want a multiple
 * of some channels in an input: where it has others (an image has three), cuDNN
 * works on copies with zeros behind them.
 *
 * In bf16 the weights, which are float, are rounded for every product, and what
 * cuDNN leaves of their gradient becomes float again.
 *
 * Each product runs by the fastest of the plans that cuDNN proposes (conv_plan.h),
 * measured when the convolution is created. Bias, residual and ReLU follow in one
 * pass of our own. */
#include "device/cuda/conv_plan.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/launch.h"
#include "device/host.h"

enum { PLANS = 12, SAMPLES = 3, RUNS = 4 }; /* measured for a product; of each, and runs in a sample */

static const char *const pass_names[CONV_PASSES] = { "forward", "backward_data", "backward_weight" };

struct conv {
    struct cuda_device *cuda;
    struct conv_desc d;
    int oh, ow;
    int c_in;             /* as cuDNN sees it: d.c_in, or more */
    size_t at_x, scratch; /* copies: of the weights, then of x; bytes of both */
    struct conv_plan plan[CONV_PASSES];
};

/* Memory to measure in. It holds noise: a GPU draws less power for zeros and is faster then. */
struct trial {
    void *x, *w, *y;
    struct cuda_buffer workspace;
    cudaEvent_t begin, end;
};

/* Pixels of x and y; rows of c_in weights. */
static size_t rows_x(const struct conv *v)
{
    return (size_t)v->d.n * v->d.h * v->d.w;
}

static size_t rows_y(const struct conv *v)
{
    return (size_t)v->d.n * v->oh * v->ow;
}

static size_t rows_w(const struct conv *v)
{
    return (size_t)v->d.c_out * v->d.kernel * v->d.kernel;
}

static bool wider(const struct conv *v)
{
    return v->c_in != v->d.c_in;
}

/* A convolution with its shapes and layout, and nothing to run it with. */
static struct conv laid_out(const struct conv_desc *d)
{
    struct conv v = { .d = *d,
                      .oh = host_conv_out(d, d->h),
                      .ow = host_conv_out(d, d->w),
                      .c_in = conv_channels(d->precision, d->c_in) };
    cuda_part(&v.scratch, rows_w(&v) * v.c_in * precision_bytes(d->precision));
    v.at_x = cuda_part(&v.scratch, wider(&v) ? rows_x(&v) * v.c_in * precision_bytes(d->precision) : 0);
    return v;
}

/* In fp32 most plans work on copies in another order, so that what a plan may take
 * follows from its operands; a small convolution shall not take what a large one may. */
static size_t workspace_max(const struct conv *v)
{
    return ((size_t)64 << 20) + 2 * (rows_x(v) * v->c_in + rows_y(v) * v->d.c_out) * precision_bytes(v->d.precision);
}

void cuda_conv_needs(const struct device *dev, const struct conv_desc *d, struct device_needs *needs)
{
    (void)dev;
    const struct conv v = laid_out(d);
    const size_t workspace = workspace_max(&v);
    needs->workspace = workspace > needs->workspace ? workspace : needs->workspace;
    needs->scratch = v.scratch > needs->scratch ? v.scratch : needs->scratch;
}

static void trial_fini(struct cuda_device *cuda, struct trial *t)
{
    cuda_free(&cuda->base, t->x);
    cuda_free(&cuda->base, t->w);
    cuda_free(&cuda->base, t->y);
    cuda_free(&cuda->base, t->workspace.at);
    if (t->begin != NULL)
        cudaEventDestroy(t->begin);
    if (t->end != NULL)
        cudaEventDestroy(t->end);
}

/* Fills memory with numbers between 2^-7 and 2 of either sign, whether it is read as float or as bf16. */
static int fill_noise(struct cuda_device *cuda, void *memory, size_t bytes, struct err *err)
{
    uint32_t noise[4096]; /* a multiple of a block of numbers */
    size_t done = bytes < sizeof noise ? bytes : sizeof noise;

    for (uint32_t i = 0; i < sizeof noise / sizeof *noise; i++)
        noise[i] = (philox4x32(i / 4, 0, 0, 0, 0, 0).v[i % 4] & 0x83ff83ffu) | 0x3c003c00u;
    if (cuda_upload(&cuda->base, memory, noise, done, err) != 0)
        return -1;
    for (size_t n; done < bytes; done += n) {
        n = bytes - done < done ? bytes - done : done;
        if (cuda_copy(&cuda->base, (char *)memory + done, memory, n, err) != 0)
            return -1;
    }
    return 0;
}

static int trial_init(const struct conv *v, size_t workspace, struct trial *t, struct err *err)
{
    struct device *dev = &v->cuda->base;
    const size_t size = precision_bytes(v->d.precision);
    const size_t x = rows_x(v) * v->c_in * size, w = rows_w(v) * v->c_in * size, y = rows_y(v) * v->d.c_out * size;
    return (t->x = cuda_alloc(dev, x, err)) != NULL && (t->w = cuda_alloc(dev, w, err)) != NULL &&
                   (t->y = cuda_alloc(dev, y, err)) != NULL && fill_noise(v->cuda, t->x, x, err) == 0 &&
                   fill_noise(v->cuda, t->w, w, err) == 0 && fill_noise(v->cuda, t->y, y, err) == 0 &&
                   cuda_buffer_reserve(&t->workspace, workspace, err) != NULL &&
                   cuda_check(cudaEventCreate(&t->begin), "measuring a convolution", err) == 0 &&
                   cuda_check(cudaEventCreate(&t->end), "measuring a convolution", err) == 0
               ? 0
               : -1;
}

static int run_once(const struct conv *v, const struct conv_plan *plan, const struct trial *t, struct err *err)
{
    return conv_plan_run(v->cuda->cudnn, plan, t->x, t->w, t->y, t->workspace.at, err);
}

/* Milliseconds of a run, of RUNS without a gap. One more goes ahead, which keeps the GPU busy while
 * these are queued: on an idle GPU the time of launching would be measured, too. */
static int sample(const struct conv *v, const struct conv_plan *plan, const struct trial *t, float *milliseconds,
                  struct err *err)
{
    const char *what = "measuring a convolution";
    cudaStream_t stream = v->cuda->stream;
    int rc = run_once(v, plan, t, err) == 0 ? cuda_check(cudaEventRecord(t->begin, stream), what, err) : -1;
    for (int i = 0; i < RUNS && rc == 0; i++)
        rc = run_once(v, plan, t, err);
    if (rc != 0 || cuda_check(cudaEventRecord(t->end, stream), what, err) != 0 ||
        cuda_check(cudaEventSynchronize(t->end), what, err) != 0 ||
        cuda_check(cudaEventElapsedTime(milliseconds, t->begin, t->end), what, err) != 0)
        return -1;
    *milliseconds /= RUNS;
    return 0;
}

/* The least of SAMPLES samples: others may be at work on the GPU. A plan that takes twice
 * as long as `enough` is not run again. */
static int time_plan(const struct conv *v, const struct conv_plan *plan, const struct trial *t, float enough,
                     float *least, struct err *err)
{
    *least = INFINITY;
    for (int i = 0; i < SAMPLES && (i == 0 || *least <= 2 * enough); i++) {
        float milliseconds;
        if (sample(v, plan, t, &milliseconds, err) != 0)
            return -1;
        if (milliseconds < *least)
            *least = milliseconds;
    }
    return 0;
}

/* The fastest of n plans, NULL and a message if none runs: cuDNN refuses some of its
 * own proposals only when they shall run. */
static const struct conv_plan *fastest(const struct conv *v, const struct conv_plan *plans, int n,
                                       const struct trial *t, struct err *err)
{
    const struct conv_plan *best = NULL;
    float least = INFINITY;
    for (int i = 0; i < n; i++) {
        struct err refused = { 0 };
        float milliseconds;
        if (time_plan(v, &plans[i], t, least, &milliseconds, &refused) == 0 && milliseconds < least) {
            best = &plans[i];
            least = milliseconds;
        } else if (i == n - 1 && best == NULL) {
            *err = refused;
        }
    }
    return best;
}

/* The name of the fastest plan for the product. */
static int choose(const struct conv *v, const struct conv_graph *graph, char *name, struct err *err)
{
    const size_t bound = workspace_max(v);
    struct conv_plan plans[PLANS];
    struct trial t = { 0 };
    size_t workspace = 0;
    int rc = -1;
    const int n = conv_graph_propose(graph, bound, PLANS, plans, err);

    if (n < 0)
        return -1;
    if (n == 0)
        return err_set(err, "cuDNN has no plan that repeats its bits in at most %zu MiB of working memory",
                       bound >> 20);
    for (int i = 0; i < n; i++)
        workspace = plans[i].workspace > workspace ? plans[i].workspace : workspace;
    if (trial_init(v, workspace, &t, err) == 0) {
        const struct conv_plan *best = fastest(v, plans, n, &t, err);
        if (best != NULL) {
            snprintf(name, CONV_PLAN_NAME, "%s", best->name);
            rc = 0;
        }
    }
    trial_fini(v->cuda, &t);
    for (int i = 0; i < n; i++)
        conv_plan_destroy(&plans[i]);
    return rc;
}

static int prepare(struct conv *v, enum conv_pass pass, struct err *err)
{
    const struct conv_desc *d = &v->d;
    const struct conv_target target = { .handle = v->cuda->cudnn };
    const struct conv_problem problem = { .pass = pass,
                                          .precision = v->d.precision,
                                          .n = d->n,
                                          .h = d->h,
                                          .w = d->w,
                                          .c_in = v->c_in,
                                          .oh = v->oh,
                                          .ow = v->ow,
                                          .c_out = d->c_out,
                                          .kernel = d->kernel,
                                          .stride = d->stride,
                                          .padding = d->padding };
    char key[CUDA_KEY_MAX], name[CONV_PLAN_NAME];
    struct conv_graph *graph = conv_graph_create(&target, &problem, err);
    int rc = -1;

    if (graph == NULL)
        return -1;
    snprintf(key, sizeof key, "%s plan %s %s n%d c%d h%d w%d k%d f%d s%d p%d", v->cuda->model,
             precision_names[v->d.precision], pass_names[pass], d->n, d->c_in, d->h, d->w, d->c_out, d->kernel,
             d->stride, d->padding);
    if ((cuda_choices_find(v->cuda->choices, key, name, sizeof name) ||
         (choose(v, graph, name, err) == 0 && cuda_choices_keep(v->cuda->choices, key, name, sizeof name, err) == 0)) &&
        conv_graph_plan(graph, name, &v->plan[pass], err) == 0 &&
        cuda_buffer_reserve(&v->cuda->workspace, v->plan[pass].workspace, err) != NULL)
        rc = 0;
    conv_graph_destroy(graph);
    return rc;
}

struct conv *cuda_conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    if (host_check_conv(d, err) != 0)
        return NULL;
    struct conv *v = mem_alloc(1, sizeof *v, err);
    if (v == NULL)
        return NULL;
    *v = laid_out(d);
    v->cuda = cuda_of(dev);
    if (cuda_buffer_reserve(&v->cuda->scratch, v->scratch, err) == NULL) {
        mem_free(v);
        return NULL;
    }
    if (prepare(v, CONV_FORWARD, err) != 0 || (d->training && prepare(v, CONV_BACKWARD_WEIGHT, err) != 0) ||
        (d->input_gradient && prepare(v, CONV_BACKWARD_DATA, err) != 0)) {
        err_prefix(err, "convolution of %d x %d x %d x %d to %d channels, kernel %d, stride %d", d->n, d->c_in, d->h,
                   d->w, d->c_out, d->kernel, d->stride);
        cuda_conv_destroy(v);
        return NULL;
    }
    return v;
}

void cuda_conv_destroy(struct conv *v)
{
    if (v == NULL)
        return;
    for (int i = 0; i < CONV_PASSES; i++)
        conv_plan_destroy(&v->plan[i]);
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
    if (host == NULL)
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
    if (host == NULL)
        return -1;
    int rc = cuda_download(dev, host, packed, bytes, err);
    if (rc == 0)
        transpose(c_out, c_in, kernel, host, oihw, false);
    mem_free(host);
    return rc;
}

/* The place of the weights' copy; x's is at_x behind it. */
static char *scratch_of(struct conv *v, struct err *err)
{
    return cuda_buffer_reserve(&v->cuda->scratch, v->scratch, err);
}

/* The weights as cuDNN reads them: a copy in scratch if they are not so already. */
static const void *weights_in(struct conv *v, const float *weight, char *scratch, struct err *err)
{
    if (v->d.precision != PRECISION_BF16 && !wider(v))
        return weight;
    return cuda_copy_columns(v->cuda->stream, rows_w(v), PRECISION_FP32, v->d.c_in, weight, v->d.precision, v->c_in,
                             scratch, err) == 0
               ? scratch
               : NULL;
}

/* Likewise the input. */
static const void *input(struct conv *v, const void *x, char *scratch, struct err *err)
{
    if (!wider(v))
        return x;
    return cuda_copy_columns(v->cuda->stream, rows_x(v), v->d.precision, v->d.c_in, x, v->d.precision, v->c_in,
                             scratch + v->at_x, err) == 0
               ? scratch + v->at_x
               : NULL;
}

static int run(struct conv *v, enum conv_pass pass, const void *x, const void *w, const void *y, struct err *err)
{
    return conv_plan_run(v->cuda->cudnn, &v->plan[pass], x, w, y, v->cuda->workspace.at, err);
}

int cuda_conv_forward(struct conv *v, const void *x, const float *weight, const float *bias, const void *residual,
                      void *y, struct err *err)
{
    const enum conv_epilogue epilogue = v->d.epilogue;
    char *scratch = scratch_of(v, err);
    const void *w = scratch != NULL ? weights_in(v, weight, scratch, err) : NULL,
               *in = w != NULL ? input(v, x, scratch, err) : NULL;

    if (in == NULL || run(v, CONV_FORWARD, in, w, y, err) != 0)
        return -1;
    if (epilogue == CONV_PLAIN)
        return 0;
    return cuda_conv_epilogue(v->cuda->stream, v->d.precision, rows_y(v), v->d.c_out, bias,
                              epilogue == CONV_BIAS_ADD_RELU ? residual : NULL, epilogue != CONV_BIAS, y, err);
}

int cuda_conv_backward_data(struct conv *v, const void *dy, const float *weight, void *dx, struct err *err)
{
    char *scratch = scratch_of(v, err);
    const void *w = scratch != NULL ? weights_in(v, weight, scratch, err) : NULL;
    void *out = wider(v) ? scratch + v->at_x : dx;

    if (w == NULL || run(v, CONV_BACKWARD_DATA, out, w, dy, err) != 0)
        return -1;
    if (!wider(v))
        return 0;
    return cuda_copy_columns(v->cuda->stream, rows_x(v), v->d.precision, v->c_in, out, v->d.precision, v->d.c_in, dx,
                             err);
}

int cuda_conv_backward_weight(struct conv *v, const void *x, const void *dy, float *dweight, struct err *err)
{
    const bool copied = v->d.precision == PRECISION_BF16 || wider(v);
    char *scratch = scratch_of(v, err);
    const void *in = scratch != NULL ? input(v, x, scratch, err) : NULL;
    void *out = copied ? (void *)scratch : dweight;

    if (in == NULL || run(v, CONV_BACKWARD_WEIGHT, in, out, dy, err) != 0)
        return -1;
    if (!copied)
        return 0;
    return cuda_copy_columns(v->cuda->stream, rows_w(v), v->d.precision, v->c_in, out, PRECISION_FP32, v->d.c_in,
                             dweight, err);
}
