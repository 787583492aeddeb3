/* Option tables: one row says an option's name, type, default, bounds and help.
 * The same table parses the config, the JSON of a task and command-line flags,
 * and prints the help, so that they cannot drift apart.
 *
 * A table is an array of `struct option` ended by a row with name = NULL. Each
 * row points into the caller's options struct by `offset`. */
#ifndef DINF_CONF_OPTION_H
#define DINF_CONF_OPTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { OPTION_TEXT = 512, OPTION_LIST = 64, OPTION_NAME = 128 };

enum option_type {
    OPTION_INT,     /* int64_t */
    OPTION_FLOAT,   /* double; an integer is accepted */
    OPTION_BOOL,    /* bool */
    OPTION_STRING,  /* char[OPTION_TEXT] */
    OPTION_CHOICE,  /* char[OPTION_NAME], one of `choices` */
    OPTION_INTS,    /* struct int_list: a list that does not sweep */
    OPTION_FLOATS,  /* struct float_list */
    OPTION_STRINGS, /* struct string_list; with `choices`: at least one, and none twice */
    OPTION_TRIPLE,  /* double[3]: exactly three numbers, one a colour channel */
};

/* Added to a type: an option that came when there were experiments already. While it has its default, it is left out
 * of what is kept, so that an experiment without it keeps its identity. The default may never change. */
enum { OPTION_LATER = 1 << 8 };

struct int_list {
    int n;
    int64_t v[OPTION_LIST];
};
struct float_list {
    int n;
    double v[OPTION_LIST];
};
struct string_list {
    int n;
    char v[OPTION_LIST][OPTION_NAME];
};

/* Room for the value of any option. */
union option_any {
    int64_t integer;
    double real;
    bool boolean;
    char text[OPTION_TEXT];
    struct int_list ints;
    struct float_list floats;
    struct string_list strings;
    double triple[3];
};

struct option {
    const char *name;
    int type; /* see option_type */
    size_t offset;
    const char *preset;         /* default as text ("0.5", "true", "a,b"); NULL: required */
    double min, max;            /* inclusive, for numbers (each element of a list or triple) */
    const char *const *choices; /* NULL-terminated; OPTION_CHOICE, OPTION_STRINGS */
    const char *unit;           /* NULL: none */
    const char *help;
};

static inline enum option_type option_type(const struct option *o)
{
    return (enum option_type)(o->type & ~OPTION_LATER);
}

/* A row for the member `name` of the struct `of`; the row that ends a table. */
/* clang-format off */
#define OPTION_OF(of, name, type, preset, min, max, choices, unit, help) \
    { #name, type, offsetof(of, name), preset, min, max, choices, unit, help }
/* Bounds that several tables share: of a seed that campaigns derive others from or pass on (32 bits), and of an
 * integer that has no bound of its own (what a double holds exactly; messages and lists leave it out). */
#define OPTION_SEED_MAX 4294967295.0
#define OPTION_INT_MAX 0x1p53
#define OPTION_END { NULL, OPTION_INT, 0, NULL, 0, 0, NULL, NULL, NULL }
/* clang-format on */

/* Fills `out` from the presets; a required option is left zero. */
int options_defaults(const struct option *table, void *out, struct err *err);

/* Fills `out` from presets, then from the members of `object` that the table
 * names; other members are ignored (see options_unknown). Wrong type, out of
 * bounds, missing required: -1 with one sentence. */
int options_from_json(const struct option *table, const cJSON *object, void *out, struct err *err);

/* Adds every option of the table, in the table's order, with its value; not one that came later (OPTION_LATER) and has
 * its default. */
int options_to_json(const struct option *table, const void *in, cJSON *object, struct err *err);

/* Parses one command-line value into `out`. The name may use - for _. -1 also
 * if the table has no such option; the message names the nearest. */
int options_set_text(const struct option *table, const char *name, const char *value, void *out, struct err *err);

/* The bytes that a struct for this table has at least. */
size_t options_bytes(const struct option *table);

const struct option *option_find(const struct option *table, const char *name);

/* Is its value written as a list, which then does not sweep? */
bool option_is_list(const struct option *option);

/* For checks of what no single bound can say. `add` is told of each problem: `key`
 * names the option at whose line it belongs, `other` the one to take if that is not
 * given (NULL: none), `text` is one sentence. */
struct complaints {
    void (*add)(void *arg, const char *key, const char *other, const char *text);
    void *arg;
};
void complain(const struct complaints *to, const char *key, const char *other, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* One line an option, wrapped at 80 columns: prefix and name, help, unit, choices,
 * bounds, default. */
void options_print(const struct option *table, const char *indent, const char *prefix);

/* JSON with sorted keys, no spaces, numbers as shortest round-trip text: equal
 * values, equal text. The caller frees with mem_free. */
char *json_canonical(const cJSON *value, struct err *err);

#endif
