/* Rough estimates of duration: the schedule needs their ratios, people their
 * order of magnitude; measured times take over during a run. */
#include <stdio.h>
#include <string.h>

#include "tasks/common.h"

/* A present-day core, small convolutions in fp32. */
static const double flops_per_second = 1.2e11;

static const char *string_of(const cJSON *block, const char *name, const char *preset)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(block, name);
    return cJSON_IsString(v) ? v->valuestring : preset;
}

static double number_of(const cJSON *block, const char *name, double preset)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(block, name);
    return cJSON_IsNumber(v) ? v->valuedouble : preset;
}

/* In a ResNet every 3x3 convolution costs about the same: 64 x 64 x 9 products at
 * 32 x 32 positions. The name says how many there are. */
double task_forward_seconds(const cJSON *block, int size)
{
    int layers = 18;
    double width = number_of(block, "width", 1);
    if (sscanf(string_of(block, "arch", "resnet18"), "resnet%d", &layers) != 1 || layers < 3)
        layers = 18;
    double products = (layers - 2) * (layers >= 50 ? 27e6 : 35e6) * width * width * size * size / (32.0 * 32.0);
    if (strcmp(string_of(block, "stem", "cifar"), "imagenet") == 0)
        products /= 14;
    return 2 * products / flops_per_second;
}

double task_training_seconds(const cJSON *params, int views)
{
    int64_t n;
    int size;
    task_shape(params, &n, &size);
    double images = (double)n * number_of(params, "epochs", 100), limit = number_of(params, "max_steps", 0);
    if (limit > 0 && images > limit * number_of(params, "batch", 256))
        images = limit * number_of(params, "batch", 256);
    return 0.1 + 3 * images * views * task_forward_seconds(params, size);
}
