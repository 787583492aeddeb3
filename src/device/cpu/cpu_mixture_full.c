/* E step and scatter of mixtures with full covariances.
 *
 * In many dimensions all but one component are hopeless for nearly every row. The
 * quadratic form |W x - c|^2 costs d^2, but its part inside any subspace of the
 * whitened space bounds it from below. So every row is first screened in the
 * subspace that tells a component's mean from the others' (a few directions a
 * component). The component that looks best is then computed to its end. The
 * others are screened again in single precision, a stripe of W at a time for as
 * long as they can come within LINALG_HOPELESS of the best, with a bound of the
 * rounding error on their side; what is left is computed exactly. */
#include "device/cpu/cpu_linalg.h"

#include <cblas.h>
#include <omp.h>
#include <stdbool.h>

#include "base/mem.h"

enum { STRIPE = 128, CHUNK = 512, SCREEN_MAX = 16, SCREEN_ROWS = 128 };

static double dot(int d, const double *a, const double *b)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int c = 0; c < d; c++)
        sum += a[c] * b[c];
    return sum;
}

/* -- the screen -- */

/* Directions of component j: an orthonormal basis (m, d) of the whitened
 * differences W_j (mean_i - mean_j) to its nearest other components, taken back
 * through W_j: row . x - shift is a coordinate of the whitened row. Directions
 * that vanish stay zero, which bounds nothing and harms nothing. */
static void screen_component(int d, int k, int j, int m, const double *whiten, const double *centre,
                             const double *means, double *apart, double *row, double *shift)
{
    const double *w = whiten + (size_t)j * d * d, *c = centre + (size_t)j * d;
    double squares[SCREEN_MAX];
    int kept = 0;
    for (int i = 0; i < k; i++) {
        if (i == j)
            continue;
        double *u = apart + (size_t)kept * d;
        cblas_dcopy(d, means + (size_t)i * d, 1, u, 1);
        cblas_dtrmv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, d, w, d, u, 1);
        for (int l = 0; l < d; l++)
            u[l] -= c[l];
        double square = dot(d, u, u);
        int at = kept;
        if (kept == m) { /* replaces the farthest, if nearer */
            at = 0;
            for (int o = 1; o < m; o++)
                at = squares[o] > squares[at] ? o : at;
            if (square >= squares[at])
                continue;
            cblas_dcopy(d, u, 1, apart + (size_t)at * d, 1);
        } else {
            kept++;
        }
        squares[at] = square;
    }
    for (int o = 0; o < kept; o++) { /* Gram-Schmidt, twice for accuracy */
        double *u = apart + (size_t)o * d, before = sqrt(dot(d, u, u));
        for (int pass = 0; pass < 2; pass++)
            for (int p = 0; p < o; p++)
                cblas_daxpy(d, -dot(d, u, apart + (size_t)p * d), apart + (size_t)p * d, 1, u, 1);
        double norm = sqrt(dot(d, u, u));
        cblas_dscal(d, norm > 1e-8 * before && norm > 0.0 ? 1.0 / norm : 0.0, u, 1);
        shift[o] = dot(d, u, c);
        cblas_dcopy(d, u, 1, row + (size_t)o * d, 1);
        cblas_dtrmv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, d, w, d, row + (size_t)o * d, 1);
    }
}

/* rows (k m, d), shift (k m) of all components. */
static int screen_create(int threads, int d, int k, int m, const double *whiten, const double *centre, double *rows,
                         double *shift, struct err *err)
{
    double *means = mem_alloc((size_t)k, (size_t)d * sizeof *means, err);
    double *aparts = means ? mem_alloc((size_t)threads * ((size_t)m + 1), (size_t)d * sizeof *aparts, err) : NULL;
    int rc = -1;
    if (!aparts)
        goto out;
#pragma omp parallel num_threads(threads)
    {
        double *apart = aparts + (size_t)omp_get_thread_num() * (m + 1) * d;
#pragma omp for schedule(static)
        for (int j = 0; j < k; j++) {
            cblas_dcopy(d, centre + (size_t)j * d, 1, means + (size_t)j * d, 1);
            cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, d, whiten + (size_t)j * d * d, d,
                        means + (size_t)j * d, 1);
        }
#pragma omp for schedule(static)
        for (int j = 0; j < k; j++)
            screen_component(d, k, j, m, whiten, centre, means, apart, rows + (size_t)j * m * d,
                             shift + (size_t)j * m);
    }
    rc = 0;
out:
    mem_free(aparts);
    mem_free(means);
    return rc;
}

