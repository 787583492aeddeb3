/* Option tables and canonical JSON. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/number.h"
#include "conf/option.h"

struct options {
    int64_t epochs;
    double lr;
    bool shuffle;
    char init[OPTION_TEXT], loss[OPTION_NAME];
    struct int_list sizes;
    struct float_list mean;
    struct string_list statistics;
    double std[3];
};
static const char *const losses[] = { "infonce", "mse", NULL };
static const char *const statistic_names[] = { "gap", "learned", NULL };
#define AT(m) offsetof(struct options, m)
static const struct option table[] = {
    { "epochs", OPTION_INT, AT(epochs), "10", 1, 100, NULL, NULL, "passes" },
    { "lr", OPTION_FLOAT, AT(lr), "1e-3", 0, 1, NULL, NULL, "rate" },
    { "shuffle", OPTION_BOOL, AT(shuffle), "true", 0, 0, NULL, NULL, "order" },
    { "init", OPTION_STRING, AT(init), "", 0, 0, NULL, NULL, "file" },
    { "loss", OPTION_CHOICE, AT(loss), NULL, 0, 0, losses, NULL, "what is minimised" },
    { "sizes", OPTION_INTS, AT(sizes), "1,2", 0, 9, NULL, NULL, "sizes" },
    { "mean", OPTION_FLOATS, AT(mean), "", -1, 1, NULL, NULL, "means" },
    { "statistics", OPTION_STRINGS, AT(statistics), "gap,learned", 0, 0, statistic_names, NULL, "tests" },
    { "std", OPTION_TRIPLE, AT(std), "1,2,3", 0, 9, NULL, NULL, "deviations" },
    OPTION_END,
};

static void defaults_and_json(void **state)
{
    (void)state;
    struct err err;
    struct options o;
    cJSON *json = cJSON_Parse("{\"loss\":\"mse\",\"lr\":1,\"mean\":[0.5,-0.25],\"sizes\":7,\"other\":1}");
    assert_int_equal(options_from_json(table, json, &o, &err), 0);
    assert_int_equal(o.epochs, 10);
    assert_true(o.lr == 1 && o.shuffle);
    assert_string_equal(o.loss, "mse");
    assert_int_equal(o.sizes.n, 1);
    assert_int_equal(o.sizes.v[0], 7);
    assert_true(o.mean.n == 2 && o.mean.v[1] == -0.25);
    assert_int_equal(o.statistics.n, 2);
    cJSON *out = cJSON_CreateObject();
    assert_int_equal(options_to_json(table, &o, out, &err), 0);
    char *text = json_canonical(out, &err);
    assert_string_equal(text, "{\"epochs\":10,\"init\":\"\",\"loss\":\"mse\",\"lr\":1,\"mean\":[0.5,-0.25],"
                              "\"shuffle\":true,\"sizes\":[7],\"statistics\":[\"gap\",\"learned\"],\"std\":[1,2,3]}");
    mem_free(text);
    cJSON_Delete(json);
    cJSON_Delete(out);
}

static void bad_json(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "{}", "loss is missing: what is minimised" },
        { "{\"loss\":\"mse\",\"epochs\":0}", "epochs = 0 is out of bounds: it must lie in 1 .. 100" },
        { "{\"loss\":\"mse\",\"epochs\":1.5}", "epochs must be an integer, not 1.5" },
        { "{\"loss\":\"mse\",\"epochs\":\"5\"}", "epochs must be an integer, not a string" },
        { "{\"loss\":\"mse\",\"lr\":-1}", "lr = -1 is out of bounds: it must lie in 0 .. 1" },
        { "{\"loss\":\"mse\",\"shuffle\":1}", "shuffle must be true or false, not an integer" },
        { "{\"loss\":\"msee\"}", "loss must not be \"msee\"; did you mean \"mse\"?" },
        { "{\"loss\":\"\"}", "loss must not be \"\"; it is one of infonce or mse" },
        { "{\"loss\":\"barlowtwins\"}", "loss must not be \"barlowtwins\"; it is one of infonce or mse" },
        { "{\"loss\":[\"mse\"]}", "loss must be a string, not a list" },
        { "{\"loss\":\"mse\",\"sizes\":[1,\"a\"]}", "sizes must be a list of integers, but holds a string" },
        { "{\"loss\":\"mse\",\"sizes\":[1,10]}", "sizes = 10 is out of bounds: it must lie in 0 .. 9" },
        { "{\"loss\":\"mse\",\"statistics\":[\"gpa\"]}", "statistics must not be \"gpa\"; did you mean \"gap\"?" },
        { "{\"loss\":\"mse\",\"statistics\":[\"gap\",\"gap\"]}", "statistics has \"gap\" twice" },
        { "{\"loss\":\"mse\",\"statistics\":[]}", "statistics is empty: it must have at least one of gap or learned" },
        { "{\"loss\":\"mse\",\"std\":[1,2]}", "std must be three numbers, one a channel; it has 2" },
        { "{\"loss\":\"mse\",\"std\":0.5}", "std must be three numbers, one a channel; it has 1" },
        { "{\"loss\":\"mse\",\"std\":[1,2,10]}", "std = 10 is out of bounds: it must lie in 0 .. 9" },
        { "{\"loss\":\"mse\",\"std\":[1,\"a\",1]}", "std must be a list of three numbers, but holds a string" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = { "" };
        struct options o;
        cJSON *json = cJSON_Parse(cases[i][0]);
        int rc = options_from_json(table, json, &o, &err);
        cJSON_Delete(json);
        assert_int_equal(rc, -1);
        assert_string_equal(err.text, cases[i][1]);
    }
}

static void text_values(void **state)
{
    (void)state;
    struct err err;
    static struct options o;
    assert_int_equal(options_defaults(table, &o, &err), 0);
    assert_int_equal(options_set_text(table, "epochs", "42", &o, &err), 0);
    assert_int_equal(o.epochs, 42);
    assert_int_equal(options_set_text(table, "mean", "0.5,1", &o, &err), 0);
    assert_true(o.mean.n == 2 && o.mean.v[0] == 0.5);
    assert_true(o.std[0] == 1 && o.std[2] == 3);
    assert_int_equal(options_set_text(table, "std", "0.5,0.25,1", &o, &err), 0);
    assert_true(o.std[0] == 0.5 && o.std[1] == 0.25 && o.std[2] == 1);
    assert_int_equal(options_set_text(table, "std", "0.5,1", &o, &err), -1);
    assert_string_equal(err.text, "std must be three numbers, one a channel; it has 2");
    assert_int_equal(options_set_text(table, "std", "1,1,1,1", &o, &err), -1);
    assert_string_equal(err.text, "std must be three numbers, one a channel; it has more");
    assert_int_equal(options_set_text(table, "statistics", "gap,gap", &o, &err), -1);
    assert_string_equal(err.text, "statistics has \"gap\" twice");
    assert_int_equal(options_set_text(table, "statistics", "", &o, &err), -1);
    assert_int_equal(options_set_text(table, "epochs", "4x", &o, &err), -1);
    assert_string_equal(err.text, "epochs must be an integer, not \"4x\"");
    assert_int_equal(options_set_text(table, "epoch", "4", &o, &err), -1);
    assert_string_equal(err.text, "there is no option \"epoch\"; did you mean \"epochs\"?");
    assert_int_equal(options_set_text(table, "lr", "nan", &o, &err), -1);
    /* all of a text or none of it */
    char long_text[sizeof o.init + 1] = "";
    memset(long_text, 'a', sizeof o.init - 1);
    assert_int_equal(options_set_text(table, "init", long_text, &o, &err), 0);
    assert_string_equal(o.init, long_text);
    memset(long_text, 'b', sizeof o.init);
    assert_int_equal(options_set_text(table, "init", long_text, &o, &err), -1);
    assert_string_equal(err.text, "init is too long: at most 511 characters");
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *text;
    } cases[] = {
        { 0.1, "0.1" },
        { 1e-5, "1e-05" },
        { 3, "3" },
        { -0.0, "0" },
        { 1e300, "1e+300" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1e15, "1000000000000000" },
        { 2147483648.0, "2147483648" },
        { INFINITY, "inf" },
    };
    char text[NUMBER_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        number_print(cases[i].x, text);
        assert_string_equal(text, cases[i].text);
        if (isfinite(cases[i].x))
            assert_true(strtod(text, NULL) == cases[i].x);
    }
}

