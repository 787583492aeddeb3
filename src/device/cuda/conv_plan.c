#include "device/cuda/conv_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "device/cuda/cuda_device.h"

typedef cudnnBackendDescriptor_t descriptor;

enum { ALIGNMENT = 16, KNOBS_MAX = 32, PROPOSALS_MAX = 128, NOTES_MAX = 16 };
enum { ID_X = 'x', ID_W = 'w', ID_Y = 'y' };

static const char what[] = "planning a convolution";

struct conv_graph {
    struct conv_target target;
    enum precision precision;
    descriptor x, w, y, convolution, operation, graph;
};

/* -- descriptors -- */

struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    const void *values;
};

static void destroy(descriptor *d)
{
    if (*d != NULL)
        cudnnBackendDestroyDescriptor(*d);
    *d = NULL;
}

static int create(cudnnBackendDescriptorType_t type, descriptor *d, struct err *err)
{
    *d = NULL;
    return cuda_check_cudnn(cudnnBackendCreateDescriptor(type, d), what, err);
}

/* A finalized descriptor with these attributes; none is left behind by an error. */
static int describe(cudnnBackendDescriptorType_t type, const struct attribute *attributes, size_t n, descriptor *d,
                    struct err *err)
{
    if (create(type, d, err) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (cuda_check_cudnn(cudnnBackendSetAttribute(*d, attributes[i].name, attributes[i].type, attributes[i].count,
                                                      attributes[i].values),
                             what, err) != 0)
            goto fail;
    if (cuda_check_cudnn(cudnnBackendFinalize(*d), what, err) == 0)
        return 0;
fail:
    destroy(d);
    return -1;
}

/* At most `count` values; how many were written: cuDNN may answer how many it has. */
static int get(descriptor d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
               void *values, int64_t *got, struct err *err)
{
    *got = 0;
    int rc = cuda_check_cudnn(cudnnBackendGetAttribute(d, name, type, count, got, values), what, err);
    *got = *got > count ? count : *got;
    return rc;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- the operation -- */

/* n, channels, rows, columns; channels lie next to each other. */
static int tensor(int64_t id, enum precision precision, int n, int c, int h, int w, descriptor *d, struct err *err)
{
    const int64_t sizes[] = { n, c, h, w };
    const int64_t strides[] = { (int64_t)h * w * c, 1, (int64_t)w * c, c };
    const int64_t alignment = ALIGNMENT;
    const cudnnDataType_t type = precision == PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const struct attribute attributes[] = {
        { CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id },
        { CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type },
        { CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, COUNT(sizes), sizes },
        { CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, COUNT(strides), strides },
        { CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment },
    };
    return describe(CUDNN_BACKEND_TENSOR_DESCRIPTOR, attributes, COUNT(attributes), d, err);
}

static int convolution(const struct conv_problem *p, descriptor *d, struct err *err)
{
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dimensions = 2, dilation[] = { 1, 1 };
    const int64_t stride[] = { p->stride, p->stride }, padding[] = { p->padding, p->padding };
    const struct attribute attributes[] = {
        { CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums },
        { CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode },
        { CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dimensions },
        { CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation },
        { CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride },
        { CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding },
        { CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding },
    };
    return describe(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, attributes, COUNT(attributes), d, err);
}

/* cuDNN names the same six attributes anew for each pass. */
static const struct operation {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
} operations[CONV_PASSES] = {
    [CONV_FORWARD] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA },
    [CONV_BACKWARD_DATA] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA },
    [CONV_BACKWARD_WEIGHT] = { CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                               CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA },
};

static int operation(struct conv_graph *g, enum conv_pass pass, struct err *err)
{
    const struct operation *o = &operations[pass];
    const float alpha = 1, beta = 0;
    const struct attribute attributes[] = {
        { o->convolution, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->convolution },
        { o->x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->x },
        { o->w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->w },
        { o->y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->y },
        { o->alpha, CUDNN_TYPE_FLOAT, 1, &alpha },
        { o->beta, CUDNN_TYPE_FLOAT, 1, &beta },
    };
    return describe(o->type, attributes, COUNT(attributes), &g->operation, err);
}

struct conv_graph *conv_graph_create(const struct conv_target *target, const struct conv_problem *p, struct err *err)
{
    struct conv_graph *g = mem_alloc(1, sizeof *g, err);
    if (g == NULL)
        return NULL;
    g->target = *target;
    g->precision = p->precision;
    if (tensor(ID_X, p->precision, p->n, p->c_in, p->h, p->w, &g->x, err) != 0 ||
        tensor(ID_W, p->precision, p->c_out, p->c_in, p->kernel, p->kernel, &g->w, err) != 0 ||
        tensor(ID_Y, p->precision, p->n, p->c_out, p->oh, p->ow, &g->y, err) != 0 ||
        convolution(p, &g->convolution, err) != 0 || operation(g, p->pass, err) != 0)
        goto fail;
    const struct attribute attributes[] = {
        { CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->operation },
        { CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target->handle },
    };
    if (describe(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, attributes, target->handle != NULL ? 2 : 1, &g->graph, err) ==
        0)
        return g;
fail:
    conv_graph_destroy(g);
    return NULL;
}

