/* What a run shows of itself: DIR/status.json, and the progress on standard error. */
#ifndef DINF_COORD_BOARD_H
#define DINF_COORD_BOARD_H

#include "coord/progress.h"
#include "coord/seats.h"

struct board {
    const struct plan *plan;
    const struct seats *seats;
    const char *dir;
    struct progress *progress;
    struct snapshot snapshot;
    bool stopping;
    double began, shown, every;
    double moaned; /* when a failed status file was last told of */
};

/* What is pointed to is borrowed until board_fini, except that the board owns its
 * progress. `alone`: see progress_create. */
int board_init(struct board *b, const char *dir, const struct plan *plan, const struct seats *seats, bool alone,
               struct err *err);
void board_fini(struct board *b); /* also of a zeroed one */
void board_note_host(struct board *b, const char *host);

/* Shows how things stand, if it is time or `now`. How often it is time follows from what it costs. */
void board_show(struct board *b, bool now);

#endif
