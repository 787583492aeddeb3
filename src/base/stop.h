/* Stop requests: SIGTERM, SIGINT and SIGUSR1 ask for a clean stop with state
 * saved. Handlers only set a flag; long loops poll it. */
#ifndef DINF_BASE_STOP_H
#define DINF_BASE_STOP_H

#include <stdbool.h>

/* Exit statuses of every command. */
enum exit_status {
    EXIT_DONE = 0,         /* all done */
    EXIT_TASKS_FAILED = 1, /* some tasks failed, the rest finished */
    EXIT_USAGE = 2,        /* usage, config or input error; nothing was written */
    EXIT_BROKE_OFF = 3,    /* the run ended by an error of its own (the journal cannot be written, the results
                              not be collected); what is done stays done, and the same command goes on */
    EXIT_RANK_LOST = 70,   /* a rank died or fell silent: the launchers in jobs/ start the run again */
    EXIT_STOPPED = 75,     /* stopped because a signal or a time limit asked for it, with state saved:
                              the same command goes on */
};

/* What a function that can be stopped returns besides 0 and -1. */
#define STOPPED 1

void stop_install(void);
bool stop_requested(void);
void stop_request(void); /* as if a signal had come */

#endif
