/* gpu_plans PROFILE...: asks the real cuDNN, without a GPU, what it would run the
 * convolutions of our encoders with on the GPUs that the files describe
 * (cuDNN's own representation of a device, in profiles/): that every product in
 * every precision has a plan that repeats its bits within the workspace, that
 * descriptors are what cuDNN expects, and that a plan's name gives the plan again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/conv_plan.h"

enum { SKIPPED = 77, PLANS = 16, WORKSPACE = 256 << 20, JSON_MAX = 1 << 16 };

#if CUDNN_VERSION >= 90800

static int failed, products, fewest = PLANS;

static void fail(const struct conv_problem *p, const char *why)
{
    static const char *const names[] = { "forward", "backward_data", "backward_weight" };
    printf("FAIL %s %s n%d c%d h%d f%d k%d s%d: %s\n", precision_names[p->precision], names[p->pass], p->n, p->c_in,
           p->h, p->c_out, p->kernel, p->stride, why);
    failed++;
}

static void check_problem(const struct conv_target *target, const struct conv_problem *p)
{
    struct err err = { 0 };
    struct conv_plan plans[PLANS], again;
    struct conv_graph *graph = conv_graph_create(target, p, &err);
    if (graph == NULL) {
        fail(p, err.text);
        return;
    }
    const int n = conv_graph_propose(graph, WORKSPACE, PLANS, plans, &err);
    if (n <= 0)
        fail(p, n < 0 ? err.text : "no plan");
    fewest = n < fewest ? n : fewest;
    products++;
    for (int i = 0; i < n; i++) {
        if (conv_graph_plan(graph, plans[i].name, &again, &err) != 0)
            fail(p, err.text);
        else if (again.workspace != plans[i].workspace)
            fail(p, "a plan's name gives another plan");
        conv_plan_destroy(&again);
        conv_plan_destroy(&plans[i]);
    }
    conv_graph_destroy(graph);
}

/* One convolution in every precision and pass. */
static void check(const struct conv_target *target, int n, int c_in, int size, int c_out, int kernel, int stride)
{
    const int padding = kernel / 2, out = (size + 2 * padding - kernel) / stride + 1;
    for (enum precision precision = 0; precision <= PRECISION_BF16; precision++)
        for (enum conv_pass pass = 0; pass < CONV_PASSES; pass++) {
            const struct conv_problem p = { .pass = pass,
                                            .precision = precision,
                                            .n = n,
                                            .h = size,
                                            .w = size,
                                            .c_in = conv_channels(precision, c_in),
                                            .oh = out,
                                            .ow = out,
                                            .c_out = c_out,
                                            .kernel = kernel,
                                            .stride = stride,
                                            .padding = padding };
            check_problem(target, &p);
        }
}

/* The four stages behind a stem: of ResNet-18 and -34 (expansion 1), of ResNet-50 (4). */
static void check_stages(const struct conv_target *target, int n, int size, int expansion)
{
    int c = 64;
    for (int width = 64; width <= 512; width *= 2) {
        const int stride = width == 64 ? 1 : 2, out = width * expansion, half = size / stride;
        if (expansion == 1) {
            check(target, n, c, size, width, 3, stride);
            check(target, n, width, half, width, 3, 1);
        } else {
            check(target, n, c, size, width, 1, 1);
            check(target, n, width, size, width, 3, stride);
            check(target, n, width, half, out, 1, 1);
            check(target, n, out, half, width, 1, 1);
        }
        if (c != out)
            check(target, n, c, size, out, 1, stride);
        c = out;
        size = half;
    }
}

static int check_profile(const char *path)
{
    static char json[JSON_MAX];
    struct conv_target target = { 0 };
    FILE *f = fopen(path, "r");
    if (f == NULL || fread(json, 1, sizeof json - 1, f) == 0) {
        printf("FAIL cannot read %s\n", path);
        return 1;
    }
    fclose(f);
    char why[256] = "";
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &target.profile) != CUDNN_STATUS_SUCCESS ||
        cudnnBackendSetAttribute(target.profile, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                 (int64_t)strlen(json) + 1, json) != CUDNN_STATUS_SUCCESS ||
        cudnnBackendFinalize(target.profile) != CUDNN_STATUS_SUCCESS) {
        cudnnGetLastErrorString(why, sizeof why);
        printf("FAIL cuDNN refuses %s: %s\n", path, why);
        return 1;
    }
    failed = products = 0;
    fewest = PLANS;
    check(&target, 512, 3, 32, 64, 3, 1); /* stems: of CIFAR, of ImageNet */
    check(&target, 64, 3, 224, 64, 7, 2);
    check_stages(&target, 512, 32, 1);
    check_stages(&target, 7, 32, 1); /* a tail */
    check_stages(&target, 64, 56, 4);
    check(&target, 100, 1, 8, 16, 3, 1); /* a small encoder of grey images */
    check(&target, 100, 16, 8, 32, 3, 2);
    check(&target, 3, 5, 9, 7, 5, 2); /* odd everything */
    cudnnBackendDestroyDescriptor(target.profile);
    printf("%s: %d of %d products; at least %d plans each\n", path, products - failed, products, fewest);
    return failed;
}

int main(int argc, char **argv)
{
    int failures = argc < 2;
    if (cudnnGetVersion() < 90800) {
        printf("SKIP cuDNN %zu plans nothing without a GPU\n", cudnnGetVersion());
        return SKIPPED;
    }
    for (int i = 1; i < argc; i++)
        failures += check_profile(argv[i]);
    return failures != 0;
}

#else

int main(void)
{
    printf("SKIP cuDNN %d plans nothing without a GPU\n", CUDNN_VERSION);
    return SKIPPED;
}

#endif
