/* A scene of layers (background, distractors, the object, an occluder), drawn
 * from the image's own random stream and painted pixel by pixel. */
#include "data/procedural/procedural.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"
#include "data/procedural/pattern.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* bytes must not depend on fused operations */
#endif

enum { HUES = 8, COMBINATIONS = SHAPES / 2 * (TEXTURES / 2) * HUES, DISTRACTORS_MAX = 6 };
enum { SIDE = PROCEDURAL_SIDE, AREA = SIDE * SIDE };

/* Beyond any image's number, for draws that belong to a family. */
static const uint32_t family_draws = 0xFFFFFFFFu;

const struct option procedural_option_table[] = {
    { "classes", OPTION_INT, offsetof(struct procedural_options, classes), "40", 2, 256, NULL, NULL,
      "number of classes; image i has class i mod classes" },
    { "count", OPTION_INT, offsetof(struct procedural_options, count), "4000", 1, 10000000, NULL, "images",
      "number of images" },
    { "begin", OPTION_INT, offsetof(struct procedural_options, begin), "0", 0, 1000000000, NULL, "images",
      "number of the first image" },
    { "seed", OPTION_INT, offsetof(struct procedural_options, seed), "0", 0, 0x1p53, NULL, NULL,
      "seed of everything that varies within a class" },
    { "family", OPTION_INT, offsetof(struct procedural_options, family), "0", 0, 1000000, NULL, NULL,
      "which world of classes; even and odd ones share no shape and no texture" },
    OPTION_END,
};

struct colour {
    float v[3];
};

/* Something to paint: a textured shape, or a textured background (shape -1). */
struct layer {
    int shape, texture;
    float x, y;           /* centre, pixels */
    float m[4];           /* offset in pixels -> shape coordinates */
    float scale;          /* pixels a shape unit, for soft edges */
    float t[4], phase[2]; /* offset in pixels -> texture coordinates */
    float sharpness;      /* of the border between the two colours */
    uint32_t salt;
    struct colour a, b;
    float low, high; /* shading over the shape */
};

static float uniform(struct rng *r, float low, float high)
{
    return low + (high - low) * rng_float(r);
}

static float unit(float v)
{
    v = v < 0.0f ? 0.0f : v;
    return v > 1.0f ? 1.0f : v;
}

static struct colour colour_of(float hue, float saturation, float value)
{
    struct colour c;
    hue -= floorf(hue);
    for (int k = 0; k < 3; k++) {
        float at = 6.0f * hue + (float)(5 - 2 * k);
        at -= 6.0f * floorf(at / 6.0f);
        float low = at < 4.0f - at ? at : 4.0f - at;
        c.v[k] = value - value * saturation * unit(low);
    }
    return c;
}

static struct colour any_colour(struct rng *r)
{
    float hue = rng_float(r), saturation = uniform(r, 0.0f, 0.9f), value = uniform(r, 0.1f, 1.0f);
    return colour_of(hue, saturation, value);
}

/* Texture of `period` pixels, turned by `turn`. */
static void set_texture(struct layer *l, int texture, float period, float turn, struct rng *r)
{
    float s = pattern_sine(turn) / period, c = pattern_sine(turn + 0.25f) / period;
    l->texture = texture;
    l->t[0] = c;
    l->t[1] = s;
    l->t[2] = -s;
    l->t[3] = c;
    l->phase[0] = uniform(r, -0.5f, 0.5f);
    l->phase[1] = uniform(r, -0.5f, 0.5f);
    l->sharpness = 0.35f * period;
    l->salt = rng_u32(r);
}

static void set_shape(struct layer *l, int shape, float radius, float aspect, float turn, bool mirror)
{
    float s = pattern_sine(turn), c = pattern_sine(turn + 0.25f), flip = mirror ? -1.0f : 1.0f;
    float rx = radius * sqrtf(aspect), ry = radius / sqrtf(aspect);
    l->shape = shape;
    l->scale = radius;
    l->m[0] = flip * c / rx;
    l->m[1] = flip * s / rx;
    l->m[2] = -s / ry;
    l->m[3] = c / ry;
}

