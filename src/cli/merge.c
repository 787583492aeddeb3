/* A command has options of its own and those of the module that it is about. */
#include "cli/merge.h"

#include <assert.h>

void options_merge(const struct option *first, const struct option *second, struct option out[MERGED_OPTIONS])
{
    int n = 0;
    for (int i = 0; first[i].name != NULL; i++, n++) {
        assert(n < MERGED_OPTIONS - 1);
        out[n] = first[i];
    }
    for (int i = 0; second[i].name != NULL; i++, n++) {
        assert(n < MERGED_OPTIONS - 1);
        out[n] = second[i];
    }
    out[n] = (struct option){ 0 };
}
