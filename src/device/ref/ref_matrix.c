/* Matrix product, bias and ReLU, by their definitions. */
#include "device/ref/ref.h"

int ref_gemm(struct device *dev, enum trans ta, enum trans tb, int m, int n, int k, float alpha, const float *a,
             int lda, const float *b, int ldb, float beta, float *c, int ldc, struct err *err)
{
    (void)err;
#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int p = 0; p < k; p++) {
                float left = ta == TRANS_YES ? a[(size_t)p * lda + i] : a[(size_t)i * lda + p];
                float right = tb == TRANS_YES ? b[(size_t)j * ldb + p] : b[(size_t)p * ldb + j];
                sum += (double)left * right;
            }
            float *out = &c[(size_t)i * ldc + j];
            /* beta = 0 overwrites whatever was there, a NaN too, as in BLAS */
            *out = (float)(alpha * sum + (beta == 0 ? 0 : (double)beta * *out));
        }
    return 0;
}

int ref_linear(struct device *dev, int n, int out, int in, const float *x, const float *weight, const float *bias,
               bool relu, float *y, struct err *err)
{
    (void)err;
#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < n; i++)
        for (int o = 0; o < out; o++) {
            double sum = bias[o];
            for (int p = 0; p < in; p++)
                sum += (double)x[(size_t)i * in + p] * weight[(size_t)o * in + p];
            y[(size_t)i * out + o] = (float)(relu && sum < 0 ? 0 : sum);
        }
    return 0;
}
