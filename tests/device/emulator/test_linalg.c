/* The kernels of mixtures and neighbours, put together with ref's products as the
 * CUDA device does with cuBLAS's, against ref's passes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "device/cuda/launch.h"
#include "device/linalg_tables.h"

static struct device host = { .threads = 1 };
static struct err err;

#define OK(call) assert_int_equal((call), 0)

static double *doubles(size_t n)
{
    double *p = malloc((n ? n : 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = NAN;
    return p;
}

static double *normals(size_t n, uint32_t which)
{
    struct rng rng = rng_at(5, RNG_TEST, which, 0, 0);
    double *p = doubles(n);
    for (size_t i = 0; i < n; i++)
        p[i] = rng_normal(&rng);
    return p;
}

static void close_to(const char *what, size_t n, const double *want, const double *got, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        if (!(want[i] == got[i] || fabs(want[i] - got[i]) <= tolerance * fmax(1, fabs(want[i]))))
            fail_msg("%s: value %zu of %zu is %.17g, not %.17g", what, i, n, got[i], want[i]);
}

static const int shapes[][3] = {
    /* n, d, k */
    { 1, 1, 1 }, { 2, 3, 2 }, { 77, 5, 3 }, { 300, 129, 7 }, { 513, 17, 33 }, { 5000, 2, 1 },
};

/* By the definition, in long double; x becomes the responsibilities. */
static double log_sum_exp(int k, double *x)
{
    long double top = -INFINITY, sum = 0;
    for (int j = 0; j < k; j++)
        top = fmaxl(top, x[j]);
    for (int j = 0; j < k; j++)
        sum += x[j] == -INFINITY ? 0 : expl(x[j] - top);
    for (int j = 0; j < k; j++)
        x[j] = x[j] == -INFINITY ? 0 : (double)(expl(x[j] - top) / sum);
    return top == -INFINITY ? -INFINITY : (double)(top + logl(sum));
}

static void test_log_sum_exp(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int n = shapes[s][0], k = shapes[s][2];
        double *x = normals((size_t)n * k, 1), *offset = normals((size_t)k, 2), *want = doubles((size_t)n),
               *got = doubles((size_t)n), *y = doubles((size_t)n * k);
        for (size_t i = 0; i < (size_t)n * k; i++)
            x[i] *= 400; /* beyond the range of exp */
        for (int j = 0; j < k; j++)
            x[j] = -INFINITY; /* a hopeless row */
        memcpy(y, x, (size_t)n * k * sizeof *y);
        OK(cuda_log_sum_exp_rows(NULL, n, k, offset, y, got, &err));
        for (size_t i = 0; i < (size_t)n * k; i++)
            x[i] += offset[i % k];
        for (int i = 0; i < n; i++)
            want[i] = log_sum_exp(k, x + (size_t)i * k);
        close_to("log-sum-exp", (size_t)n, want, got, 1e-14);
        close_to("responsibilities", (size_t)n * k, x, y, 1e-12);
        free(x), free(offset), free(want), free(got), free(y);
    }
}

static void test_square_distances(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int n = shapes[s][0], d = shapes[s][1], m = shapes[s][2];
        double *x = normals((size_t)n * d, 1), *c = normals((size_t)m * d, 2), *want = doubles((size_t)n * m),
               *got = doubles((size_t)n * m), *zero = calloc((size_t)d, sizeof *zero);
        assert_non_null(zero);
        OK(ref_linalg.square_distances(&host, n, d, x, m, c, want, &err));
        OK(cuda_square_distances(NULL, n, d, x, m, c, got, &err));
        close_to("distances", (size_t)n * m, want, got, 1e-13);
        OK(ref_linalg.square_distances(&host, n, d, x, 1, zero, want, &err));
        OK(cuda_square_norms(NULL, n, d, x, got, &err));
        close_to("norms", (size_t)n, want, got, 1e-13);
        free(x), free(c), free(want), free(got), free(zero);
    }
}

/* What the rows are: normals; equal rows, which make ties; normals of which the last three
 * are far out, two of them equal and the third as near as products cannot tell. */
enum rows { ROWS_NORMAL, ROWS_TIES, ROWS_CLOSE, ROWS_KINDS };

static void close_rows(int n, int d, double *x)
{
    double *last = x + (size_t)(n - 3) * d;
    for (int c = 0; c < d; c++) {
        last[c] = last[d + c] = 3.0 + last[c];
        last[2 * d + c] = last[c] + 1e-9;
    }
}