void conv_graph_destroy(struct conv_graph *g)
{
    if (g == NULL)
        return;
    destroy(&g->graph);
    destroy(&g->operation);
    destroy(&g->convolution);
    destroy(&g->y);
    destroy(&g->w);
    destroy(&g->x);
    mem_free(g);
}

/* -- plans -- */

#if CUDNN_VERSION >= 90800
#define PROFILE(attribute, target)                                                                                     \
    {                                                                                                                  \
        attribute, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &(target).profile                                                 \
    }
#else
#define PROFILE(attribute, target)                                                                                     \
    {                                                                                                                  \
        0                                                                                                              \
    } /* behind the end of the attributes that are used */
#endif

/* The plan of an engine with its knobs set; its name is the caller's to set. */
static int plan_of(const struct conv_graph *g, descriptor config, struct conv_plan *plan, struct err *err)
{
    const struct attribute here[] = {
        { CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config },
        { CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->target.handle },
    }, elsewhere[] = {
        { CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config },
        PROFILE(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, g->target),
    };
    int64_t bytes = 0, got;

    if (describe(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, g->target.handle != NULL ? here : elsewhere, 2, &plan->plan,
                 err) != 0)
        return -1;
    if (get(plan->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes, &got, err) != 0) {
        destroy(&plan->plan);
        return -1;
    }
    plan->workspace = (size_t)bytes;
    return 0;
}

void conv_plan_destroy(struct conv_plan *plan)
{
    destroy(&plan->plan);
}

static bool unsuitable_note(enum precision precision, cudnnBackendNumericalNote_t note)
{
    switch (note) {
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
        return true;
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: /* which know float inputs as TF32 only */
        return precision == PRECISION_FP32;
    default:
        return false;
    }
}

/* Whether the engine keeps what conv_graph_propose promises; appends its number to `name`. */
static int judge(const struct conv_graph *g, descriptor engine, bool *suitable, char *name, struct err *err)
{
    cudnnBackendNumericalNote_t notes[NOTES_MAX];
    cudnnBackendBehaviorNote_t behaviour[NOTES_MAX];
    int64_t number = 0, n, n_behaviour, got;

    if (get(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number, &got, err) != 0 ||
        get(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, NOTES_MAX, notes, &n, err) != 0 ||
        get(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, NOTES_MAX, behaviour, &n_behaviour,
            err) != 0)
        return -1;
    *suitable = true;
    for (int64_t i = 0; i < n; i++)
        *suitable = *suitable && !unsuitable_note(g->precision, notes[i]);
    for (int64_t i = 0; i < n_behaviour; i++)
        *suitable = *suitable && behaviour[i] != CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
    snprintf(name, CONV_PLAN_NAME, "%lld", (long long)number);
    return 0;
}

/* Appends the settings of the knobs to `name`. */
static int name_knobs(descriptor config, char *name, struct err *err)
{
    descriptor knobs[KNOBS_MAX] = { 0 };
    int64_t n = 0, got;
    int rc = -1;

    for (int i = 0; i < KNOBS_MAX; i++)
        if (create(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knobs[i], err) != 0)
            goto out;
    if (get(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, KNOBS_MAX, knobs, &n, err) != 0)
        goto out;
    for (int64_t i = 0; i < n; i++) {
        cudnnBackendKnobType_t type;
        int64_t value = 0;
        size_t at = strlen(name);
        if (get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type, &got, err) != 0 ||
            get(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value, &got, err) != 0)
            goto out;
        if (snprintf(name + at, CONV_PLAN_NAME - at, " %d=%lld", (int)type, (long long)value) >=
            (int)(CONV_PLAN_NAME - at)) {
            err_set(err, "%s: cuDNN's engine has too many knobs: %s", what, name);
            goto out;
        }
    }
    rc = 0;
out:
    for (int i = 0; i < KNOBS_MAX; i++)
        destroy(&knobs[i]);
    return rc;
}

/* Adds the plan of `config` if it is suitable and none of that name is there. That
 * cuDNN makes no plan of what its own heuristics propose happens, and is no error. */
static int consider(const struct conv_graph *g, descriptor config, size_t workspace, struct conv_plan *plans, int *n,
                    struct err *err)
{
    struct conv_plan plan = { 0 };
    struct err refused = { 0 };
    descriptor engine;
    bool suitable = false;
    int64_t got;

    if (create(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine, err) != 0)
        return -1;
    int rc = get(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine, &got, err);
    if (rc == 0)
        rc = judge(g, engine, &suitable, plan.name, err);
    destroy(&engine);
    if (rc != 0 || !suitable)
        return rc;
    if (name_knobs(config, plan.name, err) != 0)
        return -1;
    for (int i = 0; i < *n; i++)
        if (strcmp(plans[i].name, plan.name) == 0)
            return 0;
    if (plan_of(g, config, &plan, &refused) != 0)
        return 0;
    if (plan.workspace <= workspace)
        plans[(*n)++] = plan;
    else
        conv_plan_destroy(&plan);
    return 0;
}

