/* dinf collect: results.h5 from the finished tasks' files. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "coord/process.h"
#include "coord/results.h"
#include "coord/rundir.h"

struct collect_options {
    bool pack;
    int64_t left_out_fd;
};

static const struct option table[] = {
    { "pack", OPTION_BOOL, offsetof(struct collect_options, pack), "false", 0, 0, NULL, NULL,
      "copy arrays in, in place of links: one self-contained file" },
    { "left_out_fd", OPTION_INT, offsetof(struct collect_options, left_out_fd), "-1", -1, 1000000, NULL, NULL,
      "for runs: descriptor for the ids of what is left out; -1: none" },
    OPTION_END,
};

static const char usage[] = "collect DIR [--pack]";

int cli_collect(int argc, char **argv)
{
    struct err err = { .text = "" };
    struct collect_options o;
    struct plan *plan = NULL;
    struct journal_summary journal;
    enum left_out *left_out = NULL;
    const char *dir = NULL;
    int n = 0, n_left_out = 0;
    process_follow_parent();
    int rc = cli_parse(argc, argv, usage,
                       "Rebuilds DIR/results.h5 from the finished tasks' files and renames it into\n"
                       "place; during a run, too. Status 1: files that are damaged or cannot be read\n"
                       "were left out.",
                       table, &o, &dir, 1, &n, &err);
    if (rc == 1)
        return EXIT_DONE;
    if (rc == 0 && n != 1)
        rc = err_set(&err, "a run directory is wanted (usage: dinf %s)", usage);
    if (rc == 0)
        rc = rundir_read(dir, &plan, &journal, &err);
    if (rc == 0 && journal.unreadable)
        rc = err_set(&err, "%s: without the journal nobody knows what is done", dir);
    if (rc == 0 && (left_out = mem_alloc((size_t)plan->n_tasks, sizeof *left_out, &err)) == NULL)
        rc = -1;
    if (rc == 0)
        rc = results_collect(dir, plan, o.pack, left_out, &err);
    if (rc == 0)
        printf("%s/results.h5\n", dir);
    for (int i = 0; rc == 0 && i < plan->n_tasks; i++)
        n_left_out += left_out[i] != LEFT_IN;
    if (rc == 0 && o.left_out_fd >= 0)
        rc = results_print_left_out(plan, left_out, (int)o.left_out_fd, &err);
    mem_free(left_out);
    plan_destroy(plan);
    if (rc != 0)
        return cli_error(&err);
    return n_left_out > 0 ? EXIT_TASKS_FAILED : EXIT_DONE;
}
