/* Linear algebra in double precision by cuBLAS and cuSOLVER. Both count columns
 * first: a row-major matrix is its transpose to them, "lower" is their "upper". */
#include "device/cuda/cuda_device.h"

#include "device/cuda/launch.h"

static cublasOperation_t op(enum trans t)
{
    return t == TRANS_YES ? CUBLAS_OP_T : CUBLAS_OP_N;
}

/* Row-major C = A B is C' = B' A'. */
int cuda_dgemm(struct device *dev, enum trans ta, enum trans tb, int m, int n, int k, double alpha, const double *a,
               int lda, const double *b, int ldb, double beta, double *c, int ldc, struct err *err)
{
    if (m == 0 || n == 0)
        return 0;
    return cuda_check_cublas(
        cublasDgemm(cuda_of(dev)->cublas, op(tb), op(ta), n, m, k, &alpha, b, ldb, a, lda, &beta, c, ldc),
        "product of matrices", err);
}

int cuda_dsyrk(struct device *dev, int n, int d, double alpha, const double *a, int lda, double beta, double *c,
               int ldc, struct err *err)
{
    return cuda_check_cublas(
        cublasDsyrk(cuda_of(dev)->cublas, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, d, n, &alpha, a, lda, &beta, c, ldc),
        "product of a matrix with itself", err);
}

/* X := L^-1 X in cuBLAS's terms, where L is the transpose of what it sees. */
static int dtrsm(struct device *dev, int n, int d, const double *l, int ldl, double *x, int ldx, struct err *err)
{
    const double one = 1;
    if (n == 0 || d == 0)
        return 0;
    return cuda_check_cublas(cublasDtrsm(cuda_of(dev)->cublas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_T,
                                         CUBLAS_DIAG_NON_UNIT, d, n, &one, l, ldl, x, ldx),
                             "solving a triangular system", err);
}

/* -- factorisations: in scratch memory, because the strict upper triangles of
 *    the caller's matrices may hold something else, and the libraries do not
 *    promise to leave them alone -- */

struct cholesky_factor {
    double *matrix, *inverse; /* (d, d) each */
    double *workspace;
    int workspace_doubles;
    int *info; /* (k) on the GPU */
};

/* Loading cuSOLVER takes a part of a second, which only those who need it shall pay. */
static int open_cusolver(struct cuda_device *cuda, struct err *err)
{
    const char *what = "starting cuSOLVER";
    if (cuda->cusolver != NULL)
        return 0;
    if (cuda_check_cusolver(cusolverDnCreate(&cuda->cusolver), what, err) != 0)
        return -1;
    if (cuda_check_cusolver(cusolverDnSetStream(cuda->cusolver, cuda->stream), what, err) == 0)
        return 0;
    cusolverDnDestroy(cuda->cusolver);
    cuda->cusolver = NULL;
    return -1;
}

static int factor_init(struct cuda_device *cuda, int k, int d, struct cholesky_factor *f, struct err *err)
{
    const size_t square = (size_t)d * d * sizeof(double);
    double *none = NULL;
    if (open_cusolver(cuda, err) != 0 ||
        cuda_check_cusolver(
            cusolverDnDpotrf_bufferSize(cuda->cusolver, CUBLAS_FILL_MODE_UPPER, d, none, d, &f->workspace_doubles),
            "planning a factorisation", err) != 0)
        return -1;
    size_t total = 0, at_matrix = cuda_part(&total, square), at_inverse = cuda_part(&total, square);
    size_t at_workspace = cuda_part(&total, (size_t)f->workspace_doubles * sizeof(double));
    size_t at_info = cuda_part(&total, (size_t)k * sizeof(int));
    char *scratch = cuda_buffer_reserve(&cuda->scratch, total, err);
    if (scratch == NULL)
        return -1;
    f->matrix = (double *)(scratch + at_matrix);
    f->inverse = (double *)(scratch + at_inverse);
    f->workspace = (double *)(scratch + at_workspace);
    f->info = (int *)(scratch + at_info);
    return 0;
}

