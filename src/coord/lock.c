/* The lock: two coordinators on one journal would both be wrong. */
#include "coord/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

struct run_lock {
    int fd;
    char created[PATH_MAX]; /* removed on release; empty with flock */
};

static struct lock_holder read_holder(int fd)
{
    char text[512];
    struct lock_holder h = { .host = "an unknown host" };
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%255s %ld", h.host, &h.pid) != 2)
        h.pid = 0;
    return h;
}

static int write_holder(int fd, struct err *err)
{
    char text[512], host[256] = "";
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "%s %ld\n", host[0] ? host : "localhost", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n || fsync(fd) != 0)
        return err_errno(err, "cannot write the lock file");
    return 0;
}

static int held_by(const char *dir, struct lock_holder h, struct err *err)
{
    if (h.pid == 0)
        return err_set(err, "%s is in use by another run", dir);
    return err_set(err, "%s is in use by another run: process %ld on %s", dir, h.pid, h.host);
}

static bool is_here(struct lock_holder h)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    return h.pid > 0 && strcmp(h.host, host[0] ? host : "localhost") == 0;
}

static bool is_dead(struct lock_holder h)
{
    return is_here(h) && kill((pid_t)h.pid, 0) != 0 && errno == ESRCH;
}

/* Removes the file of a dead holder. Of several that notice, one moves it away; what
 * a slower one moves may be the faster one's new lock, which it then puts back. */
static int bury(const char *path, struct err *err)
{
    char grave[PATH_MAX];
    if (fs_path(grave, sizeof grave, err, "%s.%ld", path, (long)getpid()) != 0)
        return -1;
    if (rename(path, grave) != 0)
        return 0;
    int fd = open(grave, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && !is_dead(read_holder(fd)) && link(grave, path) != 0)
        log_warn("two runs may have taken %s: stop one of them", path);
    if (fd >= 0)
        close(fd);
    unlink(grave);
    return 0;
}

/* One attempt; 1: held by somebody, err says who. */
static int try_creation(const char *dir, struct run_lock *lock, struct err *err)
{
    if (fs_path(lock->created, sizeof lock->created, err, "%s/lock.held", dir) != 0)
        return -1;
    lock->fd = open(lock->created, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (lock->fd >= 0)
        return write_holder(lock->fd, err);
    if (errno != EEXIST)
        return err_errno(err, "cannot create %s", lock->created);
    int fd = open(lock->created, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        held_by(dir, (struct lock_holder){ .pid = 0 }, err); /* and released this moment */
        return 1;
    }
    struct lock_holder h = read_holder(fd);
    close(fd);
    if (is_dead(h)) {
        if (bury(lock->created, err) != 0)
            return -1;
        held_by(dir, h, err);
        return 1;
    }
    held_by(dir, h, err);
    char text[sizeof err->text];
    snprintf(text, sizeof text, "%s", err != NULL ? err->text : "");
    err_set(err, "%.1000s (remove %.900s if that run is gone)", text, lock->created);
    return 1;
}

static int try_flock(const char *dir, struct run_lock *lock, struct err *err)
{
    char path[PATH_MAX];
    if (fs_path(path, sizeof path, err, "%s/lock", dir) != 0)
        return -1;
    if (lock->fd < 0)
        lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->fd < 0)
        return err_errno(err, "cannot open %s", path);
    if (flock(lock->fd, LOCK_EX | LOCK_NB) == 0)
        return write_holder(lock->fd, err);
    if (errno == EWOULDBLOCK || errno == EINTR) {
        held_by(dir, read_holder(lock->fd), err);
        return 1;
    }
    close(lock->fd);
    lock->fd = -1;
    return try_creation(dir, lock, err);
}

static struct run_lock *take(const char *dir, double wait, struct err *err,
                             int (*attempt)(const char *, struct run_lock *, struct err *))
{
    double end = clock_monotonic() + wait;
    struct run_lock *lock = mem_alloc(1, sizeof *lock, err);
    if (lock == NULL)
        return NULL;
    lock->fd = -1;
    int rc;
    while ((rc = attempt(dir, lock, err)) == 1 && clock_monotonic() < end)
        clock_sleep(0.1);
    if (rc == 0)
        return lock;
    if (lock->fd >= 0 && lock->created[0] != '\0')
        unlink(lock->created); /* made, but not written */
    if (lock->fd >= 0)
        close(lock->fd);
    mem_free(lock);
    return NULL;
}

static int open_in(const char *dir, const char *name)
{
    char path[PATH_MAX];
    return fs_path(path, sizeof path, NULL, "%s/%s", dir, name) == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* For a moment it holds a shared lock: a run that starts just then tries again. */
enum lock_state lock_probe(const char *dir, struct lock_holder *holder)
{
    struct lock_holder h = { .pid = 0 };
    enum lock_state state = LOCK_FREE;
    int fd = open_in(dir, "lock");
    if (fd >= 0) {
        h = read_holder(fd);
        if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            state = LOCK_HELD;
        else if (h.pid > 0 && !is_here(h))
            state = LOCK_ELSEWHERE; /* not every file system has locks that reach across hosts */
        close(fd);
    }
    fd = state != LOCK_HELD ? open_in(dir, "lock.held") : -1;
    if (fd >= 0) {
        h = read_holder(fd);
        state = !is_here(h) ? LOCK_ELSEWHERE : is_dead(h) ? LOCK_FREE : LOCK_HELD;
        close(fd);
    }
    if (holder != NULL)
        *holder = h;
    return state;
}

bool lock_is_file(const char *name)
{
    return strcmp(name, "lock") == 0 || strncmp(name, "lock.held", strlen("lock.held")) == 0;
}

struct run_lock *lock_take(const char *dir, double wait, struct err *err)
{
    return take(dir, wait, err, try_flock);
}

struct run_lock *lock_take_by_creation(const char *dir, double wait, struct err *err)
{
    return take(dir, wait, err, try_creation);
}

void lock_release(struct run_lock *lock)
{
    if (lock == NULL)
        return;
    if (lock->created[0] != '\0')
        unlink(lock->created);
    close(lock->fd);
    mem_free(lock);
}
