/* The linear algebra of the devices whose memory is host memory; device tables
 * point to them. Slots use dev->threads and nothing else of the device. */
#ifndef DINF_DEVICE_LINALG_TABLES_H
#define DINF_DEVICE_LINALG_TABLES_H

#include "device/linalg.h"

extern const struct device_linalg ref_linalg; /* naive C: the oracle */
extern const struct device_linalg cpu_linalg; /* OpenBLAS and OpenMP, after blas_open of device/cpu/blas.h */

#endif
