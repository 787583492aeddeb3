/* Convolutions by oneDNN 2.x. Three passes (forward, gradient of the input,
 * gradient of the weights) are three primitives. All share one scratchpad per
 * device, so that memory does not grow with depth. Each pass may want its own
 * form of the weights (the gradient of the input usually does): then a reorder
 * from or to the packed form goes through the scratchpad.
 *
 * oneDNN has a reference implementation of everything, hundreds of times slower
 * than its kernels, and takes it without a word where no kernel fits. So a pass
 * is described in the first of these forms that a kernel fits, and refused if
 * none does:
 *   ROUNDED        Channels rounded up to whole blocks. The memory is like that
 *                  anyway. With the true number, oneDNN takes fewer than 16 (AVX2:
 *                  8) channels of input for an image and wants it plain. What is
 *                  added are products with zeros, so padding stays zero.
 *   CHANNELS_LAST  True channels; activations are reordered on the way in and out, and
 *   PLAIN          the work is products of matrices. For images of 1 or 2 channels on
 *                  AVX2, layers of at most 3 channels, and where most of the kernel
 *                  lies outside the image. Two forms, since with one channel or one
 *                  pixel oneDNN can mistake one for the other. */
#include "device/cpu/onednn.h"

#include <assert.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "device/cpu/layout.h"
#include "device/host.h"

struct onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int threads, block;
    void *scratch;
    size_t scratch_bytes;
};

/* x, the weights or y of a pass */
struct operand {
    dnnl_memory_t inside;     /* as the primitive has it */
    dnnl_memory_t outside;    /* as the device has it; NULL: the same */
    dnnl_primitive_t in, out; /* reorders before and after the primitive, or NULL */
    size_t offset;            /* of `inside` in the scratchpad, if it is not the same */
};

struct pass {
    dnnl_primitive_t primitive;
    struct operand x, weight, y;
    dnnl_memory_t bias, scratch;
};

struct conv {
    struct onednn *dnn;
    struct conv_desc d;
    size_t y_floats;
    float *bias; /* with the channels that rounding has added: zeros */
    struct pass pass[ONEDNN_PASSES];
};

static int failed(dnnl_status_t status, const char *what, struct err *err)
{
    return err_set(err, "oneDNN: %s: %s", what, dnnl_status2str(status));
}

int onednn_block(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core ? 16 : 8;
}

void onednn_version(char *out, size_t size)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, size, "%d.%d.%d", v->major, v->minor, v->patch);
}

const char *onednn_vectors(void)
{
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } sets[] = { { dnnl_cpu_isa_avx512_core, "AVX-512" },
                 { dnnl_cpu_isa_avx2, "AVX2" },
                 { dnnl_cpu_isa_avx, "AVX" },
                 { dnnl_cpu_isa_sse41, "SSE4.1" } };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if ((isa & (unsigned)sets[i].isa) == (unsigned)sets[i].isa)
            return sets[i].name;
    return "SSE2";
}

struct onednn *onednn_create(int threads, struct err *err)
{
    struct onednn *dnn = mem_alloc(1, sizeof *dnn, err);
    if (dnn == NULL)
        return NULL;
    dnn->threads = threads;
    dnn->block = onednn_block();
    dnnl_status_t status = dnnl_engine_create(&dnn->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&dnn->stream, dnn->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        failed(status, "cannot start", err);
        onednn_destroy(dnn);
        return NULL;
    }
    return dnn;
}

void onednn_destroy(struct onednn *dnn)
{
    if (dnn == NULL)
        return;
    if (dnn->stream != NULL)
        dnnl_stream_destroy(dnn->stream);
    if (dnn->engine != NULL)
        dnnl_engine_destroy(dnn->engine);
    mem_free(dnn->scratch);
    mem_free(dnn);
}

/* -- descriptors -- */

enum form { ROUNDED, CHANNELS_LAST, PLAIN, FORMS };

