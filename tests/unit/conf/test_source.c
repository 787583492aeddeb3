/* conf: the text of a config and of --set: numbers, brackets, strings, comments, includes, characters, and what is
 * written back. */
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
#include "conf/character.h"
#include "conf/conf.h"

static char folder[] = "/tmp/dinf-source-XXXXXX";

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_bytes(const char *name, const char *text, size_t n)
{
    struct err err;
    assert_int_equal(fs_write_atomic(at(name), text, n, &err), 0);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static struct conf *load(const char *text, const char *set)
{
    struct err err;
    put("c.cfg", text);
    struct conf *conf = conf_load(at("c.cfg"), &set, set == NULL ? 0 : 1, &err);
    assert_non_null(conf);
    return conf;
}

/* Errors joined by newlines, without the folder. */
static const char *errors(const struct conf *conf)
{
    static char all[8192];
    size_t used = 0, n = strlen(folder);
    all[0] = '\0';
    for (int i = 0; i < conf->n_errors; i++) {
        const char *e = conf->errors[i];
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i == 0 ? "" : "\n",
                                 strncmp(e, folder, n) == 0 ? e + n + 1 : e);
    }
    return all;
}

static void expect(const char *text, const char *set, const char *wanted)
{
    struct conf *conf = load(text, set);
    if (strcmp(errors(conf), wanted) != 0)
        fail_msg("%s | %s:\n%s\ninstead of\n%s", text, set != NULL ? set : "", errors(conf), wanted);
    conf_destroy(conf);
}

static void integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
        const char *says; /* NULL: that value */
    } rows[] = {
        { "2147483647", 2147483647, NULL },
        { "2147483648", 0, "2147483648 does not fit in 32 bits; write 2147483648L" },
        { "-2147483648", -2147483648LL, NULL },
        { "-2147483649", 0, "-2147483649 does not fit in 32 bits; write -2147483649L" },
        { "+2147483648", 0, "+2147483648 does not fit in 32 bits; write +2147483648L" },
        { "2147483648L", 2147483648LL, NULL },
        { "2147483648LL", 2147483648LL, NULL },
        { "9223372036854775807L", INT64_MAX, NULL },
        { "9223372036854775808L", 0, "9223372036854775808 does not fit in 64 bits" },
        { "-9223372036854775808L", INT64_MIN, NULL },
        { "0x7fffffff", 2147483647, NULL },
        { "0X80000000", 0, "0X80000000 does not fit in 32 bits; write 0X80000000L" },
        { "0xFFFFFFFFFFL", 0xFFFFFFFFFF, NULL },
        { "007", 7, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128], wanted[256], set[128];
        snprintf(text, sizeof text, "a = %s;", rows[i].text);
        snprintf(wanted, sizeof wanted, "c.cfg:1: %s", rows[i].says);
        struct conf *conf = load(text, NULL);
        assert_string_equal(errors(conf), rows[i].says != NULL ? wanted : "");
        if (rows[i].says == NULL)
            assert_true(conf_child(conf->root, "a")->value.integer == rows[i].value);
        conf_destroy(conf);
        snprintf(set, sizeof set, "a=%s", rows[i].text);
        snprintf(wanted, sizeof wanted, "--set a=%s: %s", rows[i].text, rows[i].says);
        expect("a = 1;", set, rows[i].says != NULL ? wanted : "");
    }
    char zeros[128], text[160];
    for (int n = 79; n <= 80; n++) {
        memset(zeros, '0', sizeof zeros);
        zeros[n] = '\0';
        snprintf(text, sizeof text, "a = %s;", zeros);
        expect(text, NULL, n < 80 ? "" : "c.cfg:1: 00000000000000000000... does not fit in 64 bits");
    }
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = { { "1.", 1 },
                 { "0.5", 0.5 },
                 { "-.5", -0.5 },
                 { ".25", 0.25 },
                 { "1e5", 1e5 },
                 { "1E-5", 1e-5 },
                 { "+1.5e+3", 1500 },
                 { "99999999999.0", 99999999999.0 },
                 { "1e11", 1e11 },
                 { "0.1e1", 1 },
                 { "99999999999e0", 99999999999.0 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "a = %s;", rows[i].text);
        struct conf *conf = load(text, NULL);
        assert_string_equal(errors(conf), "");
        assert_true(conf_child(conf->root, "a")->value.real == rows[i].value);
        conf_destroy(conf);
    }
    expect("x99999999999 = 1; y-99999999999 = 1; z_99999999999 = 2; Z*99999999999 = 2;", NULL, "");
    expect("a = ( 1, 1e999 ); g = { b = -1e999; };", NULL,
           "c.cfg:1: this is too large a number\nc.cfg:1: b is too large a number");
}

