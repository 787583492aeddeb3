/* A small hash table from text to index, so that nothing in planning is quadratic. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "plan/internal.h"

static uint64_t text_hash(const char *s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a: its offset basis, its prime below */
    for (; *s != 0; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static struct table_entry *slot(struct table_entry *entries, int size, const char *key)
{
    size_t i = (size_t)(text_hash(key) & (uint64_t)(size - 1));
    while (entries[i].key != NULL && strcmp(entries[i].key, key) != 0)
        i = (i + 1) & (size_t)(size - 1);
    return &entries[i];
}

int table_find(const struct table *t, const char *key)
{
    if (t->size == 0)
        return -1;
    const struct table_entry *e = slot(t->entries, t->size, key);
    return e->key == NULL ? -1 : e->value;
}

int table_add(struct table *t, const char *key, int value, struct err *err)
{
    if (2 * (t->used + 1) > t->size) {
        int size = t->size == 0 ? 64 : 2 * t->size;
        struct table_entry *grown = mem_alloc((size_t)size, sizeof *grown, err);
        if (grown == NULL)
            return -1;
        for (int i = 0; i < t->size; i++)
            if (t->entries[i].key != NULL)
                *slot(grown, size, t->entries[i].key) = t->entries[i];
        mem_free(t->entries);
        t->entries = grown;
        t->size = size;
    }
    struct table_entry *e = slot(t->entries, t->size, key);
    if (e->key == NULL) {
        e->key = mem_strdup(key, err);
        if (e->key == NULL)
            return -1;
        t->used++;
    }
    e->value = value;
    return 0;
}

void table_fini(struct table *t)
{
    for (int i = 0; i < t->size; i++)
        mem_free(t->entries[i].key);
    mem_free(t->entries);
    *t = (struct table){ 0 };
}
