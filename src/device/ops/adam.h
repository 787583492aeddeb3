/* One step of Adam on all weights, as torch.optim.Adam (L2 in the gradient): Kingma and Ba, "Adam", ICLR 2015,
 * algorithm 1. */
#ifndef DINF_DEVICE_OPS_ADAM_H
#define DINF_DEVICE_OPS_ADAM_H

/* Device memory, because it changes from step to step while a recording does not. */
struct adam_step {
    double lr, beta1, beta2, epsilon, weight_decay;
    int64_t step; /* from 1 */
};

struct adam {
    size_t count;
    float *w;
    const float *g;
    float *m, *v; /* state, zeros at first */
    const struct adam_step *at;
};

#endif

#ifdef DINF_OP_REF
static void adam_ref(const struct adam *a)
{
    const struct adam_step *at = a->at;
    const double beta1 = at->beta1, beta2 = at->beta2;
    const double correction1 = 1 - pow(beta1, (double)at->step), correction2 = 1 - pow(beta2, (double)at->step);
    for (size_t i = 0; i < a->count; i++) {
        double gradient = a->g[i] + at->weight_decay * a->w[i];
        double first = beta1 * a->m[i] + (1 - beta1) * gradient;
        double second = beta2 * a->v[i] + (1 - beta2) * gradient * gradient;
        a->m[i] = (float)first;
        a->v[i] = (float)second;
        a->w[i] = (float)(a->w[i] - at->lr * (first / correction1) / (sqrt(second / correction2) + at->epsilon));
    }
}
#endif

#ifdef DINF_OP_BODY
struct adam_shared {
    float beta1, beta2, rest1, rest2, step_size, root_correction, epsilon, weight_decay;
};

OP_FUNCTION struct adam_shared adam_prepare(const struct adam *a)
{
    const struct adam_step *at = a->at;
    struct adam_shared k;
    k.beta1 = (float)at->beta1;
    k.beta2 = (float)at->beta2;
    k.rest1 = (float)(1 - at->beta1);
    k.rest2 = (float)(1 - at->beta2);
    k.step_size = (float)(at->lr / (1 - pow(at->beta1, (double)at->step)));
    k.root_correction = (float)(1 / sqrt(1 - pow(at->beta2, (double)at->step)));
    k.epsilon = (float)at->epsilon;
    k.weight_decay = (float)at->weight_decay;
    return k;
}

OP_FUNCTION void adam_element(const struct adam *a, const struct adam_shared *k, size_t i)
{
    float gradient = a->g[i] + k->weight_decay * a->w[i];
    float first = k->beta1 * a->m[i] + k->rest1 * gradient;
    float second = k->beta2 * a->v[i] + k->rest2 * gradient * gradient;
    a->m[i] = first;
    a->v[i] = second;
    a->w[i] -= k->step_size * first / (sqrtf(second) * k->root_correction + k->epsilon);
}
#endif
