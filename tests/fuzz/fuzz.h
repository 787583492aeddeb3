/* The one function of a fuzzing harness, called by libFuzzer or by replay.c. */
#ifndef DINF_TESTS_FUZZ_H
#define DINF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* What must hold for accepted input. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : __builtin_trap())

/* Reads every byte, so that a sanitizer sees those that are not there. */
static inline void fuzz_touch(const void *data, size_t n)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
}

#endif
