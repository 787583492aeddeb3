/* OpenBLAS with the kernels that this processor can run.
 *
 * OpenBLAS chooses its kernels once, while it is loaded, and by the processor's
 * model: a release that is older than the processor takes kernels of 2004. So it
 * is not linked but loaded, and loaded again with OPENBLAS_CORETYPE where it chose
 * kernels that are older than the processor's vector units. A user's own
 * OPENBLAS_CORETYPE is obeyed. Nothing that dinf is linked to may be linked to
 * OpenBLAS: it would be loaded before, with the wrong kernels.
 *
 * No other library makes this mistake: oneDNN (onednn_vectors) and the C library ask the processor
 * for features and look at no table of models, and so does OpenSSL, whose SHA-256 looks at the vendor
 * only to choose between two codes of about the same speed. `dinf --version` and `dinf list devices` say
 * what oneDNN and OpenBLAS have chosen; every result holds it, too. */
#ifndef DINF_DEVICE_BLAS_H
#define DINF_DEVICE_BLAS_H

#include <cblas.h>
#include <f77blas.h>

#include "base/err.h"

/* A function of cblas.h is a row here and called as `blas.NAME`. */
#define BLAS_FUNCTIONS(ROW)                                                                                            \
    ROW(sgemm)                                                                                                         \
    ROW(dgemm)                                                                                                         \
    ROW(dsyrk)                                                                                                         \
    ROW(dtrsm)                                                                                                         \
    ROW(dtrmv)                                                                                                         \
    ROW(dtrsv)                                                                                                         \
    ROW(ddot)                                                                                                          \
    ROW(dcopy)                                                                                                         \
    ROW(daxpy)                                                                                                         \
    ROW(dscal)

#define ROW(name) __typeof__(cblas_##name) *name;
struct blas {
    BLAS_FUNCTIONS(ROW)
    __typeof__(BLASFUNC(dpotrf)) *dpotrf; /* LAPACK's, arguments as in Fortran */
    __typeof__(BLASFUNC(dtrtri)) *dtrtri;
    __typeof__(openblas_get_num_threads) *get_num_threads;
    __typeof__(openblas_set_num_threads) *set_num_threads;
    char version[16]; /* "0.3.21" */
    char kernels[24]; /* "Zen": what the kernels were written for */
};
#undef ROW

extern struct blas blas; /* filled by blas_open */

/* Loads OpenBLAS, the first time that it is called; after that it costs nothing. */
int blas_open(struct err *err);

/* What a processor's vector units can do, and what kernels need. */
enum vectors { VECTORS_SSE, VECTORS_AVX, VECTORS_AVX2, VECTORS_AVX512 };

/* What this processor and its kernel can do; SSE on what is no x86-64. */
enum vectors blas_processor(void);

/* What OpenBLAS's kernels of this name use; of a name that is not known: all there is,
 * for names only ever become newer. */
enum vectors blas_vectors(const char *kernels);

#endif
