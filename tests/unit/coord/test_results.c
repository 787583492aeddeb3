/* coord: rebuilding results.h5 where it cannot even begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "coord/results.h"

/* The folder is gone: said once in a while, and the results stay due. */
static void cannot_begin(void **state)
{
    (void)state;
    struct err err = { "" };
    struct results r;
    results_init(&r, "/nowhere/at-all");
    r.ended -= 60;
    assert_int_equal(results_poll(&r, &err), -1);
    assert_non_null(strstr(err.text, "collect.log"));
    assert_true(r.stale && r.pid == 0);
    assert_int_equal(results_poll(&r, &err), 0); /* not again at once */
    assert_int_equal(results_finish(&r, &err), -1);
    assert_true(r.stale);
    results_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(cannot_begin) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
