/* Messages between ranks. The only file of the coordinator that knows MPI.
 *
 * Nothing here blocks: receives are probes, sends are buffered and finished
 * behind the caller's back, so that an idle rank can sleep instead of spinning
 * in the library. */
#ifndef DINF_COORD_TRANSPORT_H
#define DINF_COORD_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/version.h"
#include "coord/report.h"

enum message_kind {
    MESSAGE_HELLO = 1, /* worker: I am here; text: host name */
    MESSAGE_SETUP,     /* leader: text: settings of the run (struct run_settings as JSON) */
    MESSAGE_ASSIGN,    /* leader: task, attempt; text: the task (spec.h) */
    MESSAGE_PROGRESS,  /* worker: task, report */
    MESSAGE_ENDED,     /* worker: task, attempt, outcome, seconds; text: the error */
    MESSAGE_STOP,      /* leader: stop your task; worker: I was asked by a signal to stop */
    MESSAGE_QUIT,      /* leader: leave */
};

/* Sent as these bytes: the ranks of a job are one executable. */
struct message {
    int32_t kind, task, attempt, outcome;
    double seconds;
    struct task_report report;
};

struct transport;

/* MPI_Init, if a launcher (mpirun, srun) started this process; else a world of one
 * rank without MPI. argc and argv may be changed as MPI_Init may. */
struct transport *transport_open(int *argc, char ***argv, struct err *err);
int transport_rank(const struct transport *t);
int transport_size(const struct transport *t);
/* Which of this machine's ranks this one is, from 0. */
int transport_local_rank(const struct transport *t);
/* True once the launcher (mpirun, srun) that started this process is gone: it was
 * killed, and nobody else would end the rank. Always false without a launcher. */
bool transport_orphaned(const struct transport *t);

/* Copies both, returns at once. text may be NULL. */
int transport_send(struct transport *t, int to, const struct message *m, const char *text, struct err *err);
/* 1 and a message (text: mem_free, NULL if none), 0 if there is none, -1. */
int transport_receive(struct transport *t, struct message *m, char **text, int *from, struct err *err);

/* Waits until all ranks have called it, at most so long (0: for ever). False if they have not, or the launcher is
 * gone: transport_close would then wait for ever. Without a launcher true. */
bool transport_gather(struct transport *t, double seconds);
/* Waits for what was sent, then for all ranks, then MPI_Finalize. NULL-safe. */
void transport_close(struct transport *t);
/* Ends every rank of the job at once; does not return. */
_Noreturn void transport_abort(const struct transport *t, int status);

/* Also without an open transport. */
void transport_library(struct library *out);

#endif
