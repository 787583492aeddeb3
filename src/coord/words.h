/* What a process left in its log. */
#ifndef DINF_COORD_WORDS_H
#define DINF_COORD_WORDS_H

#include <sys/types.h>

/* The last line behind byte `from` of the file that begins with "error: " (without that),
 * else the last line with anything in it; "" if it said nothing, or nothing can be read. */
void words_last(const char *path, off_t from, char *out, size_t size);

/* How a process ended: "killed by signal 11 (Segmentation fault)", "exit status 3". `status`: of waitpid. */
void words_end(int status, char *out, size_t size);

#endif
