/* E step and scatter of mixtures with full covariances.
 *
 * In many dimensions all but one component are hopeless for nearly every row. The
 * quadratic form |W x - c|^2 costs d^2, but its part inside any subspace of the
 * whitened space bounds it from below. So every row is first screened in the
 * subspace that tells a component's mean from the others' (a few directions a
 * component). The component that looks best is then computed to its end. The
 * others are screened again in single precision, a stripe of W at a time for as
 * long as they can come within LINALG_HOPELESS of it, with a bound of the rounding
 * error on their side. What is left, which is little, is computed exactly. */
#include "device/cpu/cpu_linalg.h"

#include <omp.h>
#include <stdbool.h>

#include "base/mem.h"
#include "device/cpu/blas.h"

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
        blas.dcopy(d, means + (size_t)i * d, 1, u, 1);
        blas.dtrmv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, d, w, d, u, 1);
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
            blas.dcopy(d, u, 1, apart + (size_t)at * d, 1);
        } else {
            kept++;
        }
        squares[at] = square;
    }
    for (int o = 0; o < kept; o++) { /* Gram-Schmidt, twice for accuracy */
        double *u = apart + (size_t)o * d, before = sqrt(dot(d, u, u));
        for (int pass = 0; pass < 2; pass++)
            for (int p = 0; p < o; p++)
                blas.daxpy(d, -dot(d, u, apart + (size_t)p * d), apart + (size_t)p * d, 1, u, 1);
        double norm = sqrt(dot(d, u, u));
        blas.dscal(d, norm > 1e-8 * before && norm > 0.0 ? 1.0 / norm : 0.0, u, 1);
        shift[o] = dot(d, u, c);
        blas.dcopy(d, u, 1, row + (size_t)o * d, 1);
        blas.dtrmv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, d, w, d, row + (size_t)o * d, 1);
    }
}

/* rows (k m, d), shift (k m) of all components. */
static int screen_create(int threads, int d, int k, int m, const double *whiten, const double *centre, double *rows,
                         double *shift, struct err *err)
{
    double *means = mem_alloc((size_t)k, (size_t)d * sizeof *means, err);
    double *aparts =
        means != NULL ? mem_alloc((size_t)threads * ((size_t)m + 1), (size_t)d * sizeof *aparts, err) : NULL;
    int rc = -1;
    if (aparts == NULL)
        goto out;
#pragma omp parallel num_threads(threads)
    {
        double *apart = aparts + (size_t)omp_get_thread_num() * (m + 1) * d;
#pragma omp for schedule(static)
        for (int j = 0; j < k; j++) {
            blas.dcopy(d, centre + (size_t)j * d, 1, means + (size_t)j * d, 1);
            blas.dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, d, whiten + (size_t)j * d * d, d,
                       means + (size_t)j * d, 1);
        }
#pragma omp for schedule(static)
        for (int j = 0; j < k; j++)
            screen_component(d, k, j, m, whiten, centre, means, apart, rows + (size_t)j * m * d, shift + (size_t)j * m);
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
        blas.dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, km, d, 1.0, x, d, screen, d, 0.0, coordinates, km);
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

/* -- chosen rows of every component -- */

/* Rows of component j: row[begin[j]] ... row[begin[j + 1] - 1]. Cut into chunks,
 * chunks of all components are one parallel loop. */
struct pairs {
    int64_t *row;   /* (n k) */
    int64_t *begin; /* (k + 1) */
    int64_t *chunk; /* (k + 1): chunks of the components before */
};

struct full {
    int threads, d, k;
    int64_t n;
    const double *x, *whiten, *centre, *offset;
    double *resp;  /* (n, k): upper bounds of log densities, then exact ones */
    double *floor; /* (n): what lies below is hopeless */
    int *guess;    /* (n): component whose value is exact */
    struct pairs pairs;
    float *single;       /* (k, d, d): whiten */
    double *whiten_norm; /* (k, stripes): Frobenius norm of the stripes to this one */
    double *row_norm;    /* (n) */
    bool *screened;      /* (k): went through the screen in single precision */
    double *gathered;    /* (threads, CHUNK, d) */
    double *y;           /* (threads, CHUNK, STRIPE) */
};

