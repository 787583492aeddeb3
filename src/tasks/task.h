/* A kind of task: one file in tasks/ and one row in tasks.def.
 *
 * A task reads its inputs' result files, computes, and leaves exactly one result
 * file DIR/tasks/ID.h5 (store/result.h), complete or absent; an encoder's
 * weights lie beside it as DIR/tasks/ID.safetensors, written before. */
#ifndef DINF_TASKS_TASK_H
#define DINF_TASKS_TASK_H

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "conf/option.h"

enum { TASK_ID = 33 }; /* 32 hexadecimal digits and NUL */
enum { TASK_INPUTS_MAX = 8 };

struct device;
struct gpu_share;

struct task_progress {
    double fraction;  /* 0 .. 1 */
    double loss;      /* NaN: none */
    double rate;      /* per second; NaN: none */
    const char *unit; /* of the rate: "images" */
    char what[64];    /* "epoch 3/150" */
    bool waiting;     /* for others: this time is not the task's */
};

struct task_input {
    char role[32]; /* "encoder", "members", "heldout", "victim.members", ... */
    char id[TASK_ID];
    char result[HASH_HEX], weights[HASH_HEX]; /* SHA-256 of its files; "": not known, or it has none */
};

struct task_context {
    const char *dir; /* run directory */
    const char *id, *name;
    const cJSON *params;   /* canonical: every option present */
    const cJSON *contents; /* what data and files must be: {"dataset": fingerprint, "init": SHA-256}; may be NULL */
    const char *result;    /* digest of its result if it is done already; NULL or "": it is not */
    const struct task_input *inputs;
    int n_inputs;
    char work[PATH_MAX]; /* this task's own folder; survives failed attempts, removed when done */
    struct device *device;
    struct gpu_share *gpu_share; /* of the device, if others work on it, too: gpu_share.h */
    int attempt;                 /* from 1 */
    int sharing;                 /* tasks at a time on a GPU; 0: any number */
    const cJSON *provenance;     /* goes into every file */
    void (*progress)(const struct task_context *, const struct task_progress *);
};

/* Evaluation kinds (the blocks of `evaluate`) say which representations they
 * need; the plan adds the embed tasks and wires them by role. */
enum need_encoder { NEED_SUSPECT, NEED_VICTIM, NEED_RANDOM /* the victim's architecture, freshly initialised */ };
enum need_set { NEED_MEMBERS /* the victim's training set */, NEED_HELDOUT /* the victim's `heldout` */ };
struct task_need {
    const char *role; /* NULL ends the list */
    enum need_encoder encoder;
    enum need_set set;
};

/* What can be known of a task's result before it runs; 0: unknown, or it has none. */
struct task_extent {
    int64_t rows;         /* representations */
    int dim;              /* length of each; of an encoder: of those it makes */
    int size;             /* pixels: input of the encoder that it makes or asks */
    double image_seconds; /* estimate: one image forward through the encoder that it makes */
};

/* What an estimate looks at. */
struct task_sizing {
    const cJSON *params;
    int n_inputs;
    const char *roles[TASK_INPUTS_MAX];
    const struct task_extent *inputs[TASK_INPUTS_MAX];
};

/* The input with this role; all zero if there is none. */
const struct task_extent *task_sizing_input(const struct task_sizing *, const char *role);

/* What is known about a task before it runs. */
struct task_facts {
    const cJSON *params; /* options that are invalid by themselves are missing */
    int64_t images;      /* that it trains on, or of the members that it tests; 0: not known (yet) */
    const cJSON *victim; /* parameters of the victim's encoder; NULL: not known, or there is none */
};

struct task_kind {
    const char *name, *help;
    const struct option *options;
    size_t options_size;
    /* Kinds with several tables, some of which may depend on other options (train:
     * those of the chosen loss, ...): all that apply to `block`, `options` included;
     * block NULL: those that always apply. Names that are unknown are no error here.
     * Returns their number or -1. NULL: just `options`. */
    int (*tables)(const cJSON *block, const struct option **tables, int max, struct err *err);
    /* Finds contradictions between options that are each valid. The plan calls it again when more
     * of the facts is known. NULL: no such contradictions exist. */
    void (*check)(const struct task_facts *, const struct complaints *);
    /* A sentence that says where an option belongs which is in none of the tables; NULL for an
     * option that no table has. A kind without the function knows no such option. */
    const char *(*elsewhere)(const char *option);
    const struct task_need *needs; /* NULL: not an evaluation kind */
    bool needs_device;             /* ctx->device is opened before run */
    bool resumes;                  /* a stopped attempt's share of the work stands in its folder */
    /* Estimated seconds on one thread of a present-day core (calibration: cost.c);
     * only the ratios matter for the schedule. `out`, zeroed, gets the extent. */
    double (*cost)(const struct task_sizing *, struct task_extent *out);
    /* 0; STOPPED: state saved in work, run again later; -1: failed, with a message. */
    int (*run)(struct task_context *, struct err *);
};

extern const struct task_kind *const task_kinds[]; /* NULL-terminated */
const struct task_kind *task_kind_find(const char *name);
/* All option tables of the kind, as its `tables` or `options` say. */
int task_kind_tables(const struct task_kind *kind, const cJSON *block, const struct option **tables, int max,
                     struct err *err);

/* The input with this role, or NULL. */
const struct task_input *task_input(const struct task_context *, const char *role);
/* DIR/tasks/ID + suffix (".h5", ".safetensors"). */
int task_path(const char *dir, const char *id, const char *suffix, char out[PATH_MAX], struct err *err);

#endif
