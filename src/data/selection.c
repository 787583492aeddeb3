/* Resolves subsets and unions by recursion over the JSON object. */
#include "data/selection.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "base/rng.h"
#include "data/resize.h"

enum { NAMES_MAX = 64, DEPTH_MAX = 32 };

struct source_common {
    int64_t size, crop;
};

static const struct option source_common_options[] = {
    OPTION_ROW_SIZE(offsetof(struct source_common, size)),
    OPTION_ROW_CROP(offsetof(struct source_common, crop)),
    OPTION_END,
};

struct subset_options {
    int64_t seed, begin, count;
};

static const struct option subset_options[] = {
    { "seed", OPTION_INT, offsetof(struct subset_options, seed), "-1", -1, OPTION_INT_MAX, NULL, NULL,
      "seed of the random order; -1: stored order" },
    { "begin", OPTION_INT, offsetof(struct subset_options, begin), "0", 0, 0x1p40, NULL, "images",
      "first item in that order" },
    { "count", OPTION_INT, offsetof(struct subset_options, count), "0", 0, 0x1p40, NULL, "images",
      "number of items; 0: to the end" },
    OPTION_END,
};

/* Every member must be one of `fixed` (NULL-terminated) or of the tables. */
static int check_members(const cJSON *spec, const char *const *fixed, const struct option *const *tables, int n_tables,
                         struct err *err)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (; *fixed != NULL; fixed++)
        names[n++] = *fixed;
    for (int t = 0; t < n_tables; t++)
        for (const struct option *o = tables[t]; o->name != NULL && n < NAMES_MAX; o++)
            names[n++] = o->name;
    for (const cJSON *m = spec->child; m != NULL; m = m->next) {
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known = known || strcmp(names[i], m->string) == 0;
        if (known)
            continue;
        char hint[NAMES_HINT];
        return err_set(err, "a data set has no option \"%.100s\"%s", m->string,
                       names_suggest(m->string, names, n, hint));
    }
    return 0;
}

static const struct dataset_format *find_format(const char *name, struct err *err)
{
    const int found = names_find("data format", name, dataset_format_names, err);
    return found < 0 ? NULL : dataset_formats[found];
}

static int source_key(struct source *s, struct err *err)
{
    cJSON *object = cJSON_CreateObject();
    int rc = -1;
    if (object == NULL || cJSON_AddStringToObject(object, "format", s->format->name) == NULL ||
        cJSON_AddNumberToObject(object, "size", s->size) == NULL ||
        cJSON_AddNumberToObject(object, "crop", s->crop) == NULL) {
        err_set(err, "out of memory");
        goto out;
    }
    if (options_to_json(s->format->options, s->options, object, err) != 0)
        goto out;
    s->key = json_canonical(object, err);
    rc = s->key != NULL ? 0 : -1;
out:
    cJSON_Delete(object);
    return rc;
}

static void source_fini(struct source *s)
{
    mem_free(s->options);
    mem_free(s->key);
}

static int source_init(struct source *s, const cJSON *spec, struct err *err)
{
    static const char *const fixed[] = { "format", NULL };
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(spec, "format");
    struct source_common common;
    if (!cJSON_IsString(format))
        return err_set(err, "format of a data set must be a string");
    s->format = find_format(format->valuestring, err);
    if (s->format == NULL)
        return -1;
    const struct option *tables[] = { s->format->options, source_common_options };
    if (check_members(spec, fixed, tables, 2, err) != 0)
        return err_prefix(err, "%s", s->format->name);
    s->options = mem_alloc(1, s->format->options_size, err);
    if (s->options == NULL)
        return -1;
    if (options_from_json(s->format->options, spec, s->options, err) != 0 ||
        options_from_json(source_common_options, spec, &common, err) != 0 ||
        s->format->describe(s->options, &s->shape, err) != 0 ||
        resize_check(s->shape.h, s->shape.w, (int)common.size, (int)common.crop, err) != 0)
        return err_prefix(err, "%s", s->format->name);
    s->size = (int)common.size;
    s->crop = (int)common.crop;
    /* the same images are the same set, however that is put */
    if (s->shape.h == s->shape.w && s->crop == (s->size > 0 ? s->size : s->shape.h))
        s->crop = 0; /* all of it */
    if (s->crop > 0 && s->size == (s->shape.h < s->shape.w ? s->shape.h : s->shape.w))
        s->size = 0; /* as stored */
    return source_key(s, err);
}

static int items_reserve(struct selection *s, int64_t more, struct err *err)
{
    if (s->n + more > INT32_MAX)
        return err_set(err, "a data set of %" PRId64 " images is too large: at most %d", s->n + more, INT32_MAX);
    void *grown = mem_grow(s->items, (size_t)s->n, (size_t)(s->n + more), sizeof *s->items, err);
    if (grown == NULL)
        return -1;
    s->items = grown;
    return 0;
}

