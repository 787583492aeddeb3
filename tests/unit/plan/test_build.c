/* From config to plan: what bad configs are told, names, labels, identity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "conf/json.h"
#include "device/device.h"
#include "plan/print.h"
#include "plan/schedule.h"

static char folder[] = "/tmp/dinf-build-XXXXXX";

#define CAMPAIGN "campaign = { name = \"t\"; };\n"
#define SETS                                                                                                           \
    "datasets = ( { name = \"all\"; format = \"procedural\"; classes = 4; count = 400; size = 8; },\n"                 \
    "{ name = \"members\"; of = \"all\"; begin = 0; count = 100; },\n"                                                 \
    "{ name = \"heldout\"; of = \"all\"; begin = 100; count = 100; },\n"                                               \
    "{ name = \"outside\"; of = \"all\"; begin = 200; count = 100; },\n"                                               \
    "{ name = \"half\"; parts = ( { of = \"members\"; count = 50; }, { of = \"outside\"; count = 50; } ); } );\n"
#define VICTIM                                                                                                         \
    "{ name = \"victim\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; arch = "          \
    "\"resnet8\"; } }"
#define ENCODERS "encoders = ( " VICTIM " );\n"
#define BASE CAMPAIGN SETS ENCODERS /* 7 lines */

static struct conf *load(const char *text, struct plan **plan)
{
    struct err err = { "" };
    char path[512];
    snprintf(path, sizeof path, "%s/c.cfg", folder);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), &err), 0);
    struct conf *conf = conf_load(path, NULL, 0, &err);
    assert_non_null(conf);
    int rc = plan_build(conf, plan, &err);
    assert_int_equal(rc == 0, conf->n_errors == 0);
    assert_int_equal(rc == 0, *plan != NULL);
    return conf;
}

static struct plan *build(const char *text)
{
    struct plan *plan;
    struct conf *conf = load(text, &plan);
    for (int i = 0; i < conf->n_errors; i++)
        print_error("%s\n", conf->errors[i]);
    assert_int_equal(conf->n_errors, 0);
    conf_destroy(conf);
    return plan;
}

static void bad_configs(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "c.cfg:1: campaign = { name = ...; }; is missing" },
        { "campaign = { };", "c.cfg:1: name is missing: of the campaign; names the run directory" },
        { "campaign = { name = \"a/b\"; };", "c.cfg:1: name = \"a/b\" cannot name a folder" },
        { "campaign = { name = \"a\"; sead = 1; };", "c.cfg:1: unknown option \"sead\"; did you mean \"seed\"?" },
        { "campaign = { name = \"a\"; trials = 0; };",
          "c.cfg:1: trials = 0 is out of bounds: it must lie in 1 .. 10000" },
        { "campaign = { name = \"a\"; device = \"cpuu\"; };",
          "c.cfg:1: device must not be \"cpuu\"; did you mean \"cpu\"?" },
        { CAMPAIGN, "c.cfg:1: there is nothing to do: no encoders and no mock" },
        { CAMPAIGN "encoder = ();", "c.cfg:2: there is no block \"encoder\"; did you mean \"encoders\"?" },
        { CAMPAIGN "datasets = 1;", "c.cfg:2: datasets must be a list of groups: ( { name = ...; }, ... )" },
        { CAMPAIGN "datasets = ( { format = \"procedural\"; } );", "c.cfg:2: name is missing" },
        { CAMPAIGN "datasets = ( { name = \"a\"; format = \"cifar11\"; } );",
          "c.cfg:2: format must not be \"cifar11\"; did you mean \"cifar10\"?" },
        { CAMPAIGN "datasets = ( { name = \"a\"; clases = 3; } );", "c.cfg:2: format is missing: of the files; its "
                                                                    "options go beside it" },
        { CAMPAIGN "datasets = ( { name = \"a\"; of = \"b\"; }, { name = \"b\"; of = \"a\"; } );",
          "c.cfg:2: data set \"a\" is made of itself" },
        { CAMPAIGN "datasets = ( { name = \"a\"; of = \"bb\"; } );",
          "c.cfg:2: there is no data set \"bb\"; did you mean \"a\"?" },
        { BASE "mock = ( { name = \"m\"; after = \"n\"; } );", "c.cfg:8: there is no earlier mock block \"n\"" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victm\"; train = { dataset = \"members\"; }; } );",
          "c.cfg:7: role must not be \"victm\"; did you mean \"victim\"?" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; } );",
          "c.cfg:7: an encoder needs either train = { ... } or weights = \"FILE\" (or a suspect representations = { "
          "... })" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = { }; } );",
          "c.cfg:7: dataset is missing" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = { dataset = \"member\"; }; } );",
          "c.cfg:7: there is no data set \"member\"; did you mean \"members\"?" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; train = {\ndataset = \"members\";\nepoch = 5; }; } );",
          "c.cfg:9: unknown option \"epoch\"; did you mean \"epochs\"?" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; train = {\ndataset = \"members\";\nepochs = 0; }; } );",
          "c.cfg:9: epochs = 0 is out of bounds: it must lie in 1 .. 1000000" },
        { CAMPAIGN SETS "encoders = ( " VICTIM ",\n" VICTIM " );",
          "c.cfg:8: there are two encoders called \"victim\"" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"members\"; train = { dataset = "
                        "\"half\"; }; } );",
          "c.cfg:7: \"half\" and \"members\" share 50 images, but held-out images must not be trained on" },
        { CAMPAIGN SETS "encoders = ( " VICTIM
                        ",\n{ name = \"i\"; role = \"independent\"; train = { dataset = \"half\"; }; } );",
          "c.cfg:8: \"half\" and \"members\" share 50 images, but an independent encoder must not see a victim's "
          "training images (allow_overlap = true permits it)" },
        { CAMPAIGN SETS "encoders = ( " VICTIM
                        ",\n{ name = \"i\"; role = \"independent\"; train = { dataset = \"heldout\"; }; } );",
          "c.cfg:8: \"heldout\" and \"heldout\" share 100 images, but an independent encoder must not see a victim's "
          "held-out images (allow_overlap = true permits it)" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"heldout\"; budgets = 5; } );",
          "c.cfg:8: \"heldout\" and \"heldout\" share 100 images, but a thief that trains on held-out images would be "
          "told apart by them" },
        { "campaign = { name = \"t\"; trials = 2; };" SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; train = { dataset = \"members\"; seed = 3; }; } );",
          "c.cfg:6: a fixed seed would make all 2 trials equal: leave it out" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; } );",
          "c.cfg:8: budgets is missing: a theft needs victim, queries and budgets" },
        { BASE "steal = ( { victim = \"victm\"; queries = \"outside\"; budgets = 5; } );",
          "c.cfg:8: there is no victim \"victm\"; did you mean \"victim\"?" },
        { CAMPAIGN SETS
          "encoders = ( " VICTIM ",\n{ name = \"victms\"; role = \"independent\"; train = { dataset = "
          "\"outside\"; }; } );\nsteal = ( { victim = \"victm\"; queries = \"outside\"; budgets = 5; } );",
          "c.cfg:9: there is no victim \"victm\"; did you mean \"victim\"?" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outsde\"; budgets = 5; } );",
          "c.cfg:8: there is no data set \"outsde\"; did you mean \"outside\"?" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = [ 50, 101 ]; } );",
          "c.cfg:8: a budget of 101 images is more than query set \"outside\" has: 100" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 0; } );",
          "c.cfg:8: a budget is a number of images, an integer of at least 1" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; budget = 5; } );",
          "c.cfg:8: unknown option \"budget\"; did you mean \"budgets\"?" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; loss = [ \"mse\", \"msx\" ]; } );",
          "c.cfg:8: " },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; epochs = [ ]; } );",
          "c.cfg:8: epochs is an empty list: nothing would be done" },
        { BASE
          "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; arch = \"resnet8\"; epochs = 5; },\n"
          "{ victim = \"victim\"; queries = \"outside\"; budgets = 5; arch = \"resnet8\"; epochs = 6; } );",
          "c.cfg:9: two different thefts are called \"victim.outside.5.infonce\"; give this block a name = \"...\"" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; query = { view = 2; }; } );",
          "c.cfg:8: unknown option \"view\"; did you mean \"views\"?" },
        { BASE "evaluate = { similarty = { }; };",
          "c.cfg:8: there is no evaluation \"similarty\"; did you mean \"similarity\"?" },
        { BASE "evaluate = { dataset_inference = { componets = 3; }; };",
          "c.cfg:8: unknown option \"componets\"; did you mean \"components\"?" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = { dataset = \"members\"; }; } );\n"
                        "evaluate = { dataset_inference = { }; };",
          "c.cfg:7: victim \"v\" needs heldout = \"SET\" for dataset_inference" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan *plan;
        struct conf *conf = load(cases[i][0], &plan);
        const char *first = conf->n_errors == 0 ? "no error" : conf->errors[0];
        if (strncmp(first, folder, strlen(folder)) == 0)
            first += strlen(folder) + 1;
        if (strncmp(first, cases[i][1], strlen(cases[i][1])) != 0)
            print_error("case %zu: %s\n", i, cases[i][0]);
        if (strlen(cases[i][1]) < 12) /* the wording is another room's */
            assert_memory_equal(first, cases[i][1], strlen(cases[i][1]));
        else
            assert_string_equal(first, cases[i][1]);
        conf_destroy(conf);
    }
}

