/* Config files: includes, environment, overrides, sweeps, and what errors say. */
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
#include "conf/conf.h"

static char folder[] = "/tmp/dinf-conf-XXXXXX";

static void put(const char *name, const char *text)
{
    struct err err;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), &err), 0);
}

static struct conf *load(const char *text, const char *const *set, int n)
{
    struct err err;
    char path[512];
    put("c.cfg", text);
    snprintf(path, sizeof path, "%s/c.cfg", folder);
    struct conf *conf = conf_load(path, set, n, &err);
    assert_non_null(conf);
    return conf;
}

/* Errors joined by newlines, without the folder; caller frees. */
static char *errors(const struct conf *conf)
{
    char *all = NULL;
    size_t size;
    FILE *f = open_memstream(&all, &size);
    for (int i = 0; i < conf->n_errors; i++) {
        const char *e = conf->errors[i];
        size_t n = strlen(folder);
        fprintf(f, "%s%s", i == 0 ? "" : "\n", strncmp(e, folder, n) == 0 ? e + n + 1 : e);
    }
    fclose(f);
    return all;
}

static void expect(const char *text, const char *set, const char *wanted)
{
    struct conf *conf = load(text, &set, set == NULL ? 0 : 1);
    char *all = errors(conf);
    assert_string_equal(all, wanted);
    free(all);
    conf_destroy(conf);
}