/* The number of channels that oneDNN is told. */
static int channels(const struct onednn *dnn, enum form form, int c)
{
    return form == ROUNDED ? layout_blocks(dnn->block, c) * layout_block(dnn->block, c) : c;
}

/* The device's layout of layout.h. */
static dnnl_format_tag_t activation_tag(const struct onednn *dnn, int c)
{
    int b = layout_block(dnn->block, c);
    return b == 1 ? dnnl_nchw : b == 16 ? dnnl_nChw16c : dnnl_nChw8c;
}

/* An activation as the primitive has it (`inside`) or as the device has it. */
static dnnl_status_t activation_desc(const struct conv *conv, enum form form, bool inside, int c, int h, int w,
                                     dnnl_memory_desc_t *md)
{
    const dnnl_dims_t dims = { conv->d.n, channels(conv->dnn, form, c), h, w };
    const dnnl_format_tag_t device = activation_tag(conv->dnn, c), tags[FORMS] = { device, dnnl_nhwc, dnnl_nchw };
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, inside ? tags[form] : device);
}

static dnnl_status_t x_desc(const struct conv *conv, enum form form, bool inside, dnnl_memory_desc_t *md)
{
    const struct conv_desc *d = &conv->d;
    return activation_desc(conv, form, inside, d->c_in, d->h, d->w, md);
}

static dnnl_status_t y_desc(const struct conv *conv, enum form form, bool inside, dnnl_memory_desc_t *md)
{
    const struct conv_desc *d = &conv->d;
    return activation_desc(conv, form, inside, d->c_out, host_conv_out(d, d->h), host_conv_out(d, d->w), md);
}

/* Inside: whatever the implementation likes; outside: the packed form of layout.h. */
static dnnl_status_t weight_desc(const struct conv *conv, enum form form, bool inside, dnnl_memory_desc_t *md)
{
    const struct conv_desc *d = &conv->d;
    const bool wide = conv->dnn->block == 16;
    const dnnl_dims_t dims = { channels(conv->dnn, form, d->c_out), channels(conv->dnn, form, d->c_in), d->kernel,
                               d->kernel };
    dnnl_format_tag_t tag = wide ? dnnl_OIhw16i16o : dnnl_OIhw8i8o;

    if (d->c_in <= LAYOUT_PLAIN_CHANNELS)
        tag = wide ? dnnl_Ohwi16o : dnnl_Ohwi8o;
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, inside ? dnnl_format_tag_any : tag);
}

/* Scratchpad from us; bias, residual and ReLU after the sum. */
static dnnl_status_t attributes(enum conv_epilogue epilogue, dnnl_primitive_attr_t *attr)
{
    dnnl_post_ops_t after = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_post_ops_create(&after);
    if (status == dnnl_success && epilogue == CONV_BIAS_ADD_RELU)
        status = dnnl_post_ops_append_sum(after, 1);
    if (status == dnnl_success && (epilogue == CONV_BIAS_RELU || epilogue == CONV_BIAS_ADD_RELU))
        status = dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_relu, 0, 0);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(*attr, after);
    if (after != NULL)
        dnnl_post_ops_destroy(after);
    return status;
}

/* "jit:avx512_core", "ref:any", ... */
static const char *implementation(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success && name != NULL ? name
                                                                                                             : "?";
}

static bool is_reference(const char *name)
{
    return strncmp(name, "ref", 3) == 0;
}

/* Of the operation described, in oneDNN's order, the first implementation that is
 * fast and right: dnnl_unimplemented if there is none. */