/* Upper bounds of the log densities of a few rows. */
static void screen_rows(int rows, int d, int k, int m, const double *x, const double *screen, const double *shift,
                        const double *offset, double *coordinates, double *resp)
{
    int km = k * m;
    if (m > 0)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, km, d, 1.0, x, d, screen, d, 0.0, coordinates, km);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < k; j++) {
            double sum = 0.0;
            for (int o = j * m; o < (j + 1) * m; o++) {
                double z = coordinates[(size_t)i * km + o] - shift[o];
                sum += z * z;
            }
            resp[(size_t)i * k + j] = offset[j] - 0.5 * sum;
        }
    }
}

/* -- exact log densities of chosen rows -- */

struct chunk_scratch {
    double *gathered; /* (CHUNK, d) */
    double *y;        /* (CHUNK, STRIPE) */
    double value[CHUNK];
    int64_t row[CHUNK], survivor[CHUNK];
};

/* resp[row][j] of the listed rows: exact, or -infinity if it falls below
 * floor[row] on the way (floor NULL: always exact). */
static void chunk_exact(int rows, const int64_t *list, int d, int k, int j, const double *x, const double *whiten,
                        const double *centre, double offset, const double *floor, struct chunk_scratch *w,
                        double *resp)
{
    for (int i = 0; i < rows; i++) {
        memcpy(w->gathered + (size_t)i * d, x + list[i] * d, (size_t)d * sizeof *x);
        w->value[i] = offset;
        w->row[i] = list[i];
    }
    for (int first = 0; first < d && rows > 0; first += STRIPE) {
        int size = d - first < STRIPE ? d - first : STRIPE, kept = 0;
        const double *c = centre + (size_t)j * d + first;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, size, first + size, 1.0, w->gathered, d,
                    whiten + ((size_t)j * d + first) * d, d, 0.0, w->y, STRIPE);
        for (int i = 0; i < rows; i++) {
            const double *y = w->y + (size_t)i * STRIPE;
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (int l = 0; l < size; l++)
                sum += (y[l] - c[l]) * (y[l] - c[l]);
            w->value[i] -= 0.5 * sum;
        }
        for (int i = 0; i < rows; i++) {
            if (floor && w->value[i] < floor[w->row[i]]) {
                resp[w->row[i] * k + j] = -INFINITY;
                continue;
            }
            if (kept < i) {
                memcpy(w->gathered + (size_t)kept * d, w->gathered + (size_t)i * d, (size_t)d * sizeof *x);
                w->value[kept] = w->value[i];
                w->row[kept] = w->row[i];
            }
            kept++;
        }
        rows = kept;
    }
    for (int i = 0; i < rows; i++)
        resp[w->row[i] * k + j] = w->value[i];
}

/* What the second screen knows of all components and rows. */
struct single {
    float *whiten;        /* (k, d, d) */
    double *whiten_norm;  /* (k, stripes): Frobenius norm of the stripes to this one */
    double *row_norm;     /* (n) */
    const double *floor;  /* (n) */
};

/* The rows of the list that may reach their floor under component j, into
 * w->survivor; returns their number. The others' resp becomes -infinity.
 *
 * Products of d terms in single precision are off by at most
 * (d + 2) 2^-24 |W_r| |x| each, rounding of the operands included. */
static int chunk_survivors(int rows, const int64_t *list, int d, int k, int j, const double *x,
                           const double *centre, double offset, const struct single *single,
                           struct chunk_scratch *w, double *resp)
{
    float *gathered = (float *)w->gathered, *y = (float *)w->y;
    int stripes = (d + STRIPE - 1) / STRIPE;
    for (int i = 0; i < rows; i++) {
        const double *v = x + list[i] * d;
        for (int c = 0; c < d; c++)
            gathered[(size_t)i * d + c] = (float)v[c];
        w->value[i] = 0.0;
        w->survivor[i] = list[i];
    }
    for (int s = 0; s < stripes && rows > 0; s++) {
        int first = s * STRIPE, size = d - first < STRIPE ? d - first : STRIPE, kept = 0;
        const double *c = centre + (size_t)j * d + first;
        double unit = (d + 2) * 0x1p-24 * single->whiten_norm[j * stripes + s];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, size, first + size, 1.0f, gathered, d,
                    single->whiten + ((size_t)j * d + first) * d, d, 0.0f, y, STRIPE);
        for (int i = 0; i < rows; i++) {
            int64_t row = w->survivor[i];
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (int l = 0; l < size; l++) {
                double apart = (double)y[(size_t)i * STRIPE + l] - c[l];
                sum += apart * apart;
            }
            double quadratic = w->value[i] + sum, least = sqrt(quadratic) - unit * single->row_norm[row];
            if (least > 0.0 && offset - 0.5 * least * least < single->floor[row]) {
                resp[row * k + j] = -INFINITY;
                continue;
            }
            if (kept < i)
                memcpy(gathered + (size_t)kept * d, gathered + (size_t)i * d, (size_t)d * sizeof *gathered);
            w->value[kept] = quadratic;
            w->survivor[kept++] = row;
        }
        rows = kept;
    }
    return rows;
}

