/* Compiled as the rest of the program is. */
#include "base/instructions.h"

const unsigned instructions_built = 0
#ifdef __SSE4_2__
                                    | INSTRUCTIONS_SSE42
#endif
#ifdef __AVX__
                                    | INSTRUCTIONS_AVX
#endif
#ifdef __FMA__
                                    | INSTRUCTIONS_FMA
#endif
#ifdef __BMI__
                                    | INSTRUCTIONS_BMI
#endif
#ifdef __BMI2__
                                    | INSTRUCTIONS_BMI2
#endif
#ifdef __AVX2__
                                    | INSTRUCTIONS_AVX2
#endif
#ifdef __AVX512F__
                                    | INSTRUCTIONS_AVX512F
#endif
#ifdef __AVX512VL__
                                    | INSTRUCTIONS_AVX512VL
#endif
#ifdef __AVX512BW__
                                    | INSTRUCTIONS_AVX512BW
#endif
#ifdef __AVX512DQ__
                                    | INSTRUCTIONS_AVX512DQ
#endif
#ifdef __AVX512VNNI__
                                    | INSTRUCTIONS_AVX512VNNI
#endif
    ;
