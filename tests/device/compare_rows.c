/* Rows of the losses. */
#include <stdio.h>
#include <stdlib.h>

#include "device/compare.h"

static const int shapes[][2] = { { 1, 2 }, { 4, 5 }, { 33, 17 }, { 128, 128 }, { 200, 300 } };

static void normalize_and_mse(struct compare *cmp, int n, int d)
{
    struct err err;

    snprintf(cmp->what, sizeof cmp->what, "rows %d x %d", n, d);
    struct array x = array_normal(cmp, n * d, 0, 1, 1), y = array_result(cmp, n * d, 0, 1, 1),
                 inverse = array_result(cmp, n, 0, 1, 1), dy = array_normal(cmp, n * d, 0, 1, 1),
                 dx = array_result(cmp, n * d, 0, 1, 1), dz = array_result(cmp, n * d, 0, 1, 1),
                 loss = array_result(cmp, n, 0, 1, 1);
    for (int s = 0; s < 2; s++) {
        struct device *dev = cmp->side[s];
        must(cmp,
             dev->ops->normalize_rows(dev, &(struct normalize_rows){ n, d, x.data[s], y.data[s], inverse.data[s] },
                                      &err),
             &err);
        must(cmp,
             dev->ops->normalize_rows_backward(
                 dev, &(struct normalize_rows_backward){ n, d, y.data[s], inverse.data[s], dy.data[s], dx.data[s] },
                 &err),
             &err);
        must(cmp,
             dev->ops->mse_rows(
                 dev, &(struct mse_rows){ n, d, x.data[s], dy.data[s], 0.125f, dz.data[s], loss.data[s] }, &err),
             &err);
    }
    compare_arrays(&y, "normalised", 1e-6);
    compare_arrays(&inverse, "inverse", 1e-6);
    cmp->scale = 1; /* of two columns the gradient is nearly nothing */
    compare_arrays(&dx, "normalised backward", 2e-6);
    cmp->scale = 0;
    compare_arrays(&dz, "mse gradient", 1e-6);
    compare_arrays(&loss, "mse loss", 1e-6);
    struct array *all[] = { &x, &y, &inverse, &dy, &dx, &dz, &loss };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        array_free(all[i]);
}

/* A zero row must give zeros, not NaN. */
static void zero_row(struct compare *cmp)
{
    struct err err;
    float zeros[20] = { 0 };

    snprintf(cmp->what, sizeof cmp->what, "normalize_rows of a zero row");
    struct array x = array_values(cmp, 20, zeros), y = array_result(cmp, 20, 0, 1, 1),
                 inverse = array_result(cmp, 1, 0, 1, 1);
    for (int s = 0; s < 2; s++)
        must(cmp,
             cmp->side[s]->ops->normalize_rows(
                 cmp->side[s], &(struct normalize_rows){ 1, 20, x.data[s], y.data[s], inverse.data[s] }, &err),
             &err);
    compare_arrays(&y, "y", 0);
    compare_arrays(&inverse, "inverse", 1e-6);
    array_free(&x);
    array_free(&y);
    array_free(&inverse);
}

/* Groups of three columns; each row belongs to one, its positive in it or not. */
static void contrastive(struct compare *cmp, int n, int m, bool positive_in_group, float spread)
{
    struct err err;
    int32_t *positive = malloc((size_t)n * sizeof *positive), *row_group = malloc((size_t)n * sizeof *row_group),
            *group = malloc((size_t)m * sizeof *group);

    if (positive == NULL || row_group == NULL || group == NULL)
        exit(1);
    for (int j = 0; j < m; j++)
        group[j] = j / 3;
    for (int i = 0; i < n; i++) {
        positive[i] = (i * 7 + 1) % m;
        row_group[i] = group[positive[i]] + (positive_in_group ? 0 : 1);
    }
    snprintf(cmp->what, sizeof cmp->what, "contrastive_rows %d x %d, positive %s, logits x %g", n, m,
             positive_in_group ? "masked" : "open", (double)spread);
    struct array logits = array_spread(cmp, n * m, spread), loss = array_result(cmp, n, 0, 1, 1);
    void *p[2], *r[2], *g[2];
    bytes_both(cmp, (size_t)n * sizeof *positive, positive, p);
    bytes_both(cmp, (size_t)n * sizeof *row_group, row_group, r);
    bytes_both(cmp, (size_t)m * sizeof *group, group, g);
    for (int s = 0; s < 2; s++) {
        struct device *dev = cmp->side[s];
        must(cmp,
             dev->ops->contrastive_rows(
                 dev, &(struct contrastive_rows){ n, m, logits.data[s], p[s], r[s], g[s], 0.25f, loss.data[s] }, &err),
             &err);
    }
    cmp->scale = 0.25; /* the slot's factor: a gradient is that times the difference of two shares */
    compare_arrays(&logits, "gradient", 2e-6);
    cmp->scale = 1e-9; /* a loss is the logarithm of 1 + little: of a digit of double precision */
    compare_arrays(&loss, "loss", 2e-6);
    cmp->scale = 0;
    array_free(&logits);
    array_free(&loss);
    bytes_free(cmp, p);
    bytes_free(cmp, r);
    bytes_free(cmp, g);
    free(positive);
    free(row_group);
    free(group);
}

void compare_rows(struct compare *cmp)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        normalize_and_mse(cmp, shapes[i][0], shapes[i][1]);
        for (int in_group = 0; in_group < 2; in_group++) {
            contrastive(cmp, shapes[i][0], shapes[i][1], in_group, 1);
            contrastive(cmp, shapes[i][0], shapes[i][1], in_group, 60);   /* beyond the range of exp */
            contrastive(cmp, shapes[i][0], shapes[i][1], in_group, 1000); /* the largest, masked, beyond all others */
        }
    }
    zero_row(cmp);
}
