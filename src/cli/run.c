/* dinf run: a campaign, alone or on the ranks of a job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/overrides.h"
#include "conf/json.h"
#include "coord/coord.h"
#include "coord/rundir.h"
#include "coord/worker.h"
#include "device/device.h"

struct run_options {
    char out[OPTION_TEXT], device[OPTION_TEXT];
    double grace, silence;
    bool in_process;
};

#define OPTION(name, type, preset, min, max, unit, help)                                                               \
    OPTION_OF(struct run_options, name, type, preset, min, max, NULL, unit, help)
static const struct option table[] = {
    OPTION(out, OPTION_STRING, "", 0, 0, NULL, "run directory; if not given, runs/ and the campaign's name"),
    OPTION(device, OPTION_STRING, "", 0, 0, NULL, "in place of the config's; see `dinf list devices`"),
    OPTION(grace, OPTION_FLOAT, "60", 0, 86400, "s", "time for a stopped task to save its state"),
    OPTION(silence, OPTION_FLOAT, "600", 0, 1e6, "s",
           "a rank with a task that says nothing for so long is given up; 0: never"),
    OPTION(in_process, OPTION_BOOL, "false", 0, 0, NULL, "run tasks in the ranks themselves, for debugging"),
    OPTION_END,
};

static const char usage[] = "run CONFIG [--out DIR] [--set PATH=VALUE]... [--device auto|cpu|cuda|ref]";
static const char help[] = "Runs the campaign that CONFIG describes, alone or under mpirun or srun: rank 0\n"
                           "coordinates, the others work. What is done already is not done again: the same\n"
                           "command goes on where it was stopped or killed. SIGTERM, SIGINT and SIGUSR1\n"
                           "save the state of the running tasks and end with status 75.\n\n"
                           "Exit status: 0 all done; 1 some tasks failed, the rest finished; 2 usage, config\n"
                           "or input error, nothing was written; 3 the run broke off by an error of its own\n"
                           "(the journal cannot be written, the results not be collected); 70 a rank died or\n"
                           "fell silent; 75 stopped on request with state saved. After 3, 70 and 75 the same\n"
                           "command goes on.\n\n"
                           "  --set PATH=VALUE     replaces a value of the config, such as\n"
                           "                       encoders.victim.train.epochs=50; may be given often";

/* A launcher whose MPI is not ours starts each rank as a world of its own. */
static int check_world(const struct transport *t, struct err *err)
{
    const char *tasks = getenv("SLURM_NTASKS"), *step = getenv("SLURM_STEP_NUM_TASKS");
    long n = strtol(step != NULL ? step : tasks != NULL ? tasks : "1", NULL, 10);
    if (n > 1 && transport_size(t) == 1)
        return err_set(
            err, "Slurm gave %ld tasks, but MPI sees one rank: start dinf with mpirun, or with srun --mpi=pmix", n);
    return 0;
}

/* "auto" is decided once, for all ranks, and kept in the run directory: what goes on
 * later must compute on the same kind of device. A device that was asked for by
 * name and is not here is an error before anything starts. `why`: see device_auto. */
static int resolve_device(struct campaign *c, char *why, size_t size, struct err *err)
{
    why[0] = '\0';
    if (strcmp(c->device, "auto") != 0)
        return device_check(c->device, err);
    snprintf(c->device, sizeof c->device, "%s", device_auto(why, size));
    return 0;
}

/* What only the device can say, and the config could not. */
static int check_precisions(const struct plan *plan, struct err *err)
{
    for (int i = 0; i < plan->n_tasks; i++) {
        const char *precision = json_text(plan->tasks[i].params, "precision", "");
        if (precision[0] != '\0' && !device_has_precision(plan->campaign.device, precision))
            return err_set(err, "%s has precision = \"%s\", which the device %s does not compute in",
                           plan->tasks[i].name, precision, plan->campaign.device);
    }
    return 0;
}

