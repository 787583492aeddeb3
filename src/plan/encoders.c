/* The `encoders` block: victims, independents and suspects. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "plan/blocks.h"
#include "plan/internal.h"
#include "tasks/import.h"

static const char *const roles[] = { "victim", "independent", "suspect", NULL };
/* Bound one by one (conf_bind), never into a struct: no offsets. */
const struct option encoder_block_options[] = {
    { "name", OPTION_STRING, 0, NULL, 0, 0, NULL, NULL, "every encoder has one" },
    { "role", OPTION_CHOICE, 0, NULL, 0, 0, roles, NULL, "victim, independent or suspect" },
    { "heldout", OPTION_STRING, 0, "", 0, 0, NULL, NULL,
      "of a victim: set of the same distribution it was not trained on" },
    { "members", OPTION_STRING, 0, "", 0, 0, NULL, NULL, "of an imported victim: its training set" },
    { "allow_overlap", OPTION_BOOL, 0, "false", 0, 0, NULL, NULL,
      "of an independent: its training set may share images with a victim's" },
    OPTION_END,
};

/* One entry of the block while it is turned into tasks. */
struct entry {
    const struct conf_node *node;
    const char *name;
    char role[OPTION_NAME];
    int members, heldout;
    bool good; /* false after a user's error: it is read to the end, but makes no task */
};

struct encoder_entry *encoder_append(struct builder *b)
{
    if (b->n_encoders == b->max_encoders) {
        int max = 2 * b->max_encoders + 16;
        struct encoder_entry *grown = mem_grow(b->encoders, (size_t)b->n_encoders, (size_t)max, sizeof *grown, b->err);
        if (grown == NULL)
            return NULL;
        b->encoders = grown;
        b->max_encoders = max;
    }
    struct encoder_entry *e = &b->encoders[b->n_encoders++];
    *e = (struct encoder_entry){ .task = -1, .members = -1, .heldout = -1, .victim = -1, .random = -1, .trial = -1 };
    return e;
}

/* Columns of an encoder's rows; dataset NULL: unknown. */
static cJSON *encoder_labels(const char *name, const char *role, const cJSON *params, const char *dataset, int trial)
{
    cJSON *o = cJSON_CreateObject();
    if (o != NULL && cJSON_AddStringToObject(o, "name", name) != NULL &&
        cJSON_AddStringToObject(o, "role", role) != NULL &&
        cJSON_AddStringToObject(o, "arch", json_text(params, "arch", "")) != NULL &&
        cJSON_AddStringToObject(o, "dataset", dataset) != NULL &&
        cJSON_AddStringToObject(o, "loss", json_text(params, "loss", "")) != NULL &&
        cJSON_AddStringToObject(o, "queries", "") != NULL && cJSON_AddNumberToObject(o, "budget", 0) != NULL &&
        cJSON_AddNumberToObject(o, "overlap", -1) != NULL && cJSON_AddNumberToObject(o, "set_overlap", -1) != NULL &&
        cJSON_AddNumberToObject(o, "seed", -1) != NULL &&
        cJSON_AddNumberToObject(o, "trial", trial < 0 ? 0 : trial) != NULL)
        return o;
    cJSON_Delete(o);
    return NULL;
}

void label_seed(struct builder *b, int task)
{
    struct plan_task *t = &b->plan->tasks[task];
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(t->params, "seed");
    cJSON *label = cJSON_GetObjectItemCaseSensitive(t->labels, "seed");
    if (cJSON_IsNumber(seed) && label != NULL)
        cJSON_SetNumberValue(label, seed->valuedouble);
}

static const char *role_name(const char *role)
{
    int i = 0;
    while (roles[i] != NULL && strcmp(roles[i], role) != 0)
        i++;
    return roles[i];
}

/* Adds the task and the encoder; two encoders that are one experiment are an error. */
static int add_encoder(struct builder *b, const struct entry *entry, struct task_draft *draft, const char *suffix,
                       int trial, int members)
{
    int task;
    bool fresh;
    char trial_suffix[24] = "";
    if (trial >= 0 && b->plan->campaign.trials > 1)
        snprintf(trial_suffix, sizeof trial_suffix, ".t%d", trial);
    char *name = mem_printf(b->err, "%s%s%s", entry->name, suffix, trial_suffix);
    if (name == NULL) {
        cJSON_Delete(draft->params);
        return -1;
    }
    draft->name = name;
    draft->labels = encoder_labels(name, entry->role, draft->params,
                                   draft->set >= 0 ? b->sets[draft->set].name
                                   : members >= 0  ? b->sets[members].name
                                                   : "",
                                   trial);
    if (graph_add(b, draft, &task, &fresh) != 0) {
        mem_free(name);
        return -1;
    }
    if (!fresh)
        conf_error(b->conf, entry->node, "encoder \"%s\" is the same experiment as \"%s\"", name,
                   json_text(b->plan->tasks[task].labels, "name", ""));
    else
        label_seed(b, task);
    struct encoder_entry *e = encoder_append(b);
    if (e == NULL) {
        mem_free(name);
        return -1;
    }
    e->name = name;
    e->base = entry->name;
    e->node = entry->node;
    e->trial = trial;
    e->task = task;
    e->members = members;
    e->heldout = entry->heldout;
    e->role = role_name(entry->role);
    return 0;
}

