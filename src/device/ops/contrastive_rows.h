/* Softmax cross-entropy over the columns of logits, each already divided by the temperature: row i has its positive at
 * positive[i] and ignores the other columns j with group[j] == row_group[i] (which is how itself and further positives
 * are masked). losses (rows) get -log softmax; logits are replaced by scale (softmax - onehot), zero where ignored. */
#ifndef DINF_DEVICE_OPS_CONTRASTIVE_ROWS_H
#define DINF_DEVICE_OPS_CONTRASTIVE_ROWS_H

struct contrastive_rows {
    int rows, columns;
    float *logits;            /* (rows, columns) */
    const int32_t *positive;  /* (rows) */
    const int32_t *row_group; /* (rows) */
    const int32_t *group;     /* (columns) */
    float scale;
    float *losses; /* (rows) */
};

#endif

#ifdef DINF_OP_REF
static void contrastive_rows_ref(const struct contrastive_rows *a)
{
    const int m = a->columns;
    for (int i = 0; i < a->rows; i++) {
        float *row = a->logits + (size_t)i * m;
        const int p = a->positive[i];
        assert(p >= 0 && p < m);
        const double chosen = row[p];
        double largest = chosen, sum = 0;
        for (int j = 0; j < m; j++)
            if ((j == p || a->group[j] != a->row_group[i]) && row[j] > largest)
                largest = row[j];
        for (int j = 0; j < m; j++)
            if (j == p || a->group[j] != a->row_group[i])
                sum += exp(row[j] - largest);
        for (int j = 0; j < m; j++) {
            bool counts = j == p || a->group[j] != a->row_group[i];
            double softmax = counts ? exp(row[j] - largest) / sum : 0;
            row[j] = (float)(a->scale * (softmax - (j == p)));
        }
        a->losses[i] = (float)(largest + log(sum) - chosen);
    }
}
#endif

#ifdef DINF_OP_BODY
OP_FUNCTION void contrastive_rows_row(const struct contrastive_rows *a, int i, struct row_team *team)
{
    float *row = a->logits + (size_t)i * a->columns;
    const int32_t *group = a->group, at = a->positive[i], mine = a->row_group[i];
    const float chosen = row[at], scale = a->scale;
    float largest = chosen;
    double sum;
    ROW_LARGEST(largest, j, a->columns, group[j] == mine ? largest : row[j]);
    /* all have read the positive by now */
    ROW_EACH (j, a->columns)
        row[j] = j != at && group[j] == mine ? 0 : expf(row[j] - largest);
    ROW_SUM(sum, j, a->columns, row[j]);
    const float factor = (float)(scale / sum);
    ROW_EACH (j, a->columns) {
        row[j] *= factor;
        if (j == at)
            row[j] -= scale;
    }
    if (ROW_FIRST)
        a->losses[i] = (float)(log(sum) + ((double)largest - chosen));
}
#endif
