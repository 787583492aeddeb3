/* How alike two encoders' representations of the same images are. Sources:
 * see similarity.c; protocol: centre per dimension, normalise rows. */
#ifndef DINF_STATS_SIMILARITY_H
#define DINF_STATS_SIMILARITY_H

#include <stdint.h>

#include "base/err.h"
#include "device/device.h"
#include "stats/rows.h"

struct estimate {
    double value, ci; /* half-width of the 99% interval, z = 2.576 */
};

struct similarity {
    struct estimate cosine, cosine_abs, l1, l2, linf, l2_score; /* l2_score = 1 - d / 2 on normalised rows */
};

/* a, b: (n, d) row-major, the same n >= 2 images; not modified. Preprocessing as
 * above inside; a row that is zero after centring has cosine 0 with everything.
 * Distances are those of the preprocessed rows: l1 in [0, 2 sqrt(d)], l2 in
 * [0, 2]. Values that are not finite are an error. */
int similarity_compute(const double *a, const double *b, int64_t n, int64_t d, struct similarity *out,
                       struct err *err);

/* I(a; b) = H(a) + H(b) - H(a, b) in nats, each H by the 1-nearest-neighbour
 * Kozachenko-Leonenko estimator (eps 1e-10), after the preprocessing above.
 * a (n, da), b (n, db), n >= 2. Where one side is longer, its columns that are the
 * same for all rows (padding) are left out until both are equally long. The
 * estimator is biased by dimension and sample size: compare only values with the
 * same n and, after that, the same lengths. */
int mutual_information(struct device *dev, const double *a, int64_t da, const double *b, int64_t db, int64_t n,
                       double *out, struct err *err);

/* (i - random) / (self - random), clipped to [0, 1]; NAN unless self > random. */
double mi_score(double i, double random, double self);

/* Obfuscations of obfuscations.def: none, shuffle, pad, transform, transform_each.
 * Output (n, *d_out), mem_free. pad doubles the dimensions: rows_widen the other
 * side before similarity_compute. */
struct obfuscation {
    const char *name, *help;
    int (*run)(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out, struct err *err);
};
extern const struct obfuscation *const obfuscations[]; /* NULL-terminated */
extern const char *const obfuscation_names[];          /* likewise, for options */

const struct obfuscation *obfuscation_find(const char *name); /* NULL if there is none */

#endif