/* Text that is no number: in strings and comments, of values from the command line, too. */
static void quoted(void **state)
{
    (void)state;
    expect("a = \"1\n99999999999\" /* 99999999999 */; // 99999999999\nb = \"\\\"\"; # 99999999999\nc = 99999999999;",
           NULL, "c.cfg:4: 99999999999 does not fit in 32 bits; write 99999999999L");
    expect("/* a\n * b **/ c = 99999999999;", NULL, "c.cfg:2: 99999999999 does not fit in 32 bits; write 99999999999L");
    expect("a = \"x\\\\\"; b = 99999999999;", NULL, "c.cfg:1: 99999999999 does not fit in 32 bits; write 99999999999L");
    expect("a = 1;", "a=[1, 99999999999]",
           "--set a=[1, 99999999999]: 99999999999 does not fit in 32 bits; write 99999999999L");
    expect("a = 1;", "a=(\"x\", -99999999999)",
           "--set a=(\"x\", -99999999999): -99999999999 does not fit in 32 bits; write -99999999999L");
    expect("a = 1;", "a=(\"x 99999999999\", 1)", "");
    expect("a = 1;", "a=(\"\\\" 99999999999\", 1)", "");
    expect("a = 1;", "a=(\"\\\\\", 99999999999)",
           "--set a=(\"\\\\\", 99999999999): 99999999999 does not fit in 32 bits; write 99999999999L");
    expect("a = 1;", "a={b99999999999 = 1;}", "");
    expect("a = 1;", "a={b_9-99999999999 = 1;}", "");
    expect("a = 1;", "a=x 99999999999", "");
    expect("a = \"b\n", NULL, "c.cfg:1: the file ends inside a string");
    expect("a = 1;\n\n/* b", NULL, "c.cfg:3: the file ends inside a comment");
    struct conf *conf = load("a = 1;", "a=");
    assert_string_equal(conf_child(conf->root, "a")->value.string, "");
    conf_destroy(conf);
}

static void brackets(void **state)
{
    (void)state;
    static const char open[] = "({[", close[] = ")}]";
    for (int kind = 0; kind < 3; kind += 2)
        for (int n = 64; n <= 65; n++) {
            char text[512] = "a = ";
            size_t used = strlen(text);
            for (int i = 0; i < n; i++)
                text[used++] = i + 1 < n ? '(' : open[kind];
            text[used++] = '1';
            for (int i = n; i-- > 0;)
                text[used++] = i + 1 < n ? ')' : close[kind];
            snprintf(text + used, sizeof text - used, ";\nb = ((1));\n");
            expect(text, NULL, n == 64 ? "" : "c.cfg:1: brackets are nested more than 64 deep");
        }
    char groups[4096] = "";
    size_t used = 0;
    for (int i = 0; i < 40; i++) /* what is closed does not count */
        used += (size_t)snprintf(groups + used, sizeof groups - used, "g%d = { a = ( [ 1 ] ); };\n", i);
    expect(groups, NULL, "");
}