static void canonical_order(void **state)
{
    (void)state;
    struct err err;
    cJSON *a = cJSON_Parse("{ \"b\": 1.0, \"a\": [1, {\"z\": null, \"y\": \"q\\\"\\n\"}] }");
    char *text = json_canonical(a, &err);
    assert_string_equal(text, "{\"a\":[1,{\"y\":\"q\\\"\\u000a\",\"z\":null}],\"b\":1}");
    mem_free(text);
    cJSON_Delete(a);
}

static const struct option free_table[] = {
    { "words", OPTION_STRINGS, AT(statistics), "", 0, 0, NULL, NULL, "words" },
    { "epochs", OPTION_INT, AT(epochs), "0", -OPTION_INT_MAX, OPTION_INT_MAX, NULL, "passes", "any number" },
    { "lr", OPTION_FLOAT, AT(lr), "0.5", 0, INFINITY, NULL, "1/s", "rate" },
    { "learning_rate", OPTION_INT, AT(sizes), "3", 2, OPTION_INT_MAX, NULL, NULL, "a number of two words" },
    OPTION_END,
};

/* Bounds belong to what may be, whatever the value is written as. */
static void bounds(void **state)
{
    (void)state;
    static const struct {
        const struct option *table;
        const char *json, *name, *text; /* the same twice; NULL: one of them alone */
        const char *says;               /* NULL: may be */
    } rows[] = {
        { table, "{\"loss\":\"mse\",\"epochs\":1}", "epochs", "1", NULL },
        { table, "{\"loss\":\"mse\",\"epochs\":100}", "epochs", "100", NULL },
        { table, "{\"loss\":\"mse\",\"epochs\":101}", "epochs", "101",
          "epochs = 101 is out of bounds: it must lie in 1 .. 100" },
        { table, "{\"loss\":\"mse\",\"epochs\":0}", "epochs", "0",
          "epochs = 0 is out of bounds: it must lie in 1 .. 100" },
        { table, "{\"loss\":\"mse\",\"epochs\":2.5}", "epochs", "2.5", "epochs must be an integer, not 2.5" },
        { table, "{\"loss\":\"mse\",\"lr\":0}", "lr", "0", NULL },
        { table, "{\"loss\":\"mse\",\"lr\":1}", "lr", "1", NULL },
        { table, "{\"loss\":\"mse\",\"lr\":1.5}", "lr", "1.5", "lr = 1.5 is out of bounds: it must lie in 0 .. 1" },
        { table, "{\"loss\":\"mse\",\"lr\":-0.5}", "lr", "-0.5", "lr = -0.5 is out of bounds: it must lie in 0 .. 1" },
        { table, "{\"loss\":\"mse\",\"sizes\":[0,9]}", "sizes", "0,9", NULL },
        { table, "{\"loss\":\"mse\",\"sizes\":[0,10]}", "sizes", "0,10",
          "sizes = 10 is out of bounds: it must lie in 0 .. 9" },
        { table, "{\"loss\":\"mse\",\"sizes\":[]}", "sizes", "", NULL },
        { table, "{\"loss\":\"mse\",\"sizes\":[0.5]}", "sizes", "0.5", "sizes must be an integer, not 0.5" },
        { table, "{\"loss\":\"mse\",\"mean\":[-1,1]}", "mean", "-1,1", NULL },
        { table, "{\"loss\":\"mse\",\"mean\":[0,1.5]}", "mean", "0,1.5",
          "mean = 1.5 is out of bounds: it must lie in -1 .. 1" },
        { table, "{\"loss\":\"mse\",\"std\":[0,9,9.5]}", "std", "0,9,9.5",
          "std = 9.5 is out of bounds: it must lie in 0 .. 9" },
        { table, "{\"loss\":\"mse\",\"shuffle\":false}", "shuffle", "false", NULL },
        { table, NULL, "shuffle", "true", NULL },
        { table, NULL, "shuffle", "yes", "shuffle must be true or false, not \"yes\"" },
        { table, NULL, "sizes", "1,", "sizes must be an integer, not \"\"" },
        { table, NULL, "mean", "x", "mean must be a number, not \"x\"" },
        { table, NULL, "lr", "inf", "lr must be a number, not \"inf\"" },
        { table, NULL, "lr", "", "lr must be a number, not \"\"" },
        { table, NULL, "lr", "0.5 ", "lr must be a number, not \"0.5 \"" },
        { table, NULL, "loss", "msee", "loss must not be \"msee\"; did you mean \"mse\"?" },
        { table, NULL, "statistics", "gap,learnt", "statistics must not be \"learnt\"; did you mean \"learned\"?" },
        { table, "{\"loss\":null}", NULL, NULL, "loss must be a string, not nothing" },
        { table, "{\"loss\":{}}", NULL, NULL, "loss must be a string, not a group" },
        { table, "{\"loss\":true}", NULL, NULL, "loss must be a string, not a boolean" },
        { table, "{\"loss\":1.5}", NULL, NULL, "loss must be a string, not a number" },
        { table, "{\"loss\":\"mse\",\"init\":5}", NULL, NULL, "init must be a string, not an integer" },
        { table, "{\"loss\":\"mse\",\"lr\":\"5\"}", NULL, NULL, "lr must be a number, not a string" },
        { table, "{\"loss\":\"mse\",\"sizes\":{}}", NULL, NULL, "sizes must be a list of integers, not a group" },
        { table, "{\"loss\":\"mse\",\"mean\":null}", NULL, NULL, "mean must be a list of numbers, not nothing" },
        { table, "{\"loss\":\"mse\",\"mean\":[true]}", NULL, NULL,
          "mean must be a list of numbers, but holds a boolean" },
        { table, "{\"loss\":\"mse\",\"statistics\":[[]]}", NULL, NULL,
          "statistics must be a list of strings, but holds a list" },
        { free_table, "{\"epochs\":9007199254740992}", "epochs", "9007199254740992", NULL },
        { free_table, "{\"epochs\":9007199254740994}", "epochs", "9007199254740994",
          "epochs = 9007199254740994 is too large an integer: at most 2^53" },
        { free_table, "{\"epochs\":-9007199254740994}", "epochs", "-9007199254740994",
          "epochs = -9007199254740994 is too large an integer: at most 2^53" },
        { free_table, "{\"learning_rate\":1}", "learning-rate", "1",
          "learning_rate = 1 is out of bounds: it must be at least 2" },
        { free_table, "{\"lr\":-1}", "lr", "-1", "lr = -1 is out of bounds: it must be at least 0" },
        { free_table, "{\"words\":[]}", "words", "", NULL },
        { free_table, "{\"words\":[\"a\",\"a\"]}", "words", "a,a", NULL },
        { free_table, NULL, "learning-rat", "1",
          "there is no option \"learning-rat\"; did you mean \"learning_rate\"?" },
    };
    static struct options o;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = { "" };
        cJSON *json = rows[i].json != NULL ? cJSON_Parse(rows[i].json) : NULL;
        if (json != NULL) {
            assert_int_equal(options_from_json(rows[i].table, json, &o, &err), rows[i].says == NULL ? 0 : -1);
            assert_string_equal(err.text, rows[i].says == NULL ? "" : rows[i].says);
        }
        cJSON_Delete(json);
        err.text[0] = '\0';
        if (rows[i].name != NULL) {
            assert_int_equal(options_defaults(rows[i].table, &o, &err), 0);
            assert_int_equal(options_set_text(rows[i].table, rows[i].name, rows[i].text, &o, &err),
                             rows[i].says == NULL ? 0 : -1);
            assert_string_equal(err.text, rows[i].says == NULL ? "" : rows[i].says);
        }
    }
    assert_int_equal(options_set_text(free_table, "learning-rate", "9", &o, NULL), 0);
    assert_true(*(int64_t *)&o.sizes == 9);
}

