/* The `datasets` block: names become the objects of data/dataset.h. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "plan/blocks.h"
#include "plan/internal.h"

struct subset_options {
    int64_t seed, begin, count;
};
const struct option subset_options[] = {
    { "seed", OPTION_INT, offsetof(struct subset_options, seed), "-2", -2, OPTION_SEED_MAX, NULL, NULL,
      "of the random order; -1: stored order; default: the campaign's" },
    { "begin", OPTION_INT, offsetof(struct subset_options, begin), "0", 0, 1e12, NULL, "images",
      "first item of the order" },
    { "count", OPTION_INT, offsetof(struct subset_options, count), "0", 0, 1e12, NULL, "images",
      "number of items; 0: to the end" },
    OPTION_END,
};

struct source_options {
    char format[OPTION_NAME];
    int64_t size, crop;
};
const struct option source_options[] = {
    { "format", OPTION_CHOICE, offsetof(struct source_options, format), NULL, 0, 0, dataset_format_names, NULL,
      "of the files; its options go beside it" },
    OPTION_ROW_SIZE(offsetof(struct source_options, size)),
    OPTION_ROW_CROP(offsetof(struct source_options, crop)),
    OPTION_END,
};

/* Options of formats that are paths. */
static const char *const path_keys[] = { "path", "labels", NULL };

enum { FORMATS_MAX = 63 };

static int resolve(struct builder *b, int i);

static int put(struct builder *b, cJSON *object, const char *key, const cJSON *value)
{
    cJSON *copy = cJSON_Duplicate(value, true);
    if (copy == NULL || !cJSON_AddItemToObject(object, key, copy)) {
        cJSON_Delete(copy);
        return err_set(b->err, "out of memory");
    }
    return 0;
}

/* The format of this name, or the nearest to it; NULL: none. */
static const struct dataset_format *format_like(const struct conf_node *name)
{
    size_t n = 0;
    if (name == NULL || name->type != CONF_STRING)
        return NULL;
    while (dataset_format_names[n] != NULL)
        n++;
    const char *nearest = names_nearest(name->value.string, dataset_format_names, n);
    for (size_t i = 0; nearest != NULL && i < n; i++)
        if (strcmp(dataset_format_names[i], nearest) == 0)
            return dataset_formats[i];
    return NULL;
}

/* A source whose format nobody knows: its keys are checked against all formats. */
static void check_any_format(struct builder *b, const struct conf_node *node, const char *const *extra)
{
    const struct option *tables[FORMATS_MAX + 1] = { source_options };
    int n = 1;
    for (int i = 0; dataset_formats[i] != NULL && i < FORMATS_MAX; i++)
        tables[n++] = dataset_formats[i]->options;
    if (conf_child(node, "format") == NULL)
        conf_error(b->conf, node, "format is missing: %s", source_options[0].help);
    conf_bind(b->conf, node, tables, n, extra, NULL);
}

/* `format = ...`: false after a user's error. */
static int source_spec(struct builder *b, const struct conf_node *node, cJSON *spec, bool *good)
{
    static const char *const extra[] = { "name", NULL };
    const struct dataset_format *format = format_like(conf_child(node, "format"));
    *good = false;
    if (format == NULL) {
        check_any_format(b, node, extra);
        return 0;
    }
    const struct option *tables[] = { source_options, format->options };
    *good = conf_bind(b->conf, node, tables, 2, extra, spec) == 0;
    for (int i = 0; *good && path_keys[i] != NULL; i++)
        if (resolve_path(b, node, path_keys[i], spec) != 0)
            return -1;
    return 0;
}

static int subset_spec(struct builder *b, const struct conf_node *node, cJSON *spec, bool *good)
{
    static const char *const extra[] = { "name", "of", NULL };
    const struct option *tables[] = { subset_options };
    int set = -1;
    *good = conf_bind(b->conf, node, tables, 1, extra, spec) == 0;
    const char *of = group_string(b, node, "of", true);
    if (of == NULL || set_find(b, conf_child(node, "of"), of, &set) != 0) {
        *good = false;
        return of == NULL ? 0 : -1;
    }
    if (set < 0 || !*good) {
        *good = false;
        return 0;
    }
    cJSON *seed = cJSON_GetObjectItemCaseSensitive(spec, "seed");
    if (seed->valuedouble < -1)
        cJSON_SetNumberValue(seed, (double)b->plan->campaign.seed);
    return put(b, spec, "of", b->sets[set].spec);
}

static int part_spec(struct builder *b, const struct conf_node *part, cJSON *parts, bool *good)
{
    int rc = 0, set = -1;
    bool ok = false;
    cJSON *spec = NULL;
    if (part->type == CONF_STRING) {
        rc = set_find(b, part, part->value.string, &set);
        ok = set >= 0;
        if (ok)
            spec = cJSON_Duplicate(b->sets[set].spec, true);
    } else if (part->type == CONF_GROUP) {
        spec = cJSON_CreateObject();
        rc = spec == NULL ? err_set(b->err, "out of memory") : subset_spec(b, part, spec, &ok);
    } else {
        conf_error(b->conf, part, "a part is the name of a set or { of = ...; begin = ...; count = ...; }");
    }
    if (rc == 0 && ok && (spec == NULL || !cJSON_AddItemToArray(parts, spec)))
        rc = err_set(b->err, "out of memory");
    if (rc != 0 || !ok)
        cJSON_Delete(spec);
    *good = *good && ok;
    return rc;
}

