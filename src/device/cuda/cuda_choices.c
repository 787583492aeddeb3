/* Which algorithm a convolution runs with is measured, and measurements differ
 * from run to run where two algorithms are about equal; but algorithms round
 * differently. So that a resumed run repeats its bits, and so that all ranks of
 * one run agree, choices are kept in a file of the run: the first process to
 * write a shape decides for all.
 *
 * One line a choice: key, tab, algorithm, tab, math type. */
#include "device/cuda/cuda_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"

enum { KEY_MAX = 256, LINE_MAX_BYTES = KEY_MAX + 64 };

struct entry {
    char key[KEY_MAX];
    struct cuda_choice choice;
};

struct cuda_choices {
    char *path; /* NULL: no file */
    struct entry *entries;
    size_t n, room;
};

static int add(struct cuda_choices *c, const char *key, struct cuda_choice choice, struct err *err)
{
    size_t length = strlen(key);
    if (length >= KEY_MAX)
        return err_set(err, "the name of a choice is too long: %s", key);
    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 64;
        struct entry *grown = mem_grow(c->entries, c->room, room, sizeof *grown, err);
        if (!grown)
            return -1;
        c->entries = grown;
        c->room = room;
    }
    struct entry *e = &c->entries[c->n++];
    memcpy(e->key, key, length + 1);
    e->choice = choice;
    return 0;
}

/* "key\talgorithm\tmath\n": false for a line that is not one (cut short by a crash). */
static bool parse(char *line, struct cuda_choice *choice)
{
    char *tab = strchr(line, '\t'), *end = NULL;
    if (!tab || !strchr(tab, '\n'))
        return false;
    *tab = 0;
    choice->algorithm = (int)strtol(tab + 1, &end, 10);
    if (end == tab + 1 || *end != '\t')
        return false;
    char *math = end + 1;
    choice->math = (int)strtol(math, &end, 10);
    return end != math && *end == '\n';
}

/* What others have written meanwhile; what is known already stays. */
static int read_all(struct cuda_choices *c, FILE *f, struct err *err)
{
    char line[LINE_MAX_BYTES];
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        struct cuda_choice choice, known;
        if (parse(line, &choice) && !cuda_choices_find(c, line, &known) && add(c, line, choice, err) != 0)
            return -1;
    }
    return 0;
}

/* True after a crash while writing. Leaves the position at the end. */
static bool ends_within_line(FILE *f)
{
    bool within = fseek(f, -1, SEEK_END) == 0 && getc(f) != '\n';
    fseek(f, 0, SEEK_END); /* between reading and writing, as C wants it */
    return within;
}

struct cuda_choices *cuda_choices_create(const char *path, struct err *err)
{
    struct cuda_choices *c = mem_alloc(1, sizeof *c, err);
    if (!c || !path)
        return c;
    c->path = mem_strdup(path, err);
    if (!c->path)
        goto fail;
    FILE *f = fopen(path, "r");
    if (!f && errno == ENOENT)
        return c;
    if (!f) {
        err_errno(err, "cannot read the choices of algorithms in %s", path);
        goto fail;
    }
    int rc = read_all(c, f, err);
    fclose(f);
    if (rc == 0)
        return c;
fail:
    cuda_choices_destroy(c);
    return NULL;
}

void cuda_choices_destroy(struct cuda_choices *c)
{
    if (!c)
        return;
    mem_free(c->entries);
    mem_free(c->path);
    mem_free(c);
}

bool cuda_choices_find(const struct cuda_choices *c, const char *key, struct cuda_choice *out)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->entries[i].key, key) == 0) {
            *out = c->entries[i].choice;
            return true;
        }
    return false;
}

int cuda_choices_keep(struct cuda_choices *c, const char *key, struct cuda_choice *choice, struct err *err)
{
    if (!c->path)
        return add(c, key, *choice, err);
    int rc = -1;
    FILE *f = fopen(c->path, "a+");
    if (!f)
        return err_errno(err, "cannot keep the choice of an algorithm in %s", c->path);
    while (flock(fileno(f), LOCK_EX) != 0)
        if (errno != EINTR) {
            err_errno(err, "cannot lock %s", c->path);
            goto out;
        }
    if (read_all(c, f, err) != 0)
        goto out;
    if (cuda_choices_find(c, key, choice)) { /* another process was first */
        rc = 0;
        goto out;
    }
    if (fprintf(f, "%s%s\t%d\t%d\n", ends_within_line(f) ? "\n" : "", key, choice->algorithm, choice->math) < 0 ||
        fflush(f) != 0) {
        err_errno(err, "cannot keep the choice of an algorithm in %s", c->path);
        goto out;
    }
    rc = add(c, key, *choice, err);
out:
    fclose(f); /* unlocks */
    return rc;
}
