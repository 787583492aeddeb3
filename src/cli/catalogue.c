/* The tables have rows of many types; here they become one. */
#include "cli/catalogue.h"

#include "device/device.h"
#include "nn/nn.h"
#include "plan/blocks.h"
#include "stats/inference.h"
#include "stats/similarity.h"
#include "tasks/task.h"

static void add(const struct catalogue_sink *to, const char *name, const char *help, const struct option *options)
{
    const struct catalogue_entry entry = { .name = name, .help = help, .options = { options } };
    to->entry(to->arg, &entry);
}

/* Rows of the nn tables begin with a struct nn_row. */
static void walk_nn(const struct catalogue_sink *to, const void *const *rows)
{
    for (int i = 0; rows[i] != NULL; i++) {
        const struct nn_row *row = rows[i];
        add(to, row->name, row->help, row->options);
    }
}

static void walk_losses(const struct catalogue_sink *to)
{
    walk_nn(to, (const void *const *)loss_kinds);
}

static void walk_archs(const struct catalogue_sink *to)
{
    walk_nn(to, (const void *const *)arch_kinds);
    to->common(to->arg, "encoder", encoder_options);
}

static void walk_optimizers(const struct catalogue_sink *to)
{
    walk_nn(to, (const void *const *)optim_kinds);
}

static void walk_augments(const struct catalogue_sink *to)
{
    walk_nn(to, (const void *const *)augment_kinds);
}

static void walk_datasets(const struct catalogue_sink *to)
{
    for (int i = 0; dataset_formats[i] != NULL; i++)
        add(to, dataset_formats[i]->name, dataset_formats[i]->help, dataset_formats[i]->options);
}

static void walk_tasks(const struct catalogue_sink *to)
{
    struct err unused;
    for (int i = 0; task_kinds[i] != NULL; i++) {
        struct catalogue_entry entry = { .name = task_kinds[i]->name, .help = task_kinds[i]->help };
        int n = task_kind_tables(task_kinds[i], NULL, entry.options, CATALOGUE_TABLES - 1, &unused);
        entry.options[n < 0 ? 0 : n] = NULL;
        to->entry(to->arg, &entry);
    }
}

static void walk_devices(const struct catalogue_sink *to)
{
    for (int i = 0; device_kinds[i] != NULL; i++) {
        struct err why;
        struct library libraries[CATALOGUE_LIBRARIES];
        struct catalogue_entry entry = { .name = device_kinds[i]->name, .help = device_kinds[i]->help };
        entry.missing = device_kinds[i]->available(&why) != 0;
        entry.why = entry.missing ? why.text : NULL;
        if (!entry.missing && device_kinds[i]->libraries != NULL) {
            entry.libraries = libraries;
            entry.n_libraries = device_kinds[i]->libraries(libraries, CATALOGUE_LIBRARIES);
        }
        to->entry(to->arg, &entry);
    }
}

static void walk_blocks(const struct catalogue_sink *to)
{
    for (const struct plan_block *b = plan_blocks; b->name != NULL; b++)
        add(to, b->name, b->help, b->options);
}

static void walk_statistics(const struct catalogue_sink *to)
{
    for (int i = 0; statistics[i] != NULL; i++)
        add(to, statistics[i]->name, statistics[i]->help, NULL);
    to->common(to->arg, "statistic", inference_options_table);
}

static void walk_obfuscations(const struct catalogue_sink *to)
{
    for (int i = 0; obfuscations[i] != NULL; i++)
        add(to, obfuscations[i]->name, obfuscations[i]->help, NULL);
}

const struct catalogue catalogues[] = {
    { "losses", walk_losses },
    { "archs", walk_archs },
    { "datasets", walk_datasets },
    { "tasks", walk_tasks },
    { "devices", walk_devices },
    { "optimizers", walk_optimizers },
    { "augments", walk_augments },
    { "statistics", walk_statistics },
    { "obfuscations", walk_obfuscations },
    { "blocks", walk_blocks },
    { NULL, NULL },
};
