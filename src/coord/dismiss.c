/* The end of the job: the ranks leave, or are left behind. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "coord/coord.h"

static const double patience = 20; /* seconds for an idle rank to answer */

/* Waits until all have said goodbye. Those that hang would hold MPI's end for ever. */
static int wait_for_all(struct transport *t, bool *gone, struct err *err)
{
    int size = transport_size(t), left = size - 1, rc = 0;
    double waited = 0, clock = clock_monotonic();
    while (left > 0) {
        struct message m;
        char *text;
        int from, got;
        while ((got = transport_receive(t, &m, &text, &from, err)) == 1) {
            mem_free(text);
            left -= m.kind == MESSAGE_BYE && !gone[from];
            gone[from] |= m.kind == MESSAGE_BYE;
        }
        double now = clock_monotonic();
        waited += now - clock > 1 ? 1 : now - clock; /* time in which this rank stood still is not theirs */
        clock = now;
        if (got >= 0 && transport_orphaned(t))
            rc = err_set(err, "the launcher is gone");
        for (int rank = 1; rc == 0 && waited > patience && rank < size; rank++)
            if (!gone[rank])
                rc = err_set(err, "rank %d%s does not answer at the end of the run and is left behind", rank,
                             left > 1 ? ", like others," : "");
        if (rc != 0 || got < 0)
            return -1;
        clock_sleep(1e-3);
    }
    return 0;
}

int coord_dismiss(struct transport *t, struct err *err)
{
    int rc = 0;
    bool *gone = mem_alloc((size_t)transport_size(t), sizeof *gone, err);
    if (gone == NULL)
        return -1;
    for (int rank = 1; rank < transport_size(t); rank++) {
        struct message m = { .kind = MESSAGE_QUIT };
        if (transport_send(t, rank, &m, NULL, err) != 0)
            rc = -1;
    }
    if (rc == 0)
        rc = wait_for_all(t, gone, err);
    mem_free(gone);
    return rc;
}
