/* tasks: results say with which libraries they were made. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_libraries), cmocka_unit_test(task_has_them) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
