/* The cuda device lives in a shared library of its own, libdinf_cuda.so: loading
 * CUDA's libraries takes a quarter of a second and hundreds of megabytes that work
 * on the CPU does not need, and a machine without them must run this program, too.
 * It is loaded when somebody asks whether the device is there, and only if the
 * GPU's driver is. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "device/device.h"

#define LIBRARY "libdinf_cuda.so"

static const struct device_kind *loaded;

/* Beside the program, in ../lib, or wherever the dynamic loader looks. */
static void *open_library(void)
{
    static const char *const places[] = { "/", "/../lib/" };
    char self[PATH_MAX], path[2 * PATH_MAX];
    void *library = NULL;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = 0;
    for (size_t i = 0; slash != NULL && library == NULL && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s" LIBRARY, self, places[i]);
        if (access(path, R_OK) == 0)
            library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return library != NULL ? library : dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

static int load(struct err *err)
{
    if (loaded != NULL)
        return 0;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver == NULL)
        return err_set(err, "no GPU driver (libcuda.so.1) is installed here");
    dlclose(driver);
    void *library = open_library();
    if (library == NULL)
        return err_set(err, "the part of dinf that knows GPUs cannot be loaded: %s", dlerror());
    const struct device_kind *kind = dlsym(library, "dinf_cuda_device");
    if (kind == NULL)
        return err_set(err, "%s is not a part of dinf: %s", LIBRARY, dlerror());
    if (kind->revision == NULL || strcmp(kind->revision, dinf_revision()) != 0)
        return err_set(err, "%s was built from another revision than this program, %s: build both together", LIBRARY,
                       dinf_revision());
    loaded = kind;
    return 0;
}

static int available(struct err *err)
{
    return load(err) == 0 ? loaded->available(err) : -1;
}

static struct device *open_device(const struct device_options *options, struct err *err)
{
    return load(err) == 0 ? loaded->open(options, err) : NULL;
}

/* What is not loaded has computed nothing. */
static int libraries(struct library *out, int max)
{
    return loaded != NULL ? loaded->libraries(out, max) : 0;
}

static int count(void)
{
    struct err ignored;
    return load(&ignored) == 0 ? loaded->count() : 0;
}

const struct device_kind device_kind_cuda = {
    .name = "cuda",
    .help = "cuDNN, cuBLAS and own kernels on an NVIDIA GPU, NHWC; fp32, tf32, bf16",
    .available = available,
    .open = open_device,
    .libraries = libraries,
    .precisions = 1 << PRECISION_FP32 | 1 << PRECISION_TF32 | 1 << PRECISION_BF16,
    .count = count,
};
