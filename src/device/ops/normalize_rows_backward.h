/* The gradient through normalize_rows: dx = inverse (dy - y (y . dy)). */
#ifndef DINF_DEVICE_OPS_NORMALIZE_ROWS_BACKWARD_H
#define DINF_DEVICE_OPS_NORMALIZE_ROWS_BACKWARD_H

struct normalize_rows_backward {
    int rows, columns;
    const float *y;       /* (rows, columns), as normalize_rows left it */
    const float *inverse; /* (rows), likewise */
    const float *dy;      /* (rows, columns) */
    float *dx;            /* (rows, columns) */
};

#endif

#ifdef DINF_OP_REF
static void normalize_rows_backward_ref(const struct normalize_rows_backward *a)
{
    for (int i = 0; i < a->rows; i++) {
        const size_t row = (size_t)i * a->columns;
        double dot = 0;
        for (int j = 0; j < a->columns; j++)
            dot += (double)a->y[row + j] * a->dy[row + j];
        for (int j = 0; j < a->columns; j++)
            a->dx[row + j] = (float)(a->inverse[i] * (a->dy[row + j] - a->y[row + j] * dot));
    }
}
#endif

#ifdef DINF_OP_BODY
OP_FUNCTION void normalize_rows_backward_row(const struct normalize_rows_backward *a, int i, struct row_team *team)
{
    const float *y = a->y + (size_t)i * a->columns, *dy = a->dy + (size_t)i * a->columns;
    float *dx = a->dx + (size_t)i * a->columns;
    const float inverse = a->inverse[i];
    double product;
    ROW_SUM(product, j, a->columns, (double)y[j] * dy[j]);
    const float dot = (float)product;
    ROW_EACH (j, a->columns)
        dx[j] = inverse * (dy[j] - y[j] * dot);
}
#endif
