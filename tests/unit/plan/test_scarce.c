/* A plan for which there is not enough memory is none, wherever it runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "plan/journal.h"
#include "plan/print.h"
#include "plan/schedule.h"
#include "store/npy.h"
#include "unit/plan/graph.h"
#include "unit/scarce.h"

static char folder[] = "/tmp/dinf-scarce-XXXXXX";
static struct plan *whole, *little;

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* An estimate that lacked memory is a guess. */
static bool same_but_for_costs(const struct plan *a, const struct plan *b)
{
    bool same = a->n_tasks == b->n_tasks && strcmp(a->config, b->config) == 0 &&
                strcmp(a->config_hash, b->config_hash) == 0 && strcmp(a->campaign.name, b->campaign.name) == 0 &&
                strcmp(a->campaign.device, b->campaign.device) == 0 && a->campaign.seed == b->campaign.seed &&
                a->campaign.trials == b->campaign.trials && a->campaign.threads == b->campaign.threads &&
                a->campaign.retries == b->campaign.retries;
    for (int i = 0; same && i < a->n_tasks; i++) {
        const struct plan_task *s = &a->tasks[i], *t = &b->tasks[i];
        same = strcmp(s->id, t->id) == 0 && strcmp(s->name, t->name) == 0 && s->kind == t->kind &&
               s->n_inputs == t->n_inputs && s->state == t->state && cJSON_Compare(s->params, t->params, true) &&
               cJSON_Compare(s->labels, t->labels, true) && cJSON_Compare(s->contents, t->contents, true);
        for (int k = 0; same && k < s->n_inputs; k++)
            same = s->input_tasks[k] == t->input_tasks[k] && strcmp(s->inputs[k].role, t->inputs[k].role) == 0 &&
                   strcmp(s->inputs[k].id, t->inputs[k].id) == 0;
    }
    return same;
}

static int build(void *arg, struct err *err)
{
    struct plan *plan = NULL, *wanted = *(struct plan **)arg;
    struct conf *conf = conf_load(in_folder(wanted == little ? "little.cfg" : "c.cfg"), NULL, 0, err);
    assert_non_null(conf);
    scarce_begin();
    const int rc = plan_build(conf, &plan, err);
    scarce_end();
    assert_int_equal(rc == 0, plan != NULL);
    if (plan != NULL && same_but_for_costs(plan, wanted))
        scarce_forgive();
    conf_destroy(conf);
    plan_destroy(plan);
    return rc;
}

static int write_plan(void *arg, struct err *err)
{
    (void)arg;
    scarce_begin();
    return plan_write(whole, in_folder("plan.json"), err);
}

static int read_plan(void *arg, struct err *err)
{
    struct plan *plan = NULL;
    (void)arg;
    scarce_begin();
    const int rc = plan_read(in_folder("plan.json"), &plan, err);
    scarce_end();
    assert_int_equal(rc == 0, plan != NULL);
    if (plan != NULL && same_but_for_costs(plan, whole)) /* without its index it is searched */
        scarce_forgive();
    plan_destroy(plan);
    return rc;
}

static int schedule(void *arg, struct err *err)
{
    struct simulation s;
    (void)arg;
    scarce_begin();
    struct schedule *made = schedule_create(whole, err);
    const int rc = made == NULL || schedule_simulate(whole, 3, &s, err) != 0 ? -1 : 0;
    scarce_end();
    schedule_destroy(made);
    return rc;
}

static int print(void *arg, struct err *err)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    scarce_begin();
    const int rc = arg != NULL ? plan_print_json(f, whole, 3, 0, err) : plan_print(f, whole, 3, err);
    scarce_end();
    fclose(f);
    free(text);
    return rc;
}

static int journal(void *arg, struct err *err)
{
    const struct plan_task *t = &whole->tasks[0];
    (void)arg;
    scarce_begin();
    struct journal *j = journal_open(in_folder("journal"), err);
    const int rc = j == NULL || journal_run(j, 1, "h", "r", err) != 0 || journal_start(j, t, err) != 0 ||
                           journal_failed(j, t, "h", true, err) != 0 || journal_stopped(j, t, "why", err) != 0 ||
                           journal_done(j, t, err) != 0 || journal_reopened(j, t, "why", err) != 0 ||
                           journal_end(j, 1, 2, 3, err) != 0
                       ? -1
                       : 0;
    scarce_end();
    journal_close(j);
    return rc;
}

