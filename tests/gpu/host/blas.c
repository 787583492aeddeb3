/* cuBLAS and cuSOLVER on the host, by OpenBLAS: both count columns first. */
#include <cblas.h>
#include <f77blas.h>

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cusolverDn.h>

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

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
    return handle != NULL && stream != NULL ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes)
{
    (void)handle;
    return workspace != NULL && bytes >= 4 << 20 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
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

struct sgemm {
    cublasOperation_t ta, tb;
    int m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b, *bias; /* bias (m): of every row, NULL for none */
    float *c;
    bool relu;
};

static void sgemm(const void *args)
{
    const struct sgemm *o = args;
    cblas_sgemm(CblasColMajor, trans(o->ta), trans(o->tb), o->m, o->n, o->k, o->alpha, o->a, o->lda, o->b, o->ldb,
                o->beta, o->c, o->ldc);
    for (int j = 0; o->bias != NULL && j < o->n; j++)
        for (int i = 0; i < o->m; i++) {
            float *value = &o->c[(size_t)j * o->ldc + i];
            *value += o->bias[i];
            if (o->relu && *value < 0)
                *value = 0;
        }
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType at, int lda, const void *b, cudaDataType bt,
                            int ldb, const void *beta, void *c, cudaDataType ct, int ldc, cublasComputeType_t compute,
                            cublasGemmAlgo_t algorithm)
{
    (void)handle;
    assert(at == CUDA_R_32F && bt == CUDA_R_32F && ct == CUDA_R_32F && algorithm == CUBLAS_GEMM_DEFAULT);
    assert(compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_FAST_TF32);
    const struct sgemm o = { ta, tb, m,    n, k,    lda, ldb, ldc, *(const float *)alpha, *(const float *)beta,
                             a,  b,  NULL, c, false };
    capture_queue(sgemm, &o, sizeof o);
    return CUBLAS_STATUS_SUCCESS;
}

/* -- cuBLASLt: products with an epilogue -- */

struct lt_product {
    cublasOperation_t ta;
    cublasLtEpilogue_t epilogue;
    const float *bias;
};

struct lt_layout {
    int rows, columns, ld;
};

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    static int thing;
    *handle = (cublasLtHandle_t)&thing;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    (void)handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t scale)
{
    assert((compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_FAST_TF32) && scale == CUDA_R_32F);
    *out = calloc(1, sizeof(struct lt_product));
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes)
{
    struct lt_product *p = (struct lt_product *)desc;
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        memcpy(&p->ta, value, bytes);
        break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        memcpy(&p->epilogue, value, bytes);
        break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        memcpy(&p->bias, value, bytes);
        break;
    default:
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t ld)
{
    struct lt_layout *l = calloc(1, sizeof *l);
    assert(type == CUDA_R_32F && ld >= (int64_t)rows);
    *l = (struct lt_layout){ (int)rows, (int)columns, (int)ld };
    *out = (cublasLtMatrixLayout_t)l;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    *out = calloc(1, 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes)
{
    (void)preference, (void)value;
    return attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == sizeof(size_t)
               ? CUBLAS_STATUS_SUCCESS
               : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *found)
{
    assert(handle && desc && a && b && c && d && preference && wanted == 1);
    memset(results, 0, sizeof *results);
    *found = ((struct lt_layout *)a)->rows % 3 != 0; /* for some sizes there is none */
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t ad, const void *b, cublasLtMatrixLayout_t bd, const void *beta,
                              const void *c, cublasLtMatrixLayout_t cd, void *d, cublasLtMatrixLayout_t dd,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t bytes, cudaStream_t stream)
{
    const struct lt_product *p = (const struct lt_product *)desc;
    const struct lt_layout *la = (const struct lt_layout *)ad, *lb = (const struct lt_layout *)bd,
                           *ld = (const struct lt_layout *)dd;
    const bool turned = p->ta == CUBLAS_OP_T;
    const int k = turned ? la->rows : la->columns;
    assert(handle && algorithm && workspace && bytes && stream && c == d && cd == dd && p->bias);
    assert((turned ? la->columns : la->rows) == ld->rows && lb->rows == k && lb->columns == ld->columns);
    assert(p->epilogue == CUBLASLT_EPILOGUE_BIAS || p->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS);
    const struct sgemm o = { p->ta,
                             CUBLAS_OP_N,
                             ld->rows,
                             ld->columns,
                             k,
                             la->ld,
                             lb->ld,
                             ld->ld,
                             *(const float *)alpha,
                             *(const float *)beta,
                             a,
                             b,
                             p->bias,
                             d,
                             p->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS };
    capture_queue(sgemm, &o, sizeof o);
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
    return handle != NULL && stream != NULL ? CUSOLVER_STATUS_SUCCESS : CUSOLVER_STATUS_NOT_INITIALIZED;
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
