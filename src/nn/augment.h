/* What an augmentation is: one row of augments.def, a set of presets for the
 * strengths of device/augment_body.h. */
#ifndef DINF_NN_AUGMENT_H
#define DINF_NN_AUGMENT_H

#include "device/augment_body.h"
#include "nn/nn.h"

struct augment_kind {
    struct nn_row row; /* options: of a struct augment_strength */
};

const struct augment_kind *augment_find(const char *name, struct err *err);

/* Strengths from a JSON object with "augment" (missing: `preset`) and that row's options. */
int augment_parse(const cJSON *object, const char *preset, struct augment_strength *strength, struct err *err);

/* augment_parse for a query: "augment" missing means "none"; "seed" as well (0 if missing or negative). */
int augment_query_parse(const cJSON *object, struct augment_strength *strength, uint64_t *seed, struct err *err);

/* Contradictions among the strengths that the object has. */
void augment_contradictions(const cJSON *object, const struct complaints *to);

#endif