/* 64 elements, and 127 characters an element. */
static void long_lists(void **state)
{
    (void)state;
    static struct options o;
    struct err err = { "" };
    for (int n = 64; n <= 65; n++) {
        char text[300] = "", json[400];
        for (int i = 0; i < n; i++)
            strcat(text, i > 0 ? ",1" : "1");
        snprintf(json, sizeof json, "{\"loss\":\"mse\",\"sizes\":[%s]}", text);
        cJSON *object = cJSON_Parse(json);
        assert_int_equal(options_from_json(table, object, &o, &err), n == 64 ? 0 : -1);
        assert_string_equal(err.text, n == 64 ? "" : "sizes has 65 elements: at most 64");
        cJSON_Delete(object);
        assert_int_equal(options_set_text(table, "sizes", text, &o, &err), n == 64 ? 0 : -1);
        if (n == 64)
            assert_true(o.sizes.n == 64 && o.sizes.v[63] == 1);
        else
            assert_string_equal(err.text, "sizes has too many elements: at most 64");
    }
    for (int n = 127; n <= 128; n++) {
        char word[200], json[300];
        memset(word, 'w', sizeof word);
        word[n] = '\0';
        snprintf(json, sizeof json, "{\"words\":[\"%s\"]}", word);
        cJSON *object = cJSON_Parse(json);
        assert_int_equal(options_from_json(free_table, object, &o, &err), n == 127 ? 0 : -1);
        if (n == 127)
            assert_string_equal(o.statistics.v[0], word);
        else
            assert_string_equal(err.text, "words is too long: at most 127 characters");
        cJSON_Delete(object);
        assert_int_equal(options_set_text(free_table, "words", word, &o, &err), n == 127 ? 0 : -1);
        if (n == 128)
            assert_string_equal(err.text, "words is too long: at most 127 characters an element");
    }
}

