/* Matrix product, bias and ReLU, by their definitions. */
#include "device/ref/ref.h"

/* Row i, column j of what the factor stands for. */
static float element(const struct factor *f, int i, int j)
{
    return f->trans == TRANS_YES ? f->at[(size_t)j * (size_t)f->ld + (size_t)i]
                                 : f->at[(size_t)i * (size_t)f->ld + (size_t)j];
}

int ref_gemm(struct device *dev, const struct gemm *g, struct err *err)
{
    (void)err;
    const int m = g->m, n = g->n, k = g->k;
#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int p = 0; p < k; p++) {
                float left = element(&g->a, i, p), right = element(&g->b, p, j);
                sum += (double)left * right;
            }
            float *out = &g->c[(size_t)i * g->ldc + j];
            /* beta = 0 overwrites whatever was there, a NaN too, as in BLAS */
            *out = (float)(g->alpha * sum + (g->beta == 0 ? 0 : (double)g->beta * *out));
        }
    return 0;
}

int ref_linear(struct device *dev, const struct linear *l, struct err *err)
{
    (void)err;
#pragma omp parallel for num_threads(dev->threads)
    for (int i = 0; i < l->n; i++)
        for (int o = 0; o < l->out; o++) {
            double sum = l->bias[o];
            for (int p = 0; p < l->in; p++)
                sum += (double)l->x[(size_t)i * l->in + p] * l->weight[(size_t)o * l->in + p];
            l->y[(size_t)i * l->out + o] = (float)(l->relu && sum < 0 ? 0 : sum);
        }
    return 0;
}
