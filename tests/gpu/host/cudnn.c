/* cuDNN's graph interface on the host, as far as convolutions need it, and these by
 * their definition: NHWC activations, KRSC weights, float or bfloat16; inputs of
 * bfloat16 must have a multiple of 8 channels. tests/gpu/plans.c asks the real cuDNN
 * whether descriptors are right; this one runs what they describe.
 *
 * Of its engines only one may be chosen, and of that one a setting that is not the
 * first proposed: see `engines`. */
#include <cudnn.h>

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "device/kernels.h"
#include "host.h"

enum { ATTRIBUTES = 12, SETTINGS = 2, KNOB = CUDNN_KNOB_TYPE_TILE_SIZE, KNOB_B = CUDNN_KNOB_TYPE_USE_TEX };

/* An engine with its first knob at 1 takes half the time. */
static const struct engine {
    int note; /* of cudnnBackendNumericalNote_t; -1: none */
    int behaviour;
    double milliseconds;
    int64_t workspace;
    bool fails;
} engines[] = {
    { .note = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, .behaviour = -1, .milliseconds = 1, .workspace = 0 },
    { .note = CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, .behaviour = -1, .milliseconds = 1 },
    { .note = -1, .behaviour = CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION, .milliseconds = 1 },
    { .note = -1, .behaviour = -1, .milliseconds = 1, .workspace = (int64_t)1 << 40 },
    { .note = -1, .behaviour = -1, .milliseconds = 1, .fails = true },
    { .note = CUDNN_NUMERICAL_NOTE_TENSOR_CORE, .behaviour = -1, .milliseconds = 2, .workspace = 4096 },
    { .note = -1, .behaviour = -1, .milliseconds = 8, .workspace = 8192 },
};
enum { ENGINES = sizeof engines / sizeof *engines };

struct attribute {
    int name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    void *values;
};

struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool finalized;
    int n;
    struct attribute attributes[ATTRIBUTES];
};

static int open_descriptors;

int host_cudnn_open(void)
{
    return open_descriptors;
}

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_SUCCESS ? "success" : "an error";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "of cuDNN on the host");
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    static int thing;
    *handle = (cudnnHandle_t)&thing;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    (void)handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    (void)handle;
    return stream != NULL ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

/* -- descriptors -- */

static size_t size_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_INT64:
        return sizeof(int64_t);
    case CUDNN_TYPE_FLOAT:
        return sizeof(float);
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return sizeof(void *);
    default:
        return sizeof(int); /* enumerations */
    }
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    struct descriptor *d = calloc(1, sizeof *d);
    d->type = type;
    open_descriptors++;
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t which)
{
    struct descriptor *d = which;
    for (int i = 0; i < d->n; i++)
        free(d->attributes[i].values);
    free(d);
    open_descriptors--;
    return CUDNN_STATUS_SUCCESS;
}

static void set(struct descriptor *d, int name, cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    assert(d->n < ATTRIBUTES);
    const size_t bytes = (size_t)count * size_of(type);
    struct attribute a = { name, type, count, malloc(bytes + 1) };
    memcpy(a.values, values, bytes);
    d->attributes[d->n++] = a;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (((struct descriptor *)d)->finalized)
        return CUDNN_STATUS_BAD_PARAM;
    set(d, (int)name, type, count, values);
    return CUDNN_STATUS_SUCCESS;
}

static const struct attribute *find(const struct descriptor *d, int name)
{
    for (int i = 0; i < d->n; i++)
        if (d->attributes[i].name == name)
            return &d->attributes[i];
    return NULL;
}

static const void *values(const struct descriptor *d, int name)
{
    const struct attribute *a = find(d, name);
    assert(a != NULL);
    return a->values;
}

static int64_t integer(const struct descriptor *d, int name, int i)
{
    return ((const int64_t *)values(d, name))[i];
}

static int enumeration(const struct descriptor *d, int name)
{
    return *(const int *)values(d, name);
}

static struct descriptor *child(const struct descriptor *d, int name)
{
    struct descriptor *c = *(struct descriptor *const *)values(d, name);
    assert(c && c->finalized);
    return c;
}

/* -- tensors and operations; those that refer to others copy what they need of them,
 *    as the real ones do: a plan outlives its graph -- */

struct operand {
    cudnnDataType_t type;
    int64_t id, n, c, h, w;
};

/* One product. */
struct product {
    struct operand x, w, y;
    cudnnBackendDescriptorType_t pass;
    int padding, stride;
};