static void write_file(const char *name, const char *text)
{
    struct err err;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), &err), 0);
}

/* The errors of a config in the order in which they are found, and no others. */
static void check_errors(const char *text, const char *const *wanted)
{
    struct plan *plan;
    struct conf *conf = load(text, &plan);
    int n = 0;
    while (wanted[n] != NULL)
        n++;
    bool same = n == conf->n_errors;
    for (int i = 0; same && i < n; i++)
        same = strcmp(conf->errors[i] + strlen(folder) + 1, wanted[i]) == 0;
    for (int i = 0; !same && i < conf->n_errors; i++)
        print_error("%s\n", conf->errors[i]);
    assert_true(same);
    conf_destroy(conf);
}

/* A wrong name (of an architecture, a loss, ...) hides nothing, and stands at its own line and file. */
static void names_hide_nothing(void **state)
{
    (void)state;
    write_file("more.cfg", "# two lines\noptimizer = \"adm\";\naugment = \"simclear\";\n");
    static const char *const training[] = { "c.cfg:9: arch must not be \"resnet19\"; did you mean \"resnet10\"?",
                                            "c.cfg:10: unknown option \"epocs\"; did you mean \"epochs\"?",
                                            "c.cfg:11: loss must not be \"infonse\"; did you mean \"infonce\"?",
                                            "more.cfg:2: optimizer must not be \"adm\"; did you mean \"adam\"?",
                                            "more.cfg:3: augment must not be \"simclear\"; did you mean \"simclr\"?",
                                            "c.cfg:13: flip = 7 is out of bounds: it must lie in 0 .. 1",
                                            NULL };
    check_errors(CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = {\n"
                               "dataset = \"members\";\narch = \"resnet19\";\nepocs = 3;\nloss = \"infonse\";\n"
                               "@include \"more.cfg\"\nflip = 7; temperature = 0.5; beta1 = 0.5; }; } );\n",
                 training);
    static const char *const source[] = { "c.cfg:2: format must not be \"procedual\"; did you mean \"procedural\"?",
                                          "c.cfg:3: unknown option \"clases\"; did you mean \"classes\"?",
                                          "c.cfg:4: count = -1 is out of bounds: it must lie in 1 .. 10000000", NULL };
    check_errors(CAMPAIGN "datasets = ( { name = \"a\"; format = \"procedual\";\nclases = 4;\ncount = -1; } );",
                 source);
    /* nothing is near: every format's keys are known, and none is missing */
    static const char *const foreign[] = {
        "c.cfg:2: format must not be \"imagefolder\"; it is one of cifar10, cifar100, npy or procedural",
        "c.cfg:3: unknown option \"clases\"; did you mean \"classes\"?",
        NULL,
    };
    check_errors(CAMPAIGN "datasets = ( { name = \"a\"; format = \"imagefolder\"; path = \"/x\";\nclases = 4; } );",
                 foreign);
    static const char *const query[] = { "c.cfg:8: augment must not be \"simclear\"; did you mean \"simclr\"?",
                                         "c.cfg:9: unknown option \"viws\"; did you mean \"views\"?",
                                         "c.cfg:10: hue = 3 is out of bounds: it must lie in 0 .. 0.5", NULL };
    check_errors(BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; query = { augment = "
                      "\"simclear\";\nviws = 2;\nhue = 3; }; } );",
                 query);
    /* an entry is read to its end, whatever is wrong with it */
    static const char *const entry[] = { "c.cfg:7: role must not be \"victm\"; did you mean \"victim\"?",
                                         "c.cfg:7: unknown option \"heldot\"; did you mean \"heldout\"?",
                                         "c.cfg:8: epochs is an empty list: nothing would be done",
                                         "c.cfg:9: unknown option \"bacth\"; did you mean \"batch\"?", NULL };
    check_errors(CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victm\"; heldot = \"heldout\"; train = { dataset "
                               "= \"members\";\nepochs = [ ];\nbacth = 3; }; } );",
                 entry);
    static const char *const theft[] = { "c.cfg:8: budgets is missing: a theft needs victim, queries and budgets",
                                         "c.cfg:9: unknown option \"epoch\"; did you mean \"epochs\"?",
                                         "c.cfg:10: unknown option \"view\"; did you mean \"views\"?",
                                         "c.cfg:8: there is no victim \"victm\"; did you mean \"victim\"?",
                                         "c.cfg:8: there is no data set \"outsde\"; did you mean \"outside\"?",
                                         NULL };
    check_errors(BASE "steal = ( { victim = \"victm\"; queries = \"outsde\";\nepoch = 5;\nquery = { view = 2; }; } );",
                 theft);
}

/* Options that a group has no use for say where they belong. */
static void misplaced_options(void **state)
{
    (void)state;
    static const char *const theft[] = {
        "c.cfg:9: augment does not belong here: a theft sees the queries' views: query = { augment = ...; }",
        "c.cfg:10: crop_min does not belong here: a theft sees the queries' views: query = { augment = ...; }",
        "c.cfg:11: projector does not belong here: a projector is for self-supervised training; a theft may have head "
        "= \"mlp\"",
        "c.cfg:12: projector_dim does not belong here: a projector is for self-supervised training; a theft may have "
        "head = \"mlp\"",
        "c.cfg:13: budget does not belong here: budgets = [ ... ] stands beside query, in the steal group",
        NULL,
    };
    check_errors(BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; arch = \"resnet8\";\n"
                      "augment = [ \"weak\", \"none\" ];\ncrop_min = 0.5;\nprojector = \"none\";\nprojector_dim = 8;\n"
                      "query = { budget = 5; }; } );",
                 theft);
    static const char *const training[] = {
        "c.cfg:8: head does not belong here: it is for thefts and belongs in a steal group",
        NULL,
    };
    check_errors(CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = { dataset = \"members\";\n"
                               "head = \"mlp\"; }; } );",
                 training);
    struct plan *p =
        build(BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 5; arch = \"resnet8\"; "
                   "} );");
    const cJSON *params = p->tasks[plan_find(p, "steal:victim.outside.5.infonce", NULL)].params;
    assert_true(cJSON_HasObjectItem(params, "head") && cJSON_HasObjectItem(params, "seed"));
    static const char *const absent[] = { "augment", "crop_min", "projector", "projector_dim" };
    for (int i = 0; i < 4; i++)
        assert_false(cJSON_HasObjectItem(params, absent[i]));
    assert_false(cJSON_HasObjectItem(p->tasks[plan_find(p, "train:victim", NULL)].params, "head"));
    plan_destroy(p);
}

/* What contradicts itself, or what other blocks say, is known before anything starts. */
static void contradictions(void **state)
{
    (void)state;
    static const char *const trainings[] = {
        "c.cfg:8: crop_min = 0.8 is larger than crop_max = 0.3",
        "c.cfg:9: the loss mse needs a victim's answers: it is for thefts",
        "c.cfg:10: batch = 1 is too few: the loss infonce needs 2 images in a step",
        "c.cfg:12: mean must be three numbers, one a channel; it has 1",
        NULL,
    };
    write_file("w.safetensors", "weights");
    check_errors(
        CAMPAIGN SETS
        "encoders = (\n"
        "{ name = \"a\"; role = \"victim\"; train = { dataset = \"members\"; augment = \"weak\"; crop_max = 0.3; "
        "}; },\n"
        "{ name = \"b\"; role = \"independent\"; train = { dataset = \"outside\"; loss = \"mse\"; }; },\n"
        "{ name = \"c\"; role = \"independent\"; train = { dataset = \"outside\"; batch = 1; }; },\n"
        "{ name = \"e\"; role = \"suspect\"; weights = \"w.safetensors\"; arch = \"resnet8\";\n"
        "mean = [ 0.5 ]; } );\n",
        trainings);
    static const char *const one[] = { "c.cfg:4: 1 image to train on, but the loss infonce needs 2 in a step", NULL };
    check_errors(CAMPAIGN "datasets = ( { name = \"one\"; format = \"procedural\"; count = 1; size = 8; } );\n"
                          "encoders = ( { name = \"v\"; role = \"victim\"; train = {\ndataset = \"one\"; }; } );\n",
                 one);
    /* resnet8 has 256 dimensions, resnet10 512 */
    static const char *const thefts[] = { "c.cfg:10: 1 image to train on, but the loss infonce needs 2 in a step",
                                          "c.cfg:12: the thief's representation has 512 dimensions, the victim's "
                                          "answers have 256: choose another arch or "
                                          "width, or head = \"mlp\"",
                                          NULL };
    check_errors(BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = [\n5,\n1,\n8 ]; arch =\n"
                      "[ \"resnet8\", \"resnet10\" ]; } );\n",
                 thefts);
    plan_destroy(build(BASE
                       "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = [ 1, 5 ]; loss = \"mse\"; "
                       "arch = \"resnet10\"; head = \"mlp\"; } );\n"));
    static const char *const evaluations[] = {
        "c.cfg:9: a mixture of 51 components needs at least as many rows; of 100 members 50 fit it",
        "c.cfg:12: statistics has \"gap\" twice",
        "c.cfg:14: obfuscations is empty: it must have at least one of none, shuffle, pad, transform or transform_each",
        NULL,
    };
    check_errors(BASE "evaluate = { dataset_inference = {\ncomponents = [ 50, 51 ]; };\n"
                      "similarity = { }; };\n",
                 (const char *const[]){ evaluations[0], NULL });
    check_errors(BASE "\n\n\nevaluate = { dataset_inference = {\nstatistics = [ \"gap\", \"gap\" ]; };\n"
                      "similarity = {\nobfuscations = [ ]; }; };\n",
                 &evaluations[1]);
    plan_destroy(build(BASE "evaluate = { dataset_inference = { components = 90; statistics = \"learned\"; }; };\n"));
}

/* All errors at once, each once although a sweep meets it in every combination. */
static void all_errors(void **state)
{
    (void)state;
    struct plan *plan;
    struct conf *conf = load("campaign = { name = \"t\"; sead = 1; };\n" SETS
                             "encoders = ( { name = \"v\"; role = \"victim\"; train = { dataset = \"members\";\n"
                             "lr = [ 0.1, 0.2 ]; epoch = 3; }; } );\nfoo = 1;\n",
                             &plan);
    assert_int_equal(conf->n_errors, 3);
    conf_destroy(conf);
}

static const char *id_of(const struct plan *plan, const char *name)
{
    struct err err = { "" };
    int i = plan_find(plan, name, &err);
    if (i < 0)
        print_error("%s\n", err.text);
    assert_true(i >= 0);
    return plan->tasks[i].id;
}

static double label(const struct plan *plan, const char *name, const char *key)
{
    struct err err;
    int i = plan_find(plan, name, &err);
    assert_true(i >= 0);
    return cJSON_GetObjectItem(plan->tasks[i].labels, key)->valuedouble;
}

static double param(const struct plan *plan, int task, const char *key)
{
    assert_true(task >= 0);
    return cJSON_GetObjectItem(plan->tasks[task].params, key)->valuedouble;
}

#define STEAL(budgets)                                                                                                 \
    "steal = ( { victim = \"victim\"; queries = [ \"outside\", \"half\", \"members\" ]; budgets = " budgets            \
    "; loss = [ \"infonce\", \"mse\" ]; arch = \"resnet8\"; epochs = 7; } );\n"
#define EVALUATE "evaluate = { dataset_inference = { components = [ 1, 10 ]; }; similarity = { }; };\n"

/* Members among the first `budget` images that the query of the set half takes, whose
 * first 50 images of 100 are the members' (VICTIM, SETS). */
static double drawn_share(const struct plan *p, int budget)
{
    uint32_t order[100];
    int in = 0, q = plan_find(p, "query:victim.half", NULL);
    struct rng rng = rng_at((uint64_t)param(p, q, "seed"), RNG_QUERY, 0, 0, 0);
    rng_permutation(&rng, order, 100);
    for (int i = 0; i < budget; i++)
        in += order[i] < 50;
    return (double)in / budget;
}

static void whole_campaign(void **state)
{
    (void)state;
    struct plan *p = build(BASE STEAL("[ 20, 40 ]") EVALUATE);
    /* 1 victim, 3 queries, 12 thefts, 1 random; 13 x 2 + 1 embeds, 13 x (2 + 1) evaluations */
    assert_int_equal(p->n_tasks, 1 + 3 + 12 + 1 + 27 + 39);
    assert_true(label(p, "steal:victim.outside.20.mse", "overlap") == 0);
    assert_true(label(p, "steal:victim.half.40.infonce", "set_overlap") == 0.5);
    assert_true(label(p, "steal:victim.half.40.infonce", "overlap") == drawn_share(p, 40));
    assert_true(label(p, "steal:victim.half.20.mse", "overlap") == drawn_share(p, 20));
    assert_true(label(p, "dataset_inference:victim.half.20.mse@victim.10", "overlap") == drawn_share(p, 20));
    assert_true(label(p, "train:victim", "overlap") == -1 && label(p, "train:victim", "set_overlap") == -1);
    assert_true(label(p, "steal:victim.members.40.infonce", "overlap") == 1);
    assert_true(label(p, "steal:victim.members.40.infonce", "budget") == 40);
    int q = plan_find(p, "query:victim.half", NULL), s = plan_find(p, "steal:victim.half.20.mse", NULL);
    assert_true(cJSON_GetObjectItem(p->tasks[q].params, "budget")->valuedouble == 40);
    assert_int_equal(p->tasks[s].input_tasks[0], q);
    for (int i = 0; i < p->n_tasks; i++)
        for (int k = 0; k < p->tasks[i].n_inputs; k++)
            assert_true(p->tasks[i].input_tasks[k] < i);
    /* no two encoders share a seed */
    for (int i = 0; i < p->n_tasks; i++)
        for (int k = 0; k < i; k++) {
            const cJSON *a = cJSON_GetObjectItem(p->tasks[i].labels, "seed"),
                        *b = cJSON_GetObjectItem(p->tasks[k].labels, "seed");
            if (a != NULL && b != NULL)
                assert_true(a->valuedouble != b->valuedouble && a->valuedouble >= 0);
        }
    struct err err = { "" };
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_int_equal(plan_print(f, p, 3, &err), 0);
    fclose(f);
    for (const char *line = text; *line != 0; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(text);
    plan_destroy(p);
}

/* For scripts: every task with what it needs, on as few as one rank. */
static void plan_for_scripts(void **state)
{
    (void)state;
    struct plan *p = build(BASE EVALUATE);
    struct err err = { "" };
    for (int ranks = 0; ranks < 4; ranks++) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);
        assert_int_equal(plan_print_json(f, p, ranks, 0, &err), ranks == 0 ? -1 : 0);
        fclose(f);
        cJSON *all = cJSON_Parse(text);
        free(text);
        if (ranks == 0) {
            assert_string_equal(err.text, "the number of ranks must be at least 1, not 0");
            assert_null(all);
            continue;
        }
        const cJSON *tasks = cJSON_GetObjectItem(all, "tasks"), *o;
        assert_int_equal(cJSON_GetArraySize(tasks), p->n_tasks);
        int i = 0;
        cJSON_ArrayForEach(o, tasks)
        {
            const struct plan_task *t = &p->tasks[i++];
            const cJSON *inputs = cJSON_GetObjectItem(o, "inputs");
            assert_string_equal(cJSON_GetObjectItem(o, "id")->valuestring, t->id);
            assert_string_equal(cJSON_GetObjectItem(o, "name")->valuestring, t->name);
            assert_true(cJSON_Compare(cJSON_GetObjectItem(o, "params"), t->params, true));
            assert_true(cJSON_Compare(cJSON_GetObjectItem(o, "labels"), t->labels, true));
            assert_int_equal(cJSON_GetArraySize(inputs), t->n_inputs);
            for (int k = 0; k < t->n_inputs; k++)
                assert_string_equal(cJSON_GetObjectItem(inputs, t->inputs[k].role)->valuestring, t->inputs[k].id);
        }
        cJSON_Delete(all);
    }
    plan_destroy(p);
}

/* Evaluations of one trial share a seed, whatever the encoder, method and options; trials
 * and campaigns do not; what is written in the config is taken. */
static void evaluation_seeds(void **state)
{
    (void)state;
#define TRIALS(seed)                                                                                                   \
    "campaign = { name = \"t\"; trials = 2; seed = " #seed "; };\n" SETS "encoders = ( " VICTIM                        \
    ",\n{ name = \"ind\"; role = \"independent\"; train = { dataset = \"outside\"; arch = \"resnet8\"; } } );\n"
    double seeds[4];
    for (int c = 0; c < 2; c++) {
        struct plan *p = build(c == 0 ? TRIALS(5) EVALUATE : TRIALS(6) EVALUATE);
        for (int trial = 0; trial < 2; trial++) {
            static const char *const names[] = { "dataset_inference:victim.t%d@victim.t%d.1",
                                                 "dataset_inference:ind.t%d@victim.t%d.10",
                                                 "similarity:ind.t%d@victim.t%d" };
            for (int i = 0; i < 3; i++) {
                char name[64];
                snprintf(name, sizeof name, i == 0 ? names[0] : i == 1 ? names[1] : names[2], trial, trial);
                double seed = param(p, plan_find(p, name, NULL), "seed");
                assert_true(seed >= 0 && (i == 0 || seed == seeds[2 * c + trial]));
                seeds[2 * c + trial] = seed;
            }
        }
        plan_destroy(p);
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(seeds[i] != seeds[k]);
    struct plan *p = build(TRIALS(5) "evaluate = { dataset_inference = { seed = 0; };\n"
                                     "similarity = { seed = 7; }; };\n");
    for (int i = 0; i < p->n_tasks; i++) {
        if (strcmp(p->tasks[i].kind->name, "dataset_inference") == 0)
            assert_true(param(p, i, "seed") == 0);
        if (strcmp(p->tasks[i].kind->name, "similarity") == 0)
            assert_true(param(p, i, "seed") == 7);
    }
    plan_destroy(p);
}

static double cost_of(const struct plan *p, const char *name)
{
    int i = plan_find(p, name, NULL);
    assert_true(i >= 0);
    return p->tasks[i].cost;
}

/* Estimates follow what determines them: the encoder's own width, rows, dimensions,
 * covariances, seeds, statistics and obfuscations. Sets of 4000 images, ResNet-10s of
 * width 1 and 0.25: 512 and 128 dimensions, 16 times the products. */
static void costs(void **state)
{
    (void)state;
#define LARGE                                                                                                          \
    CAMPAIGN "datasets = ( { name = \"all\"; format = \"procedural\"; classes = 4; count = 12000; size = 16; },\n"     \
             "{ name = \"members\"; of = \"all\"; begin = 0; count = 4000; },\n"                                       \
             "{ name = \"heldout\"; of = \"all\"; begin = 4000; count = 4000; },\n"                                    \
             "{ name = \"outside\"; of = \"all\"; begin = 8000; count = 4000; } );\n"                                  \
             "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = "             \
             "\"members\"; arch = \"resnet10\"; } }, { name = \"i\"; role = \"independent\"; train = { dataset = "     \
             "\"outside\"; arch = \"resnet10\"; width = 0.25; } } );\n"
    struct plan *p = build(LARGE "evaluate = { dataset_inference = { covariance = ( \"diag\", \"full\" ); seeds = ( 1, "
                                 "3 ); statistics = [ \"gap\" ]; }; similarity = { }; };\n");
    double wide = cost_of(p, "embed:v/members"), narrow = cost_of(p, "embed:i/members");
    assert_true(wide > 5 * narrow && wide < 16 * narrow);
    double diag = cost_of(p, "dataset_inference:v@v.diag.1"), full = cost_of(p, "dataset_inference:v@v.full.1");
    assert_true(full > 10 * diag);
    assert_true(cost_of(p, "dataset_inference:v@v.full.3") > 2.5 * full);
    assert_true(full > 5 * cost_of(p, "dataset_inference:i@v.full.1"));
    double all = cost_of(p, "similarity:v@v");
    plan_destroy(p);
    p = build(LARGE "evaluate = {"
                    "  dataset_inference = { covariance = \"full\"; statistics = [ \"gap\", \"learned\" ]; };\n"
                    "similarity = { sample = 1000; obfuscations = [ \"none\" ]; }; };\n");
    assert_true(cost_of(p, "dataset_inference:v@v") > 1.5 * full);
    assert_true(all > 10 * cost_of(p, "similarity:v@v"));
    plan_destroy(p);
}

static void identity(void **state)
{
    (void)state;
    struct plan *a = build(BASE STEAL("[ 20, 40 ]") EVALUATE);
    /* a larger budget leaves smaller thefts and their evaluations alone */
    struct plan *b = build(BASE STEAL("[ 40, 60, 20 ]") EVALUATE);
    for (int i = 0; i < a->n_tasks; i++) {
        bool query = strcmp(a->tasks[i].kind->name, "query") == 0;
        assert_int_equal(plan_index(b, a->tasks[i].id) >= 0, !query);
    }
    plan_destroy(b);
    /* order, whitespace, names of sets, run settings do not matter */
    b = build("evaluate = { similarity = { }; };\n" SETS
              "campaign = { threads = 2; retries = 5;\n name = \"another\"; };\n"
              "encoders = ( { role = \"victim\"; train = { arch = \"resnet8\"; checkpoint_seconds = 5; dataset = "
              "\"members\"; batch_norm = \"joint\"; };\n"
              "name = \"w\"; } );\n");
    assert_string_equal(id_of(a, "train:victim"), id_of(b, "train:w"));
    assert_string_equal(id_of(a, "similarity:victim@victim"), id_of(b, "similarity:w@w"));
    plan_destroy(b);
    /* seed, options and data do */
    static const char *const different[] = {
        "campaign = { name = \"t\"; seed = 1; };\n" SETS ENCODERS,
        CAMPAIGN SETS "encoders = ( { name = \"victim\"; role = \"victim\"; train = { dataset = \"outside\"; arch = "
                      "\"resnet8\"; } } );",
        CAMPAIGN SETS "encoders = ( { name = \"victim\"; role = \"victim\"; train = { dataset = \"members\"; arch = "
                      "\"resnet8\"; epochs = 3; } } );",
        CAMPAIGN SETS "encoders = ( { name = \"victim\"; role = \"victim\"; train = { dataset = \"members\"; arch = "
                      "\"resnet8\"; batch_norm = \"per-view\"; } } );",
    };
    for (int i = 0; i < 4; i++) {
        b = build(different[i]);
        assert_string_not_equal(id_of(a, "train:victim"), id_of(b, "train:victim"));
        plan_destroy(b);
    }
    plan_destroy(a);
}

/* Ids and seeds of the versions whose resampler was another one: where an encoder resizes what it looks at the id is
 * new, and so are those behind it; seeds, and everything else, are what they were. */
static void resized(void **state)
{
    (void)state;
    static const struct {
        const char *task, *id;
        double seed;
        bool resized;
    } before[] = {
        { "train:victim", "dbca000648116f5dfcc1ea42faa970dc", 1137586446, false },
        { "query:victim.outside", "a607e23d68739b13935ab123aa7526ca", 786205256, false },
        { "steal:victim.outside.20.mse", "e56f0cf1e135ea6c8ee8a3579d2bbd99", 1907771906, false },
        { "query:victim.big", "6b9e70a4b5967bfac1b793d438912fcf", 1851087701, true },
        { "steal:victim.big.20.mse", "05faf9f0cfa4ef38648afad55c518d9a", 229132850, true },
        { "embed:victim/members", "ec408415c5d8aa8fe17042720e91cbe9", -1, false },
        { "similarity:victim.big.20.mse@victim", "732fed6a19ce4775658912186fde78f5", 982199542, true },
    };
    struct plan *p =
        build(CAMPAIGN "datasets = ( { name = \"all\"; format = \"procedural\"; count = 300; size = 8; },\n"
                       "{ name = \"members\"; of = \"all\"; begin = 0; count = 100; },\n"
                       "{ name = \"heldout\"; of = \"all\"; begin = 100; count = 100; },\n"
                       "{ name = \"outside\"; of = \"all\"; begin = 200; count = 100; },\n"
                       "{ name = \"big\"; format = \"procedural\"; family = 1; count = 50; size = 12; } );\n" ENCODERS
                       "steal = ( { victim = \"victim\"; queries = [ \"outside\", \"big\" ]; budgets = 20; "
                       "loss = [ \"mse\", \"infonce\" ]; arch = \"resnet8\"; batch = 10; } );\n"
                       "evaluate = { similarity = { }; };\n");
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        struct err err;
        int t = plan_find(p, before[i].task, &err);
        if (t < 0)
            fail_msg("%s", err.text);
        if ((strcmp(p->tasks[t].id, before[i].id) != 0) != before[i].resized ||
            json_number(p->tasks[t].params, "seed", -1) != before[i].seed)
            fail_msg("%s is %s, seed %.0f", before[i].task, p->tasks[t].id,
                     json_number(p->tasks[t].params, "seed", -1));
    }
    plan_destroy(p);
}

static void sweeps_and_trials(void **state)
{
    (void)state;
    struct plan *p = build("campaign = { name = \"t\"; trials = 2; };\n" SETS "encoders = ( " VICTIM
                           ",\n{ name = \"ind\"; role = \"independent\"; train = { dataset = \"outside\"; "
                           "arch = \"resnet8\"; width = ( 0.5, 1 ); } } );\n"
                           "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 10; arch = \"resnet8\"; "
                           "lr = ( 0.1, 0.2 ); name = \"x\";\n"
                           "query = { views = [ 1, 2 ]; }; } );\nevaluate = { dataset_inference = { }; };\n");
    id_of(p, "train:victim.t0");
    id_of(p, "train:ind.0.5.t1");
    id_of(p, "steal:victim.outside.10.infonce.0.1.2.x.t1");
    id_of(p, "query:victim.t1.outside.2");
    id_of(p, "dataset_inference:ind.1.t0@victim.t0");
    int n = 0;
    for (int i = 0; i < p->n_tasks; i++)
        n += strcmp(p->tasks[i].kind->name, "dataset_inference") == 0;
    assert_int_equal(n, 2 * (1 + 2 + 4)); /* no trial meets another trial's victim */
    assert_true(label(p, "train:victim.t1", "trial") == 1);
    plan_destroy(p);
}

/* A list makes several victims of one block: its name means all of them, and theirs each. */
static void thefts_of_a_sweep(void **state)
{
    (void)state;
    static const struct {
        const char *victim;
        int thefts;
    } cases[] = { { "victim", 2 * 2 }, { "victim.1", 2 }, { "victim.0.5", 2 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        snprintf(text, sizeof text,
                 "campaign = { name = \"t\"; trials = 2; };\n" SETS
                 "encoders = ( { name = \"victim\"; role = \"victim\"; heldout = \"heldout\"; "
                 "train = { dataset = \"members\"; arch = \"resnet8\"; width = [ 0.5, 1.0 ]; }; } );\n"
                 "steal = ( { victim = \"%s\"; queries = \"outside\"; budgets = 10; loss = \"infonce\"; "
                 "arch = \"resnet8\"; head = \"mlp\"; } );\n",
                 cases[i].victim);
        struct plan *p = build(text);
        int n = 0;
        for (int k = 0; k < p->n_tasks; k++)
            n += strcmp(p->tasks[k].kind->name, "steal") == 0;
        assert_int_equal(n, cases[i].thefts);
        id_of(p, i == 1 ? "steal:victim.1.outside.10.infonce.t1" : "steal:victim.0.5.outside.10.infonce.t0");
        plan_destroy(p);
    }
}

/* Two victims with one training set: every pair has its row. */
static void two_victims(void **state)
{
    (void)state;
    struct plan *p = build(
        CAMPAIGN SETS "encoders = ( " VICTIM ",\n{ name = \"second\"; role = \"victim\"; "
                      "heldout = \"heldout\"; train = { dataset = \"members\"; arch = "
                      "\"resnet10\"; } } );\n"
                      "steal = ( { victim = \"victim\"; queries = \"outside\"; budgets = 10; arch = \"resnet8\"; } );\n"
                      "evaluate = { dataset_inference = { }; };\n");
    static const char *const rows[][2] = {
        { "dataset_inference:victim@victim", "victim" },
        { "dataset_inference:second@victim", "independent" },
        { "dataset_inference:victim.outside.10.infonce@victim", "thief" },
        { "dataset_inference:victim@second", "independent" },
        { "dataset_inference:second@second", "victim" },
        { "dataset_inference:victim.outside.10.infonce@second", "independent" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = { "" };
        int task = plan_find(p, rows[i][0], &err);
        assert_true(task >= 0);
        assert_string_equal(cJSON_GetObjectItem(p->tasks[task].labels, "role")->valuestring, rows[i][1]);
    }
    plan_destroy(p);
}

static int size_of(const struct plan *p, const char *task)
{
    return cJSON_GetObjectItem(p->tasks[plan_find(p, task, NULL)].params, "size")->valueint;
}

/* Weights count by their bytes, wherever they lie; a path is relative to its config. The input
 * size that is not said is the stem's. */
static void imported(void **state)
{
    (void)state;
#define IMPORT(file)                                                                                                   \
    CAMPAIGN SETS "encoders = ( " VICTIM                                                                               \
                  ",\n{ name = \"mine\"; role = \"suspect\"; arch = \"resnet18\"; weights = \"" file                   \
                  "\"; } );\nevaluate = { dataset_inference = { }; };\n"
    char text[4096];
    write_file("a.safetensors", "one");
    write_file("b.safetensors", "one");
    write_file("c.safetensors", "two");
    struct plan *a = build(IMPORT("a.safetensors")), *b = build(IMPORT("b.safetensors")),
                *c = build(IMPORT("c.safetensors"));
    assert_string_equal(id_of(a, "import:mine"), id_of(b, "import:mine"));
    assert_string_not_equal(id_of(a, "import:mine"), id_of(c, "import:mine"));
    assert_string_equal(id_of(a, "dataset_inference:mine@victim"), id_of(b, "dataset_inference:mine@victim"));
    assert_string_not_equal(id_of(a, "dataset_inference:mine@victim"), id_of(c, "dataset_inference:mine@victim"));
    snprintf(text, sizeof text, "%s/a.safetensors", folder);
    assert_string_equal(cJSON_GetObjectItem(a->tasks[plan_find(a, "import:mine", NULL)].params, "weights")->valuestring,
                        text);
    struct plan *large = build(IMPORT("a.safetensors\"; stem = \"imagenet")),
                *said = build(IMPORT("a.safetensors\"; stem = \"imagenet\"; size = 96; strip = \"")),
                *same = build(IMPORT("a.safetensors\"; size = 32; strip = \""));
    assert_int_equal(size_of(a, "import:mine"), 32);
    assert_int_equal(size_of(large, "import:mine"), 224);
    assert_int_equal(size_of(said, "import:mine"), 96);
    assert_string_equal(id_of(a, "import:mine"), id_of(same, "import:mine"));
    plan_destroy(large);
    plan_destroy(said);
    plan_destroy(same);
    plan_destroy(a);
    plan_destroy(b);
    plan_destroy(c);
    struct plan *none;
    struct conf *conf = load(IMPORT("none.safetensors"), &none);
    assert_int_equal(conf->n_errors, 1);
    assert_non_null(strstr(conf->errors[0], "c.cfg:8: weights: "));
    conf_destroy(conf);
}

static void every_device(void **state)
{
    (void)state;
    for (int i = 0; device_kinds[i] != NULL; i++) {
        char text[256];
        snprintf(text, sizeof text, "campaign = { name = \"t\"; device = \"%s\"; };\nmock = ( { name = \"m\"; } );\n",
                 device_kinds[i]->name);
        plan_destroy(build(text));
    }
}

static void many_mocks(void **state)
{
    (void)state;
    struct plan *p = build(
        CAMPAIGN
        "mock = ( { name = \"a\"; count = 100; }, { name = \"b\"; count = 10000; after = \"a\"; seconds = 1.0; } );");
    struct simulation s;
    struct err err;
    assert_int_equal(p->n_tasks, 10100);
    assert_int_equal(p->tasks[100 + 205].input_tasks[0], 5);
    assert_int_equal(schedule_simulate(p, 4096, &s, &err), 0);
    assert_true(s.makespan >= 3);
    plan_destroy(p);
}

/* A matrix (n, d) of zeros with x in front, so that no two files are equal. */
static void write_matrix(const char *name, int n, int d, char x)
{
    static char bytes[4096];
    struct err err;
    char path[512];
    const int header = 128;
    memset(bytes, 0, sizeof bytes);
    static const unsigned char magic[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0 };
    memcpy(bytes, magic, sizeof magic);
    int used = snprintf(bytes + 10, 118, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n, d);
    memset(bytes + 10 + used, ' ', (size_t)(header - 11 - used));
    bytes[header - 1] = '\n';
    bytes[header] = x;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fs_write_atomic(path, bytes, (size_t)(header + 4 * n * d), &err), 0);
}

/* One error each, and that one; NULL: none. An error that does not begin with the file stands behind what another room
 * says. */
static void other_bad_configs(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { BASE "steal = 5;", "c.cfg:8: steal must be a list of groups: ( { victim = ...; }, ... )" },
        { BASE "steal = ( 5 );", "c.cfg:8: a theft is a group { victim = ...; queries = ...; budgets = ...; }" },
        { BASE "steal = ( { victim = 3; queries = \"outside\"; arch = \"resnet8\"; budgets = 5; } );",
          "c.cfg:8: victim must be the name of an encoder" },
        { BASE "steal = ( { victim = \"victim\"; queries = 3; arch = \"resnet8\"; budgets = 5; } );",
          "c.cfg:8: queries must be names of data sets" },
        { BASE "steal = ( { victim = [ ]; queries = \"outside\"; arch = \"resnet8\"; budgets = 5; } );",
          "c.cfg:8: victim is empty: a theft needs victim, queries and budgets" },
        { BASE "steal = ( { queries = \"outside\"; arch = \"resnet8\"; budgets = 5; } );",
          "c.cfg:8: victim is missing: a theft needs victim, queries and budgets" },
        { BASE "steal = ( { victim = \"victim\"; arch = \"resnet8\"; budgets = 5; } );",
          "c.cfg:8: queries is missing: a theft needs victim, queries and budgets" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; arch = \"resnet8\"; budgets = \"5\"; } );",
          "c.cfg:8: a budget is a number of images, an integer of at least 1" },
        { BASE "steal = ( { victim = \"victim\"; queries = \"outside\"; arch = \"resnet8\"; budgets = 5.5; } );",
          "c.cfg:8: a budget is a number of images, an integer of at least 1" },
        { BASE
          "steal = ( { victim = \"victim\"; queries = \"outside\"; arch = \"resnet8\"; budgets = 5; query = 3; } );",
          "c.cfg:8: query must be a group { }" },
        { BASE
          "steal = ( { victim = \"victim\"; queries = \"outside\"; arch = \"resnet8\"; budgets = 5; name = \"\"; } );",
          "c.cfg:8: name must have 1 to 127 characters" },
        { CAMPAIGN "datasets = ( { name = \"a\"; format = \"procedural\"; count = 40; size = 8; },\n{ name = \"b\"; "
                   "parts = ( \"a\", { of = \"a\"; count = 5; } ); } );\nencoders = ( { name = \"v\"; role = "
                   "\"victim\"; train = { dataset = \"a\"; arch = \"resnet8\"; }; } );\nsteal = ( { victim = \"v\"; "
                   "queries = \"b\"; arch = \"resnet8\"; budgets = 5; loss = \"mse\"; } );",
          "c.cfg:5: \"b\" repeats images, but a budget counts unique ones" },
        { BASE "evaluate = 3;", "c.cfg:8: evaluate must be a group: { dataset_inference = { }; ... }" },
        { BASE "evaluate = { similarity = 3; };", "c.cfg:8: similarity must be a group { }" },
        { CAMPAIGN SETS "encoders = 3;", "c.cfg:7: encoders must be a list of groups: ( { name = ...; }, ... )" },
        { CAMPAIGN SETS "encoders = ( 3, { name = \"v\"; role = \"victim\";  train = { dataset = \"members\"; arch = "
                        "\"resnet8\"; }; } );",
          "c.cfg:7: an encoder is a group { name = ...; role = ...; train = { ... }; }" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; members = \"members\"; train = { dataset = "
                        "\"members\"; arch = \"resnet8\"; }; } );",
          "c.cfg:7: members is for imported victims: this one's are its training set" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; weights = \"w.safetensors\"; arch = \"resnet8\"; } );",
          "c.cfg:7: an imported victim needs members = \"SET\": what it was trained on" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; weights = \"w.safetensors\"; arch = "
                        "\"resnet8\"; members = \"half\";\nheldout = \"members\"; } );",
          "c.cfg:7: \"half\" and \"members\" share 50 images, but held-out images must not be trained on" },
        { CAMPAIGN SETS "encoders = ( { name = \"v/w\"; role = \"victim\"; train = { dataset = \"members\"; }; } );",
          "c.cfg:7: name = \"v/w\" must not have a slash: names are groups of results.h5" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = { dataset = 3; }; } );",
          "c.cfg:7: dataset must be a string" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; train = 3; } );",
          "c.cfg:7: train must be a group { }" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\";  train = { dataset = \"members\"; arch = \"resnet8\"; }; "
          "},\n{ name = \"w\"; role = \"victim\"; train = { dataset = \"members\"; arch = \"resnet8\"; }; } );",
          "c.cfg:8: encoder \"w\" is the same experiment as \"v\"" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"nothing\"; train = { dataset = "
                        "\"members\"; }; } );",
          "c.cfg:7: there is no data set \"nothing\"" },
        { CAMPAIGN "datasets = ( 3 );\nmock = ( { name = \"m\"; } );",
          "c.cfg:2: a data set is a group { name = ...; }" },
        { CAMPAIGN "datasets = ( { name = \"a/b\"; format = \"procedural\"; } );\nmock = ( { name = \"m\"; } );",
          "c.cfg:2: name = \"a/b\" must not have a slash: names are groups of results.h5" },
        { CAMPAIGN "datasets = ( { name = \"a\"; format = \"procedural\"; },\n{ name = \"a\"; format = \"procedural\"; "
                   "} );\nmock = ( { name = \"m\"; } );",
          "c.cfg:3: there are two data sets called \"a\"" },
        { CAMPAIGN SETS "mock = ( { name = \"m\"; } );", NULL },
        { CAMPAIGN "datasets = ( { name = \"a\"; parts = 3; } );\nmock = ( { name = \"m\"; } );",
          "c.cfg:2: parts must be a list of sets" },
        { CAMPAIGN "datasets = ( { name = \"a\"; parts = ( ); } );\nmock = ( { name = \"m\"; } );",
          "c.cfg:2: parts must be a list of sets" },
        { CAMPAIGN "datasets = ( { name = \"a\"; format = \"procedural\"; count = 9; size = 8; }, { name = \"b\"; "
                   "parts = ( \"a\",\n3 ); } );\nmock = ( { name = \"m\"; } );",
          "c.cfg:3: a part is the name of a set or { of = ...; begin = ...; count = ...; }" },
        { CAMPAIGN "datasets = ( { name = \"a\"; format = \"procedural\"; count = 9; size = 8; }, { name = \"b\"; of = "
                   "\"a\";\nbegin = 9; } );\nmock = ( { name = \"m\"; } );",
          "data set \"b\": " },
        { CAMPAIGN
          "datasets = ( { name = \"a\"; format = \"procedural\"; count = 9; size = 8; }, { name = \"b\"; of = "
          "\"a\";\nbegin = 9; } );\nencoders = ( { name = \"v\"; role = \"victim\"; heldout = \"b\"; train = { dataset "
          "= \"b\"; }; } );\nsteal = ( { victim = \"v\"; queries = \"b\"; budgets = 5; } );",
          "data set \"b\": " },
        { CAMPAIGN "mock = 3;", "c.cfg:2: mock must be a list of groups: ( { name = ...; }, ... )" },
        { CAMPAIGN "mock = ( 3, { name = \"m\"; } );", "c.cfg:2: a mock block is a group { name = ...; }" },
        { CAMPAIGN "mock = ( { name = \"m\"; },\n{ name = \"m\"; } );",
          "c.cfg:3: there are two mock blocks called \"m\"" },
        { CAMPAIGN "mock = ( { name = \"m\"; }, { name = \"n\"; after = 3; } );",
          "c.cfg:2: after must be the name of an earlier mock block" },
        { CAMPAIGN "mock = ( { name = \"m\"; }, { name = \"n\"; after = [ \"m\", \"m\", \"m\", \"m\", \"m\", \"m\", "
                   "\"m\", \"m\", \"m\" ]; } );",
          "c.cfg:2: at most 8 blocks can stand in after" },
        { CAMPAIGN "mock = ( { name = \"m\"; }, { name = \"n\"; after = [ \"m\", \"m\", \"m\", \"m\", \"m\", \"m\", "
                   "\"m\", \"m\" ]; } );",
          NULL },
        { CAMPAIGN "mock = ( { name = \"m\"; count = 0; } );",
          "c.cfg:2: count = 0 is out of bounds: it must lie in 1 .. 1000000" },
        { CAMPAIGN "mock = ( { name = 3; } );", "c.cfg:2: name must be a string" },
        { CAMPAIGN "mock = ( { count = 3; } );", "c.cfg:2: name is missing" },
        { "campaign = { name = \".a\"; };\nmock = ( { name = \"m\"; } );",
          "c.cfg:1: name = \".a\" cannot name a folder" },
        { "campaign = { name = \"\"; };\nmock = ( { name = \"m\"; } );", "c.cfg:1: name = \"\" cannot name a folder" },
        { CAMPAIGN "mock = ( { name = "
                   "\"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
                   "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\"; } );",
          NULL },
        { CAMPAIGN "mock = ( { name = "
                   "\"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
                   "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\"; } );",
          "c.cfg:2: name must have 1 to 127 characters" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = \"h.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          NULL },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"independent\"; representations = { members = "
          "\"m.npy\"; heldout = \"h.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          NULL },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = "
                        "\"members\"; arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations "
                        "= 3;  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: representations must be a group { members = \"FILE.npy\"; heldout = \"FILE.npy\"; }" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = "
                        "\"members\"; arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations "
                        "= { };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: representations must be a group { members = \"FILE.npy\"; heldout = \"FILE.npy\"; }" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = 3; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: heldout must be the name of a file of 1 to 511 characters" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = \"\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: heldout must be the name of a file of 1 to 511 characters" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = \"m.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: members and heldout are the same file" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldot = \"h.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: there is no data set \"heldot\"; did you mean \"heldout\"?" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = "
                        "\"members\"; arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations "
                        "= { members = \"m.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: api has no representations of the held-out images \"heldout\": heldout = \"FILE.npy\" is wanted" },
        { CAMPAIGN SETS "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = "
                        "\"members\"; arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"victim\"; representations "
                        "= { members = \"m.npy\"; heldout = \"h.npy\"; }; heldout = \"heldout\"; } );\nevaluate = { "
                        "dataset_inference = { components = 2; }; };",
          "c.cfg:8: a victim's weights are needed: representations are for suspects and independents" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = \"few.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "few.npy has 99 rows where the set has 100 images" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = \"wide.npy\"; };  } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:8: wide.npy: representations of length 8, but others of api have 4" },
        { CAMPAIGN SETS
          "encoders = ( { name = \"v\"; role = \"victim\"; heldout = \"heldout\"; train = { dataset = \"members\"; "
          "arch = \"resnet8\"; }; },\n{ name = \"api\"; role = \"suspect\"; representations = { members = \"m.npy\"; "
          "heldout = \"h.npy\"; };  },\n{ name = \"api2\"; role = \"suspect\"; representations = { members = "
          "\"m.npy\"; heldout = \"h2.npy\"; }; } );\nevaluate = { dataset_inference = { components = 2; }; };",
          "c.cfg:9: api and api2 are the same representations" },
    };
    write_file("w.safetensors", "weights");
    write_matrix("m.npy", 100, 4, 1);
    write_matrix("h.npy", 100, 4, 2);
    write_matrix("h2.npy", 100, 4, 3);
    write_matrix("few.npy", 99, 4, 4);
    write_matrix("wide.npy", 100, 8, 5);
    int bad = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan *plan;
        struct conf *conf = load(cases[i][0], &plan);
        const char *want = cases[i][1], *first = conf->n_errors == 0 ? "no error" : conf->errors[0];
        if (strncmp(first, folder, strlen(folder)) == 0)
            first += strlen(folder) + 1;
        const bool whole = want != NULL && strncmp(want, "c.cfg:", 6) == 0;
        if (conf->n_errors != (want != NULL) ||
            (want != NULL && (whole ? strcmp(first, want) != 0 : strstr(first, want) == NULL)))
            print_error("%s\n%d errors: %s, not %s\n", cases[i][0], conf->n_errors, first, want), bad++;
        plan_destroy(plan);
        conf_destroy(conf);
    }
    assert_int_equal(bad, 0);
}

