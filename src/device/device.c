/* The table of devices and the way from a name to an open device. */
#include "device/device.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"

#define DEVICE(name) extern const struct device_kind device_kind_##name;
#include "device/devices.def"
#undef DEVICE

const struct device_kind *const device_kinds[] = {
#define DEVICE(name) &device_kind_##name,
#include "device/devices.def"
#undef DEVICE
    NULL,
};

enum { DEVICE_KINDS = sizeof device_kinds / sizeof *device_kinds - 1 };

static const struct device_kind *find(const char *name, struct err *err)
{
    const char *names[DEVICE_KINDS + 1] = { "auto" };
    char why[sizeof err->text];

    if (strcmp(name, "auto") == 0)
        name = device_auto(why, sizeof why);
    for (int i = 0; i < DEVICE_KINDS; i++) {
        names[i + 1] = device_kinds[i]->name;
        if (strcmp(name, device_kinds[i]->name) == 0)
            return device_kinds[i];
    }
    char hint[NAMES_HINT];
    err_set(err, "there is no device \"%s\"%s", name, names_suggest(name, names, DEVICE_KINDS + 1, hint));
    return NULL;
}

const char *device_auto(char *why, size_t size)
{
    size_t used = 0;
    int i = 0;

    why[0] = 0;
    for (; i < DEVICE_KINDS; i++) {
        struct err err = { "" };
        if (device_kinds[i]->available(&err) == 0)
            break;
        int n = snprintf(why + used, size - used, "%s%s: %s", used ? "; " : "", device_kinds[i]->name, err.text);
        used = n < 0 || (size_t)n >= size - used ? size - 1 : used + (size_t)n;
    }
    return device_kinds[i]->name; /* the last one always is */
}

static const struct device_kind *usable(const char *name, struct err *err)
{
    const struct device_kind *kind = find(name, err);
    if (kind != NULL && kind->available(err) != 0) {
        err_prefix(err, "device \"%s\" cannot be used here", kind->name);
        return NULL;
    }
    return kind;
}

bool device_has_precision(const char *name, const char *precision)
{
    int p = 0;
    const struct device_kind *kind = find(name, NULL);
    while (precision_names[p] != NULL && strcmp(precision_names[p], precision) != 0)
        p++;
    return kind != NULL && precision_names[p] != NULL && kind->precisions >> p & 1;
}

int device_gpus(const char *name)
{
    const struct device_kind *kind = find(name, NULL);
    return kind != NULL && kind->count != NULL && kind->available(NULL) == 0 ? kind->count() : 0;
}

int device_check(const char *name, struct err *err)
{
    return usable(name, err) != NULL ? 0 : -1;
}

struct device *device_open_with(const char *name, const struct device_options *options, struct err *err)
{
    assert(options->threads >= 1);
    const struct device_kind *kind = usable(name, err);
    if (kind == NULL)
        return NULL;
    struct device *dev = kind->open(options, err);
    if (dev == NULL)
        err_prefix(err, "device \"%s\"", kind->name);
    else
        dev->precisions = kind->precisions;
    return dev;
}

int device_options_read(int threads, struct device_options *options, struct err *err)
{
    const char *rank = getenv("DINF_LOCAL_RANK"), *choices = getenv("DINF_CUDA_CHOICES"),
               *graphs = getenv("DINF_CUDA_GRAPHS");
    char *end = NULL;
    const long number = rank != NULL ? strtol(rank, &end, 10) : 0;
    if (rank != NULL && (end == rank || *end != '\0' || number < 0 || number > INT_MAX))
        return err_set(err, "DINF_LOCAL_RANK=%s is no number of a rank", rank);
    *options = (struct device_options){ .threads = threads,
                                        .local_rank = (int)number,
                                        .choices = choices != NULL && choices[0] != '\0' ? choices : NULL,
                                        .unrecorded = graphs != NULL && strcmp(graphs, "0") == 0 };
    return 0;
}

struct device *device_open(const char *name, int threads, struct err *err)
{
    struct device_options options;
    return device_options_read(threads, &options, err) == 0 ? device_open_with(name, &options, err) : NULL;
}

/* Is the operation of this name there? */
static bool has(const struct device *dev, const char *name)
{
#define OP(class, op)                                                                                                  \
    if (strcmp(name, #op) == 0)                                                                                        \
        return dev->ops->op != NULL;
#include "device/ops.def"
#undef OP
    return false;
}

const char *device_lacks(const struct device *dev, const char *const *wanted)
{
    for (; *wanted != NULL; wanted++)
        if (!has(dev, *wanted))
            return *wanted;
    return NULL;
}

int device_supports(const struct device *dev, enum precision precision, struct err *err)
{
    if ((dev->precisions >> precision & 1) == 0)
        return err_set(err, "the device %s computes in fp32 only, not in %s", dev->ops->name,
                       precision_names[precision]);
    return 0;
}

void device_close(struct device *dev)
{
    if (dev != NULL)
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
