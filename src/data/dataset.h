/* Image sets: foreign formats, named splits, seeded subsets, all held as uint8.
 *
 * A set is described by a JSON object (the config's `datasets` entries with
 * names resolved), one of
 *   source  {"format": F, ...options of the format's row..., "size": S}
 *           size 0: as stored; else resized (area or bilinear) to S x S
 *   subset  {"of": <object>, "seed": I, "begin": B, "count": N}
 *           items B .. B+N-1 of the seeded random order of `of`
 *           (count 0: to the end; "seed": -1: stored order)
 *   union   {"parts": [<object>, ...]}  concatenation, equal shapes
 * File paths in sources are used as they are. */
#ifndef DINF_DATA_DATASET_H
#define DINF_DATA_DATASET_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "conf/option.h"

struct images {
    int64_t n;
    int c, h, w;
    uint8_t *pixels;  /* (n, c, h, w) */
    int32_t *labels;  /* (n), or NULL */
};

/* One row of formats.def (data/readers/). */
struct dataset_format {
    const char *name, *help;
    const struct option *options; /* flat options of the format, "path" among them where files are read */
    size_t options_size;
    /* Number and shape without reading pixels; -1 with a message if files are
     * missing, truncated, oversized or inconsistent. pixels and labels untouched. */
    int (*describe)(const void *options, struct images *shape, struct err *);
    /* Allocates pixels and labels (mem_alloc). */
    int (*read)(const void *options, struct images *out, struct err *);
    /* What the contents are: a hash of the files' bytes, or of the generator's
     * parameters and version. Never of a path. */
    int (*fingerprint)(const void *options, char hex[HASH_HEX], struct err *);
};
extern const struct dataset_format *const dataset_formats[]; /* NULL-terminated */

/* Checks the object (unknown keys, types, bounds, files, ranges) and fills the
 * shape. Cheap: no pixels are read. */
int dataset_describe(const cJSON *spec, struct images *shape, struct err *err);
int dataset_read(const cJSON *spec, struct images *out, struct err *err);
void images_fini(struct images *im);

/* Hash of contents and selection: equal images in equal order, equal hash
 * (whatever the path). */
int dataset_fingerprint(const cJSON *spec, char hex[HASH_HEX], struct err *err);

/* Number of images that two sets have in common, by source contents and index. */
int dataset_overlap(const cJSON *a, const cJSON *b, int64_t *common, struct err *err);

/* Mean and std of each channel (3) on the 0..1 scale. */
void images_moments(const struct images *im, float mean[3], float std[3]);

#endif