static void includes(void **state)
{
    (void)state;
    struct err err;
    char text[256], name[32], wanted[512];
    assert_int_equal(fs_mkdirs(at("sub"), &err), 0);
    put("sub/one.cfg", "x = 1;\n  @include \"two.cfg\"\n"); /* beside itself */
    put("sub/two.cfg", "y = 2;");
    static const char *const ways[] = { "@include \"sub/one.cfg\"",       "\t @include\t\"sub/one.cfg\";",
                                        "@include \"sub/one.cfg\" # why", "@include \"sub/one.cfg\" // why",
                                        "@include \"sub/one.cfg\" ;\r",   "@include\"sub/one.cfg\"  \t" };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(text, sizeof text, "a = 0;\n%s\nz = 99999999999L;\n", ways[i]);
        struct conf *conf = load(text, NULL);
        assert_string_equal(errors(conf), "");
        assert_int_equal(conf_child(conf->root, "y")->value.integer, 2);
        assert_int_equal(conf_child(conf->root, "y")->line, 1);
        assert_int_equal(conf_child(conf->root, "z")->line, 3);
        assert_int_equal(conf->n_files, 3);
        conf_destroy(conf);
    }
    static const char *const wrong[] = { "@include \"\"", "@include \"x", "@include \"x\" y",
                                         "@include",      "@include x\"", "@include \"sub/one.cfg\" = 1;" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text, "a = 0;\n%s\n", wrong[i]);
        expect(text, NULL, "c.cfg:2: @include wants a file name in quotes and nothing else on its line");
    }
    expect("a = \"\n@include \\\"x\\\"\n\"; /*\n@include \"x\"\n*/ # \n// @include \"x\"\n", NULL, "");
    snprintf(text, sizeof text, "@include \"%s/sub/two.cfg\"\n", folder);
    expect(text, NULL, "");
    for (int i = 1; i <= 11; i++) { /* c.cfg includes 1.cfg and so on */
        snprintf(name, sizeof name, "%d.cfg", i);
        snprintf(text, sizeof text, i < 11 ? "@include \"%d.cfg\"\n" : "deep = %d;\n", i + 1);
        put(name, text);
    }
    put("10.cfg", "deep = 1;\n");
    expect("@include \"1.cfg\"\n@include \"2.cfg\"\n", NULL, "10.cfg:1: this setting stands twice in its group");
    put("10.cfg", "@include \"11.cfg\"\n");
    expect("@include \"1.cfg\"\n", NULL, "10.cfg:1: includes are nested more than 10 deep");
    put("loop.cfg", "@include \"c.cfg\"\n");
    snprintf(wanted, sizeof wanted, "loop.cfg:1: %s/c.cfg includes itself", folder);
    expect("@include \"loop.cfg\"\n", NULL, wanted);
    put("twice.cfg", "");
    expect("@include \"twice.cfg\"\n@include \"twice.cfg\"\n", NULL, ""); /* one after the other is no loop */
}

static void bytes(void **state)
{
    (void)state;
    struct err err;
    static const struct {
        const char *text;
        size_t n;
        const char *wanted;
    } rows[] = { { "\xEF\xBB\xBF"
                   "a = 1;",
                   9, "" },
                 { "\xEF\xBB", 2, "b.cfg:1: this is not UTF-8 text" },
                 { "a = 1;\0b", 8, "b.cfg: this is not text: it holds a zero byte" },
                 { "a = 1;\nb = \"\xC3\xA9\";\nc = \"\xE9\";\n", 25, "b.cfg:3: this is not UTF-8 text" },
                 { "", 0, "" },
                 { "a = 1;\r\nb = 2;\r\n", 16, "" },
                 { "a = 1;\f\tb = 2;", 14, "" } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_bytes("b.cfg", rows[i].text, rows[i].n);
        struct conf *conf = conf_load(at("b.cfg"), NULL, 0, &err);
        assert_string_equal(errors(conf), rows[i].wanted);
        conf_destroy(conf);
    }
}

