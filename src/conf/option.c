/* Option tables: why there is one description of every setting, from which
 * parsing, checking, writing and help are all derived. */
#include "conf/option.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "base/wrap.h"
#include "conf/number.h"

enum { NAMES_MAX = 256, TRIPLE = 3 };

const struct option *option_find(const struct option *table, const char *name)
{
    for (const struct option *o = table; o->name != NULL; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

bool option_is_list(const struct option *o)
{
    return option_type(o) == OPTION_INTS || option_type(o) == OPTION_FLOATS || option_type(o) == OPTION_STRINGS ||
           option_type(o) == OPTION_TRIPLE;
}

void complain(const struct complaints *to, const char *key, const char *other, const char *format, ...)
{
    struct err text;
    va_list args;
    va_start(args, format);
    vsnprintf(text.text, sizeof text.text, format, args);
    va_end(args);
    to->add(to->arg, key, other, text.text);
}

static void *field(const struct option *o, void *out)
{
    return (char *)out + o->offset;
}

static const void *field_const(const struct option *o, const void *in)
{
    return (const char *)in + o->offset;
}

static const char *type_name(enum option_type type)
{
    switch (type) {
    case OPTION_INT:
        return "an integer";
    case OPTION_FLOAT:
        return "a number";
    case OPTION_BOOL:
        return "true or false";
    case OPTION_STRING:
    case OPTION_CHOICE:
        return "a string";
    case OPTION_INTS:
        return "a list of integers";
    case OPTION_FLOATS:
        return "a list of numbers";
    case OPTION_STRINGS:
        return "a list of strings";
    case OPTION_TRIPLE:
        return "a list of three numbers";
    }
    return "a value";
}

static void join_choices(const char *const *choices, char *out, size_t size)
{
    size_t n = 0;
    while (choices[n] != NULL)
        n++;
    names_join(choices, n, out, size);
}

static int check_choice(const struct option *o, const char *value, struct err *err)
{
    if (o->choices == NULL)
        return 0;
    size_t n = 0;
    for (; o->choices[n] != NULL; n++)
        if (strcmp(o->choices[n], value) == 0)
            return 0;
    char hint[NAMES_HINT];
    names_hint(value, o->choices, n, hint);
    return err_set(err, "%s must not be \"%.100s\"%s", o->name, value, hint);
}

static void bound_text(double x, char out[NUMBER_TEXT])
{
    number_print(x, out);
}

static int check_bounds(const struct option *o, double value, struct err *err)
{
    char v[NUMBER_TEXT], lo[NUMBER_TEXT], hi[NUMBER_TEXT];
    if (isfinite(value) && value >= o->min && value <= o->max)
        return 0;
    bound_text(value, v);
    bound_text(o->min, lo);
    bound_text(o->max, hi);
    if (o->max >= OPTION_INT_MAX || isinf(o->max))
        return err_set(err, "%s = %s is out of bounds: it must be at least %s", o->name, v, lo);
    return err_set(err, "%s = %s is out of bounds: it must lie in %s .. %s", o->name, v, lo, hi);
}

static int store_int(const struct option *o, double value, int64_t *out, struct err *err)
{
    char v[NUMBER_TEXT];
    bound_text(value, v);
    if (!isfinite(value) || value != floor(value))
        return err_set(err, "%s must be an integer, not %s", o->name, v);
    if (fabs(value) > OPTION_INT_MAX)
        return err_set(err, "%s = %s is too large an integer: at most 2^53", o->name, v);
    if (check_bounds(o, value, err) != 0)
        return -1;
    *out = (int64_t)value;
    return 0;
}

static int store_string(const struct option *o, const char *value, char *out, size_t size, struct err *err)
{
    if (strlen(value) >= size)
        return err_set(err, "%s is too long: at most %zu characters", o->name, size - 1);
    if (option_type(o) != OPTION_STRING && check_choice(o, value, err) != 0)
        return -1;
    snprintf(out, size, "%s", value);
    return 0;
}

static const char *json_kind(const cJSON *v)
{
    if (cJSON_IsNumber(v))
        return v->valuedouble == floor(v->valuedouble) ? "an integer" : "a number";
    if (cJSON_IsBool(v))
        return "a boolean";
    if (cJSON_IsString(v))
        return "a string";
    if (cJSON_IsArray(v))
        return "a list";
    if (cJSON_IsObject(v))
        return "a group";
    return "nothing";
}

/* The elements of FLOATS or a TRIPLE. */
static double *numbers(const struct option *o, void *out)
{
    return option_type(o) == OPTION_TRIPLE ? out : ((struct float_list *)out)->v;
}

static int store_element(const struct option *o, const cJSON *v, int i, void *out, struct err *err)
{
    if (option_type(o) == OPTION_INTS && cJSON_IsNumber(v))
        return store_int(o, v->valuedouble, &((struct int_list *)out)->v[i], err);
    if ((option_type(o) == OPTION_FLOATS || option_type(o) == OPTION_TRIPLE) && cJSON_IsNumber(v)) {
        numbers(o, out)[i] = v->valuedouble;
        return check_bounds(o, v->valuedouble, err);
    }
    if (option_type(o) == OPTION_STRINGS && cJSON_IsString(v))
        return store_string(o, v->valuestring, ((struct string_list *)out)->v[i], OPTION_NAME, err);
    return err_set(err, "%s must be %s, but holds %s", o->name, type_name(option_type(o)), json_kind(v));
}

/* Number of elements; a triple has no count to keep. */
static int list_count(const struct option *o, const void *in)
{
    switch (option_type(o)) {
    case OPTION_INTS:
        return ((const struct int_list *)in)->n;
    case OPTION_FLOATS:
        return ((const struct float_list *)in)->n;
    case OPTION_STRINGS:
        return ((const struct string_list *)in)->n;
    default:
        return TRIPLE;
    }
}

/* Ends a list of n stored elements: what they must be together. */
static int finish_list(const struct option *o, int n, void *out, struct err *err)
{
    if (option_type(o) == OPTION_INTS)
        ((struct int_list *)out)->n = n;
    if (option_type(o) == OPTION_FLOATS)
        ((struct float_list *)out)->n = n;
    if (option_type(o) == OPTION_TRIPLE && n != TRIPLE)
        return err_set(err, "%s must be three numbers, one a channel; it has %d", o->name, n);
    if (option_type(o) != OPTION_STRINGS)
        return 0;
    struct string_list *list = out;
    list->n = n;
    if (o->choices == NULL)
        return 0;
    if (n == 0) {
        char all[NAMES_HINT];
        join_choices(o->choices, all, sizeof all);
        return err_set(err, "%s is empty: it must have at least one of %s", o->name, all);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(list->v[i], list->v[k]) == 0)
                return err_set(err, "%s has \"%s\" twice", o->name, list->v[i]);
    return 0;
}

/* A single value where a list is expected is a list of one. */
static int store_list(const struct option *o, const cJSON *v, void *out, struct err *err)
{
    if (cJSON_IsObject(v) || cJSON_IsNull(v))
        return err_set(err, "%s must be %s, not %s", o->name, type_name(option_type(o)), json_kind(v));
    int n = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 1;
    if (n > OPTION_LIST)
        return err_set(err, "%s has %d elements: at most %d", o->name, n, (int)OPTION_LIST);
    if (option_type(o) == OPTION_TRIPLE && n != TRIPLE)
        return finish_list(o, n, out, err);
    const cJSON *e = cJSON_IsArray(v) ? v->child : v;
    for (int i = 0; i < n; i++, e = e->next)
        if (store_element(o, e, i, out, err) != 0)
            return -1;
    return finish_list(o, n, out, err);
}

static int store_json(const struct option *o, const cJSON *v, void *out, struct err *err)
{
    void *p = field(o, out);
    if (option_is_list(o))
        return store_list(o, v, p, err);
    if (option_type(o) == OPTION_INT && cJSON_IsNumber(v))
        return store_int(o, v->valuedouble, p, err);
    if (option_type(o) == OPTION_FLOAT && cJSON_IsNumber(v)) {
        *(double *)p = v->valuedouble;
        return check_bounds(o, v->valuedouble, err);
    }
    if (option_type(o) == OPTION_BOOL && cJSON_IsBool(v)) {
        *(bool *)p = cJSON_IsTrue(v);
        return 0;
    }
    if (option_type(o) == OPTION_STRING && cJSON_IsString(v))
        return store_string(o, v->valuestring, p, OPTION_TEXT, err);
    if (option_type(o) == OPTION_CHOICE && cJSON_IsString(v))
        return store_string(o, v->valuestring, p, OPTION_NAME, err);
    return err_set(err, "%s must be %s, not %s", o->name, type_name(option_type(o)), json_kind(v));
}

static int parse_number(const struct option *o, const char *text, double *out, struct err *err)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (end == text || *end != 0 || !isfinite(*out))
        return err_set(err, "%s must be %s, not \"%.100s\"", o->name,
                       option_type(o) == OPTION_INT || option_type(o) == OPTION_INTS ? "an integer" : "a number", text);
    return 0;
}

static int store_text_element(const struct option *o, const char *text, int i, void *out, struct err *err)
{
    double value;
    if (option_type(o) == OPTION_STRINGS)
        return store_string(o, text, ((struct string_list *)out)->v[i], OPTION_NAME, err);
    if (parse_number(o, text, &value, err) != 0)
        return -1;
    if (option_type(o) == OPTION_INTS)
        return store_int(o, value, &((struct int_list *)out)->v[i], err);
    numbers(o, out)[i] = value;
    return check_bounds(o, value, err);
}

/* "a,b,c"; the empty text is the empty list */
static int store_text_list(const struct option *o, const char *text, void *out, struct err *err)
{
    int n = 0;
    for (const char *s = text; *text != 0;) {
        size_t len = strcspn(s, ",");
        char piece[OPTION_NAME];
        if (len >= sizeof piece)
            return err_set(err, "%s is too long: at most %zu characters an element", o->name, sizeof piece - 1);
        if (option_type(o) == OPTION_TRIPLE && n == TRIPLE)
            return err_set(err, "%s must be three numbers, one a channel; it has more", o->name);
        if (n == OPTION_LIST)
            return err_set(err, "%s has too many elements: at most %d", o->name, (int)OPTION_LIST);
        memcpy(piece, s, len);
        piece[len] = 0;
        if (store_text_element(o, piece, n++, out, err) != 0)
            return -1;
        if (s[len] == 0)
            break;
        s += len + 1;
    }
    return finish_list(o, n, out, err);
}

static int store_text(const struct option *o, const char *text, void *out, struct err *err)
{
    void *p = field(o, out);
    double value;
    if (option_is_list(o))
        return store_text_list(o, text, p, err);
    switch (option_type(o)) {
    case OPTION_STRING:
        return store_string(o, text, p, OPTION_TEXT, err);
    case OPTION_CHOICE:
        return store_string(o, text, p, OPTION_NAME, err);
    case OPTION_BOOL:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return err_set(err, "%s must be true or false, not \"%.100s\"", o->name, text);
        *(bool *)p = text[0] == 't';
        return 0;
    case OPTION_INT:
        return parse_number(o, text, &value, err) != 0 ? -1 : store_int(o, value, p, err);
    default:
        if (parse_number(o, text, &value, err) != 0)
            return -1;
        *(double *)p = value;
        return check_bounds(o, value, err);
    }
}

static size_t field_size(const struct option *o)
{
    switch (option_type(o)) {
    case OPTION_INT:
        return sizeof(int64_t);
    case OPTION_FLOAT:
        return sizeof(double);
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_STRING:
        return OPTION_TEXT;
    case OPTION_CHOICE:
        return OPTION_NAME;
    case OPTION_INTS:
        return sizeof(struct int_list);
    case OPTION_FLOATS:
        return sizeof(struct float_list);
    case OPTION_STRINGS:
        return sizeof(struct string_list);
    case OPTION_TRIPLE:
        return TRIPLE * sizeof(double);
    }
    return 0;
}

size_t options_bytes(const struct option *table)
{
    size_t bytes = 0;
    for (const struct option *o = table; o != NULL && o->name != NULL; o++)
        if (bytes < o->offset + field_size(o))
            bytes = o->offset + field_size(o);
    return bytes;
}

int options_defaults(const struct option *table, void *out, struct err *err)
{
    for (const struct option *o = table; o->name != NULL; o++) {
        memset(field(o, out), 0, field_size(o));
        if (o->preset != NULL && store_text(o, o->preset, out, err) != 0)
            return err_prefix(err, "default of %s", o->name);
    }
    return 0;
}

int options_from_json(const struct option *table, const cJSON *object, void *out, struct err *err)
{
    if (options_defaults(table, out, err) != 0)
        return -1;
    for (const struct option *o = table; o->name != NULL; o++) {
        const cJSON *v = object == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, o->name);
        if (v == NULL) {
            if (o->preset == NULL)
                return err_set(err, "%s is missing: %s", o->name, o->help);
            continue;
        }
        if (store_json(o, v, out, err) != 0)
            return -1;
    }
    return 0;
}

