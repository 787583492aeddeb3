/* Rows of length one: y = x / max(|x|, 1e-12), inverse (rows) = 1 / max(|x|, 1e-12). */
#ifndef DINF_DEVICE_OPS_NORMALIZE_ROWS_H
#define DINF_DEVICE_OPS_NORMALIZE_ROWS_H

struct normalize_rows {
    int rows, columns;
    const float *x; /* (rows, columns) */
    float *y;       /* (rows, columns) */
    float *inverse; /* (rows) */
};

#endif

#ifdef DINF_OP_REF
static void normalize_rows_ref(const struct normalize_rows *a)
{
    for (int i = 0; i < a->rows; i++) {
        const size_t row = (size_t)i * a->columns;
        double squares = 0;
        for (int j = 0; j < a->columns; j++)
            squares += (double)a->x[row + j] * a->x[row + j];
        double scale = 1 / fmax(sqrt(squares), 1e-12);
        for (int j = 0; j < a->columns; j++)
            a->y[row + j] = (float)(a->x[row + j] * scale);
        a->inverse[i] = (float)scale;
    }
}
#endif

#ifdef DINF_OP_BODY
OP_FUNCTION void normalize_rows_row(const struct normalize_rows *a, int i, struct row_team *team)
{
    const float *x = a->x + (size_t)i * a->columns;
    float *y = a->y + (size_t)i * a->columns;
    double squares;
    ROW_SUM(squares, j, a->columns, (double)x[j] * x[j]);
    const float factor = (float)(1 / fmax(sqrt(squares), 1e-12));
    ROW_EACH (j, a->columns)
        y[j] = x[j] * factor;
    if (ROW_FIRST)
        a->inverse[i] = factor;
}
#endif