/* The table of well-formed UTF-8 in the Unicode standard, chapter 3. */
static void utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n; /* 0: malformed */
        uint32_t code;
    } rows[] = { { "A", 1, 0x41 },
                 { "\x7F", 1, 0x7F },
                 { "\x80", 0, 0 },
                 { "\xBF", 0, 0 },
                 { "\xC1\xBF", 0, 0 },
                 { "\xC2\x80", 2, 0x80 },
                 { "\xDF\xBF", 2, 0x7FF },
                 { "\xDF\x7F", 0, 0 },
                 { "\xDF\xC0", 0, 0 },
                 { "\xDF", 0, 0 },
                 { "\xE0\x9F\xBF", 0, 0 },
                 { "\xE0\xA0\x80", 3, 0x800 },
                 { "\xE2\x82\xAC", 3, 0x20AC },
                 { "\xED\x9F\xBF", 3, 0xD7FF },
                 { "\xED\xA0\x80", 0, 0 },
                 { "\xEE\x80\x80", 3, 0xE000 },
                 { "\xEF\xBF\xBF", 3, 0xFFFF },
                 { "\xEF\xBF", 0, 0 },
                 { "\xF0\x8F\xBF\xBF", 0, 0 },
                 { "\xF0\x90\x80\x80", 4, 0x10000 },
                 { "\xF0\x9F\x98\x80", 4, 0x1F600 },
                 { "\xF4\x8F\xBF\xBF", 4, 0x10FFFF },
                 { "\xF4\x90\x80\x80", 0, 0 },
                 { "\xF5\x80\x80\x80", 0, 0 },
                 { "\xF8\x88\x80\x80", 0, 0 },
                 { "\xF0\x90\x80", 0, 0 },
                 { "\xFF", 0, 0 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t code = 0;
        size_t n = character_decode(rows[i].text, strlen(rows[i].text), &code);
        if (n != rows[i].n || (n > 0 && code != rows[i].code))
            fail_msg("row %zu: %zu bytes, U+%04X", i, n, (unsigned)code);
        char text[32];
        snprintf(text, sizeof text, "x\n\xC3\xA9\n%sx", rows[i].text);
        assert_int_equal(character_not_utf8(text, strlen(text)), n == 0 ? 3 : 0);
    }
    uint32_t code;
    assert_int_equal(character_decode("\xC2\x80", 1, &code), 0);
    assert_int_equal(character_decode("", 0, &code), 0);
    char text[CHARACTER_TEXT];
    character_text(0x2005, text);
    assert_string_equal(text, "space of another width (U+2005)");
    character_text(0x41, text);
    assert_string_equal(text, "character U+0041");
    /* both ends of a range, and beside them */
    static const uint32_t in[] = { 0x1,    0x8,    0xB,    0xE,    0x1F,   0x7F,   0x9F,  0xA0,
                                   0x2000, 0x200A, 0x201A, 0x201B, 0xFEFF, 0xFF01, 0xFF5E };
    static const uint32_t out[] = { 0x9, 0xA, 0xC, 0xD, 0x20, 0x7E, 0xA1, 0x1FFF, 0x2016, 0x2017, 0xFF00, 0x10FFFF };
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
        assert_true(character_find(in[i]) != NULL);
    for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
        assert_true(character_find(out[i]) == NULL);
}

static void syntax_errors(void **state)
{
    (void)state;
    char text[256], wanted[256];
    for (int n = 59; n <= 61; n++) { /* the line, or its beginning */
        char x[64];
        memset(x, 'x', sizeof x);
        x[n - 2] = '\0';
        snprintf(text, sizeof text, "a = 1;\n \t? %s\r\nb = 1;\n", x);
        snprintf(wanted, sizeof wanted, "c.cfg:2: syntax error at or just before: %.60s", text + 9);
        wanted[strcspn(wanted, "\r")] = '\0';
        expect(text, NULL, wanted);
    }
    expect("a = [ 1, \"x\" ];", NULL,
           "c.cfg:1: the elements of [ ] must all be of one type: write 1.0 for 1, or use ( )");
}

static void environment(void **state)
{
    (void)state;
    char name[300], text[700], wanted[900];
    setenv("DINF_A", "1", 1);
    setenv("DINF_B", "${DINF_A}", 1);
    struct conf *conf =
        load("a = \"${DINF_A}${DINF_B}x${DINF_A}\"; l = ( \"$DINF_A {} $\", ( \"${DINF_A}\" ) );", NULL);
    assert_string_equal(errors(conf), "");
    assert_string_equal(conf_child(conf->root, "a")->value.string, "1${DINF_A}x1");
    assert_string_equal(conf_child(conf->root, "l")->children[0]->value.string, "$DINF_A {} $");
    assert_string_equal(conf_child(conf->root, "l")->children[1]->children[0]->value.string, "1");
    conf_destroy(conf);
    expect("a = \"x${}\";", NULL, "c.cfg:1: \"x${}\" has \"${\" without a variable's name and \"}\"");
    expect("a = \"${DINF_A}${x\";", NULL, "c.cfg:1: \"1${x\" has \"${\" without a variable's name and \"}\"");
    for (int n = 253; n <= 254; n++) {
        memset(name, 'D', sizeof name);
        name[n] = '\0';
        setenv(name, "long", 1);
        snprintf(text, sizeof text, "a = \"${%s}\";", name);
        snprintf(wanted, sizeof wanted, "c.cfg:1: \"${%.198s\" has \"${\" without a variable's name and \"}\"", name);
        expect(text, NULL, n == 253 ? "" : wanted);
    }
}