static cJSON *option_value(const struct option *o, const void *in)
{
    const void *p = field_const(o, in);
    switch (option_type(o)) {
    case OPTION_INT:
        return cJSON_CreateNumber((double)*(const int64_t *)p);
    case OPTION_FLOAT:
        return cJSON_CreateNumber(*(const double *)p);
    case OPTION_BOOL:
        return cJSON_CreateBool(*(const bool *)p);
    case OPTION_STRING:
    case OPTION_CHOICE:
        return cJSON_CreateString(p);
    default:
        break;
    }
    cJSON *list = cJSON_CreateArray();
    int n = list_count(o, p);
    for (int i = 0; list != NULL && i < n; i++) {
        cJSON *e = option_type(o) == OPTION_INTS      ? cJSON_CreateNumber((double)((const struct int_list *)p)->v[i])
                   : option_type(o) == OPTION_STRINGS ? cJSON_CreateString(((const struct string_list *)p)->v[i])
                                                      : cJSON_CreateNumber(numbers(o, (void *)p)[i]);
        if (e == NULL || !cJSON_AddItemToArray(list, e)) {
            cJSON_Delete(e);
            cJSON_Delete(list);
            return NULL;
        }
    }
    return list;
}

/* 1: the option has the value that it has where nobody gives one; 0: another; -1: no memory to tell. */
static int is_default(const struct option *o, const cJSON *value, struct err *err)
{
    union option_any preset;
    struct option alone[] = { *o, OPTION_END };
    alone[0].offset = 0;
    if (options_defaults(alone, &preset, err) != 0)
        return -1;
    cJSON *other = option_value(alone, &preset);
    if (other == NULL)
        return err_set(err, "out of memory");
    const int same = cJSON_Compare(value, other, true);
    cJSON_Delete(other);
    return same;
}

