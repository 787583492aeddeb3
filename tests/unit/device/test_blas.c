/* OpenBLAS runs kernels that use the processor's vector units, also where it would
 * choose older ones by itself; a user's own choice is obeyed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/cpu/blas.h"

/* The kernel's own word on what the processor can do. */
static bool processor_has(const char *flag)
{
    char line[8192], word[64];
    bool found = false;
    FILE *f = fopen("/proc/cpuinfo", "r");
    assert_non_null(f);
    snprintf(word, sizeof word, " %s ", flag);
    while (!found && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = ' ';
        found = strncmp(line, "flags", 5) == 0 && strstr(line, word) != NULL;
    }
    fclose(f);
    return found;
}

static void test_kernels(void **state)
{
    (void)state;
    struct err err;
    const char *chosen = getenv("OPENBLAS_CORETYPE");
    if (blas_open(&err) != 0)
        fail_msg("%s", err.text);
    if (chosen != NULL) {
        assert_string_equal(blas.kernels, chosen);
        return;
    }
    enum vectors wanted = processor_has("avx512vl") && processor_has("avx512dq") ? VECTORS_AVX512
                          : processor_has("avx2") && processor_has("fma")        ? VECTORS_AVX2
                          : processor_has("avx")                                 ? VECTORS_AVX
                                                                                 : VECTORS_SSE;
    assert_int_equal(blas_processor(), wanted);
    if (blas_vectors(blas.kernels) < wanted)
        fail_msg("kernels for %s are older than this processor's vector units", blas.kernels);
}

/* OpenBLAS itself would ask for its buffers for ever. The test comes first: what is loaded stays. */
static void test_no_room(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err;
        const struct rlimit little = { .rlim_cur = (rlim_t)200 << 20, .rlim_max = (rlim_t)200 << 20 };
        alarm(30);
        _exit(setrlimit(RLIMIT_AS, &little) == 0 && blas_open(&err) != 0 && strstr(err.text, "address space") != NULL
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(blas_vectors("Prescott"), VECTORS_SSE);
    assert_int_equal(blas_vectors("prescott"), VECTORS_SSE);
    assert_int_equal(blas_vectors("Sandybridge"), VECTORS_AVX);
    assert_int_equal(blas_vectors("Haswell"), VECTORS_AVX2);
    assert_int_equal(blas_vectors("SkylakeX"), VECTORS_AVX512);
    assert_int_equal(blas_vectors("Unknown"), VECTORS_SSE);
    assert_int_equal(blas_vectors("Nehalem"), VECTORS_SSE);
    assert_int_equal(blas_vectors("Steamroller"), VECTORS_AVX);
    assert_int_equal(blas_vectors("Excavator"), VECTORS_AVX2);
    assert_int_equal(blas_vectors("Zen"), VECTORS_AVX2);
    assert_int_equal(blas_vectors("of the future"), VECTORS_AVX512);
}

static void test_product(void **state)
{
    (void)state;
    const double a[] = { 1, 2, 3, 4 }, b[] = { 5, 6, 7, 8 };
    double c[4] = { 0 };
    assert_int_equal(blas_open(NULL), 0);
    int major, minor;
    assert_int_equal(sscanf(blas.version, "%d.%d", &major, &minor), 2);
    blas.dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2);
    assert_true(c[0] == 19 && c[1] == 22 && c[2] == 43 && c[3] == 50);
}

/* With fake_openblas.c in the library's place: how often it was loaded, and the kernels in the end. */
static void test_unknown_processor(void **state)
{
    (void)state;
    struct err err;
    const char *only = getenv("FAKE_OPENBLAS_ONLY"), *chosen = getenv("OPENBLAS_CORETYPE");
    if (blas_open(&err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(blas.version, "0.0.1");
    bool again = chosen == NULL && blas_processor() > VECTORS_SSE;
    assert_string_equal(getenv("FAKE_OPENBLAS_LOADS"), again ? "2" : "1");
    if (only != NULL || chosen != NULL)
        assert_string_equal(blas.kernels, only != NULL ? only : chosen); /* old ones are better than none */
    else
        assert_int_equal(blas_vectors(blas.kernels), blas_processor());
    if (chosen == NULL)
        assert_null(getenv("OPENBLAS_CORETYPE")); /* children choose for themselves */
}

int main(void)
{
    if (getenv("FAKE_OPENBLAS") != NULL) {
        const struct CMUnitTest fake[] = { cmocka_unit_test(test_unknown_processor) };
        return cmocka_run_group_tests(fake, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_product),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
