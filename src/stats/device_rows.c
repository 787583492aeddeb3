/* Uploads a matrix in pieces, so that no second host copy of it is needed. */
#include "stats/device_rows.h"

#include <string.h>

#include "base/mem.h"
#include "stats/rows.h"

int device_rows_init(struct device_rows *r, struct device *dev, const double *x, int64_t n, int64_t d,
                     const double *shift, struct err *err)
{
    enum { PIECE = 1024 };
    memset(r, 0, sizeof *r);
    *r = (struct device_rows){ .dev = dev, .n = n, .d = d, .host = x };
    int rc = -1;
    double *piece = mem_alloc(PIECE, (size_t)d * sizeof *piece, err);
    r->shift = piece != NULL ? mem_alloc((size_t)d, sizeof *r->shift, err) : NULL;
    r->x = r->shift != NULL ? dev->ops->alloc(dev, (size_t)n * (size_t)d * sizeof *x, err) : NULL;
    if (r->x == NULL)
        goto out;
    if (shift != NULL)
        memcpy(r->shift, shift, (size_t)d * sizeof *shift);
    else
        rows_mean(x, n, d, r->shift);
    for (int64_t first = 0; first < n; first += PIECE) {
        int64_t rows = n - first < PIECE ? n - first : PIECE;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < d; c++)
                piece[i * d + c] = x[(first + i) * d + c] - r->shift[c];
        if (dev->ops->upload(dev, r->x + first * d, piece, (size_t)(rows * d) * sizeof *piece, err) != 0)
            goto out;
    }
    rc = 0;
out:
    mem_free(piece);
    if (rc != 0)
        device_rows_fini(r);
    return rc;
}

void device_rows_fini(struct device_rows *r)
{
    if (r == NULL)
        return;
    if (r->x != NULL)
        r->dev->ops->free(r->dev, r->x);
    mem_free(r->shift);
    memset(r, 0, sizeof *r);
}
