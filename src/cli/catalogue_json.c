/* The tables for programs: forms, other languages, tests. */
#include "cli/catalogue.h"

#include <stddef.h>

#include "cli/json.h"

static const char *const types[] = {
    [OPTION_INT] = "integer",    [OPTION_FLOAT] = "number",    [OPTION_BOOL] = "boolean",
    [OPTION_STRING] = "string",  [OPTION_CHOICE] = "choice",   [OPTION_INTS] = "integers",
    [OPTION_FLOATS] = "numbers", [OPTION_STRINGS] = "strings", [OPTION_TRIPLE] = "triple",
};

/* The default as a value: from its text by way of a struct that has this option alone. */
static bool add_default(cJSON *o, const struct option *option)
{
    union option_any value;
    struct err err;
    struct option alone[] = { *option, OPTION_END };
    alone[0].offset = 0;
    alone[0].type = (int)option_type(option);
    cJSON *given = cJSON_CreateObject();
    bool good =
        given != NULL && options_defaults(alone, &value, &err) == 0 && options_to_json(alone, &value, given, &err) == 0;
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(given, option->name);
    good = good && cJSON_AddItemToObject(o, "default", item);
    if (!good)
        cJSON_Delete(item);
    cJSON_Delete(given);
    return good;
}

static bool add_bounds(cJSON *o, const struct option *option)
{
    bool words = option_type(option) == OPTION_STRING || option_type(option) == OPTION_CHOICE ||
                 option_type(option) == OPTION_STRINGS;
    if (words || option_type(option) == OPTION_BOOL)
        return true;
    if (option->min > -OPTION_INT_MAX && cJSON_AddNumberToObject(o, "min", option->min) == NULL)
        return false;
    return option->max >= OPTION_INT_MAX || cJSON_AddNumberToObject(o, "max", option->max) != NULL;
}

static bool add_choices(cJSON *o, const struct option *option)
{
    if (option->choices == NULL)
        return true;
    int n = 0;
    while (option->choices[n] != NULL)
        n++;
    cJSON *choices = cJSON_CreateStringArray(option->choices, n);
    if (cJSON_AddItemToObject(o, "choices", choices))
        return true;
    cJSON_Delete(choices);
    return false;
}

static bool add_options(cJSON *array, const struct option *table)
{
    for (const struct option *option = table; option != NULL && option->name != NULL; option++) {
        cJSON *o = cJSON_CreateObject();
        if (!cJSON_AddItemToArray(array, o)) {
            cJSON_Delete(o);
            return false;
        }
        if (cJSON_AddStringToObject(o, "name", option->name) == NULL ||
            cJSON_AddStringToObject(o, "type", types[option_type(option)]) == NULL ||
            (option->preset != NULL && !add_default(o, option)) || !add_bounds(o, option) || !add_choices(o, option) ||
            (option->unit != NULL && cJSON_AddStringToObject(o, "unit", option->unit) == NULL) ||
            cJSON_AddStringToObject(o, "help", option->help) == NULL)
            return false;
    }
    return true;
}

/* {name: version} */
static bool add_libraries(cJSON *o, const struct library *libraries, int n)
{
    cJSON *all = n > 0 ? cJSON_AddObjectToObject(o, "libraries") : NULL;
    for (int i = 0; i < n; i++)
        if (cJSON_AddStringToObject(all, libraries[i].name, libraries[i].version) == NULL)
            return false;
    return true;
}

struct target {
    cJSON *entries, *options;
    bool good;
};

static void take_entry(void *arg, const struct catalogue_entry *entry)
{
    struct target *t = arg;
    cJSON *o = cJSON_CreateObject(), *options = NULL;
    t->good = t->good && cJSON_AddItemToArray(t->entries, o);
    if (!t->good) {
        cJSON_Delete(o);
        return;
    }
    t->good = cJSON_AddStringToObject(o, "name", entry->name) != NULL &&
              cJSON_AddStringToObject(o, "help", entry->help) != NULL &&
              (options = cJSON_AddArrayToObject(o, "options")) != NULL &&
              (!entry->missing || cJSON_AddStringToObject(o, "missing", entry->why) != NULL) &&
              add_libraries(o, entry->libraries, entry->n_libraries);
    for (int i = 0; t->good && entry->options[i] != NULL; i++)
        t->good = add_options(options, entry->options[i]);
}

static void take_common(void *arg, const char *of, const struct option *options)
{
    struct target *t = arg;
    (void)of;
    t->good = t->good && add_options(t->options, options);
}

cJSON *catalogue_json(const struct catalogue *catalogue)
{
    cJSON *o = cJSON_CreateObject();
    struct target t = { cJSON_AddArrayToObject(o, "entries"), cJSON_AddArrayToObject(o, "options"), true };
    const struct catalogue_sink sink = { take_entry, take_common, &t };
    t.good = t.entries != NULL && t.options != NULL;
    if (t.good)
        catalogue->walk(&sink);
    if (t.good)
        return o;
    cJSON_Delete(o);
    return NULL;
}