/* a's lower triangle to f->matrix and its Cholesky factor there, queued. */
static int cholesky(struct cuda_device *cuda, struct cholesky_factor *f, int d, const double *a, int lda, int *info,
                    struct err *err)
{
    if (cuda_zero(&cuda->base, f->matrix, (size_t)d * d * sizeof *f->matrix, err) != 0 ||
        cuda_lower_copy(cuda->stream, 1, d, a, lda, 0, f->matrix, d, 0, err) != 0)
        return -1;
    return cuda_check_cusolver(cusolverDnDpotrf(cuda->cusolver, CUBLAS_FILL_MODE_UPPER, d, f->matrix, d, f->workspace,
                                                f->workspace_doubles, info),
                               "Cholesky factorisation", err);
}

/* The lower triangle of a becomes the inverse of lower triangular l, queued. */
static int invert(struct cuda_device *cuda, struct cholesky_factor *f, int d, const double *l, int ldl, double *a,
                  int lda, struct err *err)
{
    const double one = 1;
    if (cuda_identity(cuda->stream, 1, d, f->inverse, d, 0, err) != 0 ||
        cuda_check_cublas(cublasDtrsm(cuda->cublas, CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N,
                                      CUBLAS_DIAG_NON_UNIT, d, d, &one, l, ldl, f->inverse, d),
                          "inverting a triangular matrix", err) != 0)
        return -1;
    return cuda_lower_copy(cuda->stream, 1, d, f->inverse, d, 0, a, lda, 0, err);
}

static int dpotrf(struct device *dev, int d, double *a, int lda, int *info, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    struct cholesky_factor f;

    *info = 0;
    if (d == 0)
        return 0;
    if (factor_init(cuda, 1, d, &f, err) != 0 || cholesky(cuda, &f, d, a, lda, f.info, err) != 0 ||
        cuda_lower_copy(cuda->stream, 1, d, f.matrix, d, 0, a, lda, 0, err) != 0)
        return -1;
    return cuda_download(dev, info, f.info, sizeof *info, err);
}

static int dtrtri(struct device *dev, int d, double *a, int lda, struct err *err)
{
    struct cholesky_factor f;
    if (d == 0)
        return 0;
    return factor_init(cuda_of(dev), 1, d, &f, err) != 0 ? -1 : invert(cuda_of(dev), &f, d, a, lda, a, lda, err);
}

static int whitening_factors(struct device *dev, int k, int d, double *a, int *info, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    struct cholesky_factor f;

    if (k == 0 || d == 0)
        return 0;
    if (factor_init(cuda, k, d, &f, err) != 0)
        return -1;
    for (int j = 0; j < k; j++) {
        double *matrix = a + (size_t)j * d * d;
        if (cholesky(cuda, &f, d, matrix, d, f.info + j, err) != 0 ||
            invert(cuda, &f, d, f.matrix, d, matrix, d, err) != 0)
            return -1;
    }
    return cuda_download(dev, info, f.info, (size_t)k * sizeof *info, err);
}

static int square_distances(struct device *dev, int64_t n, int d, const double *x, int m, const double *c, double *out,
                            struct err *err)
{
    return cuda_square_distances(cuda_of(dev)->stream, n, d, x, m, c, out, err);
}

const struct device_linalg cuda_linalg = {
    .dgemm = cuda_dgemm,
    .dpotrf = dpotrf,
    .dtrtri = dtrtri,
    .dtrsm = dtrsm,
    .whitening_factors = whitening_factors,
    .square_distances = square_distances,
    .nearest_rows = cuda_nearest_rows,
    .gmm_diag_pass = cuda_gmm_diag_pass,
    .gmm_full_logprob = cuda_gmm_full_logprob,
    .weighted_scatter = cuda_weighted_scatter,
};