/* Tiles of `tile` rows and columns, in both orders. */
static void nearest(int n, int d, int tile, bool backwards, enum rows rows)
{
    double *x = normals((size_t)n * d, 3), *square = doubles((size_t)n), *want = doubles((size_t)n),
           *got = doubles((size_t)n), *product = doubles((size_t)tile * (tile + 3));
    int64_t *want_index = malloc((size_t)n * sizeof *want_index), *got_index = malloc((size_t)n * sizeof *got_index);
    const int tiles = (n + tile - 1) / tile, ld = tile + 3;

    assert_true(want_index && got_index);
    for (size_t i = 0; rows == ROWS_TIES && i < (size_t)n * d; i++)
        x[i] = (double)((i / d * 7 + i % d) % 3); /* exact in products too */
    if (rows == ROWS_CLOSE && n > 3)
        close_rows(n, d, x);
    OK(cuda_square_norms(NULL, n, d, x, square, &err));
    for (int a = 0; a < tiles; a++)
        for (int b = 0; b < tiles; b++) {
            const int i0 = a * tile, j0 = (backwards ? tiles - 1 - b : b) * tile;
            const int ni = n - i0 < tile ? n - i0 : tile, nj = n - j0 < tile ? n - j0 : tile;
            OK(ref_linalg.dgemm(&host, TRANS_NO, TRANS_YES, ni, nj, d, 1, x + (size_t)i0 * d, d, x + (size_t)j0 * d, d,
                                0, product, ld, &err));
            OK(cuda_nearest_tile(NULL, d, x, i0, ni, j0, nj, product, ld, square, b == 0, got, got_index, &err));
        }
    OK(cuda_indexed_distances(NULL, n, d, x, got_index, got, &err));
    OK(ref_linalg.nearest_rows(&host, n, d, x, want_index, want, &err));
    for (int i = 0; i < n; i++)
        if (want_index[i] != got_index[i])
            fail_msg("nearest of row %d of %d, tiles of %d: %d, not %d", i, n, tile, (int)got_index[i],
                     (int)want_index[i]);
    close_to("nearest distances", (size_t)n, want, got, 1e-13);
    free(x), free(square), free(want), free(got), free(product), free(want_index), free(got_index);
}

static void test_nearest(void **state)
{
    (void)state;
    for (int options = 0; options < 2 * ROWS_KINDS; options++) {
        nearest(2, 1, 1, options & 1, (enum rows)(options / 2));
        nearest(3, 2, 2, options & 1, (enum rows)(options / 2));
        nearest(130, 7, 64, options & 1, (enum rows)(options / 2));
        nearest(301, 40, 300, options & 1, (enum rows)(options / 2));
        nearest(150, 3, 512, options & 1, (enum rows)(options / 2));
    }
}

/* Rows of NaN have no nearest row: NaN, and no access outside. */
static void test_nearest_nan(void **state)
{
    (void)state;
    double x[4] = { NAN, NAN, NAN, NAN }, square[2] = { NAN, NAN }, product[4] = { NAN, NAN, NAN, NAN }, distance[2];
    int64_t index[2];
    OK(cuda_nearest_tile(NULL, 2, x, 0, 2, 0, 2, product, 2, square, true, distance, index, &err));
    OK(cuda_indexed_distances(NULL, 2, 2, x, index, distance, &err));
    assert_true(isnan(distance[0]) && isnan(distance[1]));
}

static void test_mixture_diag(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int n = shapes[s][0], d = shapes[s][1], k = shapes[s][2];
        const size_t nd = (size_t)n * d, kd = (size_t)k * d, nk = (size_t)n * k;
        double *x = normals(nd, 1), *precision = normals(kd, 2), *linear = normals(kd, 3),
               *offset = normals((size_t)k, 4);
        double *want[4] = { doubles((size_t)n), doubles((size_t)k), doubles(kd), doubles(kd) };
        double *got[4] = { doubles((size_t)n), doubles((size_t)k), doubles(kd), doubles(kd) };
        double *square = doubles(nd), *curve = doubles(kd), *resp = doubles(nk);
        void *workspace = malloc(cuda_column_sums_workspace(n, k));
        assert_non_null(workspace);
        for (size_t i = 0; i < kd; i++)
            precision[i] = exp(precision[i]);
        OK(ref_linalg.gmm_diag_pass(&host, n, d, k, x, precision, linear, offset, want[0], want[1], want[2], want[3],
                                    &err));
        OK(cuda_square(NULL, nd, x, square, &err));
        for (size_t i = 0; i < kd; i++)
            curve[i] = -0.5 * precision[i];
        OK(ref_linalg.dgemm(&host, TRANS_NO, TRANS_YES, n, k, d, 1, x, d, linear, d, 0, resp, k, &err));
        OK(ref_linalg.dgemm(&host, TRANS_NO, TRANS_YES, n, k, d, 1, square, d, curve, d, 1, resp, k, &err));
        OK(cuda_log_sum_exp_rows(NULL, n, k, offset, resp, got[0], &err));
        OK(ref_linalg.dgemm(&host, TRANS_YES, TRANS_NO, k, d, n, 1, resp, k, x, d, 0, got[2], d, &err));
        OK(ref_linalg.dgemm(&host, TRANS_YES, TRANS_NO, k, d, n, 1, resp, k, square, d, 0, got[3], d, &err));
        /* in two parts, as chunks of rows are added */
        const int half = n / 2;
        OK(cuda_column_sums(NULL, half, k, resp, false, workspace, got[1], &err));
        OK(cuda_column_sums(NULL, n - half, k, resp + (size_t)half * k, true, workspace, got[1], &err));
        close_to("log likelihoods", (size_t)n, want[0], got[0], 1e-12);
        close_to("counts", (size_t)k, want[1], got[1], 1e-10);
        close_to("sums", kd, want[2], got[2], 1e-10);
        close_to("sums of squares", kd, want[3], got[3], 1e-10);
        for (int i = 0; i < 4; i++)
            free(want[i]), free(got[i]);
        free(x), free(precision), free(linear), free(offset), free(square), free(curve), free(resp), free(workspace);
    }
}