static int add_source(struct selection *s, const cJSON *spec, struct err *err)
{
    struct source fresh = { 0 };
    int at;
    if (source_init(&fresh, spec, err) != 0)
        goto fail;
    for (at = 0; at < s->n_sources && strcmp(s->sources[at].key, fresh.key) != 0; at++)
        ;
    int64_t count = fresh.shape.n;
    if (at < s->n_sources) {
        source_fini(&fresh);
    } else {
        void *grown = mem_grow(s->sources, (size_t)at, (size_t)at + 1, sizeof *s->sources, err);
        if (grown == NULL)
            goto fail;
        s->sources = grown;
        s->sources[s->n_sources++] = fresh;
    }
    if (items_reserve(s, count, err) != 0)
        return -1;
    for (int64_t i = 0; i < count; i++) {
        s->items[s->n].source = at;
        s->items[s->n++].index = i;
    }
    return 0;
fail:
    source_fini(&fresh);
    return -1;
}

static int resolve(struct selection *s, const cJSON *spec, int depth, struct err *err);

/* Orders and cuts the items from `start` on, which `of` has added. */
static int cut(struct selection *s, int64_t start, const struct subset_options *o, struct err *err)
{
    int64_t have = s->n - start, count = o->count;
    if (o->begin > have || count > have - o->begin)
        return err_set(err, "a subset wants images %" PRId64 " to %" PRId64 " of a set that has %" PRId64, o->begin,
                       o->begin + (count ? count : 1) - 1, have);
    if (count == 0)
        count = have - o->begin;
    if (count == 0)
        return err_set(err, "a subset from image %" PRId64 " to the end of a set of %" PRId64 " is empty", o->begin,
                       have);
    struct selection_item *items = s->items + start;
    if (o->seed < 0) {
        memmove(items, items + o->begin, (size_t)count * sizeof *items);
        s->n = start + count;
        return 0;
    }
    int rc = -1;
    uint32_t *order = mem_alloc((size_t)have, sizeof *order, err);
    struct selection_item *picked = mem_alloc((size_t)count, sizeof *picked, err);
    if (order == NULL || picked == NULL)
        goto out;
    struct rng r = rng_at((uint64_t)o->seed, RNG_SUBSET, 0, 0, 0);
    rng_permutation(&r, order, (uint32_t)have);
    for (int64_t i = 0; i < count; i++)
        picked[i] = items[order[o->begin + i]];
    memcpy(items, picked, (size_t)count * sizeof *items);
    s->n = start + count;
    rc = 0;
out:
    mem_free(order);
    mem_free(picked);
    return rc;
}

static int add_subset(struct selection *s, const cJSON *spec, int depth, struct err *err)
{
    static const char *const fixed[] = { "of", NULL };
    const struct option *tables[] = { subset_options };
    struct subset_options o;
    int64_t start = s->n;
    if (check_members(spec, fixed, tables, 1, err) != 0 || options_from_json(subset_options, spec, &o, err) != 0 ||
        resolve(s, cJSON_GetObjectItemCaseSensitive(spec, "of"), depth + 1, err) != 0)
        return -1;
    return cut(s, start, &o, err);
}

static int add_union(struct selection *s, const cJSON *spec, int depth, struct err *err)
{
    static const char *const fixed[] = { "parts", NULL };
    const cJSON *parts = cJSON_GetObjectItemCaseSensitive(spec, "parts"), *part;
    if (check_members(spec, fixed, NULL, 0, err) != 0)
        return -1;
    if (!cJSON_IsArray(parts) || cJSON_GetArraySize(parts) == 0)
        return err_set(err, "parts of a data set must be a list of one or more data sets");
    cJSON_ArrayForEach(part, parts) if (resolve(s, part, depth + 1, err) != 0) return -1;
    return 0;
}

static int resolve(struct selection *s, const cJSON *spec, int depth, struct err *err)
{
    if (!cJSON_IsObject(spec))
        return err_set(err, "a data set must be a group with \"format\", \"of\" or \"parts\"");
    if (depth > DEPTH_MAX)
        return err_set(err, "data sets are nested more than %d deep", (int)DEPTH_MAX);
    bool source = cJSON_HasObjectItem(spec, "format"), subset = cJSON_HasObjectItem(spec, "of"),
         all = cJSON_HasObjectItem(spec, "parts");
    if (source + subset + all != 1)
        return err_set(err, "a data set needs exactly one of \"format\", \"of\" and \"parts\"");
    if (source)
        return add_source(s, spec, err);
    return subset ? add_subset(s, spec, depth, err) : add_union(s, spec, depth, err);
}

int selection_resolve(const cJSON *spec, struct selection *out, struct err *err)
{
    *out = (struct selection){ 0 };
    if (resolve(out, spec, 0, err) != 0)
        goto fail;
    for (int i = 0; i < out->n_sources; i++) {
        const struct source *s = &out->sources[i];
        const struct resize_to to = resize_wanted(s->shape.h, s->shape.w, s->size, s->crop);
        const int h = to.h, w = to.w;
        if (i > 0 && (out->c != s->shape.c || out->h != h || out->w != w)) {
            err_set(err, "the parts of a data set have images of %d x %d and of %d x %d pixels; give them a size",
                    out->h, out->w, h, w);
            goto fail;
        }
        out->c = s->shape.c;
        out->h = h;
        out->w = w;
    }
    return 0;
fail:
    selection_fini(out);
    return -1;
}

void selection_fini(struct selection *s)
{
    for (int i = 0; i < s->n_sources; i++)
        source_fini(&s->sources[i]);
    mem_free(s->sources);
    mem_free(s->items);
    *s = (struct selection){ 0 };
}
