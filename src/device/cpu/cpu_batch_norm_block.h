/* Batch norm on planes of one block of channels; included by cpu_batch_norm.c
 * once for every block size, BLOCK. A plane is (area, BLOCK), one lane a channel.
 * Sums run in float over short stretches and in double beyond. No include guard. */

#define PASTE(a, b) a##_##b
#define EXPAND(a, b) PASTE(a, b)
#define BLOCKED(name) EXPAND(name, BLOCK)
#define lanes BLOCKED(lanes)
#define masks BLOCKED(masks)

/* aligned(4): any address will do, and results do not depend on it */
typedef float lanes __attribute__((vector_size(4 * BLOCK), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(4 * BLOCK), aligned(4), may_alias));

/* sum += sum of x - center, squares += sum of (x - center)^2 */
static void BLOCKED(add_moments)(int area, const float *x, const float *center, double *sum, double *squares)
{
    const lanes *v = (const lanes *)x, c = *(const lanes *)center;

    for (int first = 0; first < area; first += STRETCH) {
        int last = first + STRETCH < area ? first + STRETCH : area;
        lanes s = { 0 }, q = { 0 };
        for (int p = first; p < last; p++) {
            lanes d = v[p] - c;
            s += d;
            q += d * d;
        }
        for (int l = 0; l < BLOCK; l++) {
            sum[l] += s[l];
            squares[l] += q[l];
        }
    }
}

/* y = relu(batch norm(x) + residual), the latter two if wanted */
static inline __attribute__((always_inline)) void BLOCKED(apply_as)(int area, const float *x, const float *residual,
                                                                    const struct channels *k, bool relu, float *y)
{
    for (int p = 0; p < area; p++)
        for (int l = 0; l < BLOCK; l++) {
            size_t j = (size_t)p * BLOCK + l;
            float value = kernel_batch_norm(x[j], k->mean[l], k->scale[l], k->offset[l]);
            if (residual != NULL)
                value += residual[j];
            y[j] = relu ? kernel_relu(value) : value;
        }
}

static void BLOCKED(apply)(int area, const float *restrict x, const float *restrict residual, const struct channels *k,
                           bool relu, float *restrict y)
{
    const struct channels own = *k; /* which y cannot alias */

    if (residual != NULL)
        BLOCKED(apply_as)(area, x, residual, &own, relu, y);
    else if (relu)
        BLOCKED(apply_as)(area, x, NULL, &own, true, y);
    else
        BLOCKED(apply_as)(area, x, NULL, &own, false, y);
}

/* *g: the gradient behind the ReLU, (dy + dy2) where y > 0; y NULL: no ReLU.
 * (By pointer: vectors as values change the calling convention with the processor.) */
static inline __attribute__((always_inline)) void BLOCKED(gradient)(const lanes *y, const lanes *dy, const lanes *dy2,
                                                                    int p, lanes *g)
{
    *g = dy[p];
    if (dy2 != NULL)
        *g += dy2[p];
    if (y != NULL)
        *g = (lanes)((masks)*g & ~(masks)(y[p] <= 0));
}

/* sum += sum of g, product += sum of g (x - mean); g is kept in `keep` if not NULL */
static inline __attribute__((always_inline)) void BLOCKED(add_products_as)(int area, const lanes *x, const lanes *y,
                                                                           const lanes *dy, const lanes *dy2,
                                                                           const lanes *mean, lanes *keep, double *sum,
                                                                           double *product)
{
    const lanes center = *mean;

    for (int first = 0; first < area; first += STRETCH) {
        int last = first + STRETCH < area ? first + STRETCH : area;
        lanes s = { 0 }, q = { 0 };
        for (int p = first; p < last; p++) {
            lanes g;
            BLOCKED(gradient)(y, dy, dy2, p, &g);
            s += g;
            q += g * (x[p] - center);
            if (keep != NULL)
                keep[p] = g;
        }
        for (int l = 0; l < BLOCK; l++) {
            sum[l] += s[l];
            product[l] += q[l];
        }
    }
}

static void BLOCKED(add_products)(int area, const float *x, const float *y, const float *dy, const float *dy2,
                                  const float *mean, float *keep, double *sum, double *product)
{
    const lanes *vx = (const lanes *)x, *vy = (const lanes *)y, *vdy = (const lanes *)dy, *vdy2 = (const lanes *)dy2,
                *m = (const lanes *)mean;
    lanes *out = (lanes *)keep;

    if (y == NULL)
        BLOCKED(add_products_as)(area, vx, NULL, vdy, vdy2, m, out, sum, product);
    else if (dy2 != NULL && out != NULL)
        BLOCKED(add_products_as)(area, vx, vy, vdy, vdy2, m, out, sum, product);
    else if (out != NULL)
        BLOCKED(add_products_as)(area, vx, vy, vdy, NULL, m, out, sum, product);
    else if (dy2 != NULL)
        BLOCKED(add_products_as)(area, vx, vy, vdy, vdy2, m, NULL, sum, product);
    else
        BLOCKED(add_products_as)(area, vx, vy, vdy, NULL, m, NULL, sum, product);
}

/* dx from the gradient; dx may be dy */
static inline __attribute__((always_inline)) void BLOCKED(input_gradient_as)(int area, const float *x, const float *y,
                                                                             const float *dy, const float *dy2,
                                                                             const struct channels *k, float *dx)
{
    const struct channels own = *k;

    for (int p = 0; p < area; p++) {
#pragma omp simd
        for (int l = 0; l < BLOCK; l++) {
            size_t j = (size_t)p * BLOCK + l;
            float g = dy2 != NULL ? dy[j] + dy2[j] : dy[j];
            if (y != NULL)
                g = kernel_relu_backward(y[j], g);
            dx[j] = kernel_batch_norm_backward(g, x[j], own.mean[l], own.scale[l], own.slope[l], own.offset[l]);
        }
    }
}

static void BLOCKED(input_gradient)(int area, const float *x, const float *y, const float *dy, const float *dy2,
                                    const struct channels *k, float *dx)
{
    if (y == NULL && dy2 == NULL)
        BLOCKED(input_gradient_as)(area, x, NULL, dy, NULL, k, dx);
    else if (y == NULL)
        BLOCKED(input_gradient_as)(area, x, NULL, dy, dy2, k, dx);
    else if (dy2 == NULL)
        BLOCKED(input_gradient_as)(area, x, y, dy, NULL, k, dx);
    else
        BLOCKED(input_gradient_as)(area, x, y, dy, dy2, k, dx);
}

static const struct plane_kernels BLOCKED(plane_kernels) = {
    .add_moments = BLOCKED(add_moments),
    .apply = BLOCKED(apply),
    .add_products = BLOCKED(add_products),
    .input_gradient = BLOCKED(input_gradient),
};

#undef lanes
#undef masks
#undef BLOCKED
#undef EXPAND
#undef PASTE
#undef BLOCK
