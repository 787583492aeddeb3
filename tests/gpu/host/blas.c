/* cuBLAS and cuSOLVER on the host, by OpenBLAS: both count columns first. */
#include <cblas.h>
#include <f77blas.h>

#include <cublas_v2.h>
#include <cusolverDn.h>

#include <assert.h>
#include <math.h>

cublasStatus_t cublasCreate(cublasHandle_t *handle)
{
    static int thing;
    *handle = (cublasHandle_t)&thing;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
    (void)handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
    return handle && stream ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode)
{
    (void)handle;
    return mode == CUBLAS_DEFAULT_MATH ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "an error";
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int *value)
{
    (void)type;
    *value = 0;
    return CUBLAS_STATUS_SUCCESS;
}

static enum CBLAS_TRANSPOSE trans(cublasOperation_t op)
{
    assert(op == CUBLAS_OP_N || op == CUBLAS_OP_T);
    return op == CUBLAS_OP_T ? CblasTrans : CblasNoTrans;
}

static enum CBLAS_UPLO uplo(cublasFillMode_t mode)
{
    return mode == CUBLAS_FILL_MODE_UPPER ? CblasUpper : CblasLower;
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                           const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta,
                           float *c, int ldc)
{
    (void)handle;
    cblas_sgemm(CblasColMajor, trans(ta), trans(tb), m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDgemm(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                           const double *alpha, const double *a, int lda, const double *b, int ldb, const double *beta,
                           double *c, int ldc)
{
    (void)handle;
    cblas_dgemm(CblasColMajor, trans(ta), trans(tb), m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDsyrk(cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op, int n, int k,
                           const double *alpha, const double *a, int lda, const double *beta, double *c, int ldc)
{
    (void)handle;
    cblas_dsyrk(CblasColMajor, uplo(fill), trans(op), n, k, *alpha, a, lda, *beta, c, ldc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDtrsm(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op,
                           cublasDiagType_t diag, int m, int n, const double *alpha, const double *a, int lda,
                           double *b, int ldb)
{
    (void)handle;
    cblas_dtrsm(CblasColMajor, side == CUBLAS_SIDE_LEFT ? CblasLeft : CblasRight, uplo(fill), trans(op),
                diag == CUBLAS_DIAG_UNIT ? CblasUnit : CblasNonUnit, m, n, *alpha, a, lda, b, ldb);
    return CUBLAS_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *handle)
{
    static int thing;
    *handle = (cusolverDnHandle_t)&thing;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle)
{
    (void)handle;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream)
{
    return handle && stream ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_NOT_INITIALIZED;
}

cusolverStatus_t cusolverGetProperty(libraryPropertyType type, int *value)
{
    (void)type;
    *value = 0;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDpotrf_bufferSize(cusolverDnHandle_t handle, cublasFillMode_t fill, int n, double *a,
                                             int lda, int *doubles)
{
    (void)handle, (void)fill, (void)a, (void)lda;
    *doubles = n;
    return CUSOLVER_STATUS_SUCCESS;
}

/* Overwrites its workspace, and the triangle that it was not asked about, as a
 * library may. */
cusolverStatus_t cusolverDnDpotrf(cusolverDnHandle_t handle, cublasFillMode_t fill, int n, double *a, int lda,
                                  double *workspace, int doubles, int *info)
{
    (void)handle;
    char which = fill == CUBLAS_FILL_MODE_UPPER ? 'U' : 'L';
    blasint order = n, ld = lda, status = 0;
    for (int i = 0; i < doubles; i++)
        workspace[i] = NAN;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            if (which == 'U' ? i > j : i < j)
                a[(size_t)j * lda + i] = NAN;
    BLASFUNC(dpotrf)(&which, &order, a, &ld, &status);
    *info = (int)status;
    return CUSOLVER_STATUS_SUCCESS;
}
