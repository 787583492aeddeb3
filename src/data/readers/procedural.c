/* The procedural set, generated where it is read. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "data/dataset.h"
#include "data/procedural/procedural.h"

static int describe(const void *in, struct images *shape, struct err *err)
{
    const struct procedural_options *o = in;
    (void)err;
    shape->n = o->count;
    shape->c = 3;
    shape->h = shape->w = PROCEDURAL_SIDE;
    return 0;
}

static int read_images(const void *in, const int64_t *wanted, int64_t n, struct images *out, struct err *err)
{
    const struct procedural_options *o = in;
    describe(in, out, err);
    out->n = wanted != NULL ? n : o->count;
    out->pixels = mem_alloc((size_t)out->n, PROCEDURAL_PIXELS, err);
    out->labels = mem_alloc((size_t)out->n, sizeof *out->labels, err);
    if (out->pixels == NULL || out->labels == NULL) {
        images_fini(out);
        return -1;
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < out->n; i++) {
        uint32_t index = (uint32_t)(o->begin + (wanted != NULL ? wanted[i] : i));
        procedural_render(o, index, out->pixels + i * PROCEDURAL_PIXELS);
        out->labels[i] = procedural_label(o, index);
    }
    return 0;
}

/* Sets that differ in begin and count alone have images in common. */
static int parts(const void *in, struct dataset_part *out, int *n, struct err *err)
{
    const struct procedural_options *o = in;
    struct hash *h = hash_create(err);
    char text[128];
    if (h == NULL)
        return -1;
    snprintf(text, sizeof text, "dinf procedural %d: %" PRId64 " classes, seed %" PRId64 ", family %" PRId64,
             (int)PROCEDURAL_VERSION, o->classes, o->seed, o->family);
    hash_add_string(h, text);
    if (hash_finish(h, out[0].hex, err) != 0)
        return -1;
    out[0].labels[0] = 0;
    out[0].begin = o->begin;
    out[0].n = o->count;
    *n = 1;
    return 0;
}

const struct dataset_format dataset_format_procedural = {
    .name = "procedural",
    .help = "generated: classes of shape, texture and hue with wide variation inside a class",
    .options = procedural_option_table,
    .options_size = sizeof(struct procedural_options),
    .describe = describe,
    .read = read_images,
    .parts = parts,
};
