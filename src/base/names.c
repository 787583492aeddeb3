/* Edit distance over short names. */
#include "base/names.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST = 128 };

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

int names_distance(const char *a, const char *b)
{
    size_t na = strnlen(a, LONGEST), nb = strnlen(b, LONGEST);
    int rows[3][LONGEST + 1]; /* rows i-2, i-1, i of the table, in turn */
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int change = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min_int(change, min_int(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_int(now[j], before[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *names_nearest(const char *name, const char *const *candidates, size_t n)
{
    int limit = (int)strnlen(name, LONGEST) / 2, best = 0;
    if (limit < 2)
        limit = 2;
    const char *nearest = NULL;
    for (size_t i = 0; i < n; i++) {
        int d = names_distance(name, candidates[i]);
        if (d <= limit && (nearest == NULL || d < best)) {
            best = d;
            nearest = candidates[i];
        }
    }
    return nearest;
}

void names_join(const char *const *names, size_t n, char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < n && used < size; i++) {
        int w = snprintf(out + used, size - used, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", names[i]);
        used += w < 0 ? 0 : (size_t)w;
    }
}

const char *names_suggest(const char *name, const char *const *candidates, size_t n, char out[NAMES_HINT])
{
    const char *nearest = names_nearest(name, candidates, n);
    out[0] = 0;
    if (nearest != NULL)
        snprintf(out, NAMES_HINT, "; did you mean \"%s\"?", nearest);
    return out;
}

int names_find(const char *what, const char *name, const char *const *names, struct err *err)
{
    size_t n = 0;
    char hint[NAMES_HINT];
    for (; names[n] != NULL; n++)
        if (strcmp(names[n], name) == 0)
            return (int)n;
    return err_set(err, "there is no %s \"%.100s\"%s", what, name, names_suggest(name, names, n, hint));
}

void names_hint(const char *name, const char *const *candidates, size_t n, char out[NAMES_HINT])
{
    if (names_suggest(name, candidates, n, out)[0] != 0)
        return;
    size_t used = (size_t)snprintf(out, NAMES_HINT, "; it is one of ");
    names_join(candidates, n, out + used, NAMES_HINT - used);
}
