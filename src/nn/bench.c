/* How fast whole training steps are. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nn/trainer.h"

/* `size` x `size` random images, one batch of them. */
static int random_images(int n, int size, struct images *im, struct err *err)
{
    size_t bytes = (size_t)n * 3 * (size_t)size * (size_t)size;
    *im = (struct images){ .n = n, .c = 3, .h = size, .w = size };
    im->pixels = mem_alloc(bytes, 1, err);
    if (im->pixels == NULL)
        return -1;
    struct rng rng = rng_at(0, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < bytes; i++)
        im->pixels[i] = (uint8_t)(rng_u32(&rng) >> 24);
    return 0;
}

int train_bench(struct device *dev, const cJSON *block, int size, int batch, int steps, int warmup,
                struct train_bench_result *result, struct err *err)
{
    int rc = -1;
    struct images im = { 0 };
    struct trainer *t = NULL;
    uint32_t *order = NULL;
    cJSON *copy = cJSON_Duplicate(block, true);
    if (copy == NULL) {
        err_set(err, "out of memory");
        goto out;
    }
    if (steps < 1 || batch < 1 || size < 1) {
        err_set(err, "a benchmark needs at least one step of one image of one pixel");
        goto out;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "batch");
    if (cJSON_AddNumberToObject(copy, "batch", batch) == NULL) {
        err_set(err, "out of memory");
        goto out;
    }
    if (random_images(batch, size, &im, err) != 0)
        goto out;
    const struct train_request request = { .block = copy, .data = &im };
    t = trainer_create(dev, &request, err);
    order = t == NULL ? NULL : mem_alloc((size_t)batch, sizeof *order, err);
    if (order == NULL)
        goto out;
    for (int i = 0; i < batch; i++)
        order[i] = (uint32_t)i;
    double begin = clock_monotonic();
    for (int64_t step = 1; step <= warmup + steps; step++) {
        if (trainer_step(t, order, step, step, t->config.o.lr, err) != 0)
            goto out;
        if (step == warmup) {
            if (trainer_set_total(t, 0, err) != 0 || dev->ops->sync(dev, err) != 0)
                goto out;
            begin = clock_monotonic();
        }
    }
    if (trainer_total(t, &result->loss, err) != 0) /* waits */
        goto out;
    result->loss /= steps;
    result->seconds_per_step = (clock_monotonic() - begin) / steps;
    result->images_per_second = (double)t->images * t->views / result->seconds_per_step;
    result->recorded = t->recording != NULL;
    result->parameters = network_encoder_parameters(t->net);
    rc = 0;
out:
    trainer_destroy(t);
    mem_free(order);
    mem_free(im.pixels);
    cJSON_Delete(copy);
    return rc;
}
