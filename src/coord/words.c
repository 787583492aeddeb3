/* Reading logs. */
#include "coord/words.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void words_last(const char *path, off_t from, char *out, size_t size)
{
    enum { TAIL = 8192 };
    char tail[TAIL + 1];
    out[0] = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    off_t end = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, tail, TAIL, end - TAIL > from ? end - TAIL : from);
    close(fd);
    if (n <= 0)
        return;
    tail[n] = '\0';
    bool found_error = false;
    char *rest = tail, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        bool is_error = strncmp(line, "error: ", strlen("error: ")) == 0;
        while (isspace((unsigned char)*line))
            line++;
        if (*line == '\0' || (found_error && !is_error))
            continue;
        found_error |= is_error;
        snprintf(out, size, "%s", is_error ? line + strlen("error: ") : line);
    }
}

void words_end(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "exit status %d", WEXITSTATUS(status));
}