static int lead(struct transport *t, const char *config, const struct run_options *o, struct overrides *set,
                int *status, struct err *err)
{
    int rc = -1;
    struct plan *plan = NULL;
    struct run_lock *lock = NULL;
    struct run_settings settings = { .grace_seconds = o->grace, .in_process = o->in_process };
    char device[OPTION_TEXT + 32], dir[PATH_MAX], why[256];
    *status = EXIT_USAGE;
    if (o->device[0] != '\0') {
        if (set->n == OVERRIDES_MAX)
            return err_set(err, "too many times --set");
        snprintf(device, sizeof device, "campaign.device=\"%s\"", o->device);
        set->v[set->n++] = device;
    }
    if (config_to_plan(config, set, &plan, err) != 0)
        return -1;
    if (resolve_device(&plan->campaign, why, sizeof why, err) != 0 || check_precisions(plan, err) != 0)
        goto out;
    if (o->out[0] != '\0')
        snprintf(dir, sizeof dir, "%s", o->out);
    else
        snprintf(dir, sizeof dir, "runs/%s", plan->campaign.name);
    if (rundir_open(dir, plan, settings.dir, &lock, err) != 0)
        goto out;
    if (why[0] != '\0')
        log_info("device auto: %s (%s)", plan->campaign.device, why);
    snprintf(settings.device, sizeof settings.device, "%s", plan->campaign.device);
    settings.threads = (int)plan->campaign.threads;
    settings.sharing = (int)plan->campaign.ranks_per_gpu;
    settings.task_seconds = plan->campaign.task_seconds;
    settings.silence_seconds = o->silence;
    /* from here on there is state, and an error is the run's own */
    *status = EXIT_BROKE_OFF;
    rc = coord_lead(t, plan, &settings, status, err);
    if (rc == 0 && (*status == EXIT_DONE || *status == EXIT_TASKS_FAILED))
        rundir_tidy(settings.dir);
out:
    lock_release(lock);
    plan_destroy(plan);
    return rc;
}

/* `patience`: how long a rank may be silent [s]. */
static int rank_zero(struct transport *t, int argc, char **argv, double *patience)
{
    struct err err = { .text = "" };
    struct run_options o;
    struct overrides set;
    const char *config = NULL;
    int n = 0, status = EXIT_USAGE;
    if (overrides_take(&argc, argv, &set, &err) != 0)
        return cli_error(&err);
    int rc = cli_parse(argc, argv, usage, help, table, &o, &config, 1, &n, &err);
    if (rc == 1)
        return EXIT_DONE;
    if (rc == 0)
        *patience = o.silence;
    if (rc == 0 && n != 1)
        rc = err_set(&err, "a config is wanted (usage: dinf %s)", usage);
    if (rc == 0)
        rc = check_world(t, &err);
    if (rc == 0)
        rc = lead(t, config, &o, &set, &status, &err);
    if (rc != 0 && err.text[0] != '\0')
        cli_error(&err);
    return status;
}

int cli_run(int argc, char **argv)
{
    struct err err = { .text = "" };
    stop_install();
    struct transport *t = transport_open(NULL, NULL, &err);
    if (t == NULL)
        return cli_error(&err);
    char local[16];
    snprintf(local, sizeof local, "%d", transport_local_rank(t));
    setenv("DINF_LOCAL_RANK", local, 1); /* tasks choose their GPU by it */
    if (transport_rank(t) == 0) {
        double patience = 0;
        int status = rank_zero(t, argc, argv, &patience);
        fflush(stdout);
        /* ranks that do not answer would never come to the end of MPI */
        if (status == EXIT_RANK_LOST || transport_orphaned(t) || coord_dismiss(t, &err) != 0)
            transport_abort(t, status);
        if (!transport_gather(t, patience)) {
            log_error("a rank has not come to the end within %.0f s and is given up", patience);
            transport_abort(t, EXIT_RANK_LOST);
        }
        transport_close(t);
        return status;
    }
    char name[32];
    snprintf(name, sizeof name, "rank %d", transport_rank(t));
    log_set_name(name);
    if (worker_run(t, &err) != 0) {
        log_error("%s", err.text);
        transport_abort(t, EXIT_RANK_LOST);
    }
    if (!transport_gather(t, 0))
        transport_abort(t, EXIT_RANK_LOST);
    transport_close(t);
    return EXIT_DONE; /* rank 0 speaks for the job */
}