static int propose(const struct conv_graph *g, cudnnBackendHeurMode_t mode, size_t workspace, int max,
                   struct conv_plan *plans, int *n, struct err *err)
{
    const struct attribute attributes[] = {
        { CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->graph },
        { CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode },
        PROFILE(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, g->target),
    };
    descriptor heuristics, configs[PROPOSALS_MAX] = { 0 };
    int64_t proposed = 0;
    int rc =
        describe(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, attributes, g->target.handle != NULL ? 2 : 3, &heuristics, err);

    for (int i = 0; rc == 0 && i < PROPOSALS_MAX; i++)
        rc = create(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i], err);
    if (rc == 0)
        rc = get(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, PROPOSALS_MAX, configs,
                 &proposed, err);
    for (int64_t i = 0; rc == 0 && i < proposed && *n < max; i++)
        rc = consider(g, configs[i], workspace, plans, n, err);
    for (int i = 0; i < PROPOSALS_MAX; i++)
        destroy(&configs[i]);
    destroy(&heuristics);
    return rc;
}

int conv_graph_propose(const struct conv_graph *g, size_t workspace, int max, struct conv_plan *plans, struct err *err)
{
    int n = 0;
    /* The second mode has what serves any shape, should the first have nothing suitable. */
    if (propose(g, CUDNN_HEUR_MODE_A, workspace, max, plans, &n, err) == 0 &&
        propose(g, CUDNN_HEUR_MODE_FALLBACK, workspace, max, plans, &n, err) == 0)
        return n;
    while (n > 0)
        conv_plan_destroy(&plans[--n]);
    return -1;
}

static int knob(int type, int64_t value, descriptor *d, struct err *err)
{
    const cudnnBackendKnobType_t knob_type = (cudnnBackendKnobType_t)type;
    const struct attribute attributes[] = {
        { CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &knob_type },
        { CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value },
    };
    return describe(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, attributes, COUNT(attributes), d, err);
}

/* The engine and its knobs' settings from `name`: how many knobs, or -1. */
static int parse(const char *name, int64_t *number, int *types, int64_t *values)
{
    char *end;
    int n = 0;
    *number = strtoll(name, &end, 10);
    if (end == name)
        return -1;
    while (*end) {
        const char *at = end;
        if (n == KNOBS_MAX || *at != ' ')
            return -1;
        types[n] = (int)strtol(at, &end, 10);
        if (end == at || *end != '=')
            return -1;
        at = end + 1;
        values[n++] = strtoll(at, &end, 10);
        if (end == at)
            return -1;
    }
    return n;
}

int conv_graph_plan(const struct conv_graph *g, const char *name, struct conv_plan *plan, struct err *err)
{
    int64_t number, values[KNOBS_MAX];
    int types[KNOBS_MAX], rc = -1;
    descriptor engine = NULL, config = NULL, knobs[KNOBS_MAX] = { 0 };
    const int n = parse(name, &number, types, values);

    plan->plan = NULL;
    if (n < 0 || snprintf(plan->name, sizeof plan->name, "%s", name) >= (int)sizeof plan->name)
        return err_set(err, "%s: \"%s\" names no engine of cuDNN", what, name);
    const struct attribute of_engine[] = {
        { CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &g->graph },
        { CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number },
        PROFILE(CUDNN_ATTR_ENGINE_DEVICEPROP, g->target),
    }, of_config[] = {
        { CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine },
        { CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, knobs },
    };
    for (int i = 0; i < n; i++)
        if (knob(types[i], values[i], &knobs[i], err) != 0)
            goto out;
    if (describe(CUDNN_BACKEND_ENGINE_DESCRIPTOR, of_engine, g->target.handle != NULL ? 2 : 3, &engine, err) == 0 &&
        describe(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, of_config, n > 0 ? 2 : 1, &config, err) == 0)
        rc = plan_of(g, config, plan, err);
out:
    destroy(&config);
    destroy(&engine);
    for (int i = 0; i < n; i++)
        destroy(&knobs[i]);
    return rc;
}

int conv_plan_run(cudnnHandle_t handle, const struct conv_plan *plan, const void *x, const void *w, const void *y,
                  void *workspace, struct err *err)
{
    const int64_t ids[] = { ID_X, ID_W, ID_Y };
    const void *const pointers[] = { x, w, y };
    const struct attribute attributes[] = {
        { CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, COUNT(ids), ids },
        { CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, COUNT(pointers), pointers },
        { CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace },
    };
    descriptor pack;

    if (describe(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, attributes, COUNT(attributes), &pack, err) != 0)
        return -1;
    int rc = cuda_check_cudnn(cudnnBackendExecute(handle, plan->plan, pack), "convolution", err);
    destroy(&pack);
    return rc;
}
