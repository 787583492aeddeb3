/* Files that are complete or absent: temporary name, fsync, rename. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/writer.h"

bool fs_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int fs_path(char *out, size_t size, struct err *err, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(out, size, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= size)
        return err_set(err, "path too long: %s...", out);
    return 0;
}

int fs_mkdirs(const char *path, struct err *err)
{
    char part[PATH_MAX];
    if (fs_path(part, sizeof part, err, "%s", path) != 0)
        return -1;
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char c = *p;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return err_errno(err, "cannot create the folder %s", part);
        if (c == '\0')
            break;
        *p = c;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(err, "%s is not a folder", path);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int fs_remove_tree(const char *path, struct err *err)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return err_errno(err, "cannot remove %s", path);
    return 0;
}

int fs_set_aside(const char *path, struct err *err)
{
    char aside[PATH_MAX];
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s", path);
    if (fs_path(aside, sizeof aside, err, "%s.damaged", path) != 0 || fs_remove_tree(aside, err) != 0)
        return -1;
    return rename(path, aside) != 0 ? err_errno(err, "cannot rename %s", path) : 0;
}

int fs_clear_place(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || S_ISREG(st.st_mode))
        return 0;
    log_warn("%s is no regular file and becomes %s.damaged", path, path);
    return fs_set_aside(path, err);
}

int fs_open_regular(const char *path, size_t *bytes, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(err, "%s is not a regular file", path);
    }
    if (bytes != NULL)
        *bytes = (size_t)st.st_size;
    return fd;
}

int fs_read(const char *path, char **data, size_t *bytes, struct err *err)
{
    int rc = -1;
    char *buffer = NULL;
    size_t size, got = 0;
    int fd = fs_open_regular(path, &size, err);
    if (fd < 0)
        return -1;
    buffer = mem_alloc(size + 1, 1, err);
    if (buffer == NULL)
        goto out;
    while (got < size) {
        ssize_t n = read(fd, buffer + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(err, "cannot read %s", path);
            goto out;
        }
        if (n == 0)
            break; /* shrank meanwhile: what is there is what is returned */
        got += (size_t)n;
    }
    buffer[got] = '\0';
    *data = buffer;
    if (bytes != NULL)
        *bytes = got;
    buffer = NULL;
    rc = 0;
out:
    mem_free(buffer);
    close(fd);
    return rc;
}

bool fs_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The file that `path` stands for, links followed; what a rename would destroy is refused. */
static int resolve_output(const char *path, char out[PATH_MAX], struct err *err)
{
    struct stat st;
    size_t n = strlen(path);
    if (n == 0 || path[n - 1] == '/')
        return err_set(err, "\"%s\" names no file", path);
    if (lstat(path, &st) != 0)
        return fs_path(out, PATH_MAX, err, "%s", path); /* new */
    if (S_ISLNK(st.st_mode) && realpath(path, out) == NULL)
        return err_errno(err, "cannot follow the link %s", path);
    if (!S_ISLNK(st.st_mode) && fs_path(out, PATH_MAX, err, "%s", path) != 0)
        return -1;
    if (stat(out, &st) == 0 && !S_ISREG(st.st_mode))
        return err_set(err, "%s is %s and is not overwritten", path,
                       S_ISDIR(st.st_mode) ? "a folder" : "not a regular file");
    return 0;
}

int fs_check_output(const char *path, struct err *err)
{
    char target[PATH_MAX];
    if (resolve_output(path, target, err) != 0)
        return -1;
    if (access(dirname(target), W_OK | X_OK) != 0)
        return err_errno(err, "cannot write %s", path);
    return 0;
}

int fs_temporary(const char *path, char *tmp, size_t size, struct err *err)
{
    char target[PATH_MAX];
    if (resolve_output(path, target, err) != 0)
        return -1;
    return fs_path(tmp, size, err, "%s.tmp.%ld", target, (long)getpid());
}

static int sync_path(const char *path, int flags, struct err *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    int rc = 0;
    if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system without fsync for folders */
        rc = err_errno(err, "cannot fsync %s", path);
    close(fd);
    return rc;
}

int fs_commit(const char *tmp, const char *path, struct err *err)
{
    char target[PATH_MAX];
    if (resolve_output(path, target, err) != 0 || sync_path(tmp, O_RDONLY, err) != 0)
        return -1;
    if (rename(tmp, target) != 0)
        return err_errno(err, "cannot rename %s to %s", tmp, target);
    return sync_path(dirname(target), O_RDONLY | O_DIRECTORY, err);
}

/* NAME.tmp.PID: where PID begins; NULL: no such name. */
static const char *find_writer(const char *name)
{
    const char *suffix = NULL;
    for (const char *p = name; (p = strstr(p, ".tmp.")) != NULL; p++)
        suffix = p + strlen(".tmp.");
    return suffix != NULL && *suffix != '\0' && suffix[strspn(suffix, "0123456789")] == '\0' ? suffix : NULL;
}

bool fs_is_temporary(const char *name)
{
    return find_writer(name) != NULL;
}

/* A clock that was set back makes files of the future: they are old, too. */
static bool is_left_over(const char *writer, double seconds, double age, double dead_age)
{
    double past = fabs(seconds);
    return past >= age || (past >= dead_age && !writer_lives(strtol(writer, NULL, 10), clock_wall() - seconds));
}

int fs_remove_temporaries(const char *folder, double age, double dead_age, struct err *err)
{
    DIR *d = opendir(folder);
    if (d == NULL)
        return err_errno(err, "cannot open %s", folder);
    int rc = 0;
    double now = clock_wall();
    for (const struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        struct stat st;
        const char *writer = find_writer(e->d_name);
        if (writer == NULL || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) ||
            !is_left_over(writer, now - (double)st.st_mtime, age, dead_age))
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT)
            rc = err_errno(err, "cannot remove %s/%s", folder, e->d_name);
    }
    closedir(d);
    return rc;
}

int fs_write_atomic(const char *path, const void *data, size_t bytes, struct err *err)
{
    char tmp[PATH_MAX];
    if (fs_temporary(path, tmp, sizeof tmp, err) != 0)
        return -1;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return err_errno(err, "cannot create %s", tmp);
    const char *p = data;
    size_t left = bytes;
    while (left > 0) {
        ssize_t n = write(fd, p, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(err, "cannot write %s", tmp);
            close(fd);
            unlink(tmp);
            return -1;
        }
        p += n;
        left -= (size_t)n;
    }
    if (close(fd) != 0) {
        err_errno(err, "cannot write %s", tmp);
        unlink(tmp);
        return -1;
    }
    if (fs_commit(tmp, path, err) != 0) {
        unlink(tmp);
        return -1;
    }
    return 0;
}
