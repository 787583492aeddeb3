/* CIFAR-10 is 180 MB: hashed once a process, not once a question. */
#include "data/file_hash.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum { REMEMBERED = 64 };

struct entry {
    struct stat st;
    char hex[HASH_HEX];
};
static struct entry entries[REMEMBERED];
static unsigned used; /* counts on; the oldest is overwritten */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

int file_hash(const char *path, char hex[HASH_HEX], struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(err, "cannot open %s", path);
    bool known = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < used && i < REMEMBERED && !known; i++) {
        known = same(&entries[i].st, &st);
        if (known)
            memcpy(hex, entries[i].hex, HASH_HEX);
    }
    pthread_mutex_unlock(&lock);
    if (known)
        return 0;
    if (hash_file(path, hex, err) != 0)
        return -1;
    pthread_mutex_lock(&lock);
    struct entry *e = &entries[used++ % REMEMBERED];
    e->st = st;
    memcpy(e->hex, hex, HASH_HEX);
    pthread_mutex_unlock(&lock);
    return 0;
}
