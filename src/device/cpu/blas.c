/* Loading OpenBLAS, and loading it again if it does not know the processor. */
#include "device/cpu/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "base/log.h"

#ifndef DINF_OPENBLAS
#define DINF_OPENBLAS "libopenblas.so.0"
#endif
#define CHOICE "OPENBLAS_CORETYPE" /* the variable by which OpenBLAS can be told */

struct blas blas;

/* Asked by features, and whether the operating system saves the registers. */
enum vectors blas_processor(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return VECTORS_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return VECTORS_AVX2;
    if (__builtin_cpu_supports("avx"))
        return VECTORS_AVX;
#endif
    return VECTORS_SSE;
}

enum vectors blas_vectors(const char *kernels)
{
    static const struct {
        const char *name;
        enum vectors vectors;
    } old[] = {
        { "Unknown", VECTORS_SSE },    { "Katmai", VECTORS_SSE },       { "Coppermine", VECTORS_SSE },
        { "Northwood", VECTORS_SSE },  { "Prescott", VECTORS_SSE },     { "Banias", VECTORS_SSE },
        { "Atom", VECTORS_SSE },       { "Core2", VECTORS_SSE },        { "Penryn", VECTORS_SSE },
        { "Dunnington", VECTORS_SSE }, { "Nehalem", VECTORS_SSE },      { "Athlon", VECTORS_SSE },
        { "Opteron", VECTORS_SSE },    { "Opteron_SSE3", VECTORS_SSE }, { "Barcelona", VECTORS_SSE },
        { "Bobcat", VECTORS_SSE },     { "Nano", VECTORS_SSE },         { "Sandybridge", VECTORS_AVX },
        { "Bulldozer", VECTORS_AVX },  { "Piledriver", VECTORS_AVX },   { "Steamroller", VECTORS_AVX },
        { "Excavator", VECTORS_AVX2 }, { "Haswell", VECTORS_AVX2 },     { "Zen", VECTORS_AVX2 },
    };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (strcasecmp(kernels, old[i].name) == 0)
            return old[i].vectors;
    return VECTORS_AVX512;
}

/* Names that every OpenBLAS with a choice of kernels knows. Cooperlake's and later
 * kernels differ from SkylakeX's in bfloat16, which dinf does not use. */
static const char *kernels_for(enum vectors vectors)
{
#ifdef __x86_64__
    if (vectors == VECTORS_AVX2)
        return __builtin_cpu_is("amd") ? "Zen" : "Haswell";
#endif
    return vectors == VECTORS_AVX512 ? "SkylakeX" : vectors == VECTORS_AVX ? "Sandybridge" : "Prescott";
}

/* A function by its name: POSIX lets an object pointer hold it, C needs the copy. */
static int find(void *library, const char *name, void *function, struct err *err)
{
    void *found = dlsym(library, name);
    if (found == NULL)
        return err_set(err, "%s is not an OpenBLAS: %s", DINF_OPENBLAS, dlerror());
    memcpy(function, &found, sizeof found);
    return 0;
}

/* Where OpenBLAS cannot have the memory for its buffers, it asks again for ever, while it is being
 * loaded. So this looks first whether there is room for the library and two buffers of 128 MiB. */
static int check_room(struct err *err)
{
    const size_t room = (size_t)320 << 20;
    void *map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return err_errno(err, "OpenBLAS needs %zu MiB of address space (see ulimit -v)", room >> 20);
    munmap(map, room);
    return 0;
}

/* Memory that was there a moment ago may be gone. Then the process ends by SIGPROF, and is a failed attempt,
 * which loading alone (some 0.1 s of computing) never comes near. */
static void *open_in_time(void)
{
    const struct itimerval limit = { .it_value = { .tv_sec = 5 } };
    struct itimerval before;
    setitimer(ITIMER_PROF, &limit, &before);
    void *library = dlopen(DINF_OPENBLAS, RTLD_NOW | RTLD_LOCAL);
    setitimer(ITIMER_PROF, &before, NULL);
    return library;
}

/* The library, with what it says about itself in `blas`; NULL: it is not here. */
static void *load(struct err *err)
{
    if (check_room(err) != 0)
        return NULL;
    char *(*kernels)(void) = NULL, *(*config)(void) = NULL;
    void *library = open_in_time();
    if (library == NULL) {
        err_set(err, "OpenBLAS cannot be loaded: %s", dlerror());
        return NULL;
    }
    if (find(library, "openblas_get_corename", &kernels, err) != 0 ||
        find(library, "openblas_get_config", &config, err) != 0) {
        dlclose(library);
        return NULL;
    }
    snprintf(blas.kernels, sizeof blas.kernels, "%s", kernels());
    if (sscanf(config(), "%*s %15s", blas.version) != 1) /* "OpenBLAS 0.3.21 USE_OPENMP DYNAMIC_ARCH ..." */
        snprintf(blas.version, sizeof blas.version, "unknown");
    return library;
}

/* Once more, with the kernels for this processor. The variable is for this one time:
 * programs that are started from here choose for themselves. */
static void *reload(void *library, enum vectors vectors, struct err *err)
{
    if (dlclose(library) != 0 || setenv(CHOICE, kernels_for(vectors), 1) != 0) {
        err_set(err, "OpenBLAS cannot be loaded again with kernels for this processor");
        return NULL;
    }
    library = load(err);
    unsetenv(CHOICE);
    return library;
}

static int open_library(struct err *err)
{
    const char *chosen = getenv(CHOICE);
    const enum vectors vectors = blas_processor();
    void *library = load(err);
    if (library != NULL && blas_vectors(blas.kernels) < vectors && (chosen == NULL || chosen[0] == '\0')) {
        library = reload(library, vectors, err);
        if (library != NULL && blas_vectors(blas.kernels) < vectors)
            log_warn("OpenBLAS %s has no kernels for this processor's vector units: it takes those for %s",
                     blas.version, blas.kernels);
    }
    if (library == NULL)
        return -1;
#define ROW(name) || find(library, "cblas_" #name, &blas.name, err) != 0
    if (find(library, "dpotrf_", &blas.dpotrf, err) != 0 || find(library, "dtrtri_", &blas.dtrtri, err) != 0 ||
        find(library, "openblas_get_num_threads", &blas.get_num_threads, err) != 0 ||
        find(library, "openblas_set_num_threads", &blas.set_num_threads, err) != 0 BLAS_FUNCTIONS(ROW))
        return -1;
#undef ROW
    return 0;
}

int blas_open(struct err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool opened;
    pthread_mutex_lock(&lock);
    const int rc = opened ? 0 : open_library(err);
    opened = rc == 0;
    pthread_mutex_unlock(&lock);
    return rc;
}
