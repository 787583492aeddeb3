/* Which algorithm a convolution runs with is measured, and measurements differ
 * from run to run where two algorithms are about equal; but algorithms round
 * differently. So that a resumed run repeats its bits, and so that all ranks of
 * one run agree, choices are kept in a file of the run: the first process to
 * write a shape decides for all.
 *
 * One line a choice: key, tab, choice. */
#include "device/cuda/cuda_device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"

enum { LINE_MAX_BYTES = CUDA_KEY_MAX + CUDA_CHOICE_MAX };

struct entry {
    char key[CUDA_KEY_MAX], choice[CUDA_CHOICE_MAX];
};

struct cuda_choices {
    char *path; /* NULL: no file */
    struct entry *entries;
    size_t n, room;
};

static const struct entry *find_known(const struct cuda_choices *c, const char *key)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->entries[i].key, key) == 0)
            return &c->entries[i];
    return NULL;
}

static int add(struct cuda_choices *c, const char *key, const char *choice, struct err *err)
{
    if (strlen(key) >= CUDA_KEY_MAX || strlen(choice) >= CUDA_CHOICE_MAX)
        return err_set(err, "a choice is too long to be kept: %s %s", key, choice);
    if (c->n == c->room) {
        size_t room = c->room ? 2 * c->room : 64;
        struct entry *grown = mem_grow(c->entries, c->room, room, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        c->entries = grown;
        c->room = room;
    }
    struct entry *e = &c->entries[c->n++];
    memcpy(e->key, key, strlen(key) + 1);
    memcpy(e->choice, choice, strlen(choice) + 1);
    return 0;
}

/* Ends the key in `line`; the choice behind it, NULL for a line that is not one (cut
 * short by a crash). */
static char *parse(char *line)
{
    char *tab = strchr(line, '\t'), *end = tab != NULL ? strchr(tab, '\n') : NULL;
    if (end == NULL)
        return NULL;
    *tab = *end = 0;
    return tab + 1;
}

/* What others have written meanwhile; what is known already stays. */
static int read_all(struct cuda_choices *c, FILE *f, struct err *err)
{
    char line[LINE_MAX_BYTES];
    rewind(f);
    while (fgets(line, sizeof line, f) != NULL) {
        const char *choice = parse(line);
        if (choice != NULL && find_known(c, line) == NULL && add(c, line, choice, err) != 0)
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

/* Reads the file; there may be none yet. */
static int read_file(struct cuda_choices *c, struct err *err)
{
    FILE *f = fopen(c->path, "r");
    if (f == NULL)
        return errno == ENOENT ? 0 : err_errno(err, "cannot read the choices of algorithms in %s", c->path);
    int rc = read_all(c, f, err);
    fclose(f);
    return rc;
}

struct cuda_choices *cuda_choices_create(const char *path, struct err *err)
{
    struct cuda_choices *c = mem_alloc(1, sizeof *c, err);
    if (c == NULL || path == NULL)
        return c;
    c->path = mem_strdup(path, err);
    if (c->path != NULL && read_file(c, err) == 0)
        return c;
    cuda_choices_destroy(c);
    return NULL;
}

void cuda_choices_destroy(struct cuda_choices *c)
{
    if (c == NULL)
        return;
    mem_free(c->entries);
    mem_free(c->path);
    mem_free(c);
}

bool cuda_choices_find(struct cuda_choices *c, const char *key, char *choice, size_t size)
{
    const struct entry *e = find_known(c, key);
    if (e == NULL && c->path != NULL && read_file(c, NULL) == 0) /* others may have measured meanwhile */
        e = find_known(c, key);
    return e != NULL && snprintf(choice, size, "%s", e->choice) < (int)size;
}

int cuda_choices_keep(struct cuda_choices *c, const char *key, char *choice, size_t size, struct err *err)
{
    if (c->path == NULL)
        return add(c, key, choice, err);
    int rc = -1;
    FILE *f = fopen(c->path, "a+");
    if (f == NULL)
        return err_errno(err, "cannot keep the choice of an algorithm in %s", c->path);
    /* Without the lock, on file systems that have none, two may write the same key: the
     * first line holds for all who read it later. */
    while (flock(fileno(f), LOCK_EX) != 0 && errno == EINTR)
        continue;
    if (read_all(c, f, err) != 0)
        goto out;
    const struct entry *first = find_known(c, key); /* another process's */
    if (first != NULL) {
        rc =
            snprintf(choice, size, "%s", first->choice) < (int)size ? 0 : err_set(err, "a choice is too long: %s", key);
        goto out;
    }
    if (fprintf(f, "%s%s\t%s\n", ends_within_line(f) ? "\n" : "", key, choice) < 0 || fflush(f) != 0) {
        err_errno(err, "cannot keep the choice of an algorithm in %s", c->path);
        goto out;
    }
    rc = add(c, key, choice, err);
out:
    fclose(f); /* unlocks */
    return rc;
}
