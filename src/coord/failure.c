/* Child, worker and leader are one executable, so that its sentences are known here. */
#include "coord/failure.h"

#include <errno.h>
#include <string.h>

bool failure_lasts(const char *error)
{
    static const char *const marks[] = { "the loss is not finite at step", "values that are not finite" };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strstr(error, marks[i]) != NULL)
            return true;
    return false;
}

bool failure_passes(const char *error)
{
    static const int numbers[] = { ENOSPC, EDQUOT, EAGAIN, EMFILE, ENFILE, ENOMEM, EBUSY, ETXTBSY };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strstr(error, strerror(numbers[i])) != NULL)
            return true;
    return strstr(error, "unable to lock file") != NULL;
}

bool failure_of_system(const char *error)
{
    for (int number = 1; number < 134; number++) /* Linux has no more */
        if (number != ENOENT && strstr(error, strerror(number)) != NULL)
            return true;
    return failure_passes(error) || strstr(error, "out of memory") != NULL;
}
