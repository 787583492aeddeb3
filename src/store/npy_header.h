/* The header of a .npy file, and what its types are. */
#ifndef DINF_STORE_NPY_HEADER_H
#define DINF_STORE_NPY_HEADER_H

#include "store/npy.h"

enum npy_stored { BOOL, I8, I16, I32, I64, U8, U16, U32, U64, F16, F32, F64, NPY_STORED };

enum { NPY_PREFIX_MAX = 12, NPY_HEADER_MAX = 65536 };

/* Bytes of an element in the file. */
size_t npy_item(const struct npy *a);

/* The first n bytes of a file of file_bytes. *data: where the data begin. */
int npy_header(const unsigned char *b, size_t n, uint64_t file_bytes, struct npy *out, size_t *data, struct err *err);

#endif
