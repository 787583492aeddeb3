/* InfoNCE (NT-Xent: Chen et al., "A simple framework for contrastive learning of
 * visual representations", ICML 2020): the mean over rows i of
 *     -log softmax_j(f_i . f_j / temperature) at the positive of i,
 * f the normalised features, j over all rows that do not belong to the same
 * image, and the positive.
 *
 * Self-supervised, the features are z of two views and the positive is the other
 * view. In a theft they are z and the victim's answers t together: z_i and t_i
 * are each other's positive, what else belongs to the same image is left out,
 * and the gradient goes into z alone. */
#include <stddef.h>

#include "base/mem.h"
#include "nn/loss.h"

enum { LEAST_IMAGES = 2 };

struct infonce_options {
    double temperature;
};

static const struct option options[] = {
    { "temperature", OPTION_FLOAT, offsetof(struct infonce_options, temperature), "0.2", 1e-3, 100, NULL, NULL,
      "divides the similarities" },
    OPTION_END,
};

struct loss {
    struct device *dev;
    float temperature;
    enum precision precision;
    int rows, dim;             /* of z */
    int all;                   /* rows of z and t */
    float *features;           /* (all, dim) normalised: z, then t */
    float *inverse;            /* (all) */
    float *logits;             /* (all, all) */
    float *gradient;           /* (rows, dim) at the features of z */
    float *losses;             /* (all) */
    int32_t *positive, *group; /* (all) */
};

static void destroy(struct loss *l)
{
    if (l == NULL)
        return;
    void (*release)(struct device *, void *) = l->dev->ops->free;
    release(l->dev, l->features);
    release(l->dev, l->inverse);
    release(l->dev, l->logits);
    release(l->dev, l->gradient);
    release(l->dev, l->losses);
    release(l->dev, l->positive);
    release(l->dev, l->group);
    mem_free(l);
}

/* Row r belongs to image r mod images, in z as in t. */
static int upload_indices(struct loss *l, const struct loss_shape *shape, struct err *err)
{
    int rc = -1;
    size_t n = (size_t)l->all;
    int32_t *host = mem_alloc(2 * n, sizeof *host, err);
    if (host == NULL)
        return -1;
    for (int r = 0; r < l->all; r++) {
        int partner = shape->targets ? l->rows : shape->images;
        host[r] = (r + partner) % l->all;
        host[n + (size_t)r] = r % shape->images;
    }
    if (l->dev->ops->upload(l->dev, l->positive, host, n * sizeof *host, err) == 0 &&
        l->dev->ops->upload(l->dev, l->group, host + n, n * sizeof *host, err) == 0)
        rc = 0;
    mem_free(host);
    return rc;
}

static struct loss *create(struct device *dev, const void *from, const struct loss_shape *shape, struct err *err)
{
    const struct infonce_options *o = from;
    if (shape->images < LEAST_IMAGES) {
        err_set(err, "infonce needs at least two images in a batch: without others there is nothing to contrast");
        return NULL;
    }
    struct loss *l = mem_alloc(1, sizeof *l, err);
    if (l == NULL)
        return NULL;
    l->dev = dev;
    l->temperature = (float)o->temperature;
    l->precision = shape->precision;
    l->dim = shape->dim;
    l->rows = shape->images * shape->views;
    l->all = shape->targets ? 2 * l->rows : l->rows;
    size_t all = (size_t)l->all, d = (size_t)l->dim, word = sizeof(float);
    if ((l->features = dev->ops->alloc(dev, all * d * word, err)) == NULL ||
        (l->inverse = dev->ops->alloc(dev, all * word, err)) == NULL ||
        (l->logits = dev->ops->alloc(dev, all * all * word, err)) == NULL ||
        (l->gradient = dev->ops->alloc(dev, (size_t)l->rows * d * word, err)) == NULL ||
        (l->losses = dev->ops->alloc(dev, all * word, err)) == NULL ||
        (l->positive = dev->ops->alloc(dev, all * sizeof(int32_t), err)) == NULL ||
        (l->group = dev->ops->alloc(dev, all * sizeof(int32_t), err)) == NULL || upload_indices(l, shape, err) != 0) {
        destroy(l);
        return NULL;
    }
    return l;
}

static int run(struct loss *l, const struct loss_input *in, float *dz, double *total, struct err *err)
{
    struct device *dev = l->dev;
    const struct device_ops *ops = dev->ops;
    const int rows = l->rows, all = l->all, d = l->dim;
    const float sharp = 1 / l->temperature;
    const struct normalize_rows own = { rows, d, in->z, l->features, l->inverse };
    const struct normalize_rows answers = { all - rows, d, in->target, l->features + (size_t)rows * (size_t)d,
                                            l->inverse + rows };
    const struct contrastive_rows contrast = {
        .rows = all,
        .columns = all,
        .logits = l->logits,
        .positive = l->positive,
        .row_group = l->group,
        .group = l->group,
        .scale = 1 / (float)all,
        .losses = l->losses,
    };
    const struct normalize_rows_backward back = { rows, d, l->features, l->inverse, l->gradient, dz };
    const struct factor features = { l->features, d, TRANS_NO }, features_t = { l->features, d, TRANS_YES },
                        logits = { l->logits, all, TRANS_NO }, logits_t = { l->logits, all, TRANS_YES };
    const struct gemm similarities = { l->precision, all, all, d, sharp, features, features_t, 0, l->logits, all };
    /* logits = F F^T / temperature, so their gradient G comes back as (G + G^T) F / temperature */
    const struct gemm gradient = { l->precision, rows, d, all, sharp, logits, features, 0, l->gradient, d };
    const struct gemm transposed = { l->precision, rows, d, all, sharp, logits_t, features, 1, l->gradient, d };
    if (ops->normalize_rows(dev, &own, err) != 0 || ops->normalize_rows(dev, &answers, err) != 0 ||
        ops->gemm(dev, &similarities, err) != 0 || ops->contrastive_rows(dev, &contrast, err) != 0 ||
        ops->gemm(dev, &gradient, err) != 0 || ops->gemm(dev, &transposed, err) != 0 ||
        ops->normalize_rows_backward(dev, &back, err) != 0 ||
        ops->add_mean(dev, &(struct add_mean){ (size_t)all, l->losses, total }, err) != 0)
        return -1;
    return 0;
}

const struct loss_kind loss_kind_infonce = { .row = { .name = "infonce",
                                                      .help = "contrast with the other images of the batch",
                                                      .options = options,
                                                      .options_size = sizeof(struct infonce_options),
                                                      .operations = { "normalize_rows", "normalize_rows_backward",
                                                                      "contrastive_rows", "add_mean" } },
                                             .views = 2,
                                             .accepts_targets = true,
                                             .least_images = LEAST_IMAGES,
                                             .create = create,
                                             .destroy = destroy,
                                             .run = run };