static dnnl_status_t choose(const struct conv *conv, enum form form, const_dnnl_op_desc_t operation,
                            const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint,
                            dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_desc_iterator_t candidates;
    dnnl_status_t status = dnnl_primitive_desc_iterator_create(&candidates, operation, attr, conv->dnn->engine, hint);

    if (status != dnnl_success)
        return status;
    while (status == dnnl_success) {
        *pd = dnnl_primitive_desc_iterator_fetch(candidates);
        if (*pd == NULL) {
            status = dnnl_out_of_memory;
            break;
        }
        const char *name = implementation(*pd);
        /* Of channels last only by products of matrices: 2.6.3's kernel for AVX2 gets the
         * weights' gradient of 1x1 convolutions of stride 2 of few channels wrong. */
        if (!is_reference(name) && (form == ROUNDED || strstr(name, "gemm") != NULL))
            break;
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        status = dnnl_primitive_desc_iterator_next(candidates);
    }
    dnnl_primitive_desc_iterator_destroy(candidates);
    return status == dnnl_iterator_ends ? dnnl_unimplemented : status;
}

static dnnl_status_t describe(const struct conv *conv, enum onednn_pass kind, enum form form, dnnl_alg_kind_t algorithm,
                              dnnl_primitive_desc_t *pd)
{
    const struct conv_desc *d = &conv->d;
    const dnnl_dims_t strides = { d->stride, d->stride }, padding = { d->padding, d->padding };
    dnnl_memory_desc_t x, y, weight, bias;
    const dnnl_dims_t bias_dims = { channels(conv->dnn, form, d->c_out) };
    dnnl_convolution_desc_t forward, backward;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = x_desc(conv, form, true, &x);

    if (status == dnnl_success)
        status = y_desc(conv, form, true, &y);
    if (status == dnnl_success)
        status = weight_desc(conv, form, true, &weight);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&bias, 1, bias_dims, dnnl_f32, dnnl_x);
    if (status == dnnl_success)
        status = dnnl_convolution_forward_desc_init(
            &forward, d->training ? dnnl_forward_training : dnnl_forward_inference, algorithm, &x, &weight,
            d->epilogue == CONV_PLAIN ? NULL : &bias, &y, strides, padding, padding);
    if (status == dnnl_success)
        status = attributes(kind == ONEDNN_FORWARD ? d->epilogue : CONV_PLAIN, &attr);
    if (status == dnnl_success && kind == ONEDNN_FORWARD)
        status = choose(conv, form, &forward, attr, NULL, pd);
    if (status == dnnl_success && kind != ONEDNN_FORWARD) {
        status = dnnl_primitive_desc_create(&hint, &forward, attr, conv->dnn->engine, NULL);
        if (status == dnnl_success && kind == ONEDNN_BACKWARD_DATA)
            status = dnnl_convolution_backward_data_desc_init(&backward, algorithm, &x, &weight, &y, strides, padding,
                                                              padding);
        if (status == dnnl_success && kind == ONEDNN_BACKWARD_WEIGHT)
            status = dnnl_convolution_backward_weights_desc_init(&backward, algorithm, &x, &weight, NULL, &y, strides,
                                                                 padding, padding);
        if (status == dnnl_success)
            status = choose(conv, form, &backward, attr, hint, pd);
    }
    if (hint != NULL)
        dnnl_primitive_desc_destroy(hint);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return status;
}

/* Winograd's F(4x4, 3x3) (Lavin and Gray, 2016) does the same convolution with a
 * quarter of the multiplications. It loses about one decimal digit of 7, so it
 * serves training, whose noise is far above that, and never inference; and it
 * pays only where there are many channels and whole tiles. */
static bool winograd_pays(const struct conv *conv)
{
    const struct conv_desc *d = &conv->d;
    return d->training && d->kernel == 3 && d->stride == 1 && d->padding == 1 && conv->dnn->block == 16 &&
           d->c_in >= 32 && d->c_out >= 32 && d->h >= 4 && d->w >= 4;
}

/* -- passes -- */

static dnnl_status_t memory(const struct conv *conv, const dnnl_memory_desc_t *md, dnnl_memory_t *mem)
{
    return dnnl_memory_create(mem, md, conv->dnn->engine, DNNL_MEMORY_NONE);
}

