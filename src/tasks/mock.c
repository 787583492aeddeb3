/* A task that does nothing of use, on purpose: it sleeps, fails, crashes or
 * hangs as its options say, so that the coordinator can be tested and measured
 * without an engine. Its value depends on every step, so that a wrong resume
 * shows in the results. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/stop.h"
#include "store/result.h"
#include "tasks/task.h"

struct mock_options {
    double seconds, value;
    int64_t steps, index, fail, crash, hang;
    bool in_process;
};

#define AT(member) offsetof(struct mock_options, member)
static const struct option mock_table[] = {
    { "seconds", OPTION_FLOAT, AT(seconds), "0.01", 0, 1e6, NULL, "s", "how long it takes" },
    { "steps", OPTION_INT, AT(steps), "1", 1, 1000000, NULL, NULL, "steps; a checkpoint after each if more than 1" },
    { "value", OPTION_FLOAT, AT(value), "0", -1e300, 1e300, NULL, NULL, "what the steps add to" },
    { "index", OPTION_INT, AT(index), "0", 0, 1e9, NULL, NULL, "position in its block: tells equal mocks apart" },
    { "fail", OPTION_INT, AT(fail), "0", 0, 1000, NULL, NULL, "attempts that end with an error" },
    { "crash", OPTION_INT, AT(crash), "0", 0, 1000, NULL, NULL, "attempts that die of a segmentation fault" },
    { "hang", OPTION_INT, AT(hang), "0", 0, 2, NULL, NULL,
      "1: never ends, but can be stopped; 2: cannot even be stopped" },
    { "in_process", OPTION_BOOL, AT(in_process), "false", 0, 0, NULL, NULL,
      "run in the worker itself, without a child" },
    OPTION_END,
};

struct mock_state {
    int64_t step;
    double value;
};

static int state_path(const struct task_context *ctx, char out[PATH_MAX], struct err *err)
{
    return fs_path(out, PATH_MAX, err, "%s/state", ctx->work);
}

static int load_state(const struct task_context *ctx, struct mock_state *state, struct err *err)
{
    char path[PATH_MAX];
    if (state_path(ctx, path, err) != 0)
        return -1;
    if (!fs_exists(path))
        return 0;
    char *text = NULL;
    if (fs_read(path, &text, NULL, err) != 0)
        return -1;
    long long step;
    double value;
    int n = sscanf(text, "%lld %la", &step, &value);
    mem_free(text);
    if (n != 2)
        return err_set(err, "%s is not a mock checkpoint", path);
    state->step = step;
    state->value = value;
    return 0;
}

static int save_state(const struct task_context *ctx, const struct mock_state *state, struct err *err)
{
    char path[PATH_MAX], text[64];
    int n = snprintf(text, sizeof text, "%lld %a\n", (long long)state->step, state->value);
    if (state_path(ctx, path, err) != 0)
        return -1;
    return fs_write_atomic(path, text, (size_t)n, err);
}

static int check_inputs(const struct task_context *ctx, struct err *err)
{
    for (int i = 0; i < ctx->n_inputs; i++) {
        char path[PATH_MAX];
        if (task_path(ctx->dir, ctx->inputs[i].id, ".h5", path, err) != 0)
            return -1;
        if (!fs_exists(path))
            return err_set(err, "the input '%s' is missing: %s", ctx->inputs[i].role, path);
    }
    return 0;
}

static void misbehave(const struct task_context *ctx, const struct mock_options *o)
{
    if (ctx->attempt <= o->crash) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    while (o->hang == 2 || (o->hang == 1 && !stop_requested()))
        clock_sleep(0.02);
}

/* 0, or STOPPED as soon as a stop is asked for. */
static int wait_or_stop(double seconds)
{
    double end = clock_monotonic() + seconds;
    for (;;) {
        double left = end - clock_monotonic();
        if (left <= 0)
            return 0;
        if (stop_requested())
            return STOPPED;
        clock_sleep(left < 0.02 ? left : 0.02);
    }
}

static int write_result(const struct task_context *ctx, const struct mock_options *o, double value, struct err *err)
{
    struct row {
        double value;
        int64_t steps, index;
    } row = { value, o->steps, o->index };
    static const struct column columns[] = {
        { "value", COLUMN_FLOAT, offsetof(struct row, value), NULL, "sum over the steps" },
        { "steps", COLUMN_INT, offsetof(struct row, steps), NULL, "number of steps" },
        { "index", COLUMN_INT, offsetof(struct row, index), NULL, "position in its block" },
        { .name = NULL },
    };
    char path[PATH_MAX];
    if (task_path(ctx->dir, ctx->id, ".h5", path, err) != 0)
        return -1;
    struct result *r = result_create(path, ctx->provenance, err);
    if (r == NULL)
        return -1;
    if (result_table(r, "/mock", "mock tasks", columns, &row, sizeof row, 1, err) != 0) {
        result_abandon(r);
        return -1;
    }
    return result_commit(r, err);
}

static int mock_run(struct task_context *ctx, struct err *err)
{
    struct mock_options o;
    struct mock_state state = { 0 };
    if (options_from_json(mock_table, ctx->params, &o, err) != 0 || check_inputs(ctx, err) != 0)
        return -1;
    state.value = o.value;
    misbehave(ctx, &o);
    if (stop_requested())
        return STOPPED;
    if (o.steps > 1 && load_state(ctx, &state, err) != 0)
        return -1;
    while (state.step < o.steps) {
        if (wait_or_stop(o.seconds / (double)o.steps) == STOPPED)
            return STOPPED;
        struct rng r = rng_at((uint64_t)o.index, RNG_MOCK, (uint32_t)state.step, 0, 0);
        state.value += rng_double(&r);
        state.step++;
        if (o.steps > 1 && save_state(ctx, &state, err) != 0)
            return -1;
        if (ctx->progress != NULL) {
            struct task_progress p = { .fraction = (double)state.step / (double)o.steps,
                                       .loss = state.value / (double)state.step,
                                       .rate = NAN,
                                       .unit = "steps" };
            snprintf(p.what, sizeof p.what, "step %lld/%lld", (long long)state.step, (long long)o.steps);
            ctx->progress(ctx, &p);
        }
        if (2 * state.step >= o.steps && ctx->attempt <= o.fail)
            return err_set(err, "mock failure %d of %lld", ctx->attempt, (long long)o.fail);
    }
    return write_result(ctx, &o, state.value, err);
}

static double mock_cost(const struct task_sizing *s, struct task_extent *out)
{
    struct mock_options o;
    (void)out;
    if (options_from_json(mock_table, s->params, &o, NULL) != 0)
        return 0.001;
    return o.seconds > 0.001 ? o.seconds : 0.001;
}

const struct task_kind task_kind_mock = {
    .name = "mock",
    .help = "sleeps, fails, crashes or hangs: for tests of the coordinator",
    .options = mock_table,
    .options_size = sizeof(struct mock_options),
    .resumes = true,
    .cost = mock_cost,
    .run = mock_run,
};
