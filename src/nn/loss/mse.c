/* Mean squared error against the victim's answers: a theft by regression. */
#include "base/mem.h"
#include "nn/loss.h"

struct loss {
    struct device *dev;
    int rows, dim;
    float *losses; /* (rows) */
};

static void destroy(struct loss *l)
{
    if (l == NULL)
        return;
    l->dev->ops->free(l->dev, l->losses);
    mem_free(l);
}

static struct loss *create(struct device *dev, const void *options, const struct loss_shape *shape, struct err *err)
{
    (void)options;
    struct loss *l = mem_alloc(1, sizeof *l, err);
    if (l == NULL)
        return NULL;
    l->dev = dev;
    l->rows = shape->images * shape->views;
    l->dim = shape->dim;
    l->losses = dev->ops->alloc(dev, (size_t)l->rows * sizeof *l->losses, err);
    if (l->losses == NULL) {
        destroy(l);
        return NULL;
    }
    return l;
}

static int run(struct loss *l, const struct loss_input *in, float *dz, double *total, struct err *err)
{
    const struct device_ops *ops = l->dev->ops;
    const struct mse_rows mse = { l->rows, l->dim, in->z, in->target, 1 / (float)l->rows, dz, l->losses };
    if (ops->mse_rows(l->dev, &mse, err) != 0)
        return -1;
    return ops->add_mean(l->dev, &(struct add_mean){ (size_t)l->rows, l->losses, total }, err);
}

static const struct option options_none[] = { OPTION_END };

const struct loss_kind loss_kind_mse = { .row = { .name = "mse",
                                                  .help = "mean squared error against the victim's answers",
                                                  .options = options_none,
                                                  .operations = { "mse_rows", "add_mean" } },
                                         .views = 0,
                                         .accepts_targets = true,
                                         .least_images = 1,
                                         .create = create,
                                         .destroy = destroy,
                                         .run = run };
