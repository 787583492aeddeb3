/* MPI for the coordinator: probes and buffered sends. Open MPI's blocking calls
 * spin a whole core; with one rank per core that core belongs to a task.
 * No call's status is looked at: an error of MPI ends the job (MPI_ERRORS_ARE_FATAL,
 * the default), and the launchers in jobs/ start it again. */
#include "coord/transport.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/processors.h"

enum { TAG = 1 };

struct outgoing {
    MPI_Request request;
    char *buffer;
};

struct transport {
    int rank, size, local_rank;
    struct crowd crowd;
    pid_t launcher; /* 0: none: one rank, and MPI is not started */
    struct outgoing *outgoing;
    int n_outgoing, capacity;
};

struct transport *transport_open(int *argc, char ***argv, struct err *err)
{
    struct transport *t = mem_alloc(1, sizeof *t, err);
    if (t == NULL)
        return NULL;
    /* Without a launcher there is nobody to talk to. Open MPI would start a daemon
     * for the one rank, a second of work, whose end is not always clean. */
    t->size = 1;
    cpu_set_t set;
    processors_allowed(&set);
    const char *slurm = getenv("SLURM_CPUS_PER_TASK");
    t->crowd.own = t->crowd.processors = processors_count(&set);
    t->crowd.slurm = slurm != NULL ? (int)strtol(slurm, NULL, 10) : 0;
    t->crowd.workers = 1;
    if (getenv("OMPI_COMM_WORLD_SIZE") == NULL && getenv("PMIX_RANK") == NULL && getenv("PMI_RANK") == NULL)
        return t;
    t->launcher = getppid();
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &t->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &t->size);
    MPI_Comm machine;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, t->rank, MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &t->local_rank);
    MPI_Comm_size(machine, &t->crowd.workers);
    /* a launcher may have bound each to its own */
    MPI_Allreduce(MPI_IN_PLACE, &set, (int)sizeof set, MPI_BYTE, MPI_BOR, machine);
    t->crowd.processors = processors_count(&set);
    int coordinates = t->rank == 0 && t->size > 1;
    MPI_Allreduce(MPI_IN_PLACE, &coordinates, 1, MPI_INT, MPI_MAX, machine);
    t->crowd.workers -= coordinates;
    MPI_Comm_free(&machine);
    return t;
}

int transport_rank(const struct transport *t)
{
    return t->rank;
}

int transport_local_rank(const struct transport *t)
{
    return t->local_rank;
}

int transport_size(const struct transport *t)
{
    return t->size;
}

void transport_crowd(const struct transport *t, struct crowd *out)
{
    *out = t->crowd;
}

bool transport_orphaned(const struct transport *t)
{
    return t->launcher != 0 && getppid() != t->launcher;
}

/* Frees the buffers of sends that are through. */
static void finish_sends(struct transport *t)
{
    for (int i = 0; i < t->n_outgoing;) {
        int done = 0;
        MPI_Test(&t->outgoing[i].request, &done, MPI_STATUS_IGNORE);
        if (!done) {
            i++;
            continue;
        }
        mem_free(t->outgoing[i].buffer);
        t->outgoing[i] = t->outgoing[--t->n_outgoing];
    }
}

int transport_send(struct transport *t, int to, const struct message *m, const char *text, struct err *err)
{
    size_t length = text != NULL ? strlen(text) : 0, bytes = sizeof *m + length;
    if (t->launcher == 0)
        return err_set(err, "there is no rank %d: this one runs alone", to);
    finish_sends(t);
    if (t->n_outgoing == t->capacity) {
        int capacity = t->capacity ? 2 * t->capacity : 16;
        struct outgoing *grown = mem_grow(t->outgoing, (size_t)t->capacity, (size_t)capacity, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        t->outgoing = grown;
        t->capacity = capacity;
    }
    struct outgoing *o = &t->outgoing[t->n_outgoing];
    if (bytes > (size_t)INT32_MAX)
        return err_set(err, "a message of %zu bytes is too long", bytes);
    o->buffer = mem_alloc(bytes, 1, err);
    if (o->buffer == NULL)
        return -1;
    memcpy(o->buffer, m, sizeof *m);
    if (length > 0)
        memcpy(o->buffer + sizeof *m, text, length);
    MPI_Isend(o->buffer, (int)bytes, MPI_BYTE, to, TAG, MPI_COMM_WORLD, &o->request);
    t->n_outgoing++;
    return 0;
}

int transport_receive(struct transport *t, struct message *m, char **text, int *from, struct err *err)
{
    int there = 0, bytes = 0;
    MPI_Status status;
    if (t->launcher == 0)
        return 0;
    finish_sends(t);
    MPI_Iprobe(MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &there, &status);
    if (!there)
        return 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    char *buffer = mem_alloc((size_t)bytes + 1, 1, err); /* zeroed: ends the text */
    if (buffer == NULL)
        return -1;
    MPI_Recv(buffer, bytes, MPI_BYTE, status.MPI_SOURCE, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    if ((size_t)bytes < sizeof *m) {
        mem_free(buffer);
        return err_set(err, "a broken message from rank %d", status.MPI_SOURCE);
    }
    memcpy(m, buffer, sizeof *m);
    *from = status.MPI_SOURCE;
    *text = NULL;
    if ((size_t)bytes > sizeof *m)
        *text = mem_strdup(buffer + sizeof *m, err);
    bool lost = (size_t)bytes > sizeof *m && *text == NULL;
    mem_free(buffer);
    return lost ? -1 : 1;
}

void transport_close(struct transport *t)
{
    if (t == NULL)
        return;
    for (int i = 0; i < t->n_outgoing; i++) {
        MPI_Wait(&t->outgoing[i].request, MPI_STATUS_IGNORE);
        mem_free(t->outgoing[i].buffer);
    }
    bool started = t->launcher != 0;
    mem_free(t->outgoing);
    mem_free(t);
    if (started)
        MPI_Finalize();
}

_Noreturn void transport_abort(const struct transport *t, int status)
{
    if (t->launcher != 0 && !transport_orphaned(t)) /* without its launcher the library may wait for ever */
        MPI_Abort(MPI_COMM_WORLD, status);
    _Exit(status);
}

void transport_library(struct library *out)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    text[strcspn(text, ",\n")] = '\0'; /* "Open MPI v4.1.4, package: ..." */
    out->name = "mpi";
    snprintf(out->version, sizeof out->version, "%.63s", text);
}
