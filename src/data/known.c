/* Good contents stay good. */
#include "data/known.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

enum { REMEMBERED = 64 };

static struct known {
    char hex[HASH_HEX];
    char what[32];
} known[REMEMBERED];
static unsigned used; /* counts on; the oldest is overwritten */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static bool find(const char *hex, const char *what)
{
    for (unsigned i = 0; i < used && i < REMEMBERED; i++)
        if (strcmp(known[i].hex, hex) == 0 && strcmp(known[i].what, what) == 0)
            return true;
    return false;
}

bool known_good(const char *hex, const char *what)
{
    pthread_mutex_lock(&lock);
    bool found = find(hex, what);
    pthread_mutex_unlock(&lock);
    return found;
}

void known_add(const char *hex, const char *what)
{
    pthread_mutex_lock(&lock);
    if (!find(hex, what)) {
        struct known *k = &known[used++ % REMEMBERED];
        snprintf(k->hex, sizeof k->hex, "%s", hex);
        snprintf(k->what, sizeof k->what, "%s", what);
    }
    pthread_mutex_unlock(&lock);
}