int check_disjoint(struct builder *b, const struct conf_node *node, int a, int c, const char *what)
{
    int64_t common;
    if (a < 0 || c < 0)
        return 0;
    if (sets_common(b, a, c, &common) != 0)
        return -1;
    if (common > 0)
        conf_error(b->conf, node, "\"%s\" and \"%s\" share %lld images, but %s", b->sets[a].name, b->sets[c].name,
                   (long long)common, what);
    return 0;
}

static int add_trained(struct builder *b, const struct entry *entry, const struct conf_node *train)
{
    static const char *const extra[] = { "dataset", NULL };
    const struct task_kind *kind = task_kind_find("train");
    struct expansions x;
    int rc = block_expand(b, train, kind, extra, NULL, NULL, &x);
    for (int i = 0; rc == 0 && i < x.n; i++) {
        int set = -1;
        const struct expansion *e = &x.items[i];
        const char *name = group_string(b, e->group, "dataset", true);
        if (name == NULL)
            continue;
        if (set_find(b, conf_child(e->group, "dataset"), name, &set) != 0 ||
            resolve_path(b, e->group, "init", e->params) != 0)
            rc = -1;
        if (rc != 0 || set < 0)
            continue;
        const struct task_facts facts = { .params = e->params, .images = b->sets[set].shape.n };
        check_square(b, set);
        kind_check(b, kind, e->group, NULL, &facts);
        if (!entry->good)
            continue;
        const cJSON *seed = cJSON_GetObjectItemCaseSensitive(e->params, "seed");
        if (cJSON_IsNumber(seed) && seed->valuedouble >= 0 && b->plan->campaign.trials > 1) {
            conf_error(b->conf, conf_child(e->group, "seed"),
                       "a fixed seed would make all %lld trials equal: leave it out",
                       (long long)b->plan->campaign.trials);
            continue;
        }
        if (strcmp(entry->role, "victim") == 0)
            rc = check_disjoint(b, entry->node, set, entry->heldout, "held-out images must not be trained on");
        for (int trial = 0; rc == 0 && trial < b->plan->campaign.trials; trial++) {
            struct task_draft draft = { .kind = kind,
                                        .params = cJSON_Duplicate(e->params, true),
                                        .set = set,
                                        .file_key = "init",
                                        .trial = trial,
                                        .seeded = true,
                                        .node = e->group };
            rc = draft.params == NULL ? err_set(b->err, "out of memory")
                                      : add_encoder(b, entry, &draft, e->suffix, trial, set);
        }
    }
    expansions_fini(&x);
    return rc;
}

static int add_imported(struct builder *b, const struct entry *entry)
{
    static const char *const extra[] = { "name", "role", "heldout", "members", "allow_overlap", NULL };
    const struct task_kind *kind = task_kind_find("import");
    struct expansions x;
    int rc = block_expand(b, entry->node, kind, extra, NULL, NULL, &x);
    for (int i = 0; rc == 0 && entry->good && i < x.n; i++) {
        const struct expansion *e = &x.items[i];
        cJSON *params = cJSON_Duplicate(e->params, true);
        if (params == NULL)
            rc = err_set(b->err, "out of memory");
        else if (resolve_path(b, e->group, "weights", params) != 0 || import_settle(params, b->err) != 0) {
            cJSON_Delete(params);
            rc = -1;
        }
        struct task_draft draft = {
            .kind = kind, .params = params, .set = -1, .file_key = "weights", .node = e->group
        };
        if (rc == 0)
            rc = add_encoder(b, entry, &draft, e->suffix, -1, entry->members);
    }
    expansions_fini(&x);
    return rc;
}

/* An entry without a task: the evaluations take in its files. */
static int add_black_box(struct builder *b, const struct entry *entry)
{
    const struct conf_node *files = conf_child(entry->node, "representations");
    bool good = entry->good;
    if (strcmp(entry->role, "victim") == 0) {
        conf_error(b->conf, files, "a victim's weights are needed: representations are for suspects and independents");
        good = false;
    }
    if (black_box_load(b, files, &good) != 0)
        return -1;
    if (!good)
        return 0;
    char *name = mem_strdup(entry->name, b->err);
    struct encoder_entry *e = name == NULL ? NULL : encoder_append(b);
    if (e == NULL) {
        mem_free(name);
        return -1;
    }
    e->name = name;
    e->base = entry->name;
    e->node = entry->node;
    e->files = files;
    e->role = role_name(entry->role);
    return 0;
}

static int find_optional(struct builder *b, const struct conf_node *node, const char *key, int *set)
{
    *set = -1;
    const struct conf_node *name = conf_child(node, key); /* of another type: reported */
    return name == NULL || name->type != CONF_STRING ? 0 : set_find(b, name, name->value.string, set);
}

