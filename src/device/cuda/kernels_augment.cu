/* SimCLR augmentation, one block a view; the mathematics is augment_body.h's. A
 * view stays in shared memory while it is worked on, or, where it is too large,
 * in the workspace, which holds so many views at a time. */
#include "device/cuda/kernels_grid.h"

static constexpr int CHANNELS = 3;
static constexpr int AREA_SHARED = 32 * 32; /* pixels of a view that fits shared memory */
static constexpr int RADIUS_MAX = 64;
static constexpr int WORKSPACE_VIEWS = 256;

struct pixel {
    float r, g, b;
};

struct view_plan {
    const uint8_t *pixels;
    const struct augment_view *views;
    int h, w, radius;
    struct augment_target target;
    float *workspace; /* two images of the target's size a view */
    void *out;        /* (n, h, w, 3) of the target */
};

size_t cuda_augment_workspace(const struct augment_target *target, int n)
{
    const size_t area = (size_t)target->h * target->w;
    const size_t views = n < WORKSPACE_VIEWS ? (size_t)n : WORKSPACE_VIEWS;
    return area <= AREA_SHARED ? 0 : views * 2 * area * CHANNELS * sizeof(float);
}

static inline __device__ struct pixel sample(const struct view_plan *plan, const struct augment_view *v, int p)
{
    const size_t plane = (size_t)plan->h * plan->w;
    const uint8_t *image = plan->pixels + (size_t)v->image * CHANNELS * plane;
    const struct augment_tap y = augment_tap(v->crop_y, v->crop_h, plan->target.h, p / plan->target.w, false);
    const struct augment_tap x = augment_tap(v->crop_x, v->crop_w, plan->target.w, p % plan->target.w, v->flip);
    struct pixel out;
    out.r = augment_sample(image, plan->w, y, x);
    out.g = augment_sample(image + plane, plan->w, y, x);
    out.b = augment_sample(image + 2 * plane, plan->w, y, x);
    return out;
}

static inline __device__ void blend(struct pixel *v, float other, float factor)
{
    v->r = augment_blend(v->r, other, factor);
    v->g = augment_blend(v->g, other, factor);
    v->b = augment_blend(v->b, other, factor);
}

/* Jitter step `step` of the view; `mean` is for contrast. */
static inline __device__ void jitter(const struct augment_view *v, int step, float mean, struct pixel *p)
{
    const float factor = v->factor[v->order[step]];
    switch (v->order[step]) {
    case AUGMENT_BRIGHTNESS:
        blend(p, 0.0f, factor);
        break;
    case AUGMENT_CONTRAST:
        blend(p, mean, factor);
        break;
    case AUGMENT_SATURATION:
        blend(p, augment_grey(p->r, p->g, p->b), factor);
        break;
    case AUGMENT_HUE:
        augment_hue(&p->r, &p->g, &p->b, factor);
        break;
    }
}

static inline __device__ struct pixel read_pixel(const float *image, int p)
{
    const struct pixel out = { image[p * CHANNELS], image[p * CHANNELS + 1], image[p * CHANNELS + 2] };
    return out;
}

static inline __device__ void write_pixel(float *image, int p, struct pixel v)
{
    image[p * CHANNELS] = v.r;
    image[p * CHANNELS + 1] = v.g;
    image[p * CHANNELS + 2] = v.b;
}

/* Crop, resize, flip, jitter, greyscale; each thread works on pixels of its own. */
static inline __device__ void colours(const struct view_plan *plan, const struct augment_view *v, int area,
                                      double *scratch, float *image)
{
    int contrast = 0; /* steps before it */
    float grey = 0, mean = 0;

    while (contrast < 4 && v->order[contrast] != AUGMENT_CONTRAST)
        contrast++;
    for (int p = (int)threadIdx.x; p < area; p += THREADS) {
        struct pixel value = sample(plan, v, p);
        for (int step = 0; v->jitter && step < contrast; step++)
            jitter(v, step, 0.0f, &value);
        grey += augment_grey(value.r, value.g, value.b);
        write_pixel(image, p, value);
    }
    if (v->jitter)
        mean = (float)(block_sum(grey, scratch) / area);
    for (int p = (int)threadIdx.x; p < area; p += THREADS) {
        struct pixel value = read_pixel(image, p);
        for (int step = contrast; v->jitter && step < 4; step++)
            jitter(v, step, mean, &value);
        if (v->grey)
            value.r = value.g = value.b = augment_grey(value.r, value.g, value.b);
        write_pixel(image, p, value);
    }
}

