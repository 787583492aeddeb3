/* Encoders in inference: making, and representations of images. */
#include "nn/encoder.h"

#include <string.h>

#include "base/mem.h"
#include "base/stop.h"
#include "data/resize.h"
#include "nn/augment.h"
#include "nn/query_views.h"

void encoder_destroy(struct encoder *e)
{
    if (e == NULL)
        return;
    e->dev->ops->free(e->dev, e->pixels);
    e->dev->ops->free(e->dev, e->views);
    pass_destroy(e->pass);
    network_destroy(e->net);
    mem_free(e);
}

int encoder_dim(const struct encoder *e)
{
    return e->net->tensors[e->net->representation].c;
}

int encoder_size(const struct encoder *e)
{
    return e->pipeline.size;
}

void encoder_moments(const struct encoder *e, float mean[3], float std[3])
{
    memcpy(mean, e->pipeline.mean, sizeof e->pipeline.mean);
    memcpy(std, e->pipeline.std, sizeof e->pipeline.std);
}

int64_t encoder_parameters(const struct encoder *e)
{
    return network_encoder_parameters(e->net);
}

const char *encoder_arch(const struct encoder *e)
{
    return e->config.arch;
}

const char *encoder_stem(const struct encoder *e)
{
    return e->config.stem;
}

double encoder_width(const struct encoder *e)
{
    return e->config.width;
}

struct augment_target pipeline_target(const struct pipeline *p, enum precision precision)
{
    struct augment_target t = { .h = p->size, .w = p->size, .precision = precision };
    memcpy(t.mean, p->mean, sizeof t.mean);
    memcpy(t.std, p->std, sizeof t.std);
    return t;
}

struct encoder *encoder_random(struct device *dev, const cJSON *block, uint64_t seed, int size, const float mean[3],
                               const float std[3], struct err *err)
{
    struct encoder *e = mem_alloc(1, sizeof *e, err);
    if (e == NULL)
        return NULL;
    e->dev = dev;
    e->pipeline.size = size;
    memcpy(e->pipeline.mean, mean, sizeof e->pipeline.mean);
    memcpy(e->pipeline.std, std, sizeof e->pipeline.std);
    if (encoder_config_parse(block, &e->config, err) != 0 ||
        (e->net = network_build(dev, &e->config, 0, err)) == NULL || network_init(e->net, seed, err) != 0 ||
        network_fold(e->net, err) != 0)
        goto fail;
    return e;
fail:
    encoder_destroy(e);
    return NULL;
}

/* Images are taken in batches of equal size, as few as `batch` allows, so that
 * one pass serves all and the last batch is padded by less than one image each. */
static int64_t balanced_batch(int64_t n, int64_t batch)
{
    int64_t batches = (n + batch - 1) / batch;
    return (n + batches - 1) / batches;
}

static int64_t images_at_a_time(int64_t n, int views, int batch)
{
    return balanced_batch(n, batch / views > 0 ? batch / views : 1);
}

/* Of an image on the device: resized to the encoder's input. */
static size_t image_bytes(const struct encoder *e)
{
    return 3 * (size_t)e->pipeline.size * (size_t)e->pipeline.size;
}

int encoder_prepare(struct encoder *e, const struct images *im, int views, int batch, struct err *err)
{
    const int64_t images = images_at_a_time(im->n, views, batch), rows = images * views;
    size_t bytes = (size_t)images * image_bytes(e);
    if (bytes > e->pixels_bytes) {
        e->dev->ops->free(e->dev, e->pixels);
        e->pixels_bytes = 0;
        e->pixels = e->dev->ops->alloc(e->dev, bytes, err);
        if (e->pixels == NULL)
            return -1;
        e->pixels_bytes = bytes;
    }
    if (e->pass != NULL && e->views != NULL && e->pass->n == rows)
        return 0;
    pass_destroy(e->pass);
    e->dev->ops->free(e->dev, e->views);
    e->views = NULL;
    e->pass = pass_create(e->net, PASS_FOLDED, PRECISION_FP32, (int)rows, 1, e->pipeline.size, e->pipeline.size, err);
    if (e->pass != NULL)
        e->views = e->dev->ops->alloc(e->dev, (size_t)rows * sizeof *e->views, err);
    return e->views == NULL ? -1 : 0;
}

/* How the victim is asked; strength of "none" and any seed for plain images. */
struct queries {
    struct augment_strength strength;
    uint64_t seed;
    const int64_t *key;
    int views;
};

/* One batch on its way to the device. */
struct batch {
    struct augment_view *views;
    struct resizer *resizer; /* NULL: the images have the encoder's size */
    uint8_t *resized;
};

static void batch_fini(struct batch *b)
{
    mem_free(b->views);
    mem_free(b->resized);
    resizer_destroy(b->resizer);
}