static int union_spec(struct builder *b, const struct conf_node *node, cJSON *spec, bool *good)
{
    static const char *const extra[] = { "name", "parts", NULL };
    const struct conf_node *list = conf_child(node, "parts");
    *good = conf_bind(b->conf, node, NULL, 0, extra, spec) == 0;
    if (list->type != CONF_LIST || list->n == 0) {
        conf_error(b->conf, list, "parts must be a list of sets");
        *good = false;
        return 0;
    }
    cJSON *parts = cJSON_AddArrayToObject(spec, "parts");
    if (parts == NULL)
        return err_set(b->err, "out of memory");
    for (int i = 0; i < list->n; i++)
        if (part_spec(b, list->children[i], parts, good) != 0)
            return -1;
    return 0;
}

static int resolve(struct builder *b, int i)
{
    struct named_set *s = &b->sets[i];
    struct err why;
    bool good = false;
    s->state = SET_OPEN;
    s->spec = cJSON_CreateObject();
    if (s->spec == NULL)
        return err_set(b->err, "out of memory");
    int rc = conf_child(s->node, "of") != NULL      ? subset_spec(b, s->node, s->spec, &good)
             : conf_child(s->node, "parts") != NULL ? union_spec(b, s->node, s->spec, &good)
                                                    : source_spec(b, s->node, s->spec, &good);
    if (rc != 0)
        return -1;
    if (good &&
        (dataset_describe(s->spec, &s->shape, &why) != 0 || dataset_fingerprint(s->spec, s->fingerprint, &why) != 0)) {
        conf_error(b->conf, s->node, "data set \"%s\": %s", s->name, why.text);
        good = false;
    }
    s->state = good ? SET_GOOD : SET_BROKEN;
    return 0;
}

int set_find(struct builder *b, const struct conf_node *node, const char *name, int *set)
{
    const char *names[256];
    int n = 0;
    *set = -1;
    for (int i = 0; i < b->n_sets; i++) {
        if (n < 256)
            names[n++] = b->sets[i].name;
        if (strcmp(b->sets[i].name, name) != 0)
            continue;
        if (b->sets[i].state == SET_OPEN) {
            conf_error(b->conf, node, "data set \"%s\" is made of itself", name);
            return 0;
        }
        if (b->sets[i].state == SET_UNSEEN && resolve(b, i) != 0)
            return -1;
        if (b->sets[i].state == SET_GOOD)
            *set = i;
        return 0; /* of a broken set everything is said already */
    }
    unknown_name(b, node, "data set", name, names, n);
    return 0;
}

int sets_load(struct builder *b, const struct conf_node *block)
{
    if (block == NULL)
        return 0;
    if (block->type != CONF_LIST) {
        conf_error(b->conf, block, "datasets must be a list of groups: ( { name = ...; }, ... )");
        return 0;
    }
    b->sets = mem_alloc((size_t)block->n, sizeof *b->sets, b->err);
    if (b->sets == NULL)
        return -1;
    for (int i = 0; i < block->n; i++) {
        const struct conf_node *node = block->children[i];
        if (node->type != CONF_GROUP) {
            conf_error(b->conf, node, "a data set is a group { name = ...; }");
            continue;
        }
        const char *name = group_string(b, node, "name", true);
        if (name == NULL)
            continue;
        if (strchr(name, '/') != NULL) {
            conf_error(b->conf, conf_child(node, "name"),
                       "name = \"%s\" must not have a slash: names are groups of results.h5", name);
            continue;
        }
        bool twice = false;
        for (int k = 0; k < b->n_sets; k++)
            twice = twice || strcmp(b->sets[k].name, name) == 0;
        if (twice)
            conf_error(b->conf, node, "there are two data sets called \"%s\"", name);
        else
            b->sets[b->n_sets++] = (struct named_set){ .name = name, .node = node };
    }
    for (int i = 0; i < b->n_sets; i++)
        if (b->sets[i].state == SET_UNSEEN && resolve(b, i) != 0)
            return -1;
    return 0;
}

void check_square(struct builder *b, int set)
{
    const struct named_set *s = &b->sets[set];
    if (s->shape.h != s->shape.w)
        conf_error(
            b->conf, s->node,
            "data set \"%s\": an encoder takes square images, these are %d x %d: size = N resizes them, and with "
            "crop = N the middle of them is kept as it is",
            s->name, s->shape.h, s->shape.w);
}

int sets_common(struct builder *b, int a, int c, int64_t *common)
{
    char key[48];
    struct err why;
    if (a > c) {
        int swap = a;
        a = c;
        c = swap;
    }
    *common = 0;
    snprintf(key, sizeof key, "%d %d", a, c);
    int known = table_find(&b->overlaps, key);
    if (known >= 0) {
        *common = b->common[known];
        return 0;
    }
    if (dataset_overlap(b->sets[a].spec, b->sets[c].spec, common, &why) != 0) {
        conf_error(b->conf, b->sets[a].node, "overlap of \"%s\" and \"%s\": %s", b->sets[a].name, b->sets[c].name,
                   why.text);
        *common = 0;
    }
    if (b->n_common == b->max_common) {
        int max = 2 * b->max_common + 16;
        int64_t *grown = mem_grow(b->common, (size_t)b->n_common, (size_t)max, sizeof *grown, b->err);
        if (grown == NULL)
            return -1;
        b->common = grown;
        b->max_common = max;
    }
    b->common[b->n_common] = *common;
    return table_add(&b->overlaps, key, b->n_common++, b->err);
}

int sets_shared(struct builder *b, int a, int c, uint8_t *in)
{
    return dataset_shared(b->sets[a].spec, b->sets[c].spec, in, b->err);
}