/* Gaussian blur along one axis of all pixels of this thread, `from` to `to`. */
static inline __device__ void blur_axis(int h, int w, int radius, const float *weight, bool down, const float *from,
                                        float *to)
{
    for (int p = (int)threadIdx.x; p < h * w; p += THREADS) {
        const int y = p / w, x = p % w;
        struct pixel sum = { 0.0f, 0.0f, 0.0f };
        for (int j = -radius; j <= radius; j++) {
            const int at = down ? augment_reflect(y + j, h) * w + x : y * w + augment_reflect(x + j, w);
            const struct pixel value = read_pixel(from, at);
            sum.r += weight[j + radius] * value.r;
            sum.g += weight[j + radius] * value.g;
            sum.b += weight[j + radius] * value.b;
        }
        write_pixel(to, p, sum);
    }
}

static inline __device__ void blur(int h, int w, int radius, float sigma, float *weight, float *image, float *copy)
{
    float sum = 0;

    for (int j = (int)threadIdx.x; j <= 2 * radius; j += THREADS)
        weight[j] = augment_blur_weight(j - radius, sigma);
    __syncthreads();
    for (int j = 0; j <= 2 * radius; j++)
        sum += weight[j];
    __syncthreads(); /* all have the sum before weights change */
    for (int j = (int)threadIdx.x; j <= 2 * radius; j += THREADS)
        weight[j] /= sum;
    __syncthreads();
    blur_axis(h, w, radius, weight, false, image, copy);
    __syncthreads();
    blur_axis(h, w, radius, weight, true, copy, image);
}

template <class T> static __global__ void augment(struct view_plan plan)
{
    __shared__ float shared[2][AREA_SHARED * CHANNELS];
    __shared__ float weight[2 * RADIUS_MAX + 1];
    __shared__ double scratch[THREADS];
    const struct augment_view *v = &plan.views[blockIdx.x];
    const int area = plan.target.h * plan.target.w;
    const size_t at = (size_t)blockIdx.x * area * CHANNELS;
    T *out = (T *)plan.out + at;
    float *image = area <= AREA_SHARED ? shared[0] : plan.workspace + 2 * at;
    float *copy = area <= AREA_SHARED ? shared[1] : image + area * CHANNELS;

    colours(&plan, v, area, scratch, image);
    if (v->blur && plan.radius > 0)
        blur(plan.target.h, plan.target.w, plan.radius, v->sigma, weight, image, copy);
    for (int p = (int)threadIdx.x; p < area; p += THREADS) {
        const struct pixel value = read_pixel(image, p);
        put(&out[p * CHANNELS], augment_normalise(value.r, plan.target.mean[0], 1.0f / plan.target.std[0]));
        put(&out[p * CHANNELS + 1], augment_normalise(value.g, plan.target.mean[1], 1.0f / plan.target.std[1]));
        put(&out[p * CHANNELS + 2], augment_normalise(value.b, plan.target.mean[2], 1.0f / plan.target.std[2]));
    }
}

int cuda_augment(cudaStream_t stream, const uint8_t *pixels, int h, int w, const struct augment_view *views, int n,
                 const struct augment_target *target, void *workspace, void *out, struct err *err)
{
    const size_t area = (size_t)target->h * target->w;
    const size_t view = area * CHANNELS * precision_bytes(target->precision);
    const int most = area <= AREA_SHARED ? n : WORKSPACE_VIEWS;
    struct view_plan plan = {
        pixels, views, h, w, augment_blur_radius(target->h, target->w), *target, (float *)workspace, out
    };
    if (plan.radius > RADIUS_MAX)
        return err_set(err, "augmentation on CUDA: targets of %d x %d pixels are too large to blur", target->h,
                       target->w);
    if (area == 0)
        return 0;
    for (int first = 0; first < n; first += most) {
        plan.views = views + first;
        plan.out = (char *)out + (size_t)first * view;
        if (LAUNCH_ELEMENT(LAUNCH_SYNC, target->precision, augment, dim3(n - first < most ? n - first : most),
                           dim3(THREADS), stream, plan) != 0)
            return -1;
    }
    return 0;
}