static int batch_init(struct batch *b, const struct encoder *e, const struct images *im, int64_t images, int64_t rows,
                      struct err *err)
{
    const int size = e->pipeline.size;
    b->views = mem_alloc((size_t)rows, sizeof *b->views, err);
    if (b->views == NULL || (im->h == size && im->w == size))
        return b->views == NULL ? -1 : 0;
    const struct resize_to to = resize_square(size);
    b->resizer = resizer_create(im->h, im->w, &to, err);
    b->resized = mem_alloc((size_t)images, image_bytes(e), err);
    return b->resizer == NULL || b->resized == NULL ? -1 : 0;
}

static struct augment_view queried_view(const struct queries *q, int size, int64_t i, int64_t v)
{
    int64_t key = q->key != NULL ? q->key[i] : i;
    return augment_draw(&q->strength, q->seed, 0, (uint32_t)key, (uint32_t)v, size, size);
}

/* Images begin .. begin + n - 1 and their views, to the device. */
static int batch_upload(struct batch *b, struct encoder *e, const struct images *im, const struct queries *q,
                        int64_t begin, int64_t n, struct err *err)
{
    const int size = e->pipeline.size;
    const struct device_ops *ops = e->dev->ops;
    const int64_t rows = e->pass->n;
    const uint8_t *pixels = im->pixels + (size_t)begin * 3 * (size_t)im->h * (size_t)im->w;
    if (b->resizer != NULL) {
        resizer_bytes(b->resizer, pixels, 3 * (size_t)n, b->resized);
        pixels = b->resized;
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t i = r / q->views < n ? r / q->views : 0; /* rows beyond the last image repeat the first */
        b->views[r] = queried_view(q, size, begin + i, r % q->views);
        b->views[r].image = (int32_t)i;
    }
    return ops->upload(e->dev, e->pixels, pixels, (size_t)n * image_bytes(e), err) != 0 ||
                   augment_check(3, size, size, b->views, (int)rows, err) != 0 ||
                   ops->upload(e->dev, e->views, b->views, (size_t)rows * sizeof *b->views, err) != 0
               ? -1
               : 0;
}

static int embed_views(struct encoder *e, const struct images *im, const struct queries *q, int batch, float *out,
                       void (*progress)(void *, double), void *arg, struct err *err)
{
    int rc = -1;
    if (im->c != 3 || im->h != im->w)
        return err_set(err, "an encoder takes square images of 3 channels, not %d x %d of %d", im->h, im->w, im->c);
    if (im->n == 0)
        return 0;
    const struct device_ops *ops = e->dev->ops;
    const int size = e->pipeline.size;
    const int64_t views = q->views, chunk = images_at_a_time(im->n, q->views, batch);
    const size_t dim = (size_t)encoder_dim(e);
    const struct augment_target target = pipeline_target(&e->pipeline, PRECISION_FP32);
    struct batch b = { 0 };
    if (batch_init(&b, e, im, chunk, chunk * views, err) != 0 || encoder_prepare(e, im, q->views, batch, err) != 0)
        goto out;
    for (int64_t begin = 0; begin < im->n; begin += chunk) {
        if (stop_requested()) {
            rc = STOPPED;
            goto out;
        }
        int64_t n = im->n - begin < chunk ? im->n - begin : chunk;
        if (batch_upload(&b, e, im, q, begin, n, err) != 0 ||
            ops->augment(e->dev, e->pixels, 3, size, size, e->views, e->pass->n, &target, pass_input(e->pass), err) ||
            pass_forward(e->pass, err) != 0 ||
            ops->download(e->dev, out + (size_t)(begin * views) * dim, pass_output(e->pass),
                          (size_t)(n * views) * dim * sizeof *out, err) != 0)
            goto out;
        if (progress != NULL)
            progress(arg, (double)(begin + n) / (double)im->n);
    }
    rc = 0;
out:
    batch_fini(&b);
    return rc;
}

int encoder_embed(struct encoder *e, const struct images *im, int batch, float *out, void (*progress)(void *, double),
                  void *arg, struct err *err)
{
    const struct queries plain = { .strength = { .crop_min = 1, .crop_max = 1 }, .views = 1 };
    return embed_views(e, im, &plain, batch, out, progress, arg, err);
}

int encoder_answer(struct encoder *e, const struct images *im, const int64_t *key, int views, const cJSON *augment,
                   int batch, float *out, void (*progress)(void *, double), void *arg, struct err *err)
{
    struct queries q = { .key = key, .views = views };
    if (augment_query_parse(augment, &q.strength, &q.seed, err) != 0)
        return -1;
    return embed_views(e, im, &q, batch, out, progress, arg, err);
}
