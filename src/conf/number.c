/* One way to write a number, so that equal values give equal text (and equal hashes). */
#include "conf/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void number_print(double x, char out[NUMBER_TEXT])
{
    char text[NUMBER_TEXT] = "0";
    if (isnan(x) || isinf(x)) {
        snprintf(text, sizeof text, isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
    } else if (x != 0 && x == floor(x) && fabs(x) <= 0x1p53) {
        snprintf(text, sizeof text, "%.0f", x);
    } else if (x != 0) {
        for (int digits = 1; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, x);
            if (strtod(text, NULL) == x)
                break;
        }
    }
    memcpy(out, text, sizeof text);
}
