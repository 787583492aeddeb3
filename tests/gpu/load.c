/* That libdinf_cuda.so can be loaded as the program loads it, has its device, and
 * says what is missing on a machine without a GPU. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "device/device.h"

int main(void)
{
    struct err err = { "" };
    void *library = dlopen("libdinf_cuda.so", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "FAIL %s\n", dlerror());
        return 1;
    }
    const struct device_kind *kind = dlsym(library, "dinf_cuda_device");
    if (kind == NULL || strcmp(kind->name, "cuda") != 0) {
        fprintf(stderr, "FAIL no cuda device in the library\n");
        return 1;
    }
    struct library versions[8];
    int n = kind->libraries(versions, 8);
    for (int i = 0; i < n; i++)
        printf("%s %s\n", versions[i].name, versions[i].version);
    if (kind->available(&err) == 0) {
        printf("a GPU is here\n");
        return n == 4 ? 0 : 1;
    }
    printf("%s\n", err.text);
    return n >= 3 && err.text[0] ? 0 : 1;
}
