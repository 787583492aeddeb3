/* Passes over the rows of a data matrix, as products of matrices over chunks of
 * rows. Chunks depend on shapes alone and are added in order, so that sums are
 * the same bits every time. */
#include "device/cuda/cuda_device.h"

#include "device/cuda/launch.h"

/* What the temporaries of one chunk may take. */
#define CHUNK_BYTES ((size_t)64 << 20)

/* Rows of a chunk whose temporaries have `doubles` a row. */
static int chunk_rows(int64_t n, size_t doubles)
{
    size_t rows = CHUNK_BYTES / (doubles * sizeof(double));
    rows = rows < 1 ? 1 : rows;
    return (int)((int64_t)rows < n ? (int64_t)rows : n);
}

/* -- nearest neighbours -- */

enum { TILE = 4096 };

int cuda_nearest_rows(struct device *dev, int64_t n, int d, const double *x, int64_t *index, double *distance,
                      struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    const int tile = (int)(n < TILE ? n : TILE);
    size_t total = 0, at_product = cuda_part(&total, (size_t)tile * tile * sizeof(double));
    size_t at_square = cuda_part(&total, (size_t)n * sizeof(double));
    size_t at_index = cuda_part(&total, index != NULL ? 0 : (size_t)n * sizeof *index);
    char *scratch = cuda_buffer_reserve(&cuda->scratch, total, err);
    if (scratch == NULL)
        return -1;
    double *product = (double *)(scratch + at_product), *square = (double *)(scratch + at_square);
    int64_t *nearest = index != NULL ? index : (int64_t *)(scratch + at_index);

    if (cuda_square_norms(cuda->stream, n, d, x, square, err) != 0)
        return -1;
    for (int64_t i = 0; i < n; i += tile)
        for (int64_t j = 0; j < n; j += tile) {
            int ni = (int)(n - i < tile ? n - i : tile), nj = (int)(n - j < tile ? n - j : tile);
            if (cuda_dgemm(dev, TRANS_NO, TRANS_YES, ni, nj, d, 1.0, x + i * d, d, x + j * d, d, 0.0, product, tile,
                           err) != 0 ||
                cuda_nearest_tile(cuda->stream, d, x, i, ni, j, nj, product, tile, square, j == 0, distance, nearest,
                                  err) != 0)
                return -1;
        }
    return cuda_indexed_distances(cuda->stream, n, d, x, nearest, distance, err);
}

/* -- diagonal Gaussians: log densities and sums are products of x and x^2 with
 *    the components' parameters and responsibilities -- */

struct diag {
    const double *precision, *linear, *offset;
    double *count, *sum, *sum_square; /* NULL: no sums */
    double *square, *resp;            /* temporaries: (rows, d), (rows, k) */
    void *column_sums;
};

static int diag_chunk(struct cuda_device *cuda, const struct diag *g, int rows, int d, int k, const double *x,
                      bool first, double *loglik, struct err *err)
{
    struct device *dev = &cuda->base;
    const double keep = first ? 0.0 : 1.0;

    if (cuda_square(cuda->stream, (size_t)rows * d, x, g->square, err) != 0 ||
        cuda_dgemm(dev, TRANS_NO, TRANS_YES, rows, k, d, 1.0, x, d, g->linear, d, 0.0, g->resp, k, err) != 0 ||
        cuda_dgemm(dev, TRANS_NO, TRANS_YES, rows, k, d, -0.5, g->square, d, g->precision, d, 1.0, g->resp, k, err) !=
            0 ||
        cuda_log_sum_exp_rows(cuda->stream, rows, k, g->offset, g->resp, loglik, err) != 0)
        return -1;
    if (g->count == NULL)
        return 0;
    if (cuda_column_sums(cuda->stream, rows, k, g->resp, !first, g->column_sums, g->count, err) != 0 ||
        cuda_dgemm(dev, TRANS_YES, TRANS_NO, k, d, rows, 1.0, g->resp, k, x, d, keep, g->sum, d, err) != 0)
        return -1;
    return cuda_dgemm(dev, TRANS_YES, TRANS_NO, k, d, rows, 1.0, g->resp, k, g->square, d, keep, g->sum_square, d, err);
}