static void told(void *arg, const char *key, const char *other, const char *text)
{
    snprintf(arg, 128, "%s|%s|%s", key, other != NULL ? other : "-", text);
}

static void tables(void **state)
{
    (void)state;
    char text[128];
    const struct complaints to = { told, text };
    complain(&to, "a", "b", "%d of %s", 3, "x");
    assert_string_equal(text, "a|b|3 of x");
    assert_int_equal(options_bytes(NULL), 0);
    assert_int_equal(options_bytes(table), sizeof(struct options));
    static const struct option kinds[][2] = {
        { { "x", OPTION_INT, 8, "0", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_FLOAT, 8, "0", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_BOOL, 8, "true", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_STRING, 8, "", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_CHOICE, 8, "", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_INTS, 8, "", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_FLOATS, 8, "", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_STRINGS, 8, "", 0, 1, NULL, NULL, "" }, OPTION_END },
        { { "x", OPTION_TRIPLE, 8, "0,0,0", 0, 1, NULL, NULL, "" }, OPTION_END },
    };
    static const size_t sizes[] = {
        8, 8, 1, 512, 128, sizeof(struct int_list), sizeof(struct float_list), sizeof(struct string_list), 24
    };
    for (int i = 0; i < 9; i++) {
        assert_int_equal(options_bytes(kinds[i]), 8 + sizes[i]);
        assert_int_equal(option_is_list(kinds[i]), i >= 5);
        char room[8 + sizeof(struct string_list) + 8]; /* nothing beside it is written */
        memset(room, 0x55, sizeof room);
        assert_int_equal(options_defaults(kinds[i], room, NULL), 0);
        assert_true(room[7] == 0x55 && room[8 + sizes[i]] == 0x55 && room[8 + sizes[i] - 1] != 0x55);
    }
    assert_ptr_equal(option_find(table, "lr"), &table[1]);
    assert_null(option_find(table, "l"));
    static const struct option wrong[] = { { "x", OPTION_INT, 0, "7", 0, 1, NULL, NULL, "" }, OPTION_END };
    int64_t x;
    struct err err;
    assert_int_equal(options_defaults(wrong, &x, &err), -1);
    assert_string_equal(err.text, "default of x: x = 7 is out of bounds: it must lie in 0 .. 1");
    static struct options o; /* an old value gives way */
    options_defaults(free_table, &o, &err);
    cJSON *object = cJSON_Parse("{\"lr\":7,\"other\":1}");
    assert_int_equal(options_to_json(free_table, &o, object, &err), 0);
    char *json = cJSON_PrintUnformatted(object);
    assert_string_equal(json, "{\"other\":1,\"words\":[],\"epochs\":0,\"lr\":0.5,\"learning_rate\":3}");
    cJSON_free(json);
    cJSON_Delete(object);
}

