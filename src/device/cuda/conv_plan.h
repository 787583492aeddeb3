/* The products of a convolution by cuDNN's graph interface: the operation, what
 * may run it, and the running. Everything but the running works without a GPU,
 * given the description of one (cuDNN 9.8 or later).
 *
 * Operands are NHWC and KRSC: x (n, h, w, c_in), weights (c_out, kernel, kernel,
 * c_in), y (n, oh, ow, c_out), each at a multiple of 16 bytes; all of the
 * precision's type, sums in float. */
#ifndef DINF_DEVICE_CUDA_CONV_PLAN_H
#define DINF_DEVICE_CUDA_CONV_PLAN_H

#include <cudnn.h>

#include "device/device.h"

enum conv_pass { CONV_FORWARD, CONV_BACKWARD_DATA, CONV_BACKWARD_WEIGHT, CONV_PASSES };

struct conv_problem {
    enum conv_pass pass;
    enum precision precision;
    int n, h, w, c_in;
    int oh, ow, c_out;
    int kernel, stride, padding;
};

/* Channels that an input has for cuDNN: c, or what the precision's tensor cores
 * read (16 bytes or a multiple), the rest being zeros. */
static inline int conv_channels(enum precision precision, int c)
{
    const int multiple = precision == PRECISION_BF16 ? 8 : precision == PRECISION_TF32 ? 4 : 1;
    return (c + multiple - 1) / multiple * multiple;
}

/* Where it shall run: one of both. */
struct conv_target {
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t profile; /* CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR: a GPU that is not here */
};

enum { CONV_PLAN_NAME = 256 };

struct conv_plan {
    cudnnBackendDescriptor_t plan; /* NULL: none */
    size_t workspace;              /* bytes; 0 is possible */
    char name[CONV_PLAN_NAME];     /* cuDNN's number of the engine, then its knobs: "62 1=4 17=0" */
};

/* The operation; NULL and a message. `target` is read until it is destroyed. */
struct conv_graph *conv_graph_create(const struct conv_target *target, const struct conv_problem *problem,
                                     struct err *err);
void conv_graph_destroy(struct conv_graph *graph);

/* What cuDNN's heuristics propose, the most promising first: at most `max` plans
 * that repeat their bits, need at most `workspace` bytes, do not compute more
 * coarsely than the precision says (in fp32: no tensor cores) and need no compiler
 * at run time. Their number, or -1 and a message; each to be destroyed. */
int conv_graph_propose(const struct conv_graph *graph, size_t workspace, int max, struct conv_plan *plans,
                       struct err *err);

/* The plan that has this name. 0, or -1 and a message. */
int conv_graph_plan(const struct conv_graph *graph, const char *name, struct conv_plan *plan, struct err *err);
void conv_plan_destroy(struct conv_plan *plan);

/* Queues it: x, w and y as the pass reads and writes them. Pointers need to stay
 * valid until it has run. */
int conv_plan_run(cudnnHandle_t handle, const struct conv_plan *plan, const void *x, const void *w, const void *y,
                  void *workspace, struct err *err);

#endif
