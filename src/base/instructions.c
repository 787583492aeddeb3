/* Compiled for any x86-64 processor (the top CMakeLists.txt sees to it). */
#include "base/instructions.h"

#include <stdio.h>

unsigned instructions_here(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    return (__builtin_cpu_supports("sse4.2") ? INSTRUCTIONS_SSE42 : 0) |
           (__builtin_cpu_supports("avx") ? INSTRUCTIONS_AVX : 0) |
           (__builtin_cpu_supports("fma") ? INSTRUCTIONS_FMA : 0) |
           (__builtin_cpu_supports("bmi") ? INSTRUCTIONS_BMI : 0) |
           (__builtin_cpu_supports("bmi2") ? INSTRUCTIONS_BMI2 : 0) |
           (__builtin_cpu_supports("avx2") ? INSTRUCTIONS_AVX2 : 0) |
           (__builtin_cpu_supports("avx512f") ? INSTRUCTIONS_AVX512F : 0) |
           (__builtin_cpu_supports("avx512vl") ? INSTRUCTIONS_AVX512VL : 0) |
           (__builtin_cpu_supports("avx512bw") ? INSTRUCTIONS_AVX512BW : 0) |
           (__builtin_cpu_supports("avx512dq") ? INSTRUCTIONS_AVX512DQ : 0) |
           (__builtin_cpu_supports("avx512vnni") ? INSTRUCTIONS_AVX512VNNI : 0);
#else
    return ~0U;
#endif
}

bool instructions_lack(unsigned built, unsigned here, char *out, size_t size)
{
    static const char *const names[] = { "SSE4.2",   "AVX",       "FMA",       "BMI",       "BMI2",       "AVX2",
                                         "AVX-512F", "AVX-512VL", "AVX-512BW", "AVX-512DQ", "AVX-512VNNI" };
    unsigned missing = built & ~here;
    char list[128] = "";
    size_t used = 0;
    if (missing == 0)
        return false;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((missing >> i & 1) != 0 && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", names[i]);
    snprintf(out, size,
             "this program was built for a processor with %s, which this one lacks: build it with -DDINF_NATIVE=OFF, "
             "or on this machine",
             list);
    return true;
}