/* Rounded up to what addresses in the scratchpad are multiples of. */
static size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static dnnl_status_t plan_reorder(const struct conv *conv, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *to,
                                  dnnl_primitive_t *reorder)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&pd, from, conv->dnn->engine, to, conv->dnn->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(reorder, pd);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return status;
}

/* An operand that the primitive reads (`read`), writes (`written`) or both, with
 * its detour if the device has another form; *scratch grows by what that takes. */
static dnnl_status_t plan_operand(const struct conv *conv, struct operand *operand, const dnnl_memory_desc_t *inside,
                                  const dnnl_memory_desc_t *outside, bool read, bool written, size_t *scratch)
{
    dnnl_status_t status = memory(conv, inside, &operand->inside);

    if (status != dnnl_success || dnnl_memory_desc_equal(inside, outside))
        return status;
    operand->offset = *scratch;
    *scratch += whole_lines(dnnl_memory_desc_get_size(inside));
    status = memory(conv, outside, &operand->outside);
    if (status == dnnl_success && read)
        status = plan_reorder(conv, outside, inside, &operand->in);
    if (status == dnnl_success && written)
        status = plan_reorder(conv, inside, outside, &operand->out);
    return status;
}

/* The shared scratchpad holds at least `bytes`. */
static int grow_scratch(struct onednn *dnn, size_t bytes, struct err *err)
{
    if (bytes <= dnn->scratch_bytes)
        return 0;
    void *larger = mem_alloc(bytes, 1, err);
    if (larger == NULL)
        return -1;
    mem_free(dnn->scratch);
    dnn->scratch = larger;
    dnn->scratch_bytes = bytes;
    return 0;
}

/* Everything of a pass but its form and algorithm, which `pd` has fixed. */
static int prepare(struct conv *conv, enum onednn_pass kind, enum form form, dnnl_primitive_desc_t pd, struct err *err)
{
    static const dnnl_query_t x_md[ONEDNN_PASSES] = { dnnl_query_src_md, dnnl_query_diff_src_md, dnnl_query_src_md },
                              y_md[ONEDNN_PASSES] = { dnnl_query_dst_md, dnnl_query_diff_dst_md,
                                                      dnnl_query_diff_dst_md },
                              weight_md[ONEDNN_PASSES] = { dnnl_query_weights_md, dnnl_query_weights_md,
                                                           dnnl_query_diff_weights_md };
    struct pass *pass = &conv->pass[kind];
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    const bool adds = kind == ONEDNN_FORWARD && conv->d.epilogue == CONV_BIAS_ADD_RELU;
    size_t bytes = whole_lines(dnnl_memory_desc_get_size(scratch));
    dnnl_memory_desc_t x, y, weight; /* outside */
    dnnl_status_t status = dnnl_primitive_create(&pass->primitive, pd);

    if (status == dnnl_success)
        status = x_desc(conv, form, false, &x);
    if (status == dnnl_success)
        status = y_desc(conv, form, false, &y);
    if (status == dnnl_success)
        status = weight_desc(conv, form, false, &weight);
    if (status == dnnl_success)
        status = plan_operand(conv, &pass->x, dnnl_primitive_desc_query_md(pd, x_md[kind], 0), &x,
                              kind != ONEDNN_BACKWARD_DATA, kind == ONEDNN_BACKWARD_DATA, &bytes);
    if (status == dnnl_success)
        status = plan_operand(conv, &pass->y, dnnl_primitive_desc_query_md(pd, y_md[kind], 0), &y,
                              kind != ONEDNN_FORWARD || adds, kind == ONEDNN_FORWARD, &bytes);
    if (status == dnnl_success)
        status = plan_operand(conv, &pass->weight, dnnl_primitive_desc_query_md(pd, weight_md[kind], 0), &weight,
                              kind != ONEDNN_BACKWARD_WEIGHT, kind == ONEDNN_BACKWARD_WEIGHT, &bytes);
    if (status == dnnl_success)
        status = memory(conv, scratch, &pass->scratch);
    if (status == dnnl_success && kind == ONEDNN_FORWARD && conv->d.epilogue != CONV_PLAIN)
        status = memory(conv, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1), &pass->bias);
    if (status != dnnl_success)
        return failed(status, "preparing a convolution", err);
    return grow_scratch(conv->dnn, bytes, err);
}