static void test_plans(void **state)
{
    (void)state;
    scarce_check("building", build, &whole);
    const long thinned = scarce_thinned;
    scarce_thinned = 1000000000;
    scarce_check("building little", build, &little);
    scarce_thinned = thinned;
    scarce_check("writing", write_plan, NULL);
    scarce_check("reading", read_plan, NULL);
    scarce_check("scheduling", schedule, NULL);
    scarce_check("printing", print, NULL);
    scarce_check("printing JSON", print, folder);
    scarce_check("the journal", journal, NULL);
}

static int set_up(void **state)
{
    static const char config[] =
        "campaign = { name = \"t\"; trials = 2; };\n"
        "datasets = ( { name = \"all\"; format = \"procedural\"; classes = 4; count = 60; size = 8; },\n"
        "{ name = \"members\"; of = \"all\"; begin = 0; count = 20; },\n"
        "{ name = \"heldout\"; of = \"all\"; begin = 20; count = 20; },\n"
        "{ name = \"half\"; parts = ( { of = \"members\"; count = 5; }, { of = \"all\"; begin = 50; } ); } );\n"
        "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; arch "
        "= "
        "\"resnet8\"; width = [ 0.5, 1.0 ]; }; },\n"
        "{ name = \"s\"; role = \"suspect\"; weights = \"w\"; arch = \"resnet8\"; },\n"
        "{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; heldout = \"h.npy\"; }; } );\n"
        "steal = ( { victim = \"v.1\"; queries = \"half\"; budgets = [ 5, 10 ]; arch = \"resnet8\"; loss = \"mse\"; } "
        ");\n"
        "evaluate = { dataset_inference = { components = 2; }; similarity = { }; };\n"
        "mock = ( { name = \"m\"; count = 2; }, { name = \"n\"; after = \"m\"; } );\n";
    static const char less[] =
        "campaign = { name = \"t\"; };\n"
        "datasets = ( { name = \"all\"; format = \"procedural\"; classes = 4; count = 60; size = 8; },\n"
        "{ name = \"members\"; of = \"all\"; count = 20; },\n"
        "{ name = \"heldout\"; of = \"all\"; begin = 20; count = 20; },\n"
        "{ name = \"half\"; parts = ( \"members\", { of = \"all\"; begin = 50; } ); } );\n"
        "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; weights = \"w\"; arch = "
        "\"resnet8\"; members = \"members\"; },\n"
        "{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; heldout = \"h.npy\"; }; } "
        ");\n"
        "steal = ( { victim = \"v\"; queries = \"half\"; budgets = 5; arch = \"resnet8\"; loss = \"mse\"; } );\n"
        "evaluate = { similarity = { }; };\n"
        "mock = ( { name = \"m\"; } );\n";
    static const float rows[20 * 4] = { 1, 2, 3 };
    const int64_t dims[] = { 20, 4 };
    struct err err;
    (void)state;
    if (mkdtemp(folder) == NULL || npy_write_float(in_folder("m.npy"), rows, 2, dims, &err) != 0 ||
        npy_write_float(in_folder("h.npy"), rows, 2, dims, &err) != 0 ||
        fs_write_atomic(in_folder("w"), "weights", 7, &err) != 0 ||
        fs_write_atomic(in_folder("c.cfg"), config, strlen(config), &err) != 0 ||
        fs_write_atomic(in_folder("little.cfg"), less, strlen(less), &err) != 0)
        return -1;
    struct conf *conf = conf_load(in_folder("c.cfg"), NULL, 0, &err),
                *other = conf_load(in_folder("little.cfg"), NULL, 0, &err);
    if (conf == NULL || other == NULL || plan_build(conf, &whole, &err) != 0 || plan_build(other, &little, &err) != 0)
        return -1;
    conf_destroy(conf);
    conf_destroy(other);
    return 0;
}

static int tear_down(void **state)
{
    struct err err;
    (void)state;
    plan_destroy(whole);
    plan_destroy(little);
    return fs_remove_tree(folder, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_plans) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
