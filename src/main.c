/* dinf: the command line. One row a command. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/instructions.h"
#include "base/names.h"
#include "cli/cli.h"
#include "cli/help.h"

struct command {
    const char *name, *help;
    const char *examples; /* lines of --help */
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    { "run", "run a campaign (alone, or under mpirun or srun)",
      "  dinf run configs/demo.cfg\n"
      "  mpirun -n 5 dinf run configs/demo.cfg --out runs/five --set campaign.seed=5\n",
      cli_run },
    { "plan", "show the task graph of a config, its cost and makespan",
      "  dinf plan configs/demo.cfg --ranks 8\n"
      "  dinf plan configs/demo.cfg --set encoders.victim.train.epochs=5 --json\n",
      cli_plan },
    { "status", "what is done, running and failed in a run directory",
      "  dinf status runs/demo\n"
      "  watch -n 10 dinf status runs/demo\n",
      cli_status },
    { "task", "run one task of a run directory in this process", "  dinf task runs/demo train:victim --threads 2\n",
      cli_task },
    { "collect", "rebuild results.h5 from the tasks' files", "  dinf collect runs/demo --pack\n", cli_collect },
    { "audit", "dataset inference on representation files: a verdict",
      "  dinf audit --fit half-r.npy --members other-half-r.npy --heldout heldout-r.npy\n"
      "  dinf audit --fit f.npy --members m.npy --heldout h.npy --statistic learned\n",
      cli_audit },
    { "embed", "representations of images by an encoder's weights",
      "  dinf embed --weights suspect.safetensors --arch resnet50 --stem imagenet \\\n"
      "             --images members.npy --out members-r.npy\n"
      "  dinf embed --weights w.safetensors --arch resnet18 --stem imagenet \\\n"
      "             --size 256 --crop 224 --images photos.npy --out r.npy\n",
      cli_embed },
    { "compare", "similarity of two representation files",
      "  dinf compare victim-r.npy suspect-r.npy\n"
      "  dinf compare runs/demo/results.h5:/representations/victim/members s.npy --json\n",
      cli_compare },
    { "list", "what a config may say: blocks, losses, archs, datasets, ...",
      "  dinf list losses\n"
      "  dinf list --json\n",
      cli_list },
    { "bench", "measure training, mixtures, augmentation, schedules",
      "  dinf bench train --arch resnet18 --batch 64\n"
      "  dinf bench gmm --json\n",
      cli_bench },
    { "generate", "write the procedural image set in CIFAR-10 binary format",
      "  dinf generate --out data/shapes --classes 10 --count 5000\n", cli_generate },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fprintf(out, "usage: dinf COMMAND [...]\n\n"
                 "Trains, steals and judges encoders: dataset inference for self-supervised\n"
                 "models, as one campaign.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].help);
    fprintf(out, "\nTo begin: `dinf plan configs/demo.cfg`, then `dinf run configs/demo.cfg`.\n");
    fprintf(out, "`dinf help COMMAND` says more. Exit status: 0 all done; 1 some tasks failed;\n"
                 "2 usage, config or input error; 3 the run broke off; 70 a rank was lost;\n"
                 "75 stopped with state saved.\n");
}

/* A file that is opened while 0, 1 or 2 is closed gets that number, and what is meant
 * for the terminal is then written into it. */
static int open_standard_descriptors(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) != fd)
            return -1;
    return 0;
}

/* A pipe whose reader has seen enough and gone, as in `| head -1` where SIGPIPE is ignored. */
static bool reader_left(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

/* Flushes and, on a second descriptor, closes: some file systems (NFS, quotas) report what is lost only then. */
static bool flush_output(void)
{
    if (fflush(stdout) != 0)
        return false;
    int fd = dup(STDOUT_FILENO);
    return fd < 0 || close(fd) == 0;
}

/* A failed write is found out here, also where it came long before the end. A status
 * other than 0 already says that something is wrong. */
static int finish_output(int status)
{
    bool failed = ferror(stdout) != 0;
    errno = 0;
    if ((flush_output() && !failed) || reader_left())
        return status;
    fprintf(stderr, "error: standard output could not be written to its end%s%s\n", errno != 0 ? ": " : "",
            errno != 0 ? strerror(errno) : "");
    return status == EXIT_DONE ? EXIT_USAGE : status;
}

/* argv[0]: the command. */
static int run_command(int argc, char **argv)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) {
        names[i] = commands[i].name;
        if (strcmp(argv[0], commands[i].name) != 0)
            continue;
        help_set_examples(commands[i].examples);
        return finish_output(commands[i].run(argc, argv));
    }
    const char *nearest = names_nearest(argv[0], names, COMMANDS);
    fprintf(stderr, "error: no command '%s'%s%s%s; `dinf --help` lists them\n", argv[0],
            nearest != NULL ? " (did you mean '" : "", nearest != NULL ? nearest : "", nearest != NULL ? "'?)" : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    char why[512];
    if (instructions_lack(instructions_built, instructions_here(), why, sizeof why)) {
        fprintf(stderr, "error: %s\n", why);
        return EXIT_USAGE;
    }
    if (open_standard_descriptors() != 0)
        return EXIT_USAGE;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
        print_help(stdout);
        return finish_output(EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        cli_version();
        return finish_output(EXIT_DONE);
    }
    if (!help)
        return run_command(argc - 1, argv + 1);
    /* `dinf help bench train` is `dinf bench train --help` */
    static char flag[] = "--help";
    for (int i = 1; i + 1 < argc; i++)
        argv[i] = argv[i + 1];
    argv[argc - 1] = flag;
    return run_command(argc - 1, argv + 1);
}