static int plan_pass(struct conv *conv, enum onednn_pass kind, struct err *err)
{
    static const char *const names[ONEDNN_PASSES] = { "the convolution", "the input's gradient of the convolution",
                                                      "the weights' gradient of the convolution" };
    const struct conv_desc *d = &conv->d;
    dnnl_primitive_desc_t pd = NULL;
    enum form form = ROUNDED;
    dnnl_status_t status = dnnl_unimplemented;

    if (winograd_pays(conv))
        status = describe(conv, kind, ROUNDED, dnnl_convolution_winograd, &pd);
    for (int f = 0; f < FORMS && status == dnnl_unimplemented; f++)
        status = describe(conv, kind, form = (enum form)f, dnnl_convolution_direct, &pd);
    if (status == dnnl_unimplemented)
        return err_set(err,
                       "oneDNN has no fast kernel on this processor for %s of %d x %d x %d x %d to %d channels, "
                       "kernel %d, stride %d",
                       names[kind], d->n, d->c_in, d->h, d->w, d->c_out, d->kernel, d->stride);
    if (status != dnnl_success)
        return failed(status, "planning a convolution", err);
    int rc = prepare(conv, kind, form, pd, err);
    dnnl_primitive_desc_destroy(pd);
    return rc;
}

struct conv *onednn_conv_create(struct onednn *dnn, const struct conv_desc *d, struct err *err)
{
    if (host_check_conv(d, err) != 0)
        return NULL;
    struct conv *conv = mem_alloc(1, sizeof *conv, err);
    if (conv == NULL)
        return NULL;
    conv->dnn = dnn;
    conv->d = *d;
    conv->y_floats = layout_floats(dnn->block, d->n, d->c_out, (size_t)host_conv_out(d, d->h) * host_conv_out(d, d->w));
    conv->bias = mem_alloc((size_t)channels(dnn, ROUNDED, d->c_out), sizeof *conv->bias, err);
    /* oneDNN plans for the number of threads that OpenMP would use now */
    omp_set_num_threads(dnn->threads);
    if (conv->bias == NULL || plan_pass(conv, ONEDNN_FORWARD, err) != 0 ||
        (d->training && plan_pass(conv, ONEDNN_BACKWARD_WEIGHT, err) != 0) ||
        (d->training && d->input_gradient && plan_pass(conv, ONEDNN_BACKWARD_DATA, err) != 0)) {
        onednn_conv_destroy(conv);
        return NULL;
    }
    return conv;
}

void onednn_conv_destroy(struct conv *conv)
{
    if (conv == NULL)
        return;
    for (int k = 0; k < ONEDNN_PASSES; k++) {
        struct pass *pass = &conv->pass[k];
        const dnnl_memory_t memories[] = { pass->x.inside, pass->x.outside, pass->weight.inside, pass->weight.outside,
                                           pass->y.inside, pass->y.outside, pass->bias,          pass->scratch };
        const dnnl_primitive_t primitives[] = { pass->primitive,  pass->x.in, pass->x.out, pass->weight.in,
                                                pass->weight.out, pass->y.in, pass->y.out };
        for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
            if (memories[i] != NULL)
                dnnl_memory_destroy(memories[i]);
        for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
            if (primitives[i] != NULL)
                dnnl_primitive_destroy(primitives[i]);
    }
    mem_free(conv->bias);
    mem_free(conv);
}

