/* An encoder out of somebody's checkpoint. Of the encoder everything must be there, because one that is silently half
 * random makes every verdict about it worthless; of the rest, what was left aside is said. */
#include "nn/foreign.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { HINTS_MAX = 8, PREFIX_MAX = 512, GROUPS_MAX = 8 };

/* The stem is the option that is forgotten most, and the shapes say which one it is. */
static void add_stem_hint(const struct weights_reader *r, const struct network *net, struct err *err)
{
    const struct tensor_view *t = weights_find(r, "conv1.weight");
    size_t used = strlen(err->text);
    for (int i = 0; t != NULL && i < net->n_parameters; i++) {
        const struct parameter *p = &net->parameters[i];
        if (strcmp(p->name, "conv1.weight") == 0 && t->rank == 4 && t->dims[2] != p->dims[2] &&
            (t->dims[2] == 3 || t->dims[2] == 7))
            snprintf(err->text + used, sizeof err->text - used, "; it is of the stem %s",
                     t->dims[2] == 7 ? "imagenet" : "cifar");
    }
}

/* Is the whole encoder there by these names, and nothing that an encoder of another form would have? */
static int check_names(struct weights_reader *r, const struct network *net, const struct foreign_names *f,
                       const char *prefix, int *present, struct err *err)
{
    r->prefix = prefix;
    r->called = (const char *const *)f->called;
    r->by_called = f->order;
    r->n_called = f->n_called;
    memset(r->used, 0, (size_t)r->file.n * sizeof *r->used);
    if (weights_check_network(r, net, present, err) != 0) {
        add_stem_hint(r, net, err);
        return -1;
    }
    for (int i = 0; i < f->n; i++) {
        const char *called = f->called[i];
        if (called == NULL || r->used[i] || !foreign_is_encoders(called))
            continue;
        const char *last = strrchr(called, '.');
        if (last == NULL || strcmp(last, ".num_batches_tracked") != 0)
            return err_set(err, "%s: the tensor %s belongs to nothing in this network", r->path,
                           r->file.tensors[i].name);
    }
    return 0;
}

static void forget_names(struct weights_reader *r)
{
    r->called = NULL;
    r->prefix = NULL;
    r->by_called = NULL;
    r->n_called = 0;
}

/* ---- which prefix it could be ---- */

struct hints {
    char works[HINTS_MAX][PREFIX_MAX];
    int n, more;
    char best[PREFIX_MAX]; /* of those that do not, the one under which most is there */
    int most;
    struct err why; /* ... and what is amiss there */
};

