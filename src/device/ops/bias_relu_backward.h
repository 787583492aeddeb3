/* The gradient through y = relu(x + bias), or x + bias: dy is masked in place where y <= 0 if relu; dbias (columns) =
 * its sums over the rows. */
#ifndef DINF_DEVICE_OPS_BIAS_RELU_BACKWARD_H
#define DINF_DEVICE_OPS_BIAS_RELU_BACKWARD_H

struct bias_relu_backward {
    int rows, columns;
    bool relu;
    const float *y; /* (rows, columns); read if relu */
    float *dy;      /* (rows, columns) */
    float *dbias;   /* (columns) */
};

#endif

#ifdef DINF_OP_REF
static void bias_relu_backward_ref(const struct bias_relu_backward *a)
{
    for (int j = 0; j < a->columns; j++) {
        double sum = 0;
        for (int i = 0; i < a->rows; i++) {
            const size_t p = (size_t)i * a->columns + j;
            if (a->relu && a->y[p] <= 0)
                a->dy[p] = 0;
            sum += a->dy[p];
        }
        a->dbias[j] = (float)sum;
    }
}
#endif

#ifdef DINF_OP_BODY
enum { bias_relu_backward_sums = 1 };

OP_FUNCTION void bias_relu_backward_cell(const struct bias_relu_backward *a, size_t at, int column, double *sums,
                                         int stride)
{
    (void)column;
    (void)stride;
    float g = a->dy[at];
    if (a->relu)
        a->dy[at] = g = kernel_relu_backward(a->y[at], g);
    sums[0] += g;
}

OP_FUNCTION void bias_relu_backward_finish(const struct bias_relu_backward *a, int column, const double *sums,
                                           int stride)
{
    (void)stride;
    a->dbias[column] = (float)sums[0];
}
#endif
