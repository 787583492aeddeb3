/* Matrix product, bias and ReLU, sums and the optimiser, by their definitions. */
#include "device/ref/ref.h"

#include <math.h>

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

int ref_bias_relu_backward(struct device *dev, int n, int d, const float *y, float *dy, float *dbias, bool relu,
                           struct err *err)
{
    (void)dev;
    (void)err;
    for (int j = 0; j < d; j++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
            size_t p = (size_t)i * d + j;
            if (relu && y[p] <= 0)
                dy[p] = 0;
            sum += dy[p];
        }
        if (dbias != NULL)
            dbias[j] = (float)sum;
    }
    return 0;
}

int ref_add_mean(struct device *dev, size_t n, const float *x, double *total, struct err *err)
{
    (void)dev;
    (void)err;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *total += sum / (double)n;
    return 0;
}

int ref_axpy(struct device *dev, size_t n, float alpha, const float *x, float *y, struct err *err)
{
    (void)dev;
    (void)err;
    for (size_t i = 0; i < n; i++)
        y[i] += alpha * x[i];
    return 0;
}

/* Kingma and Ba, "Adam", 2015, algorithm 1, with torch.optim.Adam's weight decay. */
int ref_adam(struct device *dev, size_t n, float *w, const float *g, float *m, float *v, const struct adam_step *at,
             struct err *err)
{
    (void)dev;
    (void)err;
    const double beta1 = at->beta1, beta2 = at->beta2;
    const double correction1 = 1 - pow(beta1, (double)at->step), correction2 = 1 - pow(beta2, (double)at->step);

    for (size_t i = 0; i < n; i++) {
        double gradient = g[i] + at->weight_decay * w[i];
        double first = beta1 * m[i] + (1 - beta1) * gradient;
        double second = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        m[i] = (float)first;
        v[i] = (float)second;
        w[i] = (float)(w[i] - at->lr * (first / correction1) / (sqrt(second / correction2) + at->epsilon));
    }
    return 0;
}
