/* Files: whole-file reads, and writes that are either complete or absent. */
#ifndef DINF_BASE_FS_H
#define DINF_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

bool fs_exists(const char *path);
/* mkdir -p. */
int fs_mkdirs(const char *path, struct err *err);
/* rm -r; a path that is not there is no error. */
int fs_remove_tree(const char *path, struct err *err);
/* Renames PATH to PATH.damaged, in the place of an older one; a path that is not there is no error. */
int fs_set_aside(const char *path, struct err *err);
/* For a file that is to be written: a folder or the like in its place is set aside, with a warning. */
int fs_clear_place(const char *path, struct err *err);
/* A regular file for reading: a descriptor, and its size in *bytes (may be NULL). Of a pipe, which open() would wait
 * on for a writer, as of a folder or device: -1. */
int fs_open_regular(const char *path, size_t *bytes, struct err *err);
/* Whole file into memory with a NUL behind it; `*data` is freed by mem_free. */
int fs_read(const char *path, char **data, size_t *bytes, struct err *err);
/* May `path` be written? An error for a folder, a device, a pipe, a link to nothing, and
 * where its folder cannot be written to. A link is written through. */
int fs_check_output(const char *path, struct err *err);
/* Do both name one file, by whatever links? */
bool fs_same_file(const char *a, const char *b);
/* Writes PATH.tmp.PID, fsyncs, renames over `path`, fsyncs the folder. */
int fs_write_atomic(const char *path, const void *data, size_t bytes, struct err *err);
/* For writers that need their own file handle (HDF5): fills `tmp` with the
 * temporary name beside `path`; then fs_commit fsyncs and renames it. */
int fs_temporary(const char *path, char *tmp, size_t size, struct err *err);
int fs_commit(const char *tmp, const char *path, struct err *err);
/* Is it the name of such a temporary file? */
bool fs_is_temporary(const char *name);
/* Removes temporary files in `folder` that nobody has written to for `age` seconds, and
 * for `dead_age` seconds if their writer, the process of the number in their name, lives
 * on this host no more: those of processes that were killed. */
int fs_remove_temporaries(const char *folder, double age, double dead_age, struct err *err);
/* A path by printf, and nothing but that (no folder is put before it, no slash added); error if longer than `size`. */
int fs_path(char *out, size_t size, struct err *err, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
