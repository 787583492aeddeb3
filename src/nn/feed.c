/* Steps of a training, drawn and brought to the device. */
#include "nn/feed.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { PART_ALIGN = 256 };

/* Parts of the block that a step uploads. */
enum part { VIEWS, ANSWER_ROWS, LABELS, OPTIMISER, PIXELS, ANSWERS, PARTS };

struct feed {
    struct device *dev;
    const struct train_request *request;
    const struct train_config *config;
    int images, views;
    struct augment_strength target_strength; /* of the views that the victim was asked about */
    uint64_t target_seed;
    char *host, *block;              /* a step's parts, on the host and on the device */
    size_t at[PARTS], bytes;         /* where each begins; of all */
    uint8_t *pixels;                 /* all images on the device, or those of the step in the block */
    float *answers;                  /* likewise the table that answers are gathered from */
    float *gathered;                 /* (images, target_dim), NULL without answers */
    bool resident, answers_resident; /* all of them, not a step's */
    bool borrowed;                   /* device memory is the host's: they are the request's own */
};

static size_t image_bytes(const struct feed *f)
{
    const struct images *im = f->request->data;
    return 3 * (size_t)im->h * (size_t)im->w;
}

void feed_destroy(struct feed *f)
{
    if (f == NULL)
        return;
    void (*release)(struct device *, void *) = f->dev->ops->free;
    if (f->resident && !f->borrowed)
        release(f->dev, f->pixels);
    if (f->answers_resident && !f->borrowed)
        release(f->dev, f->answers);
    release(f->dev, f->gathered);
    release(f->dev, f->block);
    mem_free(f->host);
    mem_free(f);
}

