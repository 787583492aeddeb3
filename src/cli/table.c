/* Option tables put together for one command. */
#include "cli/table.h"

#include <assert.h>
#include <sched.h>

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

int cli_threads(int64_t wanted)
{
    cpu_set_t set;
    if (wanted > 0)
        return (int)wanted;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
