/* Every table of the program: rows are named, unique, and their options sound. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/option.h"
#include "device/device.h"
#include "nn/nn.h"
#include "stats/inference.h"
#include "stats/similarity.h"
#include "tasks/task.h"

/* What a row writes must not reach into another row's field. */
static size_t field_size(const struct option *o)
{
    static const size_t sizes[] = {
        [OPTION_INT] = sizeof(int64_t),
        [OPTION_FLOAT] = sizeof(double),
        [OPTION_BOOL] = sizeof(bool),
        [OPTION_STRING] = OPTION_TEXT,
        [OPTION_CHOICE] = OPTION_NAME,
        [OPTION_INTS] = sizeof(struct int_list),
        [OPTION_FLOATS] = sizeof(struct float_list),
        [OPTION_STRINGS] = sizeof(struct string_list),
        [OPTION_TRIPLE] = 3 * sizeof(double),
    };
    return sizes[option_type(o)];
}

/* Presets parse and lie within their own bounds; names are config words. */
static void check_options(const struct option *table, size_t size)
{
    static char space[1 << 17];
    struct err err = { "" };
    if (table == NULL)
        return;
    assert_true(size < sizeof space);
    if (options_defaults(table, space, &err) != 0)
        fail_msg("%s", err.text);
    for (const struct option *o = table; o->name != NULL; o++) {
        assert_non_null(o->help);
        assert_true(strlen(o->help) > 0);
        for (const char *c = o->name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
        assert_ptr_equal(option_find(table, o->name), o); /* no second row of this name */
        assert_true(size == 0 || o->offset + field_size(o) <= size);
        for (const struct option *other = table; other->name != NULL; other++)
            assert_true(other == o || other->offset < o->offset || other->offset >= o->offset + field_size(o));
        if (option_type(o) == OPTION_INT || option_type(o) == OPTION_FLOAT)
            assert_true(o->min < o->max);
        if (option_type(o) == OPTION_CHOICE)
            assert_non_null(o->choices);
    }
}

static void check_row(const char *name, const char *help)
{
    assert_true(name != NULL && name[0] != '\0');
    assert_true(help != NULL && help[0] != 0);
}

/* A kind's option takes the name of every row of a table. */
static void check_offered(const char *kind, const char *option, const char *name)
{
    const struct option *o = option_find(task_kind_find(kind)->options, option);
    int i = 0;
    assert_non_null(o);
    assert_non_null(o->choices);
    while (o->choices[i] != NULL && strcmp(o->choices[i], name) != 0)
        i++;
    if (o->choices[i] == NULL)
        fail_msg("%s: %s does not take %s", kind, option, name);
}

static void check_nn(const void *const *rows)
{
    assert_non_null(rows[0]);
    for (int i = 0; rows[i] != NULL; i++) {
        const struct nn_row *row = rows[i];
        check_row(row->name, row->help);
        check_options(row->options, row->options_size);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(((const struct nn_row *)rows[j])->name, row->name);
    }
}

static void nn_tables(void **state)
{
    (void)state;
    check_nn((const void *const *)arch_kinds);
    check_nn((const void *const *)loss_kinds);
    check_nn((const void *const *)optim_kinds);
    check_nn((const void *const *)augment_kinds);
    check_options(encoder_options, 0);
    check_options(train_options, 0);
    check_options(self_options, 0);
    check_options(theft_options, 0);
}

static void task_table(void **state)
{
    (void)state;
    for (int i = 0; task_kinds[i] != NULL; i++) {
        const struct task_kind *k = task_kinds[i];
        check_row(k->name, k->help);
        check_options(k->options, k->options_size);
        assert_non_null(k->run);
        assert_non_null(k->cost);
        assert_ptr_equal(task_kind_find(k->name), k);
        struct err err = { "" };
        const struct option *tables[16];
        int n = task_kind_tables(k, NULL, tables, 16, &err);
        assert_true(n > 0);
        for (int a = 0; a < n; a++)
            for (const struct option *o = tables[a]; o->name != NULL; o++) {
                for (int c = 0; c < a; c++)
                    assert_null(option_find(tables[c], o->name));
                if (k->elsewhere != NULL)
                    assert_null(k->elsewhere(o->name)); /* what is here is nowhere else */
            }
        check_options(tables[n - 1], 0);
    }
    assert_null(task_kind_find("no such kind"));
}

/* What a config may say about a training is in the tables that `dinf list` prints. */
static void training_tables(void **state)
{
    (void)state;
    static const char *const kinds[] = { "train", "steal" };
    static const char *const wanted[][2] = { { "seed", "seed" }, { "epochs", "epochs" }, { "projector", "head" } };
    for (int k = 0; k < 2; k++)
        for (int w = 0; w < 3; w++) {
            struct err err = { "" };
            const struct option *tables[16];
            int found = 0, n = task_kind_tables(task_kind_find(kinds[k]), NULL, tables, 16, &err);
            for (int i = 0; i < n; i++)
                found += option_find(tables[i], wanted[w][k]) != NULL;
            assert_int_equal(found, 1);
        }
    assert_non_null(task_kind_find("steal")->elsewhere("hue"));
    assert_non_null(task_kind_find("train")->elsewhere("head"));
    assert_null(task_kind_find("steal")->elsewhere("epocs"));
}

static void other_tables(void **state)
{
    (void)state;
    for (int i = 0; dataset_formats[i] != NULL; i++) {
        check_row(dataset_formats[i]->name, dataset_formats[i]->help);
        check_options(dataset_formats[i]->options, dataset_formats[i]->options_size);
    }
    for (int i = 0; device_kinds[i] != NULL; i++)
        check_row(device_kinds[i]->name, device_kinds[i]->help);
    for (int i = 0; statistics[i] != NULL; i++) {
        check_row(statistics[i]->name, statistics[i]->help);
        assert_ptr_equal(statistic_find(statistics[i]->name), statistics[i]);
        check_offered("dataset_inference", "statistics", statistics[i]->name);
    }
    for (int i = 0; obfuscations[i] != NULL; i++) {
        check_row(obfuscations[i]->name, obfuscations[i]->help);
        assert_ptr_equal(obfuscation_find(obfuscations[i]->name), obfuscations[i]);
        check_offered("similarity", "obfuscations", obfuscations[i]->name);
    }
    check_options(inference_options_table, sizeof(struct inference_options));
    for (int i = 0; arch_kinds[i] != NULL; i++)
        check_offered("import", "arch", ((const struct nn_row *)arch_kinds[i])->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nn_tables),
        cmocka_unit_test(task_table),
        cmocka_unit_test(training_tables),
        cmocka_unit_test(other_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
