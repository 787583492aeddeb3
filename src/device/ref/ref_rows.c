/* Row-wise parts of the losses, by their definitions. */
#include "device/ref/ref.h"

#include <assert.h>
#include <math.h>

int ref_normalize_rows(struct device *dev, int n, int d, const float *x, float *y, float *inverse, struct err *err)
{
    (void)dev;
    (void)err;
    for (int i = 0; i < n; i++) {
        double squares = 0;
        for (int j = 0; j < d; j++)
            squares += (double)x[(size_t)i * d + j] * x[(size_t)i * d + j];
        double scale = 1 / fmax(sqrt(squares), 1e-12);
        for (int j = 0; j < d; j++)
            y[(size_t)i * d + j] = (float)(x[(size_t)i * d + j] * scale);
        inverse[i] = (float)scale;
    }
    return 0;
}

int ref_normalize_rows_backward(struct device *dev, int n, int d, const float *y, const float *inverse, const float *dy,
                                float *dx, struct err *err)
{
    (void)dev;
    (void)err;
    for (int i = 0; i < n; i++) {
        double dot = 0;
        for (int j = 0; j < d; j++)
            dot += (double)y[(size_t)i * d + j] * dy[(size_t)i * d + j];
        for (int j = 0; j < d; j++) {
            size_t p = (size_t)i * d + j;
            dx[p] = (float)(inverse[i] * (dy[p] - y[p] * dot));
        }
    }
    return 0;
}

int ref_contrastive_rows(struct device *dev, int n, int m, float *logits, const int32_t *positive,
                         const int32_t *row_group, const int32_t *group, float scale, float *loss_rows, struct err *err)
{
    (void)dev;
    (void)err;
    for (int i = 0; i < n; i++) {
        float *row = logits + (size_t)i * m;
        const int p = positive[i];
        assert(p >= 0 && p < m);
        const double chosen = row[p];
        double largest = chosen, sum = 0;
        for (int j = 0; j < m; j++)
            if ((j == p || group[j] != row_group[i]) && row[j] > largest)
                largest = row[j];
        for (int j = 0; j < m; j++)
            if (j == p || group[j] != row_group[i])
                sum += exp(row[j] - largest);
        for (int j = 0; j < m; j++) {
            bool counts = j == p || group[j] != row_group[i];
            double softmax = counts ? exp(row[j] - largest) / sum : 0;
            row[j] = (float)(scale * (softmax - (j == p)));
        }
        loss_rows[i] = (float)(largest + log(sum) - chosen);
    }
    return 0;
}

int ref_mse_rows(struct device *dev, int n, int d, const float *z, const float *target, float scale, float *dz,
                 float *loss_rows, struct err *err)
{
    (void)dev;
    (void)err;
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < d; j++) {
            size_t p = (size_t)i * d + j;
            double difference = (double)z[p] - target[p];
            sum += difference * difference;
            dz[p] = (float)(scale * 2 * difference / d);
        }
        loss_rows[i] = (float)(sum / d);
    }
    return 0;
}