static struct layer background(const struct procedural_options *o, struct rng *r)
{
    struct layer l = { .shape = -1, .x = SIDE / 2.0f, .y = SIDE / 2.0f, .low = 1.0f, .high = 1.0f };
    l.a = any_colour(r);
    float mix = uniform(r, 0.15f, 0.8f); /* how far the second colour is */
    struct colour far = any_colour(r);
    for (int k = 0; k < 3; k++)
        l.b.v[k] = l.a.v[k] + mix * (far.v[k] - l.a.v[k]);
    int texture = (int)(o->family % 2) * (TEXTURES / 2) + (int)rng_below(r, TEXTURES / 2);
    float period = uniform(r, 5.0f, 16.0f), turn = rng_float(r);
    set_texture(&l, texture, period, turn, r);
    return l;
}

static struct layer distractor(const struct procedural_options *o, float radius, struct rng *r)
{
    struct layer l = { 0 };
    int half = (int)(o->family % 2);
    int shape = half * (SHAPES / 2) + (int)rng_below(r, SHAPES / 2);
    int texture = half * (TEXTURES / 2) + (int)rng_below(r, TEXTURES / 2);
    l.x = uniform(r, 0.0f, SIDE);
    l.y = uniform(r, 0.0f, SIDE);
    l.a = any_colour(r);
    l.b = any_colour(r);
    l.low = uniform(r, 0.6f, 1.0f);
    l.high = uniform(r, 0.9f, 1.2f);
    float aspect = uniform(r, 0.6f, 1.6f), turn = rng_float(r);
    set_shape(&l, shape, radius, aspect, turn, false);
    float period = uniform(r, 3.0f, 8.0f), texture_turn = rng_float(r);
    set_texture(&l, texture, period, texture_turn, r);
    return l;
}

/* Shape, texture and hue of a class: its place in the family's own order of all combinations. */
static void class_of(const struct procedural_options *o, int label, int *shape, int *texture, float *hue)
{
    uint32_t order[COMBINATIONS];
    struct rng r = rng_at((uint64_t)o->family, RNG_PROCEDURAL, family_draws, family_draws, 0);
    float offset = 0.5f * (float)(o->family % 2) + rng_float(&r);
    rng_permutation(&r, order, COMBINATIONS);
    int half = (int)(o->family % 2), c = (int)order[label];
    *shape = half * (SHAPES / 2) + c % (SHAPES / 2);
    *texture = half * (TEXTURES / 2) + c / (SHAPES / 2) % (TEXTURES / 2);
    *hue = ((float)(c / (SHAPES / 2 * (TEXTURES / 2))) + offset) / HUES;
}

static struct layer object(const struct procedural_options *o, int label, struct rng *r)
{
    struct layer l = { 0 };
    int shape, texture;
    float hue;
    class_of(o, label, &shape, &texture, &hue);
    float radius = uniform(r, 7.0f, 13.5f), aspect = uniform(r, 0.7f, 1.43f), turn = uniform(r, -0.14f, 0.14f);
    float margin = 0.55f * radius;
    l.x = uniform(r, margin, SIDE - margin);
    l.y = uniform(r, margin, SIDE - margin);
    set_shape(&l, shape, radius, aspect, turn, rng_u32(r) >> 31);
    float period = uniform(r, 3.6f, 7.5f), texture_turn = turn + uniform(r, -0.1f, 0.1f);
    set_texture(&l, texture, period, texture_turn, r);
    float h = hue + uniform(r, -0.045f, 0.045f), saturation = uniform(r, 0.55f, 1.0f), value = uniform(r, 0.55f, 1.0f);
    l.a = colour_of(h, saturation, value);
    /* the second colour: darker, paler or another hue */
    float far = rng_float(r), pale = rng_float(r), other = uniform(r, 0.25f, 0.75f);
    if (far < 0.4f)
        l.b = colour_of(h, saturation, value * uniform(r, 0.1f, 0.4f));
    else if (far < 0.75f)
        l.b = colour_of(h, 0.25f * pale, uniform(r, 0.8f, 1.0f));
    else
        l.b = colour_of(h + other, 0.3f + 0.7f * pale, uniform(r, 0.2f, 0.9f));
    l.low = uniform(r, 0.55f, 1.0f);
    l.high = uniform(r, 0.95f, 1.25f);
    return l;
}

