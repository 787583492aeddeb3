/* Convolutions by oneDNN 2.x. Three passes (forward, gradient of the input,
 * gradient of the weights) are three primitives. All share one scratchpad per
 * device, so that memory does not grow with depth. Each pass may want its own
 * form of the weights (the gradient of the input usually does): then it has a
 * buffer of its own and a reorder from or to the packed form. */
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

enum pass_kind { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT, PASSES };

struct pass {
    dnnl_primitive_t primitive;
    dnnl_memory_t x, weight, bias, y, scratch;
    /* where the primitive's weights are not in the packed form */
    dnnl_primitive_t reorder;
    dnnl_memory_t packed;
    float *own;
};

struct conv {
    struct onednn *dnn;
    struct conv_desc d;
    size_t y_floats;
    struct pass pass[PASSES];
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

struct onednn *onednn_create(int threads, struct err *err)
{
    struct onednn *dnn = mem_alloc(1, sizeof *dnn, err);
    if (!dnn)
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
    if (!dnn)
        return;
    if (dnn->stream)
        dnnl_stream_destroy(dnn->stream);
    if (dnn->engine)
        dnnl_engine_destroy(dnn->engine);
    mem_free(dnn->scratch);
    mem_free(dnn);
}

/* -- descriptors -- */

static dnnl_status_t activation_desc(const struct onednn *dnn, int n, int c, int h, int w, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dims = { n, c, h, w };
    int b = layout_block(dnn->block, c);
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32,
                                        b == 1 ? dnnl_nchw : b == 16 ? dnnl_nChw16c : dnnl_nChw8c);
}

static dnnl_status_t weight_desc(const struct conv_desc *d, dnnl_format_tag_t tag, dnnl_memory_desc_t *md)
{
    dnnl_dims_t dims = { d->c_out, d->c_in, d->kernel, d->kernel };
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, tag);
}

/* The packed form of layout.h. */
static dnnl_format_tag_t packed_tag(const struct onednn *dnn, const struct conv_desc *d)
{
    if (d->c_in <= LAYOUT_PLAIN_CHANNELS)
        return dnn->block == 16 ? dnnl_Ohwi16o : dnnl_Ohwi8o;
    return dnn->block == 16 ? dnnl_OIhw16i16o : dnnl_OIhw8i8o;
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
    if (after)
        dnnl_post_ops_destroy(after);
    return status;
}

static dnnl_status_t plan(const struct conv *conv, enum pass_kind kind, dnnl_alg_kind_t algorithm,
                          dnnl_primitive_desc_t *pd)
{
    const struct conv_desc *d = &conv->d;
    const dnnl_dims_t strides = { d->stride, d->stride }, padding = { d->padding, d->padding };
    dnnl_memory_desc_t x, y, weight, bias;
    dnnl_dims_t bias_dims = { d->c_out };
    dnnl_convolution_desc_t forward, backward;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t status = activation_desc(conv->dnn, d->n, d->c_in, d->h, d->w, &x);

    if (status == dnnl_success)
        status = activation_desc(conv->dnn, d->n, d->c_out, host_conv_out(d, d->h), host_conv_out(d, d->w), &y);
    if (status == dnnl_success)
        status = weight_desc(d, dnnl_format_tag_any, &weight);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&bias, 1, bias_dims, dnnl_f32, dnnl_x);
    if (status == dnnl_success)
        status = dnnl_convolution_forward_desc_init(
            &forward, d->training ? dnnl_forward_training : dnnl_forward_inference, algorithm, &x, &weight,
            d->epilogue == CONV_PLAIN ? NULL : &bias, &y, strides, padding, padding);
    if (status == dnnl_success)
        status = attributes(kind == FORWARD ? d->epilogue : CONV_PLAIN, &attr);
    if (status == dnnl_success && kind == FORWARD)
        status = dnnl_primitive_desc_create(pd, &forward, attr, conv->dnn->engine, NULL);
    if (status == dnnl_success && kind != FORWARD) {
        status = dnnl_primitive_desc_create(&hint, &forward, attr, conv->dnn->engine, NULL);
        if (status == dnnl_success && kind == BACKWARD_DATA)
            status = dnnl_convolution_backward_data_desc_init(&backward, algorithm, &x, &weight, &y, strides, padding,
                                                              padding);
        if (status == dnnl_success && kind == BACKWARD_WEIGHT)
            status = dnnl_convolution_backward_weights_desc_init(&backward, algorithm, &x, &weight, NULL, &y, strides,
                                                                 padding, padding);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(pd, &backward, attr, conv->dnn->engine, hint);
    }
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    if (attr)
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

