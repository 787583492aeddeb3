/* Instructions that the compiler was allowed to use, and that this processor has: a
 * program built with -march=native on a newer machine would die of SIGILL anywhere. */
#ifndef DINF_BASE_INSTRUCTIONS_H
#define DINF_BASE_INSTRUCTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    INSTRUCTIONS_SSE42 = 1,
    INSTRUCTIONS_AVX = 2,
    INSTRUCTIONS_FMA = 4,
    INSTRUCTIONS_BMI = 8,
    INSTRUCTIONS_BMI2 = 16,
    INSTRUCTIONS_AVX2 = 32,
    INSTRUCTIONS_AVX512F = 64,
    INSTRUCTIONS_AVX512VL = 128,
    INSTRUCTIONS_AVX512BW = 256,
    INSTRUCTIONS_AVX512DQ = 512,
    INSTRUCTIONS_AVX512VNNI = 1024,
};

/* Of the above. Constant data: nothing of it runs. */
extern const unsigned instructions_built;
unsigned instructions_here(void);

/* True if something of `built` is not `here`; then a sentence that names it and says
 * what to do. This and main.c are compiled for any x86-64 processor. */
bool instructions_lack(unsigned built, unsigned here, char *out, size_t size);

#endif
