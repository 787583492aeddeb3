/* Rows of a table: out (rows, columns) = the rows `index` (rows) of table (any, columns). */
#ifndef DINF_DEVICE_OPS_GATHER_ROWS_H
#define DINF_DEVICE_OPS_GATHER_ROWS_H

struct gather_rows {
    int rows, columns;
    const float *table;
    const int32_t *index;
    float *out;
};

#endif

#ifdef DINF_OP_REF
static void gather_rows_ref(const struct gather_rows *a)
{
    for (int i = 0; i < a->rows; i++)
        for (int j = 0; j < a->columns; j++)
            a->out[(size_t)i * a->columns + j] = a->table[(size_t)a->index[i] * a->columns + j];
}
#endif

#ifdef DINF_OP_BODY
OP_FUNCTION void gather_rows_row(const struct gather_rows *a, int i, struct row_team *team)
{
    const float *from = a->table + (size_t)a->index[i] * a->columns;
    float *to = a->out + (size_t)i * a->columns;
    (void)team;
    ROW_EACH (j, a->columns)
        to[j] = from[j];
}
#endif