static cudnnStatus_t read_tensor(const struct descriptor *d, struct operand *o)
{
    int64_t sizes[4], strides[4];
    memcpy(sizes, values(d, CUDNN_ATTR_TENSOR_DIMENSIONS), sizeof sizes);
    memcpy(strides, values(d, CUDNN_ATTR_TENSOR_STRIDES), sizeof strides);
    *o = (struct operand){ (cudnnDataType_t)enumeration(d, CUDNN_ATTR_TENSOR_DATA_TYPE),
                           integer(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0),
                           sizes[0],
                           sizes[1],
                           sizes[2],
                           sizes[3] };
    const bool nhwc =
        strides[1] == 1 && strides[3] == o->c && strides[2] == o->w * o->c && strides[0] == o->h * o->w * o->c;
    return nhwc && integer(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0) == 16 &&
                   (o->type == CUDNN_DATA_FLOAT || o->type == CUDNN_DATA_BFLOAT16)
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_NOT_SUPPORTED;
}

/* The numbers of the attributes of a pass follow each other in this order. */
static int first_attribute(cudnnBackendDescriptorType_t pass)
{
    switch (pass) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA;
    default:
        return CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA;
    }
}
enum { ALPHA, BETA, DESC, W, X, Y };

static cudnnStatus_t read_product(const struct descriptor *operation, struct product *p)
{
    const int first = first_attribute(operation->type);
    const struct descriptor *v = child(operation, first + DESC);

    assert(*(const float *)values(operation, first + ALPHA) == 1 &&
           *(const float *)values(operation, first + BETA) == 0);
    assert(enumeration(v, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) == CUDNN_DATA_FLOAT &&
           enumeration(v, CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CROSS_CORRELATION &&
           integer(v, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0) == 2);
    p->pass = operation->type;
    p->padding = (int)integer(v, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, 0);
    p->stride = (int)integer(v, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, 0);
    for (int i = 0; i < 2; i++)
        assert(integer(v, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i) == p->padding &&
               integer(v, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i) == p->padding &&
               integer(v, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i) == p->stride &&
               integer(v, CUDNN_ATTR_CONVOLUTION_DILATIONS, i) == 1);
    if (read_tensor(child(operation, first + X), &p->x) != CUDNN_STATUS_SUCCESS ||
        read_tensor(child(operation, first + W), &p->w) != CUDNN_STATUS_SUCCESS ||
        read_tensor(child(operation, first + Y), &p->y) != CUDNN_STATUS_SUCCESS)
        return CUDNN_STATUS_NOT_SUPPORTED;
    const bool fits = p->x.n == p->y.n && p->x.c == p->w.c && p->y.c == p->w.n &&
                      p->y.h == (p->x.h + 2 * p->padding - p->w.h) / p->stride + 1 &&
                      p->y.w == (p->x.w + 2 * p->padding - p->w.w) / p->stride + 1 && p->x.type == p->w.type &&
                      p->x.type == p->y.type;
    if (p->x.type == CUDNN_DATA_BFLOAT16 && p->x.c % 8 != 0)
        return CUDNN_STATUS_NOT_SUPPORTED;
    return fits ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

/* What these descriptors keep of others: private attributes. A plan straight from the
 * heuristics is run to be measured: that takes time here too, and leaves garbage. */
enum { PRODUCT = 90000, VALUE, PROPOSED };

static void keep(struct descriptor *d, int name, const void *data, size_t bytes)
{
    set(d, name, CUDNN_TYPE_NUMERICAL_NOTE, (int64_t)((bytes + sizeof(int) - 1) / sizeof(int)), data);
}

static void inherit(struct descriptor *d, const struct descriptor *from, int name)
{
    const struct attribute *a = find(from, name);
    assert(a != NULL);
    set(d, name, a->type, a->count, a->values);
}

static cudnnStatus_t finalize_graph(struct descriptor *d)
{
    struct product p;
    assert(values(d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE) != NULL);
    cudnnStatus_t status = read_product(child(d, CUDNN_ATTR_OPERATIONGRAPH_OPS), &p);
    keep(d, PRODUCT, &p, sizeof p);
    return status;
}

static cudnnStatus_t finalize_engine(struct descriptor *d)
{
    inherit(d, child(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH), PRODUCT);
    const int64_t number = integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
    return number >= 0 && number < ENGINES ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

/* Both knobs must be set. */
static cudnnStatus_t finalize_config(struct descriptor *d)
{
    const struct descriptor *engine = child(d, CUDNN_ATTR_ENGINECFG_ENGINE);
    const struct attribute *knobs = find(d, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES);
    int64_t setting = -1, other = -1;

    inherit(d, engine, PRODUCT);
    inherit(d, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
    for (int64_t i = 0; knobs != NULL && i < knobs->count; i++) {
        const struct descriptor *k = ((struct descriptor **)knobs->values)[i];
        assert(k->finalized);
        const int type = enumeration(k, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE);
        *(type == KNOB ? &setting : &other) = integer(k, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 0);
    }
    set(d, VALUE, CUDNN_TYPE_INT64, 1, &setting);
    return setting >= 0 && setting < SETTINGS && other == 7 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

static cudnnStatus_t finalize_plan(struct descriptor *d)
{
    const struct descriptor *config = child(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    assert(values(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE) != NULL);
    inherit(d, config, PRODUCT);
    inherit(d, config, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
    inherit(d, config, VALUE);
    if (find(config, PROPOSED) != NULL)
        inherit(d, config, PROPOSED);
    set(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
        &engines[integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0)].workspace);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t which)
{
    struct descriptor *d = which;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    struct operand o;
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        status = read_tensor(d, &o);
        break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        status = finalize_graph(d);
        break;
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        status = finalize_engine(d);
        break;
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        status = finalize_config(d);
        break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        status = finalize_plan(d);
        break;
    default:
        break;
    }
    d->finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

/* -- what the heuristics propose: every engine at every setting -- */

static void fill_config(struct descriptor *config, const struct descriptor *graph, int64_t number, int64_t setting)
{
    assert(config->type == CUDNN_BACKEND_ENGINECFG_DESCRIPTOR && !config->finalized);
    inherit(config, graph, PRODUCT);
    set(config, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number);
    set(config, VALUE, CUDNN_TYPE_INT64, 1, &setting);
    set(config, PROPOSED, CUDNN_TYPE_INT64, 1, &setting);
    config->finalized = true;
}

static void fill_knob(struct descriptor *knob, int type, int64_t value)
{
    assert(knob->type == CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR && !knob->finalized);
    set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type);
    set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value);
    knob->finalized = true;
}

static int64_t note(int value, void *out)
{
    if (value >= 0)
        *(int *)out = value;
    return value >= 0;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t which, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t requested, int64_t *count, void *out)
{
    const struct descriptor *d = which;
    struct descriptor **children = out;

    if (!d->finalized || requested < 1)
        return CUDNN_STATUS_BAD_PARAM;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        *count = 0;
        for (int e = 0; e < ENGINES; e++)
            for (int s = 0; s < SETTINGS && *count < requested; s++)
                fill_config(children[(*count)++], child(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH), e, s);
        break;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        assert(!children[0]->finalized);
        inherit(children[0], d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
        children[0]->finalized = true;
        *count = 1;
        break;
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
        assert(requested >= 2);
        fill_knob(children[0], KNOB, integer(d, VALUE, 0));
        fill_knob(children[1], KNOB_B, 7);
        *count = 2;
        break;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        *count = note(engines[integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0)].note, out);
        break;
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
        *count = note(engines[integer(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0)].behaviour, out);
        break;
    default:
        *count = 1;
        memcpy(out, values(d, (int)name), size_of(type));
    }
    return CUDNN_STATUS_SUCCESS;
}

/* -- running -- */

struct run {
    struct product p;
    const void *x, *w, *y;
    void *workspace;
    size_t workspace_bytes;
    bool tensor_core;
};

/* Tensor cores read floats as TF32: 10 bits. */
static double get(const struct run *r, cudnnDataType_t type, const void *p, size_t i)
{
    if (type == CUDNN_DATA_BFLOAT16)
        return kernel_from_bf16(((const uint16_t *)p)[i]);
    const float value = ((const float *)p)[i];
    if (!r->tensor_core || !isfinite(value) || value == 0)
        return value;
    int exponent;
    const double fraction = frexp(value, &exponent);
    return ldexp(nearbyint(fraction * 2048) / 2048, exponent);
}

static void put(cudnnDataType_t type, void *p, size_t i, double value)
{
    if (type == CUDNN_DATA_BFLOAT16)
        ((uint16_t *)p)[i] = kernel_to_bf16((float)value);
    else
        ((float *)p)[i] = (float)value;
}

static size_t elements(const struct operand *o)
{
    return (size_t)(o->n * o->c * o->h * o->w);
}

static const struct operand *result_of(const struct run *r, void **out)
{
    switch (r->p.pass) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        *out = (void *)(uintptr_t)r->x;
        return &r->p.x;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        *out = (void *)(uintptr_t)r->w;
        return &r->p.w;
    default:
        *out = (void *)(uintptr_t)r->y;
        return &r->p.y;
    }
}

static void spoil(const void *args)
{
    void *out;
    const struct operand *result = result_of(args, &out);
    memset(out, 0xff, elements(result) * (result->type == CUDNN_DATA_BFLOAT16 ? 2 : sizeof(float)));
}

/* The result is x, w or y, as the pass says: sums of products of the other two, over
 * all that the definition of a convolution multiplies. */
static void convolve(const void *args)
{
    const struct run *r = args;
    const struct operand *xo = &r->p.x, *wo = &r->p.w, *yo = &r->p.y;
    void *out;
    const struct operand *result = result_of(r, &out);
    const bool to_x = result == xo, to_w = result == wo;
    const size_t outputs = elements(yo), count = elements(result);
    double *sums = calloc(count, sizeof *sums);

    memset(r->workspace, 0xff, r->workspace_bytes);
    for (size_t iy = 0; iy < outputs; iy++) {
        const int64_t i = (int64_t)iy, k = i % yo->c, ox = i / yo->c % yo->w, oy = i / yo->c / yo->w % yo->h,
                      n = i / yo->c / yo->w / yo->h;
        for (int64_t a = 0; a < wo->h; a++)
            for (int64_t b = 0; b < wo->w; b++) {
                const int64_t py = oy * r->p.stride + a - r->p.padding, px = ox * r->p.stride + b - r->p.padding;
                if (py < 0 || py >= xo->h || px < 0 || px >= xo->w)
                    continue;
                size_t ix = (size_t)(((n * xo->h + py) * xo->w + px) * xo->c);
                size_t iw = (size_t)(((k * wo->h + a) * wo->w + b) * wo->c);
                for (int64_t c = 0; c < wo->c; c++, ix++, iw++)
                    sums[to_x   ? ix
                         : to_w ? iw
                                : iy] += (to_x ? 1 : get(r, xo->type, r->x, ix)) *
                                         (to_w ? 1 : get(r, wo->type, r->w, iw)) *
                                         (to_x || to_w ? get(r, yo->type, r->y, iy) : 1);
            }
    }
    for (size_t i = 0; i < count; i++)
        put(result->type, out, i, sums[i]);
    free(sums);
}

static int unset;

int host_unset(void)
{
    return unset;
}

static bool begins_with_nothing(const struct run *r)
{
    void *out;
    result_of(r, &out);
    bool nothing = false;
    const struct operand *const o[] = { &r->p.x, &r->p.w, &r->p.y };
    const void *const at[] = { r->x, r->w, r->y };
    for (int i = 0; i < 3; i++) {
        const double first = at[i] == out ? 1 : get(r, o[i]->type, at[i], 0);
        nothing = nothing || first == 0 || isnan(first);
    }
    return nothing;
}

static const void *pointer_of(const struct descriptor *pack, int64_t id)
{
    const struct attribute *ids = find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    for (int64_t i = 0; ids != NULL && i < ids->count; i++)
        if (integer(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, (int)i) == id) {
            const void *p = ((const void *const *)values(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS))[i];
            assert(p && (uintptr_t)p % 16 == 0);
            return p;
        }
    return NULL;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
    const struct engine *engine = &engines[integer(plan, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0)];
    const char *fault = getenv("HOST_GPU_FAULT");
    struct run r = { .workspace = *(void *const *)values(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE),
                     .workspace_bytes = (size_t)engine->workspace,
                     .tensor_core = engine->note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE };

    assert(handle && ((struct descriptor *)plan)->finalized && ((struct descriptor *)pack)->finalized);
    memcpy(&r.p, values(plan, PRODUCT), sizeof r.p);
    r.x = pointer_of(pack, r.p.x.id);
    r.w = pointer_of(pack, r.p.w.id);
    r.y = pointer_of(pack, r.p.y.id);
    if (r.x == NULL || r.w == NULL || r.y == NULL || (engine->workspace && r.workspace == NULL) || engine->fails ||
        (fault != NULL && strcmp(fault, "lost") == 0)) /* which the runtime of the caller is not told */
        return CUDNN_STATUS_EXECUTION_FAILED;
    unset += begins_with_nothing(&r);
    host_spend(
        engine->milliseconds / (double)(1 + integer(plan, VALUE, 0)) +
        (host_was_idle() ? engine->milliseconds * (double)integer(plan, VALUE, 0) : 0)); /* more kernels to launch */
    capture_queue(find(plan, PROPOSED) != NULL ? spoil : convolve, &r, sizeof r);
    return CUDNN_STATUS_SUCCESS;
}
