/* Names of what every device knows. */
#include "device/device.h"

const char *const precision_names[] = { "fp32", "tf32", "bf16", NULL };
