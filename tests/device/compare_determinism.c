/* The same training operations twice on the device under test: equal bit for
 * bit, wherever the second run's buffers happen to lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "device/compare.h"
#include "device/norm.h"
#include "device/plain.h"

enum { N = 9, SIZE = 9 };
static const struct channels {
    int in, out;
} table[] = { { 64, 80 }, { 8, 12 }, { 1, 20 } };

/* Runs convolution, batch norm and their gradients; fingerprint of all results. */
static void fingerprint(struct compare *cmp, const struct channels *c, char hex[HASH_HEX])
{
    struct device *dev = cmp->side[1];
    const struct conv_desc cd = { .n = N,
                                  .c_in = c->in,
                                  .h = SIZE,
                                  .w = SIZE,
                                  .c_out = c->out,
                                  .kernel = 3,
                                  .stride = 1,
                                  .padding = 1,
                                  .precision = cmp->precision[1],
                                  .training = true,
                                  .input_gradient = true };
    const struct batch_norm_desc bd = { .n = N,
                                        .c = c->out,
                                        .h = SIZE,
                                        .w = SIZE,
                                        .precision = cmp->precision[1],
                                        .relu = true,
                                        .epsilon = 1e-5,
                                        .momentum = 0.1 };
    const size_t weight_bytes = dev->ops->conv_weight_bytes(dev, c->out, c->in, 3);
    float *oihw = malloc((size_t)c->out * c->in * 9 * sizeof *oihw),
          *bytes = malloc(weight_bytes + (size_t)c->out * c->out * sizeof *bytes);
    struct err err;

    if (oihw == NULL || bytes == NULL)
        exit(1);
    for (int i = 0; i < c->out * c->in * 9; i++)
        oihw[i] = (float)((i * 37 % 101) - 50) / 100;
    struct array x = array_normal(cmp, N, c->in, SIZE, SIZE), y = array_result(cmp, N, c->out, SIZE, SIZE),
                 z = array_result(cmp, N, c->out, SIZE, SIZE), dz = array_normal(cmp, N, c->out, SIZE, SIZE),
                 dx = array_result(cmp, N, c->in, SIZE, SIZE), gamma = array_normal(cmp, c->out, 0, 1, 1),
                 beta = array_normal(cmp, c->out, 0, 1, 1), mean = array_normal(cmp, c->out, 0, 1, 1),
                 var = array_normal(cmp, c->out, 0, 1, 1), saved = array_result(cmp, c->out, 0, 1, 1),
                 invstd = array_result(cmp, c->out, 0, 1, 1), dgamma = array_result(cmp, c->out, 0, 1, 1),
                 dbeta = array_result(cmp, c->out, 0, 1, 1), product = array_result(cmp, c->out * c->out, 0, 1, 1),
                 left = array_normal(cmp, N * SIZE * SIZE * c->out, 0, 1, 1),
                 right = array_normal(cmp, N * SIZE * SIZE * c->out, 0, 1, 1);
    float *weight = dev->ops->alloc(dev, weight_bytes, &err), *dweight = dev->ops->alloc(dev, weight_bytes, &err);
    struct conv *conv = dev->ops->conv_create(dev, &cd, &err);
    must(cmp, conv != NULL && weight != NULL && dweight != NULL ? 0 : -1, &err);
    struct batch_norm *bn = dev->ops->batch_norm_create(dev, &bd, &err);
    double *results = dev->ops->alloc(dev, 2 * (size_t)c->out * sizeof *results, &err);
    must(cmp, bn != NULL && results != NULL ? 0 : -1, &err);
    must(cmp, dev->ops->conv_weight_pack(dev, c->out, c->in, 3, oihw, weight, &err), &err);
    must(cmp, dev->ops->conv_forward(conv, x.data[1], weight, NULL, NULL, y.data[1], &err), &err);
    must(cmp,
         norm_forward(dev->ops, bn,
                      &(struct norm_forward){ y.data[1], NULL, gamma.data[1], beta.data[1], mean.data[1], var.data[1],
                                              saved.data[1], invstd.data[1], z.data[1] },
                      results, &err),
         &err);
    must(cmp,
         norm_backward(dev->ops, bn,
                       &(struct batch_norm_backward){ y.data[1], z.data[1], dz.data[1], NULL, gamma.data[1],
                                                      beta.data[1], saved.data[1], invstd.data[1], dz.data[1], NULL,
                                                      dgamma.data[1], dbeta.data[1] },
                       results, &err),
         &err);
    must(cmp, dev->ops->conv_backward_weight(conv, x.data[1], dz.data[1], dweight, &err), &err);
    must(cmp, dev->ops->conv_backward_data(conv, dz.data[1], weight, dx.data[1], &err), &err);
    const struct gemm g = { .precision = cmp->precision[1],
                            .m = c->out,
                            .n = c->out,
                            .k = N * SIZE * SIZE,
                            .alpha = 1,
                            .a = { left.data[1], c->out, TRANS_YES },
                            .b = { right.data[1], c->out, TRANS_NO },
                            .c = product.data[1],
                            .ldc = c->out };
    must(cmp, dev->ops->gemm(dev, &g, &err), &err);
    must(cmp, dev->ops->sync(dev, &err), &err);

    struct hash *hash = hash_create(&err);
    must(cmp, hash != NULL ? 0 : -1, &err);
    must(cmp, dev->ops->download(dev, bytes, dweight, weight_bytes, &err), &err);
    hash_add(hash, bytes, weight_bytes);
    struct array *vectors[] = { &mean, &var, &dgamma, &dbeta, &product };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        must(cmp, dev->ops->download(dev, bytes, vectors[i]->data[1], vectors[i]->count * sizeof(float), &err), &err);
        hash_add(hash, bytes, vectors[i]->count * sizeof(float));
    }
    const struct act_desc act = array_act(&dx, 1);
    float *back = malloc(dx.count * sizeof *back);
    if (back == NULL)
        exit(1);
    must(cmp, plain_contents(dev, &act, dx.data[1], back, &err), &err);
    hash_add(hash, back, dx.count * sizeof *back);
    must(cmp, hash_finish(hash, hex, &err), &err);

    dev->ops->free(dev, results);
    dev->ops->free(dev, weight);
    dev->ops->free(dev, dweight);
    dev->ops->conv_destroy(conv);
    dev->ops->batch_norm_destroy(bn);
    struct array *all[] = { &x,   &y,     &z,      &dz,     &dx,    &gamma,   &beta, &mean,
                            &var, &saved, &invstd, &dgamma, &dbeta, &product, &left, &right };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        array_free(all[i]);
    free(back);
    free(oihw);
    free(bytes);
}

void compare_determinism(struct compare *cmp)
{
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        char first[HASH_HEX], again[HASH_HEX];
        struct err err;
        const uint32_t draw = cmp->draw;

        snprintf(cmp->what, sizeof cmp->what, "determinism, %d -> %d channels", table[k].in, table[k].out);
        fingerprint(cmp, &table[k], first);
        for (int i = 1; i <= 5; i++) {
            /* moves what follows to other addresses */
            void *wedge = cmp->side[1]->ops->alloc(cmp->side[1], (size_t)i * 4160, &err);
            must(cmp, wedge != NULL ? 0 : -1, &err);
            cmp->draw = draw;
            fingerprint(cmp, &table[k], again);
            cmp->side[1]->ops->free(cmp->side[1], wedge);
            expect(cmp, "two runs differ", strcmp(first, again) == 0);
        }
    }
}
