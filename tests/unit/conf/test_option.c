/* Option tables and canonical JSON. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(defaults_and_json), cmocka_unit_test(bad_json),
                                        cmocka_unit_test(text_values), cmocka_unit_test(numbers),
                                        cmocka_unit_test(canonical_order) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
