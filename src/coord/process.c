/* posix_spawn, because fork copies a rank's page tables and is not safe beside
 * the library's threads. */
#include "coord/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

extern char **environ;

/* A child that saw these would take itself for a rank of the job; the thread
 * counts are replaced by the campaign's, and nothing may lower them or pin the
 * children of all ranks to the same cores. */
static bool is_stripped(const char *variable)
{
    static const char *const prefixes[] = { "OMPI_",
                                            "PMIX_",
                                            "PMI_",
                                            "ORTE_",
                                            "OPAL_",
                                            "SLURM_PMI",
                                            "SLURM_MPI_TYPE=",
                                            "OMP_NUM_THREADS=",
                                            "OMP_PROC_BIND=",
                                            "OMP_PLACES=",
                                            "OMP_DYNAMIC=",
                                            "OMP_THREAD_LIMIT=",
                                            "GOMP_CPU_AFFINITY=",
                                            "OPENBLAS_NUM_THREADS=",
                                            "GOTO_NUM_THREADS=",
                                            "DNNL_NUM_THREADS=",
                                            "DINF_PARENT=" };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* One allocation: the array, then the texts that are new. */
static char **make_environment(int threads, struct err *err)
{
    enum { ADDED = 3, TEXT = 48 };
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        n++;
    char **env = mem_alloc(1, (n + ADDED + 1) * sizeof *env + (size_t)ADDED * TEXT, err);
    if (env == NULL)
        return NULL;
    char(*text)[TEXT] = (char(*)[TEXT])(void *)(env + n + ADDED + 1);
    for (size_t i = 0; i < n; i++)
        if (!is_stripped(environ[i]))
            env[kept++] = environ[i];
    snprintf(text[0], TEXT, "OMP_NUM_THREADS=%d", threads);
    snprintf(text[1], TEXT, "OPENBLAS_NUM_THREADS=%d", threads);
    snprintf(text[2], TEXT, "DINF_PARENT=%ld", (long)getpid());
    for (int i = 0; i < ADDED; i++)
        env[kept++] = text[i];
    env[kept] = NULL;
    return env;
}

/* dup2 onto its own number would keep the close-on-exec flag, so that every
 * descriptor is first copied above the numbers that the child uses. */
static int lift(int fd)
{
    if (fd < 0)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    else
        fd = fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_EXTRA_FD + 1);
    if (fd < 0 || fd > PROCESS_EXTRA_FD)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_EXTRA_FD + 1);
    close(fd);
    return high;
}

/* The program that children run. DINF_PROGRAM names it where this process's executable is a
 * loader that runs dinf (containers/bundle/launch.sh). */
static const char *find_program(void)
{
    const char *program = getenv("DINF_PROGRAM");
    return program != NULL && program[0] != '\0' ? program : "/proc/self/exe";
}

static int spawn(pid_t *pid, const char *program, const char *const argv[], char *const env[], const int fds[3],
                 bool with_extra)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    if (with_extra)
        posix_spawn_file_actions_adddup2(&actions, fds[2], PROCESS_EXTRA_FD);
    posix_spawnattr_init(&attributes);
    /* its own process group: a Ctrl-C in the terminal, or a launcher that signals
     * a rank's group, reaches the child through its rank only */
    posix_spawnattr_setpgroup(&attributes, 0);
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes, &all);
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn(pid, program, &actions, &attributes, (char *const *)argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

int process_spawn(pid_t *pid, const char *const argv[], int threads, int input, int output, int extra, struct err *err)
{
    int rc = -1, fds[3] = { lift(input), lift(output), lift(extra) };
    char **env = make_environment(threads, err);
    if (env == NULL)
        goto out;
    if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0) {
        err_errno(err, "cannot copy a file descriptor");
        goto out;
    }
    const char *program = find_program();
    int failure = spawn(pid, program, argv, env, fds, extra >= 0);
    if (failure != 0) {
        errno = failure;
        err_errno(err, "cannot start %s as a child process", program);
        goto out;
    }
    rc = 0;
out:
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    mem_free(env);
    return rc;
}

bool process_kill(pid_t pid, int *status)
{
    double end = clock_monotonic() + process_patience;
    pid_t got;
    kill(pid, SIGKILL);
    while ((got = waitpid(pid, status, WNOHANG)) == 0 && clock_monotonic() < end)
        clock_sleep(1e-3);
    return got != 0;
}

void process_follow_parent(void)
{
    const char *text = getenv("DINF_PARENT");
    if (text == NULL)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)atol(text)) /* it died before the line above */
        raise(SIGKILL);
}