static bool has(const struct weights_reader *r, const char *prefix, const char *name)
{
    char full[PREFIX_MAX + 64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return safetensors_find(&r->file, full) != NULL;
}

/* Where a first convolution is called `name`, its prefix; false where no ResNet can begin. A block's own convolutions
 * are as many as a hostile file likes: they are told apart by looking two names up. */
static bool begins_resnet(const struct weights_reader *r, const struct tensor_view *t, char prefix[PREFIX_MAX])
{
    static const char first[] = "conv1.weight", weight[] = ".weight";
    size_t n = strlen(t->name), tail = sizeof first - 1;
    if (t->rank != 4 || n >= PREFIX_MAX)
        return false;
    if (n >= tail && strcmp(t->name + n - tail, first) == 0 && (n == tail || t->name[n - tail - 1] == '.')) {
        snprintf(prefix, PREFIX_MAX, "%.*s", (int)(n - tail), t->name);
        return has(r, prefix, "bn1.running_mean") && has(r, prefix, "layer1.0.conv1.weight");
    }
    tail = sizeof weight - 1;
    if (n <= tail || strcmp(t->name + n - tail, weight) != 0)
        return false;
    size_t digits = n - tail;
    while (digits > 0 && t->name[digits - 1] >= '0' && t->name[digits - 1] <= '9')
        digits--;
    if (digits == n - tail || (digits > 0 && t->name[digits - 1] != '.'))
        return false;
    snprintf(prefix, PREFIX_MAX, "%.*s", (int)digits, t->name);
    for (int i = 1; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.0.conv1.weight", i);
        if (has(r, prefix, name))
            return true;
    }
    return false;
}

static bool is_listed(const struct hints *h, const char *prefix)
{
    for (int i = 0; i < h->n; i++)
        if (strcmp(h->works[i], prefix) == 0)
            return true;
    return strcmp(h->best, prefix) == 0 && h->most > 0;
}

static void try_prefix(struct weights_reader *r, const struct network *net, const char *prefix, struct hints *h)
{
    struct foreign_names f;
    struct err why;
    int present = 0;
    bool works = foreign_names_init(&f, &r->file, prefix, NULL, &why) == 0 &&
                 check_names(r, net, &f, prefix, &present, &why) == 0;
    forget_names(r);
    foreign_names_fini(&f);
    if (works) {
        if (h->n == HINTS_MAX)
            h->more++;
        else
            memcpy(h->works[h->n++], prefix, strlen(prefix) + 1);
    } else if (present > h->most) {
        h->most = present;
        h->why = why;
        memcpy(h->best, prefix, strlen(prefix) + 1);
    }
}

/* The prefixes that would do become the message; else what is amiss where most of an encoder is, if under the given
 * prefix there is nothing. */
static void add_hints(struct weights_reader *r, const struct network *net, const char *strip, int present,
                      struct err *err)
{
    enum { TRIALS_MAX = 64 };
    struct hints h = { .n = 0 };
    char prefix[PREFIX_MAX];
    for (int i = 0, trials = 0; i < r->file.n && trials < TRIALS_MAX; i++)
        if (begins_resnet(r, &r->file.tensors[i], prefix) && strcmp(prefix, strip) != 0 && !is_listed(&h, prefix)) {
            try_prefix(r, net, prefix, &h);
            trials++;
        }
    if (h.n == 0) {
        if (present == 0 && h.most > 0)
            *err = h.why; /* names the tensors in full */
        return;
    }
    size_t used = strlen(err->text), size = sizeof err->text;
    for (int i = 0; i < h.n && used < size; i++) {
        const char *between = i == 0 ? "; try " : i + 1 < h.n ? ", " : " or ", *p = h.works[i];
        used += (size_t)snprintf(err->text + used, size - used, *p == '\0' ? "%swithout strip" : "%s--strip %s",
                                 between, p);
    }
    if (used < size)
        snprintf(err->text + used, size - used, "%s", h.more > 0 ? ", or others" : "");
}

/* ---- what was left aside ---- */

/* Where two names part: the length of the whole parts that they begin with both. */
static size_t common_parts(const char *a, const char *b)
{
    size_t n = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
        if (a[i] == '.')
            n = i + 1;
    return n;
}

struct group {
    const char *name; /* of a tensor; the first `length` characters are the group's */
    size_t length;
    int n;
};

/* One line with what the file holds besides the encoder. */
static void tell_ignored(const struct weights_reader *r, const struct foreign_names *f, const char *strip)
{
    struct group groups[GROUPS_MAX];
    int n = 0, total = 0, listed = 0;
    for (int i = 0; i < f->n; i++) {
        const char *name = r->file.tensors[i].name;
        if (r->used[i] || (f->called[i] != NULL && foreign_is_encoders(f->called[i])))
            continue; /* counters of odd types are the encoder's, too */
        size_t from = common_parts(name, strip), length = from + strcspn(name + from, ".");
        int g = 0;
        while (g < n && (groups[g].length != length || strncmp(groups[g].name, name, length) != 0))
            g++;
        if (g == n && n < GROUPS_MAX)
            groups[n++] = (struct group){ name, length, 0 };
        if (g < n) {
            groups[g].n++;
            listed++;
        }
        total++;
    }
    char text[1024] = "";
    size_t used = 0;
    for (int g = 0; g < n && used < sizeof text; g++) {
        bool whole = groups[g].name[groups[g].length] == '\0';
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", g == 0 ? "" : ", ", (int)groups[g].length,
                                 groups[g].name);
        if (!whole && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, ".* (%d)", groups[g].n);
    }
    if (total > listed && used < sizeof text)
        snprintf(text + used, sizeof text - used, " and %d others", total - listed);
    if (total > 0)
        log_info("%s: %d tensor%s not the encoder's and ignored: %s", r->path, total, total == 1 ? " is" : "s are",
                 text);
}

int foreign_read(struct weights_reader *r, struct network *net, const struct encoder_names *names, struct err *err)
{
    int rc = -1, present = 0;
    struct foreign_names f;
    if (foreign_names_init(&f, &r->file, names->strip, names->rename, err) != 0) {
        err_prefix(err, "%s", r->path);
    } else if (check_names(r, net, &f, names->strip, &present, err) != 0) {
        add_hints(r, net, names->strip, present, err);
    } else if (weights_read_network(r, net, true, err) == 0) {
        tell_ignored(r, &f, names->strip);
        rc = 0;
    }
    forget_names(r);
    foreign_names_fini(&f);
    return rc;
}