/* Every task of a config that says all that can be said: ids, names, seeds, inputs and labels stay what they are, so
 * that runs of earlier versions are gone on with. DINF_WRITE=1 writes the list anew, for those who change one on
 * purpose. */
static void golden_plan(void **state)
{
    (void)state;
    struct err err = { "" };
    char *config, *want, *text = NULL;
    size_t bytes, size;
    write_file("w.safetensors", "weights");
    write_file("v.safetensors", "others");
    write_matrix("m.npy", 100, 4, 1);
    write_matrix("h.npy", 100, 4, 2);
    write_matrix("o.npy", 80, 4, 3);
    write_matrix("f.npy", 80, 4, 4);
    assert_int_equal(fs_read(TEST_DATA "/golden/plan/plan.cfg", &config, &bytes, &err), 0);
    struct plan *p = build(config);
    FILE *f = open_memstream(&text, &size);
    for (int i = 0; i < p->n_tasks; i++) {
        const struct plan_task *t = &p->tasks[i];
        char *labels = json_canonical(t->labels, &err);
        fprintf(f, "%s %s seed %.0f", t->id, t->name, json_number(t->params, "seed", -2));
        for (int k = 0; k < t->n_inputs; k++) {
            assert_string_equal(t->inputs[k].id, p->tasks[t->input_tasks[k]].id);
            fprintf(f, " %s=%s", t->inputs[k].role, p->tasks[t->input_tasks[k]].name);
        }
        fprintf(f, " %s\n", labels);
        mem_free(labels);
    }
    fclose(f);
    if (getenv("DINF_WRITE") != NULL)
        assert_int_equal(fs_write_atomic(TEST_DATA "/golden/plan/plan.txt", text, size, &err), 0);
    assert_int_equal(fs_read(TEST_DATA "/golden/plan/plan.txt", &want, &bytes, &err), 0);
    for (const char *a = text, *b = want; *a != '\0' || *b != '\0';) {
        const size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");
        if (n != m || memcmp(a, b, n) != 0)
            fail_msg("not\n%.*s\nbut\n%.*s", (int)m, b, (int)n, a);
        a += n + (a[n] != '\0');
        b += m + (b[m] != '\0');
    }
    plan_destroy(p);
    free(text);
    mem_free(want);
    mem_free(config);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    struct err err;
    return fs_remove_tree(folder, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bad_configs),        cmocka_unit_test(all_errors),
                                        cmocka_unit_test(names_hide_nothing), cmocka_unit_test(misplaced_options),
                                        cmocka_unit_test(contradictions),     cmocka_unit_test(whole_campaign),
                                        cmocka_unit_test(identity),           cmocka_unit_test(resized),
                                        cmocka_unit_test(sweeps_and_trials),  cmocka_unit_test(thefts_of_a_sweep),
                                        cmocka_unit_test(two_victims),        cmocka_unit_test(imported),
                                        cmocka_unit_test(every_device),       cmocka_unit_test(many_mocks),
                                        cmocka_unit_test(evaluation_seeds),   cmocka_unit_test(costs),
                                        cmocka_unit_test(plan_for_scripts),   cmocka_unit_test(golden_plan),
                                        cmocka_unit_test(other_bad_configs) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
