/* A binary heap of indices by a key: smallest key first, ties by lower index. */
#ifndef DINF_PLAN_HEAP_H
#define DINF_PLAN_HEAP_H

#include "base/err.h"

struct heap {
    struct heap_item {
        double key;
        int index;
    } * items;
    int n, max;
};

/* Room for `max` items; as many may be in it at a time. */
int heap_init(struct heap *h, int max, struct err *err);
void heap_fini(struct heap *h);
void heap_push(struct heap *h, double key, int index);
/* Removes the first item; the heap must not be empty. */
struct heap_item heap_pop(struct heap *h);
/* Removes the item of this index, if it is there: O(n). */
void heap_remove(struct heap *h, int index);

#endif
