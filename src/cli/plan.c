/* dinf plan: what a config would run, how long, on how many ranks. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/overrides.h"
#include "device/device.h"
#include "plan/print.h"

struct plan_options {
    int64_t ranks;
    bool json;
};

static const struct option table[] = {
    { "ranks", OPTION_INT, offsetof(struct plan_options, ranks), "1", 1, 1000000, NULL, NULL,
      "workers of the simulated makespan" },
    { "json", OPTION_BOOL, offsetof(struct plan_options, json), "false", 0, 0, NULL, NULL,
      "one JSON object on standard output" },
    OPTION_END,
};

static const char usage[] = "plan CONFIG [--ranks N] [--set PATH=VALUE]... [--json]";

/* For the launchers: with the device that a run here would take. */
static int print_json(struct plan *plan, int ranks, struct err *err)
{
    struct campaign *c = &plan->campaign;
    char why[256];
    if (strcmp(c->device, "auto") == 0)
        snprintf(c->device, sizeof c->device, "%s", device_auto(why, sizeof why));
    return plan_print_json(stdout, plan, ranks, device_gpus(c->device), err);
}

int cli_plan(int argc, char **argv)
{
    struct err err = { .text = "" };
    struct plan_options o;
    struct overrides set;
    struct plan *plan = NULL;
    const char *config = NULL;
    int n = 0;
    if (overrides_take(&argc, argv, &set, &err) != 0)
        return cli_error(&err);
    int rc = cli_parse(argc, argv, usage,
                       "Prints the task graph of a config, the estimated cost of its tasks and the\n"
                       "simulated makespan. Runs nothing and writes nothing.",
                       table, &o, &config, 1, &n, &err);
    if (rc == 1)
        return EXIT_DONE;
    if (rc == 0 && n != 1)
        rc = err_set(&err, "a config is wanted (usage: dinf %s)", usage);
    if (rc == 0)
        rc = config_to_plan(config, &set, &plan, &err);
    if (rc == 0)
        rc = o.json ? print_json(plan, (int)o.ranks, &err) : plan_print(stdout, plan, (int)o.ranks, &err);
    plan_destroy(plan);
    if (rc == 0)
        return EXIT_DONE;
    if (err.text[0] != '\0')
        cli_error(&err);
    return EXIT_USAGE;
}