/* Name and role, and that the entry is one thing or the other; false after errors. */
static bool check_entry(struct builder *b, const struct conf_node *node, const cJSON *own, struct entry *entry)
{
    bool good = true;
    entry->name = group_string(b, node, "name", false); /* a missing one has been reported */
    snprintf(entry->role, sizeof entry->role, "%s", json_text(own, "role", ""));
    if (entry->name != NULL && strchr(entry->name, '/') != NULL) {
        conf_error(b->conf, conf_child(node, "name"),
                   "name = \"%s\" must not have a slash: names are groups of results.h5", entry->name);
        good = false;
    }
    int sources = (conf_child(node, "train") != NULL) + (conf_child(node, "weights") != NULL) +
                  (conf_child(node, "representations") != NULL);
    if (sources != 1) {
        conf_error(b->conf, node,
                   "an encoder needs either train = { ... } or weights = \"FILE\" (or a suspect representations = "
                   "{ ... })");
        good = false;
    }
    for (int i = 0; entry->name != NULL && i < b->n_encoders; i++)
        if (strcmp(b->encoders[i].base, entry->name) == 0) {
            conf_error(b->conf, node, "there are two encoders called \"%s\"", entry->name);
            good = false;
            break;
        }
    return good && entry->name != NULL && entry->role[0] != 0;
}

/* Members are given with imported victims, and only with them. */
static void check_members(struct builder *b, const struct conf_node *node, const struct entry *entry)
{
    const struct conf_node *members = conf_child(node, "members");
    if (conf_child(node, "train") != NULL && members != NULL)
        conf_error(b->conf, members, "members is for imported victims: this one's are its training set");
    else if (conf_child(node, "weights") != NULL && members == NULL && strcmp(entry->role, "victim") == 0)
        conf_error(b->conf, node, "an imported victim needs members = \"SET\": what it was trained on");
}

static int load_one(struct builder *b, const struct conf_node *node)
{
    static const char *const trained[] = { "name", "train", "weights", "representations", NULL }, *const imports[] = {
        "name", NULL
    };
    const struct option *table = encoder_block_options;
    struct entry entry = { .node = node, .members = -1, .heldout = -1 };
    if (node->type != CONF_GROUP) {
        conf_error(b->conf, node, "an encoder is a group { name = ...; role = ...; train = { ... }; }");
        return 0;
    }
    const struct conf_node *train = conf_child(node, "train");
    bool imported = train == NULL && conf_child(node, "weights") != NULL;
    cJSON *own = cJSON_CreateObject();
    if (own == NULL)
        return err_set(b->err, "out of memory");
    /* an import's options stand beside these, and add_imported finds what is unknown */
    int bound =
        imported ? bind_own(b, node, table, imports, own) : conf_bind(b->conf, node, &table, 1, trained, own) == 0;
    if (bound >= 0)
        entry.good = check_entry(b, node, own, &entry) && bound > 0;
    cJSON_Delete(own);
    if (bound < 0)
        return -1;
    check_members(b, node, &entry);
    if (find_optional(b, node, "heldout", &entry.heldout) != 0 ||
        find_optional(b, node, "members", &entry.members) != 0)
        return -1;
    if (imported && strcmp(entry.role, "victim") == 0 &&
        check_disjoint(b, node, entry.members, entry.heldout, "held-out images must not be trained on") != 0)
        return -1;
    if (train == NULL && !imported && conf_child(node, "representations") != NULL)
        return add_black_box(b, &entry);
    return train != NULL ? add_trained(b, &entry, train) : imported ? add_imported(b, &entry) : 0;
}

/* Independents that saw a victim's images would be no independents, and if they
 * saw the held-out ones, the test would find the difference. */
static int check_independent(struct builder *b, const struct encoder_entry *e, const struct encoder_entry *victim)
{
    if (check_disjoint(b, e->node, e->members, victim->members,
                       "an independent encoder must not see a victim's training images "
                       "(allow_overlap = true permits it)") != 0)
        return -1;
    return check_disjoint(b, e->node, e->members, victim->heldout,
                          "an independent encoder must not see a victim's held-out images "
                          "(allow_overlap = true permits it)");
}

static int check_independents(struct builder *b)
{
    for (int i = 0; i < b->n_encoders; i++) {
        const struct encoder_entry *e = &b->encoders[i];
        const struct conf_node *allow = conf_child(e->node, "allow_overlap");
        if (strcmp(e->role, "independent") != 0 || e->trial > 0 ||
            (allow != NULL && allow->type == CONF_BOOL && allow->value.boolean))
            continue;
        for (int v = 0; v < b->n_encoders; v++)
            if (strcmp(b->encoders[v].role, "victim") == 0 && b->encoders[v].trial <= 0 &&
                check_independent(b, e, &b->encoders[v]) != 0)
                return -1;
    }
    return 0;
}

int encoders_load(struct builder *b, const struct conf_node *block)
{
    if (block == NULL)
        return 0;
    if (block->type != CONF_LIST) {
        conf_error(b->conf, block, "encoders must be a list of groups: ( { name = ...; }, ... )");
        return 0;
    }
    for (int i = 0; i < block->n; i++)
        if (load_one(b, block->children[i]) != 0)
            return -1;
    return check_independents(b);
}