/* The detour of the weights, if `md` is not the packed form. */
static int plan_reorder(struct conv *conv, enum pass_kind kind, const dnnl_memory_desc_t *md, struct err *err)
{
    struct pass *pass = &conv->pass[kind];
    dnnl_engine_t engine = conv->dnn->engine;
    dnnl_memory_desc_t packed;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = weight_desc(&conv->d, packed_tag(conv->dnn, &conv->d), &packed);

    if (status == dnnl_success && dnnl_memory_desc_equal(&packed, md))
        return 0;
    pass->own = mem_alloc(dnnl_memory_desc_get_size(md), 1, err);
    if (!pass->own)
        return -1;
    if (status == dnnl_success)
        status = memory(conv, &packed, &pass->packed);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(pass->weight, pass->own);
    if (status == dnnl_success)
        status = kind == BACKWARD_WEIGHT ? dnnl_reorder_primitive_desc_create(&pd, md, engine, &packed, engine, NULL)
                                         : dnnl_reorder_primitive_desc_create(&pd, &packed, engine, md, engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&pass->reorder, pd);
    if (pd)
        dnnl_primitive_desc_destroy(pd);
    return status == dnnl_success ? 0 : failed(status, "reordering weights", err);
}

/* The shared scratchpad holds at least `bytes`. */
static int grow_scratch(struct onednn *dnn, size_t bytes, struct err *err)
{
    if (bytes <= dnn->scratch_bytes)
        return 0;
    void *larger = mem_alloc(bytes, 1, err);
    if (!larger)
        return -1;
    mem_free(dnn->scratch);
    dnn->scratch = larger;
    dnn->scratch_bytes = bytes;
    return 0;
}

/* Everything of a pass but its algorithm, which `pd` has fixed. */
static int prepare(struct conv *conv, enum pass_kind kind, dnnl_primitive_desc_t pd, struct err *err)
{
    static const dnnl_query_t x_md[PASSES] = { dnnl_query_src_md, dnnl_query_diff_src_md, dnnl_query_src_md },
                              y_md[PASSES] = { dnnl_query_dst_md, dnnl_query_diff_dst_md, dnnl_query_diff_dst_md },
                              weight_md[PASSES] = { dnnl_query_weights_md, dnnl_query_weights_md,
                                                    dnnl_query_diff_weights_md };
    struct pass *pass = &conv->pass[kind];
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0),
                             *weight = dnnl_primitive_desc_query_md(pd, weight_md[kind], 0);
    dnnl_status_t status = dnnl_primitive_create(&pass->primitive, pd);

    if (status == dnnl_success)
        status = memory(conv, dnnl_primitive_desc_query_md(pd, x_md[kind], 0), &pass->x);
    if (status == dnnl_success)
        status = memory(conv, dnnl_primitive_desc_query_md(pd, y_md[kind], 0), &pass->y);
    if (status == dnnl_success)
        status = memory(conv, weight, &pass->weight);
    if (status == dnnl_success)
        status = memory(conv, scratch, &pass->scratch);
    if (status == dnnl_success && kind == FORWARD && conv->d.epilogue != CONV_PLAIN)
        status = memory(conv, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1), &pass->bias);
    if (status != dnnl_success)
        return failed(status, "preparing a convolution", err);
    if (grow_scratch(conv->dnn, dnnl_memory_desc_get_size(scratch), err) != 0)
        return -1;
    return plan_reorder(conv, kind, weight, err);
}

static int plan_pass(struct conv *conv, enum pass_kind kind, struct err *err)
{
    static const char *const names[PASSES] = { "convolution", "gradient of a convolution's input",
                                               "gradient of a convolution's weights" };
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = dnnl_unimplemented;

    if (winograd_pays(conv))
        status = plan(conv, kind, dnnl_convolution_winograd, &pd);
    if (status != dnnl_success)
        status = plan(conv, kind, dnnl_convolution_direct, &pd);
    if (status != dnnl_success)
        return failed(status, names[kind], err);
    int rc = prepare(conv, kind, pd, err);
    dnnl_primitive_desc_destroy(pd);
    return rc;
}

