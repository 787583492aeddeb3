/* The task graph of a campaign. Pure: no MPI; reads data sets only to describe
 * and fingerprint them. */
#ifndef DINF_PLAN_PLAN_H
#define DINF_PLAN_PLAN_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "conf/conf.h"
#include "tasks/task.h"

enum task_state {
    TASK_WAITING, /* for its inputs */
    TASK_READY,
    TASK_RUNNING,
    TASK_DONE,
    TASK_FAILED,  /* attempts used up */
    TASK_SKIPPED, /* something it depends on failed */
};

struct plan_task {
    char id[TASK_ID]; /* hash of kind, params less paths, data fingerprints, inputs' identities */
    const struct task_kind *kind;
    char *name;      /* for people, unique in the plan: "steal:victim.svhn.500.infonce" */
    cJSON *params;   /* every option present, data sets inline */
    cJSON *labels;   /* string and number columns that `collect` adds to this task's rows: encoder, victim,
                        role, ...; no part of the identity */
    cJSON *contents; /* what the identity says of data and files: {"dataset": fingerprint, "init": SHA-256, ...} */
    struct task_input *inputs;
    int *input_tasks; /* index of the task behind each input */
    int n_inputs;
    int ranks;   /* 1 for now */
    double cost; /* estimated seconds */
    double path; /* longest remaining path, this task included */

    /* state: replay of the journal, never anything else */
    enum task_state state;
    int attempts;
    int rank;
    double start, seconds;
    double saved; /* share of the work that stopped attempts have left in the task's folder */
    char *error;  /* last failure, or NULL */
    char result[HASH_HEX], weights[HASH_HEX]; /* SHA-256 of the files when the task was done; "": none recorded */
};

/* `campaign` block. */
struct campaign {
    char name[OPTION_NAME];
    int64_t seed, trials;
    int64_t ranks_per_gpu; /* tasks at a time on a GPU; 0: any number */
    int64_t threads;       /* of every task: part of the results, never derived from ranks */
    int64_t retries;       /* further attempts after the first */
    double retry_seconds;  /* before the second attempt; twice that before the third, and so on */
    double task_seconds;   /* time limit of one attempt; 0: none */
    char device[OPTION_NAME];
};

struct plan {
    struct campaign campaign;
    struct plan_task *tasks; /* topological order */
    int n_tasks;
    int *by_id;   /* indices sorted by id: see plan_index */
    char *config; /* resolved config text, for provenance */
    char config_hash[65];
};

/* Builds the graph; every problem is added to conf's errors, then -1. */
int plan_build(struct conf *conf, struct plan **plan, struct err *err);
void plan_destroy(struct plan *plan);

/* DIR/plan.json: all that `dinf task`, `status` and `collect` need. */
int plan_write(const struct plan *plan, const char *path, struct err *err);
int plan_read(const char *path, struct plan **plan, struct err *err);

/* "waiting", "ready", "running", "done", "failed", "skipped". */
const char *task_state_name(enum task_state state);

/* Index by full id, unique beginning of an id (4 digits or more) or name; -1
 * with the nearest name. Linear in the number of tasks. */
int plan_find(const struct plan *plan, const char *what, struct err *err);

/* Index by full id through a table that lives as long as the plan; -1: none. */
int plan_index(struct plan *plan, const char *id);

#endif