static void single_fini(struct single *single)
{
    mem_free(single->whiten);
    mem_free(single->whiten_norm);
    mem_free(single->row_norm);
}

static int single_init(struct single *single, int threads, int64_t n, int d, int k, const double *x,
                       const double *whiten, const double *floor, struct err *err)
{
    int stripes = (d + STRIPE - 1) / STRIPE;
    size_t size = (size_t)k * d * d;
    single->floor = floor;
    single->whiten = mem_alloc(size, sizeof *single->whiten, err);
    single->whiten_norm = mem_alloc((size_t)k, (size_t)stripes * sizeof *single->whiten_norm, err);
    single->row_norm = mem_alloc((size_t)n, sizeof *single->row_norm, err);
    if (!single->whiten || !single->whiten_norm || !single->row_norm) {
        single_fini(single);
        return -1;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        single->row_norm[i] = sqrt(dot(d, x + i * d, x + i * d));
    for (size_t i = 0; i < size; i++)
        single->whiten[i] = (float)whiten[i];
    for (int j = 0; j < k; j++) {
        double sum = 0.0;
        for (int r = 0; r < d; r++) {
            const double *row = whiten + ((size_t)j * d + r) * d;
            sum += dot(r + 1, row, row);
            single->whiten_norm[j * stripes + r / STRIPE] = sqrt(sum);
        }
    }
    return 0;
}

/* Exact values under component j of the listed rows, in parallel. With `single`,
 * only of those that pass the second screen: it is tried on the first chunk, and
 * left out if it does not help there. */
static void component_exact(int threads, int64_t listed, const int64_t *list, int d, int k, int j,
                            const double *x, const double *whiten, const double *centre, double offset,
                            const struct single *single, struct chunk_scratch *scratch, double *resp)
{
    const double *floor = single ? single->floor : NULL;
    int64_t begin = 0;
    bool screen = false;
    if (single && listed >= CHUNK) {
        int left = chunk_survivors(CHUNK, list, d, k, j, x, centre, offset, single, scratch, resp);
        screen = left < CHUNK / 2;
        chunk_exact(left, scratch->survivor, d, k, j, x, whiten, centre, offset, floor, scratch, resp);
        begin = CHUNK;
    }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t first = begin; first < listed; first += CHUNK) {
        struct chunk_scratch *w = &scratch[omp_get_thread_num()];
        int rows = (int)(listed - first < CHUNK ? listed - first : CHUNK);
        const int64_t *chosen = list + first;
        if (screen) {
            rows = chunk_survivors(rows, chosen, d, k, j, x, centre, offset, single, w, resp);
            chosen = w->survivor;
        }
        chunk_exact(rows, chosen, d, k, j, x, whiten, centre, offset, floor, w, resp);
    }
}