static void settings(void **state)
{
    (void)state;
    static const char text[] = "g = { bcd = 1; }; l = ( { name = \"one\"; v = 1; }, { v = 2; }, 5 );";
    static const char usual[] = "an override looks like a.b[0].c=value";
    static const char *const malformed[] = { "=1",    ".g=1",    "g..bcd=1",        "g.=1", "l[]=1",  "l[x]=1",
                                             "l[0=1", "l[0]v=1", "l[1234567890]=1", "g[",   "l[-1]=1" };
    char wanted[512], set[400];
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        snprintf(wanted, sizeof wanted, "--set %s: %s", malformed[i], usual);
        expect(text, malformed[i], wanted);
    }
    static const char *const wrong[][2] = {
        { "l[123456789]=1", "there is no element [123456789]: the list has 3" },
        { "[0]=1", "\"0\" cannot be looked up in a group { }" },
        { "g[0]=1", "\"0\" cannot be looked up in a group { }" },
        { "l.on=1", "there is no \"on\"; did you mean \"one\"?" },
        { "l.on.v=1", "there is no \"on\"; did you mean \"one\"?" },
        { "l[2].v=1", "\"v\" cannot be looked up in an integer" },
        { "g.new.v=1", "there is no \"new\"" },
        { "g.bce.v=1", "there is no \"bce\"; did you mean \"bcd\"?" },
        { "g.bcd.v=1", "\"v\" cannot be looked up in an integer" },
        { "g.bcd[0]=1", "\"0\" cannot be looked up in an integer" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(wanted, sizeof wanted, "--set %s: %s", wrong[i][0], wrong[i][1]);
        expect(text, wrong[i][0], wanted);
    }
    char part[200];
    for (int n = 127; n <= 128; n++) {
        memset(part, 'p', sizeof part);
        part[n] = '\0';
        snprintf(set, sizeof set, "g.%s=1", part);
        snprintf(wanted, sizeof wanted, "--set %s: %s", set, usual);
        expect(text, set, n == 127 ? "" : wanted);
    }
    static const struct {
        const char *set, *text;
    } right[] = {
        { "l.one=7", "g = {\n    bcd = 1;\n};\nl = (7,\n    {\n        v = 2;\n    }, 5);\n" },
        { "l[1].v=x=y",
          "g = {\n    bcd = 1;\n};\nl = (\n    {\n        name = \"one\";\n        v = 1;\n    },\n    {\n   "
          "     v = \"x=y\";\n    }, 5);\n" },
        { "l=true", "g = {\n    bcd = 1;\n};\nl = true;\n" },
        { "l=(false, 1.5, -3000000000L)", "g = {\n    bcd = 1;\n};\nl = (false, 1.5, -3000000000L);\n" },
        { "l=\"a\\\"\\\\\\n\\x01\"", "g = {\n    bcd = 1;\n};\nl = \"a\\\"\\\\\\n\\x01\";\n" },
        { "l=[2.0, 1e300]", "g = {\n    bcd = 1;\n};\nl = (2.0, 1e+300);\n" },
        { "l=2147483647", "g = {\n    bcd = 1;\n};\nl = 2147483647;\n" },
        { "l=-2147483648", "g = {\n    bcd = 1;\n};\nl = -2147483648;\n" },
        { "l=2147483648L", "g = {\n    bcd = 1;\n};\nl = 2147483648L;\n" },
        { "l=()", "g = {\n    bcd = 1;\n};\nl = ();\n" },
        { "l=1; m = 2", "g = {\n    bcd = 1;\n};\nl = \"1; m = 2\";\n" },
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct conf *conf = load(text, right[i].set);
        assert_string_equal(errors(conf), "");
        assert_string_equal(conf->text, right[i].text);
        struct conf *again = load(conf->text, NULL);
        assert_string_equal(again->text, conf->text);
        conf_destroy(again);
        conf_destroy(conf);
    }
    struct conf *conf = load(text, "g.a.b=1"); /* the tree is as it was */
    assert_int_equal(conf_child(conf->root, "g")->n, 1);
    assert_int_equal(conf->root->line, 1);
    conf_destroy(conf);
}

