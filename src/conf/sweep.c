/* Lists where scalars are expected: one expansion for each combination. */
#include <string.h>

#include "base/mem.h"
#include "conf/internal.h"

enum { EXPANSIONS_MAX = 1000000 };

static bool kept(const char *const *keep, const char *name)
{
    for (; keep != NULL && *keep != NULL; keep++)
        if (strcmp(*keep, name) == 0)
            return true;
    return false;
}

static bool sweeps(const struct conf_node *child, const char *const *keep)
{
    return child->type == CONF_LIST && child->n > 0 && !kept(keep, child->name);
}

/* The group with each sweeping child replaced by its element number choice[i].
 * Elements have no name of their own, so a copy of the element's node carries it;
 * the copies lie behind the children in one block. */
static struct conf_node *expand(const struct conf_node *group, const char *const *keep, const int *choice,
                                struct err *err)
{
    size_t n = (size_t)group->n;
    struct conf_node *copy = mem_alloc(n + 1, sizeof *copy, err);
    struct conf_node **children = mem_alloc(n, sizeof *children, err);
    if (copy == NULL || children == NULL) {
        mem_free(copy);
        mem_free(children);
        return NULL;
    }
    copy[0] = *group;
    copy[0].children = children;
    for (size_t i = 0; i < n; i++) {
        struct conf_node *child = group->children[i];
        children[i] = child;
        if (sweeps(child, keep)) {
            copy[i + 1] = *child->children[choice[i]];
            copy[i + 1].name = child->name;
            children[i] = &copy[i + 1];
        }
    }
    return copy;
}

int conf_sweep(struct conf *conf, const struct conf_node *group, const char *const *keep, struct conf_sweep *out,
               struct err *err)
{
    *out = (struct conf_sweep){ 0 };
    int rc = -1;
    size_t total = 1;
    int *choice = mem_alloc((size_t)group->n, sizeof *choice, err);
    if (choice == NULL)
        return -1;
    for (int i = 0; i < group->n; i++) {
        const struct conf_node *child = group->children[i];
        if (!sweeps(child, keep))
            continue;
        total *= (size_t)child->n;
        if (total > EXPANSIONS_MAX) {
            conf_error(conf, group, "the lists of this group make more than %d combinations", (int)EXPANSIONS_MAX);
            err_set(err, "too many combinations");
            goto out;
        }
    }
    out->groups = mem_alloc(total, sizeof *out->groups, err);
    if (out->groups == NULL)
        goto out;
    for (size_t k = 0; k < total; k++) {
        out->groups[k] = expand(group, keep, choice, err);
        if (out->groups[k] == NULL)
            goto out;
        out->n++;
        for (int i = group->n - 1; i >= 0; i--) { /* the last list varies fastest */
            if (!sweeps(group->children[i], keep))
                continue;
            if (++choice[i] < group->children[i]->n)
                break;
            choice[i] = 0;
        }
    }
    rc = 0;
out:
    mem_free(choice);
    if (rc != 0)
        conf_sweep_free(out);
    return rc;
}

void conf_sweep_free(struct conf_sweep *s)
{
    for (int i = 0; i < s->n; i++) {
        mem_free(s->groups[i]->children);
        mem_free(s->groups[i]);
    }
    mem_free(s->groups);
    *s = (struct conf_sweep){ 0 };
}
