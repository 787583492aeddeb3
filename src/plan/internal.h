/* Building a plan: shared by the files that turn a config's blocks into tasks. */
#ifndef DINF_PLAN_INTERNAL_H
#define DINF_PLAN_INTERNAL_H

#include "base/hash.h"
#include "conf/conf.h"
#include "data/dataset.h"
#include "plan/plan.h"

/* Text -> index, open addressing; the texts are copied. */
struct table {
    struct table_entry {
        char *key;
        int value;
    } * entries;
    int used, size;
};
int table_find(const struct table *t, const char *key); /* -1: not there */
int table_add(struct table *t, const char *key, int value, struct err *err);
void table_fini(struct table *t);

/* An entry of `datasets`. */
struct named_set {
    const char *name; /* borrowed from the config */
    const struct conf_node *node;
    cJSON *spec; /* dataset.h's object */
    struct images shape;
    char fingerprint[HASH_HEX];
    enum { SET_UNSEEN, SET_OPEN, SET_GOOD, SET_BROKEN } state;
};

/* An encoder that a task makes: of `encoders` or a theft. */
struct encoder_entry {
    char *name;       /* with the trial's suffix if there are several */
    const char *base; /* without; borrowed: the part of the config's name */
    const char *role; /* "victim", "independent", "suspect", "thief" */
    const struct conf_node *node;
    int trial;                     /* -1: the same in all trials */
    int task;                      /* -1: none, of a black box */
    const struct conf_node *files; /* representations of a black box; NULL: the encoder is there */
    int dim;                       /* of a black box: length of a representation; 0: not known yet */
    int members, heldout;          /* sets; -1: none */
    int victim;                    /* of a theft: entry of the victim; else -1 */
    int random;                    /* init task for a victim; -1: none yet */
};

/* Hashes of all that a task is. They differ where an encoder resizes the images that it embeds or answers about: the
 * resampler is part of the result, and of the identity, but seeds are those of versions before it was. */
struct identity {
    char full[HASH_HEX], seed[HASH_HEX];
};

struct builder {
    struct conf *conf;
    struct plan *plan;
    struct err *err; /* of the last fatal failure */
    struct named_set *sets;
    int n_sets;
    struct encoder_entry *encoders;
    int n_encoders, max_encoders, max_tasks;
    struct table ids, names; /* of tasks */
    struct table overlaps;   /* "a b" -> index into common */
    int64_t *common;
    int n_common, max_common;
    struct identity *identities; /* of tasks: what hashes into their dependants */
    struct task_extent *extents; /* of tasks: what the estimates of their dependants look at */
};

/* One task to be added. params and labels are taken over (also on failure). */
struct task_draft {
    const struct task_kind *kind;
    const char *name; /* without the kind */
    cJSON *params, *labels;
    int set;                  /* goes into params as "dataset"; -1: none */
    const char *budget_free;  /* parameter that is no part of the identity (but of the id); NULL */
    char file_hash[HASH_HEX]; /* of the file behind file_key, filled by graph_identity; "" */
    const char *file_key;     /* parameter that is a path: its contents count; NULL */
    int trial;                /* goes into derived seeds */
    bool seeded;              /* params.seed = -1 or absent is to be derived */
    int n_inputs;
    struct {
        const char *role;
        int task;
    } inputs[TASK_INPUTS_MAX];
    const struct conf_node *node; /* for messages */
};

/* All return 0, or -1 for what no user caused (out of memory). What a user caused
 * is added to the config's errors, and the result is marked as missing (-1). */

/* *task: index of the new task, or of the equal one that was there (*fresh = false). */
int graph_add(struct builder *b, struct task_draft *draft, int *task, bool *fresh);
/* The identity that the draft would have, and its derived seed put into params. */
int graph_identity(struct builder *b, struct task_draft *draft, struct identity *identity, char id[TASK_ID]);

/* A `seed` below 0 in params becomes one of campaign seed and trial alone: every
 * evaluation of a trial, whatever its encoder and method, has the same. */
