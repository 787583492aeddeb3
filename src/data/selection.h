/* What a set's JSON object comes down to: sources, and an ordered list of
 * (source, index). Reading, fingerprints and overlaps all work on it. */
#ifndef DINF_DATA_SELECTION_H
#define DINF_DATA_SELECTION_H

#include "data/dataset.h"

struct source {
    const struct dataset_format *format;
    void *options;       /* the format's, filled */
    int size, crop;      /* 0: as stored, all of it */
    struct images shape; /* as stored */
    char *key;           /* canonical text of format, options, size and crop */
};

struct selection_item {
    int32_t source;
    int64_t index;
};

struct selection {
    struct source *sources; /* each once */
    int n_sources;
    struct selection_item *items;
    int64_t n;
    int c, h, w; /* after resizing and cropping */
};

/* Checks everything that can be checked without reading pixels. */
int selection_resolve(const cJSON *spec, struct selection *out, struct err *err);
void selection_fini(struct selection *s);

#endif
