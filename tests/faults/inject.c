/* For LD_PRELOAD: calls of a dinf process fail as if the system were short of something, or the clock jumps.
 * A library of its own, because only what stands before libc in the search order sees every call, HDF5's too.
 *
 *   DINF_FAULT_PAGE    a file of 4096 bytes, shared by all processes of a run: struct page
 *   DINF_FAULT_CALLS   which calls, with commas about each: ",write,rename,"
 *   DINF_FAULT_PATHS   parts of paths, separated by ":"; calls on other files are left alone
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The runner writes the first four, tests/faults/injector.py knows their places. */
struct page {
    int64_t first; /* the first call that fails, from 1 */
    int64_t count; /* how many fail from there on; 0: none */
    int64_t error; /* errno; 0: a write is short */
    int64_t jump;  /* of the clock [s] */
    int64_t seen;  /* calls that matched */
    int64_t hits;  /* calls that failed */
};

static struct page *page;
static const char *calls, *paths;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("DINF_FAULT_PAGE");
    calls = getenv("DINF_FAULT_CALLS");
    paths = getenv("DINF_FAULT_PATHS");
    if (file == NULL || calls == NULL || paths == NULL || strcmp(program_invocation_short_name, "dinf") != 0)
        return;
    int fd = NEXT(open)(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *map = NEXT(mmap)(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEXT(close)(fd);
    page = map == MAP_FAILED ? NULL : map;
}

static bool is_ours(const char *path)
{
    for (const char *p = paths; *p != '\0';) {
        size_t n = strcspn(p, ":");
        if (n > 0 && memmem(path, strlen(path), p, n) != NULL)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

/* Does this call fail? `path` NULL: whatever it is about. */
static bool due(const char *call, const char *path)
{
    char name[32];
    if (page == NULL)
        return false;
    snprintf(name, sizeof name, ",%s,", call);
    if (strstr(calls, name) == NULL || (path != NULL && !is_ours(path)))
        return false;
    int64_t k = __atomic_add_fetch(&page->seen, 1, __ATOMIC_SEQ_CST);
    if (k < page->first || k - page->first >= page->count)
        return false;
    __atomic_add_fetch(&page->hits, 1, __ATOMIC_SEQ_CST);
    errno = (int)page->error;
    return true;
}

static bool due_fd(const char *call, int fd)
{
    char link[64], path[PATH_MAX];
    if (page == NULL || fd < 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return due(call, path);
}

/* Opening for reading is "open", for writing "create": a full or read-only file system refuses the second alone. */
static const char *opening(int flags)
{
    return (flags & O_ACCMODE) == O_RDONLY ? "open" : "create";
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = va_arg(rest, mode_t);                                                                            \
        va_end(rest);                                                                                                  \
        return due(opening(flags), path) ? -1 : NEXT(name)(path, flags, mode);                                         \
    }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                                                    \
    FILE *name(const char *path, const char *mode)                                                                     \
    {                                                                                                                  \
        return due(mode[0] == 'r' && mode[1] != '+' ? "open" : "create", path) ? NULL : NEXT(name)(path, mode);        \
    }
FOPEN(fopen)
FOPEN(fopen64)

DIR *opendir(const char *path)
{
    return due("open", path) ? NULL : NEXT(opendir)(path);
}

/* Without an error a due write is short, which is legal and must be gone on with. */
ssize_t write(int fd, const void *data, size_t bytes)
{
    bool hit = due_fd("write", fd);
    if (hit && page->error != 0)
        return -1;
    return NEXT(write)(fd, data, hit && bytes > 1 ? bytes / 2 : bytes);
}

#define PWRITE(name)                                                                                                   \
    ssize_t name(int fd, const void *data, size_t bytes, off_t at)                                                     \
    {                                                                                                                  \
        bool hit = due_fd("write", fd);                                                                                \
        if (hit && page->error != 0)                                                                                   \
            return -1;                                                                                                 \
        return NEXT(name)(fd, data, hit && bytes > 1 ? bytes / 2 : bytes, at);                                         \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

size_t fwrite(const void *data, size_t size, size_t n, FILE *f)
{
    return due_fd("write", fileno(f)) && page->error != 0 ? 0 : NEXT(fwrite)(data, size, n, f);
}

/* What a stream has buffered is written here, out of reach of the write above. */
int fclose(FILE *f)
{
    bool hit = due_fd("write", fileno(f)) && page->error != 0;
    int error = errno, rc = NEXT(fclose)(f);
    if (!hit)
        return rc;
    errno = error;
    return EOF;
}

ssize_t read(int fd, void *data, size_t bytes)
{
    return due_fd("read", fd) ? -1 : NEXT(read)(fd, data, bytes);
}

#define PREAD(name)                                                                                                    \
    ssize_t name(int fd, void *data, size_t bytes, off_t at)                                                           \
    {                                                                                                                  \
        return due_fd("read", fd) ? -1 : NEXT(name)(fd, data, bytes, at);                                              \
    }
PREAD(pread)
PREAD(pread64)

size_t fread(void *data, size_t size, size_t n, FILE *f)
{
    return due_fd("read", fileno(f)) ? 0 : NEXT(fread)(data, size, n, f);
}

#define MMAP(name)                                                                                                     \
    void *name(void *address, size_t bytes, int protection, int flags, int fd, off_t at)                               \
    {                                                                                                                  \
        return due_fd("mmap", fd) ? MAP_FAILED : NEXT(name)(address, bytes, protection, flags, fd, at);                \
    }
MMAP(mmap)
MMAP(mmap64)

#define SYNC(name)                                                                                                     \
    int name(int fd)                                                                                                   \
    {                                                                                                                  \
        return due_fd("fsync", fd) ? -1 : NEXT(name)(fd);                                                              \
    }
SYNC(fsync)
SYNC(fdatasync)

int rename(const char *from, const char *to)
{
    return due("rename", to) ? -1 : NEXT(rename)(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    return due("mkdir", path) ? -1 : NEXT(mkdir)(path, mode);
}

int unlink(const char *path)
{
    return due("unlink", path) ? -1 : NEXT(unlink)(path);
}

int symlink(const char *target, const char *path)
{
    return due("symlink", path) ? -1 : NEXT(symlink)(target, path);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    return due("spawn", NULL) ? errno : NEXT(posix_spawn)(pid, path, actions, attributes, argv, envp);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int rc = NEXT(clock_gettime)(clock, t);
    if (rc == 0 && clock == CLOCK_REALTIME && page != NULL)
        t->tv_sec += page->jump;
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL)
        *out = t.tv_sec;
    return t.tv_sec;
}
