/* Rough estimates of duration: the schedule needs their ratios, people their
 * order of magnitude; measured times take over during a run.
 *
 * Calibrated on a core of an AMD EPYC with AVX-512 (processor time, one thread),
 * against `dinf bench train` for networks, `dinf bench gmm` and `mutual-information`
 * for statistics (their constants stand in stats/), and the tasks of
 * tests/e2e/tiny.cfg and configs/demo.cfg: right within a factor of about 3. What
 * they do not know is how many iterations a mixture takes. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conf/json.h"
#include "nn/nn.h"
#include "tasks/common.h"

/* Small convolutions in fp32; with fewer channels than a vector has lanes they cost
 * what a whole vector does. */
static const double flops_per_second = 1.2e11;
enum { LANES = 16 };

const double task_start_seconds = 0.05;
static const double seconds_per_value = 3e-8; /* of a compressed array, read or written */

static int layers_of(const cJSON *block)
{
    int layers;
    return sscanf(json_text(block, "arch", "resnet18"), "resnet%d", &layers) == 1 && layers >= 3 ? layers : 18;
}

static bool has_bottlenecks(int layers)
{
    return layers == 26 || layers >= 50;
}

/* In a ResNet every 3x3 convolution costs about the same: 64 x 64 x 9 products at
 * 32 x 32 positions. The name says how many there are, a quarter of them in each stage. */
double task_forward_seconds(const cJSON *block, int size)
{
    int layers = layers_of(block), stages = layers == 8 ? 3 : 4;
    double width = json_number(block, "width", 1), filled = 0;
    double products = (layers - 2) * (has_bottlenecks(layers) ? 27e6 : 35e6) * width * width * size * size / 1024.0;
    if (strcmp(json_text(block, "stem", "cifar"), "imagenet") == 0)
        products /= 14;
    for (int stage = 0; stage < stages; stage++)
        filled += pow(fmax(LANES / ((64 << stage) * width), 1), 2) / stages;
    return 2 * products * filled / flops_per_second;
}

double task_training_seconds(const cJSON *params, int64_t images, int size, int views)
{
    double seen = (double)images * json_number(params, "epochs", 100), limit = json_number(params, "max_steps", 0);
    if (limit > 0 && seen > limit * json_number(params, "batch", 256))
        seen = limit * json_number(params, "batch", 256);
    return 2 * task_start_seconds + 3 * seen * views * task_forward_seconds(params, size);
}

double task_array_seconds(int64_t rows, int64_t columns)
{
    return seconds_per_value * (double)rows * (double)columns;
}

void task_encoder_extent(const cJSON *block, int size, struct task_extent *out)
{
    out->dim = encoder_dim_of(block);
    out->size = size;
    out->image_seconds = task_forward_seconds(block, size);
}
