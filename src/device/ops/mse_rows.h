/* Mean squared error: losses (rows) = mean_j (z - target)^2; dz = scale 2 (z - target) / columns. */
#ifndef DINF_DEVICE_OPS_MSE_ROWS_H
#define DINF_DEVICE_OPS_MSE_ROWS_H

struct mse_rows {
    int rows, columns;
    const float *z, *target; /* (rows, columns) */
    float scale;
    float *dz;     /* (rows, columns) */
    float *losses; /* (rows) */
};

#endif

#ifdef DINF_OP_REF
static void mse_rows_ref(const struct mse_rows *a)
{
    for (int i = 0; i < a->rows; i++) {
        double sum = 0;
        for (int j = 0; j < a->columns; j++) {
            const size_t p = (size_t)i * a->columns + j;
            double difference = (double)a->z[p] - a->target[p];
            sum += difference * difference;
            a->dz[p] = (float)(a->scale * 2 * difference / a->columns);
        }
        a->losses[i] = (float)(sum / a->columns);
    }
}
#endif

#ifdef DINF_OP_BODY
OP_FUNCTION double mse_rows_cell(float z, float target, float factor, float *dz)
{
    float difference = z - target;
    *dz = factor * difference;
    return (double)difference * difference;
}

OP_FUNCTION void mse_rows_row(const struct mse_rows *a, int i, struct row_team *team)
{
    const size_t row = (size_t)i * a->columns;
    const float *z = a->z + row, *target = a->target + row, factor = a->scale * 2 / (float)a->columns;
    float *dz = a->dz + row;
    double sum;
    ROW_SUM(sum, j, a->columns, mse_rows_cell(z[j], target[j], factor, &dz[j]));
    if (ROW_FIRST)
        a->losses[i] = (float)(sum / a->columns);
}
#endif