static void test_mixture_full(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const int n = shapes[s][0], d = shapes[s][1], k = shapes[s][2] < 5 ? shapes[s][2] : 5;
        const size_t nd = (size_t)n * d, nk = (size_t)n * k, dd = (size_t)d * d;
        double *x = normals(nd, 1), *whiten = normals(k * dd, 2), *centre = normals((size_t)k * d, 3),
               *offset = normals((size_t)k, 4), *want = doubles((size_t)n), *want_resp = doubles(nk),
               *got = doubles((size_t)n), *resp = doubles(nk), *y = doubles(nd), *scatter = calloc(dd, sizeof *scatter),
               *expected = calloc(dd, sizeof *expected);
        assert_true(scatter && expected);
        for (size_t i = 0; i < k * dd; i++)
            whiten[i] = i % d > i / d % d ? 0 : whiten[i] / 8 + (i % d == i / d % d);
        OK(ref_linalg.gmm_full_logprob(&host, n, d, k, x, whiten, centre, offset, want, want_resp, &err));
        for (int j = 0; j < k; j++) {
            OK(ref_linalg.dgemm(&host, TRANS_NO, TRANS_YES, n, d, d, 1, x, d, whiten + j * dd, d, 0, y, d, &err));
            OK(cuda_quadratic_rows(NULL, n, d, y, centre + (size_t)j * d, offset + j, resp + j, k, &err));
        }
        OK(cuda_log_sum_exp_rows(NULL, n, k, NULL, resp, got, &err));
        close_to("log likelihoods", (size_t)n, want, got, 1e-12);
        close_to("responsibilities", nk, want_resp, resp, 1e-10);
        OK(ref_linalg.weighted_scatter(&host, n, d, x, resp + k - 1, k, centre, expected, &err));
        OK(cuda_weighted_rows(NULL, n, d, x, resp + k - 1, k, centre, y, &err));
        OK(ref_linalg.dgemm(&host, TRANS_YES, TRANS_NO, d, d, n, 1, y, d, y, d, 0, scatter, d, &err));
        for (size_t i = 0; i < dd; i++)
            scatter[i] *= i % (size_t)d <= i / (size_t)d; /* the lower triangle */
        close_to("scatter", dd, expected, scatter, 1e-10);
        free(x), free(whiten), free(centre), free(offset), free(want), free(want_resp), free(got), free(resp), free(y);
        free(scatter), free(expected);
    }
}

static void test_triangles(void **state)
{
    (void)state;
    enum { COUNT = 3, D = 5, LD_A = 7, LD_B = 6, STEP_A = 40, STEP_B = 33 };
    double *a = doubles(COUNT * STEP_A), *b = doubles(COUNT * STEP_B);
    for (int i = 0; i < COUNT * STEP_A; i++)
        a[i] = i;
    OK(cuda_lower_copy(NULL, COUNT, D, a, LD_A, STEP_A, b, LD_B, STEP_B, &err));
    for (int i = 0; i < COUNT * STEP_B; i++) {
        int matrix = i / STEP_B, row = i % STEP_B / LD_B, column = i % STEP_B % LD_B;
        if (row < D && column <= row)
            assert_true(b[i] == matrix * STEP_A + row * LD_A + column);
        else
            assert_true(isnan(b[i]));
    }
    free(b);
    b = doubles(COUNT * STEP_B);
    OK(cuda_identity(NULL, COUNT, D, b, LD_B, STEP_B, &err));
    for (int i = 0; i < COUNT * STEP_B; i++) {
        int row = i % STEP_B / LD_B, column = i % STEP_B % LD_B;
        if (row < D && column < D)
            assert_true(b[i] == (row == column));
        else
            assert_true(isnan(b[i]));
    }
    free(a), free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_sum_exp),  cmocka_unit_test(test_square_distances),
        cmocka_unit_test(test_nearest),      cmocka_unit_test(test_nearest_nan),
        cmocka_unit_test(test_mixture_diag), cmocka_unit_test(test_mixture_full),
        cmocka_unit_test(test_triangles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
