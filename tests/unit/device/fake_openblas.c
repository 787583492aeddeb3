/* An OpenBLAS that does not know the processor: it chooses the oldest kernels unless
 * OPENBLAS_CORETYPE names others, as OpenBLAS does with a model that is newer than itself.
 * FAKE_OPENBLAS_ONLY: the only kernels that it has. Each loading of it is counted in
 * FAKE_OPENBLAS_LOADS. It computes nothing. */
#include <stdio.h>
#include <stdlib.h>

static char kernels[32];

static __attribute__((constructor)) void choose(void)
{
    const char *only = getenv("FAKE_OPENBLAS_ONLY"), *told = getenv("OPENBLAS_CORETYPE");
    const char *loads = getenv("FAKE_OPENBLAS_LOADS");
    char text[24];
    snprintf(text, sizeof text, "%ld", (loads != NULL ? strtol(loads, NULL, 10) : 0) + 1);
    setenv("FAKE_OPENBLAS_LOADS", text, 1);
    snprintf(kernels, sizeof kernels, "%s", only != NULL ? only : told != NULL ? told : "Prescott");
}

char *openblas_get_corename(void);
char *openblas_get_corename(void)
{
    return kernels;
}

char *openblas_get_config(void);
char *openblas_get_config(void)
{
    static char config[] = "OpenBLAS 0.0.1 DYNAMIC_ARCH";
    return config;
}

#define FUNCTION(name)                                                                                                 \
    void name(void);                                                                                                   \
    void name(void)                                                                                                    \
    {                                                                                                                  \
    }
FUNCTION(cblas_sgemm)
FUNCTION(cblas_dgemm)
FUNCTION(cblas_dsyrk)
FUNCTION(cblas_dtrsm)
FUNCTION(cblas_dtrmv)
FUNCTION(cblas_dtrsv)
FUNCTION(cblas_ddot)
FUNCTION(cblas_dcopy)
FUNCTION(cblas_daxpy)
FUNCTION(cblas_dscal)
FUNCTION(dpotrf_)
FUNCTION(dtrtri_)
FUNCTION(openblas_get_num_threads)
FUNCTION(openblas_set_num_threads)
