/* "Not shown" is worth as much as the effect that would have been shown. */
#include "stats/effect.h"

#include <math.h>

double normal_quantile(double p)
{
    double low = -40.0, high = 40.0;
    if (!(p > 0.0 && p < 1.0))
        return p <= 0.0 ? -INFINITY : p >= 1.0 ? INFINITY : NAN;
    for (int i = 0; i < 200; i++) { /* halved to the last bit */
        const double middle = 0.5 * (low + high);
        if (0.5 * erfc(-middle * sqrt(0.5)) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

struct interval effect_interval(double cohen_d, int64_t n1, int64_t n2)
{
    const double a = (double)n1, b = (double)n2;
    const double half = normal_quantile(0.975) * sqrt((a + b) / (a * b) + cohen_d * cohen_d / (2.0 * (a + b)));
    return (struct interval){ cohen_d - half, cohen_d + half };
}

double effect_detectable(int64_t n1, int64_t n2, double alpha)
{
    if (n1 < 1 || n2 < 1)
        return NAN;
    return (normal_quantile(0.8) - normal_quantile(alpha)) * sqrt(1.0 / (double)n1 + 1.0 / (double)n2);
}
