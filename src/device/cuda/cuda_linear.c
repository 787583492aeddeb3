/* Fully connected layers by cuBLASLt, with bias and ReLU in the product's epilogue.
 * cuBLASLt counts columns first: row-major y (n, out) = x W^T is y' (out, n) =
 * W (out, in) x' (in, n), and a bias of its rows is one of our columns. */
#include "device/cuda/cuda_device.h"

#include "device/cuda/launch.h"
#include "device/host.h"

/* What one product is described by; all NULL at first. */
struct product {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t chosen;
};

static void product_fini(struct product *p)
{
    if (p->preference != NULL)
        cublasLtMatmulPreferenceDestroy(p->preference);
    if (p->d != NULL)
        cublasLtMatrixLayoutDestroy(p->d);
    if (p->b != NULL)
        cublasLtMatrixLayoutDestroy(p->b);
    if (p->a != NULL)
        cublasLtMatrixLayoutDestroy(p->a);
    if (p->desc != NULL)
        cublasLtMatmulDescDestroy(p->desc);
}

static cublasStatus_t describe(struct product *p, const struct linear *l)
{
    const int n = l->n, out = l->out, in = l->in;
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = l->relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    const cublasComputeType_t compute =
        l->precision == PRECISION_FP32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_FAST_TF32;
    const size_t workspace = CUDA_BLAS_WORKSPACE;
    cublasStatus_t status = cublasLtMatmulDescCreate(&p->desc, compute, CUDA_R_32F);

    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &l->bias, sizeof l->bias);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutCreate(&p->a, CUDA_R_32F, (uint64_t)in, (uint64_t)out, in);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutCreate(&p->b, CUDA_R_32F, (uint64_t)in, (uint64_t)n, in);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutCreate(&p->d, CUDA_R_32F, (uint64_t)out, (uint64_t)n, out);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulPreferenceCreate(&p->preference);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulPreferenceSetAttribute(p->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                      &workspace, sizeof workspace);
    return status;
}

/* The first of cuBLASLt's suggestions: no measurement, so the same every time. False if
 * it has none, which for odd sizes happens. */
static bool choose(struct cuda_device *cuda, struct product *p)
{
    int found = 0;
    return cublasLtMatmulAlgoGetHeuristic(cuda->cublas_lt, p->desc, p->a, p->b, p->d, p->d, p->preference, 1,
                                          &p->chosen, &found) == CUBLAS_STATUS_SUCCESS &&
           found > 0;
}

static int product_then_bias(struct device *dev, const struct linear *l, struct err *err)
{
    const struct gemm product = linear_product(l);
    if (cuda_gemm(dev, &product, err) != 0)
        return -1;
    return cuda_conv_epilogue(cuda_of(dev)->stream, PRECISION_FP32, (size_t)l->n, l->out, l->bias, NULL, l->relu, l->y,
                              err);
}

int cuda_linear(struct device *dev, const struct linear *l, struct err *err)
{
    struct cuda_device *cuda = cuda_of(dev);
    struct product p = { 0 };
    const float one = 1, none = 0;
    int rc = -1;

    if (l->n == 0 || l->out == 0)
        return 0;
    if (cuda_check_cublas(describe(&p, l), "describing a linear layer", err) != 0)
        goto out;
    if (!choose(cuda, &p)) {
        rc = product_then_bias(dev, l, err);
        goto out;
    }
    rc = cuda_check_cublas(cublasLtMatmul(cuda->cublas_lt, p.desc, &one, l->weight, p.a, l->x, p.b, &none, l->y, p.d,
                                          l->y, p.d, &p.chosen.algo, cuda->blas_workspace, CUDA_BLAS_WORKSPACE,
                                          cuda->stream),
                           "linear layer", err);
out:
    product_fini(&p);
    return rc;
}
