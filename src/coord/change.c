/* What is computed stays under its id whatever the config says; what was collected would be replaced. */
#include "coord/change.h"

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"

enum { NAMES = 3 };

/* How many of `plan` are not in `other`; the first names of them in `text`. */
static int count_others(const struct plan *plan, struct plan *other, char *text, size_t size)
{
    int n = 0;
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < plan->n_tasks; i++) {
        if (plan_index(other, plan->tasks[i].id) >= 0)
            continue;
        if (n < NAMES && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%.160s", n > 0 ? ", " : " (", plan->tasks[i].name);
        n++;
    }
    if (n > 0 && used < size)
        snprintf(text + used, size - used, "%s)", n > NAMES ? ", ..." : "");
    return n;
}

static int keep_results(const char *dir, const char *hash, struct err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (fs_path(from, sizeof from, err, "%s/results.h5", dir) != 0 ||
        fs_path(to, sizeof to, err, "%s/results-%.12s.h5", dir, hash) != 0)
        return -1;
    if (!fs_exists(from))
        return 0;
    if (rename(from, to) != 0)
        return err_errno(err, "cannot rename %s to %s", from, to);
    log_info("the results so far are kept as results-%.12s.h5", hash);
    return 0;
}

int change_note(const char *dir, struct plan *before, struct plan *plan, struct err *err)
{
    char new_names[640], gone_names[640];
    int n_new = count_others(plan, before, new_names, sizeof new_names);
    int n_gone = count_others(before, plan, gone_names, sizeof gone_names);
    if (n_new == 0 && n_gone == 0)
        return 0;
    log_info("the config has changed: %d task%s new%s, %d gone%s, %d kept", n_new, n_new == 1 ? " is" : "s are",
             new_names, n_gone, gone_names, plan->n_tasks - n_new);
    return before->config_hash[0] != '\0' ? keep_results(dir, before->config_hash, err) : 0;
}
