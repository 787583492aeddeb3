/* Command lines through the same option tables as configs. */
#include "cli/cli.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "base/processors.h"
#include "cli/help.h"
#include "cli/merge.h"

int cli_error(const struct err *err)
{
    fprintf(stderr, "error: %s\n", err->text);
    return EXIT_USAGE;
}

/* "--learning-rate" names the option learning_rate. */
static const struct option *find_flag(const struct option *table, const char *flag, size_t length)
{
    char name[OPTION_NAME];
    if (length >= sizeof name)
        return NULL;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)(flag[i] == '-' ? '_' : flag[i]);
    name[length] = '\0';
    return option_find(table, name);
}

static int unknown_flag(const struct option *table, const char *flag, size_t length, const char *usage, struct err *err)
{
    enum { MOST = 64 };
    const char *names[MOST];
    char name[OPTION_NAME];
    int n = 0;
    for (; table[n].name != NULL && n < MOST; n++)
        names[n] = table[n].name;
    snprintf(name, sizeof name, "%.*s", (int)length, flag);
    const char *nearest = names_nearest(name, names, (size_t)n);
    if (nearest == NULL)
        return err_set(err, "unknown option '--%s' (usage: dinf %s)", name, usage);
    return err_set(err, "unknown option '--%s'; did you mean '--%s'?", name, nearest);
}

static int check_required(const struct option *table, const bool *given, struct err *err)
{
    for (int i = 0; table[i].name != NULL; i++)
        if (table[i].preset == NULL && !given[i])
            return err_set(err, "--%s is required: %s", table[i].name, table[i].help);
    return 0;
}

int cli_check_unused(const struct option *table, const bool *given, const char *const *names, const char *why,
                     struct err *err)
{
    for (; *names != NULL; names++)
        if (given[option_find(table, *names) - table])
            return err_set(err, "--%s has no effect: %s", *names, why);
    return 0;
}

int cli_parse(int argc, char **argv, const char *usage, const char *help, const struct option *table, void *out,
              const char **operands, int max, int *n_operands, struct err *err)
{
    bool given[MERGED_OPTIONS];
    return cli_parse_given(argc, argv, usage, help, table, out, given, operands, max, n_operands, err);
}

int cli_parse_given(int argc, char **argv, const char *usage, const char *help, const struct option *table, void *out,
                    bool *given, const char **operands, int max, int *n_operands, struct err *err)
{
    int n = 0;
    for (int i = 0; table[i].name != NULL; i++)
        given[i] = false;
    if (options_defaults(table, out, err) != 0)
        return -1;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            help_print(usage, help, table);
            return 1;
        }
        if (word[0] != '-' || word[1] == '\0') {
            if (n == max)
                return err_set(err, "unexpected word '%s' (usage: dinf %s)", word, usage);
            operands[n++] = word;
            continue;
        }
        if (strncmp(word, "--", 2) != 0)
            return err_set(err, "unknown option '%s' (usage: dinf %s)", word, usage);
        const char *flag = word + 2, *value = strchr(flag, '=');
        size_t length = value != NULL ? (size_t)(value - flag) : strlen(flag);
        const struct option *row = find_flag(table, flag, length);
        if (row == NULL)
            return unknown_flag(table, flag, length, usage, err);
        if (value != NULL)
            value++;
        else if (option_type(row) == OPTION_BOOL)
            value = "true";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return err_set(err, "%s wants a value: %s", word, row->help);
        if (options_set_text(table, row->name, value, out, err) != 0)
            return -1;
        assert(row - table < MERGED_OPTIONS);
        given[row - table] = true;
    }
    *n_operands = n;
    return check_required(table, given, err);
}

int cli_threads(int64_t wanted)
{
    cpu_set_t set;
    if (wanted > 0)
        return (int)wanted;
    processors_allowed(&set);
    const int n = processors_count(&set);
    return n > 0 ? n : 1;
}