int cuda_gmm_diag_pass(struct device *dev, int64_t n, int d, int k, const double *x, const double *precision,
                       const double *linear, const double *offset, double *loglik, double *count, double *sum,
                       double *sum_square, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    const int chunk = chunk_rows(n, (size_t)d + k);
    size_t total = 0, at_square = cuda_part(&total, (size_t)chunk * d * sizeof(double));
    size_t at_resp = cuda_part(&total, (size_t)chunk * k * sizeof(double));
    size_t at_sums = cuda_part(&total, cuda_column_sums_workspace(chunk, k));
    char *scratch = cuda_buffer_reserve(&cuda->scratch, total, err);
    if (scratch == NULL)
        return -1;
    if (count != NULL && n == 0 &&
        (cuda_zero(dev, count, (size_t)k * sizeof *count, err) != 0 ||
         cuda_zero(dev, sum, (size_t)k * d * sizeof *sum, err) != 0 ||
         cuda_zero(dev, sum_square, (size_t)k * d * sizeof *sum_square, err) != 0))
        return -1;
    const struct diag g = { precision,
                            linear,
                            offset,
                            count,
                            sum,
                            sum_square,
                            (double *)(scratch + at_square),
                            (double *)(scratch + at_resp),
                            scratch + at_sums };
    for (int64_t i = 0; i < n; i += chunk) {
        int rows = (int)(n - i < chunk ? n - i : chunk);
        if (diag_chunk(cuda, &g, rows, d, k, x + i * d, i == 0, loglik + i, err) != 0)
            return -1;
    }
    return 0;
}

/* -- full Gaussians -- */

int cuda_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                          const double *centre, const double *offset, double *loglik, double *resp, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    const int chunk = chunk_rows(n, (size_t)d);
    double *white = cuda_buffer_reserve(&cuda->scratch, (size_t)chunk * d * sizeof *white, err);
    if (white == NULL)
        return -1;
    for (int64_t i = 0; i < n; i += chunk)
        for (int j = 0; j < k; j++) {
            int rows = (int)(n - i < chunk ? n - i : chunk);
            if (cuda_dgemm(dev, TRANS_NO, TRANS_YES, rows, d, d, 1.0, x + i * d, d, whiten + (size_t)j * d * d, d, 0.0,
                           white, d, err) != 0 ||
                cuda_quadratic_rows(cuda->stream, rows, d, white, centre + (size_t)j * d, offset + j, resp + i * k + j,
                                    k, err) != 0)
                return -1;
        }
    return cuda_log_sum_exp_rows(cuda->stream, n, k, NULL, resp, loglik, err);
}

int cuda_weighted_scatter(struct device *dev, int64_t n, int d, const double *x, const double *weight, int stride,
                          const double *centre, double *scatter, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    const int chunk = chunk_rows(n, (size_t)d);
    double *rows = cuda_buffer_reserve(&cuda->scratch, (size_t)chunk * d * sizeof *rows, err);
    if (rows == NULL)
        return -1;
    if (n == 0)
        return cuda_zero(dev, scatter, (size_t)d * d * sizeof *scatter, err);
    for (int64_t i = 0; i < n; i += chunk) {
        int m = (int)(n - i < chunk ? n - i : chunk);
        if (cuda_weighted_rows(cuda->stream, m, d, x + i * d, weight + i * stride, stride, centre, rows, err) != 0 ||
            cuda_dsyrk(dev, m, d, 1.0, rows, d, i == 0 ? 0.0 : 1.0, scatter, d, err) != 0)
            return -1;
    }
    return 0;
}
