/* base: a program on a processor that it was not built for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/instructions.h"

static void what_is_missing_is_named(void **state)
{
    const unsigned haswell = INSTRUCTIONS_SSE42 | INSTRUCTIONS_AVX | INSTRUCTIONS_FMA | INSTRUCTIONS_BMI |
                             INSTRUCTIONS_BMI2 | INSTRUCTIONS_AVX2;
    const unsigned skylake = haswell | INSTRUCTIONS_AVX512F | INSTRUCTIONS_AVX512VL;
    char text[512] = "";
    (void)state;
    assert_false(instructions_lack(0, 0, text, sizeof text));
    assert_false(instructions_lack(haswell, skylake, text, sizeof text));
    assert_string_equal(text, "");
    assert_true(instructions_lack(skylake, haswell, text, sizeof text));
    assert_string_equal(text, "this program was built for a processor with AVX-512F, AVX-512VL, which this one lacks: "
                              "build it with -DDINF_NATIVE=OFF, or on this machine");
    assert_true(instructions_lack(~0U, 0, text, sizeof text));
    assert_non_null(strstr(text, "with SSE4.2, AVX, FMA, BMI, BMI2, AVX2, AVX-512F, AVX-512VL, AVX-512BW, AVX-512DQ, "
                                 "AVX-512VNNI, which"));
    assert_true(instructions_lack(INSTRUCTIONS_AVX512VNNI, ~INSTRUCTIONS_AVX512VNNI, text, sizeof text));
    assert_non_null(strstr(text, "with AVX-512VNNI, which"));
}

static void this_program_runs_here(void **state)
{
    char text[512] = "";
    (void)state;
    assert_false(instructions_lack(instructions_built, instructions_here(), text, sizeof text));
#ifdef __AVX2__
    assert_true((instructions_built & INSTRUCTIONS_AVX2) != 0);
#endif
#ifdef __AVX512F__
    assert_true((instructions_built & INSTRUCTIONS_AVX512F) != 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(this_program_runs_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
