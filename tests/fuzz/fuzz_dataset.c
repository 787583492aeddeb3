/* The JSON object that describes a set: subsets, unions, procedural sources. */
#include <cjson/cJSON.h>

#include "data/selection.h"
#include "fuzz.h"

/* Large sets are allowed, but only cost time here. */
static int large(const cJSON *v)
{
    if (cJSON_IsNumber(v) && v->valuedouble > 100000)
        return 1;
    for (const cJSON *c = v->child; c != NULL; c = c->next)
        if (large(c))
            return 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct err err = { "" };
    struct selection s;
    cJSON *spec = cJSON_ParseWithLength((const char *)bytes, n);
    if (spec == NULL || large(spec)) {
        cJSON_Delete(spec);
        return 0;
    }
    if (selection_resolve(spec, &s, &err) == 0) {
        FUZZ_CHECK(s.n > 0 && s.c == 3 && s.h > 0 && s.w > 0);
        for (int64_t i = 0; i < s.n; i++) {
            FUZZ_CHECK(s.items[i].source >= 0 && s.items[i].source < s.n_sources);
            FUZZ_CHECK(s.items[i].index >= 0 && s.items[i].index < s.sources[s.items[i].source].shape.n);
        }
        selection_fini(&s);
    } else {
        FUZZ_CHECK(err.text[0] && !s.items && !s.sources);
    }
    cJSON_Delete(spec);
    return 0;
}
