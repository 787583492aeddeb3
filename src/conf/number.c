/* One way to write a number, so that equal values give equal text (and equal hashes). */
#include "conf/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void number_print(double x, char out[NUMBER_TEXT])
{
    if (x == 0) {
        snprintf(out, NUMBER_TEXT, "0");
    } else if (isnan(x) || isinf(x)) {
        snprintf(out, NUMBER_TEXT, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
    } else if (x == floor(x) && fabs(x) <= 0x1p53) {
        snprintf(out, NUMBER_TEXT, "%.0f", x);
    } else {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(out, NUMBER_TEXT, "%.*g", digits, x);
            if (strtod(out, NULL) == x)
                break;
        }
    }
}
