/* Names: from a foreign file's to torchvision's. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/foreign.h"

enum { STAGES_MAX = 16, NUMBER_DIGITS = 3 };

/* Which children of a torch.nn.Sequential are what of a ResNet; -1: none is. */
struct children {
    int conv, norm, stages[STAGES_MAX], n_stages;
};

/* "12.rest": the number, and in *rest what follows it; -1 for other names. */
static int child_number(const char *name, const char **rest)
{
    size_t n = strspn(name, "0123456789");
    if (n == 0 || n > NUMBER_DIGITS || name[n] != '.')
        return -1;
    *rest = name + n + 1;
    return (int)strtol(name, NULL, 10);
}

static void add_stage(struct children *c, int number)
{
    int at = 0;
    while (at < c->n_stages && c->stages[at] < number)
        at++;
    if (c->n_stages == STAGES_MAX || (at < c->n_stages && c->stages[at] == number))
        return;
    memmove(&c->stages[at + 1], &c->stages[at], (size_t)(c->n_stages - at) * sizeof *c->stages);
    c->stages[at] = number;
    c->n_stages++;
}

static const char *below(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && name[n] != '\0' ? name + n : NULL;
}

/* Modules without tensors (ReLU, pooling) take numbers, too, and some stems have none: the stages' numbers differ. */
static struct children find_children(const struct safetensors *file, const char *prefix)
{
    struct children c = { .conv = -1, .norm = -1 };
    for (int i = 0; i < file->n; i++) {
        const struct tensor_view *t = &file->tensors[i];
        const char *name = below(t->name, prefix), *rest;
        int number = name != NULL ? child_number(name, &rest) : -1;
        if (number < 0)
            continue;
        if (strcmp(rest, "0.conv1.weight") == 0)
            add_stage(&c, number);
        if (strcmp(rest, "weight") == 0 && t->rank == 4 && (c.conv < 0 || number < c.conv))
            c.conv = number;
        if (strcmp(rest, "running_mean") == 0 && (c.norm < 0 || number < c.norm))
            c.norm = number;
    }
    return c;
}

static char *child_name(const struct children *c, const char *name, struct err *err)
{
    const char *rest = NULL;
    int number = child_number(name, &rest);
    if (number >= 0 && number == c->conv)
        return mem_printf(err, "conv1.%s", rest);
    if (number >= 0 && number == c->norm)
        return mem_printf(err, "bn1.%s", rest);
    for (int i = 0; number >= 0 && i < c->n_stages; i++)
        if (c->stages[i] == number)
            return mem_printf(err, "layer%d.%s", i + 1, rest);
    return mem_strdup(name, err);
}

/* The first "A=B" whose A leads the name, in whole parts. */
static char *renamed(const struct string_list *rename, const char *name, struct err *err)
{
    for (int i = 0; i < rename->n; i++) {
        const char *equals = strchr(rename->v[i], '=');
        size_t n = (size_t)(equals - rename->v[i]);
        if (strncmp(name, rename->v[i], n) != 0 || (name[n] != '.' && name[n] != '\0' && name[n - 1] != '.'))
            continue;
        const char *rest = name + n;
        return mem_printf(err, "%s%s", equals + 1, equals[1] == '\0' && *rest == '.' ? rest + 1 : rest);
    }
    return mem_strdup(name, err);
}

/* kuangliu's and lightly's ResNets have `shortcut` where torchvision's have `downsample`. */
static int take_shortcut(char **name, struct err *err)
{
    static const char part[] = ".shortcut.";
    const char *at = strstr(*name, part);
    if (at == NULL || strncmp(*name, "layer", 5) != 0)
        return 0;
    char *other = mem_printf(err, "%.*s.downsample.%s", (int)(at - *name), *name, at + sizeof part - 1);
    if (other == NULL)
        return -1;
    mem_free(*name);
    *name = other;
    return 0;
}

static int check_rename(const struct string_list *rename, struct err *err)
{
    for (int i = 0; rename != NULL && i < rename->n; i++) {
        const char *equals = strchr(rename->v[i], '=');
        if (equals == NULL || equals == rename->v[i])
            return err_set(err, "rename wants A=B, as in 4=layer1; not \"%s\"", rename->v[i]);
    }
    return 0;
}

static int compare_called(const void *a, const void *b, void *called)
{
    char *const *names = called;
    return strcmp(names[*(const int *)a], names[*(const int *)b]);
}

static int sort_names(struct foreign_names *f, const struct safetensors *file, struct err *err)
{
    for (int i = 0; i < f->n; i++)
        if (f->called[i] != NULL)
            f->order[f->n_called++] = i;
    qsort_r(f->order, (size_t)f->n_called, sizeof *f->order, compare_called, f->called);
    for (int i = 1; i < f->n_called; i++)
        if (strcmp(f->called[f->order[i - 1]], f->called[f->order[i]]) == 0)
            return err_set(err, "the tensors %s and %s would both be %s", file->tensors[f->order[i - 1]].name,
                           file->tensors[f->order[i]].name, f->called[f->order[i]]);
    return 0;
}

int foreign_names_init(struct foreign_names *f, const struct safetensors *file, const char *prefix,
                       const struct string_list *rename, struct err *err)
{
    *f = (struct foreign_names){ .n = file->n };
    if (check_rename(rename, err) != 0 || (f->called = mem_alloc((size_t)file->n, sizeof *f->called, err)) == NULL ||
        (f->order = mem_alloc((size_t)file->n, sizeof *f->order, err)) == NULL)
        return -1;
    struct children c = { .conv = -1, .norm = -1 };
    bool given = rename != NULL && rename->n > 0;
    if (!given)
        c = find_children(file, prefix);
    for (int i = 0; i < file->n; i++) {
        const char *name = below(file->tensors[i].name, prefix);
        if (name == NULL)
            continue;
        f->called[i] = given            ? renamed(rename, name, err)
                       : c.n_stages > 0 ? child_name(&c, name, err)
                                        : mem_strdup(name, err);
        if (f->called[i] == NULL || take_shortcut(&f->called[i], err) != 0)
            return -1;
    }
    return sort_names(f, file, err);
}

void foreign_names_fini(struct foreign_names *f)
{
    for (int i = 0; f->called != NULL && i < f->n; i++)
        mem_free(f->called[i]);
    mem_free(f->called);
    mem_free(f->order);
    *f = (struct foreign_names){ 0 };
}

bool foreign_is_encoders(const char *called)
{
    static const char *const parts[] = { "conv", "bn", "norm", "layer", "stem", "downsample", NULL };
    for (int i = 0; parts[i] != NULL; i++)
        if (strncmp(called, parts[i], strlen(parts[i])) == 0)
            return true;
    return called[0] >= '0' && called[0] <= '9';
}