int graph_trial_seed(struct builder *b, int trial, cJSON *params);

int sets_load(struct builder *b, const struct conf_node *block);
/* Resolved set by name; -1 after an error at `node`. */
int set_find(struct builder *b, const struct conf_node *node, const char *name, int *set);
/* An error of the user at the set if its images, which an encoder is to take, are not square. */
void check_square(struct builder *b, int set);
/* Number of images that two sets share. */
int sets_common(struct builder *b, int a, int c, int64_t *common);
/* in (a's images): 1 where c has the image, too. Sets that are good are readable. */
int sets_shared(struct builder *b, int a, int c, uint8_t *in);

int encoders_load(struct builder *b, const struct conf_node *block);
/* Checks a suspect's `representations`; *good becomes false after an error of the user. */
int black_box_load(struct builder *b, const struct conf_node *files, bool *good);
/* The task that takes in a black box's file for this set; -1 after an error of the user. */
int black_box_task(struct builder *b, int suspect, enum need_set need, int set, int *task);
/* Labels of a task that makes representations; NULL: out of memory. */
cJSON *embed_labels(const char *encoder, const char *set);
/* The label `seed` of a task that is in the plan becomes the seed that was derived for it. */
void label_seed(struct builder *b, int task);
int thefts_load(struct builder *b, const struct conf_node *block);
int evaluate_load(struct builder *b, const struct conf_node *block);
int mocks_load(struct builder *b, const struct conf_node *block);

struct encoder_entry *encoder_append(struct builder *b);
/* An error of the user at `node` if sets a and c (-1: none) have images in
 * common: "A and B share N images, but WHAT". */
int check_disjoint(struct builder *b, const struct conf_node *node, int a, int c, const char *what);

/* One combination of a swept block. */
struct expansion {
    const struct conf_node *group;
    cJSON *params;    /* every option of the kind's tables */
    char suffix[256]; /* ".value" for each swept option that is not in `quiet` */
};
struct expansions {
    struct expansion *items;
    int n;
    struct conf_sweep *sweeps; /* own the groups */
    int n_sweeps;
};
/* Sweeps and binds `group` against the kind's tables. Keys in `extra` are not
 * bound, and sweep like any other unless in `keep`; `quiet`: no suffix. Errors
 * of the user leave out that expansion. Lists end with NULL. */
int block_expand(struct builder *b, const struct conf_node *group, const struct task_kind *kind,
                 const char *const *extra, const char *const *keep, const char *const *quiet, struct expansions *out);
void expansions_fini(struct expansions *e);

/* Asks the kind for contradictions; they become errors at the options of `group`,
 * those about "budgets" at `budget` if it is given. block_expand has asked already,
 * with the parameters alone. */
void kind_check(struct builder *b, const struct task_kind *kind, const struct conf_node *group,
                const struct conf_node *budget, const struct task_facts *facts);
/* Binds only those keys of `group` that the table names. 1: all good; 0: errors of the user. */
int bind_own(struct builder *b, const struct conf_node *group, const struct option *table, const char *const *extra,
             cJSON *object);

/* The kind's default parameters, or those that `from` gives (other members ignored). */
cJSON *kind_params(const struct task_kind *kind, const cJSON *from, struct err *err);

/* The member `key` becomes this number, there or not. */
int set_number(cJSON *object, const char *key, double value, struct err *err);
/* A path option as written: relative to the folder of the file that has it. */
int resolve_path(struct builder *b, const struct conf_node *group, const char *key, cJSON *params);
/* String member of a group, NULL with an error if absent (`required`) or no string. */
const char *group_string(struct builder *b, const struct conf_node *group, const char *key, bool required);
/* "; did you mean ..." message for a name that refers to nothing. */
void unknown_name(struct builder *b, const struct conf_node *node, const char *what, const char *name,
                  const char *const *names, int n);
/* Text of a scalar node for names. */
void scalar_text(const struct conf_node *node, char *out, size_t size);

#endif