static void add_part(struct feed *f, enum part part, size_t bytes)
{
    f->at[part] = f->bytes;
    f->bytes += (bytes + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN;
}

/* *resident device memory with all of `host`, if there is room for it in *budget. */
static int keep(struct feed *f, const void *host, size_t bytes, size_t *budget, bool *resident, void **where,
                struct err *err)
{
    const struct device_ops *ops = f->dev->ops;
    *resident = bytes <= *budget;
    if (!*resident)
        return 0;
    *budget -= bytes;
    if (f->borrowed) {
        *where = (void *)host; /* only read */
        return 0;
    }
    *where = ops->alloc(f->dev, bytes, err);
    return *where == NULL ? -1 : ops->upload(f->dev, *where, host, bytes, err);
}

static int place(struct feed *f, struct err *err)
{
    const struct train_request *r = f->request;
    const struct device_ops *ops = f->dev->ops;
    const size_t images = (size_t)f->images, dim = r->target != NULL ? (size_t)r->target_dim : 0;
    size_t budget, total;
    void *pixels = NULL, *answers = NULL;
    if (ops->memory(f->dev, &budget, &total, err) != 0)
        return -1;
    f->borrowed = total == SIZE_MAX;
    budget /= 2;
    if (keep(f, r->data->pixels, (size_t)r->data->n * image_bytes(f), &budget, &f->resident, &pixels, err) != 0)
        goto failed;
    if (r->target != NULL && keep(f, r->target, (size_t)r->data->n * (size_t)r->target_views * dim * sizeof *r->target,
                                  &budget, &f->answers_resident, &answers, err) != 0)
        goto failed;
    add_part(f, VIEWS, images * (size_t)f->views * sizeof(struct augment_view));
    add_part(f, ANSWER_ROWS, r->target != NULL ? images * sizeof(int32_t) : 0);
    add_part(f, LABELS, r->data->labels != NULL ? images * sizeof(int32_t) : 0);
    add_part(f, OPTIMISER, f->config->optim->at_size);
    add_part(f, PIXELS, f->resident ? 0 : images * image_bytes(f));
    add_part(f, ANSWERS, f->answers_resident ? 0 : images * dim * sizeof(float));
    f->host = mem_alloc(f->bytes, 1, err);
    f->block = f->host == NULL ? NULL : ops->alloc(f->dev, f->bytes, err);
    if (f->block == NULL)
        goto failed;
    f->pixels = f->resident ? pixels : (uint8_t *)f->block + f->at[PIXELS];
    f->answers = f->answers_resident ? answers : (float *)(f->block + f->at[ANSWERS]);
    if (r->target != NULL)
        f->gathered = ops->alloc(f->dev, images * dim * sizeof *f->gathered, err);
    return r->target != NULL && f->gathered == NULL ? -1 : 0;
failed:
    f->resident = f->answers_resident = false;
    if (!f->borrowed) {
        ops->free(f->dev, pixels);
        ops->free(f->dev, answers);
    }
    return -1;
}

struct feed *feed_create(struct device *dev, const struct train_request *request, const struct train_config *config,
                         int images, int views, struct err *err)
{
    struct feed *f = mem_alloc(1, sizeof *f, err);
    if (f == NULL)
        return NULL;
    f->dev = dev;
    f->request = request;
    f->config = config;
    f->images = images;
    f->views = views;
    if ((request->target != NULL &&
         augment_query_parse(request->target_augment, &f->target_strength, &f->target_seed, err) != 0) ||
        place(f, err) != 0) {
        feed_destroy(f);
        return NULL;
    }
    return f;
}

static struct augment_view draw(const struct feed *f, uint32_t i, int64_t epoch, uint32_t view)
{
    const struct train_request *r = f->request;
    const struct images *im = r->data;
    if (r->target == NULL)
        return augment_draw(&f->config->augment, r->seed, (uint32_t)epoch, i, view, im->h, im->w);
    uint32_t key = r->target_index != NULL ? (uint32_t)r->target_index[i] : i;
    return augment_draw(&f->target_strength, f->target_seed, 0, key, view, im->h, im->w);
}

/* Image i, the k-th of the step; in a theft `view` is the one of this epoch. */
static void load_image(struct feed *f, int k, uint32_t i, uint32_t view)
{
    const struct train_request *r = f->request;
    if (r->data->labels != NULL)
        ((int32_t *)(f->host + f->at[LABELS]))[k] = r->data->labels[i];
    if (!f->resident)
        memcpy(f->host + f->at[PIXELS] + (size_t)k * image_bytes(f), r->data->pixels + i * image_bytes(f),
               image_bytes(f));
    if (r->target == NULL)
        return;
    size_t dim = (size_t)r->target_dim, row = (size_t)i * (size_t)r->target_views + view;
    ((int32_t *)(f->host + f->at[ANSWER_ROWS]))[k] = f->answers_resident ? (int32_t)row : k;
    if (!f->answers_resident)
        memcpy(f->host + f->at[ANSWERS] + (size_t)k * dim * sizeof(float), r->target + row * dim, dim * sizeof(float));
}

int feed_load(struct feed *f, const uint32_t *indices, int64_t epoch, int64_t step, double lr, struct err *err)
{
    struct augment_view *views = (struct augment_view *)(f->host + f->at[VIEWS]);
    const struct train_request *r = f->request;
    /* in a theft the one view of an epoch is one of those that the victim was asked about */
    uint32_t asked = r->target != NULL ? (uint32_t)(epoch % r->target_views) : 0;
    for (int k = 0; k < f->images; k++)
        load_image(f, k, indices[k], asked);
    for (int v = 0; v < f->views; v++)
        for (int k = 0; k < f->images; k++) {
            struct augment_view *view = &views[v * f->images + k];
            *view = draw(f, indices[k], epoch, r->target != NULL ? asked : (uint32_t)v);
            view->image = f->resident ? (int32_t)indices[k] : k;
        }
    f->config->optim->at(f->config->optim_options, lr, step, f->host + f->at[OPTIMISER]);
    if (augment_check(3, r->data->h, r->data->w, views, f->views * f->images, err) != 0)
        return -1;
    return f->dev->ops->upload(f->dev, f->block, f->host, f->bytes, err);
}

int feed_apply(struct feed *f, const struct augment_target *target, void *input, struct err *err)
{
    const struct device_ops *ops = f->dev->ops;
    const struct images *im = f->request->data;
    if (ops->augment(f->dev, f->pixels, 3, im->h, im->w, (const struct augment_view *)(f->block + f->at[VIEWS]),
                     f->views * f->images, target, input, err) != 0)
        return -1;
    if (f->gathered == NULL)
        return 0;
    const struct gather_rows answers = {
        .rows = f->images,
        .columns = f->request->target_dim,
        .table = f->answers,
        .index = (const int32_t *)(f->block + f->at[ANSWER_ROWS]),
        .out = f->gathered,
    };
    return ops->gather_rows(f->dev, &answers, err);
}

const float *feed_answers(const struct feed *f)
{
    return f->gathered;
}

const int32_t *feed_labels(const struct feed *f)
{
    return f->request->data->labels != NULL ? (const int32_t *)(f->block + f->at[LABELS]) : NULL;
}

const void *feed_optimiser(const struct feed *f)
{
    return f->block + f->at[OPTIMISER];
}