struct conv *onednn_conv_create(struct onednn *dnn, const struct conv_desc *d, struct err *err)
{
    if (host_check_conv(d, err) != 0)
        return NULL;
    struct conv *conv = mem_alloc(1, sizeof *conv, err);
    if (!conv)
        return NULL;
    conv->dnn = dnn;
    conv->d = *d;
    conv->y_floats = layout_floats(dnn->block, d->n, d->c_out, (size_t)host_conv_out(d, d->h) * host_conv_out(d, d->w));
    /* oneDNN plans for the number of threads that OpenMP would use now */
    omp_set_num_threads(dnn->threads);
    if (plan_pass(conv, FORWARD, err) != 0 || (d->training && plan_pass(conv, BACKWARD_WEIGHT, err) != 0) ||
        (d->training && d->input_gradient && plan_pass(conv, BACKWARD_DATA, err) != 0)) {
        onednn_conv_destroy(conv);
        return NULL;
    }
    return conv;
}

void onednn_conv_destroy(struct conv *conv)
{
    if (!conv)
        return;
    for (int k = 0; k < PASSES; k++) {
        struct pass *pass = &conv->pass[k];
        dnnl_memory_t memories[] = { pass->x, pass->weight, pass->bias, pass->y, pass->scratch, pass->packed };
        for (size_t i = 0; i < sizeof memories / sizeof *memories; i++)
            if (memories[i])
                dnnl_memory_destroy(memories[i]);
        if (pass->primitive)
            dnnl_primitive_destroy(pass->primitive);
        if (pass->reorder)
            dnnl_primitive_destroy(pass->reorder);
        mem_free(pass->own);
    }
    mem_free(conv);
}

/* Runs one pass; `weight` is in the packed form. */
static int run(struct conv *conv, enum pass_kind kind, const float *x, const float *weight, const float *bias,
               const float *y, struct err *err)
{
    static const int x_arg[PASSES] = { DNNL_ARG_SRC, DNNL_ARG_DIFF_SRC, DNNL_ARG_SRC },
                     y_arg[PASSES] = { DNNL_ARG_DST, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_DST },
                     weight_arg[PASSES] = { DNNL_ARG_WEIGHTS, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_WEIGHTS };
    struct pass *pass = &conv->pass[kind];
    dnnl_stream_t stream = conv->dnn->stream;
    dnnl_memory_t packed = pass->reorder ? pass->packed : pass->weight;
    const dnnl_exec_arg_t args[] = { { x_arg[kind], pass->x },
                                     { y_arg[kind], pass->y },
                                     { weight_arg[kind], pass->weight },
                                     { DNNL_ARG_SCRATCHPAD, pass->scratch },
                                     { DNNL_ARG_BIAS, pass->bias } };
    const int n_args = bias ? 5 : 4;

    assert(pass->primitive); /* planned with this pass in the descriptor */
    omp_set_num_threads(conv->dnn->threads);
    dnnl_status_t status = dnnl_memory_set_data_handle(pass->x, (void *)x);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(pass->y, (void *)y);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(packed, (void *)weight);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(pass->scratch, conv->dnn->scratch);
    if (status == dnnl_success && bias)
        status = dnnl_memory_set_data_handle(pass->bias, (void *)bias);
    if (status == dnnl_success && pass->reorder && kind != BACKWARD_WEIGHT) {
        const dnnl_exec_arg_t move[] = { { DNNL_ARG_FROM, pass->packed }, { DNNL_ARG_TO, pass->weight } };
        status = dnnl_primitive_execute(pass->reorder, stream, 2, move);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(pass->primitive, stream, n_args, args);
    if (status == dnnl_success && pass->reorder && kind == BACKWARD_WEIGHT) {
        const dnnl_exec_arg_t move[] = { { DNNL_ARG_FROM, pass->weight }, { DNNL_ARG_TO, pass->packed } };
        status = dnnl_primitive_execute(pass->reorder, stream, 2, move);
    }
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    return status == dnnl_success ? 0 : failed(status, "running a convolution", err);
}

int onednn_conv_forward(struct conv *conv, const void *x, const float *weight, const float *bias,
                        const void *residual, void *y, struct err *err)
{
    /* the sum after a convolution is with what the output held before */
    if (conv->d.epilogue == CONV_BIAS_ADD_RELU && residual != y)
        memcpy(y, residual, conv->y_floats * sizeof(float));
    return run(conv, FORWARD, x, weight, conv->d.epilogue == CONV_PLAIN ? NULL : bias, y, err);
}

int onednn_conv_backward_data(struct conv *conv, const void *dy, const float *weight, void *dx, struct err *err)
{
    return run(conv, BACKWARD_DATA, dx, weight, NULL, dy, err);
}

int onednn_conv_backward_weight(struct conv *conv, const void *x, const void *dy, float *dweight, struct err *err)
{
    return run(conv, BACKWARD_WEIGHT, x, dweight, NULL, dy, err);
}