static int stripes_of(int d)
{
    return (d + STRIPE - 1) / STRIPE;
}

/* Lists the guesses, or the others that are not below their floor; what is below
 * becomes -infinity. */
static void pairs_list(struct full *f, bool guesses)
{
    struct pairs *p = &f->pairs;
    int64_t listed = 0, chunks = 0;
    for (int j = 0; j < f->k; j++) {
        p->begin[j] = listed;
        p->chunk[j] = chunks;
        for (int64_t i = 0; i < f->n; i++) {
            double *value = &f->resp[i * f->k + j];
            if (guesses != (f->guess[i] == j))
                continue;
            if (guesses || *value >= f->floor[i])
                p->row[listed++] = i;
            else
                *value = -INFINITY;
        }
        chunks += (listed - p->begin[j] + CHUNK - 1) / CHUNK;
    }
    p->begin[f->k] = listed;
    p->chunk[f->k] = chunks;
}

/* Component, first row and number of rows of chunk `at`. */
static int chunk_rows(const struct full *f, int64_t at, int *component, const int64_t **rows)
{
    const struct pairs *p = &f->pairs;
    int j = 0;
    while (p->chunk[j + 1] <= at)
        j++;
    int64_t first = p->begin[j] + (at - p->chunk[j]) * CHUNK, left = p->begin[j + 1] - first;
    *component = j;
    *rows = p->row + first;
    return (int)(left < CHUNK ? left : CHUNK);
}

/* Exact log densities under component j of the listed rows. */
static void chunk_exact(struct full *f, int thread, int j, const int64_t *list, int rows)
{
    int d = f->d;
    double *gathered = f->gathered + (size_t)thread * CHUNK * d, *y = f->y + (size_t)thread * CHUNK * STRIPE;
    double quadratic[CHUNK] = { 0 };
    for (int i = 0; i < rows; i++)
        memcpy(gathered + (size_t)i * d, f->x + list[i] * d, (size_t)d * sizeof *gathered);
    for (int first = 0; first < d; first += STRIPE) {
        int size = d - first < STRIPE ? d - first : STRIPE;
        const double *c = f->centre + (size_t)j * d + first;
        blas.dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, size, first + size, 1.0, gathered, d,
                   f->whiten + ((size_t)j * d + first) * d, d, 0.0, y, STRIPE);
        for (int i = 0; i < rows; i++) {
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (int l = 0; l < size; l++) {
                double apart = y[(size_t)i * STRIPE + l] - c[l];
                sum += apart * apart;
            }
            quadratic[i] += sum;
        }
    }
    for (int i = 0; i < rows; i++)
        f->resp[list[i] * f->k + j] = f->offset[j] - 0.5 * quadratic[i];
}

/* Replaces resp of the listed rows under component j by tighter upper bounds, or
 * by -infinity as soon as they are below the floor; returns how many are not.
 *
 * Products of d terms in single precision are off by at most
 * (d + 2) 2^-24 |W_r| |x| each, rounding of the operands included; the norm of
 * the whitened row is therefore off by at most that with W's Frobenius norm. */
