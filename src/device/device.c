/* The table of devices and the way from a name to an open device. */
#include "device/device.h"

#include <assert.h>
#include <string.h>

#include "base/names.h"

#define DEVICE(name) extern const struct device_kind device_kind_##name;
#include "device/devices.def"
#undef DEVICE

const struct device_kind *const device_kinds[] = {
#define DEVICE(name) &device_kind_##name,
#include "device/devices.def"
#undef DEVICE
    NULL
};

const char *const precision_names[] = { "fp32", "tf32", "bf16", NULL };

enum { DEVICE_KINDS = sizeof device_kinds / sizeof *device_kinds - 1 };

static const struct device_kind *find(const char *name, struct err *err)
{
    const char *names[DEVICE_KINDS + 1] = { "auto" };
    bool any = strcmp(name, "auto") == 0;

    for (int i = 0; i < DEVICE_KINDS; i++) {
        names[i + 1] = device_kinds[i]->name;
        if (strcmp(name, device_kinds[i]->name) == 0 || (any && device_kinds[i]->available(NULL) == 0))
            return device_kinds[i];
    }
    const char *near = names_nearest(name, names, DEVICE_KINDS + 1);
    err_set(err, "there is no device \"%s\"%s%s%s", name, near ? "; did you mean \"" : "", near ? near : "",
            near ? "\"?" : "");
    return NULL;
}

struct device *device_open(const char *name, int threads, struct err *err)
{
    assert(threads >= 1);
    const struct device_kind *kind = find(name, err);
    if (!kind)
        return NULL;
    if (kind->available(err) != 0) {
        err_prefix(err, "device \"%s\" cannot be used here", kind->name);
        return NULL;
    }
    struct device *dev = kind->open(threads, err);
    if (!dev)
        err_prefix(err, "device \"%s\"", kind->name);
    return dev;
}

void device_close(struct device *dev)
{
    if (dev)
        dev->ops->close(dev);
}

int device_libraries(struct library *out, int max)
{
    int n = 0;
    for (int i = 0; i < DEVICE_KINDS; i++)
        if (device_kinds[i]->libraries != NULL)
            n += device_kinds[i]->libraries(out + n, max - n);
    return n;
}