static void bad_files(void **state)
{
    (void)state;
    put("self.cfg", "@include \"self.cfg\"\n");
    put("broken.cfg", "x = 1;\ny = ;\n");
    static const char *const cases[][3] = {
        { "a = 1;\nb = hello;\n", NULL, "c.cfg:2: syntax error at or just before: b = hello;" },
        { "a = { b = 1;\n", NULL, "c.cfg:1: syntax error: the file ends where a bracket, a value or \";\" is missing" },
        { "a = 1;\na = 2;\n", NULL, "c.cfg:2: this setting stands twice in its group" },
        { "a = [ 1, 2.0 ];", NULL,
          "c.cfg:1: the elements of [ ] must all be of one type: write 1.0 for 1, or use ( )" },
        { "# 99999999999\na = 99999999999;", NULL, "c.cfg:2: 99999999999 does not fit in 32 bits; write 99999999999L" },
        { "a = (1,\n -2147483649);", NULL, "c.cfg:2: -2147483649 does not fit in 32 bits; write -2147483649L" },
        { "a = 0x1ffffffff;", NULL, "c.cfg:1: 0x1ffffffff does not fit in 32 bits; write 0x1ffffffffL" },
        { "a = 99999999999999999999L;", NULL, "c.cfg:1: 99999999999999999999 does not fit in 64 bits" },
        { "a = 1e999;", NULL, "c.cfg:1: a is too large a number" },
        { "a = \"x;\n", NULL, "c.cfg:1: the file ends inside a string" },
        { "/* a\n", NULL, "c.cfg:1: the file ends inside a comment" },
        { "a = \"${DINF_TEST_UNSET}/x\";", NULL,
          "c.cfg:1: the environment variable DINF_TEST_UNSET of \"${DINF_TEST_UNSET}/x\" is not set" },
        { "a = \"${DINF\";", NULL, "c.cfg:1: \"${DINF\" has \"${\" without a variable's name and \"}\"" },
        { "\n@include \"self.cfg\"\n", NULL, "self.cfg:1: /self.cfg includes itself" },
        { "@include \"broken.cfg\"\n", NULL, "broken.cfg:2: syntax error at or just before: y = ;" },
        { "a = { @include \"x\" };", NULL, "c.cfg:1: @include \"FILE\" must stand on a line of its own" },
        { "@include x\n", NULL, "c.cfg:1: @include wants a file name in quotes and nothing else on its line" },
        { "a = 1;", "a", "--set a: an override looks like a.b[0].c=value" },
        { "a = { bcd = 1; };", "a.bdc.x=2", "--set a.bdc.x=2: there is no \"bdc\"; did you mean \"bcd\"?" },
        { "a = ( 1 );", "a[3]=2", "--set a[3]=2: there is no element [3]: the list has 1" },
        { "a = ( 1, 2 );", "a[2]=2", "--set a[2]=2: there is no element [2]: the list has 2" },
        { "a = ( { b = 1; } );", "a[1].b=2", "--set a[1].b=2: there is no element [1]: the list has 1" },
        { "a = ( ( 1, 2 ), ( 3 ) );", "a[1][1]=2", "--set a[1][1]=2: there is no element [1]: the list has 1" },
        { "a = ();", "a[0]=2", "--set a[0]=2: there is no element [0]: the list has 0" },
        { "a = 1;", "a.b=2", "--set a.b=2: \"b\" cannot be looked up in an integer" },
        { "a = 1;", "a=99999999999", "--set a=99999999999: 99999999999 does not fit in 32 bits; write 99999999999L" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[512];
        const char *cut = strstr(cases[i][2], ": /self");
        if (cut != NULL)
            snprintf(wanted, sizeof wanted, "self.cfg:1: %s/self.cfg includes itself", folder);
        expect(cases[i][0], cases[i][1], cut != NULL ? wanted : cases[i][2]);
    }
}

/* What looks right and is not is named where it stands; columns count characters. */
static void foreign_characters(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "a = 1;\nb =\xC2\xA0"
          "2;",
          NULL, "c.cfg:2: column 4 has a no-break space (U+00A0): write a blank in its place" },
        { "/* \xC3\xA9 */ b\xE2\x80\x8B = 2;", NULL,
          "c.cfg:1: column 10 has a zero-width space (U+200B): write nothing in its place" },
        { "a = \xE2\x80\x9Cx\xE2\x80\x9D;", NULL,
          "c.cfg:1: column 5 has a left double quotation mark (U+201C): write \" in its place" },
        { "a = \xE2\x88\x92"
          "1;",
          NULL, "c.cfg:1: column 5 has a minus sign (U+2212): write - in its place" },
        { "a = 1\xC2\xAD;", NULL, "c.cfg:1: column 6 has a soft hyphen (U+00AD): write nothing in its place" },
        { "a = 1\xEF\xBC\x9B", NULL,
          "c.cfg:1: column 6 has a fullwidth form (U+FF1B): write the character of ordinary width in its place" },
        { "a = 1;\n\xEF\xBB\xBF"
          "b = 1;",
          NULL, "c.cfg:2: column 1 has a byte order mark (U+FEFF): write nothing in its place" },
        { "a = \x01"
          "1;",
          NULL, "c.cfg:1: column 5 has a control character (U+0001): write nothing in its place" },
        { "\xC3\xA9 = 1;", NULL, "c.cfg:1: column 1 has the character U+00E9 outside of a string" },
        { "# \xC2\xA0\na = \"\xC2\xA0\";\n// \xE2\x80\x9C\n/* \xC2\xAD\n*/", NULL, "" },
        { "a = ( { name = \"\xC3\xA9v\xC2\xA0\"; }, x );", NULL,
          "c.cfg:1: syntax error at or just before: a = ( { name = \"\xC3\xA9v\xC2\xA0\"; }, x );; column 19 has a "
          "no-break space (U+00A0)" },
        { "a = { epochs = 1; };", "a.epochs\xE2\x80\x8B.c=2",
          "--set a.epochs\xE2\x80\x8B.c=2: there is no \"epochs\xE2\x80\x8B\"; did you mean \"epochs\"?; column 9 has "
          "a "
          "zero-width space (U+200B)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], cases[i][1], cases[i][2]);
    struct conf *conf = load("g = {\nlr = 1.0;\nlos = \"x\xC2\xA0\"; };", NULL, 0); /* an error of another kind */
    conf_error(conf, conf_child(conf_child(conf->root, "g"), "los"), "nothing like this");
    conf_error(conf, conf_child(conf_child(conf->root, "g"), "lr"), "nor this");
    char *all = errors(conf);
    assert_string_equal(all, "c.cfg:3: nothing like this; column 9 has a no-break space (U+00A0)\nc.cfg:2: nor this");
    free(all);
    conf_destroy(conf);
}

/* One element beyond the end, in the middle and at the end of a path. */
static void beyond_the_end(void **state)
{
    (void)state;
    static const char text[] = "a = ( { b = [ 1, 2 ]; }, { b = [ 3 ]; } ); e = ( );";
    static const char *const cases[][2] = {
        { "a[2].b=7", "--set a[2].b=7: there is no element [2]: the list has 2" },
        { "a[2]=7", "--set a[2]=7: there is no element [2]: the list has 2" },
        { "a[1].b[1]=7", "--set a[1].b[1]=7: there is no element [1]: the list has 1" },
        { "a[1].b[1].c=7", "--set a[1].b[1].c=7: there is no element [1]: the list has 1" },
        { "e[0]=7", "--set e[0]=7: there is no element [0]: the list has 0" },
        { "e[0].b=7", "--set e[0].b=7: there is no element [0]: the list has 0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(text, cases[i][0], cases[i][1]);
    static const char *const last = "a[1].b[0]=7";
    struct conf *conf = load(text, &last, 1);
    assert_int_equal(conf->n_errors, 0);
    conf_destroy(conf);
}

static void missing_files(void **state)
{
    (void)state;
    struct err err;
    char path[512];
    struct conf *conf = load("x = 1;\n@include \"nowhere.cfg\"\n", NULL, 0);
    assert_int_equal(conf->n_errors, 1);
    assert_non_null(strstr(conf->errors[0], "c.cfg:2: "));
    assert_non_null(strstr(conf->errors[0], "nowhere.cfg"));
    conf_destroy(conf);
    snprintf(path, sizeof path, "%s/none.cfg", folder);
    conf = conf_load(path, NULL, 0, &err);
    assert_int_equal(conf->n_errors, 1);
    conf_destroy(conf);
}

static void values_and_origins(void **state)
{
    (void)state;
    put("sub.cfg", "y = 2;\nname = \"${DINF_TEST}/x\";\n");
    setenv("DINF_TEST", "here/${NOT}", 1);
    struct conf *conf = load("a = 1; b = 1.5e-3; c = 9999999999L;\ng = {\n  @include \"sub.cfg\"\n  z = true;\n};\n"
                             "s = \"1 99999999999 \\\" 7\"; # 99999999999\n/* 99999999999\n*/ l = ( 1, \"two\" );\n",
                             NULL, 0);
    assert_int_equal(conf->n_errors, 0);
    assert_true(conf_child(conf->root, "c")->value.integer == 9999999999);
    assert_true(conf_child(conf->root, "b")->value.real == 1.5e-3);
    const struct conf_node *g = conf_child(conf->root, "g");
    const struct conf_node *y = conf_child(g, "y"), *z = conf_child(g, "z");
    assert_int_equal(y->line, 1);
    assert_string_equal(strrchr(y->file, '/'), "/sub.cfg");
    assert_int_equal(z->line, 4);
    assert_string_equal(strrchr(z->file, '/'), "/c.cfg");
    assert_string_equal(conf_child(g, "name")->value.string, "here/${NOT}/x");
    assert_int_equal(conf_child(conf->root, "l")->line, 8);
    conf_destroy(conf);
}

static void overrides(void **state)
{
    (void)state;
    static const char *const set[] = {
        "g.lr=0.5",     "list.two.train.epochs=7", "list[0].train.epochs=[1, 2]", "g.word=adam",
        "g.fresh=true", "list[1].note=a b",
    };
    struct conf *conf = load("g = { lr = 1; word = \"x\"; };\nlist = ( { name = \"one\"; train = { epochs = 1; }; },\n"
                             "{ name = \"two\"; train = { epochs = 1; }; } );\n",
                             set, 6);
    assert_int_equal(conf->n_errors, 0);
    assert_string_equal(
        conf->text,
        "g = {\n    lr = 0.5;\n    word = \"adam\";\n    fresh = true;\n};\nlist = (\n"
        "    {\n        name = \"one\";\n        train = {\n            epochs = (1, 2);\n        };\n    },\n"
        "    {\n        name = \"two\";\n        train = {\n            epochs = 7;\n        };\n"
        "        note = \"a b\";\n    });\n");
    struct conf *again = load(conf->text, NULL, 0);
    assert_string_equal(again->text, conf->text);
    conf_destroy(again);
    conf_destroy(conf);
}

static void sweep(void **state)
{
    (void)state;
    struct err err;
    struct conf_sweep s;
    static const char *const keep[] = { "mean", NULL };
    struct conf *conf = load("g = { a = [1, 2]; b = \"x\"; c = (\"p\", \"q\", \"r\"); mean = [0.5, 0.5]; };", NULL, 0);
    assert_int_equal(conf_sweep(conf, conf_child(conf->root, "g"), keep, &s, &err), 0);
    assert_int_equal(s.n, 6);
    for (int i = 0; i < 6; i++) {
        static const char *const last[] = { "p", "q", "r" };
        assert_int_equal(conf_child(s.groups[i], "a")->value.integer, 1 + i / 3);
        assert_string_equal(conf_child(s.groups[i], "c")->value.string, last[i % 3]);
        assert_int_equal(conf_child(s.groups[i], "mean")->n, 2);
    }
    conf_sweep_free(&s);
    conf_destroy(conf);
    conf = load("g = { a = []; b = [1, 2]; };", NULL, 0); /* an empty list is left to conf_bind */
    assert_int_equal(conf_sweep(conf, conf_child(conf->root, "g"), NULL, &s, &err), 0);
    assert_int_equal(s.n, 2);
    conf_sweep_free(&s);
    conf_destroy(conf);
}

static void bind(void **state)
{
    (void)state;
    static const struct option one[] = { { "epochs", OPTION_INT, 0, "5", 1, 10, NULL, NULL, "passes" },
                                         { .name = NULL } };
    static const struct option two[] = { { "lr", OPTION_FLOAT, 0, NULL, 0, 1, NULL, NULL, "rate" }, { .name = NULL } };
    const struct option *tables[] = { one, two };
    static const char *const extra[] = { "dataset", NULL };
    struct conf *conf = load("g = {\nepoch = 3;\nlr = 2;\nepochs = \"x\";\ndatasets = 1;\nzzzzzzzzz = 1; };", NULL, 0);
    cJSON *object = cJSON_CreateObject();
    assert_int_equal(conf_bind(conf, conf_child(conf->root, "g"), tables, 2, extra, object), -1);
    char *all = errors(conf);
    assert_string_equal(all, "c.cfg:2: unknown option \"epoch\"; did you mean \"epochs\"?\n"
                             "c.cfg:3: lr = 2 is out of bounds: it must lie in 0 .. 1\n"
                             "c.cfg:4: epochs must be an integer, not a string\n"
                             "c.cfg:5: unknown option \"datasets\"; did you mean \"dataset\"?\n"
                             "c.cfg:6: unknown option \"zzzzzzzzz\"");
    free(all);
    cJSON_Delete(object);
    conf_destroy(conf);
    conf = load("g = {\nepochs = [ ];\nlr = 0.5; };", NULL, 0);
    object = cJSON_CreateObject();
    assert_int_equal(conf_bind(conf, conf_child(conf->root, "g"), tables, 2, extra, object), -1);
    all = errors(conf);
    assert_string_equal(all, "c.cfg:2: epochs is an empty list: nothing would be done");
    free(all);
    cJSON_Delete(object);
    conf_destroy(conf);
    conf = load("g = {\nepoch = 3; };", NULL, 0); /* without an object nothing is missing */
    assert_int_equal(conf_bind(conf, conf_child(conf->root, "g"), tables, 2, extra, NULL), -1);
    all = errors(conf);
    assert_string_equal(all, "c.cfg:2: unknown option \"epoch\"; did you mean \"epochs\"?");
    free(all);
    conf_destroy(conf);
    conf = load("\ng = { dataset = 1; };", NULL, 0);
    object = cJSON_CreateObject();
    assert_int_equal(conf_bind(conf, conf_child(conf->root, "g"), tables, 2, extra, object), -1);
    all = errors(conf);
    assert_string_equal(all, "c.cfg:2: lr is missing: rate");
    assert_int_equal(cJSON_GetObjectItem(object, "epochs")->valueint, 5);
    free(all);
    cJSON_Delete(object);
    conf_destroy(conf);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files),
        cmocka_unit_test(foreign_characters),
        cmocka_unit_test(beyond_the_end),
        cmocka_unit_test(missing_files),
        cmocka_unit_test(values_and_origins),
        cmocka_unit_test(overrides),
        cmocka_unit_test(sweep),
        cmocka_unit_test(bind),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
