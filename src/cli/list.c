/* dinf list: every table of the program, with the options of its rows. */
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "cli/cli.h"
#include "device/device.h"
#include "nn/nn.h"
#include "plan/blocks.h"
#include "stats/inference.h"
#include "stats/similarity.h"
#include "tasks/task.h"

/* Words of `text` from column 22 on, broken before column 80. */
static void print_wrapped(const char *text)
{
    enum { LEFT = 22, RIGHT = 79 };
    int column = LEFT;
    while (*text != '\0') {
        int n = (int)strcspn(text, " ");
        if (column > LEFT && column + 1 + n > RIGHT) {
            printf("\n%*s", LEFT, "");
            column = LEFT;
        } else if (column > LEFT) {
            putchar(' ');
            column++;
        }
        printf("%.*s", n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_row(const char *name, const char *help, const struct option *options)
{
    printf("  %-20s", name);
    print_wrapped(help);
    if (options != NULL && options[0].name != NULL)
        options_print(options, "      ", "");
}

/* Rows of the nn tables begin with a struct nn_row. */
static void print_nn(const void *const *rows)
{
    for (int i = 0; rows[i] != NULL; i++) {
        const struct nn_row *row = rows[i];
        print_row(row->name, row->help, row->options);
    }
}

static void list_losses(void)
{
    print_nn((const void *const *)loss_kinds);
}

static void list_archs(void)
{
    print_nn((const void *const *)arch_kinds);
    printf("options of every encoder:\n");
    options_print(encoder_options, "      ", "");
}

static void list_optimizers(void)
{
    print_nn((const void *const *)optim_kinds);
}

static void list_augments(void)
{
    print_nn((const void *const *)augment_kinds);
}

static void list_datasets(void)
{
    for (int i = 0; dataset_formats[i] != NULL; i++)
        print_row(dataset_formats[i]->name, dataset_formats[i]->help, dataset_formats[i]->options);
}

static void list_tasks(void)
{
    enum { TABLES_MAX = 16 };
    const struct option *tables[TABLES_MAX];
    struct err unused;
    for (int i = 0; task_kinds[i] != NULL; i++) {
        print_row(task_kinds[i]->name, task_kinds[i]->help, NULL);
        int n = task_kind_tables(task_kinds[i], NULL, tables, TABLES_MAX, &unused);
        for (int k = 0; k < n; k++)
            options_print(tables[k], "      ", "");
    }
}

static void list_devices(void)
{
    for (int i = 0; device_kinds[i] != NULL; i++) {
        struct err why;
        bool usable = device_kinds[i]->available(&why) == 0;
        char text[sizeof why.text + 256];
        snprintf(text, sizeof text, "%s%s%s%s", device_kinds[i]->help,
                 usable ? "" : " [not here: ", usable ? "" : why.text, usable ? "" : "]");
        print_row(device_kinds[i]->name, text, NULL);
    }
}

static void list_blocks(void)
{
    for (const struct plan_block *b = plan_blocks; b->name != NULL; b++) {
        printf("  %s\n      %s\n", b->name, b->help);
        if (b->options != NULL)
            options_print(b->options, "      ", "");
    }
}

static void list_statistics(void)
{
    for (int i = 0; statistics[i] != NULL; i++)
        print_row(statistics[i]->name, statistics[i]->help, NULL);
    printf("options of every statistic:\n");
    options_print(inference_options_table, "      ", "");
}

static void list_obfuscations(void)
{
    for (int i = 0; obfuscations[i] != NULL; i++)
        print_row(obfuscations[i]->name, obfuscations[i]->help, NULL);
}

static const struct {
    const char *name;
    void (*print)(void);
} lists[] = {
    { "losses", list_losses },     { "archs", list_archs },           { "datasets", list_datasets },
    { "tasks", list_tasks },       { "devices", list_devices },       { "optimizers", list_optimizers },
    { "augments", list_augments }, { "statistics", list_statistics }, { "obfuscations", list_obfuscations },
    { "blocks", list_blocks },
};
enum { LISTS = sizeof lists / sizeof lists[0] };

int cli_list(int argc, char **argv)
{
    static const struct option none[] = { OPTION_END };
    struct err err;
    const char *what = NULL, *names[LISTS];
    int n, unused;
    int rc = cli_parse(argc, argv,
                       "list [losses|archs|datasets|tasks|devices|optimizers|augments|\n"
                       "                  statistics|obfuscations|blocks]",
                       "What this build knows, with the options that each entry takes in a config.", none, &unused,
                       &what, 1, &n, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    for (int i = 0; i < LISTS; i++) {
        names[i] = lists[i].name;
        if (what != NULL && strcmp(what, lists[i].name) != 0)
            continue;
        printf("%s:\n", lists[i].name);
        lists[i].print();
        if (what != NULL)
            return EXIT_DONE;
    }
    if (what == NULL)
        return EXIT_DONE;
    char hint[NAMES_HINT];
    names_hint(what, names, LISTS, hint);
    err_set(&err, "no list \"%.100s\"%s", what, hint);
    return cli_error(&err);
}