/* Each mistake once, in the order in which they were found. */
static void many_errors(void **state)
{
    (void)state;
    struct conf *conf = load("a = 1;\nb = 2;", NULL);
    const struct conf_node *a = conf_child(conf->root, "a"), *b = conf_child(conf->root, "b");
    for (int i = 0; i < 40; i++)
        conf_error(conf, i % 2 == 0 ? a : b, "mistake %d", i % 20);
    assert_int_equal(conf->n_errors, 20);
    for (int i = 0; i < 20; i++) {
        char wanted[600];
        snprintf(wanted, sizeof wanted, "%s:%d: mistake %d", at("c.cfg"), 1 + i % 2, i);
        assert_string_equal(conf->errors[i], wanted);
    }
    conf_destroy(conf);
    char text[1000] = "g = { x = (";
    size_t used = strlen(text);
    for (int i = 0; i < 101; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s1", i > 0 ? "," : "");
    char three[3200];
    snprintf(three, sizeof three, "%s); y%s); z%s); };", text, text + strlen("g = { x"), text + strlen("g = { x"));
    conf = load(three, NULL);
    struct conf_sweep sweep;
    struct err err;
    assert_int_equal(conf_sweep(conf, conf_child(conf->root, "g"), NULL, &sweep, &err), -1);
    assert_string_equal(errors(conf), "c.cfg:1: the lists of this group make more than 1000000 combinations");
    conf_destroy(conf);
}

static void bounds_of_binding(void **state)
{
    (void)state;
    static const struct option one[] = {
        { "n", OPTION_INT, 0, "5", -OPTION_INT_MAX, OPTION_INT_MAX, NULL, NULL, "number" }, { .name = NULL }
    };
    static const struct option two[] = { { "n", OPTION_INT, 0, "7", 0, 9, NULL, NULL, "another" },
                                         { "list", OPTION_INTS, 0, "1,2", 0, 9, NULL, NULL, "several" },
                                         { .name = NULL } };
    const struct option *tables[] = { one, two };
    static const struct {
        const char *text, *says;
        double n;
    } rows[] = { { "g = { n = 9007199254740992L; };", "", 9007199254740992.0 },
                 { "g = { n = -9007199254740992L; };", "", -9007199254740992.0 },
                 { "g = { n = 9007199254740993L; };", "c.cfg:1: n is too large an integer: at most 2^53", 0 },
                 { "g = { n = -9007199254740993L; };", "c.cfg:1: n is too large an integer: at most 2^53", 0 },
                 { "g = { n = (); };", "c.cfg:1: n is an empty list: nothing would be done", 0 },
                 { "g = { list = (); };", "", 5 },
                 { "g = 5;", "c.cfg:1: g must be a group { }, not an integer", 0 },
                 { "g = (1, 2);", "c.cfg:1: g must be a group { }, not a list", 0 },
                 { "g = 1.5;", "c.cfg:1: g must be a group { }, not a number", 0 },
                 { "g = true;", "c.cfg:1: g must be a group { }, not a boolean", 0 },
                 { "g = \"x\";", "c.cfg:1: g must be a group { }, not a string", 0 },
                 { "g = { };", "", 5 } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conf *conf = load(rows[i].text, NULL);
        cJSON *object = cJSON_CreateObject();
        int rc = conf_bind(conf, conf_child(conf->root, "g"), tables, 2, NULL, object);
        assert_string_equal(errors(conf), rows[i].says);
        assert_int_equal(rc, rows[i].says[0] != '\0' ? -1 : 0);
        if (rc == 0) {
            assert_true(cJSON_GetObjectItem(object, "n")->valuedouble == rows[i].n); /* of the first table */
            assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(object, "list")), i == 5 ? 0 : 2);
        }
        cJSON_Delete(object);
        conf_destroy(conf);
    }
    struct conf *conf = load("g = ( 5 );", NULL);
    assert_int_equal(conf_bind(conf, conf_child(conf->root, "g")->children[0], tables, 2, NULL, NULL), -1);
    assert_string_equal(errors(conf), "c.cfg:1: this must be a group { }, not an integer");
    conf_destroy(conf);
    struct library library;
    conf_library(&library);
    assert_string_equal(library.name, "libconfig");
    assert_true(library.version[0] >= '1');
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
        cmocka_unit_test(integers), cmocka_unit_test(numbers),       cmocka_unit_test(quoted),
        cmocka_unit_test(brackets), cmocka_unit_test(includes),      cmocka_unit_test(bytes),
        cmocka_unit_test(utf8),     cmocka_unit_test(syntax_errors), cmocka_unit_test(environment),
        cmocka_unit_test(settings), cmocka_unit_test(many_errors),   cmocka_unit_test(bounds_of_binding),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