int options_to_json(const struct option *table, const void *in, cJSON *object, struct err *err)
{
    for (const struct option *o = table; o->name != NULL; o++) {
        cJSON *v = option_value(o, in);
        cJSON_DeleteItemFromObjectCaseSensitive(object, o->name);
        const int unused = v == NULL || (o->type & OPTION_LATER) == 0 ? 0 : is_default(o, v, err);
        if (unused == 0 && v != NULL && cJSON_AddItemToObject(object, o->name, v))
            continue;
        cJSON_Delete(v);
        if (unused != 1)
            return unused < 0 ? -1 : err_set(err, "out of memory");
    }
    return 0;
}

int options_set_text(const struct option *table, const char *name, const char *value, void *out, struct err *err)
{
    char key[OPTION_NAME];
    snprintf(key, sizeof key, "%s", name);
    for (char *c = key; *c != 0; c++)
        if (*c == '-')
            *c = '_';
    const struct option *o = option_find(table, key);
    if (o != NULL)
        return store_text(o, value, out, err);
    const char *names[NAMES_MAX];
    size_t n = 0;
    for (o = table; o->name != NULL && n < NAMES_MAX; o++)
        names[n++] = o->name;
    char hint[NAMES_HINT];
    return err_set(err, "there is no option \"%.100s\"%s", name, names_suggest(key, names, n, hint));
}

