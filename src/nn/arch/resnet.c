/* Residual networks (He et al., "Deep residual learning for image recognition",
 * CVPR 2016) with torchvision's conventions: tensor names, projection shortcuts
 * where the shape changes, the stride of a bottleneck in its 3x3 convolution.
 *
 * stem "imagenet": 7x7 convolution of stride 2 and max pooling; "cifar": 3x3
 * convolution of stride 1, for small images. Stage i has 64 width 2^i channels. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/arch.h"

enum { STAGES_MAX = 4, BOTTLENECK_EXPANSION = 4 };

struct resnet {
    bool bottleneck;
    int blocks[STAGES_MAX]; /* 0 ends */
};

/* A convolution with the names that torchvision gives it inside a block. */
static int unit(struct network *net, int input, int residual, const char *block, const char *conv, const char *norm,
                int c, int kernel, int stride, bool relu, struct err *err)
{
    char conv_name[64], norm_name[64];
    snprintf(conv_name, sizeof conv_name, "%s.%s", block, conv);
    snprintf(norm_name, sizeof norm_name, "%s.%s", block, norm);
    return network_conv_norm(net, input, residual, conv_name, norm_name, c, kernel, stride, relu, err);
}

static int add_block(struct network *net, int x, bool bottleneck, const char *name, int planes, int stride,
                     struct err *err)
{
    int c = bottleneck ? planes * BOTTLENECK_EXPANSION : planes, shortcut = x, y;
    if (bottleneck) {
        y = unit(net, x, -1, name, "conv1", "bn1", planes, 1, 1, true, err);
        y = y < 0 ? -1 : unit(net, y, -1, name, "conv2", "bn2", planes, 3, stride, true, err);
    } else {
        y = unit(net, x, -1, name, "conv1", "bn1", planes, 3, stride, true, err);
    }
    if (y >= 0 && (stride != 1 || net->tensors[x].c != c))
        shortcut = unit(net, x, -1, name, "downsample.0", "downsample.1", c, 1, stride, false, err);
    if (y < 0 || shortcut < 0)
        return -1;
    return bottleneck ? unit(net, y, shortcut, name, "conv3", "bn3", c, 1, 1, true, err)
                      : unit(net, y, shortcut, name, "conv2", "bn2", c, 3, 1, true, err);
}

static int planes_of(const struct encoder_config *config, int stage)
{
    return (int)lround((64 << stage) * config->width);
}

static int dim(const struct arch_kind *kind, const struct encoder_config *config)
{
    const struct resnet *r = kind->data;
    int stages = 0;
    while (stages < STAGES_MAX && r->blocks[stages] > 0)
        stages++;
    return planes_of(config, stages - 1) * (r->bottleneck ? BOTTLENECK_EXPANSION : 1);
}

static int build(const struct arch_kind *kind, const struct encoder_config *config, struct network *net,
                 struct err *err)
{
    const struct resnet *r = kind->data;
    bool imagenet = strcmp(config->stem, "imagenet") == 0;
    int first = planes_of(config, 0);
    if (first < 1)
        return err_set(err, "width = %g leaves no channel", config->width);
    int x = network_conv_norm(net, 0, -1, "conv1", "bn1", first, imagenet ? 7 : 3, imagenet ? 2 : 1, true, err);
    if (x >= 0 && imagenet)
        x = network_max_pool(net, x, err);
    for (int stage = 0; stage < STAGES_MAX && r->blocks[stage] > 0; stage++) {
        int planes = planes_of(config, stage);
        for (int block = 0; block < r->blocks[stage] && x >= 0; block++) {
            char name[32];
            snprintf(name, sizeof name, "layer%d.%d", stage + 1, block);
            x = add_block(net, x, r->bottleneck, name, planes, stage > 0 && block == 0 ? 2 : 1, err);
        }
    }
    return x < 0 || network_avg_pool(net, x, err) < 0 ? -1 : 0;
}

static const struct option options[] = { OPTION_END };

#define RESNET(id, text, deep, ...)                                                                                    \
    static const struct resnet id = { .bottleneck = deep, .blocks = { __VA_ARGS__ } };                                 \
    const struct arch_kind arch_kind_##id = {                                                                          \
        .row = { .name = #id, .help = text, .options = options }, .data = &id, .build = build, .dim = dim              \
    };

RESNET(resnet8, "residual network, three stages of one basic block", false, 1, 1, 1)
RESNET(resnet10, "residual network, basic blocks 1-1-1-1", false, 1, 1, 1, 1)
RESNET(resnet12, "residual network, basic blocks 2-1-1-1", false, 2, 1, 1, 1)
RESNET(resnet14, "residual network, basic blocks 2-2-1-1", false, 2, 2, 1, 1)
RESNET(resnet16, "residual network, basic blocks 2-2-2-1", false, 2, 2, 2, 1)
RESNET(resnet18, "residual network, basic blocks 2-2-2-2", false, 2, 2, 2, 2)
RESNET(resnet26, "residual network, bottlenecks 2-2-2-2", true, 2, 2, 2, 2)
RESNET(resnet34, "residual network, basic blocks 3-4-6-3", false, 3, 4, 6, 3)
RESNET(resnet50, "residual network, bottlenecks 3-4-6-3", true, 3, 4, 6, 3)
RESNET(resnet101, "residual network, bottlenecks 3-4-23-3", true, 3, 4, 23, 3)
RESNET(resnet152, "residual network, bottlenecks 3-8-36-3", true, 3, 8, 36, 3)
