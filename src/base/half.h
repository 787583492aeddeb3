/* IEEE 754 binary16, as tensors and arrays are stored. */
#ifndef DINF_BASE_HALF_H
#define DINF_BASE_HALF_H

#include <stdint.h>

/* The value of these bits; exact. */
float half_to_float(uint16_t bits);

#endif
