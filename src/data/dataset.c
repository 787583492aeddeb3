/* Sets as the rest of dinf sees them: shape, pixels, identity. */
#include "data/dataset.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/resize.h"
#include "data/selection.h"

/* The formats: one row each. */
#define FORMAT(name) extern const struct dataset_format dataset_format_##name;
#include "data/readers/formats.def"
#undef FORMAT

const struct dataset_format *const dataset_formats[] = {
#define FORMAT(name) &dataset_format_##name,
#include "data/readers/formats.def"
#undef FORMAT
    NULL,
};

const char *const dataset_format_names[] = {
#define FORMAT(name) #name,
#include "data/readers/formats.def"
#undef FORMAT
    NULL,
};

int dataset_describe(const cJSON *spec, struct images *shape, struct err *err)
{
    struct selection s;
    if (selection_resolve(spec, &s, err) != 0)
        return -1;
    shape->n = s.n;
    shape->c = s.c;
    shape->h = s.h;
    shape->w = s.w;
    selection_fini(&s);
    return 0;
}

void images_fini(struct images *im)
{
    if (im == NULL)
        return;
    mem_free(im->pixels);
    mem_free(im->labels);
    *im = (struct images){ 0 };
}

/* Reads what the selection wants of source `which` and puts it in place. */
static int read_source(const struct selection *s, int which, struct images *out, bool *labelled, struct err *err)
{
    const struct source *source = &s->sources[which];
    struct images part = { 0 };
    int64_t n = 0, k = 0;
    int rc = -1;
    int64_t *wanted = mem_alloc((size_t)s->n, sizeof *wanted, err);
    if (wanted == NULL)
        return -1;
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].source == which)
            wanted[n++] = s->items[i].index;
    if (source->format->read(source->options, wanted, n, &part, err) != 0) {
        err_prefix(err, "%s", source->format->name);
        goto out;
    }
    const struct resize_to to = resize_wanted(part.h, part.w, source->size, source->crop);
    if (images_resize(&part, &to, err) != 0)
        goto out;
    size_t bytes = (size_t)out->c * (size_t)out->h * (size_t)out->w;
    *labelled = *labelled && part.labels != NULL;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->items[i].source != which)
            continue;
        memcpy(out->pixels + (size_t)i * bytes, part.pixels + (size_t)k * bytes, bytes);
        if (*labelled)
            out->labels[i] = part.labels[k];
        k++;
    }
    rc = 0;
out:
    images_fini(&part);
    mem_free(wanted);
    return rc;
}

int dataset_read(const cJSON *spec, struct images *out, struct err *err)
{
    struct selection s;
    *out = (struct images){ 0 };
    if (selection_resolve(spec, &s, err) != 0)
        return -1;
    int rc = -1;
    bool labelled = true;
    out->n = s.n;
    out->c = s.c;
    out->h = s.h;
    out->w = s.w;
    out->pixels = mem_alloc((size_t)s.n, (size_t)s.c * (size_t)s.h * (size_t)s.w, err);
    out->labels = mem_alloc((size_t)s.n, sizeof *out->labels, err);
    if (out->pixels == NULL || out->labels == NULL)
        goto out;
    for (int i = 0; i < s.n_sources; i++)
        if (read_source(&s, i, out, &labelled, err) != 0)
            goto out;
    if (!labelled) { /* a set has labels for all of its images or for none */
        mem_free(out->labels);
        out->labels = NULL;
    }
    rc = 0;
out:
    selection_fini(&s);
    if (rc != 0)
        images_fini(out);
    return rc;
}

/* ---- identity ---- */

/* Distinct parts over several selections, and each image as (part, index). */
struct parts_table {
    struct dataset_part *parts;
    int n;
    bool by_labels; /* the same images with other labels are another part */
};

struct key {
    int32_t part;
    int64_t index;
};

static int part_number(struct parts_table *t, const struct dataset_part *part, struct err *err)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->parts[i].hex, part->hex) == 0 && (!t->by_labels || strcmp(t->parts[i].labels, part->labels) == 0))
            return i;
    void *grown = mem_grow(t->parts, (size_t)t->n, (size_t)t->n + 1, sizeof *t->parts, err);
    if (grown == NULL)
        return -1;
    t->parts = grown;
    t->parts[t->n] = *part;
    return t->n++;
}

/* One key per item, in order. */
static struct key *keys_of(const struct selection *s, struct parts_table *table, struct err *err)
{
    struct dataset_part parts[DATASET_PARTS_MAX];
    struct key *keys = mem_alloc((size_t)s->n, sizeof *keys, err);
    if (keys == NULL)
        return NULL;
    for (int which = 0; which < s->n_sources; which++) {
        const struct source *source = &s->sources[which];
        int n_parts = 0;
        if (source->format->parts(source->options, parts, &n_parts, err) != 0) {
            err_prefix(err, "%s", source->format->name);
            goto fail;
        }
        for (int64_t i = 0; i < s->n; i++) {
            if (s->items[i].source != which)
                continue;
            int64_t index = s->items[i].index;
            int p = 0;
            for (; p + 1 < n_parts && index >= parts[p].n; p++)
                index -= parts[p].n;
            int number = part_number(table, &parts[p], err);
            if (number < 0)
                goto fail;
            keys[i].part = number;
            keys[i].index = parts[p].begin + index;
        }
    }
    return keys;
fail:
    mem_free(keys);
    return NULL;
}

static void add_u64(struct hash *h, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    hash_add(h, bytes, sizeof bytes);
}

