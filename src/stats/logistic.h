/* Logistic regression with a ridge penalty. */
#ifndef DINF_STATS_LOGISTIC_H
#define DINF_STATS_LOGISTIC_H

#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

/* Minimises  sum_i log(1 + exp(-s_i (w x_i + b))) + ridge |w|^2 / 2,  s_i = 1
 * where label[i] is not 0, else -1; the intercept b is not penalised. Newton's
 * method with halved steps, to the accuracy of doubles. x (n, d) row-major, host;
 * coefficients (d + 1): w, then b. ridge > 0; both labels must occur. The linear
 * algebra is the device's. */
int logistic_fit(struct device *dev, const double *x, const uint8_t *label, int64_t n, int64_t d, double ridge,
                 double *coefficients, struct err *err);

/* logit (n) = w x_i + b */
void logistic_score(const double *coefficients, const double *x, int64_t n, int64_t d, double *logit);

#endif
