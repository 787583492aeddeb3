/* Schedules of the learning rate, per epoch. */
#include <math.h>
#include <string.h>

#include "nn/optim.h"

const char *const schedule_names[] = { "cosine", "constant", NULL };

double schedule_lr(const char *name, double lr, int64_t hold, int64_t epoch, int64_t epochs)
{
    const double pi = 3.14159265358979323846;
    if (strcmp(name, "constant") == 0 || epoch <= hold || hold >= epochs)
        return lr;
    return lr * (1 + cos(pi * (double)(epoch - hold) / (double)(epochs - hold))) / 2;
}
