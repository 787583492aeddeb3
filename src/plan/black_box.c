/* A suspect without weights: files of its representations stand where an embedding of
 * another encoder does. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/json.h"
#include "plan/internal.h"

static const char *const need_names[] = { [NEED_MEMBERS] = "members", [NEED_HELDOUT] = "heldout" };

static bool is_need(const char *name)
{
    return strcmp(name, need_names[NEED_MEMBERS]) == 0 || strcmp(name, need_names[NEED_HELDOUT]) == 0;
}

int black_box_load(struct builder *b, const struct conf_node *files, bool *good)
{
    if (files->type != CONF_GROUP || files->n == 0) {
        conf_error(b->conf, files,
                   "representations must be a group { members = \"FILE.npy\"; heldout = \"FILE.npy\"; }");
        *good = false;
        return 0;
    }
    for (int i = 0; i < files->n; i++) {
        const struct conf_node *file = files->children[i];
        int set = 0;
        if (!is_need(file->name) && set_find(b, file, file->name, &set) != 0)
            return -1;
        if (file->type != CONF_STRING || file->value.string[0] == '\0' || strlen(file->value.string) >= OPTION_TEXT) {
            conf_error(b->conf, file, "%s must be the name of a file of 1 to %d characters", file->name,
                       (int)OPTION_TEXT - 1);
            set = -1;
        }
        for (int k = 0; set >= 0 && k < i; k++)
            if (files->children[k]->type == CONF_STRING &&
                strcmp(files->children[k]->value.string, file->value.string) == 0) {
                conf_error(b->conf, file, "%s and %s are the same file", files->children[k]->name, file->name);
                set = -1;
            }
        *good = *good && set >= 0;
    }
    return 0;
}

/* Is "members" (or "heldout") the same set for all victims? */
static bool is_one_set(const struct builder *b, enum need_set need, int set)
{
    for (int i = 0; i < b->n_encoders; i++) {
        const struct encoder_entry *e = &b->encoders[i];
        int other = need == NEED_MEMBERS ? e->members : e->heldout;
        if (strcmp(e->role, "victim") == 0 && other >= 0 && other != set)
            return false;
    }
    return true;
}

/* The entry with the file for this set: by the set's name, else by what it is to the victim. NULL after an error. */
static const struct conf_node *find_file(struct builder *b, const struct encoder_entry *e, enum need_set need, int set)
{
    const char *name = b->sets[set].name;
    const struct conf_node *file = conf_child(e->files, name);
    if (file != NULL && !(is_need(name) && strcmp(name, need_names[need]) != 0))
        return file;
    bool shared = is_one_set(b, need, set);
    file = conf_child(e->files, need_names[need]);
    if (file != NULL && shared)
        return file;
    if (file == NULL)
        conf_error(b->conf, e->files, "%s has no representations of the %s \"%s\": %s = \"FILE.npy\" is wanted",
                   e->name, need == NEED_MEMBERS ? "members" : "held-out images", name,
                   shared ? need_names[need] : name);
    else
        conf_error(b->conf, file, "victims have different %s: name the set, as %s = \"FILE.npy\"", need_names[need],
                   name);
    return NULL;
}

struct complaint_at {
    struct builder *b;
    const struct conf_node *node;
    bool any;
};

static void complain_at(void *arg, const char *key, const char *other, const char *text)
{
    struct complaint_at *at = arg;
    (void)key;
    (void)other;
    conf_error(at->b->conf, at->node, "%s", text);
    at->any = true;
}

/* params.file = the path, relative to the folder of the config that has it; NULL: no memory. */
static cJSON *file_params(struct builder *b, const struct encoder_entry *e, const struct conf_node *file)
{
    cJSON *params = cJSON_CreateObject();
    if (params == NULL || cJSON_AddStringToObject(params, file->name, file->value.string) == NULL) {
        cJSON_Delete(params);
        err_set(b->err, "out of memory");
        return NULL;
    }
    if (resolve_path(b, e->files, file->name, params) != 0)
        goto failed;
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(params, file->name);
    if (cJSON_AddItemToObject(params, "file", value))
        return params;
    cJSON_Delete(value);
    err_set(b->err, "out of memory");
failed:
    cJSON_Delete(params);
    return NULL;
}

int black_box_task(struct builder *b, int suspect, enum need_set need, int set, int *task)
{
    bool fresh;
    struct encoder_entry *e = &b->encoders[suspect];
    const struct task_kind *kind = task_kind_find("representations");
    const struct conf_node *file = find_file(b, e, need, set);
    *task = -1;
    if (file == NULL)
        return 0;
    cJSON *params = file_params(b, e, file);
    if (params == NULL)
        return -1;
    struct complaint_at at = { b, file, false };
    const struct complaints to = { complain_at, &at };
    const struct task_facts facts = { .params = params, .images = b->sets[set].shape.n };
    kind->check(&facts, &to);
    if (at.any) {
        cJSON_Delete(params);
        return 0;
    }
    char *name = mem_printf(b->err, "%s/%s", e->name, b->sets[set].name);
    if (name == NULL) {
        cJSON_Delete(params);
        return -1;
    }
    cJSON *labels = embed_labels(e->name, b->sets[set].name);
    struct task_draft draft = {
        .kind = kind, .name = name, .params = params, .labels = labels, .set = set, .file_key = "file", .node = file
    };
    int rc = graph_add(b, &draft, task, &fresh);
    mem_free(name);
    if (rc != 0)
        return rc;
    const char *owner = json_text(b->plan->tasks[*task].labels, "encoder", "");
    if (strcmp(owner, e->name) != 0)
        conf_error(b->conf, file, "%s and %s are the same representations", owner, e->name);
    int dim = b->extents[*task].dim;
    if (e->dim > 0 && dim != e->dim)
        conf_error(b->conf, file, "%s: representations of length %d, but others of %s have %d", file->value.string, dim,
                   e->name, e->dim);
    if (e->dim == 0)
        e->dim = dim;
    return 0;
}
