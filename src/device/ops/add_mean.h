/* *total += (sum of x) / count, in double. */
#ifndef DINF_DEVICE_OPS_ADD_MEAN_H
#define DINF_DEVICE_OPS_ADD_MEAN_H

struct add_mean {
    size_t count;
    const float *x;
    double *total;
};

#endif

#ifdef DINF_OP_REF
static void add_mean_ref(const struct add_mean *a)
{
    double sum = 0;
    for (size_t i = 0; i < a->count; i++)
        sum += a->x[i];
    *a->total += sum / (double)a->count;
}
#endif

#ifdef DINF_OP_BODY
OP_FUNCTION double add_mean_value(const struct add_mean *a, size_t i)
{
    return a->x[i];
}

OP_FUNCTION void add_mean_finish(const struct add_mean *a, double sum)
{
    *a->total += sum / (double)a->count;
}
#endif
