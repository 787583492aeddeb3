/* dinf list: every table of the program, with the options of its rows. */
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "base/wrap.h"
#include "cli/catalogue.h"
#include "cli/cli.h"
#include "cli/json.h"

struct list_options {
    bool json;
};

static const struct option table[] = {
    OPTION_OF(struct list_options, json, OPTION_BOOL, "false", 0, 0, NULL, NULL,
              "one JSON object on standard output: every list by its name, with its entries and the types, "
              "defaults and bounds of their options"),
    OPTION_END,
};

static void print_entry(void *arg, const struct catalogue_entry *entry)
{
    enum { LEFT = 22 };
    char text[sizeof((struct err *)NULL)->text + 1024];
    (void)arg;
    int n = snprintf(text, sizeof text, "%s%s%s%s", entry->help, entry->missing ? " [not here: " : "",
                     entry->missing ? entry->why : "", entry->missing ? "]" : "");
    for (int i = 0; i < entry->n_libraries && n >= 0 && (size_t)n < sizeof text; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "; %s %s", entry->libraries[i].name,
                      entry->libraries[i].version);
    printf("  %-20s", entry->name);
    if (strlen(entry->name) > LEFT - 3)
        printf("\n%*s", LEFT, "");
    wrap_print(text, LEFT, LEFT);
    for (int i = 0; entry->options[i] != NULL; i++)
        options_print(entry->options[i], "      ", "");
}

static void print_common(void *arg, const char *of, const struct option *options)
{
    (void)arg;
    printf("options of every %s:\n", of);
    options_print(options, "      ", "");
}

static int print_json(const struct catalogue *first, int n, struct err *err)
{
    cJSON *all = cJSON_CreateObject();
    for (int i = 0; i < n; i++) {
        cJSON *list = catalogue_json(&first[i]);
        if (list == NULL || !cJSON_AddItemToObject(all, first[i].name, list)) {
            cJSON_Delete(list);
            cJSON_Delete(all);
            return err_set(err, "out of memory");
        }
    }
    json_print(all);
    return 0;
}

static void print_text(const struct catalogue *first, int n)
{
    const struct catalogue_sink sink = { print_entry, print_common, NULL };
    for (int i = 0; i < n; i++) {
        printf("%s:\n", first[i].name);
        first[i].walk(&sink);
    }
}

int cli_list(int argc, char **argv)
{
    enum { MOST = 64 };
    struct err err;
    struct list_options o;
    const char *what = NULL, *names[MOST];
    int n, n_lists = 0, chosen = -1;
    int rc = cli_parse(argc, argv, "list [WHAT] [--json]",
                       "What this build knows, with the options that each entry takes in a config. WHAT:\n"
                       "losses, archs, datasets, tasks, devices, optimizers, augments, statistics,\n"
                       "obfuscations or blocks; if not given, all.",
                       table, &o, &what, 1, &n, &err);
    if (rc != 0)
        return rc > 0 ? EXIT_DONE : cli_error(&err);
    for (; catalogues[n_lists].name != NULL && n_lists < MOST; n_lists++) {
        names[n_lists] = catalogues[n_lists].name;
        if (what != NULL && strcmp(what, names[n_lists]) == 0)
            chosen = n_lists;
    }
    if (what != NULL && chosen < 0) {
        char hint[NAMES_HINT];
        names_hint(what, names, (size_t)n_lists, hint);
        err_set(&err, "no list \"%.100s\"%s", what, hint);
        return cli_error(&err);
    }
    const struct catalogue *first = &catalogues[chosen < 0 ? 0 : chosen];
    n = chosen < 0 ? n_lists : 1;
    if (o.json)
        return print_json(first, n, &err) == 0 ? EXIT_DONE : cli_error(&err);
    print_text(first, n);
    return EXIT_DONE;
}