void options_print(const struct option *table, const char *indent, const char *prefix)
{
    enum { HANG = 22 };
    for (const struct option *o = table; o->name != NULL; o++) {
        char text[2048], lo[NUMBER_TEXT], hi[NUMBER_TEXT], choices[512];
        size_t n = (size_t)snprintf(text, sizeof text, "%s", o->help);
        if (o->unit != NULL && n < sizeof text)
            n += (size_t)snprintf(text + n, sizeof text - n, " [%s]", o->unit);
        if (o->choices != NULL && n < sizeof text) {
            join_choices(o->choices, choices, sizeof choices);
            n += (size_t)snprintf(text + n, sizeof text - n, "; one of %s", choices);
        }
        bool words =
            option_type(o) == OPTION_STRING || option_type(o) == OPTION_CHOICE || option_type(o) == OPTION_STRINGS;
        if (!words && option_type(o) != OPTION_BOOL && n < sizeof text) {
            bound_text(o->min, lo);
            bound_text(o->max, hi);
            if (o->max < OPTION_INT_MAX)
                n += (size_t)snprintf(text + n, sizeof text - n, "; %s .. %s", lo, hi);
            else if (o->min > -OPTION_INT_MAX)
                n += (size_t)snprintf(text + n, sizeof text - n, "; at least %s", lo);
        }
        if (n < sizeof text)
            snprintf(text + n, sizeof text - n, o->preset == NULL ? "; required" : "; default %s",
                     o->preset == NULL || o->preset[0] == 0 ? "empty" : o->preset);
        char name[OPTION_NAME + 8];
        snprintf(name, sizeof name, "%s%s", prefix, o->name);
        int at = printf("%s%-20s  ", indent, name);
        wrap_print(text, at, (int)strlen(indent) + HANG);
    }
}
