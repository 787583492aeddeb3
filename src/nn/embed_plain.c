/* The way around the input pipeline: floats in, representations out. */
#include "nn/embed_plain.h"

#include "base/stop.h"
#include "nn/encoder.h"

int encoder_embed_plain(struct encoder *e, const float *x, int64_t n, int h, int w, int batch, float *out,
                        struct err *err)
{
    int rc = -1;
    const struct device_ops *ops = e->dev->ops;
    size_t image = 3 * (size_t)h * (size_t)w, dim = (size_t)encoder_dim(e);
    int rows = n < batch ? (int)n : batch;
    if (n == 0)
        return 0;
    const struct act_desc input = { .n = rows, .c = 3, .h = h, .w = w };
    struct pass *pass = pass_create(e->net, PASS_FOLDED, PRECISION_FP32, rows, 1, h, w, err);
    float *plain = ops->alloc(e->dev, (size_t)rows * image * sizeof *plain, err);
    if (pass == NULL || plain == NULL)
        goto out;
    for (int64_t begin = 0; begin < n; begin += rows) {
        if (stop_requested()) {
            rc = STOPPED;
            goto out;
        }
        /* rows beyond the last image keep older images: computed, not returned */
        size_t m = (size_t)(n - begin < rows ? n - begin : rows);
        if (ops->upload(e->dev, plain, x + (size_t)begin * image, m * image * sizeof *x, err) != 0 ||
            ops->pack(e->dev, &input, plain, pass_input(pass), err) != 0 || pass_forward(pass, err) != 0 ||
            ops->download(e->dev, out + (size_t)begin * dim, pass_output(pass), m * dim * sizeof *out, err) != 0)
            goto out;
    }
    rc = 0;
out:
    ops->free(e->dev, plain);
    pass_destroy(pass);
    return rc;
}
