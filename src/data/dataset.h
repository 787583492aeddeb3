/* Image sets: foreign formats, named splits, seeded subsets, all held as uint8.
 *
 * A set is described by a JSON object (the config's `datasets` entries with
 * names resolved), one of
 *   source  {"format": F, ...options of the format's row..., "size": S, "crop": C}
 *           size 0: as stored; else resized to S x S (data/resize.h). With a crop, the
 *           shorter side becomes S (0: as stored), and the central C x C are kept
 *   subset  {"of": <object>, "seed": I, "begin": B, "count": N}
 *           items B .. B+N-1 of the seeded random order of `of`
 *           (count 0: to the end; "seed": -1: stored order). Defaults: seed -1,
 *           begin 0, count 0. Subsets of one set with one seed are disjoint
 *           where their ranges are, and a smaller count is a prefix.
 *   union   {"parts": [<object>, ...]}  concatenation, equal shapes
 * Other members are errors. File paths in sources are used as they are.
 * Images always have 3 channels: readers replicate grey. */
#ifndef DINF_DATA_DATASET_H
#define DINF_DATA_DATASET_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "conf/option.h"

enum { IMAGE_SIDE_MAX = 4096 }; /* pixels */

struct images {
    int64_t n;
    int c, h, w;
    uint8_t *pixels; /* (n, c, h, w) */
    int32_t *labels; /* (n) from 0, -1: none; or NULL */
};

/* What every source takes beside the options of its format. */
#define OPTION_ROW_SIZE(at)                                                                                            \
    {                                                                                                                  \
        "size", OPTION_INT, at, "0", 0, IMAGE_SIDE_MAX, NULL, "pixels",                                                \
            "resize to size x size (with crop: the shorter side to size), antialiased bilinear; 0: as stored"          \
    }
#define OPTION_ROW_CROP(at)                                                                                            \
    {                                                                                                                  \
        "crop", OPTION_INT, at, "0", 0, IMAGE_SIDE_MAX, NULL, "pixels",                                                \
            "keep the central crop x crop, as torchvision's Resize(size) and CenterCrop(crop); 0: all"                 \
    }

/* A stretch of a source whose images are known by one hash: the bytes of a file,
 * or a generator's version and parameters. Image k of the stretch is (hex,
 * begin + k): equal pairs are equal images, wherever the files lie and whichever
 * split names them. */
struct dataset_part {
    char hex[HASH_HEX];
    char labels[HASH_HEX]; /* hash of labels that are kept elsewhere, or "": they count for fingerprints alone */
    int64_t begin, n;
};
enum { DATASET_PARTS_MAX = 16 };

/* One row of formats.def (data/readers/). */
struct dataset_format {
    const char *name, *help;
    const struct option *options; /* flat options of the format, "path" among them where files are read */
    size_t options_size;
    /* Number and shape without reading pixels; -1 with a message if files are
     * missing, truncated, oversized or inconsistent. pixels and labels untouched. */
    int (*describe)(const void *options, struct images *shape, struct err *err);
    /* Allocates pixels and labels (mem_alloc) and reads the n images `wanted`
     * (any order; NULL: all of them). */
    int (*read)(const void *options, const int64_t *wanted, int64_t n, struct images *out, struct err *err);
    /* What the contents are, in stored order; at most DATASET_PARTS_MAX. Never depends on a path. */
    int (*parts)(const void *options, struct dataset_part *parts, int *n, struct err *err);
};
extern const struct dataset_format *const dataset_formats[]; /* NULL-terminated */
extern const char *const dataset_format_names[];             /* likewise, for options */

/* Checks the object (unknown keys, types, bounds, files, ranges) and fills the
 * shape. Cheap: no pixels are read. */
int dataset_describe(const cJSON *spec, struct images *shape, struct err *err);
int dataset_read(const cJSON *spec, struct images *out, struct err *err);
void images_fini(struct images *im);

/* Hash of contents and selection: the same images (by source contents and index)
 * at the same size in equal order, equal hash, whatever the path and however the
 * selection is put. */
int dataset_fingerprint(const cJSON *spec, char hex[HASH_HEX], struct err *err);

/* Number of distinct images that two sets have in common, by source contents and
 * index; the size that they are resized to does not matter. */
int dataset_overlap(const cJSON *a, const cJSON *b, int64_t *common, struct err *err);

/* Likewise image by image: in (as many as a has) is 1 where b has the image, too. */
int dataset_shared(const cJSON *a, const cJSON *b, uint8_t *in, struct err *err);

/* Mean and std of each channel (3) on the 0..1 scale. */
void images_moments(const struct images *im, float mean[3], float std[3]);

#endif