static void help(void **state)
{
    (void)state;
    char text[4096];
    FILE *file = tmpfile();
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
    options_print(table, "  ", "--");
    options_print(free_table, "", "");
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "  --epochs              passes; 1 .. 100; default 10\n"
                              "  --lr                  rate; 0 .. 1; default 1e-3\n"
                              "  --shuffle             order; default true\n"
                              "  --init                file; default empty\n"
                              "  --loss                what is minimised; one of infonce or mse; required\n"
                              "  --sizes               sizes; 0 .. 9; default 1,2\n"
                              "  --mean                means; -1 .. 1; default empty\n"
                              "  --statistics          tests; one of gap or learned; default gap,learned\n"
                              "  --std                 deviations; 0 .. 9; default 1,2,3\n"
                              "words                 words; default empty\n"
                              "epochs                any number [passes]; default 0\n"
                              "lr                    rate [1/s]; at least 0; default 0.5\n"
                              "learning_rate         a number of two words; at least 2; default 3\n");
}

static void canonical_values(void **state)
{
    (void)state;
    struct err err;
    static const char *const cases[][2] = {
        { "[true, false, null, 1e999, -0.0, 1.5]", "[true,false,null,null,0,1.5]" },
        { "\"a\\\\\\\"\\u0001\\u001f \\u007f\\u00e9\"", "\"a\\\\\\\"\\u0001\\u001f \x7f\xc3\xa9\"" },
        { "{}", "{}" },
        { "[]", "[]" },
        { "{\"b\":[],\"B\":1,\"aa\":2,\"a\":3}", "{\"B\":1,\"a\":3,\"aa\":2,\"b\":[]}" },
        { "9007199254740993", "9007199254740992" },
        { "1e22", "1e+22" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cJSON *v = cJSON_Parse(cases[i][0]);
        char *text = json_canonical(v, &err);
        assert_string_equal(text, cases[i][1]);
        mem_free(text);
        cJSON_Delete(v);
    }
    char number[NUMBER_TEXT];
    number_print(NAN, number);
    assert_string_equal(number, "nan");
    number_print(-INFINITY, number);
    assert_string_equal(number, "-inf");
    number_print(-9007199254740992.0, number);
    assert_string_equal(number, "-9007199254740992");
    number_print(9007199254740994.0, number);
    assert_string_equal(number, "9007199254740994");
    number_print(1e17, number);
    assert_string_equal(number, "1e+17");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bounds),           cmocka_unit_test(long_lists),
                                        cmocka_unit_test(tables),           cmocka_unit_test(help),
                                        cmocka_unit_test(canonical_values), cmocka_unit_test(defaults_and_json),
                                        cmocka_unit_test(bad_json),         cmocka_unit_test(text_values),
                                        cmocka_unit_test(numbers),          cmocka_unit_test(canonical_order) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