static int chunk_screen(struct full *f, int thread, int j, const int64_t *list, int rows)
{
    int d = f->d, stripes = stripes_of(d);
    float *gathered = (float *)(f->gathered + (size_t)thread * CHUNK * d);
    float *y = (float *)(f->y + (size_t)thread * CHUNK * STRIPE);
    double quadratic[CHUNK] = { 0 };
    int64_t alive[CHUNK];
    for (int i = 0; i < rows; i++) {
        const double *v = f->x + list[i] * d;
        for (int c = 0; c < d; c++)
            gathered[(size_t)i * d + c] = (float)v[c];
        alive[i] = list[i];
    }
    for (int s = 0; s < stripes && rows > 0; s++) {
        int first = s * STRIPE, size = d - first < STRIPE ? d - first : STRIPE, kept = 0;
        const double *c = f->centre + (size_t)j * d + first;
        double unit = (d + 2) * 0x1p-24 * f->whiten_norm[j * stripes + s];
        blas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, size, first + size, 1.0f, gathered, d,
                   f->single + ((size_t)j * d + first) * d, d, 0.0f, y, STRIPE);
        for (int i = 0; i < rows; i++) {
            int64_t row = alive[i];
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (int l = 0; l < size; l++) {
                double apart = (double)y[(size_t)i * STRIPE + l] - c[l];
                sum += apart * apart;
            }
            sum += quadratic[i];
            double least = fmax(sqrt(sum) - unit * f->row_norm[row], 0.0);
            double *bound = &f->resp[row * f->k + j];
            *bound = fmin(*bound, f->offset[j] - 0.5 * least * least);
            if (*bound < f->floor[row]) {
                *bound = -INFINITY;
                continue;
            }
            if (kept < i)
                memcpy(gathered + (size_t)kept * d, gathered + (size_t)i * d, (size_t)d * sizeof *gathered);
            quadratic[kept] = sum;
            alive[kept++] = row;
        }
        rows = kept;
    }
    return rows;
}

static void exact(struct full *f)
{
    int64_t chunks = f->pairs.chunk[f->k];
#pragma omp parallel for num_threads(f->threads) schedule(dynamic)
    for (int64_t at = 0; at < chunks; at++) {
        int j;
        const int64_t *list;
        int rows = chunk_rows(f, at, &j, &list);
        chunk_exact(f, omp_get_thread_num(), j, list, rows);
    }
}

/* Screens all listed pairs in single precision, except those of components where
 * it did not help in the first chunk, then raises the floors: what survives has a
 * lower bound, too. */
static void screen_single(struct full *f)
{
    int64_t chunks = f->pairs.chunk[f->k];
    int k = f->k, stripes = stripes_of(f->d);
    for (int first = 1; first >= 0; first--) {
#pragma omp parallel for num_threads(f->threads) schedule(dynamic)
        for (int64_t at = 0; at < chunks; at++) {
            int j;
            const int64_t *list;
            int rows = chunk_rows(f, at, &j, &list);
            if (first && at == f->pairs.chunk[j])
                f->screened[j] = chunk_screen(f, omp_get_thread_num(), j, list, rows) <= rows / 2;
            else if (!first && at > f->pairs.chunk[j] && f->screened[j])
                chunk_screen(f, omp_get_thread_num(), j, list, rows);
        }
    }
#pragma omp parallel for num_threads(f->threads) schedule(static)
    for (int64_t i = 0; i < f->n; i++) {
        for (int j = 0; j < k; j++) {
            double bound = f->resp[i * k + j];
            if (!f->screened[j] || j == f->guess[i] || bound == -INFINITY)
                continue;
            double unit = (f->d + 2) * 0x1p-24 * f->whiten_norm[(j + 1) * stripes - 1] * f->row_norm[i];
            double most = sqrt(fmax(2.0 * (f->offset[j] - bound), 0.0)) + 2.0 * unit;
            f->floor[i] = fmax(f->floor[i], f->offset[j] - 0.5 * most * most - LINALG_HOPELESS);
        }
    }
}

static void full_fini(struct full *f)
{
    mem_free(f->floor);
    mem_free(f->guess);
    mem_free(f->pairs.row);
    mem_free(f->pairs.begin);
    mem_free(f->pairs.chunk);
    mem_free(f->single);
    mem_free(f->whiten_norm);
    mem_free(f->row_norm);
    mem_free(f->screened);
    mem_free(f->gathered);
    mem_free(f->y);
}

