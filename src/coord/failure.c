/* Child, worker and leader are one executable, so that its sentences are known here. */
#include "coord/failure.h"

#include <errno.h>
#include <string.h>

/* The words that a lasting error has: each stands in a sentence of a room below, and a test
 * of the structure holds them against the code. */
static const char *const marks[] = {
    "the loss is not finite at step",
    "values that are not finite",
    /* the network, the images and the loss */
    "leaves no channel",
    "takes square images of 3 channels",
    "the images are too small for this network",
    "is smaller than the kernel of",
    "impossible shape",
    "batch norm: one image of 1 x 1 has no variance",
    "needs at least two images in a batch",
    "there are no images to train on",
    "too many for one training",
    "too many answers for one training",
    "it cannot train by itself",
    "has no use for a victim's answers",
    "needs labels, the images have none",
    "the thief's representation has",
    "pixels is not possible",
    "computes in fp32 only",
    /* options of a plan that this program does not know */
    "there is no ",
    "a data set has no option",
    "did you mean",
    /* files that hold something else than they should */
    "not a .npy file",
    "is not supported",
    "not a safetensors file",
    "is no encoder written by dinf",
    "channels, but images have",
    "images have 4 axes",
    "images of a data set are integers of 0 to 255",
    "must have one axis of",
    "is out of range",
    "is not a whole number of records",
    "holds no images",
    "belongs to nothing in this network",
    "the images have changed since the run began",
};

static bool has_error(const char *error, const int *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(error, strerror(numbers[i])) != NULL)
            return true;
    return false;
}

bool failure_lasts(const char *error, const char *before)
{
    static const int numbers[] = { ENOENT, EACCES, EPERM, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG };
    if (failure_passes(error))
        return false;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strstr(error, marks[i]) != NULL)
            return true;
    return before != NULL && strcmp(error, before) == 0 &&
           has_error(error, numbers, sizeof numbers / sizeof numbers[0]);
}

bool failure_passes(const char *error)
{
    static const int numbers[] = { ENOSPC, EDQUOT, EAGAIN, EMFILE, ENFILE,  ENOMEM,
                                   EBUSY,  EIO,    ESTALE, EINTR,  ETXTBSY, ETIMEDOUT };
    return has_error(error, numbers, sizeof numbers / sizeof numbers[0]) ||
           strstr(error, "unable to lock file") != NULL;
}

bool failure_of_system(const char *error)
{
    for (int number = 1; number < 134; number++) /* Linux has no more */
        if (number != ENOENT && strstr(error, strerror(number)) != NULL)
            return true;
    return failure_passes(error) || strstr(error, "out of memory") != NULL;
}