static void paint(const struct layer *l, float image[3][AREA])
{
    for (int i = 0; i < AREA; i++) {
        float dx = (float)(i % SIDE) + 0.5f - l->x, dy = (float)(i / SIDE) + 0.5f - l->y, cover = 1.0f, shade = 1.0f;
        if (l->shape >= 0) {
            float x = l->m[0] * dx + l->m[1] * dy, y = l->m[2] * dx + l->m[3] * dy;
            cover = x > 1.5f || x < -1.5f || y > 1.5f || y < -1.5f
                        ? 0.0f
                        : unit(0.5f - l->scale * pattern_shape(l->shape, x, y));
            if (cover == 0.0f)
                continue;
            shade = l->low + (l->high - l->low) * unit(0.5f - 0.35f * (x + y));
        }
        float u = l->t[0] * dx + l->t[1] * dy + l->phase[0], v = l->t[2] * dx + l->t[3] * dy + l->phase[1];
        float mix = pattern_texture(l->texture, u, v, l->salt);
        mix = l->shape >= 0 ? unit(0.5f + l->sharpness * 2.0f * (mix - 0.5f)) : unit(mix);
        for (int c = 0; c < 3; c++) {
            float paint_colour = shade * (l->a.v[c] + mix * (l->b.v[c] - l->a.v[c]));
            image[c][i] += cover * (paint_colour - image[c][i]);
        }
    }
}

/* Light from one side, tint, cloudy shadow, sensor noise; then bytes. */
static void finish(float image[3][AREA], struct rng *r, uint8_t *pixels)
{
    float turn = rng_float(r), slope = uniform(r, 0.0f, 0.5f), level = uniform(r, 0.75f, 1.15f);
    float gx = slope * pattern_sine(turn) / SIDE, gy = slope * pattern_sine(turn + 0.25f) / SIDE;
    float cloud = uniform(r, 0.0f, 0.5f), size = uniform(r, 0.08f, 0.25f), noise = uniform(r, 0.01f, 0.06f);
    uint32_t salt = rng_u32(r);
    float tint[3];
    for (int c = 0; c < 3; c++)
        tint[c] = uniform(r, 0.85f, 1.1f);
    for (int i = 0; i < AREA; i++) {
        float x = (float)(i % SIDE), y = (float)(i / SIDE);
        float light = level + gx * (x - SIDE / 2.0f) + gy * (y - SIDE / 2.0f);
        light *= 1.0f + cloud * (pattern_noise(size * x, size * y, salt) - 0.5f);
        for (int c = 0; c < 3; c++) {
            uint32_t bits = rng_u32(r); /* four bytes added: nearly normal, variance 4 / 12 */
            int sum = (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24);
            float v = image[c][i] * light * tint[c] + noise * 1.7f * ((float)sum / 256.0f - 1.992f);
            pixels[c * AREA + i] = (uint8_t)(255.0f * unit(v) + 0.5f);
        }
    }
}

int32_t procedural_label(const struct procedural_options *o, uint32_t index)
{
    return (int32_t)(index % (uint32_t)o->classes);
}

void procedural_render(const struct procedural_options *o, uint32_t index, uint8_t pixels[PROCEDURAL_PIXELS])
{
    float image[3][AREA] = { { 0.0f } };
    struct rng r = rng_at((uint64_t)o->seed, RNG_PROCEDURAL, index, (uint32_t)o->classes, (uint32_t)o->family);
    struct layer l = background(o, &r);
    paint(&l, image);
    uint32_t behind = 2 + rng_below(&r, DISTRACTORS_MAX - 2);
    for (uint32_t k = 0; k < behind; k++) {
        l = distractor(o, uniform(&r, 2.0f, 6.5f), &r);
        paint(&l, image);
    }
    l = object(o, procedural_label(o, index), &r);
    paint(&l, image);
    uint32_t before = rng_below(&r, 3);
    for (uint32_t k = 0; k < before; k++) {
        l = distractor(o, uniform(&r, 1.5f, 3.0f), &r);
        paint(&l, image);
    }
    finish(image, &r, pixels);
}
