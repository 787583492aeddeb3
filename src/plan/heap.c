/* The queue of ready tasks and that of simulated events. */
#include "plan/heap.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "base/mem.h"

int heap_init(struct heap *h, int max, struct err *err)
{
    *h = (struct heap){ .max = max };
    h->items = mem_alloc((size_t)max, sizeof *h->items, err);
    return h->items == NULL ? -1 : 0;
}

void heap_fini(struct heap *h)
{
    mem_free(h->items);
    *h = (struct heap){ 0 };
}

static bool before(struct heap_item a, struct heap_item b)
{
    return a.key < b.key || (a.key == b.key && a.index < b.index);
}

/* Puts the item into place `i`, or as far above as it belongs. */
static void rise(struct heap *h, int i, struct heap_item item)
{
    for (; i > 0 && before(item, h->items[(i - 1) / 2]); i = (i - 1) / 2)
        h->items[i] = h->items[(i - 1) / 2];
    h->items[i] = item;
}

void heap_push(struct heap *h, double key, int index)
{
    assert(h->n < h->max);
    struct heap_item item = { key, index };
    rise(h, h->n++, item);
}

struct heap_item heap_pop(struct heap *h)
{
    assert(h->n > 0);
    struct heap_item first = h->items[0], last = h->items[--h->n];
    int i = 0;
    for (int child = 1; child < h->n; child = 2 * i + 1) {
        if (child + 1 < h->n && before(h->items[child + 1], h->items[child]))
            child++;
        if (!before(h->items[child], last))
            break;
        h->items[i] = h->items[child];
        i = child;
    }
    h->items[i] = last;
    return first;
}

void heap_remove(struct heap *h, int index)
{
    for (int i = 0; i < h->n; i++) {
        if (h->items[i].index != index)
            continue;
        rise(h, i, (struct heap_item){ -INFINITY, index });
        heap_pop(h);
        return;
    }
}