const char *onednn_conv_implementation(const struct conv *conv, enum onednn_pass kind)
{
    const_dnnl_primitive_desc_t pd;
    const dnnl_primitive_t primitive = conv->pass[kind].primitive;
    return primitive != NULL && dnnl_primitive_get_primitive_desc(primitive, &pd) == dnnl_success ? implementation(pd)
                                                                                                  : NULL;
}

/* The operand is at `data` on the device. */
static dnnl_status_t place(const struct conv *conv, const struct operand *operand, const void *data)
{
    if (operand->outside == NULL)
        return dnnl_memory_set_data_handle(operand->inside, (void *)data);
    dnnl_status_t status = dnnl_memory_set_data_handle(operand->outside, (void *)data);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(operand->inside, (char *)conv->dnn->scratch + operand->offset);
    return status;
}

static dnnl_status_t reorder(const struct conv *conv, dnnl_primitive_t primitive, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    return primitive != NULL ? dnnl_primitive_execute(primitive, conv->dnn->stream, 2, args) : dnnl_success;
}

/* Runs one pass; all as the device has it. */
static int run(struct conv *conv, enum onednn_pass kind, const float *x, const float *weight, const float *y,
               struct err *err)
{
    static const int x_arg[ONEDNN_PASSES] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_SRC, DNNL_ARG_SRC },
                     y_arg[ONEDNN_PASSES] = { DNNL_ARG_DST, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_DST },
                     weight_arg[ONEDNN_PASSES] = { DNNL_ARG_WEIGHTS, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS };
    struct pass *pass = &conv->pass[kind];
    const struct operand *const operands[] = { &pass->x, &pass->weight, &pass->y };
    const void *const data[] = { x, weight, y };
    const dnnl_exec_arg_t args[] = {
        { x_arg[kind], pass->x.inside },
        { y_arg[kind], pass->y.inside },
        { weight_arg[kind], pass->weight.inside },
        { DNNL_ARG_SCRATCHPAD, pass->scratch },
        { DNNL_ARG_BIAS, pass->bias },
    };

    assert(pass->primitive != NULL); /* planned with this pass in the descriptor */
    omp_set_num_threads(conv->dnn->threads);
    dnnl_status_t status = dnnl_memory_set_data_handle(pass->scratch, conv->dnn->scratch);
    if (status == dnnl_success && pass->bias != NULL)
        status = dnnl_memory_set_data_handle(pass->bias, conv->bias);
    for (int i = 0; i < 3 && status == dnnl_success; i++) {
        status = place(conv, operands[i], data[i]);
        if (status == dnnl_success)
            status = reorder(conv, operands[i]->in, operands[i]->outside, operands[i]->inside);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(pass->primitive, conv->dnn->stream, pass->bias != NULL ? 5 : 4, args);
    for (int i = 0; i < 3 && status == dnnl_success; i++)
        status = reorder(conv, operands[i]->out, operands[i]->inside, operands[i]->outside);
    if (status == dnnl_success)
        status = dnnl_stream_wait(conv->dnn->stream);
    return status == dnnl_success ? 0 : failed(status, "running a convolution", err);
}

int onednn_conv_forward(struct conv *conv, const void *x, const float *weight, const float *bias, const void *residual,
                        void *y, struct err *err)
{
    /* the sum after a convolution is with what the output held before */
    if (conv->d.epilogue == CONV_BIAS_ADD_RELU && residual != y)
        memcpy(y, residual, conv->y_floats * sizeof(float));
    if (conv->d.epilogue != CONV_PLAIN)
        memcpy(conv->bias, bias, (size_t)conv->d.c_out * sizeof *bias);
    return run(conv, ONEDNN_FORWARD, x, weight, y, err);
}

int onednn_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx, struct err *err)
{
    return run(conv, ONEDNN_BACKWARD_DATA, dx, weight, dy, err);
}

int onednn_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight, struct err *err)
{
    return run(conv, ONEDNN_BACKWARD_WEIGHT, x, dweight, dy, err);
}