/* Do images of both sources become the same by their sizes and crops, whatever they are of? */
static bool same_cut(const struct source *a, const struct source *b)
{
    return a->crop == b->crop && (a->crop == 0 || a->size == b->size);
}

/* Cut from what; the crop itself is the set's size. */
static void add_cut(struct hash *h, const struct source *source)
{
    if (source->crop == 0)
        return;
    hash_add_string(h, "center of the resized");
    add_u64(h, (uint64_t)source->size);
}

int dataset_fingerprint(const cJSON *spec, char hex[HASH_HEX], struct err *err)
{
    struct selection s;
    struct parts_table table = { .by_labels = true };
    struct key *keys = NULL;
    struct hash *h = NULL;
    int rc = -1;
    if (selection_resolve(spec, &s, err) != 0)
        return -1;
    keys = keys_of(&s, &table, err);
    h = keys != NULL ? hash_create(err) : NULL;
    if (h == NULL)
        goto out;
    hash_add_string(h, "dinf data set 1");
    add_u64(h, (uint64_t)s.c);
    add_u64(h, (uint64_t)s.h);
    add_u64(h, (uint64_t)s.w);
    for (int i = 0; i < s.n_sources; i++)
        if (s.sources[i].shape.h != s.h || s.sources[i].shape.w != s.w) {
            hash_add_string(h, "antialiased bilinear"); /* the pixels depend on the resampler, too */
            break;
        }
    /* The stored bytes and the size determine the pixels. Runs of
     * consecutive images keep this short. */
    for (int64_t i = 0, begin = 0; i < s.n; i++) {
        const struct source *source = &s.sources[s.items[i].source];
        if (i + 1 < s.n && keys[i + 1].part == keys[i].part && keys[i + 1].index == keys[i].index + 1 &&
            same_cut(source, &s.sources[s.items[i + 1].source]))
            continue;
        hash_add_string(h, table.parts[keys[begin].part].hex);
        hash_add_string(h, table.parts[keys[begin].part].labels);
        add_u64(h, (uint64_t)keys[begin].index);
        add_u64(h, (uint64_t)(i + 1 - begin));
        add_cut(h, source);
        begin = i + 1;
    }
    rc = hash_finish(h, hex, err);
out:
    mem_free(keys);
    mem_free(table.parts);
    selection_fini(&s);
    return rc;
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static int64_t count_common(struct key *a, int64_t n_a, struct key *b, int64_t n_b)
{
    int64_t common = 0, i = 0, j = 0;
    qsort(a, (size_t)n_a, sizeof *a, compare_keys);
    qsort(b, (size_t)n_b, sizeof *b, compare_keys);
    while (i < n_a && j < n_b) {
        int order = compare_keys(&a[i], &b[j]);
        if (order == 0) {
            common++;
            struct key same = a[i];
            while (i < n_a && compare_keys(&a[i], &same) == 0)
                i++;
        } else if (order < 0) {
            i++;
        } else {
            j++;
        }
    }
    return common;
}

/* Two sets' keys, over one table of parts. */
struct key_pair {
    struct selection a, b;
    struct parts_table table;
    struct key *ka, *kb;
};

static int key_pair_init(struct key_pair *p, const cJSON *a, const cJSON *b, struct err *err)
{
    *p = (struct key_pair){ 0 };
    if (selection_resolve(a, &p->a, err) != 0 || selection_resolve(b, &p->b, err) != 0)
        return -1;
    p->ka = keys_of(&p->a, &p->table, err);
    p->kb = p->ka != NULL ? keys_of(&p->b, &p->table, err) : NULL;
    return p->kb != NULL ? 0 : -1;
}

static void key_pair_fini(struct key_pair *p)
{
    mem_free(p->ka);
    mem_free(p->kb);
    mem_free(p->table.parts);
    selection_fini(&p->a);
    selection_fini(&p->b);
}

int dataset_overlap(const cJSON *a, const cJSON *b, int64_t *common, struct err *err)
{
    struct key_pair p;
    int rc = key_pair_init(&p, a, b, err);
    if (rc == 0)
        *common = count_common(p.ka, p.a.n, p.kb, p.b.n);
    key_pair_fini(&p);
    return rc;
}

int dataset_shared(const cJSON *a, const cJSON *b, uint8_t *in, struct err *err)
{
    struct key_pair p;
    int rc = key_pair_init(&p, a, b, err);
    if (rc == 0) {
        qsort(p.kb, (size_t)p.b.n, sizeof *p.kb, compare_keys);
        for (int64_t i = 0; i < p.a.n; i++)
            in[i] = bsearch(&p.ka[i], p.kb, (size_t)p.b.n, sizeof *p.kb, compare_keys) != NULL;
    }
    key_pair_fini(&p);
    return rc;
}

void images_moments(const struct images *im, float mean[3], float std[3])
{
    size_t area = (size_t)im->h * (size_t)im->w;
    for (int c = 0; c < 3; c++) {
        /* whole numbers: exact, and the same in any order */
        uint64_t sum = 0, squares = 0;
        for (int64_t i = 0; i < im->n; i++) {
            const uint8_t *p = im->pixels + ((size_t)i * (size_t)im->c + (size_t)c) * area;
            for (size_t k = 0; k < area; k++) {
                sum += p[k];
                squares += (uint64_t)p[k] * p[k];
            }
        }
        double n = (double)im->n * (double)area, m = (double)sum / n, variance = (double)squares / n - m * m;
        mean[c] = (float)(m / 255.0);
        std[c] = (float)(sqrt(variance > 0.0 ? variance : 0.0) / 255.0);
    }
}
