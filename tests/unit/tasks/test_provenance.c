/* tasks: results say with which libraries they were made. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/version.h"
#include "tasks/provenance.h"

static void names_libraries(void **state)
{
    (void)state;
    static const char *const wanted[] = { "library_libconfig", "library_hdf5", "library_onednn", "library_openblas" };
    cJSON *o = cJSON_CreateObject();
    assert_int_equal(provenance_libraries(o), 0);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *version = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, wanted[i]));
        assert_non_null(version);
        assert_true(isdigit((unsigned char)version[0]));
    }
    cJSON_Delete(o);
}

static void task_has_them(void **state)
{
    (void)state;
    struct err err;
    struct task_context ctx = { .id = "0123456789abcdef0123456789abcdef", .name = "mock:a" };
    cJSON *o = provenance_create(&ctx, task_kind_find("mock"), NULL, 1, &err);
    assert_non_null(o);
    assert_non_null(cJSON_GetObjectItemCaseSensitive(o, "library_hdf5"));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "device")), "none");
    cJSON_Delete(o);
}

/* Enough to run it again. */
static void task_says_all(void **state)
{
    (void)state;
    struct err err;
    char host[256];
    cJSON *params = cJSON_Parse("{\"b\": 2, \"a\": \"x\"}");
    const struct task_input inputs[] = { { .role = "victim", .id = "02" }, { .role = "after", .id = "01" } };
    struct task_context ctx = { .id = "03", .name = "one", .params = params, .inputs = inputs, .n_inputs = 2 };
    const struct device dev = { .description = "a device" };
    cJSON *o = provenance_create(&ctx, task_kind_find("mock"), &dev, 7, &err);
    assert_non_null(o);
    gethostname(host, sizeof host);
    const char *const want[][2] = {
        { "dinf_version", dinf_version() },
        { "revision", dinf_revision() },
        { "host", host },
        { "device", "a device" },
        { "task", "03" },
        { "kind", "mock" },
        { "name", "one" },
        { "params", "{\"a\":\"x\",\"b\":2}" },
        { "inputs", "{\"after\":\"01\",\"victim\":\"02\"}" },
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, want[i][0])), want[i][1]);
    assert_true(cJSON_GetObjectItemCaseSensitive(o, "threads")->valuedouble == 7);
    cJSON_Delete(o);
    cJSON_Delete(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_libraries), cmocka_unit_test(task_has_them),
                                        cmocka_unit_test(task_says_all) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