static int full_init(struct full *f, struct err *err)
{
    size_t n = (size_t)f->n, d = (size_t)f->d, k = (size_t)f->k, threads = (size_t)f->threads;
    size_t stripes = (size_t)stripes_of(f->d);
    f->floor = mem_alloc(n, sizeof *f->floor, err);
    f->guess = mem_alloc(n, sizeof *f->guess, err);
    f->pairs.row = mem_alloc(n, k * sizeof *f->pairs.row, err);
    f->pairs.begin = mem_alloc(k + 1, sizeof *f->pairs.begin, err);
    f->pairs.chunk = mem_alloc(k + 1, sizeof *f->pairs.chunk, err);
    f->single = mem_alloc(k * d, d * sizeof *f->single, err);
    f->whiten_norm = mem_alloc(k, stripes * sizeof *f->whiten_norm, err);
    f->row_norm = mem_alloc(n, sizeof *f->row_norm, err);
    f->screened = mem_alloc(k, sizeof *f->screened, err);
    f->gathered = mem_alloc(threads * CHUNK, d * sizeof *f->gathered, err);
    f->y = mem_alloc(threads * CHUNK, STRIPE * sizeof *f->y, err);
    if (f->floor == NULL || f->guess == NULL || f->pairs.row == NULL || f->pairs.begin == NULL ||
        f->pairs.chunk == NULL || f->single == NULL || f->whiten_norm == NULL || f->row_norm == NULL ||
        f->screened == NULL || f->gathered == NULL || f->y == NULL)
        return -1;
    for (size_t j = 0; j < k; j++) {
        double sum = 0.0;
        for (size_t r = 0; r < d; r++) {
            const double *row = f->whiten + (j * d + r) * d;
            for (size_t c = 0; c < d; c++)
                f->single[(j * d + r) * d + c] = (float)row[c];
            sum += dot((int)r + 1, row, row);
            f->whiten_norm[j * stripes + r / STRIPE] = sqrt(sum);
        }
    }
    return 0;
}

int cpu_gmm_full_logprob(struct device *dev, int64_t n, int d, int k, const double *x, const double *whiten,
                         const double *centre, const double *offset, double *loglik, double *resp, struct err *err)
{
    int threads = cpu_threads_for(dev, (double)n * d * d), rc = -1, m = k - 1 < SCREEN_MAX ? k - 1 : SCREEN_MAX;
    m = m < d / 8 ? m : d / 8; /* in few dimensions a screen costs what it saves */
    size_t km = (size_t)k * m;
    struct full f = { .threads = threads,
                      .d = d,
                      .k = k,
                      .n = n,
                      .x = x,
                      .whiten = whiten,
                      .centre = centre,
                      .offset = offset,
                      .resp = resp };
    double *screen = mem_alloc(km, ((size_t)d + 1) * sizeof *screen, err),
           *shift = screen != NULL ? screen + km * d : NULL;
    double *coordinates = mem_alloc((size_t)threads * SCREEN_ROWS, km * sizeof *coordinates, err);
    cpu_blas_begin(dev, (double)n * d * d);
    if (screen == NULL || coordinates == NULL || full_init(&f, err) != 0 ||
        (m > 0 && screen_create(threads, d, k, m, whiten, centre, screen, shift, err) != 0))
        goto out;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t first = 0; first < n; first += SCREEN_ROWS) {
        int rows = (int)(n - first < SCREEN_ROWS ? n - first : SCREEN_ROWS);
        screen_rows(rows, d, k, m, x + first * d, screen, shift, offset,
                    coordinates + (size_t)omp_get_thread_num() * SCREEN_ROWS * km, resp + first * k);
        for (int64_t i = first; i < first + rows; i++) {
            f.guess[i] = 0;
            for (int j = 1; j < k; j++)
                if (resp[i * k + j] > resp[i * k + f.guess[i]])
                    f.guess[i] = j;
            f.row_norm[i] = sqrt(dot(d, x + i * d, x + i * d));
        }
    }
    pairs_list(&f, true);
    exact(&f);
    for (int64_t i = 0; i < n; i++)
        f.floor[i] = resp[i * k + f.guess[i]] - LINALG_HOPELESS;
    pairs_list(&f, false);
    if (d >= 2 * STRIPE)
        screen_single(&f);
    pairs_list(&f, false);
    exact(&f);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++)
        loglik[i] = cpu_log_sum_exp(k, resp + i * k);
    rc = 0;
out:
    cpu_blas_end(dev);
    full_fini(&f);
    mem_free(coordinates);
    mem_free(screen);
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
    if (list == NULL || scaled == NULL || parts == NULL)
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
            blas.dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, rows, 1.0, mine, d, 1.0, part, d);
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
