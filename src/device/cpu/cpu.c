/* The cpu device: oneDNN's convolutions on blocked activations, OpenBLAS, and
 * own vectorised loops for what is bound by memory. */
#include "device/cpu/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "device/augment_host.h"
#include "device/cpu/blas.h"
#include "device/cpu/layout.h"
#include "device/host.h"
#include "device/linalg_tables.h"

static int channel_block(const struct device *dev, int c)
{
    return layout_block(cpu_const(dev)->block, c);
}

static int pack(struct device *dev, const struct act_desc *d, const float *plain, void *act, struct err *err)
{
    (void)err;
    layout_pack(cpu_const(dev)->block, dev->threads, d->n, d->c, d->h * d->w, plain, act);
    return 0;
}

static struct conv *conv_create(struct device *dev, const struct conv_desc *d, struct err *err)
{
    return onednn_conv_create(cpu_const(dev)->onednn, d, err);
}

static size_t conv_weight_bytes(const struct device *dev, int c_out, int c_in, int kernel)
{
    return layout_weight_floats(cpu_const(dev)->block, c_out, c_in, kernel) * sizeof(float);
}

static int conv_weight_pack(struct device *dev, int c_out, int c_in, int kernel, const float *oihw, float *packed,
                            struct err *err)
{
    (void)err;
    layout_weight_pack(cpu_const(dev)->block, c_out, c_in, kernel, oihw, packed);
    return 0;
}

static int conv_weight_unpack(struct device *dev, int c_out, int c_in, int kernel, const float *packed, float *oihw,
                              struct err *err)
{
    (void)err;
    layout_weight_unpack(cpu_const(dev)->block, c_out, c_in, kernel, packed, oihw);
    return 0;
}

static int augment(struct device *dev, const uint8_t *pixels, int c, int h, int w, const struct augment_view *views,
                   int n, const struct augment_target *target, void *out, struct err *err)
{
    return augment_run_host(pixels, c, h, w, views, n, target, out, channel_block(dev, c), dev->threads, err);
}

static void close_cpu(struct device *dev)
{
    struct cpu_device *cpu = (struct cpu_device *)dev;
    onednn_destroy(cpu->onednn);
    mem_free(cpu);
}

static const struct device_ops ops = {
    .name = "cpu",
    .alloc = host_alloc,
    .free = host_free,
    .upload = host_copy,
    .download = host_copy,
    .copy = host_copy,
    .sync = host_sync,
    .memory = host_memory,
    .conv_needs = host_conv_needs,
    .augment_needs = host_augment_needs,
    .look = host_look,
    .seen = host_seen,
    .channel_block = channel_block,
    .pack = pack,
    .conv_create = conv_create,
    .conv_destroy = onednn_conv_destroy,
    .conv_weight_bytes = conv_weight_bytes,
    .conv_weight_pack = conv_weight_pack,
    .conv_weight_unpack = conv_weight_unpack,
    .conv_forward = onednn_conv_forward,
    .conv_backward_data = onednn_conv_backward_data,
    .conv_backward_weight = onednn_conv_backward_weight,
    .batch_norm_create = cpu_batch_norm_create,
    .batch_norm_destroy = cpu_batch_norm_destroy,
    .batch_norm_rounds = cpu_batch_norm_rounds,
    .batch_norm_moments = cpu_batch_norm_moments,
    .batch_norm_finish = cpu_batch_norm_finish,
    .batch_norm_apply = cpu_batch_norm_apply,
    .batch_norm_infer = cpu_batch_norm_infer,
    .batch_norm_products = cpu_batch_norm_products,
    .batch_norm_finish_backward = cpu_batch_norm_finish_backward,
    .batch_norm_input_gradient = cpu_batch_norm_input_gradient,
    .max_pool_forward = cpu_max_pool_forward,
    .max_pool_backward = cpu_max_pool_backward,
    .avg_pool_forward = cpu_avg_pool_forward,
    .avg_pool_backward = cpu_avg_pool_backward,
    .gemm = cpu_gemm,
    .linear = cpu_linear,
#define OP(class, name) .name = cpu_##name,
#include "device/ops.def"
#undef OP
    .augment = augment,
    .linalg = &cpu_linalg,
    .close = close_cpu,
};

static int available(struct err *err)
{
    (void)err;
    return 0;
}

/* The processor's name as the kernel tells it. */
static void processor(char *out, size_t size)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");

    snprintf(out, size, "CPU");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = 0;
            snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " "));
            break;
        }
    }
    if (f != NULL)
        fclose(f);
}

static struct device *open_cpu(const struct device_options *options, struct err *err)
{
    const int threads = options->threads;
    char name[64], version[16];

    if (blas_open(err) != 0)
        return NULL;
    struct cpu_device *cpu = mem_alloc(1, sizeof *cpu, err);
    if (cpu == NULL)
        return NULL;
    omp_set_num_threads(threads);
    cpu->base.ops = &ops;
    cpu->base.threads = threads;
    cpu->block = onednn_block();
    cpu->onednn = onednn_create(threads, err);
    if (cpu->onednn == NULL) {
        mem_free(cpu);
        return NULL;
    }
    processor(name, sizeof name);
    onednn_version(version, sizeof version);
    snprintf(cpu->base.description, sizeof cpu->base.description, "%s, %d thread%s, oneDNN %s (blocks of %d)", name,
             threads, threads == 1 ? "" : "s", version, cpu->block);
    return &cpu->base;
}

static int libraries(struct library *out, int max)
{
    char version[32];
    if (max > 0) {
        out[0].name = "onednn";
        onednn_version(version, sizeof version);
        snprintf(out[0].version, sizeof out[0].version, "%s, up to %s", version, onednn_vectors());
    }
    if (max > 1) {
        out[1].name = "openblas";
        if (blas_open(NULL) == 0)
            snprintf(out[1].version, sizeof out[1].version, "%s, kernels for %s", blas.version, blas.kernels);
        else
            snprintf(out[1].version, sizeof out[1].version, "not here");
    }
    return max < 2 ? max : 2;
}

const struct device_kind device_kind_cpu = {
    .name = "cpu",
    .help = "oneDNN and OpenBLAS, blocked layouts, all its threads",
    .available = available,
    .open = open_cpu,
    .precisions = 1 << PRECISION_FP32,
    .libraries = libraries,
};