int cpu_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                         const double *centre, const double *offset, double *loglik, double *resp, struct err *err)
{
    int threads = cpu_threads_for(dev, (double)n * d * d), rc = -1, m = k - 1 < SCREEN_MAX ? k - 1 : SCREEN_MAX;
    m = m < d / 8 ? m : d / 8; /* in few dimensions a screen costs what it saves */
    size_t km = (size_t)k * m;
    struct chunk_scratch *scratch = mem_alloc((size_t)threads, sizeof *scratch, err);
    double *buffers = mem_alloc((size_t)threads * CHUNK, (size_t)(d + STRIPE) * sizeof *buffers, err);
    double *screen = mem_alloc(km, ((size_t)d + 1) * sizeof *screen, err), *shift = screen ? screen + km * d : NULL;
    double *coordinates = mem_alloc((size_t)threads * SCREEN_ROWS, km * sizeof *coordinates, err);
    double *floor = mem_alloc((size_t)n, sizeof *floor, err);
    int *guess = mem_alloc((size_t)n, sizeof *guess, err);
    int64_t *list = mem_alloc((size_t)n, sizeof *list, err);
    struct single single = { 0 };
    if (!scratch || !buffers || !screen || !coordinates || !floor || !guess || !list)
        goto out;
    for (int t = 0; t < threads; t++) {
        scratch[t].gathered = buffers + (size_t)t * CHUNK * (d + STRIPE);
        scratch[t].y = scratch[t].gathered + (size_t)CHUNK * d;
    }
    if (single_init(&single, threads, n, d, k, x, whiten, floor, err) != 0)
        goto out;
    cpu_blas_begin(dev, (double)n * d * d);
    if (m > 0 && screen_create(threads, d, k, m, whiten, centre, screen, shift, err) != 0)
        goto out;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t first = 0; first < n; first += SCREEN_ROWS) {
        int rows = (int)(n - first < SCREEN_ROWS ? n - first : SCREEN_ROWS);
        screen_rows(rows, d, k, m, x + first * d, screen, shift, offset,
                    coordinates + (size_t)omp_get_thread_num() * SCREEN_ROWS * km, resp + first * k);
        for (int64_t i = first; i < first + rows; i++) {
            guess[i] = 0;
            for (int j = 1; j < k; j++)
                if (resp[i * k + j] > resp[i * k + guess[i]])
                    guess[i] = j;
        }
    }
    for (int others = 0; others < 2; others++) { /* first the guesses, then what can still compete */
        for (int j = 0; j < k; j++) {
            int64_t listed = 0;
            for (int64_t i = 0; i < n; i++) {
                if (!others == (guess[i] == j)) {
                    if (!others || resp[i * k + j] >= floor[i])
                        list[listed++] = i;
                    else
                        resp[i * k + j] = -INFINITY;
                }
            }
            component_exact(threads, listed, list, d, k, j, x, whiten, centre, offset[j], others ? &single : NULL,
                            scratch, resp);
            for (int64_t l = 0; l < listed; l++) {
                double floor_now = resp[list[l] * k + j] - LINALG_HOPELESS, *f = &floor[list[l]];
                *f = others && *f > floor_now ? *f : floor_now;
            }
        }
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        loglik[i] = cpu_log_sum_exp(k, resp + i * k);
    rc = 0;
out:
    cpu_blas_end(dev);
    single_fini(&single);
    mem_free(list);
    mem_free(guess);
    mem_free(floor);
    mem_free(coordinates);
    mem_free(screen);
    mem_free(buffers);
    mem_free(scratch);
    return rc;
}

/* -- scatter -- */

int cpu_weighted_scatter(struct device *dev, int64_t n, int d, const double *x, const double *weight, int stride,
                         const double *centre, double *scatter, struct err *err)
{
    int threads = cpu_threads_for(dev, (double)n * d * d), rc = -1;
    double total = 0.0;
    int64_t listed = 0;
    size_t dd = (size_t)d * d;
    int64_t *list = mem_alloc((size_t)n, sizeof *list, err);
    double *scaled = mem_alloc((size_t)threads * CHUNK, (size_t)d * sizeof *scaled, err);
    double *parts = mem_alloc((size_t)threads, dd * sizeof *parts, err);
    if (!list || !scaled || !parts)
        goto out;
    cpu_blas_begin(dev, (double)n * d * d);
    for (int64_t i = 0; i < n; i++)
        total += weight[i * stride];
    for (int64_t i = 0; i < n; i++)
        if (weight[i * stride] > 1e-20 * total)
            list[listed++] = i;
    /* An equal share of the rows for every thread, in its own sum. */
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int64_t begin = listed * t / threads, end = listed * (t + 1) / threads;
        double *mine = scaled + (size_t)t * CHUNK * d, *part = parts + (size_t)t * dd;
        for (int64_t first = begin; first < end; first += CHUNK) {
            int rows = (int)(end - first < CHUNK ? end - first : CHUNK);
            for (int i = 0; i < rows; i++) {
                const double *v = x + list[first + i] * d;
                double root = sqrt(weight[list[first + i] * stride]);
                for (int c = 0; c < d; c++)
                    mine[(size_t)i * d + c] = root * (v[c] - centre[c]);
            }
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, rows, 1.0, mine, d, 1.0, part, d);
        }
    }
    cpu_blas_end(dev);
    memcpy(scatter, parts, dd * sizeof *scatter);
    for (int t = 1; t < threads; t++)
        for (size_t i = 0; i < dd; i++)
            scatter[i] += parts[(size_t)t * dd + i];
    rc = 0;
out:
    mem_free(parts);
    mem_free(scaled);
    mem_free(list);
    return rc;
}
